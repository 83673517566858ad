#include "libkvmxen/machine/window.h"

#include <errno.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/hot.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/message.h"

#define RFLAGS_IF   (1ull << 9)
#define EVENT_VALID (1u << 31) /* hvm_hw_cpu.pending_event: EVENTINJ's bit */
#define CR8_MAX     15
#define LVT_MODE    (7u << 8)
#define LVT_EXTINT  (7u << 8)

#define OPCODE_HLT 0xf4
/* What starts an interrupt shadow. */
#define OPCODE_STI        0xfb
#define OPCODE_POP_SS     0x17
#define OPCODE_MOV_TO_SEG 0x8e
#define MODRM_MASK        0xf8 /* register operand, which segment register */
#define MODRM_SS          0xd0

/* What Xen says of the vcpu. */
struct look {
	struct hvm_hw_cpu cpu; /* zeroes when the vcpu is down: halted with interrupts off */
	bool interrupts;       /* RFLAGS.IF */
	bool ready;            /* and nothing else is about to be delivered */
};

static bool look(struct vcpu *vcpu, struct look *l)
{
	struct vm *vm = vcpu->vm;
	int rc = vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU),
						   vcpu->index, &l->cpu, sizeof l->cpu);

	if (rc < 0)
		memset(l, 0, sizeof *l);
	l->interrupts = l->cpu.rflags & RFLAGS_IF;
	l->ready = l->interrupts && !(l->cpu.pending_event & EVENT_VALID);
	return rc == 0;
}

/* Would the LAPIC take the interrupt of a PIC (KVM's kvm_apic_accept_pic_intr)? */
static bool accepts_pic(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct hvm_hw_lapic_regs regs;
	uint32_t lvt0;

	if (!vm->interrupts.lapic || !(vcpu->state.sregs.apic_base & STATE_APIC_ENABLE))
		return true;
	if (vm->xen.ctl->ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(LAPIC_REGS),
					      vcpu->index, &regs, sizeof regs) < 0)
		return true;
	memcpy(&lvt0, regs.data + STATE_LAPIC_LVT0, sizeof lvt0);
	return !(lvt0 & STATE_LAPIC_LVT_MASKED) && (lvt0 & LVT_MODE) == LVT_EXTINT;
}

HOT bool window_wanted(const struct vcpu *vcpu)
{
	return !vcpu->vm->interrupts.irqchip && vcpu->run->request_interrupt_window;
}

bool window_glimpse(struct vcpu *vcpu)
{
	struct look l;

	return look(vcpu, &l) && l.ready;
}

/* The byte of the guest at some distance from its RIP, or -1. */
static int byte_at(struct vcpu *vcpu, const struct hvm_hw_cpu *cpu, int distance)
{
	const struct kvm_sregs sregs = {
		.cr0 = cpu->cr0, .cr3 = cpu->cr3, .cr4 = cpu->cr4, .efer = cpu->msr_efer};
	const uint8_t *byte = NULL;
	uint64_t physical;

	if (vcpu_translate_with(vcpu, &sregs, cpu->cs_base + cpu->rip + distance, &physical))
		byte = memory_at(vcpu->vm, physical, 1, NULL);
	return byte ? *byte : -1;
}

/* Xen does not show the shadow of STI, POP SS and MOV SS: one instruction in which no interrupt may
 * come. A vcpu that has stopped behind what looks like one is not ready; when it is seen there
 * again it has executed something. But with HLT next it goes on into the HLT, which is seen by
 * itself: "sti; hlt" waits for an interrupt that must not come in between. */
static bool in_shadow(struct vcpu *vcpu, const struct hvm_hw_cpu *cpu)
{
	bool again = vcpu->shadow_rip == cpu->rip, sti, ss;
	int last = byte_at(vcpu, cpu, -1), previous = byte_at(vcpu, cpu, -2);

	sti = last == OPCODE_STI;
	ss = last == OPCODE_POP_SS ||
	     (previous == OPCODE_MOV_TO_SEG && (last & MODRM_MASK) == MODRM_SS);
	vcpu->shadow_rip = sti || ss ? cpu->rip : 0;
	return (sti && byte_at(vcpu, cpu, 0) == OPCODE_HLT) || ((sti || ss) && !again);
}

bool window_open(struct vcpu *vcpu)
{
	struct look l;

	return look(vcpu, &l) && l.ready && !in_shadow(vcpu, &l.cpu) && accepts_pic(vcpu);
}

bool window_injects(const struct vcpu *vcpu)
{
	const struct kvm_vcpu_events *events = &vcpu->state.events;

	return vcpu->injecting != INJECT_NONE ||
	       ((vcpu->state.dirty & STATE_EVENTS) &&
		(events->interrupt.injected || events->exception.injected || events->nmi.injected));
}

HOT long window_begin(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->request_interrupt_window)
		vcpu->window_looks = WINDOW_FOLLOWED;
	if (vcpu->vm->interrupts.lapic || run->cr8 == vcpu->state.sregs.cr8)
		return 0;
	if (run->cr8 > CR8_MAX)
		return -EINVAL;
	vcpu->state.sregs.cr8 = run->cr8;
	vcpu->state.dirty |= STATE_LAPIC;
	return 0;
}

COLD static void report_exactly(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct look l;

	look(vcpu, &l);
	run->if_flag = l.interrupts;
	if (!l.ready || window_injects(vcpu))
		return;
	/* The instruction of an exit ends the shadow of the one before it. */
	run->ready_for_interrupt_injection =
		run->exit_reason == KVM_EXIT_IRQ_WINDOW_OPEN ||
		((vcpu->phase == VCPU_EXIT || !in_shadow(vcpu, &l.cpu)) && accepts_pic(vcpu));
}

HOT void window_report(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->apic_base = vcpu->state.sregs.apic_base;
	run->cr8 = vcpu->state.sregs.cr8;
	run->if_flag = 0;
	run->ready_for_interrupt_injection = vcpu->vm->interrupts.irqchip;
	if (vcpu->vm->interrupts.irqchip || vcpu->phase == VCPU_NEW || !vm_live(vcpu->vm))
		return;
	if (vcpu->window_looks < WINDOW_LOOKS)
		vcpu->window_looks++;
	if (vcpu->window_looks != WINDOW_LOOKS)
		report_exactly(vcpu);
}
