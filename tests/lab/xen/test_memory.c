/* Populating and mapping. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

enum { PAGE = 4096, MANY = 1500 }; /* more than one batch of the implementation */

static uint64_t pages_of(struct machine *m)
{
	struct domain_info info = {0};

	m->c->domain_info(m->ctl, m->domid, &info);
	return info.pages;
}

void test_populate(void)
{
	static uint64_t gfns[MANY];
	const uint64_t big[] = {0x400, 0x600};
	struct machine m;
	uint64_t before;

	for (unsigned i = 0; i < MANY; i++)
		gfns[i] = 0x1000 + 2 * i;
	machine_make(&m, EMULATION_LAPIC, 1);
	check_is(m.c->domain_set_maxmem(m.ctl, m.domid, 32 << 10), 0, "32 MiB are allowed");
	before = pages_of(&m);
	check_is(m.d->mem_populate(m.dev, m.domid, 0, MANY, gfns), MANY, "%u single frames", MANY);
	check_is(pages_of(&m) - before, MANY, "are the domain's");
	check_is(m.d->mem_populate(m.dev, m.domid, 9, 2, big), 2, "two extents of 2 MiB");
	check_is(pages_of(&m) - before, MANY + 1024, "are the domain's");
	check_is(m.d->mem_release(m.dev, m.domid, MANY, gfns), 0, "the single frames go back");
	check_is(pages_of(&m) - before, 1024, "and are no longer the domain's");
	check_is(m.d->mem_release(m.dev, m.domid, 1, gfns), -EINVAL, "a hole cannot go back");

	check_is(m.c->domain_set_maxmem(m.ctl, m.domid, (pages_of(&m) + 700) * 4), 0,
		 "with room for 700 frames");
	check_is(m.d->mem_populate(m.dev, m.domid, 0, MANY, gfns), 700, "700 are populated");
	check_is(m.d->mem_populate(m.dev, m.domid, 0, 1, gfns + 700), -ENOMEM, "and then none");
	check_is(m.d->mem_populate(m.dev, 0x7fef, 0, 1, gfns), -ENOMEM, "no domain: an error");
	machine_end(&m);
}

#define LARGE 65536u /* frames: 256 MiB */

static bool can_be_mapped(struct machine *m, uint64_t gfn)
{
	void *at;

	if (m->d->mem_map(m->dev, m->domid, NULL, PROT_READ, 1, &gfn, &at) < 0)
		return false;
	m->d->mem_unmap(m->dev, at, 1);
	return true;
}

/* More frames than Xen counts in one call. */
void test_relocate_large(void)
{
	const uint64_t from = 0x10000, to = 0x6000000;
	uint64_t extents[LARGE / 512];
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	check_is(m.c->domain_set_maxmem(m.ctl, m.domid, 300 << 10), 0, "300 MiB are allowed");
	check_is(m.c->domain_set_paging_pool(m.ctl, m.domid, 16 << 20), 0, "a pool of 16 MiB");
	for (unsigned i = 0; i < LARGE / 512; i++)
		extents[i] = from + i * 512ull;
	check_is(m.d->mem_populate(m.dev, m.domid, 9, LARGE / 512, extents), LARGE / 512,
		 "256 MiB");
	check_is(m.d->mem_relocate(m.dev, m.domid, from, to, LARGE), 0, "are moved");
	check(!can_be_mapped(&m, from) && !can_be_mapped(&m, from + LARGE - 1),
	      "and are gone from where they were");
	check(can_be_mapped(&m, to) && can_be_mapped(&m, to + LARGE - 1), "and are where they go");
	machine_end(&m);
}

static bool is_mapped(void *at)
{
	unsigned char in;

	return mincore(at, PAGE, &in) == 0;
}

void test_map(void)
{
	const uint64_t frames[] = {7, 3, 511}, with_hole[] = {7, 0x7777, 3};
	static uint64_t all[RAM_FRAMES + 1];
	struct machine m;
	void *any = NULL, *at;
	uint8_t *range;

	machine_make(&m, EMULATION_LAPIC, 1);
	range = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(range, 0x55, 8 * PAGE);

	check_is(m.d->mem_map(m.dev, m.domid, NULL, PROT_READ, 3, frames, &any), 0, "anywhere");
	check_is(m.d->mem_map(m.dev, m.domid, range + 2 * PAGE, PROT_READ | PROT_WRITE, 3, frames,
			      &at),
		 0, "in a place");
	check(at == range + 2 * PAGE, "which is the place");
	check_is(range[2 * PAGE], 0, "frames arrive zeroed");
	range[2 * PAGE] = 1;
	range[3 * PAGE] = 2;
	range[4 * PAGE] = 3;
	check(m.ram[7 * PAGE] == 1 && m.ram[3 * PAGE] == 2 && m.ram[511 * PAGE] == 3,
	      "the frames are the guest's, in the order asked for");
	check(*(uint8_t *)any == 1, "in every mapping");
	check(range[2 * PAGE - 1] == 0x55 && range[5 * PAGE] == 0x55, "the neighbours stay");

	check_is(m.d->mem_map(m.dev, m.domid, range + 2 * PAGE, PROT_READ | PROT_WRITE, 3,
			      (const uint64_t[]){8, 9, 10}, &at),
		 0, "over an earlier mapping");
	check_is(range[2 * PAGE], 0, "which it replaces");
	check_is(m.d->mem_map(m.dev, m.domid, range + 2 * PAGE, PROT_READ | PROT_WRITE, 3,
			      with_hole, &at),
		 -EINVAL, "a hole among the frames is refused");
	check(is_mapped(range + 2 * PAGE) && is_mapped(range + 4 * PAGE),
	      "and the place does not become free");
	check_is(m.d->mem_map(m.dev, m.domid, NULL, PROT_READ, 3, with_hole, &at), -EINVAL,
		 "a hole anywhere is refused");
	check_is(m.d->mem_map(m.dev, 0x7fef, range + 2 * PAGE, PROT_READ, 3, frames, &at), -ESRCH,
		 "no domain: an error");
	check(is_mapped(range + 2 * PAGE) && range[2 * PAGE - 1] == 0x55,
	      "and the place does not become free");

	for (unsigned i = 0; i <= RAM_FRAMES; i++)
		all[i] = i;
	all[RAM_FRAMES] = SCRATCH_A;
	check_is(m.d->mem_map(m.dev, m.domid, NULL, PROT_READ, RAM_FRAMES + 1, all, &at), 0,
		 "more than 2 MiB at once");
	check_is(m.d->mem_unmap(m.dev, at, RAM_FRAMES + 1), 0, "and back");
	check_is(m.d->mem_unmap(m.dev, any, 3), 0, "unmapped");
	check(!is_mapped(any), "is unmapped");
	munmap(range, 8 * PAGE);
	machine_end(&m);
}
