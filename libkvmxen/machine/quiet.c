#include "libkvmxen/machine/quiet.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <time.h>

/* How often a stop is put off: code that keeps interrupts off for long is no fault handler, and a
 * guest may be at the same CPUID again. */
#define CR2_TRIES   24
#define REPLY_TRIES 200
#define CR2_REST    64 /* stops */

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

bool quiet_needs_cr2(const struct hvm_hw_cpu *cpu)
{
	if (!(cpu->cr0 & CR0_PG))
		return false;
	/* The fault has happened, and what it pushes has not been written yet. */
	if (cpu->pending_valid && cpu->pending_vector == EVENT_PF)
		return true;
	return !(cpu->rflags & RFLAGS_IF) && ARBYTES_DPL(cpu->ss_arbytes) == 0;
}

static bool read_record(struct vcpu *vcpu, struct hvm_hw_cpu *cpu)
{
	struct vm *vm = vcpu->vm;

	return vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU),
						 vcpu->index, cpu, sizeof *cpu) == 0;
}

/* Is it still at the CPUID that was answered last? */
static bool reply_outstanding(struct vcpu *vcpu, const struct hvm_hw_cpu *cpu)
{
	if (!atomic_load(&vcpu->cpuid_answered))
		return false;
	if (cpu->rip == vcpu->cpuid_rip)
		return true;
	atomic_store(&vcpu->cpuid_answered, false);
	return false;
}

/* Is CR2 a reason to let the vcpu go on? Code that kept interrupts off through all tries is no
 * fault handler, and is not asked again for a while: to ask stops the domain. */
static bool waits_for_cr2(struct vcpu *vcpu, const struct hvm_hw_cpu *cpu, unsigned tries)
{
	if (!quiet_needs_cr2(cpu)) {
		atomic_store(&vcpu->cr2_tried, false);
		return false;
	}
	if (tries < CR2_TRIES && !atomic_load(&vcpu->cr2_tried))
		return true;
	atomic_store(&vcpu->cr2_tried, true);
	atomic_store(&vcpu->cr2_rest, CR2_REST);
	return false;
}

static bool asks_for_cr2(struct vcpu *vcpu)
{
	unsigned rest = atomic_load(&vcpu->cr2_rest);

	if (!host_is_amd())
		return false;
	if (rest == 0)
		return true;
	atomic_store(&vcpu->cr2_rest, rest - 1);
	return false;
}

bool quiet_not_yet(struct vcpu *vcpu, unsigned tries)
{
	bool asks = asks_for_cr2(vcpu);
	struct hvm_hw_cpu cpu;

	if (tries >= REPLY_TRIES || (!asks && !atomic_load(&vcpu->cpuid_answered)) ||
	    !read_record(vcpu, &cpu))
		return false;
	return reply_outstanding(vcpu, &cpu) || (asks && waits_for_cr2(vcpu, &cpu, tries));
}

bool quiet_others_not_yet(struct vm *vm, const struct vcpu *self, unsigned tries)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	struct hvm_hw_cpu cpu;
	bool wait = false;

	for (i = 0; i < count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (vcpu != self && atomic_load(&vcpu->in_run) && vcpu->phase == VCPU_RUNNING &&
		    asks_for_cr2(vcpu) && read_record(vcpu, &cpu))
			wait |= waits_for_cr2(vcpu, &cpu, tries);
	}
	return wait;
}

void quiet_wait(unsigned tries)
{
	struct timespec ts = {.tv_nsec = 100000l * (tries < 50 ? tries + 1 : 50)};

	nanosleep(&ts, NULL);
}
