/*
 * CPU_XSAVE: XCR0 and the XSAVE area, standard form on both sides, laid out as the processor does.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

#define AREA_OFFSET    offsetof(struct hvm_hw_cpu_xsave, save_area)
#define LEGACY_SIZE    576 /* the FXSAVE image and the XSAVE header */
#define HEADER_OFFSET  512
#define HEADER_SIZE    64
#define XCOMP_OFFSET   (HEADER_OFFSET + 8)
static_assert(AREA_OFFSET == 24, "CPU_XSAVE record");
static_assert(sizeof(((struct hvm_hw_cpu_xsave *)0)->save_area) == LEGACY_SIZE,
	      "area without components");
#define FXSAVE_MXCSR 24
#define MXCSR_KNOWN  0xffffu

#define XSTATE_YMM    (1ull << 2)
#define XSTATE_MPX    (3ull << 3)
#define XSTATE_AVX512 (7ull << 5)

/* XCR0 values that hardware takes: components that need others, and those that come together. */
static uint64_t close_over(uint64_t components)
{
	components |= STATE_XSTATE_FP;
	if (components & XSTATE_AVX512)
		components |= XSTATE_AVX512 | XSTATE_YMM;
	if (components & XSTATE_YMM)
		components |= STATE_XSTATE_SSE;
	if (components & XSTATE_MPX)
		components |= XSTATE_MPX;
	return components;
}

size_t xsave_record_from_state(void *body, size_t size, const struct vcpu_state *state)
{
	struct hvm_hw_cpu_xsave record;
	uint64_t bv = vcpu_state_xstate_bv(state);
	size_t length = AREA_OFFSET + sizeof state->xsave.region;
	uint32_t mxcsr;
	char *area = (char *)body + AREA_OFFSET;

	if (state->xcr0_max)
		bv &= state->xcr0_max;
	if (size < length)
		return 0;
	memset(&record, 0, sizeof record);
	record.xcr0 = close_over(state->xcr0);
	record.xcr0_accum = close_over(record.xcr0 | bv);
	memcpy(body, &record, AREA_OFFSET);
	memcpy(area, state->xsave.region, sizeof state->xsave.region);
	memset(area + HEADER_OFFSET, 0, HEADER_SIZE);
	memcpy(area + HEADER_OFFSET, &bv, sizeof bv);
	memcpy(&mxcsr, area + FXSAVE_MXCSR, sizeof mxcsr);
	mxcsr &= MXCSR_KNOWN;
	memcpy(area + FXSAVE_MXCSR, &mxcsr, sizeof mxcsr);
	return length;
}

void xsave_record_to_state(struct vcpu_state *state, const void *body, size_t length)
{
	struct hvm_hw_cpu_xsave record;
	const char *area = (const char *)body + AREA_OFFSET;
	size_t content;

	if (length < sizeof record)
		return;
	memcpy(&record, body, sizeof record);
	content = length - AREA_OFFSET;
	if (content > sizeof state->xsave.region)
		content = sizeof state->xsave.region;
	memset(state->xsave.region, 0, sizeof state->xsave.region);
	memcpy(state->xsave.region, area, content);
	memset((char *)state->xsave.region + XCOMP_OFFSET, 0, HEADER_SIZE - 8);
	state->xcr0 = record.xcr0;
}
