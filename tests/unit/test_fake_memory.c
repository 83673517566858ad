/* The fake's memory: limits, the p2m, types, dirty logs. */
#include "tests/unit/test_fake.h"

static void pages_beyond_maxmem_are_not_populated(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfns[8] = {0, 1, 2, 3, 4, 5, 6, 7};

	CU_ASSERT_EQUAL(CTL(domain_set_maxmem, domid, 5 * 4), 0);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 8, gfns), 5);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfns[5]), -ENOMEM);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void a_domain_starts_without_any_allowance(void)
{
	const struct domain_config config = {1, EMULATION_LAPIC, {0}, false};
	uint64_t gfn = 0;
	uint16_t domid;

	CU_ASSERT_EQUAL(CTL(domain_create, &config, &domid), 0);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), -ENOMEM);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void the_host_runs_out_of_memory(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfns[3] = {0, 1, 2};

	fake_host_frames(2);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 3, gfns), 2);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void small_pages_use_up_the_paging_pool(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfn;
	int rc = 1;

	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, domid, 10 * PAGE), 0);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, domid, 100), -EINVAL);
	for (gfn = 0; rc == 1 && gfn < 100 * 512; gfn += 512)
		rc = DEV(mem_populate, domid, 0, 1, &gfn);
	CU_ASSERT_EQUAL(rc, -ENOMEM);
	CU_ASSERT(gfn < 12 * 512);
	CU_ASSERT_EQUAL(CTL(domain_set_paging_pool, domid, 100 * PAGE), 0);
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), 1);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void populating_twice_leaks_the_first_frame(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct domain_info info;
	uint64_t gfn = 3;

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), 1);
	CU_ASSERT(fake_ram_write(domid, 3 * PAGE, "old", 4));
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), 1);
	assert_violated("leaked frame");
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT_EQUAL(info.pages, 2);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void populated_pages_are_zero_even_when_reused(void)
{
	uint64_t gfn = 0, word;

	for (int i = 0; i < 2; i++) {
		uint16_t domid = domain_new(1, EMULATION_LAPIC);

		CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), 1);
		CU_ASSERT(fake_ram_read(domid, 0, &word, sizeof word));
		CU_ASSERT_EQUAL(word, 0);
		CU_ASSERT(fake_ram_write(domid, 0, "dirty..", 8));
		CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	}
}

static void a_superpage_is_512_pages(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	struct domain_info info;
	uint64_t gfn = 512;

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 9, 1, &gfn), 1);
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT_EQUAL(info.pages, 512);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 1023), MEM_RAM_RW);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 1024), -1);
	gfn = 1024;
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 9, 1, &gfn), 1);
	gfn = 1536;
	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 9, 1, &gfn), -ENOMEM);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void releasing_a_hole_is_an_error(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfns[2] = {7, 8};

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, gfns), 1);
	CU_ASSERT_EQUAL(DEV(mem_release, domid, 2, gfns), -EINVAL);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 7), -1);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void relocation_keeps_content_and_frees_what_was_there(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfns[2] = {0, 1};
	struct domain_info info;
	char text[8];

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 2, gfns), 2);
	CU_ASSERT(fake_ram_write(domid, 0, "content", 8));
	CU_ASSERT_EQUAL(DEV(mem_relocate, domid, 0, 1, 1), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 0), -1);
	CU_ASSERT(fake_ram_read(domid, PAGE, text, 8));
	CU_ASSERT_STRING_EQUAL(text, "content");
	CU_ASSERT_EQUAL(CTL(domain_info, domid, &info), 0);
	CU_ASSERT_EQUAL(info.pages, 1);
	CU_ASSERT_EQUAL(DEV(mem_relocate, domid, 0, 5, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_relocate, domid, 1, 1, 1), -EINVAL);
	assert_violated("onto itself");
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
	assert_clean();
}

static void only_ram_may_become_a_servers_page(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC), server;
	uint64_t gfns[2] = {0, 1};

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 2, gfns), 2);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_IOREQ_SERVER, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_type_to_server, domid, 0, true), -ENOENT);
	CU_ASSERT_EQUAL(DEV(ioreq_server_create, domid, &server), 0);
	CU_ASSERT_EQUAL(DEV(mem_type_to_server, domid, server, true), 0);
	CU_ASSERT_EQUAL(DEV(mem_type_to_server, domid, server, true), -EBUSY);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_IOREQ_SERVER, 0, 1), 0);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_RAM_RO, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_RAM_RO, 1, 1), 0);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_IOREQ_SERVER, 1, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_RAM_RW, 0, 2), 0);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_RAM_RW, 2, 1), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, 2, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void relocation_makes_plain_ram_again(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC);
	uint64_t gfn = 0;

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), 1);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_RAM_RO, 0, 1), 0);
	CU_ASSERT_EQUAL(DEV(mem_relocate, domid, 0, 9, 1), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 9), MEM_RAM_RW);
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void no_dirty_log_beside_a_servers_pages(void)
{
	uint16_t domid = domain_new(1, EMULATION_LAPIC), server;
	uint8_t bitmap[1];
	uint64_t gfn = 0;

	CU_ASSERT_EQUAL(DEV(mem_populate, domid, 0, 1, &gfn), 1);
	CU_ASSERT_EQUAL(DEV(ioreq_server_create, domid, &server), 0);
	CU_ASSERT_EQUAL(DEV(mem_type_to_server, domid, server, true), 0);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_IOREQ_SERVER, 0, 1), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_ENABLE, 0, NULL), -EBUSY);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_RAM_RW, 0, 1), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_ENABLE, 0, NULL), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_ENABLE, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_set_type, domid, MEM_IOREQ_SERVER, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_OFF, 0, NULL), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, domid, LOG_DIRTY_CLEAN, 8, bitmap), -EINVAL);
	assert_violated("while it is off");
	CU_ASSERT_EQUAL(CTL(domain_destroy, domid), 0);
}

static void the_log_shows_guest_writes_once(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	uint8_t bitmap[2];
	int id;

	CU_ASSERT_EQUAL(CTL(log_dirty, m.domid, LOG_DIRTY_ENABLE, 0, NULL), 0);
	id = fake_guest_write_value(m.domid, 0, 3 * PAGE + 8, 4, 1);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	/* what the tools write is not logged, unless they say so */
	CU_ASSERT(fake_ram_write(m.domid, 5 * PAGE, "x", 1));
	CU_ASSERT_EQUAL(DEV(mem_modified, m.domid, 6, 1), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, m.domid, LOG_DIRTY_PEEK, 16, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 1 << 3 | 1 << 6);
	CU_ASSERT_EQUAL(CTL(log_dirty, m.domid, LOG_DIRTY_CLEAN, 16, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 1 << 3 | 1 << 6);
	CU_ASSERT_EQUAL(CTL(log_dirty, m.domid, LOG_DIRTY_CLEAN, 16, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 0);
	machine_free(&m);
	assert_clean();
}

static void vram_tracking_begins_with_all_ones(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	uint8_t bitmap[2];
	int id;

	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 4, 8, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 0xff);
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 4, 8, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 0);
	id = fake_guest_write_value(m.domid, 0, 5 * PAGE, 1, 1);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 4, 8, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 1 << 1);
	/* another range begins anew; the two kinds of log exclude each other */
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 0, 8, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 0xff);
	CU_ASSERT_EQUAL(CTL(log_dirty, m.domid, LOG_DIRTY_ENABLE, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(CTL(log_dirty, m.domid, LOG_DIRTY_ENABLE, 0, NULL), 0);
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 0, (1 << 18) + 1, bitmap), -EINVAL);
	machine_free(&m);
	assert_clean();
}

static void domains_do_not_share_memory(void)
{
	uint16_t a = domain_new(1, EMULATION_LAPIC), b = domain_new(1, EMULATION_LAPIC);
	uint64_t gfn = 0;
	char text[4];

	CU_ASSERT_EQUAL(DEV(mem_populate, a, 0, 1, &gfn), 1);
	CU_ASSERT_EQUAL(DEV(mem_populate, b, 0, 1, &gfn), 1);
	CU_ASSERT(fake_ram_write(a, 0, "aaa", 4));
	CU_ASSERT(fake_ram_write(b, 0, "bbb", 4));
	CU_ASSERT(fake_ram_read(a, 0, text, 4));
	CU_ASSERT_STRING_EQUAL(text, "aaa");
	CU_ASSERT_EQUAL(DEV(mem_populate, 99, 0, 1, &gfn), -ESRCH);
	CU_ASSERT_EQUAL(CTL(domain_destroy, a), 0);
	CU_ASSERT_EQUAL(DEV(mem_populate, a, 0, 1, &gfn), -ESRCH);
	CU_ASSERT_EQUAL(CTL(domain_destroy, b), 0);
	assert_clean();
}

CU_TestInfo fake_memory_tests[] = {
	TEST(pages_beyond_maxmem_are_not_populated),
	TEST(a_domain_starts_without_any_allowance),
	TEST(the_host_runs_out_of_memory),
	TEST(small_pages_use_up_the_paging_pool),
	TEST(populating_twice_leaks_the_first_frame),
	TEST(populated_pages_are_zero_even_when_reused),
	TEST(a_superpage_is_512_pages),
	TEST(releasing_a_hole_is_an_error),
	TEST(relocation_keeps_content_and_frees_what_was_there),
	TEST(only_ram_may_become_a_servers_page),
	TEST(relocation_makes_plain_ram_again),
	TEST(no_dirty_log_beside_a_servers_pages),
	TEST(the_log_shows_guest_writes_once),
	TEST(vram_tracking_begins_with_all_ones),
	TEST(domains_do_not_share_memory),
	CU_TEST_INFO_NULL,
};
