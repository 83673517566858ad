// A coalesced ring that is full: the next write is an ordinary exit, and after the monitor has
// emptied the ring, writes go into it again, around its end.  How many writes fit is not told: it
// differs between versions of KVM.

#include "vm.h"

#include <stdio.h>
#include <unistd.h>

GUEST(guest, 32,
      "mov $MMIO, %ebx\n"
      "mov $1, %eax\n"
      "1: mov %eax, (%ebx)\n"
      "inc %eax; cmp $600, %eax; jbe 1b\n"
      "hlt");

int main(void)
{
	const uint32_t max = (uint32_t)((4096 - sizeof(struct kvm_coalesced_mmio_ring)) /
					sizeof(struct kvm_coalesced_mmio));
	struct kvm_coalesced_mmio_zone zone = {.addr = MMIO, .size = 4};
	struct kvm_coalesced_mmio_ring *ring;
	struct vm vm;
	struct vcpu vcpu;
	uint32_t expected = 1, wrong = 0, exits = 0;
	int page;

	vm_boot(&vm, &vcpu, 32, guest);
	page = IOCTL(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	ring = (void *)((uint8_t *)vcpu.run + page * sysconf(_SC_PAGESIZE));
	IOCTL(vm.fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	for (;;) {
		vcpu_run(&vcpu);
		for (; ring->first != ring->last; ring->first = (ring->first + 1) % max)
			wrong += *(uint32_t *)ring->coalesced_mmio[ring->first].data != expected++;
		if (vcpu_at_end(&vcpu))
			break;
		wrong += *(uint32_t *)vcpu.run->mmio.data != expected++;
		exits++;
	}
	printf("%u writes in all, %u out of order\n", expected - 1, wrong);
	printf("the ring was full %s\n", exits >= 2 && exits < 100 ? "at times"
					 : exits                   ? "too often"
								   : "never");
	vcpu_print_exit(&vcpu);
	return 0;
}
