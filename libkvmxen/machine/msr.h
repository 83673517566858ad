/*
 * msr: every model specific register that KVM_GET_MSRS and KVM_SET_MSRS know, in one table.
 *
 * A row says the number, where the value lives (its home: which Xen record carries it), what a
 * VMM may write, the value at reset, and whether KVM_GET_MSR_INDEX_LIST names it. A few registers
 * that KVM answers with a constant have no row; msr.c lists them.
 *
 * These are the rules for the VMM's own accesses (KVM's "host initiated"). The guest's RDMSR and
 * WRMSR are Xen's business.
 */
#ifndef KVMXEN_MACHINE_MSR_H
#define KVMXEN_MACHINE_MSR_H

#include <stddef.h>
#include <stdint.h>

struct vcpu_state;
struct kvm_cpuid_entry2;

/* Where the value of a register lives, and with it what carries it to Xen. */
enum msr_home {
	MSR_HOME_CPU,        /* msrs[]: a field of the CPU record */
	MSR_HOME_CPU_MSR,    /* msrs[]: an entry of the CPU_MSR record */
	MSR_HOME_MTRR,       /* msrs[]: the MTRR record */
	MSR_HOME_TSC_ADJUST, /* msrs[]: the TSC_ADJUST record */
	MSR_HOME_TSC,        /* msrs[]: the CPU record's tsc, which whoever loads it must patch */
	MSR_HOME_LAPIC,      /* msrs[]: the LAPIC record */
	MSR_HOME_SREGS,      /* a field of vcpu_state.sregs */
	MSR_HOME_APIC_BASE,  /* vcpu_state.sregs.apic_base */
	MSR_HOME_LIBRARY,    /* msrs[]: Xen has no word for it, the library remembers it */
};

/* Flags of a row. */
#define MSR_LISTED    1u /* in KVM_GET_MSR_INDEX_LIST */
#define MSR_READ_ONLY 2u /* every write fails */
#define MSR_FEATURE   4u /* in KVM_GET_MSR_FEATURE_INDEX_LIST */

#define MSR_BANK(X, n)                                                                             \
	X(MC##n##_CTL, 0x400 + 4 * n, LIBRARY, bank_ctl, 0, 0)                                     \
	X(MC##n##_STATUS, 0x401 + 4 * n, LIBRARY, bank, 0, 0)                                      \
	X(MC##n##_ADDR, 0x402 + 4 * n, LIBRARY, bank, 0, 0)                                        \
	X(MC##n##_MISC, 0x403 + 4 * n, LIBRARY, bank, 0, 0)
#define MSR_VARIABLE_RANGE(X, n)                                                                   \
	X(MTRR_PHYSBASE##n, 0x200 + 2 * n, MTRR, mtrr_base, 0, 0)                                  \
	X(MTRR_PHYSMASK##n, 0x201 + 2 * n, MTRR, mtrr_mask, 0, 0)

/* KVM_CAP_MCE: rows MC0_* to MC31_* below. */
#define MSR_MCE_BANKS 32

/* X(name, number, home, check, value at reset, flags) */
#define MSR_TABLE(X)                                                                               \
	X(TSC, 0x10, TSC, any, 0, MSR_LISTED)                                                      \
	X(APIC_BASE, 0x1b, APIC_BASE, apic_base, 0, 0)                                             \
	X(SMI_COUNT, 0x34, LIBRARY, any, 0, MSR_LISTED)                                            \
	X(FEATURE_CONTROL, 0x3a, LIBRARY, lock_bit, 0, 0)                                          \
	X(TSC_ADJUST, 0x3b, TSC_ADJUST, tsc_adjust, 0, MSR_LISTED)                                 \
	X(SPEC_CTRL, 0x48, CPU_MSR, spec_ctrl, 0, MSR_LISTED)                                      \
	X(UCODE_REV, 0x8b, LIBRARY, any, 0x100000000, MSR_LISTED | MSR_FEATURE)                    \
	X(PLATFORM_INFO, 0xce, LIBRARY, platform_info, 1u << 31, MSR_LISTED)                       \
	X(ARCH_CAPABILITIES, 0x10a, LIBRARY, zero, 0, MSR_LISTED | MSR_FEATURE)                    \
	X(MISC_FEATURES_ENABLES, 0x140, CPU_MSR, misc_features, 0, MSR_LISTED)                     \
	X(SYSENTER_CS, 0x174, CPU, any, 0, MSR_LISTED)                                             \
	X(SYSENTER_ESP, 0x175, CPU, made_canonical, 0, MSR_LISTED)                                 \
	X(SYSENTER_EIP, 0x176, CPU, made_canonical, 0, MSR_LISTED)                                 \
	X(MCG_CAP, 0x179, LIBRARY, any, MSR_MCE_BANKS, MSR_READ_ONLY)                              \
	X(MCG_STATUS, 0x17a, LIBRARY, any, 0, MSR_LISTED)                                          \
	X(MCG_CTL, 0x17b, LIBRARY, mcg_ctl, 0, MSR_LISTED)                                         \
	X(MISC_ENABLE, 0x1a0, LIBRARY, any, 1, MSR_LISTED)                                         \
	X(POWER_CTL, 0x1fc, LIBRARY, any, 0, MSR_LISTED)                                           \
	MSR_VARIABLE_RANGE(X, 0)                                                                   \
	MSR_VARIABLE_RANGE(X, 1)                                                                   \
	MSR_VARIABLE_RANGE(X, 2)                                                                   \
	MSR_VARIABLE_RANGE(X, 3)                                                                   \
	MSR_VARIABLE_RANGE(X, 4)                                                                   \
	MSR_VARIABLE_RANGE(X, 5)                                                                   \
	MSR_VARIABLE_RANGE(X, 6)                                                                   \
	MSR_VARIABLE_RANGE(X, 7)                                                                   \
	X(MTRR_FIX64K_00000, 0x250, MTRR, mtrr_fixed, 0, 0)                                        \
	X(MTRR_FIX16K_80000, 0x258, MTRR, mtrr_fixed, 0, 0)                                        \
	X(MTRR_FIX16K_A0000, 0x259, MTRR, mtrr_fixed, 0, 0)                                        \
	X(MTRR_FIX4K_C0000, 0x268, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_C8000, 0x269, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_D0000, 0x26a, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_D8000, 0x26b, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_E0000, 0x26c, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_E8000, 0x26d, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_F0000, 0x26e, MTRR, mtrr_fixed, 0, 0)                                         \
	X(MTRR_FIX4K_F8000, 0x26f, MTRR, mtrr_fixed, 0, 0)                                         \
	X(PAT, 0x277, MTRR, pat, 0x0007040600070406, MSR_LISTED)                                   \
	X(MTRR_DEF_TYPE, 0x2ff, MTRR, mtrr_def_type, 0, 0)                                         \
	X(PERF_CAPABILITIES, 0x345, LIBRARY, zero, 0, MSR_LISTED | MSR_FEATURE)                    \
	MSR_BANK(X, 0)                                                                             \
	MSR_BANK(X, 1)                                                                             \
	MSR_BANK(X, 2)                                                                             \
	MSR_BANK(X, 3)                                                                             \
	MSR_BANK(X, 4)                                                                             \
	MSR_BANK(X, 5)                                                                             \
	MSR_BANK(X, 6)                                                                             \
	MSR_BANK(X, 7)                                                                             \
	MSR_BANK(X, 8)                                                                             \
	MSR_BANK(X, 9)                                                                             \
	MSR_BANK(X, 10)                                                                            \
	MSR_BANK(X, 11)                                                                            \
	MSR_BANK(X, 12)                                                                            \
	MSR_BANK(X, 13)                                                                            \
	MSR_BANK(X, 14)                                                                            \
	MSR_BANK(X, 15)                                                                            \
	MSR_BANK(X, 16)                                                                            \
	MSR_BANK(X, 17)                                                                            \
	MSR_BANK(X, 18)                                                                            \
	MSR_BANK(X, 19)                                                                            \
	MSR_BANK(X, 20)                                                                            \
	MSR_BANK(X, 21)                                                                            \
	MSR_BANK(X, 22)                                                                            \
	MSR_BANK(X, 23)                                                                            \
	MSR_BANK(X, 24)                                                                            \
	MSR_BANK(X, 25)                                                                            \
	MSR_BANK(X, 26)                                                                            \
	MSR_BANK(X, 27)                                                                            \
	MSR_BANK(X, 28)                                                                            \
	MSR_BANK(X, 29)                                                                            \
	MSR_BANK(X, 30)                                                                            \
	MSR_BANK(X, 31)                                                                            \
	X(TSC_DEADLINE, 0x6e0, LAPIC, tsc_deadline, 0, MSR_LISTED)                                 \
	X(XSS, 0xda0, LIBRARY, zero, 0, 0)                                                         \
	X(EFER, 0xc0000080, SREGS, efer, 0, 0)                                                     \
	X(STAR, 0xc0000081, CPU, any, 0, MSR_LISTED)                                               \
	X(LSTAR, 0xc0000082, CPU, canonical, 0, MSR_LISTED)                                        \
	X(CSTAR, 0xc0000083, CPU, canonical, 0, MSR_LISTED)                                        \
	X(SYSCALL_MASK, 0xc0000084, CPU, any, 0, MSR_LISTED)                                       \
	X(FS_BASE, 0xc0000100, SREGS, canonical, 0, 0)                                             \
	X(GS_BASE, 0xc0000101, SREGS, canonical, 0, 0)                                             \
	X(KERNEL_GS_BASE, 0xc0000102, CPU, canonical, 0, MSR_LISTED)                               \
	X(TSC_AUX, 0xc0000103, CPU, tsc_aux, 0, MSR_LISTED)                                        \
	X(HWCR, 0xc0010015, LIBRARY, hwcr, 0, MSR_LISTED)                                          \
	X(VIRT_SPEC_CTRL, 0xc001011f, CPU_MSR, virt_spec_ctrl, 0, MSR_LISTED)                      \
	X(DECFG, 0xc0011029, LIBRARY, zero, 0, MSR_FEATURE)

enum msr_row_index {
#define X(name, number, home, check, reset, flags) MSR_ROW_##name,
	MSR_TABLE(X)
#undef X
		MSR_TABLE_SIZE
};

struct msr_row_info {
	uint32_t number;
	enum msr_home home;
	uint32_t flags; /* MSR_LISTED and the like */
	uint64_t reset;
	const char *name;
};

/* The table itself, indexed by enum msr_row_index. */
extern const struct msr_row_info msr_table[MSR_TABLE_SIZE];

/* The row of a register, or -1. */
int msr_row(uint32_t number);

/* What KVM_GET_MSRS stores for one register. cpuid (n entries, may be NULL) is what the VMM set
 * with KVM_SET_CPUID2. 0, or -EINVAL where KVM stops and returns how many it has done. */
int msr_get(const struct vcpu_state *state, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
	    uint32_t number, uint64_t *value);
/* One register of KVM_SET_MSRS; marks the part of the state dirty that carries it. */
int msr_set(struct vcpu_state *state, const struct kvm_cpuid_entry2 *cpuid, uint32_t n,
	    uint32_t number, uint64_t value);

/* KVM_GET_MSR_INDEX_LIST and KVM_GET_MSR_FEATURE_INDEX_LIST: the number of registers; as many of
 * them as fit are stored in out[n]. */
uint32_t msr_index_list(uint32_t *out, uint32_t n);
uint32_t msr_feature_list(uint32_t *out, uint32_t n);
/* KVM_GET_MSRS on /dev/kvm: 0 or -EINVAL. */
int msr_feature_get(uint32_t number, uint64_t *value);

#endif
