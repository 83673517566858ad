// The ports 0x80 and 0xed, which PC software writes to pass a little time: for KVM ports like any
// others.

#include "vm.h"

GUEST(guest, 16,
      "mov $1, %al; out %al, $0x80\n"
      "mov $2, %ax; out %ax, $0x80\n"
      "in $0x80, %al; tell\n"
      "mov $3, %al; out %al, $0xed\n"
      "in $0xed, %al; tell\n"
      "mov $4, %eax; out %eax, $0xec\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 16, guest);
	vcpu_play(&vcpu);
	return 0;
}
