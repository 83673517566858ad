#include "libkvmxen/machine/debug.h"

#include <errno.h>
#include <string.h>

#include <xen/hvm/dm_op.h>
#include <xen/hvm/save.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/monitor.h"
#include "libkvmxen/machine/window.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

#define VECTOR_DB     1
#define VECTOR_BP     3
#define RFLAGS_TF     (1ull << 8)
#define DR6_CLEAR     0xffff0ff0ull
#define DR6_BS        (1ull << 14)
#define DR6_BREAKS    0xfull
#define DR7_FIXED     0x400ull
#define DR7_ON(i)     (3ull << 2 * (i)) /* local and global enable */
#define DR7_KIND(i)   (0xfull << (16 + 4 * (i)))
#define DR7_GLOBAL(i) (2ull << 2 * (i))
#define DR7_ACTIVE    0xffull
#define EFER_LMA      (1ull << 10)
#define BREAKS        4
#define NO_ERROR_CODE (~0u)

static bool has_breaks(const struct vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP;
}

/* --- the ioctl --- */

/* The exception that the VMM has found to be the guest's own. */
static long inject(struct vcpu *vcpu, uint8_t vector)
{
	struct kvm_vcpu_events *events = &vcpu->state.events;

	if (events->exception.injected)
		return -EBUSY;
	memset(&events->exception, 0, sizeof events->exception);
	events->exception.injected = 1;
	events->exception.nr = vector;
	vcpu->state.dirty |= STATE_EVENTS;
	return 0;
}

static bool vm_is_debugged(const struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++)
		if (vm->vcpus[i]->debug.control)
			return true;
	return false;
}

int debug_update(struct vm *vm)
{
	bool on = vm_is_debugged(vm);
	int rc;

	if (!vm_live(vm) || on == vm->debugged)
		return 0;
	rc = vm->xen.ctl->ops->monitor_debug(vm->xen.ctl, vm->domid, on);
	if (rc == 0)
		vm->debugged = on;
	return rc;
}

long vcpu_set_guest_debug(struct vcpu *vcpu, const struct kvm_guest_debug *debug)
{
	struct vcpu_debug *d = &vcpu->debug;
	struct vcpu_debug old = *d;
	long rc;

	if (!monitor_wanted()) {
		message_refused(
			"KVM_SET_GUEST_DEBUG: needs the monitor that --cpuid=xen leaves out");
		return -EINVAL;
	}
	rc = load_read(vcpu, STATE_ALL);
	if (rc == 0 && (debug->control & KVM_GUESTDBG_INJECT_DB))
		rc = inject(vcpu, VECTOR_DB);
	else if (rc == 0 && (debug->control & KVM_GUESTDBG_INJECT_BP))
		rc = inject(vcpu, VECTOR_BP);
	if (rc < 0)
		return rc;
	d->control = debug->control & KVM_GUESTDBG_ENABLE ? debug->control : 0;
	memcpy(d->dr, debug->arch.debugreg, sizeof d->dr);
	pthread_mutex_lock(&vcpu->vm->lock);
	rc = debug_update(vcpu->vm);
	pthread_mutex_unlock(&vcpu->vm->lock);
	if (rc < 0) {
		message_error("KVM_SET_GUEST_DEBUG: Xen's monitor: %s", strerror(-rc));
		*d = old;
		return rc;
	}
	/* The next KVM_RUN sets what the debugger wants in Xen, or takes it out. */
	d->stale = true;
	return 0;
}

/* --- records --- */

/* Xen hands DR7 of a record to the processor only if it enables a breakpoint: what was armed before
 * would stay armed. So from the first one on, in place of none, there is one that nothing meets. */
#define SPARE   (BREAKS - 1)
#define NOWHERE 0xfffffffffffffff0ull

static uint64_t spare_dr7(uint64_t dr7)
{
	return (dr7 & ~DR7_KIND(SPARE)) | DR7_GLOBAL(SPARE);
}

static void disarm(struct hvm_hw_cpu *record)
{
	if (record->dr7 & DR7_ACTIVE)
		return;
	record->dr3 = NOWHERE;
	record->dr7 = spare_dr7(record->dr7);
}

/* The guest's own, unless it has written them since. */
static void without_spare(const struct kvm_debugregs *guest, struct kvm_debugregs *debugregs)
{
	if (debugregs->db[SPARE] != NOWHERE || debugregs->dr7 != spare_dr7(guest->dr7))
		return;
	debugregs->db[SPARE] = guest->db[SPARE];
	debugregs->dr7 = guest->dr7;
}

void debug_from_record(const struct vcpu *vcpu, struct vcpu_state *state)
{
	if (vcpu->debug.in_xen & DEBUG_TF)
		state->regs.rflags &= ~RFLAGS_TF;
	if (vcpu->debug.in_xen & DEBUG_DR)
		state->debugregs = vcpu->debug.guest;
	else if (vcpu->debug.in_xen & DEBUG_NOWHERE)
		without_spare(&vcpu->debug.guest, &state->debugregs);
}

static unsigned wanted_in_xen(const struct vcpu *vcpu)
{
	unsigned wanted = has_breaks(vcpu) || vcpu->debug.behind ? DEBUG_DR
			  : vcpu->debug.armed                    ? DEBUG_NOWHERE
								 : 0;

	return debug_stepping(vcpu) && !vcpu->debug.behind ? wanted | DEBUG_TF : wanted;
}

/* The debugger's breakpoints, and the one behind an instruction that is stepped so. */
static void break_registers(const struct vcpu *vcpu, uint64_t dr[8])
{
	unsigned i;

	memset(dr, 0, 8 * sizeof *dr);
	if (has_breaks(vcpu))
		memcpy(dr, vcpu->debug.dr, 8 * sizeof *dr);
	dr[7] |= DR7_FIXED;
	if (!vcpu->debug.behind)
		return;
	for (i = BREAKS - 1; i > 0 && (dr[7] & DR7_ON(i)); i--)
		;
	dr[i] = vcpu->debug.behind;
	dr[7] = (dr[7] & ~DR7_KIND(i)) | DR7_GLOBAL(i);
}

void debug_to_record(struct vcpu *vcpu, struct hvm_hw_cpu *record, bool wanted)
{
	struct vcpu_debug *d = &vcpu->debug;
	uint64_t dr[8];

	if (wanted) {
		unsigned set = wanted_in_xen(vcpu);

		if (set & (DEBUG_DR | DEBUG_NOWHERE))
			d->guest = vcpu->state.debugregs;
		d->in_xen = set;
		d->armed |= (set & DEBUG_DR) != 0;
		/* INT3's #BP has the address behind it. */
		if ((vcpu->state.dirty & STATE_EVENTS) && vcpu->state.events.exception.injected &&
		    vcpu->state.events.exception.nr == VECTOR_BP)
			record->rip++;
	}
	if (d->in_xen & DEBUG_TF)
		record->rflags |= RFLAGS_TF;
	if (d->in_xen & DEBUG_NOWHERE)
		disarm(record);
	if (!(d->in_xen & DEBUG_DR))
		return;
	break_registers(vcpu, dr);
	record->dr0 = dr[0];
	record->dr1 = dr[1];
	record->dr2 = dr[2];
	record->dr3 = dr[3];
	record->dr6 = DR6_CLEAR;
	record->dr7 = dr[7];
}

/* --- running --- */

/* Bytes of an instruction that Xen intercepts and steps over without telling; 0: any other. */
static unsigned intercepted(struct vcpu *vcpu)
{
	const struct kvm_sregs *sregs = &vcpu->state.sregs;
	uint64_t linear = sregs->cs.base + vcpu->state.regs.rip, physical;
	uint8_t code[4] = {0};
	unsigned prefix = 0, i;

	for (i = 0; i < sizeof code; i++) {
		const uint8_t *byte = NULL;

		if (vcpu_translate_with(vcpu, sregs, linear + i, &physical))
			byte = memory_at(vcpu->vm, physical, 1, NULL);
		if (byte)
			code[i] = *byte;
	}
	if (sregs->cs.l && (code[0] & 0xf0) == 0x40)
		prefix = 1; /* REX */
	if (code[0] == 0xf4)
		return 1; /* HLT */
	if (code[0] == 0xf3 && code[1] == 0x90)
		return 2; /* PAUSE */
	if (code[prefix] != 0x0f)
		return 0;
	switch (code[prefix + 1]) {
	case 0x06: /* CLTS */
	case 0x08: /* INVD */
	case 0x09: /* WBINVD */
	case 0x30: /* WRMSR */
	case 0x32: /* RDMSR */
	case 0x33: /* RDPMC */
		return prefix + 2;
	case 0x20: /* MOV from and to control registers */
	case 0x22:
		return prefix + 3;
	case 0x01: /* of these XSETBV, VMMCALL, SMSW, LMSW with a register */
		return code[prefix + 2] >= 0xc0 ? prefix + 3 : 0;
	default:
		return 0;
	}
}

long debug_prepare(struct vcpu *vcpu)
{
	struct vcpu_debug *d = &vcpu->debug;
	uint64_t behind = 0;
	unsigned length;
	long rc;

	d->event = 0;
	if (debug_stepping(vcpu)) {
		rc = load_read(vcpu, STATE_ALL);
		if (rc < 0)
			return rc;
		length = intercepted(vcpu);
		if (length)
			behind = vcpu->state.sregs.cs.base + vcpu->state.regs.rip + length;
	}
	if (behind == d->behind && wanted_in_xen(vcpu) == d->in_xen && !d->stale)
		return 0;
	d->behind = behind;
	d->stale = false;
	rc = load_read(vcpu, STATE_ALL);
	vcpu->state.dirty |= STATE_REGS | STATE_DEBUG;
	return rc;
}

static void fill(struct vcpu *vcpu, unsigned vector, uint64_t dr6)
{
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;
	uint64_t dr[8];

	arch->exception = vector;
	arch->pad = 0;
	arch->pc = vcpu->state.sregs.cs.base + vcpu->state.regs.rip;
	if (vector != VECTOR_DB)
		return;
	break_registers(vcpu, dr);
	arch->dr6 = dr6;
	arch->dr7 = has_breaks(vcpu) ? dr[7] : vcpu->state.debugregs.dr7;
}

/* DR6 as Xen has it, and whether the #DB of a step is on its way into the guest. */
static uint64_t look(struct vcpu *vcpu, bool *pending)
{
	struct vm *vm = vcpu->vm;
	struct hvm_hw_cpu cpu;

	*pending = false;
	if (vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU),
					      vcpu->index, &cpu, sizeof cpu) < 0)
		return DR6_CLEAR;
	*pending = cpu.pending_valid && cpu.pending_vector == VECTOR_DB;
	return vcpu->debug.in_xen & DEBUG_DR ? cpu.dr6 : DR6_CLEAR;
}

bool debug_stopped(struct vcpu *vcpu, bool stepped)
{
	struct vcpu_debug *d = &vcpu->debug;
	unsigned vector = atomic_exchange(&d->event, 0);
	bool pending, step = debug_stepping(vcpu), at_end;
	uint64_t dr6 = look(vcpu, &pending);

	stepped = step && (stepped || pending || vector == DEBUG_EVENT_CPUID);
	if (!stepped && vector != VECTOR_DB && vector != VECTOR_BP)
		return false;
	if (load_read(vcpu, STATE_ALL) < 0)
		return false;
	if (vector == DEBUG_EVENT_CPUID) {
		vcpu->state.regs.rax = d->cpuid[0];
		vcpu->state.regs.rbx = d->cpuid[1];
		vcpu->state.regs.rcx = d->cpuid[2];
		vcpu->state.regs.rdx = d->cpuid[3];
		vcpu->state.regs.rip = d->cpuid_rip;
		vcpu->state.dirty |= STATE_REGS;
	}
	if (pending && stepped) {
		vcpu->state.events.exception.injected = 0;
		vcpu->state.events.exception.pending = 0;
		vcpu->state.dirty |= STATE_EVENTS;
	}
	/* A breakpoint behind the instruction is a step; Xen shows no BS for one by TF. */
	at_end = d->behind && vcpu->state.sregs.cs.base + vcpu->state.regs.rip == d->behind;
	if (at_end)
		dr6 &= ~DR6_BREAKS;
	if (stepped || (step && vector == VECTOR_DB && (at_end || !(dr6 & DR6_BREAKS))))
		dr6 |= DR6_BS;
	/* DR6 keeps what it was told. */
	d->stale = d->in_xen & DEBUG_DR;
	fill(vcpu, vector == VECTOR_BP ? VECTOR_BP : VECTOR_DB, dr6);
	return true;
}

/* --- events --- */

bool debug_event(struct vcpu *vcpu, unsigned vector, unsigned type, unsigned length)
{
	struct vm *vm = vcpu->vm;
	uint32_t control = vcpu->debug.control;
	uint32_t wants = vector == VECTOR_BP ? KVM_GUESTDBG_USE_SW_BP
					     : KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP;
	int rc;

	if (control & wants) {
		rc = world_arm(vm);
		atomic_store(&vcpu->debug.event, vector);
	} else {
		rc = vm->xen.dev->ops->event_inject(vm->xen.dev, vm->domid, vcpu->index, vector,
						    type, length);
	}
	if (rc < 0)
		message_error("debug event %u of vcpu %u: %s", vector, vcpu->id, strerror(-rc));
	return control & wants;
}

bool debug_cpuid(struct vcpu *vcpu, const uint32_t answer[4], uint64_t rip)
{
	if (!debug_stepping(vcpu) || world_arm(vcpu->vm) < 0)
		return false;
	memcpy(vcpu->debug.cpuid, answer, sizeof vcpu->debug.cpuid);
	vcpu->debug.cpuid_rip = rip;
	atomic_store(&vcpu->debug.event, DEBUG_EVENT_CPUID);
	return true;
}
