// Without an in-kernel interrupt controller each port up to 0xfff is the monitor's, those of a
// PC's standard devices too.  One line for each unbroken range of ports that came out.  Left out
// are the ports 0x80 and 0xed, which have pio-delay-ports.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 16,
      "xor %dx, %dx\n"
      "1: mov %dl, %al\n"
      "cmp $0x80, %dx; je 2f; cmp $0xed, %dx; je 2f\n"
      "out %al, %dx\n"
      "2: inc %dx\n"
      "cmp $0x1000, %dx\n"
      "jne 1b\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	unsigned int first = 0, next = 0, wrong = 0;

	vm_boot(&vm, &vcpu, 16, guest);
	while (vcpu_run(&vcpu) == KVM_EXIT_IO) {
		struct kvm_run *run = vcpu.run;

		if (run->io.direction != KVM_EXIT_IO_OUT || run->io.size != 1 ||
		    run->io.count != 1 || *io_data(run) != (run->io.port & 0xff))
			wrong++;
		if (run->io.port != next) {
			printf("ports %04x to %04x\n", first, next - 1);
			first = run->io.port;
		}
		next = run->io.port + 1u;
	}
	printf("ports %04x to %04x\n", first, next - 1);
	printf("%u wrong exits\n", wrong);
	vcpu_print_exit(&vcpu);
	return 0;
}
