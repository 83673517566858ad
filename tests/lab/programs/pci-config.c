// PCI configuration by 0xcf8 and 0xcfc: port I/O like any other for KVM, whatever the address
// register holds.

#include "vm.h"

GUEST(guest, 32,
      // Before an address is written, and with the enable bit clear.
      "getl 0xcfc; tell\n"
      "putl 0x00000800, 0xcf8\n"
      "getl 0xcfc; tell\n"
      "putl 0x12345678, 0xcfc\n"
      "getl 0xcf8; tell\n"
      // Device 0, then device 3 with a register, then another bus.
      "putl 0x80000000, 0xcf8\n"
      "getl 0xcfc; tell\n"
      "getw 0xcfc; tell\n"
      "getw 0xcfe; tell\n"
      "getb 0xcfc; tell\n"
      "getb 0xcfd; tell\n"
      "getb 0xcfe; tell\n"
      "getb 0xcff; tell\n"
      "getl 0xcf8; tell\n"
      "putl 0x80001810, 0xcf8\n"
      "putl 0x99aabbcc, 0xcfc\n"
      "putw 0x1122, 0xcfc\n"
      "putw 0x3344, 0xcfe\n"
      "putb 0x55, 0xcfc\n"
      "putb 0x66, 0xcfd\n"
      "putb 0x77, 0xcfe\n"
      "putb 0x88, 0xcff\n"
      "putl 0x80fff8fc, 0xcf8\n"
      "getl 0xcfc; tell\n"
      "putl 0x81000004, 0xcf8\n"
      "putl 0xffffffff, 0xcfc\n"
      // Narrow accesses to the address register are not its business: plain ports.
      "putb 0x01, 0xcf8\n"
      "putw 0x0203, 0xcfa\n"
      "putb 0x06, 0xcf9\n"
      "getb 0xcfb; tell\n"
      "getl 0xcfc; tell\n"
      "hlt");

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;

	vm_boot(&vm, &vcpu, 32, guest);
	vcpu_play(&vcpu);
	return 0;
}
