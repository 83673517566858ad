/*
 * memory_executed: read-only slots that the guest executes.
 *
 * Frames of the type ioreq_server, whose writes become exits, cannot be executed: Xen maps them
 * without execute permission and a vcpu that fetches from one faults for ever, without an event.
 * KVM_RUN notices a vcpu that makes no progress and asks here. The slot is then shown as plain
 * read-only memory: it runs at native speed, and writes to it are dropped without an exit.
 */
#include "libkvmxen/machine/memory_private.h"

#include "libkvmxen/message.h"

bool memory_executed(struct vm *vm, uint64_t gpa)
{
	struct memory_private *p = vm->memory.private;
	const struct slot *slot;
	bool changed = false;

	memory_lock(vm);
	slot = slots_by_gfn(slots_now(p), gpa >> MEMORY_PAGE_SHIFT);
	if (slot && (slot->flags & KVM_MEM_READONLY) && !(slot->flags & SLOT_EXECUTED)) {
		struct slot executed = *slot;

		executed.flags |= SLOT_EXECUTED;
		changed = slots_replace(p, slot, &executed) == 0;
		if (changed) {
			message_debug(
				"slot %u (guest address %#llx) is read-only and executed: writes "
				"to it are dropped from now on",
				executed.id, (unsigned long long)executed.gfn << MEMORY_PAGE_SHIFT);
			atomic_store(&vm->memory.changed, true);
		}
	}
	memory_unlock(vm);
	return changed;
}

enum mem_type memory_readonly_type(uint32_t flags, enum mem_type readonly)
{
	if (!(flags & KVM_MEM_READONLY))
		return MEM_RAM_RW;
	return flags & SLOT_EXECUTED ? MEM_RAM_RO : readonly;
}
