#include "libkvmxen/convert/fields.h"

#include <assert.h>
#include <stdlib.h>

#include <linux/kvm.h>

#include "libkvmxen/machine/state.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TYPE(s)      ((struct s *)0)

/* A member; one that is an array; bytes from..to without a name of their own. */
#define FIELD(s, member, fidelity, xen, note)                                                      \
	{                                                                                          \
#member, offsetof(struct s, member), sizeof(TYPE(s)->member),                      \
			sizeof(TYPE(s)->member), fidelity, false, xen, note                        \
	}
#define ARRAY(s, member, fidelity, xen, note)                                                      \
	{                                                                                          \
#member, offsetof(struct s, member), sizeof(TYPE(s)->member),                      \
			sizeof(TYPE(s)->member[0]), fidelity, false, xen, note                     \
	}
#define BYTES(name, from, to, element, fidelity, xen, note)                                        \
	{                                                                                          \
		name, from, (to) - (from), element, fidelity, false, xen, note                     \
	}
#define MUST_BE_0 "not kept: KVM has no use for it"

static const struct field regs[] = {
#define REG(member) FIELD(kvm_regs, member, EXACT, "CPU." #member, "")
	REG(rax),
	REG(rbx),
	REG(rcx),
	REG(rdx),
	REG(rsi),
	REG(rdi),
	REG(rsp),
	REG(rbp),
	REG(r8),
	REG(r9),
	REG(r10),
	REG(r11),
	REG(r12),
	REG(r13),
	REG(r14),
	REG(r15),
	REG(rip),
#undef REG
	FIELD(kvm_regs, rflags, CONVERTED, "CPU.rflags",
	      "bits that no processor has are cleared, bit 1 is set"),
};

/* One segment register of kvm_sregs and kvm_sregs2. */
#define SEGMENT_PART(seg, member, repeated, fidelity, xen, note)                                   \
	{                                                                                          \
#seg "." #member, offsetof(struct kvm_sregs, seg.member),                          \
			sizeof(TYPE(kvm_sregs)->seg.member), sizeof(TYPE(kvm_sregs)->seg.member),  \
			fidelity, repeated, xen, note                                              \
	}
#define SEGMENT_BITS "attribute bits hold 0 or 1"
#define SEGMENT(seg, repeated)                                                                     \
	SEGMENT_PART(seg, base, repeated, EXACT, "CPU.*_base", ""),                                \
		SEGMENT_PART(seg, limit, repeated, EXACT, "CPU.*_limit", ""),                      \
		SEGMENT_PART(seg, selector, repeated, EXACT, "CPU.*_sel", ""),                     \
		SEGMENT_PART(seg, type, repeated, CONVERTED, "CPU.*_arbytes", "four bits"),        \
		SEGMENT_PART(seg, present, repeated, CONVERTED, "CPU.*_arbytes",                   \
			     "0 or 1; 0 for an unusable segment"),                                 \
		SEGMENT_PART(seg, dpl, repeated, CONVERTED, "CPU.*_arbytes", "two bits"),          \
		SEGMENT_PART(seg, db, repeated, CONVERTED, "CPU.*_arbytes", SEGMENT_BITS),         \
		SEGMENT_PART(seg, s, repeated, CONVERTED, "CPU.*_arbytes", SEGMENT_BITS),          \
		SEGMENT_PART(seg, l, repeated, CONVERTED, "CPU.*_arbytes", SEGMENT_BITS),          \
		SEGMENT_PART(seg, g, repeated, CONVERTED, "CPU.*_arbytes", SEGMENT_BITS),          \
		SEGMENT_PART(seg, avl, repeated, CONVERTED, "CPU.*_arbytes", SEGMENT_BITS),        \
		SEGMENT_PART(                                                                      \
			seg, unusable, repeated, CONVERTED, "CPU.*_arbytes",                       \
			"a segment that is not present is unusable, and the other way round; "     \
			"KVM on AMD has the same rule"),                                           \
		SEGMENT_PART(seg, padding, repeated, LOST, "", MUST_BE_0)

static const struct field sregs[] = {
	SEGMENT(cs, false),
	SEGMENT(ds, true),
	SEGMENT(es, true),
	SEGMENT(fs, true),
	SEGMENT(gs, true),
	SEGMENT(ss, true),
	SEGMENT(tr, true),
	SEGMENT(ldt, true),
	FIELD(kvm_sregs, gdt.base, EXACT, "CPU.gdtr_base", ""),
	FIELD(kvm_sregs, gdt.limit, EXACT, "CPU.gdtr_limit", ""),
	ARRAY(kvm_sregs, gdt.padding, LOST, "", MUST_BE_0),
	FIELD(kvm_sregs, idt.base, EXACT, "CPU.idtr_base", ""),
	FIELD(kvm_sregs, idt.limit, EXACT, "CPU.idtr_limit", ""),
	ARRAY(kvm_sregs, idt.padding, LOST, "", MUST_BE_0),
	FIELD(kvm_sregs, cr0, CONVERTED, "CPU.cr0",
	      "ET is always set; bits that no processor has are cleared"),
	FIELD(kvm_sregs, cr2, CONVERTED, "CPU.cr2",
	      "exact when set; what the guest's page faults put there since is not seen on AMD: "
	      "Xen 4.17 saves and reloads a stale CR2"),
	FIELD(kvm_sregs, cr3, CONVERTED, "CPU.cr3",
	      "32 bits outside long mode: Xen checks the upper ones even when they do not count"),
	FIELD(kvm_sregs, cr4, EXACT, "CPU.cr4", ""),
	FIELD(kvm_sregs, cr8, CONVERTED, "LAPIC_REGS TPR", "the TPR's upper four bits"),
	FIELD(kvm_sregs, efer, CONVERTED, "CPU.msr_efer",
	      "bits that Xen does not know are cleared"),
	FIELD(kvm_sregs, apic_base, EXACT, "LAPIC.apic_base_msr",
	      "the library's alone without KVM_CREATE_IRQCHIP: Xen's LAPIC is switched off then"),
	ARRAY(kvm_sregs, interrupt_bitmap, CONVERTED, "CPU.pending_event",
	      "the injected interrupt of kvm_vcpu_events; of several the lowest"),
};

#define SREGS_COMMON offsetof(struct kvm_sregs2, flags)
static const struct field sregs2[] = {
	BYTES("cs ... apic_base", 0, SREGS_COMMON, 8, EXACT, "", "as those of kvm_sregs"),
	FIELD(kvm_sregs2, flags, CONVERTED, "", "set as the mode says; see pdptrs"),
	ARRAY(kvm_sregs2, pdptrs, CONVERTED, "",
	      "memory's: with nested paging the processor takes them from there, in KVM as well"),
};

static const struct field fpu[] = {
	ARRAY(kvm_fpu, fpr, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, fcw, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, fsw, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, ftwx, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, pad1, LOST, "", MUST_BE_0),
	FIELD(kvm_fpu, last_opcode, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, last_ip, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, last_dp, EXACT, "CPU.fpu_regs", ""),
	ARRAY(kvm_fpu, xmm, EXACT, "CPU.fpu_regs", ""),
	FIELD(kvm_fpu, mxcsr, LOST, "", "neither read nor written: KVM leaves it out as well"),
	FIELD(kvm_fpu, pad2, LOST, "", MUST_BE_0),
};

/* SDM volume 1, 10.5.1 and 13.4. */
static const struct field xsave[] = {
	BYTES("fxsave: x87", 0, 24, 4, EXACT, "CPU_XSAVE.save_area", ""),
	BYTES("fxsave: mxcsr", 24, 28, 4, CONVERTED, "CPU_XSAVE.save_area",
	      "bits that no processor has are cleared"),
	BYTES("fxsave: mxcsr_mask", 28, 32, 4, EXACT, "CPU_XSAVE.save_area", ""),
	BYTES("fxsave: registers", 32, 512, 4, EXACT, "CPU_XSAVE.save_area", ""),
	BYTES("header: xstate_bv", 512, 520, 8, CONVERTED, "CPU_XSAVE.save_area",
	      "x87 and SSE always count as in use when read: Xen says so"),
	BYTES("header: xcomp_bv, reserved", 520, 576, 8, LOST, "", "refused unless 0, as KVM does"),
	BYTES("components from 2 on", 576, 4096, 4, CONVERTED, "CPU_XSAVE.save_area",
	      "those that XCR0 or XSTATE_BV has; what lies between and beyond is cleared"),
};

static const struct field xcrs[] = {
	FIELD(kvm_xcrs, nr_xcrs, EXACT, "", "always 1 when read"),
	FIELD(kvm_xcrs, flags, EXACT, "", "refused unless 0, as KVM does"),
	FIELD(kvm_xcrs, xcrs[0].xcr, EXACT, "", "0, XCR0"),
	FIELD(kvm_xcrs, xcrs[0].reserved, LOST, "", MUST_BE_0),
	FIELD(kvm_xcrs, xcrs[0].value, EXACT, "CPU_XSAVE.xcr0", ""),
	BYTES("xcrs[1..]", offsetof(struct kvm_xcrs, xcrs[1]), offsetof(struct kvm_xcrs, padding),
	      8, LOST, "", "there is no other; passed over, as KVM does"),
	ARRAY(kvm_xcrs, padding, LOST, "", MUST_BE_0),
};

static const struct field debugregs[] = {
	ARRAY(kvm_debugregs, db, EXACT, "CPU.dr0-3", ""),
	FIELD(kvm_debugregs, dr6, EXACT, "CPU.dr6", ""),
	FIELD(kvm_debugregs, dr7, EXACT, "CPU.dr7", ""),
	FIELD(kvm_debugregs, flags, EXACT, "", "refused unless 0, as KVM does"),
	ARRAY(kvm_debugregs, reserved, LOST, "", MUST_BE_0),
};

#define EVENT  "CPU.pending_event"
#define NO_SMM "Xen's HVM guests have no SMM"
static const struct field events[] = {
	FIELD(kvm_vcpu_events, exception.injected, CONVERTED, EVENT,
	      "of several events one is injected: an exception before an NMI before an interrupt"),
	FIELD(kvm_vcpu_events, exception.nr, CONVERTED, EVENT, "only of an injected one"),
	FIELD(kvm_vcpu_events, exception.has_error_code, CONVERTED, EVENT,
	      "0 or 1, only of an injected one"),
	FIELD(kvm_vcpu_events, exception.pending, LOST, EVENT,
	      "injected at once; it needs KVM_CAP_EXCEPTION_PAYLOAD, which is not offered"),
	FIELD(kvm_vcpu_events, exception.error_code, CONVERTED, "CPU.error_code",
	      "only of an injected one that has one"),
	FIELD(kvm_vcpu_events, interrupt.injected, CONVERTED, EVENT, "as exception.injected"),
	FIELD(kvm_vcpu_events, interrupt.nr, CONVERTED, EVENT, "only of an injected one"),
	FIELD(kvm_vcpu_events, interrupt.soft, LOST, EVENT,
	      "Xen drops a software interrupt when it loads the record: the instruction runs "
	      "again"),
	FIELD(kvm_vcpu_events, interrupt.shadow, LOST, "",
	      "no record has it: an interrupt may come one instruction early"),
	FIELD(kvm_vcpu_events, nmi.injected, CONVERTED, EVENT, "as exception.injected"),
	FIELD(kvm_vcpu_events, nmi.pending, CONVERTED, "XEN_DOMCTL_sendtrigger",
	      "sent when the state is loaded; one that Xen holds pending is not seen"),
	FIELD(kvm_vcpu_events, nmi.masked, LOST, "",
	      "no record has it: an NMI may come inside the handler of another"),
	FIELD(kvm_vcpu_events, nmi.pad, LOST, "", MUST_BE_0),
	FIELD(kvm_vcpu_events, sipi_vector, LOST, "", "KVM does not use it any more"),
	FIELD(kvm_vcpu_events, flags, EXACT, "", "which of the fields a SET means"),
	FIELD(kvm_vcpu_events, smi.smm, LOST, "", NO_SMM),
	FIELD(kvm_vcpu_events, smi.pending, LOST, "", NO_SMM),
	FIELD(kvm_vcpu_events, smi.smm_inside_nmi, LOST, "", NO_SMM),
	FIELD(kvm_vcpu_events, smi.latched_init, LOST, "", NO_SMM),
	FIELD(kvm_vcpu_events, triple_fault.pending, LOST, "",
	      "needs KVM_CAP_X86_TRIPLE_FAULT_EVENT, which is not offered"),
	ARRAY(kvm_vcpu_events, reserved, LOST, "", MUST_BE_0),
	FIELD(kvm_vcpu_events, exception_has_payload, LOST, "",
	      "needs KVM_CAP_EXCEPTION_PAYLOAD, which is not offered"),
	FIELD(kvm_vcpu_events, exception_payload, LOST, "",
	      "needs KVM_CAP_EXCEPTION_PAYLOAD, which is not offered"),
};

static const struct field mp_state[] = {
	FIELD(kvm_mp_state, mp_state, CONVERTED, "getvcpuinfo, setvcpucontext",
	      "HALTED that is set runs on behind the HLT, as after a wake-up; INIT_RECEIVED and "
	      "SIPI_RECEIVED read as UNINITIALIZED and RUNNABLE"),
};

#define LAPIC_RESERVED(from, to)                                                                   \
	BYTES("(" #from " to " #to ")", from, to, 4, EXACT, "LAPIC_REGS", "")
#define LAPIC_REG(name, at, fidelity, note)                                                        \
	BYTES(name, at, at + 0x10, 4, fidelity, "LAPIC_REGS", note)
static const struct field lapic[] = {
	LAPIC_RESERVED(0x000, 0x020),
	LAPIC_REG("ID", 0x020, EXACT, ""),
	LAPIC_REG("version", 0x030, EXACT, "a constant"),
	LAPIC_RESERVED(0x040, 0x080),
	LAPIC_REG("TPR", 0x080, EXACT, ""),
	LAPIC_REG("APR", 0x090, EXACT, ""),
	LAPIC_REG("PPR", 0x0a0, CONVERTED, "follows from TPR and ISR on both sides"),
	LAPIC_RESERVED(0x0b0, 0x0d0),
	LAPIC_REG("LDR", 0x0d0, EXACT, ""),
	LAPIC_REG("DFR", 0x0e0, EXACT, ""),
	LAPIC_REG("SPIV", 0x0f0, EXACT, ""),
	BYTES("ISR", 0x100, 0x180, 4, EXACT, "LAPIC_REGS", ""),
	BYTES("TMR", 0x180, 0x200, 4, EXACT, "LAPIC_REGS", ""),
	BYTES("IRR", 0x200, 0x280, 4, EXACT, "LAPIC_REGS", ""),
	LAPIC_REG("ESR", 0x280, EXACT, ""),
	LAPIC_RESERVED(0x290, 0x300),
	LAPIC_REG("ICR", 0x300, EXACT, ""),
	LAPIC_REG("ICR2", 0x310, EXACT, ""),
	LAPIC_REG("LVT timer", 0x320, EXACT, ""),
	LAPIC_REG("LVT thermal", 0x330, EXACT, ""),
	LAPIC_REG("LVT performance", 0x340, EXACT, ""),
	LAPIC_REG(
		"LVT LINT0", 0x350, EXACT,
		"the boot processor's at reset is unmasked ExtINT, as KVM's; Xen's own is masked"),
	LAPIC_REG("LVT LINT1", 0x360, EXACT, ""),
	LAPIC_REG("LVT error", 0x370, EXACT, ""),
	LAPIC_REG("TMICT", 0x380, CONVERTED,
		  "KVM's bus has 1 GHz, Xen's 100 MHz: a tenth, rounded up; a period shorter than "
		  "10 ns becomes 10 ns"),
	LAPIC_REG("TMCCT", 0x390, CONVERTED,
		  "as TMICT; but a load starts a whole period: the phase is lost"),
	LAPIC_RESERVED(0x3a0, 0x3e0),
	LAPIC_REG("TDCR", 0x3e0, EXACT, ""),
	LAPIC_RESERVED(0x3f0, 0x400),
};

#define BIT "0 or 1"
static const struct field pic[] = {
	FIELD(kvm_pic_state, last_irr, CONVERTED, "ISA_IRQ",
	      "the lines' levels, which the library keeps; never the cascade's"),
	FIELD(kvm_pic_state, irr, EXACT, "PIC.irr", ""),
	FIELD(kvm_pic_state, imr, EXACT, "PIC.imr", ""),
	FIELD(kvm_pic_state, isr, EXACT, "PIC.isr", ""),
	FIELD(kvm_pic_state, priority_add, CONVERTED, "PIC.priority_add", "three bits"),
	FIELD(kvm_pic_state, irq_base, EXACT, "PIC.irq_base", ""),
	FIELD(kvm_pic_state, read_reg_select, CONVERTED, "PIC.readsel_isr", BIT),
	FIELD(kvm_pic_state, poll, CONVERTED, "PIC.poll", BIT),
	FIELD(kvm_pic_state, special_mask, CONVERTED, "PIC.special_mask_mode", BIT),
	FIELD(kvm_pic_state, init_state, CONVERTED, "PIC.init_state",
	      "two bits: which ICW comes next"),
	FIELD(kvm_pic_state, auto_eoi, CONVERTED, "PIC.auto_eoi", BIT),
	FIELD(kvm_pic_state, rotate_on_auto_eoi, CONVERTED, "PIC.rotate_on_auto_eoi", BIT),
	FIELD(kvm_pic_state, special_fully_nested_mode, CONVERTED, "PIC.special_fully_nested_mode",
	      BIT),
	FIELD(kvm_pic_state, init4, CONVERTED, "PIC.init_state",
	      "0 or 1; Xen has it only during the ICW sequence, when it counts"),
	FIELD(kvm_pic_state, elcr, EXACT, "PIC.elcr", ""),
	FIELD(kvm_pic_state, elcr_mask, CONVERTED, "", "the constant 0xf8 or 0xde"),
};

static const struct field ioapic[] = {
	FIELD(kvm_ioapic_state, base_address, EXACT, "IOAPIC.base_address", ""),
	FIELD(kvm_ioapic_state, ioregsel, EXACT, "IOAPIC.ioregsel", ""),
	FIELD(kvm_ioapic_state, id, EXACT, "IOAPIC.id", ""),
	FIELD(kvm_ioapic_state, irr, CONVERTED, "ISA_IRQ, PCI_IRQ",
	      "the lines' levels, which the library keeps: Xen has no such register"),
	FIELD(kvm_ioapic_state, pad, LOST, "", MUST_BE_0),
	ARRAY(kvm_ioapic_state, redirtbl, EXACT, "IOAPIC.redirtbl",
	      "the first 24 of Xen's 48; the guest reads 48 in the version register"),
};

#define CHANNEL(n, member, fidelity, xen, note)                                                    \
	FIELD(kvm_pit_state2, channels[n].member, fidelity, xen, note)
#define CHANNELS(n)                                                                                \
	CHANNEL(n, count, EXACT, "PIT.channels.count", ""),                                        \
		CHANNEL(n, latched_count, EXACT, "PIT.channels.latched_count", ""),                \
		CHANNEL(n, count_latched, EXACT, "PIT.channels.count_latched", ""),                \
		CHANNEL(n, status_latched, EXACT, "PIT.channels.status_latched", ""),              \
		CHANNEL(n, status, EXACT, "PIT.channels.status", ""),                              \
		CHANNEL(n, read_state, EXACT, "PIT.channels.read_state", ""),                      \
		CHANNEL(n, write_state, EXACT, "PIT.channels.write_state", ""),                    \
		CHANNEL(n, write_latch, EXACT, "PIT.channels.write_latch", ""),                    \
		CHANNEL(n, rw_mode, EXACT, "PIT.channels.rw_mode", ""),                            \
		CHANNEL(n, mode, EXACT, "PIT.channels.mode", ""),                                  \
		CHANNEL(n, bcd, EXACT, "PIT.channels.bcd", ""),                                    \
		CHANNEL(n, gate, EXACT, "PIT.channels.gate", ""),                                  \
		CHANNEL(n, count_load_time, LOST, "",                                              \
			"the phase: a load starts a whole period, in KVM as well")
static const struct field pit[] = {
	CHANNELS(0),
	CHANNELS(1),
	CHANNELS(2),
	FIELD(kvm_pit_state2, flags, CONVERTED, "PIT.speaker_data_on",
	      "KVM_PIT_FLAGS_SPEAKER_DATA_ON; KVM_PIT_FLAGS_HPET_LEGACY is kept by the library "
	      "and changes nothing for the guest"),
	ARRAY(kvm_pit_state2, reserved, LOST, "", MUST_BE_0),
};

#define THE_LIBRARYS "the library's own; no guest reads it: there is no kvmclock under Xen"
static const struct field clock_data[] = {
	FIELD(kvm_clock_data, clock, EXACT, "", THE_LIBRARYS),
	FIELD(kvm_clock_data, flags, CONVERTED, "", "0 when read: no HOST_TSC, no REALTIME"),
	FIELD(kvm_clock_data, pad0, LOST, "", MUST_BE_0),
	FIELD(kvm_clock_data, realtime, CONVERTED, "",
	      "a SET adds the time that has passed since; 0 when read"),
	FIELD(kvm_clock_data, host_tsc, LOST, "", "0 when read"),
	ARRAY(kvm_clock_data, pad, LOST, "", MUST_BE_0),
};

#define ROUTING_TABLE "the library's table; each line and MSI goes through it"
static const struct field routing[] = {
	FIELD(kvm_irq_routing_entry, gsi, EXACT, "", ROUTING_TABLE),
	FIELD(kvm_irq_routing_entry, type, EXACT, "", "IRQCHIP and MSI"),
	FIELD(kvm_irq_routing_entry, flags, EXACT, "", ROUTING_TABLE),
	FIELD(kvm_irq_routing_entry, pad, LOST, "", MUST_BE_0),
	FIELD(kvm_irq_routing_entry, u, CONVERTED,
	      "set_isa_irq_level, set_pci_intx_level, inject_msi",
	      "a pin of one of PIC and IOAPIC below 16 drives both: Xen's lines do; IOAPIC pin 0 "
	      "drives nothing, Xen's timer is on pin 2"),
};

#define STRUCTURE(s, ioctls, object, base, fields)                                                 \
	{                                                                                          \
#s, ioctls, sizeof(struct s), object, base, fields, COUNT(fields)                  \
	}
#define OF_VCPU(s, ioctls, fields)                                                                 \
	STRUCTURE(kvm_##s, ioctls, IN_VCPU, offsetof(struct vcpu_state, s), fields)
static const struct structure all[] = {
	OF_VCPU(regs, "KVM_GET_REGS, KVM_SET_REGS, kvm_run.s.regs", regs),
	OF_VCPU(sregs, "KVM_GET_SREGS, KVM_SET_SREGS, kvm_run.s.regs", sregs),
	STRUCTURE(kvm_sregs2, "KVM_GET_SREGS2, KVM_SET_SREGS2", IN_NOTHING, 0, sregs2),
	STRUCTURE(kvm_fpu, "KVM_GET_FPU, KVM_SET_FPU", IN_NOTHING, 0, fpu),
	OF_VCPU(xsave, "KVM_GET_XSAVE, KVM_GET_XSAVE2, KVM_SET_XSAVE", xsave),
	STRUCTURE(kvm_xcrs, "KVM_GET_XCRS, KVM_SET_XCRS", IN_NOTHING, 0, xcrs),
	OF_VCPU(debugregs, "KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS", debugregs),
	STRUCTURE(kvm_vcpu_events, "KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, kvm_run.s.regs",
		  IN_VCPU, offsetof(struct vcpu_state, events), events),
	OF_VCPU(mp_state, "KVM_GET_MP_STATE, KVM_SET_MP_STATE", mp_state),
	STRUCTURE(kvm_lapic_state, "KVM_GET_LAPIC, KVM_SET_LAPIC", IN_VCPU,
		  offsetof(struct vcpu_state, lapic), lapic),
	STRUCTURE(kvm_pic_state, "KVM_GET_IRQCHIP, KVM_SET_IRQCHIP", IN_PIC, 0, pic),
	STRUCTURE(kvm_ioapic_state, "KVM_GET_IRQCHIP, KVM_SET_IRQCHIP", IN_IOAPIC, 0, ioapic),
	STRUCTURE(kvm_pit_state2, "KVM_GET_PIT2, KVM_SET_PIT2, KVM_GET_PIT, KVM_SET_PIT", IN_PIT, 0,
		  pit),
	STRUCTURE(kvm_clock_data, "KVM_GET_CLOCK, KVM_SET_CLOCK", IN_NOTHING, 0, clock_data),
	STRUCTURE(kvm_irq_routing_entry, "KVM_SET_GSI_ROUTING", IN_NOTHING, 0, routing),
};

const struct structure *structures(size_t *count)
{
	*count = COUNT(all);
	return all;
}

const char *fidelity_name(enum fidelity fidelity)
{
	static const char *const names[] = {
		[EXACT] = "exact",
		[CONVERTED] = "converted",
		[LOST] = "lost",
	};

	return names[fidelity];
}

/* What carries the registers of each home. */
static const struct field homes[] = {
	[MSR_HOME_CPU] = {.xen = "CPU", .fidelity = EXACT, .note = ""},
	[MSR_HOME_CPU_MSR] = {.xen = "CPU_MSR", .fidelity = EXACT, .note = ""},
	[MSR_HOME_MTRR] = {.xen = "MTRR", .fidelity = EXACT, .note = ""},
	[MSR_HOME_TSC_ADJUST] = {.xen = "TSC_ADJUST",
				 .fidelity = EXACT,
				 .note = "the value alone: the TSC does not move with it"},
	[MSR_HOME_TSC] = {.xen = "CPU.tsc",
			  .fidelity = CONVERTED,
			  .note = "goes on while the vcpu is stopped; exact to the time that one "
				  "hypercall takes"},
	[MSR_HOME_LAPIC] = {.xen = "LAPIC.tdt_msr", .fidelity = EXACT, .note = ""},
	[MSR_HOME_SREGS] = {.xen = "CPU", .fidelity = EXACT, .note = "as the field of kvm_sregs"},
	[MSR_HOME_APIC_BASE] = {.xen = "LAPIC.apic_base_msr",
				.fidelity = EXACT,
				.note = "as the field of kvm_sregs"},
	[MSR_HOME_LIBRARY] = {.xen = "",
			      .fidelity = LOST,
			      .note = "the library keeps the VMM's value; the guest has Xen's"},
};

void msr_field(int row, struct field *field)
{
	*field = homes[msr_table[row].home];
	field->name = msr_table[row].name;
	field->size = field->element = sizeof(uint64_t);
	field->offset = offsetof(struct vcpu_state, msrs) + row * sizeof(uint64_t);
	if (row >= MSR_ROW_MTRR_PHYSBASE0 + 2 && row <= MSR_ROW_MTRR_PHYSMASK7) {
		field->fidelity = CONVERTED;
		field->note = "exact when set; what the guest writes is not seen: Xen saves the "
			      "first range in the place of all";
	} else if (row == MSR_ROW_PAT) {
		field->note = "the guest's own where the processor has one for guests";
	} else if (row == MSR_ROW_EFER) {
		field->fidelity = CONVERTED;
	}
}
