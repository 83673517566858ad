#include "libkvmxen/machine/cr2.h"

#include <cpuid.h>
#include <stdatomic.h>

#define HYGON_EBX      0x6f677948 /* "Hygo" */
#define CR0_PG         (1u << 31)
#define RFLAGS_IF      (1u << 9)
#define EVENT_PF       14
#define ARBYTES_DPL(a) (((a) >> 5) & 3)

static bool host_is_amd(void)
{
	static atomic_int known; /* 0: not looked yet */
	unsigned eax, ebx, ecx, edx;
	int is = atomic_load_explicit(&known, memory_order_relaxed);

	if (!is) {
		is = __get_cpuid(0, &eax, &ebx, &ecx, &edx) &&
				     (ebx == signature_AMD_ebx || ebx == HYGON_EBX)
			     ? 1
			     : -1;
		atomic_store_explicit(&known, is, memory_order_relaxed);
	}
	return is > 0;
}

bool cr2_at_stake(const struct hvm_hw_cpu *cpu)
{
	if (!(cpu->cr0 & CR0_PG))
		return false;
	/* The fault has happened, and what it pushes has not been written yet. */
	if (cpu->pending_valid && cpu->pending_vector == EVENT_PF)
		return true;
	return !(cpu->rflags & RFLAGS_IF) && ARBYTES_DPL(cpu->ss_arbytes) == 0;
}

bool cr2_may_be_lost(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct hvm_hw_cpu cpu;

	return host_is_amd() &&
	       vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU),
						 vcpu->index, &cpu, sizeof cpu) == 0 &&
	       cr2_at_stake(&cpu);
}

bool cr2_others_may_lose(struct vm *vm, const struct vcpu *self)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++)
		if (vm->vcpus[i] != self && atomic_load(&vm->vcpus[i]->in_run) &&
		    vm->vcpus[i]->phase == VCPU_RUNNING && cr2_may_be_lost(vm->vcpus[i]))
			return true;
	return false;
}
