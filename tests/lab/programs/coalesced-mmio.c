// Coalesced MMIO: writes into a registered zone go to the ring in the vcpu's mapping and are no
// exits; reads are exits, as are writes outside and across the zone's end.  Then the zone is
// taken away.

#include "vm.h"

#include <stdio.h>
#include <unistd.h>

GUEST(guest, 64,
      "mov $MMIO, %ebx\n"
      "mov $0x1122334455667788, %rax\n"
      "movb $1, 0x100(%rbx)\n"
      "movw $2, 0x102(%rbx)\n"
      "movl $3, 0x104(%rbx)\n"
      "mov %rax, 0x108(%rbx)\n"
      "movb $4, 0xff(%rbx)\n"
      "movb $5, 0x10f(%rbx)\n"
      "movl $6, 0x10e(%rbx)\n"
      "movb $7, 0x110(%rbx)\n"
      "mov 0x104(%rbx), %ecx\n"
      "movb $8, 0x200(%rbx)\n"
      "hlt\n"
      "movb $9, 0x100(%rbx)\n"
      "movb $10, 0x200(%rbx)\n"
      "hlt");

static struct kvm_coalesced_mmio_ring *ring;

// Prints and takes what is in the ring.
static bool drain(struct vcpu *vcpu)
{
	const uint32_t max = (uint32_t)((4096 - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]));

	(void)vcpu;
	while (ring->first != ring->last) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[ring->first];

		printf("ring %s %llx len %u:", entry->pio ? "port" : "mmio",
		       (unsigned long long)entry->phys_addr, entry->len);
		print_bytes(entry->data, entry->len);
		printf("\n");
		ring->first = (ring->first + 1) % max;
	}
	return true;
}

int main(void)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = MMIO + 0x100, .size = 0x10};
	struct kvm_coalesced_mmio_zone second = {.addr = MMIO + 0x200, .size = 0x10};
	struct vm vm;
	struct vcpu vcpu;
	int page;

	vm_boot(&vm, &vcpu, 64, guest);
	page = IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	if (page <= 0)
		fail("no coalesced MMIO");
	ring = (void *)((uint8_t *)vcpu.run + page * sysconf(_SC_PAGESIZE));
	printf("ring first %u last %u\n", ring->first, ring->last);
	IOCTL(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	IOCTL(vm.fd, KVM_REGISTER_COALESCED_MMIO, &second);
	vcpu.on_exit = drain;
	vcpu_play(&vcpu);
	IOCTL(vm.fd, KVM_UNREGISTER_COALESCED_MMIO, &zone);
	vcpu_play(&vcpu);
	return 0;
}
