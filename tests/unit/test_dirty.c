/* The log of written pages. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/ioctl/table.h"
#include "tests/unit/unit_memory.h"

void register_dirty_suite(void);

#define LOG KVM_MEM_LOG_DIRTY_PAGES
#define RO  KVM_MEM_READONLY

static struct space space, *s = &space;

static long get(uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};

	return memory_get_dirty_log(&s->vm, &log);
}

static long clear(uint32_t slot, uint64_t first, uint32_t pages, void *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot, .first_page = first, .num_pages = pages, .dirty_bitmap = bitmap};

	return memory_clear_dirty_log(&s->vm, &log);
}

/* The guest writes to a page: as far as Xen's log is concerned. */
static void guest_writes(uint64_t gpa)
{
	CU_ASSERT_EQUAL(s->vm.xen.dev->ops->mem_modified(s->vm.xen.dev, s->vm.domid, gpa / PAGE, 1),
			0);
}

/* The first 64 pages of a slot's log. */
static uint64_t log_of(uint32_t slot)
{
	uint64_t bitmap[GB / PAGE / 64 + 1];

	memset(bitmap, 0xff, sizeof(bitmap));
	CU_ASSERT_EQUAL(get(slot, bitmap), 0);
	return bitmap[0];
}

static void the_ioctls_answer_as_kvm_does(void)
{
	char *memory = vmm_memory(100 * PAGE, 0);
	uint64_t b[8];

	for (int live = 0; live < 2; live++) {
		space_new(s);
		if (live)
			CU_ASSERT_EQUAL_FATAL(space_live(s), 0);
		memset(b, 0xff, sizeof(b));
		CU_ASSERT_EQUAL(get(3, b), -ENOENT);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 100 * PAGE, memory), 0);
		CU_ASSERT_EQUAL(get(0, b), -ENOENT);
		CU_ASSERT_EQUAL(slot_set(s, 1, LOG, MB, 100 * PAGE, memory), 0);
		if (live)
			CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT_EQUAL(get(1, b), 0);
		CU_ASSERT(b[0] == 0 && b[1] == 0 && b[2] == ~0ull);
		CU_ASSERT_EQUAL(get(-1, b), -EINVAL);
		CU_ASSERT_EQUAL(get(65535, b), -EINVAL);
		CU_ASSERT_EQUAL(get(0x10001, b), -EINVAL);
		CU_ASSERT_EQUAL(get(0x20001, b), -EINVAL);
		CU_ASSERT_EQUAL(get(1, NULL), -EFAULT);
		CU_ASSERT_EQUAL(clear(1, 0, 64, b), 0);
		CU_ASSERT_EQUAL(clear(1, 1, 64, b), -EINVAL);
		CU_ASSERT_EQUAL(clear(1, 0, 63, b), -EINVAL);
		CU_ASSERT_EQUAL(clear(1, 64, 128, b), -EINVAL);
		CU_ASSERT_EQUAL(clear(1, 128, 64, b), -EINVAL);
		CU_ASSERT_EQUAL(clear(1, 64, 36, b), 0);
		CU_ASSERT_EQUAL(clear(0, 0, 64, b), -ENOENT);
		CU_ASSERT_EQUAL(clear(7, 0, 64, b), -ENOENT);
		CU_ASSERT_EQUAL(clear(1, 0, 64, NULL), -EFAULT);
		space_free(s);
	}
	munmap(memory, 100 * PAGE);
}

/* With manual protection reading empties nothing, and only what is named is cleared. */
static void a_log_is_cleared_by_hand(void)
{
	char *memory = vmm_memory(2 * MB, 0);
	uint64_t mask = 1 << 5;

	CU_ASSERT_EQUAL(capability_value(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2), 3);
	space_start(s);
	CU_ASSERT_EQUAL(memory_set_log_options(&s->vm, 4), -EINVAL);
	CU_ASSERT_EQUAL(memory_set_log_options(&s->vm, KVM_DIRTY_LOG_INITIALLY_SET), -EINVAL);
	CU_ASSERT_EQUAL(memory_set_log_options(&s->vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	guest_writes(PAGE);
	guest_writes(5 * PAGE);
	CU_ASSERT_EQUAL(log_of(0), 0x22);
	CU_ASSERT_EQUAL(log_of(0), 0x22);
	/* A write before the clearing is cleared with the rest, one after it is not. */
	guest_writes(5 * PAGE);
	CU_ASSERT_EQUAL(clear(0, 0, 64, &mask), 0);
	CU_ASSERT_EQUAL(log_of(0), 0x2);
	guest_writes(5 * PAGE);
	CU_ASSERT_EQUAL(log_of(0), 0x22);
	/* Each log that begins from now on is full at first, to its last page. */
	CU_ASSERT_EQUAL(memory_set_log_options(&s->vm, MEMORY_LOG_OPTIONS), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, LOG, 4 * MB, 37 * PAGE, memory + MB), 0);
	CU_ASSERT_EQUAL(log_of(1), (1ull << 37) - 1);
	CU_ASSERT_EQUAL(log_of(0), 0x22);
	CU_ASSERT_EQUAL(memory_set_log_options(&s->vm, 0), 0);
	CU_ASSERT_EQUAL(log_of(0), 0x22);
	CU_ASSERT_EQUAL(log_of(0), 0);
	space_free(s);
	munmap(memory, 2 * MB);
}

/* With one slot, with two, and when Xen will not log a range. */
static void what_the_guest_writes_is_logged(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	for (int i = 0; i < 3; i++) {
		space_start(s);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 2 * MB, memory), 0);
		CU_ASSERT_EQUAL(
			slot_set(s, 1, i == 1 ? LOG : 0, 2 * MB + 3 * PAGE, MB, memory + 2 * MB),
			0);
		CU_ASSERT_EQUAL(flush(s), 0);
		guest_writes(PAGE);
		if (i == 2)
			fake_fail("mem_track_vram", E2BIG);
		/* from its return on, without another KVM_RUN */
		CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, 2 * MB, memory), 0);
		CU_ASSERT_EQUAL(log_of(0), 0);
		guest_writes(0);
		guest_writes(5 * PAGE);
		guest_writes(2 * MB + 4 * PAGE);
		memory[7 * PAGE] = 1; /* the VMM's own writes are not */
		CU_ASSERT_EQUAL(log_of(0), 0x21);
		CU_ASSERT_EQUAL(log_of(0), 0);
		if (i == 1)
			CU_ASSERT_EQUAL(log_of(1), 2);
		guest_writes(63 * PAGE);
		CU_ASSERT_EQUAL(log_of(0), 1ull << 63);
		CU_ASSERT_EQUAL(fake_calls("log_dirty") > 0, i > 0);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 2 * MB, memory), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT_EQUAL(get(0, memory), -ENOENT);
		CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, 2 * MB, memory), 0);
		CU_ASSERT_EQUAL(log_of(0), 0);
		space_free(s);
	}
	munmap(memory, 4 * MB);
}

static void a_move_keeps_the_log(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	for (int i = 0; i < 2; i++) {
		space_start(s);
		CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, MB, memory), 0);
		CU_ASSERT_EQUAL(slot_set(s, 1, i ? LOG : 0, 2 * MB, MB, memory + MB), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT_EQUAL(log_of(0), 0);
		guest_writes(3 * PAGE);
		CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 4 * MB + PAGE, MB, memory), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		guest_writes(4 * MB + 2 * PAGE);
		CU_ASSERT_EQUAL(log_of(0), 0xa);
		/* a slot in between, where pages of the first were */
		CU_ASSERT_EQUAL(slot_set(s, 2, LOG, 0, MB, memory + 2 * MB), 0);
		guest_writes(PAGE);
		guest_writes(4 * MB + PAGE);
		CU_ASSERT_EQUAL(log_of(0), 1);
		CU_ASSERT_EQUAL(log_of(2), 2);
		/* before the flush of a deletion, nothing goes astray */
		guest_writes(PAGE);
		CU_ASSERT_EQUAL(slot_delete(s, 2), 0);
		CU_ASSERT_EQUAL(slot_set(s, 2, LOG, 0, MB, memory + 3 * MB), 0);
		CU_ASSERT_EQUAL(log_of(2), 0);
		space_free(s);
	}
	munmap(memory, 4 * MB);
}

/* Xen cannot log everything while some writes are sent to us. */
static void readonly_slots_give_way_to_the_log(void)
{
	char *memory = vmm_memory(4 * MB, 0);
	uint16_t domid;

	space_start(s);
	domid = s->vm.domid;
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, RO, MB, MB, memory + MB), 0);
	CU_ASSERT_EQUAL(slot_set(s, 2, 0, 2 * MB, MB, memory + 2 * MB), 0);
	CU_ASSERT_EQUAL(slot_set(s, 3, RO, 8 * MB, PAGE, memory + MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, MB / PAGE), MEM_IOREQ_SERVER);
	CU_ASSERT_EQUAL(slot_set(s, 2, LOG, 2 * MB, MB, memory + 2 * MB), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, MB / PAGE), MEM_RAM_RO);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 8 * MB / PAGE), MEM_RAM_RO);
	/* a new one while it lasts */
	CU_ASSERT_EQUAL(slot_set(s, 4, RO, 16 * MB, MB, memory + 3 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 16 * MB / PAGE), MEM_RAM_RO);
	guest_writes(PAGE);
	CU_ASSERT_EQUAL(log_of(0), 2);
	CU_ASSERT_EQUAL(slot_set(s, 2, 0, 2 * MB, MB, memory + 2 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_mem_type(domid, MB / PAGE), MEM_IOREQ_SERVER);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 8 * MB / PAGE), MEM_IOREQ_SERVER);
	CU_ASSERT_EQUAL(fake_mem_type(domid, 16 * MB / PAGE), MEM_IOREQ_SERVER);
	guest_writes(2 * PAGE);
	CU_ASSERT_EQUAL(log_of(0), 4);
	space_free(s);
	munmap(memory, 4 * MB);
}

static void what_the_library_writes_is_logged(void)
{
	char *memory = vmm_memory(MB, 0);
	uint64_t value = 1;

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, MB, MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 2 * MB, MB, memory), 0);
	memory_mark_dirty(&s->vm, MB + 2 * PAGE - 1, 2);
	memory_mark_dirty(&s->vm, 2 * MB, PAGE);
	memory_mark_dirty(&s->vm, 8 * MB, 16 * PAGE);
	CU_ASSERT_EQUAL(log_of(0), 6);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(memory_serve(&s->vm, MB + 3 * PAGE, &value, 4, true));
	CU_ASSERT(memory_serve(&s->vm, MB + 4 * PAGE, &value, 4, false));
	CU_ASSERT_EQUAL(log_of(0), 8);
	space_free(s);
	munmap(memory, MB);
}

static void clearing_drops_bits_and_no_others(void)
{
	char *memory = vmm_memory(200 * PAGE, 0);
	uint64_t b[4] = {0};

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, 200 * PAGE, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	for (int i = 60; i < 140; i++)
		guest_writes(i * PAGE);
	b[0] = 0x5;
	CU_ASSERT_EQUAL(clear(0, 64, 64, b), 0);
	CU_ASSERT_EQUAL(get(0, b), 0);
	CU_ASSERT_EQUAL(b[0], 0xfull << 60);
	CU_ASSERT_EQUAL(b[1], ~5ull);
	CU_ASSERT_EQUAL(b[2], 0xfff);
	CU_ASSERT_EQUAL(b[3], 0);
	space_free(s);
	munmap(memory, 200 * PAGE);
}

static void a_log_that_cannot_be_given_is_not_lost(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, LOG, 2 * MB, MB, memory + MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	guest_writes(PAGE);
	CU_ASSERT_EQUAL(get(0, (void *)16), -EFAULT);
	quiet_begin();
	fake_fail("log_dirty", EIO);
	CU_ASSERT_EQUAL(get(0, memory), -EIO);
	quiet_end();
	CU_ASSERT_EQUAL(log_of(0), 2);
	space_free(s);
	munmap(memory, 4 * MB);
}

static void a_log_that_cannot_begin_is_refused(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	quiet_begin();
	fake_fail_always("mem_track_vram", EINVAL);
	fake_fail_always("log_dirty", ENOMEM);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, MB, memory), -ENOMEM);
	CU_ASSERT_EQUAL(get(0, memory), -ENOENT);
	fake_fail_clear();
	quiet_end();
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, LOG, 0, MB, memory), 0);
	guest_writes(PAGE);
	CU_ASSERT_EQUAL(log_of(0), 2);
	space_free(s);
	munmap(memory, 4 * MB);
}

void register_dirty_suite(void)
{
	static CU_TestInfo tests[] = {
		{"the ioctls answer as KVM does", the_ioctls_answer_as_kvm_does},
		{"what the guest writes is logged", what_the_guest_writes_is_logged},
		{"a move keeps the log", a_move_keeps_the_log},
		{"read-only slots give way to the log", readonly_slots_give_way_to_the_log},
		{"what the library writes is logged", what_the_library_writes_is_logged},
		{"a log is cleared by hand", a_log_is_cleared_by_hand},
		{"clearing drops bits and no others", clearing_drops_bits_and_no_others},
		{"a log that cannot be given is not lost", a_log_that_cannot_be_given_is_not_lost},
		{"a log that cannot begin is refused", a_log_that_cannot_begin_is_refused},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"dirty log", NULL, NULL, NULL, NULL, tests},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
