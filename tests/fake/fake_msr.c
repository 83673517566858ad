/* The MSRs that a guest of the fake can read and write; others read as zero. */
#include "tests/fake/internal.h"

static uint64_t *msr_find(struct vcpu *v, uint32_t index)
{
	switch (index) {
	case 0x1b:
		return &v->lapic.apic_base_msr;
	case 0x3b:
		return &v->tsc_adjust.tsc_adjust;
	case 0x174:
		return &v->cpu.sysenter_cs;
	case 0x175:
		return &v->cpu.sysenter_esp;
	case 0x176:
		return &v->cpu.sysenter_eip;
	case 0x277:
		return &v->pat;
	case 0x2ff:
		return &v->mtrr.msr_mtrr_def_type;
	case 0x200 ... 0x20f:
		return &v->mtrr.msr_mtrr_var[index - 0x200];
	case 0xc0000080:
		return &v->cpu.msr_efer;
	case 0xc0000081:
		return &v->cpu.msr_star;
	case 0xc0000082:
		return &v->cpu.msr_lstar;
	case 0xc0000083:
		return &v->cpu.msr_cstar;
	case 0xc0000084:
		return &v->cpu.msr_syscall_mask;
	case 0xc0000100:
		return &v->cpu.fs_base;
	case 0xc0000101:
		return &v->cpu.gs_base;
	case 0xc0000102:
		return &v->cpu.shadow_gs;
	case 0xc0000103:
		return &v->cpu.msr_tsc_aux;
	}
	return NULL;
}

/* The list of CPU_MSR. */
static void msr_list_set(struct vcpu *v, uint32_t index, uint64_t value)
{
	struct msr_record *m = &v->msrs;
	uint32_t i = 0;

	while (i < m->count && m->msr[i].index != index)
		i++;
	if (i == MSR_MAX)
		return;
	m->msr[i] = (struct hvm_one_msr){.index = index, .val = value};
	m->count += i == m->count;
}

static uint64_t msr_list_get(const struct vcpu *v, uint32_t index)
{
	for (uint32_t i = 0; i < v->msrs.count; i++)
		if (v->msrs.msr[i].index == index)
			return v->msrs.msr[i].val;
	return 0;
}

void fake_op_msr(struct vcpu *v, struct guest_op *op)
{
	uint32_t index = op->op.addr;
	uint64_t *msr = msr_find(v, index);

	if (op->op.kind == FAKE_WRMSR) {
		if (index == 0x10)
			v->tsc_offset = op->op.value - xen_host_tsc();
		else if (msr)
			*msr = op->op.value;
		else
			msr_list_set(v, index, op->op.value);
		return;
	}
	if (index == 0x10)
		op->op.value = xen_vcpu_tsc(v);
	else
		op->op.value = msr ? *msr : msr_list_get(v, index);
	v->cpu.rax = (uint32_t)op->op.value;
	v->cpu.rdx = op->op.value >> 32;
}
