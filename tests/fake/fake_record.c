/* HVM save records: where each lives, how long it is, what Xen checks when it is loaded. */
#include "tests/fake/internal.h"

#define X86_CR0_PE 1ull
#define X86_CR0_ET (1ull << 4)
#define X86_CR0_PG (1ull << 31)
#define CR0_KNOWN  0xe005003full

#define EFER_SCE   1ull
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)
#define EFER_SVME  (1ull << 12)
#define EFER_FFXSE (1ull << 14)

#define RESET_PAT 0x0007040600070406ull
#define MXCSR     0x1f80

#define XCR0_FP  1ull
#define XCR0_ALL 0x2e7ull /* x87, SSE, AVX, AVX-512, PKRU */

void xen_records_reset_cpu(struct vcpu *v, uint16_t cs)
{
	struct hvm_hw_cpu *c = &v->cpu;

	memset(c, 0, sizeof *c);
	c->fpu_regs[0] = 0x7f; /* FCW 0x037f */
	c->fpu_regs[1] = 0x03;
	c->fpu_regs[24] = MXCSR & 0xff;
	c->fpu_regs[25] = MXCSR >> 8;
	c->rflags = 2;
	c->rdx = 0xf00;
	c->cr0 = X86_CR0_ET;
	c->dr6 = 0xffff0ff0;
	c->dr7 = 0x400;
	c->cs_sel = cs;
	c->cs_base = (uint64_t)cs << 4;
	c->cs_limit = c->ds_limit = c->es_limit = c->fs_limit = c->gs_limit = c->ss_limit = 0xffff;
	c->tr_limit = c->ldtr_limit = c->idtr_limit = c->gdtr_limit = 0xffff;
	c->cs_arbytes = 0x9b;
	c->ds_arbytes = c->es_arbytes = c->fs_arbytes = c->gs_arbytes = c->ss_arbytes = 0x93;
	c->tr_arbytes = 0x8b;
	c->ldtr_arbytes = 0x82;
}

void xen_records_init_vcpu(struct vcpu *v)
{
	uint32_t id = v->id * 2u << 24, version = 0x50014, lvt = 0x10000, dfr = ~0u, svr = 0xff;

	xen_records_reset_cpu(v, 0);
	v->lapic.apic_base_msr = 0xfee00000ull | 1u << 11 | (v->id ? 0 : 1u << 8);
	v->lapic.disabled = 2; /* by software */
	v->lapic.timer_divisor = 2;
	memcpy(v->lapic_regs.data + 0x20, &id, 4);
	memcpy(v->lapic_regs.data + 0x30, &version, 4);
	memcpy(v->lapic_regs.data + 0xe0, &dfr, 4);
	memcpy(v->lapic_regs.data + 0xf0, &svr, 4);
	for (unsigned reg = 0x320; reg <= 0x370; reg += 0x10)
		memcpy(v->lapic_regs.data + reg, &lvt, 4);
	v->mtrr.msr_pat_cr = RESET_PAT;
	v->mtrr.msr_mtrr_cap = 0x508;
	v->vmce.caps = 1ull << 24 | 2;
	v->xsave.head.xcr0 = v->xsave.head.xcr0_accum = XCR0_FP;
	v->xsave.head.xfeature_mask = XCR0_ALL;
}

void xen_records_init_domain(struct domain *d)
{
	d->pic[0].is_master = 1;
	d->pic[0].elcr = 0;
	d->pic[1].elcr = 0;
	d->ioapic.base_address = 0xfec00000;
	for (unsigned i = 0; i < VIOAPIC_NUM_PINS; i++)
		d->ioapic.redirtbl[i].fields.mask = 1;
	for (unsigned i = 0; i < 3; i++) {
		d->pit.channels[i].mode = 0xff;
		d->pit.channels[i].gate = i != 2;
	}
}

/* Bytes of an XSAVE area with these features. */
static uint32_t xsave_size(uint64_t features)
{
	static const struct {
		unsigned bit;
		uint32_t end;
	} areas[] = {{9, 2696}, {7, 2688}, {6, 1664}, {5, 1152}, {2, 832}};

	for (unsigned i = 0; i < sizeof areas / sizeof *areas; i++)
		if (features >> areas[i].bit & 1)
			return areas[i].end;
	return 576;
}

static bool is_hvm(const struct domain *d)
{
	return d->emulation == EMULATION_HVM;
}

bool xen_record_is_of_vcpu(uint16_t code)
{
	switch (code) {
	case HVM_SAVE_CODE(CPU):
	case HVM_SAVE_CODE(LAPIC):
	case HVM_SAVE_CODE(LAPIC_REGS):
	case HVM_SAVE_CODE(MTRR):
	case CPU_XSAVE_CODE:
	case HVM_SAVE_CODE(VMCE_VCPU):
	case HVM_SAVE_CODE(TSC_ADJUST):
	case CPU_MSR_CODE:
		return true;
	}
	return false;
}

static void *vcpu_body(struct vcpu *v, uint16_t code, uint32_t *len)
{
#define IS(member) (*len = sizeof v->member, (void *)&v->member)
	switch (code) {
	case HVM_SAVE_CODE(CPU):
		return IS(cpu);
	case HVM_SAVE_CODE(LAPIC):
		return IS(lapic);
	case HVM_SAVE_CODE(LAPIC_REGS):
		return IS(lapic_regs);
	case HVM_SAVE_CODE(MTRR):
		return IS(mtrr);
	case HVM_SAVE_CODE(VMCE_VCPU):
		return IS(vmce);
	case HVM_SAVE_CODE(TSC_ADJUST):
		return IS(tsc_adjust);
	case CPU_XSAVE_CODE:
		*len = offsetof(struct hvm_hw_cpu_xsave, save_area) +
		       xsave_size(v->xsave.head.xcr0_accum);
		return &v->xsave;
	case CPU_MSR_CODE:
		*len = offsetof(struct hvm_msr, msr) + v->msrs.count * sizeof(struct hvm_one_msr);
		return v->msrs.count ? &v->msrs : NULL;
	}
#undef IS
	return NULL;
}

void *xen_record_body(struct domain *d, uint16_t code, uint16_t instance, uint32_t *len)
{
	if (xen_record_is_of_vcpu(code))
		return instance < d->nr_vcpus ? vcpu_body(&d->vcpus[instance], code, len) : NULL;
	if (instance && !(code == HVM_SAVE_CODE(PIC) && instance == 1))
		return NULL;
#define IS(member) (*len = sizeof d->member, (void *)&d->member)
	switch (code) {
	case HVM_SAVE_CODE(PCI_IRQ):
		return IS(pci_irq);
	case HVM_SAVE_CODE(ISA_IRQ):
		return IS(isa_irq);
	case HVM_SAVE_CODE(PCI_LINK):
		return IS(pci_link);
	}
	if (!is_hvm(d))
		return NULL;
	switch (code) {
	case HVM_SAVE_CODE(PIC):
		return IS(pic[instance]);
	case HVM_SAVE_CODE(IOAPIC):
		return IS(ioapic);
	case HVM_SAVE_CODE(PIT):
		return IS(pit);
	case HVM_SAVE_CODE(RTC):
		return IS(rtc);
	case HVM_SAVE_CODE(HPET):
		return IS(hpet);
	case HVM_SAVE_CODE(PMTIMER):
		return IS(pmtimer);
	}
#undef IS
	return NULL;
}

/* hvm_efer_valid */
static const char *efer_fault(const struct domain *d, uint64_t efer, bool paging)
{
	uint32_t ext[4];

	xen_cpuid_guest(&d->vcpus[0], 0x80000001, 0, ext);
	if (efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_FFXSE))
		return "unknown EFER bits";
	if (efer & EFER_SCE && !(ext[3] & 1u << 11))
		return "EFER.SCE without the feature";
	if (efer & (EFER_LME | EFER_LMA) && !(ext[3] & 1u << 29))
		return "EFER.LME without the feature";
	if (efer & EFER_LMA && (!(efer & EFER_LME) || !paging))
		return "EFER.LMA without LME and PG";
	if (efer & EFER_NXE && !(ext[3] & 1u << 20))
		return "EFER.NXE without the feature";
	if (efer & EFER_SVME)
		return "EFER.SVME without nested virtualisation";
	if (efer & EFER_FFXSE && !(ext[3] & 1u << 25))
		return "EFER.FFXSE without the feature";
	return NULL;
}

/* hvm_cr4_guest_valid_bits */
static uint64_t cr4_valid(const struct domain *d)
{
	static const struct {
		uint64_t cr4;
		uint8_t leaf, reg, bit;
	} rules[] = {
		{0x3, 1, 3, 1},      {0x4, 1, 3, 4},       {0x8, 1, 3, 2},      {0x10, 1, 3, 3},
		{0x20, 1, 3, 6},     {0x40, 1, 3, 7},      {0x80, 1, 3, 13},    {0x200, 1, 3, 24},
		{0x400, 1, 3, 25},   {0x10000, 7, 1, 0},   {0x20000, 1, 2, 17}, {0x40000, 1, 2, 26},
		{0x100000, 7, 1, 7}, {0x200000, 7, 1, 20}, {0x400000, 7, 2, 3}, {0x800, 7, 2, 2},
	};
	uint64_t valid = 0x100; /* PCE */
	uint32_t leaf[4];

	for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++) {
		xen_cpuid_guest(&d->vcpus[0], rules[i].leaf, 0, leaf);
		if (leaf[rules[i].reg] >> rules[i].bit & 1)
			valid |= rules[i].cr4;
	}
	return valid;
}

static uint64_t max_address(const struct domain *d)
{
	uint32_t leaf[4];

	xen_cpuid_guest(&d->vcpus[0], 0x80000008, 0, leaf);
	return 1ull << (leaf[0] & 0xff ? leaf[0] & 0xff : 36);
}

/* svm_vmcb_restore */
static bool pending_is_bad(const struct hvm_hw_cpu *c)
{
	return c->pending_valid &&
	       (c->pending_type == 1 || c->pending_type > 4 || c->pending_reserved);
}

static const char *cpu_fault(const struct domain *d, const struct hvm_hw_cpu *c)
{
	if (c->pad0)
		return "pad0 is not zero";
	if (c->msr_tsc_aux >> 32)
		return "TSC_AUX is too wide";
	if (c->cr0 & ~CR0_KNOWN || !(c->cr0 & X86_CR0_ET) ||
	    (c->cr0 & (X86_CR0_PE | X86_CR0_PG)) == X86_CR0_PG)
		return "CR0";
	if (c->cr3 >= max_address(d))
		return "CR3";
	if (c->cr4 & ~cr4_valid(d))
		return "CR4";
	if (c->flags & ~XEN_X86_FPU_INITIALISED)
		return "flags";
	if (xen_is_420() && (c->dr6 >> 32 || c->dr7 >> 32))
		return "DR6 or DR7";
	return efer_fault(d, c->msr_efer, c->cr0 & X86_CR0_PG);
}

static int xsave_fault(const uint8_t *body, uint32_t len)
{
	const struct hvm_hw_cpu_xsave *x = (const void *)body;
	const uint32_t head = offsetof(struct hvm_hw_cpu_xsave, save_area);
	uint64_t accum;

	if (len < head + 576 || len > sizeof(struct xsave_record))
		return -EINVAL;
	accum = x->xcr0_accum;
	if (accum & ~XCR0_ALL || x->xcr0 & ~accum || !(x->xcr0 & XCR0_FP))
		return -EINVAL;
	if (x->save_area.xsave_hdr.xstate_bv & ~accum)
		return -EINVAL;
	if (x->save_area.xsave_hdr.xcomp_bv)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < 6; i++)
		if (x->save_area.xsave_hdr.reserved[i])
			return -EINVAL;
	if (len < head + xsave_size(accum))
		return -EINVAL;
	for (uint32_t i = head + xsave_size(accum); i < len; i++)
		if (body[i])
			return -EOPNOTSUPP;
	return 0;
}

static bool msr_is_known(uint32_t index)
{
	switch (index) {
	case 0x48:       /* SPEC_CTRL */
	case 0x140:      /* MISC_FEATURES_ENABLES */
	case 0xd90:      /* BNDCFGS */
	case 0xda0:      /* XSS */
	case 0xc001011f: /* VIRT_SPEC_CTRL */
	case 0xc0011027: /* DR0_ADDR_MASK */
	case 0xc0011019:
	case 0xc001101a:
	case 0xc001101b:
		return true;
	}
	return false;
}

static int msr_fault(const uint8_t *body, uint32_t len)
{
	const struct msr_record *m = (const void *)body;

	if (len < sizeof m->count || m->count > MSR_MAX ||
	    len != offsetof(struct hvm_msr, msr) + m->count * sizeof(struct hvm_one_msr))
		return -EINVAL;
	for (uint32_t i = 0; i < m->count; i++) {
		struct hvm_one_msr msr;

		memcpy(&msr, &m->msr[i], sizeof msr);
		if (msr._rsvd)
			return -EOPNOTSUPP;
		if (!msr_is_known(msr.index))
			return -ENXIO;
	}
	return 0;
}

int xen_record_check(struct domain *d, const struct hvm_save_descriptor *desc, const void *body)
{
	uint32_t len = 0;
	const char *fault;

	if (desc->typecode == CPU_XSAVE_CODE || desc->typecode == CPU_MSR_CODE) {
		if (desc->instance >= d->nr_vcpus)
			return -EINVAL;
		return desc->typecode == CPU_XSAVE_CODE ? xsave_fault(body, desc->length)
							: msr_fault(body, desc->length);
	}
	if (desc->typecode > HVM_SAVE_CODE_MAX)
		return -EINVAL;
	if (!xen_record_body(d, desc->typecode, desc->instance, &len))
		return xen_record_is_of_vcpu(desc->typecode) || is_hvm(d) ? -EINVAL : -ENODEV;
	if (len != desc->length)
		return -EINVAL;
	if (desc->typecode != HVM_SAVE_CODE(CPU))
		return 0;
	fault = cpu_fault(d, body);
	return fault ? -EINVAL : 0;
}

static int load_cpu(struct vcpu *v, const struct hvm_hw_cpu *c)
{
	if (pending_is_bad(c)) {
		xen_domain_crash(v->d, "CPU record with an event type that SVM cannot inject");
		return -EINVAL;
	}
	xen_ioreq_cancel(v);
	v->cpu = *c;
	v->pat = RESET_PAT; /* svm_vmcb_restore */
	v->tsc_offset = c->tsc - v->d->sync_tsc;
	if (xen_is_420()) { /* the FPU part replaces all extended state */
		v->xsave.head.save_area.xsave_hdr.xstate_bv &= 3;
		memset(v->xsave.rest, 0, sizeof v->xsave.rest);
	}
	v->initialised = true;
	v->down = false;
	v->resume = true;
	if (v->d->creation_finished)
		xen_vcpu_start(v);
	return 0;
}

int xen_record_load(struct domain *d, const struct hvm_save_descriptor *desc, const void *body)
{
	struct vcpu *v = xen_record_is_of_vcpu(desc->typecode) ? &d->vcpus[desc->instance] : NULL;
	uint32_t len = 0;
	void *to;

	switch (desc->typecode) {
	case HVM_SAVE_CODE(CPU):
		return load_cpu(v, body);
	case CPU_XSAVE_CODE:
		memset(&v->xsave, 0, sizeof v->xsave);
		memcpy(&v->xsave, body, desc->length);
		/* one FPU, two records: the later one wins */
		memcpy(v->cpu.fpu_regs, &v->xsave.head.save_area.fpu_sse, 512);
		return 0;
	case CPU_MSR_CODE:
		memcpy(&v->msrs, body, desc->length);
		return 0;
	case HVM_SAVE_CODE(MTRR):
		memcpy(&v->mtrr, body, desc->length);
		v->pat = v->mtrr.msr_pat_cr;
		return 0;
	}
	to = xen_record_body(d, desc->typecode, desc->instance, &len);
	memcpy(to, body, desc->length);
	return 0;
}

/* What Xen gives out, which is not always what it has. */
void xen_record_save(struct domain *d, uint16_t code, uint16_t instance, void *out,
		     const void *body, uint32_t len)
{
	memcpy(out, body, len);
	if (code == HVM_SAVE_CODE(CPU)) {
		struct hvm_hw_cpu *c = out;
		struct vcpu *v = &d->vcpus[instance];

		c->tsc = d->sync_tsc + v->tsc_offset;
		c->flags = XEN_X86_FPU_INITIALISED;
	} else if (code == HVM_SAVE_CODE(MTRR)) {
		struct hvm_hw_mtrr *m = out;

		/* Xen's bug: the first variable range in the place of all */
		for (unsigned i = 2; i < 2 * MTRR_VCNT; i++)
			m->msr_mtrr_var[i] = m->msr_mtrr_var[i % 2];
		m->msr_pat_cr = d->vcpus[instance].pat;
	} else if (code == CPU_XSAVE_CODE) {
		struct hvm_hw_cpu_xsave *x = out;

		memcpy(&x->save_area.fpu_sse, d->vcpus[instance].cpu.fpu_regs, 512);
		x->save_area.xsave_hdr.xstate_bv |= 3 & x->xcr0_accum;
	}
}
