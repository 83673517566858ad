// INIT and two start-up IPIs start a second vcpu in real mode; it writes memory and ports.  What
// the first sees of it, and each vcpu's own exits.

#include "vm.h"

#include <stdio.h>

GUEST(guest, 32,
      "lapic_init\n"
      "mov 0x20(%ebx), %eax; tell\n"
      "putb 1, 0x90\n"
      "movl $1 << 24, 0x310(%ebx); movl $0x4500, 0x300(%ebx)\n"
      "mov $1000, %ecx; 1: pause; loop 1b\n"
      "movl $1 << 24, 0x310(%ebx); movl $0x4600 | AP_CODE >> 12, 0x300(%ebx)\n"
      "mov $1000, %ecx; 1: pause; loop 1b\n"
      "movl $1 << 24, 0x310(%ebx); movl $0x4600 | AP_CODE >> 12, 0x300(%ebx)\n"
      "1: pause; cmpl $0x12345678, DATA; jne 1b\n"
      "mov DATA + 4, %eax; tell\n"
      "finish");
GUEST(ap, 16,
      "mov %cs, %ax; movzwl %ax, %eax; tell\n"
      "call 1f; 1: pop %ax; sub $1b - ap, %ax; movzwl %ax, %eax; tell\n"
      "mov %ds, %ax; movzwl %ax, %eax; tell\n"
      "pushfl; pop %eax; tell\n"
      "xor %ax, %ax; mov %ax, %ds\n"
      "getb 0x81; mov %al, DATA + 4\n"
      "mov %cr0, %eax; and $0x80000001, %eax; tell\n"
      "movl $0x12345678, DATA\n"
      "cli; 1: hlt; jmp 1b");

int main(void)
{
	struct vm vm;
	struct vcpu first, second;
	struct vcpu_thread thread;

	vm_boot_irqchip(&vm, &first, 32, guest);
	vm_load(&vm, AP_CODE, ap);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&second);
	vcpu_thread_start(&thread, &second);
	vcpu_play(&first);
	sleep_ms(200);
	vcpu_thread_stop(&thread);
	vcpu_thread_join(&thread);
	return 0;
}
