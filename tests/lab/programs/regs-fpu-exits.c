// The monitor's own use of floating point between exits leaves the guest's registers alone, and the
// guest's leaves the monitor's.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 64,
      "fninit\n"
      "fld1; fld1; faddp\n" // 2
      "mov $0x4000000000000000, %rax; movq %rax, %xmm7\n"
      "mov $10, %ecx\n"
      "1: fadd %st(0), %st\n"
      "addsd %xmm7, %xmm7\n"
      "mov %ecx, %eax; tell\n"
      "loop 1b\n"
      "fistpl DATA\n"
      "mov DATA, %eax; tell\n"
      "cvttsd2si %xmm7, %eax; tell\n"
      "hlt");

static volatile double sum = 1.5;

static bool compute(struct vcpu *vcpu)
{
	(void)vcpu;
	sum = sum * 1.25 + 0.5;
	return true;
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 64, guest);
	vcpu.on_exit = compute;
	vcpu_play(&vcpu);
	printf("sum %.6f\n", sum);
	return 0;
}
