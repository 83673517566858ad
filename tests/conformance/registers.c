/* registers: what a vcpu's state may and may not be set to, before it runs. */
#include "answers.h"

static struct kvm_sregs reset;

static void sregs(int vcpu, const char *what, const struct kvm_sregs *wanted)
{
	answer(ioctl(vcpu, KVM_SET_SREGS, wanted), "sregs/%s", what);
	ioctl(vcpu, KVM_SET_SREGS, &reset);
}

#define WITH(what, change)                                                                         \
	do {                                                                                       \
		struct kvm_sregs s = reset;                                                        \
		change;                                                                            \
		sregs(vcpu, what, &s);                                                             \
	} while (0)

static void special(int vcpu)
{
	ioctl(vcpu, KVM_GET_SREGS, &reset);
	WITH("as they are", (void)0);
	WITH("protected", s.cr0 |= 1);
	WITH("cr4 bit 63", s.cr4 |= 1ull << 63);
	WITH("cr4 bit 15", s.cr4 |= 1 << 15);
	WITH("pae", s.cr4 |= 1 << 5);
	WITH("long without pae", s.cr0 |= 0x80000001; s.efer = 0x500);
	WITH("long without lma", s.cr0 |= 0x80000001; s.cr4 |= 0x20; s.efer = 0x100; s.cs.l = 1);
	WITH("long", s.cr0 |= 0x80000001; s.cr4 |= 0x20; s.efer = 0x500; s.cr3 = 0x1000);
	WITH("lma without paging", s.efer = 0x400);
	WITH("lme alone", s.efer = 0x100);
	WITH("64-bit code without lme", s.cs.l = 1);
	WITH("cr8 of 15", s.cr8 = 15);
	WITH("apic base elsewhere", s.apic_base = 0xfeb01900);
	WITH("apic off", s.apic_base = 0xfee00100);
	WITH("two interrupts", s.interrupt_bitmap[0] = 0x300000000);
}

static void events(int vcpu)
{
	struct kvm_vcpu_events e = {0};

	answer(ioctl(vcpu, KVM_GET_VCPU_EVENTS, &e), "events/get");
	e.flags = 0;
	answer(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &e), "events/without flags");
	e.exception.injected = 1;
	e.exception.nr = 13;
	answer(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &e), "events/fault");
	e.exception.nr = 2;
	answer(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &e), "events/nmi as exception");
	e.exception.nr = 32;
	answer(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &e), "events/exception 32");
	e.exception.injected = 0;
	e.flags = 1u << 31;
	answer(ioctl(vcpu, KVM_SET_VCPU_EVENTS, &e), "events/unknown flag");
}

static void mp_states(int vcpu, const char *with)
{
	for (uint32_t i = 0; i < 12; i++) {
		struct kvm_mp_state state = {i}, now = {99};

		/* Bits that only other architectures know are refused by all. */
		if (answer(ioctl(vcpu, KVM_SET_MP_STATE, &state), "mp state/%s/%u", with, i))
			continue;
		ioctl(vcpu, KVM_GET_MP_STATE, &now);
		value(now.mp_state, "mp state/%s/%u, read", with, i);
	}
}

static void debug(int vcpu)
{
	struct kvm_debugregs d;

	answer(ioctl(vcpu, KVM_GET_DEBUGREGS, &d), "debugregs/get");
	value(d.dr6, "debugregs/dr6");
	value(d.dr7, "debugregs/dr7");
	d.flags = 1;
	answer(ioctl(vcpu, KVM_SET_DEBUGREGS, &d), "debugregs/flags");
	d.flags = 0;
	d.dr7 = 1ull << 32;
	answer(ioctl(vcpu, KVM_SET_DEBUGREGS, &d), "debugregs/dr7 above 32 bits");
}

static void msrs(int vcpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} m = {.head.nmsrs = 3};

	m.entry[0].index = 0x174; /* SYSENTER_CS */
	m.entry[0].data = 0x10;
	m.entry[1].index = 0xdeadbeef;
	m.entry[2].index = 0x175;
	answer(ioctl(vcpu, KVM_SET_MSRS, &m), "msrs/set up to an unknown one");
	answer(ioctl(vcpu, KVM_GET_MSRS, &m), "msrs/get up to an unknown one");
	value(m.entry[0].data, "msrs/what was set");
	m.head.nmsrs = 0;
	answer(ioctl(vcpu, KVM_GET_MSRS, &m), "msrs/none");
	m.head.nmsrs = 256;
	answer(ioctl(vcpu, KVM_GET_MSRS, &m), "msrs/256");
}

static void cpuid(int kvm, int vcpu)
{
	size_t size = sizeof(struct kvm_cpuid2) + 257 * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *c = calloc(1, size);

	answer(ioctl(vcpu, KVM_SET_CPUID2, c), "cpuid/none");
	c->nent = 257;
	answer(ioctl(vcpu, KVM_SET_CPUID2, c), "cpuid/257");
	c->nent = 1;
	answer(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c), "cpuid/supported, no room");
	c->nent = 256;
	answer(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c), "cpuid/supported");
	value(c->nent > 8 && c->nent < 256, "cpuid/supported, some");
	answer(ioctl(vcpu, KVM_SET_CPUID2, c), "cpuid/all of them");
	c->nent = 0;
	answer(ioctl(vcpu, KVM_GET_CPUID2, c), "cpuid/get, no room");
	free(c);
}

static void others(int vcpu)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t set[64];
	} mask = {.head.len = 8};
	struct kvm_interrupt irq = {.irq = 256};
	struct kvm_tpr_access_ctl tpr = {.flags = 1};
	struct kvm_guest_debug off = {0};
	uint64_t mcg = 0;

	answer(ioctl(vcpu, KVM_SET_SIGNAL_MASK, &mask), "signal mask/of 8 bytes");
	mask.head.len = 16;
	answer(ioctl(vcpu, KVM_SET_SIGNAL_MASK, &mask), "signal mask/of 16");
	answer(ioctl(vcpu, KVM_SET_SIGNAL_MASK, NULL), "signal mask/none");
	answer(ioctl(vcpu, KVM_INTERRUPT, &irq), "interrupt/256");
	answer(ioctl(vcpu, KVM_NMI, 0ul), "nmi");
	answer(ioctl(vcpu, KVM_TPR_ACCESS_REPORTING, &tpr), "tpr/flags");
	answer(ioctl(vcpu, KVM_SET_GUEST_DEBUG, &off), "guest debug/off");
	answer(ioctl(vcpu, KVM_X86_SETUP_MCE, &mcg), "mce/no banks");
	mcg = 33;
	answer(ioctl(vcpu, KVM_X86_SETUP_MCE, &mcg), "mce/33 banks");
	mcg = 10;
	answer(ioctl(vcpu, KVM_X86_SETUP_MCE, &mcg), "mce/10 banks");
	answer(ioctl(vcpu, KVM_RUN, 1ul), "run/argument");
}

void registers(void)
{
	struct kvm_regs regs;
	struct subject s;

	subject_open(&s, WITH_VCPU);
	ioctl(s.vcpu, KVM_GET_REGS, &regs);
	value(regs.rip, "regs/rip");
	value(regs.rflags, "regs/rflags");
	special(s.vcpu);
	events(s.vcpu);
	mp_states(s.vcpu, "no irqchip");
	debug(s.vcpu);
	msrs(s.vcpu);
	cpuid(s.kvm, s.vcpu);
	others(s.vcpu);
	subject_close(&s);
	subject_open(&s, WITH_IRQCHIP | WITH_VCPU);
	mp_states(s.vcpu, "irqchip");
	subject_close(&s);
}
