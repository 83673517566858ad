// What KVM_SET_USER_MEMORY_REGION refuses, and that a refused call changes nothing.

#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

GUEST(guest, 64,
      "mov 0x200000, %eax; tell\n"
      "hlt");

static void try_slot(struct vm *vm, const char *what, uint32_t slot, uint32_t flags, uint64_t gpa,
		     uint64_t size, uint64_t address)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = address,
	};
	int r = ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);

	printf("%s: %s\n", what, errno_name(r < 0 ? errno : 0));
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *more;
	uint64_t at;

	vm_boot(&vm, &vcpu, 64, guest);
	more = vm_slot_new(&vm, 1, 0, 0x200000, 0x4000);
	*(uint32_t *)more = 0x11223344;
	at = (uintptr_t)memory_new(0x8000);
	try_slot(&vm, "overlap with another slot", 2, 0, 0x203000, 0x2000, at);
	try_slot(&vm, "overlap with slot 0", 2, 0, 0x9f000, 0x1000, at);
	try_slot(&vm, "guest address not on a page", 2, 0, 0x300800, 0x1000, at);
	try_slot(&vm, "size not of pages", 2, 0, 0x300000, 0x1800, at);
	try_slot(&vm, "memory not on a page", 2, 0, 0x300000, 0x1000, at + 0x800);
	try_slot(&vm, "unknown flag", 2, 1u << 5, 0x300000, 0x1000, at);
	try_slot(&vm, "slot number too high", 1u << 15, 0, 0x300000, 0x1000, at);
	try_slot(&vm, "deleting none", 2, 0, 0x300000, 0, at);
	try_slot(&vm, "another size", 1, 0, 0x200000, 0x2000, (uintptr_t)more);
	try_slot(&vm, "another memory", 1, 0, 0x200000, 0x4000, at);
	try_slot(&vm, "read-only from now on", 1, KVM_MEM_READONLY, 0x200000, 0x4000,
		 (uintptr_t)more);
	try_slot(&vm, "the same again", 1, 0, 0x200000, 0x4000, (uintptr_t)more);
	try_slot(&vm, "moved onto another", 1, 0, 0x9e000, 0x4000, (uintptr_t)more);
	try_slot(&vm, "around the end of addresses", 2, 0, 0xfffffffffffff000, 0x2000, at);
	vcpu_play(&vcpu);
	return 0;
}
