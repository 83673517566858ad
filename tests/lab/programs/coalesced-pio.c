// Coalesced port I/O: the same ring takes writes to registered ports.

#include "vm.h"

#include <stdio.h>
#include <unistd.h>

GUEST(guest, 32,
      "putb 1, 0x100; putw 2, 0x102; putl 3, 0x104\n"
      "putb 4, 0x108\n"
      "getb 0x100\n"
      "putb 5, 0x107\n"
      "putb 6, 0xff\n"
      "hlt");

int main(void)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = 0x100, .size = 8, .pio = 1};
	struct kvm_coalesced_mmio_ring *ring;
	struct vm vm;
	struct vcpu vcpu;
	int page;

	vm_boot(&vm, &vcpu, 32, guest);
	if (IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) <= 0)
		fail("no coalesced port I/O");
	page = IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	ring = (void *)((uint8_t *)vcpu.run + page * sysconf(_SC_PAGESIZE));
	IOCTL(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	vcpu_play(&vcpu);
	printf("ring first %u last %u\n", ring->first, ring->last);
	for (uint32_t i = ring->first; i != ring->last; i++) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[i];

		printf("ring %s %llx len %u:", entry->pio ? "port" : "mmio",
		       (unsigned long long)entry->phys_addr, entry->len);
		print_bytes(entry->data, entry->len);
		printf("\n");
	}
	return 0;
}
