// With the in-kernel interrupt controllers and timer, only their own ports are not the monitor's.
// One line for each unbroken range of ports up to 0xfff that came out; 0x80 and 0xed are left out.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "xor %dx, %dx\n"
      "1: mov %dl, %al\n"
      "cmp $0x80, %dx; je 2f; cmp $0xed, %dx; je 2f\n"
      "out %al, %dx\n"
      "2: inc %dx\n"
      "jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	unsigned int first = 0, next = 0;

	vm_boot_irqchip(&vm, &vcpu, 16, guest);
	while (vcpu_run(&vcpu) == KVM_EXIT_IO && next < 0x1000) {
		struct kvm_run *run = vcpu.run;

		if (run->io.port != next) {
			printf("ports %04x to %04x\n", first, next - 1);
			first = run->io.port;
		}
		next = run->io.port + 1u;
	}
	printf("ports %04x to %04x\n", first, next - 1);
	return 0;
}
