/*
 * MTRR, TSC_ADJUST and CPU_MSR: the records that hold model specific registers alone.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

static_assert(sizeof(struct hvm_hw_mtrr) == 240, "MTRR record");
static_assert(MSR_ROW_MTRR_PHYSMASK7 - MSR_ROW_MTRR_PHYSBASE0 + 1 == 2 * MTRR_VCNT,
	      "variable ranges follow each other in both tables");
static_assert(MSR_ROW_MTRR_FIX4K_F8000 - MSR_ROW_MTRR_FIX64K_00000 + 1 == NUM_FIXED_MSR,
	      "fixed ranges follow each other in both tables");

/* Eight variable ranges, fixed ranges, write combining: what Xen has and KVM reports. */
#define MTRR_CAP 0x508

void mtrr_record_from_state(struct hvm_hw_mtrr *record, const struct vcpu_state *state)
{
	record->msr_pat_cr = state->msrs[MSR_ROW_PAT];
	memcpy(record->msr_mtrr_var, &state->msrs[MSR_ROW_MTRR_PHYSBASE0],
	       sizeof record->msr_mtrr_var);
	memcpy(record->msr_mtrr_fixed, &state->msrs[MSR_ROW_MTRR_FIX64K_00000],
	       sizeof record->msr_mtrr_fixed);
	record->msr_mtrr_cap = MTRR_CAP;
	record->msr_mtrr_def_type = state->msrs[MSR_ROW_MTRR_DEF_TYPE];
}

void mtrr_record_to_state(struct vcpu_state *state, const struct hvm_hw_mtrr *record,
			  bool keep_variable)
{
	size_t good =
		keep_variable ? 2 * sizeof record->msr_mtrr_var[0] : sizeof record->msr_mtrr_var;

	state->msrs[MSR_ROW_PAT] = record->msr_pat_cr;
	memcpy(&state->msrs[MSR_ROW_MTRR_PHYSBASE0], record->msr_mtrr_var, good);
	memcpy(&state->msrs[MSR_ROW_MTRR_FIX64K_00000], record->msr_mtrr_fixed,
	       sizeof record->msr_mtrr_fixed);
	state->msrs[MSR_ROW_MTRR_DEF_TYPE] = record->msr_mtrr_def_type;
}

void tsc_adjust_record_from_state(struct hvm_tsc_adjust *record, const struct vcpu_state *state)
{
	record->tsc_adjust = state->msrs[MSR_ROW_TSC_ADJUST];
}

void tsc_adjust_record_to_state(struct vcpu_state *state, const struct hvm_tsc_adjust *record)
{
	state->msrs[MSR_ROW_TSC_ADJUST] = record->tsc_adjust;
}

static size_t entry_offset(uint32_t i)
{
	return offsetof(struct hvm_msr, msr) + i * sizeof(struct hvm_one_msr);
}

/* Whether a record (length bytes, of any alignment) names a register, and its value. */
static bool entry_find(const void *body, size_t length, uint32_t index, uint64_t *value)
{
	struct hvm_one_msr entry;
	uint32_t count;

	if (length < entry_offset(0))
		return false;
	memcpy(&count, body, sizeof count);
	for (uint32_t i = 0; i < count && entry_offset(i + 1) <= length; i++) {
		memcpy(&entry, (const char *)body + entry_offset(i), sizeof entry);
		if (entry.index == index) {
			*value = entry.val;
			return true;
		}
	}
	return false;
}

/* Xen refuses the whole record for a register that the guest's CPUID does not have, so zeroes are
 * left out; but where the base names a register, its zero must be said. */
size_t cpu_msr_record_from_state(void *body, size_t size, const struct vcpu_state *state)
{
	struct hvm_one_msr entries[MSR_TABLE_SIZE];
	uint32_t count = 0;

	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		uint32_t number = msr_table[row].number;
		uint64_t old;

		if (msr_table[row].home != MSR_HOME_CPU_MSR)
			continue;
		if (!state->msrs[row] && !entry_find(body, size, number, &old))
			continue;
		entries[count++] = (struct hvm_one_msr){.index = number, .val = state->msrs[row]};
	}
	if (!count || entry_offset(count) > size)
		return 0;
	memset(body, 0, entry_offset(0));
	memcpy(body, &count, sizeof count);
	memcpy((char *)body + entry_offset(0), entries, count * sizeof *entries);
	return entry_offset(count);
}

/* A register that the record does not name is zero. */
void cpu_msr_record_to_state(struct vcpu_state *state, const void *body, size_t length)
{
	for (int row = 0; row < MSR_TABLE_SIZE; row++) {
		uint64_t value = 0;

		if (msr_table[row].home != MSR_HOME_CPU_MSR)
			continue;
		if (body)
			entry_find(body, length, msr_table[row].number, &value);
		state->msrs[row] = value;
	}
}
