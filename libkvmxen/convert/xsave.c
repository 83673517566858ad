/*
 * CPU_XSAVE: XCR0 and the XSAVE area, standard form on both sides, laid out as the processor does.
 */
#include <assert.h>
#include <string.h>

#include "libkvmxen/convert/convert.h"

#define AREA_OFFSET   offsetof(struct hvm_hw_cpu_xsave, save_area)
#define LEGACY_SIZE   576 /* the FXSAVE image and the XSAVE header */
#define HEADER_OFFSET 512
#define HEADER_SIZE   64
#define XCOMP_OFFSET  (HEADER_OFFSET + 8)
static_assert(AREA_OFFSET == 24, "CPU_XSAVE record");
static_assert(sizeof(((struct hvm_hw_cpu_xsave *)0)->save_area) == LEGACY_SIZE,
	      "area without components");
#define FXSAVE_MXCSR 24
#define MXCSR_KNOWN  0xffffu

#define XSTATE_YMM        (1ull << 2)
#define XSTATE_MPX        (3ull << 3)
#define XSTATE_AVX512     (7ull << 5)
#define XSTATE_COMPONENTS 63

#define LEAF_XSTATE    0xd
#define ECX_SUPERVISOR 1u /* has no place in the standard form */

#define AREA_SIZE sizeof(((struct kvm_xsave *)0)->region)

/* Where each component ends in the area; 0: not known. A fact of the machine, learnt once. */
static uint16_t component_end[XSTATE_COMPONENTS];

void xsave_layout_learn(const struct control_cpuid *host, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct control_cpuid *leaf = &host[i];
		uint64_t end = (uint64_t)leaf->ebx + leaf->eax;

		if (leaf->leaf == LEAF_XSTATE && leaf->subleaf >= 2 &&
		    leaf->subleaf < XSTATE_COMPONENTS && leaf->eax &&
		    !(leaf->ecx & ECX_SUPERVISOR) && end <= AREA_SIZE)
			component_end[leaf->subleaf] = end;
	}
}

/* The size of an area with these components: Xen wants exactly that. Where it is not known, the
 * whole page: Xen takes a longer record if the rest is zero, and grumbles in its log. */
static size_t area_size(uint64_t components)
{
	size_t size = LEGACY_SIZE;

	for (int i = 2; i < XSTATE_COMPONENTS; i++) {
		if (!(components & (1ull << i)))
			continue;
		if (!component_end[i])
			return AREA_SIZE;
		if (component_end[i] > size)
			size = component_end[i];
	}
	return size;
}

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
	char *area = (char *)body + AREA_OFFSET;
	size_t area_length;
	uint32_t mxcsr;

	if (state->fpu_set)
		bv |= STATE_XSTATE_FP | STATE_XSTATE_SSE;
	memset(&record, 0, sizeof record);
	record.xcr0 = close_over(state->xcr0);
	record.xcr0_accum = close_over(record.xcr0 | bv);
	area_length = area_size(record.xcr0_accum);
	if (size < AREA_OFFSET + area_length)
		return 0;
	memcpy(body, &record, AREA_OFFSET);
	memcpy(area, state->xsave.region, area_length);
	memset(area + HEADER_OFFSET, 0, HEADER_SIZE);
	memcpy(area + HEADER_OFFSET, &bv, sizeof bv);
	memcpy(&mxcsr, area + FXSAVE_MXCSR, sizeof mxcsr);
	mxcsr &= MXCSR_KNOWN;
	memcpy(area + FXSAVE_MXCSR, &mxcsr, sizeof mxcsr);
	return AREA_OFFSET + area_length;
}

void xsave_record_to_state(struct vcpu_state *state, const void *body, size_t length)
{
	struct hvm_hw_cpu_xsave record;
	size_t area_length;

	if (length < sizeof record)
		return;
	memcpy(&record, body, sizeof record);
	area_length = length - AREA_OFFSET;
	if (area_length > AREA_SIZE)
		area_length = AREA_SIZE;
	memset(state->xsave.region, 0, AREA_SIZE);
	memcpy(state->xsave.region, (const char *)body + AREA_OFFSET, area_length);
	/* Never compacted, and the rest of the header is reserved. */
	memset((char *)state->xsave.region + XCOMP_OFFSET, 0, HEADER_SIZE - sizeof(uint64_t));
	state->xcr0 = record.xcr0;
	state->fpu_set = false;
}
