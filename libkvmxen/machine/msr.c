#include "libkvmxen/machine/msr.h"

#include <errno.h>
#include <stdbool.h>

#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/state.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What a check may look at, and the value that it may trim as KVM does. */
struct msr_write {
	const struct vcpu_state *state;
	const struct kvm_cpuid_entry2 *cpuid;
	uint32_t n;
	enum msr_row_index row;
	uint64_t value;
};

typedef bool msr_check(struct msr_write *write);

static bool check_any(struct msr_write *write)
{
	return true;
}

static bool check_zero(struct msr_write *write)
{
	return write->value == 0;
}

static uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

static bool check_canonical(struct msr_write *write)
{
	return write->value == canonical(write->value);
}

/* KVM trims these instead of refusing: some guests of old wrote 32 bits with junk above. */
static bool check_made_canonical(struct msr_write *write)
{
	write->value = canonical(write->value);
	return true;
}

static bool check_lock_bit(struct msr_write *write)
{
	return (write->value & ~1ull) == 0;
}

/* A feature bit of the guest's table: EBX of leaf (subleaf 0), or EDX. */
static bool has_ebx(const struct msr_write *write, uint32_t leaf, uint32_t bits)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(write->cpuid, write->n, leaf, 0);

	return e && e->ebx & bits;
}

static bool has_edx(const struct msr_write *write, uint32_t leaf, uint32_t bits)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(write->cpuid, write->n, leaf, 0);

	return e && e->edx & bits;
}

#define LEAF7_EBX_TSC_ADJUST (1u << 1)
#define LEAF7_EDX_SPEC_CTRL  (1u << 26 | 1u << 27 | 1u << 31) /* IBRS, STIBP, SSBD */
#define AMD_EBX_SPEC_CTRL    (1u << 14 | 1u << 15 | 1u << 24) /* the same of leaf 0x80000008 */
#define AMD_EBX_VIRT_SSBD    (1u << 25)
#define SPEC_CTRL_KNOWN      0x7ull /* IBRS, STIBP, SSBD */
#define VIRT_SPEC_CTRL_KNOWN 0x4ull /* SSBD */

/* KVM takes a value although the guest has no such register; Xen would refuse the vcpu's whole
 * record. Zero, which VMMs set everywhere, is fine. */
static bool check_spec_ctrl(struct msr_write *write)
{
	if (write->value & ~SPEC_CTRL_KNOWN)
		return false;
	return !write->value || has_edx(write, 7, LEAF7_EDX_SPEC_CTRL) ||
	       has_ebx(write, 0x80000008, AMD_EBX_SPEC_CTRL);
}

static bool check_virt_spec_ctrl(struct msr_write *write)
{
	if (write->value & ~VIRT_SPEC_CTRL_KNOWN)
		return false;
	return !write->value || has_ebx(write, 0x80000008, AMD_EBX_VIRT_SSBD);
}

/* A guest without the feature keeps zero. */
static bool check_tsc_adjust(struct msr_write *write)
{
	if (!has_ebx(write, 7, LEAF7_EBX_TSC_ADJUST))
		write->value = write->state->msrs[write->row];
	return true;
}

#define PLATFORM_INFO_CPUID_FAULT    (1ull << 31)
#define MISC_FEATURES_CPUID_FAULTING 1ull

static bool check_platform_info(struct msr_write *write)
{
	return (write->value & PLATFORM_INFO_CPUID_FAULT) ||
	       !(write->state->msrs[MSR_ROW_MISC_FEATURES_ENABLES] & MISC_FEATURES_CPUID_FAULTING);
}

static bool check_misc_features(struct msr_write *write)
{
	if (write->value & ~MISC_FEATURES_CPUID_FAULTING)
		return false;
	return !write->value ||
	       (write->state->msrs[MSR_ROW_PLATFORM_INFO] & PLATFORM_INFO_CPUID_FAULT);
}

#define MCG_CTL_P (1ull << 8)

static bool check_mcg_ctl(struct msr_write *write)
{
	if (!(write->state->msrs[MSR_ROW_MCG_CAP] & MCG_CTL_P))
		return write->value == 0;
	return write->value == 0 || write->value == ~0ull;
}

/* A bank beyond those of MCG_CAP does not exist. */
static bool check_bank(struct msr_write *write)
{
	uint32_t bank = (msr_table[write->row].number - msr_table[MSR_ROW_MC0_CTL].number) / 4;

	return bank < (write->state->msrs[MSR_ROW_MCG_CAP] & 0xff);
}

/* All bits or none, but for two bits that guests clear: 10 (a K8 erratum) and 0 (a P6 one). */
static bool check_bank_ctl(struct msr_write *write)
{
	if (!check_bank(write))
		return false;
	return write->value == 0 || (write->value | (1 << 10) | 1) == ~0ull;
}

/* Memory types: uncacheable 0, write combining 1, through 4, protected 5, back 6. */
static bool memory_type(uint8_t type)
{
	return type < 8 && ((1u << type) & 0x73);
}

static bool check_mtrr_fixed(struct msr_write *write)
{
	for (unsigned i = 0; i < 64; i += 8)
		if (!memory_type(write->value >> i))
			return false;
	return true;
}

static bool check_mtrr_def_type(struct msr_write *write)
{
	return !(write->value & ~0xcffull) && memory_type(write->value);
}

static uint64_t physical_reserved(const struct msr_write *write)
{
	return ~0ull << cpuid_physical_bits(write->cpuid, write->n);
}

static bool check_mtrr_base(struct msr_write *write)
{
	return !(write->value & (physical_reserved(write) | 0xf00)) && memory_type(write->value);
}

static bool check_mtrr_mask(struct msr_write *write)
{
	return !(write->value & (physical_reserved(write) | 0x7ff));
}

/* PAT knows one type more than the MTRRs: 7, uncached minus. */
static bool check_pat(struct msr_write *write)
{
	for (unsigned i = 0; i < 64; i += 8)
		if ((uint8_t)(write->value >> i) != 7 && !memory_type(write->value >> i))
			return false;
	return true;
}

/* LMA is not the VMM's to change here: it follows CR0.PG. */
static bool check_efer(struct msr_write *write)
{
	if (write->value & ~STATE_EFER_KNOWN)
		return false;
	write->value =
		(write->value & ~STATE_EFER_LMA) | (write->state->sregs.efer & STATE_EFER_LMA);
	return true;
}

static bool check_apic_base(struct msr_write *write)
{
	return vcpu_state_apic_base_valid(write->value,
					  cpuid_physical_bits(write->cpuid, write->n));
}

static bool check_tsc_aux(struct msr_write *write)
{
	if (write->value >> 32 && cpuid_vendor(write->cpuid, write->n) == CPUID_VENDOR_INTEL)
		return false;
	write->value = (uint32_t)write->value;
	return true;
}

/* Outside deadline mode the register reads as zero and forgets what is written. */
static bool check_tsc_deadline(struct msr_write *write)
{
	if (!vcpu_state_lapic_deadline(write->state))
		write->value = 0;
	return true;
}

#define HWCR_TLB_CACHE_DISABLE (1ull << 3)
#define HWCR_FFDIS             (1ull << 6)
#define HWCR_IGNNE_EM          (1ull << 8)
#define HWCR_MC_STATUS_WR_EN   (1ull << 18)
#define HWCR_TSC_FREQ_SEL      (1ull << 24)

static bool check_hwcr(struct msr_write *write)
{
	write->value &= ~(HWCR_TLB_CACHE_DISABLE | HWCR_FFDIS | HWCR_IGNNE_EM);
	return !(write->value & ~(HWCR_MC_STATUS_WR_EN | HWCR_TSC_FREQ_SEL));
}

const struct msr_row_info msr_table[MSR_TABLE_SIZE] = {
#define X(name_, number_, home_, check_, reset_, flags_)                                           \
	[MSR_ROW_##name_] = {                                                                      \
		.number = number_,                                                                 \
		.home = MSR_HOME_##home_,                                                          \
		.flags = flags_,                                                                   \
		.reset = reset_,                                                                   \
		.name = #name_,                                                                    \
	},
	MSR_TABLE(X)
#undef X
};

static msr_check *const checks[MSR_TABLE_SIZE] = {
#define X(name, number, home, check, reset, flags) [MSR_ROW_##name] = check_##check,
	MSR_TABLE(X)
#undef X
};

/* Registers that KVM answers with a constant, whatever was written. */
#define READABLE  1u /* or a read fails */
#define WRITABLE  2u /* or every write fails */
#define ZERO_ONLY 4u /* or a write takes any value */
static const struct msr_constant {
	uint32_t first, count;
	uint32_t access;
	uint64_t value;
} constants[] = {
	{0x00000000, 2, READABLE, 0}, /* P5_MC_ADDR, _TYPE */
	/* kvmclock is not offered, but QEMU clears WALL_CLOCK and SYSTEM_TIME in any case. */
	{0x00000011, 2, READABLE | WRITABLE | ZERO_ONLY, 0},
	{0x00000017, 1, READABLE, 0},                         /* PLATFORM_ID */
	{0x0000002a, 1, READABLE, 0},                         /* EBL_CR_POWERON */
	{0x0000002c, 1, READABLE, 1 << 24},                   /* EBC_FREQUENCY_ID */
	{0x00000079, 1, WRITABLE, 0},                         /* UCODE_WRITE */
	{0x000000c1, 2, READABLE | WRITABLE, 0},              /* PERFCTR */
	{0x000000cd, 1, READABLE, 3},                         /* FSB_FREQ */
	{0x000000fe, 1, READABLE, 0x508},                     /* MTRRcap: see below */
	{0x0000011e, 1, READABLE | WRITABLE, 0xbe702111},     /* BBL_CR_CTL3 */
	{0x00000186, 2, READABLE | WRITABLE, 0},              /* EVNTSEL */
	{0x00000198, 1, READABLE, 1000ull | (4ull << 40)},    /* PERF_STATUS */
	{0x00000199, 1, READABLE, 0},                         /* PERF_CTL */
	{0x000001d9, 1, READABLE | WRITABLE, 0},              /* DEBUGCTL */
	{0x000001db, 4, READABLE, 0},                         /* LASTBRANCHFROMIP etc. */
	{0x00000280, 32, READABLE | WRITABLE | ZERO_ONLY, 0}, /* MCi_CTL2: no CMCI */
	{0x00000606, 1, READABLE, 0},                         /* RAPL_POWER_UNIT */
	{0x00000611, 1, READABLE, 0},                         /* PKG_ENERGY_STATUS */
	{0x00000619, 1, READABLE, 0},                         /* DRAM_ENERGY_STATUS */
	{0x00000639, 1, READABLE, 0},                         /* PP0_ENERGY_STATUS */
	{0x00000641, 1, READABLE, 0},                         /* PP1_ENERGY_STATUS */
	{0xc0010000, 8, READABLE | WRITABLE, 0},              /* K7_EVNTSEL, _PERFCTR */
	{0xc0010010, 1, READABLE, 0},                         /* SYSCFG */
	{0xc001001b, 1, READABLE | WRITABLE, 0x20000000},     /* K7_CLK_CTL */
	{0xc001001f, 1, READABLE | WRITABLE, 0},              /* NB_CFG */
	{0xc0010020, 1, WRITABLE, 0},                         /* PATCH_LOADER */
	{0xc0010055, 1, READABLE, 0},                         /* K8_INT_PENDING_MSG */
	{0xc0010058, 1, READABLE | WRITABLE | ZERO_ONLY, 0},  /* FAM10H_MMIO_CONF_BASE */
	{0xc0010112, 2, READABLE, 0},                         /* K8_TSEG_ADDR, _MASK */
	{0xc0010117, 1, READABLE | WRITABLE, 0},              /* VM_HSAVE_PA */
	{0xc0011022, 2, READABLE | WRITABLE, 0},              /* DC_CFG, TW_CFG */
	{0xc001102a, 1, READABLE | WRITABLE, 0},              /* BU_CFG2 */
	{0xc001102c, 1, READABLE | WRITABLE, 0},              /* F15H_EX_CFG */
};
/* MTRRcap: eight variable ranges, fixed ranges, write combining. */

static const struct msr_constant *constant(uint32_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (number - constants[i].first < constants[i].count)
			return &constants[i];
	return NULL;
}

int msr_row(uint32_t number)
{
	for (int row = 0; row < MSR_TABLE_SIZE; row++)
		if (msr_table[row].number == number)
			return row;
	return -1;
}

/* The field of sregs that is a register of MSR_HOME_SREGS or MSR_HOME_APIC_BASE. */
static uint64_t *sregs_field(struct vcpu_state *state, enum msr_row_index row)
{
	switch (row) {
	case MSR_ROW_APIC_BASE:
		return (uint64_t *)&state->sregs.apic_base;
	case MSR_ROW_EFER:
		return (uint64_t *)&state->sregs.efer;
	case MSR_ROW_FS_BASE:
		return (uint64_t *)&state->sregs.fs.base;
	case MSR_ROW_GS_BASE:
		return (uint64_t *)&state->sregs.gs.base;
	default:
		return &state->msrs[row];
	}
}

static const uint32_t home_part[] = {
	[MSR_HOME_CPU] = STATE_MSRS,    [MSR_HOME_CPU_MSR] = STATE_MSRS,
	[MSR_HOME_MTRR] = STATE_MSRS,   [MSR_HOME_TSC_ADJUST] = STATE_MSRS,
	[MSR_HOME_TSC] = STATE_TSC,     [MSR_HOME_LAPIC] = STATE_LAPIC,
	[MSR_HOME_SREGS] = STATE_SREGS, [MSR_HOME_APIC_BASE] = STATE_LAPIC,
	[MSR_HOME_LIBRARY] = 0, /* nothing to tell Xen */
};

int msr_get(const struct vcpu_state *state, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
	    uint32_t number, uint64_t *value)
{
	int row = msr_row(number);
	const struct msr_constant *fixed;

	if (row >= 0) {
		struct msr_write bank = {.state = state, .row = row};

		if (number >= msr_table[MSR_ROW_MC0_CTL].number &&
		    number <= msr_table[MSR_ROW_MC31_MISC].number && !check_bank(&bank))
			return -EINVAL;
		*value = *sregs_field((struct vcpu_state *)state, row);
		if (row == MSR_ROW_TSC_DEADLINE && !vcpu_state_lapic_deadline(state))
			*value = 0;
		return 0;
	}
	fixed = constant(number);
	if (!fixed || !(fixed->access & READABLE))
		return -EINVAL;
	*value = fixed->value;
	return 0;
}

int msr_set(struct vcpu_state *state, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
	    uint32_t number, uint64_t value)
{
	struct msr_write write = {state, cpuid, n, msr_row(number), value};
	const struct msr_constant *fixed;
	int row = msr_row(number);

	if (row >= 0) {
		if (msr_table[row].flags & MSR_READ_ONLY || !checks[row](&write))
			return -EINVAL;
		*sregs_field(state, row) = write.value;
		state->dirty |= home_part[msr_table[row].home];
		return 0;
	}
	fixed = constant(number);
	if (!fixed || !(fixed->access & WRITABLE) || (fixed->access & ZERO_ONLY && value))
		return -EINVAL;
	return 0;
}

static uint32_t list(uint32_t flag, uint32_t *out, uint32_t n)
{
	uint32_t count = 0;

	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		if (!(msr_table[row].flags & flag))
			continue;
		if (count < n)
			out[count] = msr_table[row].number;
		count++;
	}
	return count;
}

uint32_t msr_index_list(uint32_t *out, uint32_t n)
{
	return list(MSR_LISTED, out, n);
}

uint32_t msr_feature_list(uint32_t *out, uint32_t n)
{
	return list(MSR_FEATURE, out, n);
}

int msr_feature_get(uint32_t number, uint64_t *value)
{
	int row = msr_row(number);

	if (row < 0 || !(msr_table[row].flags & MSR_FEATURE))
		return -EINVAL;
	*value = msr_table[row].reset;
	return 0;
}
