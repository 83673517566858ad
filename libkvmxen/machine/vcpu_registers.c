/*
 * vcpu_registers: KVM's GET and SET pairs. A GET reads what is not known from Xen, a SET only
 * changes the library's copy: load.c writes it back in one batch before the vcpu runs again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/check.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/msr.h"
#include "libkvmxen/machine/tsc.h"
#include "libkvmxen/machine/unchanged.h"
#include "libkvmxen/message.h"

#define CR0_PG       (1ull << 31)
#define CR4_PAE      (1ull << 5)
#define CR3_PDPTRS   0xffffffe0ull /* where the four entries of PAE paging are */
#define MSR_IA32_TSC 0x10
#define MAX_IO_MSRS  256 /* arch/x86/kvm: what one KVM_GET/SET_MSRS may hold */

static void mark(struct vcpu *vcpu, uint32_t parts)
{
	vcpu->state.dirty |= parts;
	vcpu->state.known |= parts;
}

long vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	long rc = load_read(vcpu, STATE_REGS);

	*regs = vcpu->state.regs;
	return rc;
}

long vcpu_set_regs(struct vcpu *vcpu, const struct kvm_regs *regs)
{
	struct unchanged unchanged;

	unchanged_begin(&unchanged, vcpu);
	vcpu->state.regs = *regs;
	vcpu->state.regs.rflags |= 2; /* always one; KVM sets it as well */
	mark(vcpu, STATE_REGS);
	unchanged_end(&unchanged, vcpu);
	return 0;
}

long vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	long rc = load_read(vcpu, STATE_SREGS | STATE_EVENTS | STATE_LAPIC);

	*sregs = vcpu->state.sregs;
	return rc;
}

long vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct unchanged unchanged;
	long rc = sregs_check(sregs, vcpu->cpuid, vcpu->cpuid_count, system_cr4());

	if (rc < 0) {
		message_refused("KVM_SET_SREGS: vcpu %u: cr0 %#llx, cr4 %#llx, efer %#llx are not "
				"consistent",
				vcpu->id, sregs->cr0, sregs->cr4, sregs->efer);
		return rc;
	}
	rc = load_read(vcpu, STATE_SREGS | STATE_EVENTS | STATE_LAPIC);
	if (rc < 0)
		return rc;
	unchanged_begin(&unchanged, vcpu);
	vcpu_state_set_sregs(&vcpu->state, sregs);
	unchanged_end(&unchanged, vcpu);
	return 0;
}

/* With nested paging KVM shows what memory holds, whatever the processor has cached. */
static void get_pdptrs(struct vcpu *vcpu, struct kvm_sregs2 *sregs2)
{
	bool pae = (sregs2->cr0 & CR0_PG) && (sregs2->cr4 & CR4_PAE) &&
		   !(sregs2->efer & STATE_EFER_LMA);
	const void *table = NULL;

	if (pae)
		table = memory_at(vcpu->vm, sregs2->cr3 & CR3_PDPTRS, sizeof sregs2->pdptrs, NULL);
	if (!table)
		return;
	memcpy(sregs2->pdptrs, table, sizeof sregs2->pdptrs);
	sregs2->flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
}

long vcpu_get_sregs2(struct vcpu *vcpu, struct kvm_sregs2 *sregs2)
{
	long rc = load_read(vcpu, STATE_SREGS | STATE_LAPIC);

	vcpu_state_get_sregs2(&vcpu->state, sregs2);
	get_pdptrs(vcpu, sregs2);
	return rc;
}

long vcpu_set_sregs2(struct vcpu *vcpu, const struct kvm_sregs2 *sregs2)
{
	struct unchanged unchanged;
	long rc = sregs2_check(sregs2, vcpu->cpuid, vcpu->cpuid_count, system_cr4());

	if (rc < 0) {
		message_refused("KVM_SET_SREGS2: vcpu %u: cr0 %#llx, cr4 %#llx, efer %#llx, flags "
				"%#llx are not consistent",
				vcpu->id, sregs2->cr0, sregs2->cr4, sregs2->efer, sregs2->flags);
		return rc;
	}
	rc = load_read(vcpu, STATE_SREGS | STATE_EVENTS | STATE_LAPIC);
	if (rc < 0)
		return rc;
	unchanged_begin(&unchanged, vcpu);
	vcpu_state_set_sregs2(&vcpu->state, sregs2);
	unchanged_end(&unchanged, vcpu);
	return 0;
}

long vcpu_get_fpu(struct vcpu *vcpu, struct kvm_fpu *fpu)
{
	long rc = load_read(vcpu, STATE_XSAVE);

	vcpu_state_get_fpu(&vcpu->state, fpu);
	return rc;
}

long vcpu_set_fpu(struct vcpu *vcpu, const struct kvm_fpu *fpu)
{
	struct unchanged unchanged;
	long rc = load_read(vcpu, STATE_XSAVE);

	if (rc < 0)
		return rc;
	unchanged_begin(&unchanged, vcpu);
	vcpu_state_set_fpu(&vcpu->state, fpu);
	unchanged_end(&unchanged, vcpu);
	return 0;
}

long vcpu_get_xsave(struct vcpu *vcpu, struct kvm_xsave *xsave)
{
	long rc = load_read(vcpu, STATE_XSAVE);

	vcpu_state_get_xsave(&vcpu->state, xsave);
	return rc;
}

long vcpu_set_xsave(struct vcpu *vcpu, const struct kvm_xsave *xsave)
{
	struct unchanged unchanged;
	long rc = xsave_check(xsave, system_xcr0());

	if (rc < 0)
		return rc;
	rc = load_read(vcpu, STATE_XSAVE);
	if (rc < 0)
		return rc;
	unchanged_begin(&unchanged, vcpu);
	vcpu_state_set_xsave(&vcpu->state, xsave);
	unchanged_end(&unchanged, vcpu);
	return 0;
}

long vcpu_get_xcrs(struct vcpu *vcpu, struct kvm_xcrs *xcrs)
{
	long rc = load_read(vcpu, STATE_XSAVE);

	memset(xcrs, 0, sizeof *xcrs);
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = 0;
	xcrs->xcrs[0].value = vcpu->state.xcr0;
	return rc;
}

long vcpu_set_xcrs(struct vcpu *vcpu, const struct kvm_xcrs *xcrs)
{
	struct unchanged unchanged;
	long rc = xcrs_check(xcrs, vcpu->cpuid, vcpu->cpuid_count);
	uint32_t i;

	if (rc == 0)
		rc = load_read(vcpu, STATE_XSAVE);
	for (i = 0; rc == 0 && i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == 0) {
			unchanged_begin(&unchanged, vcpu);
			vcpu->state.xcr0 = xcrs->xcrs[i].value;
			mark(vcpu, STATE_XSAVE);
			unchanged_end(&unchanged, vcpu);
			break;
		}
	return rc;
}

long vcpu_get_debugregs(struct vcpu *vcpu, struct kvm_debugregs *debugregs)
{
	long rc = load_read(vcpu, STATE_DEBUG);

	*debugregs = vcpu->state.debugregs;
	return rc;
}

long vcpu_set_debugregs(struct vcpu *vcpu, const struct kvm_debugregs *debugregs)
{
	struct unchanged unchanged;
	long rc = debugregs_check(debugregs);

	if (rc < 0)
		return rc;
	unchanged_begin(&unchanged, vcpu);
	vcpu->state.debugregs = *debugregs;
	mark(vcpu, STATE_DEBUG);
	unchanged_end(&unchanged, vcpu);
	return 0;
}

long vcpu_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	long rc = load_read(vcpu, STATE_EVENTS);

	vcpu_state_get_events(&vcpu->state, events);
	return rc;
}

long vcpu_set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	struct unchanged unchanged;
	long rc = load_read(vcpu, STATE_EVENTS | STATE_MP);

	if (rc == 0)
		rc = vcpu_events_check(events, vcpu->state.mp_state.mp_state);
	if (rc < 0)
		return rc;
	unchanged_begin(&unchanged, vcpu);
	vcpu_state_set_events(&vcpu->state, events);
	unchanged_end(&unchanged, vcpu);
	vcpu->injecting = INJECT_NONE;
	return 0;
}

long vcpu_get_mp_state(struct vcpu *vcpu, struct kvm_mp_state *mp_state)
{
	long rc = load_read(vcpu, STATE_MP);

	*mp_state = vcpu->state.mp_state;
	return rc;
}

/* KVM has taken the SIPI that this state means by the time anyone looks. */
static void take_sipi(struct vcpu *vcpu)
{
	uint32_t vector = vcpu->state.events.sipi_vector & 0xff;

	vcpu->state.sregs.cs.selector = vector << 8;
	vcpu->state.sregs.cs.base = vector << 12;
	vcpu->state.regs.rip = 0;
	vcpu->state.mp_state.mp_state = KVM_MP_STATE_RUNNABLE;
	mark(vcpu, STATE_REGS | STATE_SREGS);
}

long vcpu_set_mp_state(struct vcpu *vcpu, const struct kvm_mp_state *mp_state)
{
	long rc = mp_state_check(mp_state, vcpu->vm->interrupts.lapic);

	if (rc < 0)
		return rc;
	rc = load_read(vcpu,
		       mp_state->mp_state == KVM_MP_STATE_SIPI_RECEIVED ? STATE_ALL : STATE_MP);
	if (rc < 0)
		return rc;
	/* Setting what it is costs nothing: a write means a context load. */
	if (vcpu->state.mp_state.mp_state == mp_state->mp_state && vcpu->phase != VCPU_NEW)
		return 0;
	vcpu->state.mp_state = *mp_state;
	if (mp_state->mp_state == KVM_MP_STATE_SIPI_RECEIVED)
		take_sipi(vcpu);
	mark(vcpu, STATE_MP);
	return 0;
}

long vcpu_get_lapic(struct vcpu *vcpu, struct kvm_lapic_state *lapic)
{
	long rc;

	if (!vcpu->vm->interrupts.lapic)
		return -EINVAL;
	interrupts_settle(vcpu->vm);
	rc = load_read(vcpu, STATE_LAPIC);
	*lapic = vcpu->state.lapic;
	return rc;
}

long vcpu_set_lapic(struct vcpu *vcpu, void *user)
{
	struct kvm_lapic_state lapic;
	long rc;

	if (!vcpu->vm->interrupts.lapic)
		return -EINVAL;
	if (copy_in(&lapic, user, sizeof lapic))
		return -EFAULT;
	interrupts_settle(vcpu->vm);
	rc = load_read(vcpu, STATE_LAPIC);
	if (rc < 0)
		return rc;
	vcpu_state_set_lapic(&vcpu->state, &lapic);
	return 0;
}

/* Both MSR calls: as many as succeed, in order; entries are copied out for a GET. */
static long each_msr(struct vcpu *vcpu, void *user, bool set)
{
	struct kvm_msrs head;
	struct kvm_msr_entry *entries;
	struct unchanged unchanged;
	size_t size;
	long rc;
	uint32_t i;

	if (copy_in(&head, user, sizeof head))
		return -EFAULT;
	if (head.nmsrs >= MAX_IO_MSRS)
		return -E2BIG;
	size = head.nmsrs * sizeof *entries;
	entries = malloc(size ? size : 1);
	if (!entries)
		return -ENOMEM;
	rc = copy_in(entries, (char *)user + sizeof head, size);
	if (rc == 0)
		rc = load_read(vcpu, STATE_MSRS | STATE_TSC | STATE_SREGS | STATE_LAPIC);
	unchanged_begin(&unchanged, vcpu);
	for (i = 0; rc == 0 && i < head.nmsrs; i++) {
		int one;

		if (set)
			one = msr_set(&vcpu->state, vcpu->cpuid, vcpu->cpuid_count,
				      entries[i].index, entries[i].data);
		else {
			uint64_t value = 0;

			one = msr_get(&vcpu->state, vcpu->cpuid, vcpu->cpuid_count,
				      entries[i].index, &value);
			if (entries[i].index == MSR_IA32_TSC)
				value = tsc_now(vcpu->vm, &vcpu->state, tsc_host_now());
			entries[i].data = value;
		}
		if (set && one == 0 && entries[i].index == MSR_IA32_TSC)
			tsc_written(vcpu);
		if (one < 0) {
			message_refused("%s: vcpu %u: MSR %#x is refused",
					set ? "KVM_SET_MSRS" : "KVM_GET_MSRS", vcpu->id,
					entries[i].index);
			break;
		}
	}
	unchanged_end(&unchanged, vcpu);
	if (rc == 0 && !set && copy_out((char *)user + sizeof head, entries, size))
		rc = -EFAULT;
	free(entries);
	return rc < 0 ? rc : (long)i;
}

long vcpu_get_msrs(struct vcpu *vcpu, void *user)
{
	return each_msr(vcpu, user, false);
}

long vcpu_set_msrs(struct vcpu *vcpu, void *user)
{
	return each_msr(vcpu, user, true);
}
