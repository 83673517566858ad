/* The fake's foreign mappings. */
#include "tests/unit/test_fake.h"

#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)

/* n pages of a new domain, from gfn 0. */
static uint16_t domain_with(unsigned n, uint64_t *gfns)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);

	for (unsigned i = 0; i < n; i++)
		gfns[i] = i;
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, n, gfns), (int)n);
	return domid;
}

static char *anonymous(unsigned pages)
{
	char *at = mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_NOT_EQUAL_FATAL(at, MAP_FAILED);
	return at;
}

static void a_mapping_shows_the_guests_frames(void)
{
	uint64_t gfns[4], back[4] = {3, 1, 2, 0};
	uint16_t domid = domain_with(4, gfns);
	char *at, text[8];
	void *out;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, NULL, RW, 4, back, &out), 0);
	at = out;
	strcpy(at, "to 3");
	CU_ASSERT(fake_ram_read(domid, 3 * PAGE, text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "to 3");
	CU_ASSERT(fake_ram_write(domid, PAGE, "from 1", 7));
	CU_ASSERT_STRING_EQUAL(at + PAGE, "from 1");
	CU_ASSERT_EQUAL(DEV(mem_unmap, at, 4), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_mapping_follows_a_relocated_frame(void)
{
	uint64_t gfns[1];
	uint16_t domid = domain_with(1, gfns);
	char text[8];
	void *at;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, NULL, RW, 1, gfns, &at), 0);
	CU_ASSERT_EQUAL(DEV(mem_relocate, domid, 0, 77, 1), 0);
	strcpy(at, "moved");
	CU_ASSERT(fake_ram_read(domid, 77 * PAGE, text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "moved");
	CU_ASSERT_EQUAL(DEV(mem_unmap, at, 1), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_hole_cannot_be_mapped_and_costs_the_range(void)
{
	uint64_t gfns[2], holed[2] = {0, 9};
	uint16_t domid = domain_with(2, gfns);
	char *range = anonymous(2);
	unsigned char present[2];
	void *at;

	CU_ASSERT_EQUAL(DEV(mem_map, domid, NULL, RW, 2, holed, &at), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_map, domid, range, RW, 2, holed, &at), -EINVAL);
	CU_ASSERT_EQUAL(mincore(range, 2 * PAGE, present), -1);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_mapping_cannot_be_split(void)
{
	uint64_t gfns[4];
	uint16_t domid = domain_with(4, gfns);
	char *range = anonymous(4);
	void *at;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, range, RW, 4, gfns, &at), 0);
	CU_ASSERT_PTR_EQUAL(at, range);
	CU_ASSERT_EQUAL(DEV(mem_map, domid, range + PAGE, RW, 1, gfns, &at), -ENOMEM);
	assert_violated("splits the foreign mapping");
	CU_ASSERT_EQUAL(DEV(mem_map, domid, range + 3 * PAGE, RW, 2, gfns, &at), -ENOMEM);
	assert_violated("splits the foreign mapping");
	CU_ASSERT_EQUAL(DEV(mem_unmap, range, 2), -EINVAL);
	assert_violated("splits the foreign mapping");
	/* whole, it may be replaced */
	CU_ASSERT_EQUAL(DEV(mem_map, domid, range, PROT_READ, 4, gfns, &at), 0);
	CU_ASSERT_EQUAL(fake_mappings(), 1);
	CU_ASSERT_EQUAL(DEV(mem_unmap, range, 4), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void nothing_can_be_unmapped_twice(void)
{
	uint64_t gfns[1];
	uint16_t domid = domain_with(1, gfns);
	void *at;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, NULL, RW, 1, gfns, &at), 0);
	CU_ASSERT_EQUAL(DEV(mem_unmap, at, 1), 0);
	CU_ASSERT_EQUAL(DEV(mem_unmap, at, 1), -EINVAL);
	assert_violated("where nothing is mapped");
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void the_process_may_replace_a_whole_mapping_itself(void)
{
	uint64_t gfns[2];
	uint16_t domid = domain_with(2, gfns);
	void *at;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, NULL, RW, 2, gfns, &at), 0);
	CU_ASSERT_EQUAL(fake_mappings(), 1);
	CU_ASSERT_PTR_EQUAL(mmap(at, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			    at);
	CU_ASSERT_EQUAL(fake_mappings(), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
	munmap(at, 2 * PAGE);
}

static void a_mapping_torn_behind_its_back_is_found(void)
{
	uint64_t gfns[2];
	uint16_t domid = domain_with(2, gfns);
	void *at;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, NULL, RW, 2, gfns, &at), 0);
	CU_ASSERT_EQUAL(munmap(at, PAGE), 0);
	CU_ASSERT_PTR_NOT_NULL(fake_check());
	CU_ASSERT(fake_violated("was split"));
	munmap((char *)at + PAGE, PAGE);
	fake_forgive();
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_domain_lingers_until_its_frames_are_unmapped(void)
{
	uint64_t gfns[2];
	uint16_t domid = domain_with(2, gfns);
	struct domain_info info;
	void *at;

	CU_ASSERT_EQUAL_FATAL(DEV(mem_map, domid, NULL, RW, 1, gfns, &at), 0);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT(info.dying);
	CU_ASSERT_EQUAL(info.pages, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "foreign mapping"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_check(), "of its pages are mapped"));
	strcpy(at, "still ours");
	CU_ASSERT_EQUAL(DEV(mem_unmap, at, 1), 0);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), -ESRCH);
	assert_clean();
}

CU_TestInfo fake_map_tests[] = {
	TEST(a_mapping_shows_the_guests_frames),
	TEST(a_mapping_follows_a_relocated_frame),
	TEST(a_hole_cannot_be_mapped_and_costs_the_range),
	TEST(a_mapping_cannot_be_split),
	TEST(nothing_can_be_unmapped_twice),
	TEST(the_process_may_replace_a_whole_mapping_itself),
	TEST(a_mapping_torn_behind_its_back_is_found),
	TEST(a_domain_lingers_until_its_frames_are_unmapped),
	CU_TEST_INFO_NULL,
};
