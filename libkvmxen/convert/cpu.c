/*
 * CPU: the record of a vcpu's registers (hvm_hw_cpu), and the part of them that
 * XEN_DOMCTL_setvcpucontext takes.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static_assert(sizeof(struct hvm_hw_cpu) == 1032, "CPU record of Xen 4.7 and later");
static_assert(sizeof(((struct kvm_regs *)0)->rax) == sizeof(((struct hvm_hw_cpu *)0)->rax),
	      "registers are copied whole");

/* Fields that are 64 bits wide and mean the same on both sides. */
#define SAME(kvm, xen)                                                                             \
	{                                                                                          \
		offsetof(struct vcpu_state, kvm), offsetof(struct hvm_hw_cpu, xen)                 \
	}
static const struct same {
	uint16_t state, record;
} same[] = {
	SAME(regs.rax, rax),
	SAME(regs.rbx, rbx),
	SAME(regs.rcx, rcx),
	SAME(regs.rdx, rdx),
	SAME(regs.rsi, rsi),
	SAME(regs.rdi, rdi),
	SAME(regs.rsp, rsp),
	SAME(regs.rbp, rbp),
	SAME(regs.r8, r8),
	SAME(regs.r9, r9),
	SAME(regs.r10, r10),
	SAME(regs.r11, r11),
	SAME(regs.r12, r12),
	SAME(regs.r13, r13),
	SAME(regs.r14, r14),
	SAME(regs.r15, r15),
	SAME(regs.rip, rip),
	SAME(regs.rflags, rflags),
	SAME(sregs.cr0, cr0),
	SAME(sregs.cr2, cr2),
	SAME(sregs.cr3, cr3),
	SAME(sregs.cr4, cr4),
	SAME(sregs.efer, msr_efer),
	SAME(sregs.gdt.base, gdtr_base),
	SAME(sregs.idt.base, idtr_base),
	SAME(debugregs.db[0], dr0),
	SAME(debugregs.db[1], dr1),
	SAME(debugregs.db[2], dr2),
	SAME(debugregs.db[3], dr3),
	SAME(debugregs.dr6, dr6),
	SAME(debugregs.dr7, dr7),
	SAME(msrs[MSR_ROW_SYSENTER_CS], sysenter_cs),
	SAME(msrs[MSR_ROW_SYSENTER_ESP], sysenter_esp),
	SAME(msrs[MSR_ROW_SYSENTER_EIP], sysenter_eip),
	SAME(msrs[MSR_ROW_KERNEL_GS_BASE], shadow_gs),
	SAME(msrs[MSR_ROW_STAR], msr_star),
	SAME(msrs[MSR_ROW_LSTAR], msr_lstar),
	SAME(msrs[MSR_ROW_CSTAR], msr_cstar),
	SAME(msrs[MSR_ROW_SYSCALL_MASK], msr_syscall_mask),
	SAME(msrs[MSR_ROW_TSC_AUX], msr_tsc_aux),
};

#define SEGMENT(kvm, xen)                                                                          \
	{                                                                                          \
		offsetof(struct vcpu_state, sregs.kvm), offsetof(struct hvm_hw_cpu, xen##_sel),    \
			offsetof(struct hvm_hw_cpu, xen##_limit),                                  \
			offsetof(struct hvm_hw_cpu, xen##_base),                                   \
			offsetof(struct hvm_hw_cpu, xen##_arbytes)                                 \
	}
static const struct segment {
	uint16_t state, selector, limit, base, attributes;
} segments[] = {
	SEGMENT(cs, cs), SEGMENT(ds, ds), SEGMENT(es, es), SEGMENT(fs, fs),
	SEGMENT(gs, gs), SEGMENT(ss, ss), SEGMENT(tr, tr), SEGMENT(ldt, ldtr),
};

/* Attributes of a segment, packed as in a VMCB. */
#define ATTRIBUTE_TYPE      0x00f
#define ATTRIBUTE_S         (1u << 4)
#define ATTRIBUTE_DPL_SHIFT 5
#define ATTRIBUTE_DPL       3u
#define ATTRIBUTE_P         (1u << 7)
#define ATTRIBUTE_AVL       (1u << 8)
#define ATTRIBUTE_L         (1u << 9)
#define ATTRIBUTE_DB        (1u << 10)
#define ATTRIBUTE_G         (1u << 11)

/* Type of a pending event: EVENTINJ of a VMCB, interruption information of a VMCS. */
enum event_type {
	EVENT_INTERRUPT = 0,
	EVENT_NMI = 2,
	EVENT_EXCEPTION = 3,
	EVENT_SOFTWARE_INTERRUPT = 4,
	EVENT_PRIVILEGED_EXCEPTION = 5,
	EVENT_SOFTWARE_EXCEPTION = 6,
};
#define VECTOR_NMI 2

#define CR0_ET (1u << 4)
/* PE MP EM TS ET NE, WP, AM, NW CD PG: Xen refuses a CR0 with others, hardware ignores them. */
#define CR0_KNOWN 0xe005003full
/* CF PF AF ZF SF TF IF DF OF IOPL NT, RF VM AC VIF VIP ID: an entry with others fails. */
#define RFLAGS_KNOWN 0x3f7fd5ull
#define RFLAGS_FIXED 0x2ull
#define MXCSR_KNOWN  0xffffu

#define FXSAVE_SIZE  512
#define FXSAVE_FCW   0
#define FXSAVE_MXCSR 24
#define FCW_RESET    0x40u /* what Xen gives a vcpu that has not touched its FPU */
#define MXCSR_INIT   0x1f80u
static_assert(FXSAVE_SIZE == sizeof(((struct hvm_hw_cpu *)0)->fpu_regs), "FXSAVE image");
static_assert(FXSAVE_SIZE == sizeof(((struct vcpu_guest_context *)0)->fpu_ctxt), "FXSAVE image");

static uint64_t get64(const void *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)object + offset, sizeof value);
	return value;
}

static void put64(void *object, size_t offset, uint64_t value)
{
	memcpy((char *)object + offset, &value, sizeof value);
}

static uint32_t get32(const void *object, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)object + offset, sizeof value);
	return value;
}

static void put32(void *object, size_t offset, uint32_t value)
{
	memcpy((char *)object + offset, &value, sizeof value);
}

static uint32_t attributes_from_kvm(const struct kvm_segment *s)
{
	return (s->type & ATTRIBUTE_TYPE) | (s->s ? ATTRIBUTE_S : 0) |
	       (s->dpl & ATTRIBUTE_DPL) << ATTRIBUTE_DPL_SHIFT |
	       (s->present && !s->unusable ? ATTRIBUTE_P : 0) | (s->avl ? ATTRIBUTE_AVL : 0) |
	       (s->l ? ATTRIBUTE_L : 0) | (s->db ? ATTRIBUTE_DB : 0) | (s->g ? ATTRIBUTE_G : 0);
}

static void attributes_to_kvm(struct kvm_segment *s, uint32_t attributes)
{
	s->type = attributes & ATTRIBUTE_TYPE;
	s->s = !!(attributes & ATTRIBUTE_S);
	s->dpl = (attributes >> ATTRIBUTE_DPL_SHIFT) & ATTRIBUTE_DPL;
	s->present = !!(attributes & ATTRIBUTE_P);
	s->avl = !!(attributes & ATTRIBUTE_AVL);
	s->l = !!(attributes & ATTRIBUTE_L);
	s->db = !!(attributes & ATTRIBUTE_DB);
	s->g = !!(attributes & ATTRIBUTE_G);
	s->unusable = !s->present;
	s->padding = 0;
}

/* One event at most is pending in Xen; KVM injects in this order when a VMM has set several. */
static void event_from_state(struct hvm_hw_cpu *record, const struct kvm_vcpu_events *events)
{
	record->pending_event = 0;
	record->error_code = 0;
	if (events->exception.injected || events->exception.pending) {
		record->pending_vector = events->exception.nr;
		record->pending_type = EVENT_EXCEPTION;
		record->pending_error_valid = !!events->exception.has_error_code;
		if (events->exception.has_error_code)
			record->error_code = events->exception.error_code;
	} else if (events->nmi.injected) {
		record->pending_vector = VECTOR_NMI;
		record->pending_type = EVENT_NMI;
	} else if (events->interrupt.injected) {
		record->pending_vector = events->interrupt.nr;
		record->pending_type =
			events->interrupt.soft ? EVENT_SOFTWARE_INTERRUPT : EVENT_INTERRUPT;
	} else {
		return;
	}
	record->pending_valid = 1;
}

static void event_to_state(struct vcpu_state *state, const struct hvm_hw_cpu *record)
{
	struct kvm_vcpu_events *events = &state->events;
	uint8_t vector = record->pending_vector;

	memset(&events->exception, 0, sizeof events->exception);
	memset(&events->interrupt, 0, sizeof events->interrupt);
	events->nmi.injected = 0;
	memset(state->sregs.interrupt_bitmap, 0, sizeof state->sregs.interrupt_bitmap);
	if (!record->pending_valid)
		return;
	switch ((enum event_type)record->pending_type) {
	case EVENT_INTERRUPT:
		state->sregs.interrupt_bitmap[vector / 64] = 1ull << (vector % 64);
		events->interrupt.injected = 1;
		events->interrupt.nr = vector;
		break;
	case EVENT_SOFTWARE_INTERRUPT:
		events->interrupt.injected = 1;
		events->interrupt.nr = vector;
		events->interrupt.soft = 1;
		break;
	case EVENT_NMI:
		events->nmi.injected = 1;
		break;
	case EVENT_EXCEPTION:
	case EVENT_PRIVILEGED_EXCEPTION:
	case EVENT_SOFTWARE_EXCEPTION:
		events->exception.injected = 1;
		events->exception.nr = vector;
		events->exception.has_error_code = record->pending_error_valid;
		events->exception.error_code = record->pending_error_valid ? record->error_code : 0;
		break;
	}
}

/* The FXSAVE image as the guest would see it: a component that XSTATE_BV calls unused is in its
 * initial state, whatever the area holds. */
static void fxsave_from_state(void *image, const struct vcpu_state *state)
{
	uint64_t components = vcpu_state_xstate_bv(state);

	if (state->fpu_set)
		components |= STATE_XSTATE_FP | STATE_XSTATE_SSE;
	vcpu_state_fxsave(state, components, image);
	put32(image, FXSAVE_MXCSR, get32(image, FXSAVE_MXCSR) & MXCSR_KNOWN);
}

static void fxsave_to_state(struct vcpu_state *state, const void *image, bool initialised)
{
	char *to = (char *)state->xsave.region;

	if (initialised) {
		memcpy(to, image, FXSAVE_SIZE);
	} else {
		memset(to, 0, FXSAVE_SIZE);
		put32(to, FXSAVE_FCW, FCW_RESET);
		put32(to, FXSAVE_MXCSR, MXCSR_INIT);
	}
	state->fpu_set = false;
	vcpu_state_set_xstate_bv(state,
				 vcpu_state_xstate_bv(state) | STATE_XSTATE_FP | STATE_XSTATE_SSE);
}

/* Bits that Xen refuses a record for, or that no entry survives. KVM stores what it is given and
 * trims nothing that matters to the guest. */
static void trim(struct hvm_hw_cpu *record)
{
	record->cr0 = (record->cr0 & CR0_KNOWN) | CR0_ET;
	record->msr_efer &= STATE_EFER_KNOWN;
	record->rflags = (record->rflags & RFLAGS_KNOWN) | RFLAGS_FIXED;
	record->msr_tsc_aux = (uint32_t)record->msr_tsc_aux;
	record->dr6 = (uint32_t)record->dr6;
	record->dr7 = (uint32_t)record->dr7;
	/* Outside long mode CR3 has 32 bits; Xen checks 64 even when paging is off. */
	if (!(record->msr_efer & STATE_EFER_LMA))
		record->cr3 = (uint32_t)record->cr3;
}

void cpu_record_from_state(struct hvm_hw_cpu *record, const struct vcpu_state *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		put64(record, same[i].record, get64(state, same[i].state));
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		const struct segment *s = &segments[i];
		const struct kvm_segment *from = (const void *)((const char *)state + s->state);

		put32(record, s->selector, from->selector);
		put32(record, s->limit, from->limit);
		put64(record, s->base, from->base);
		put32(record, s->attributes, attributes_from_kvm(from));
	}
	record->gdtr_limit = state->sregs.gdt.limit;
	record->idtr_limit = state->sregs.idt.limit;
	trim(record);
	fxsave_from_state(record->fpu_regs, state);
	record->flags = XEN_X86_FPU_INITIALISED;
	record->pad0 = 0;
	event_from_state(record, &state->events);
}

void cpu_record_to_state(struct vcpu_state *state, const struct hvm_hw_cpu *record)
{
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		put64(state, same[i].state, get64(record, same[i].record));
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		const struct segment *s = &segments[i];
		struct kvm_segment *to = (void *)((char *)state + s->state);

		to->selector = get32(record, s->selector);
		to->limit = get32(record, s->limit);
		to->base = get64(record, s->base);
		attributes_to_kvm(to, get32(record, s->attributes));
	}
	state->sregs.gdt.limit = record->gdtr_limit;
	state->sregs.idt.limit = record->idtr_limit;
	state->msrs[MSR_ROW_TSC] = record->tsc;
	fxsave_to_state(state, record->fpu_regs, record->flags & XEN_X86_FPU_INITIALISED);
	event_to_state(state, record);
}

bool cpu_record_has_exception(const struct hvm_hw_cpu *record)
{
	return record->pending_valid && (record->pending_type == EVENT_EXCEPTION ||
					 record->pending_type == EVENT_PRIVILEGED_EXCEPTION ||
					 record->pending_type == EVENT_SOFTWARE_EXCEPTION);
}

#define CONTEXT(kvm, xen)                                                                          \
	{                                                                                          \
		offsetof(struct vcpu_state, regs.kvm),                                             \
			offsetof(struct vcpu_guest_context, user_regs.xen)                         \
	}
static const struct same context_same[] = {
	CONTEXT(rax, rax), CONTEXT(rbx, rbx), CONTEXT(rcx, rcx), CONTEXT(rdx, rdx),
	CONTEXT(rsi, rsi), CONTEXT(rdi, rdi), CONTEXT(rsp, rsp), CONTEXT(rbp, rbp),
	CONTEXT(r8, r8),   CONTEXT(r9, r9),   CONTEXT(r10, r10), CONTEXT(r11, r11),
	CONTEXT(r12, r12), CONTEXT(r13, r13), CONTEXT(r14, r14), CONTEXT(r15, r15),
	CONTEXT(rip, rip),
};

void vcpu_context_from_state(struct vcpu_guest_context *context, const struct vcpu_state *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(context_same); i++)
		put64(context, context_same[i].record, get64(state, context_same[i].state));
	context->user_regs.rflags = (state->regs.rflags & RFLAGS_KNOWN) | RFLAGS_FIXED;
	for (int i = 0; i < 4; i++)
		context->debugreg[i] = state->debugregs.db[i];
	context->debugreg[6] = (uint32_t)state->debugregs.dr6;
	context->debugreg[7] = (uint32_t)state->debugregs.dr7;
	fxsave_from_state(&context->fpu_ctxt, state);
	/* Without this flag Xen resets the FPU. VGCF_online stays as the base context has it. */
	context->flags |= VGCF_i387_valid;
}
