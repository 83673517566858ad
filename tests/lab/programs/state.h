// The whole state of a VM with one vcpu, by KVM's GET and SET calls, field by field: what the
// programs state-random and state-step share.  Nothing here knows of kvmxen.

#ifndef STATE_H
#define STATE_H

#include "vm.h"

#include <string.h>

static const uint32_t state_msrs[] = {
	0x174,      0x175,      0x176,      0x277,      0x250,      0x258,      0x268, 0x26f,
	0x2ff,      0x200,      0x201,      0x20e,      0x20f,      0x17a,      0x400, 0x1a0,
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103,
};
#define STATE_MSRS (sizeof(state_msrs) / sizeof(state_msrs[0]))

struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave; // the FPU is its first 512 bytes
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_lapic_state lapic;
	struct kvm_irqchip pic[2], ioapic;
	struct kvm_pit_state2 pit;
	uint64_t msrs[STATE_MSRS];
};

struct state_field {
	const char *name;
	size_t offset, size, element;
};

#define STATE_ONE(field)                                                                           \
	{#field, offsetof(struct state, field), sizeof(((struct state *)0)->field),                \
	 sizeof(((struct state *)0)->field)},
#define STATE_ARRAY(field)                                                                         \
	{#field, offsetof(struct state, field), sizeof(((struct state *)0)->field),                \
	 sizeof(((struct state *)0)->field[0])},
#define STATE_SEGMENT(seg)                                                                         \
	STATE_ONE(sregs.seg.base)                                                                  \
	STATE_ONE(sregs.seg.limit)                                                                 \
	STATE_ONE(sregs.seg.selector)                                                              \
	STATE_ONE(sregs.seg.type)                                                                  \
	STATE_ONE(sregs.seg.present)                                                               \
	STATE_ONE(sregs.seg.dpl)                                                                   \
	STATE_ONE(sregs.seg.db)                                                                    \
	STATE_ONE(sregs.seg.s)                                                                     \
	STATE_ONE(sregs.seg.l)                                                                     \
	STATE_ONE(sregs.seg.g)                                                                     \
	STATE_ONE(sregs.seg.avl)                                                                   \
	STATE_ONE(sregs.seg.unusable)
#define STATE_PIC(n)                                                                               \
	STATE_ONE(pic[n].chip.pic.irr)                                                             \
	STATE_ONE(pic[n].chip.pic.imr)                                                             \
	STATE_ONE(pic[n].chip.pic.isr)                                                             \
	STATE_ONE(pic[n].chip.pic.priority_add)                                                    \
	STATE_ONE(pic[n].chip.pic.irq_base)                                                        \
	STATE_ONE(pic[n].chip.pic.read_reg_select)                                                 \
	STATE_ONE(pic[n].chip.pic.poll)                                                            \
	STATE_ONE(pic[n].chip.pic.special_mask)                                                    \
	STATE_ONE(pic[n].chip.pic.init_state)                                                      \
	STATE_ONE(pic[n].chip.pic.auto_eoi)                                                        \
	STATE_ONE(pic[n].chip.pic.rotate_on_auto_eoi)                                              \
	STATE_ONE(pic[n].chip.pic.special_fully_nested_mode)                                       \
	STATE_ONE(pic[n].chip.pic.init4)                                                           \
	STATE_ONE(pic[n].chip.pic.elcr)                                                            \
	STATE_ONE(pic[n].chip.pic.elcr_mask)
#define STATE_PIT(n)                                                                               \
	STATE_ONE(pit.channels[n].count)                                                           \
	STATE_ONE(pit.channels[n].latched_count)                                                   \
	STATE_ONE(pit.channels[n].count_latched)                                                   \
	STATE_ONE(pit.channels[n].status_latched)                                                  \
	STATE_ONE(pit.channels[n].status)                                                          \
	STATE_ONE(pit.channels[n].read_state)                                                      \
	STATE_ONE(pit.channels[n].write_state)                                                     \
	STATE_ONE(pit.channels[n].write_latch)                                                     \
	STATE_ONE(pit.channels[n].rw_mode)                                                         \
	STATE_ONE(pit.channels[n].mode)                                                            \
	STATE_ONE(pit.channels[n].bcd)                                                             \
	STATE_ONE(pit.channels[n].gate)

// Every field that a guest could tell apart, but for the time that PIT channels were loaded.
static const struct state_field state_fields[] = {
	STATE_ONE(regs.rax) STATE_ONE(regs.rbx) STATE_ONE(regs.rcx) STATE_ONE(regs.rdx) STATE_ONE(
		regs.rsi) STATE_ONE(regs.rdi) STATE_ONE(regs.rsp) STATE_ONE(regs.rbp)
		STATE_ONE(regs.r8) STATE_ONE(regs.r9) STATE_ONE(regs.r10) STATE_ONE(
			regs.r11) STATE_ONE(regs.r12) STATE_ONE(regs.r13) STATE_ONE(regs.r14)
			STATE_ONE(regs.r15) STATE_ONE(regs.rip) STATE_ONE(
				regs.rflags) STATE_SEGMENT(cs) STATE_SEGMENT(ds) STATE_SEGMENT(es)
				STATE_SEGMENT(fs) STATE_SEGMENT(gs) STATE_SEGMENT(ss) STATE_SEGMENT(
					tr) STATE_SEGMENT(ldt) STATE_ONE(sregs.gdt.base)
					STATE_ONE(sregs.gdt.limit) STATE_ONE(sregs.idt.base) STATE_ONE(
						sregs.idt
							.limit) STATE_ONE(sregs.cr0) STATE_ONE(sregs.cr2)
						STATE_ONE(sregs.cr3) STATE_ONE(sregs.cr4) STATE_ONE(sregs.cr8) STATE_ONE(
							sregs.efer) STATE_ONE(sregs.apic_base)
							STATE_ARRAY(sregs.interrupt_bitmap) STATE_ARRAY(xsave.region) STATE_ARRAY(
								debugregs
									.db) STATE_ONE(debugregs
											       .dr6) STATE_ONE(debugregs
														       .dr7)
								STATE_ONE(events.exception.injected) STATE_ONE(
									events.exception
										.nr) STATE_ONE(events.exception
												       .has_error_code)
									STATE_ONE(events.exception.error_code) STATE_ONE(
										events.interrupt
											.injected) STATE_ONE(events.interrupt
														     .nr)
										STATE_ONE(events.nmi.injected) STATE_ONE(
											events.nmi
												.pending)
											STATE_ONE(
												mp_state.mp_state){
												"la"
												"pi"
												"c",
												offsetof(
													struct
													state,
													lapic),
												sizeof(struct
												       kvm_lapic_state),
												16},
	STATE_PIC(0) STATE_PIC(1) STATE_ONE(ioapic.chip.ioapic.base_address)
		STATE_ONE(ioapic.chip.ioapic.ioregsel) STATE_ONE(ioapic.chip.ioapic.id)
			STATE_ARRAY(ioapic.chip.ioapic.redirtbl) STATE_PIT(0) STATE_PIT(1)
				STATE_PIT(2) STATE_ONE(pit.flags) STATE_ARRAY(msrs)};
#define STATE_FIELDS (sizeof(state_fields) / sizeof(state_fields[0]))

struct state_msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[STATE_MSRS];
};

// chips: with the interrupt controllers and the PIT, else they stay as they are.
static inline void state_get(struct vcpu *vcpu, struct state *s, bool chips)
{
	struct state_msr_list list = {.head.nmsrs = STATE_MSRS};

	vcpu_get_regs(vcpu, &s->regs);
	vcpu_get_sregs(vcpu, &s->sregs);
	IOCTL(vcpu->fd, KVM_GET_XSAVE, &s->xsave);
	IOCTL(vcpu->fd, KVM_GET_DEBUGREGS, &s->debugregs);
	IOCTL(vcpu->fd, KVM_GET_VCPU_EVENTS, &s->events);
	// What is not injected says nothing, but KVM remembers the last one.
	if (!s->events.exception.injected)
		memset(&s->events.exception, 0, sizeof(s->events.exception));
	if (!s->events.interrupt.injected)
		memset(&s->events.interrupt, 0, sizeof(s->events.interrupt));
	IOCTL(vcpu->fd, KVM_GET_MP_STATE, &s->mp_state);
	for (unsigned int i = 0; i < STATE_MSRS; i++)
		list.entries[i].index = state_msrs[i];
	if (IOCTL(vcpu->fd, KVM_GET_MSRS, &list) != STATE_MSRS)
		fail("KVM_GET_MSRS");
	for (unsigned int i = 0; i < STATE_MSRS; i++)
		s->msrs[i] = list.entries[i].data;
	if (!vcpu->vm->irqchip)
		return;
	IOCTL(vcpu->fd, KVM_GET_LAPIC, &s->lapic);
	if (!chips)
		return;
	for (unsigned int i = 0; i < 2; i++) {
		s->pic[i].chip_id = i;
		IOCTL(vcpu->vm->fd, KVM_GET_IRQCHIP, &s->pic[i]);
	}
	s->ioapic.chip_id = KVM_IRQCHIP_IOAPIC;
	IOCTL(vcpu->vm->fd, KVM_GET_IRQCHIP, &s->ioapic);
	IOCTL(vcpu->vm->fd, KVM_GET_PIT2, &s->pit);
}

// The order is QEMU's.
static inline void state_set(struct vcpu *vcpu, const struct state *s, bool chips)
{
	struct state_msr_list list = {.head.nmsrs = STATE_MSRS};

	for (unsigned int i = 0; i < STATE_MSRS; i++) {
		list.entries[i].index = state_msrs[i];
		list.entries[i].data = s->msrs[i];
	}
	vcpu_set_regs(vcpu, &s->regs);
	IOCTL(vcpu->fd, KVM_SET_XSAVE, &s->xsave);
	vcpu_set_sregs(vcpu, &s->sregs);
	if (IOCTL(vcpu->fd, KVM_SET_MSRS, &list) != STATE_MSRS)
		fail("KVM_SET_MSRS");
	IOCTL(vcpu->fd, KVM_SET_MP_STATE, &s->mp_state);
	if (vcpu->vm->irqchip)
		IOCTL(vcpu->fd, KVM_SET_LAPIC, &s->lapic);
	IOCTL(vcpu->fd, KVM_SET_VCPU_EVENTS, &s->events);
	IOCTL(vcpu->fd, KVM_SET_DEBUGREGS, &s->debugregs);
	if (!chips)
		return;
	for (unsigned int i = 0; i < 2; i++)
		IOCTL(vcpu->vm->fd, KVM_SET_IRQCHIP, &s->pic[i]);
	IOCTL(vcpu->vm->fd, KVM_SET_IRQCHIP, &s->ioapic);
	IOCTL(vcpu->vm->fd, KVM_SET_PIT2, &s->pit);
}

// The name of one element of a field.
static inline const char *state_name(const struct state_field *f, size_t at)
{
	static char name[80];

	if (f->size == f->element)
		return f->name;
	if (f->offset == offsetof(struct state, msrs))
		snprintf(name, sizeof(name), "msr 0x%x", state_msrs[at / f->element]);
	else if (f->offset == offsetof(struct state, lapic))
		snprintf(name, sizeof(name), "lapic 0x%zx", at);
	else
		snprintf(name, sizeof(name), "%s[%zu]", f->name, at / f->element);
	return name;
}

static inline uint64_t state_value(const struct state *s, const struct state_field *f, size_t at)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)s + f->offset + at, f->element < 8 ? f->element : 8);
	return value;
}

// Calls `found` for each element that differs.
static inline void state_compare(const struct state *a, const struct state *b,
				 void (*found)(const char *name, uint64_t a, uint64_t b))
{
	for (size_t i = 0; i < STATE_FIELDS; i++) {
		const struct state_field *f = &state_fields[i];

		for (size_t at = 0; at < f->size; at += f->element)
			if (memcmp((const char *)a + f->offset + at,
				   (const char *)b + f->offset + at, f->element))
				found(state_name(f, at), state_value(a, f, at),
				      state_value(b, f, at));
	}
}

// The same numbers everywhere.
static inline uint64_t state_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * 0x2545f4914f6cdd1d;
}

#endif
