// A triple fault is KVM_EXIT_SHUTDOWN, in each mode.  The vcpu can be given new registers and runs
// again.

#include "vm.h"

// Without an interrupt table the breakpoint cannot be delivered, nor can the fault of that.
GUEST(guest16, 16,
      "putb 1, 0x90; lidt %cs:2f - guest16 + CODE; int3; 1: hlt; jmp 1b; 2: .word 0; .long 0");
GUEST(guest32, 32,
      "putb 2, 0x90; lidt 2f - guest32 + CODE; int3; 1: hlt; jmp 1b; 2: .word 0; .long 0");
GUEST(guest64, 64, "putb 3, 0x90; lidt 2f(%rip); ud2; 1: hlt; jmp 1b; 2: .word 0; .quad 0");
GUEST(again, 64, "putb 4, 0x90; hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 16, guest16);
	vcpu_play(&vcpu);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);

	vm_boot(&vm, &vcpu, 32, guest32);
	vcpu_play(&vcpu);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);

	vm_boot(&vm, &vcpu, 64, guest64);
	vcpu_play(&vcpu);
	vm_load(&vm, CODE, again);
	vcpu_mode(&vcpu, 64, CODE);
	vcpu_play(&vcpu);
	return 0;
}
