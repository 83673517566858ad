/* Slots, and the frames under them. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit_memory.h"
#include "tests/unit/unit_rig.h"

void register_memory_suite(void);

static struct space space, *s = &space;

/* --- the ioctl --- */

static const struct {
	uint32_t slot, flags;
	uint64_t gpa, size, address;
	int error;
} regions[] = {
	/* slot 0 is at [0, 1 MiB), at address 0x10000000 */
	{0, 0, 0, MB, 0x10000000, 0},
	{0, 0, 0, MB, 0x10000000, 0},
	{0, KVM_MEM_LOG_DIRTY_PAGES, 0, MB, 0x10000000, 0},
	{0, 0, 0, MB, 0x10000000, 0},
	{0, 0, 0, 2 * MB, 0x10000000, EINVAL},
	{0, 0, 0, PAGE, 0x10000000, EINVAL},
	{0, 0, 0, MB, 0x10000000 + MB, EINVAL},
	{0, KVM_MEM_READONLY, 0, MB, 0x10000000, EINVAL},
	{0, 0, 8 * MB, MB, 0x10000000, 0},
	{0, 0, 0, MB, 0x10000000, 0},
	{0, 0, PAGE, MB, 0x10000000, 0},
	{0, 0, 0, MB, 0x10000000, 0},
	{1, 0, 0, MB, 0x20000000, EEXIST},
	{1, 0, MB - PAGE, MB, 0x20000000, EEXIST},
	{1, 0, PAGE, PAGE, 0x20000000, EEXIST},
	{1, 0, 0, 4 * MB, 0x20000000, EEXIST},
	{1, 0, MB, MB, 0x20000000, 0},
	{1, 0, 0, MB, 0x20000000, EEXIST},
	{2, 0, 16 * MB, MB, 0x10000000, 0},
	{3, 0, 32 * MB + 1, PAGE, 0x30000000, EINVAL},
	{3, 0, 32 * MB + 512, PAGE, 0x30000000, EINVAL},
	{3, 0, 32 * MB, PAGE + 1, 0x30000000, EINVAL},
	{3, 0, 32 * MB, 512, 0x30000000, EINVAL},
	{3, 0, 32 * MB, PAGE, 0x30000001, EINVAL},
	{3, 0, 32 * MB, PAGE, 0x30000200, EINVAL},
	{3, 1u << 2, 32 * MB, PAGE, 0x30000000, EINVAL},
	{3, 1u << 31, 32 * MB, PAGE, 0x30000000, EINVAL},
	{MEMORY_SLOTS - 1, 0, 33 * MB, PAGE, 0x30000000, 0},
	{MEMORY_SLOTS, 0, 34 * MB, PAGE, 0x30000000, EINVAL},
	{0xffff, 0, 34 * MB, PAGE, 0x30000000, EINVAL},
	{0x10000, 0, 34 * MB, PAGE, 0x30000000, EINVAL},
	{0x20000, 0, 34 * MB, PAGE, 0x30000000, EINVAL},
	{~0u, 0, 34 * MB, PAGE, 0x30000000, EINVAL},
	{9, 0, 0, 0, 0, EINVAL},
	{2, 0, 0, 0, 0, 0},
	{2, 0, 0, 0, 0, EINVAL},
	{1, 0, 40 * MB, 0, 0x10000000, 0},
	{2, 0, 16 * MB, MB, 0x10000000, 0},
	{2, KVM_MEM_LOG_DIRTY_PAGES, 0, 0, 0, 0},
	{2, 0, 16 * MB, MB, 0x10000000, 0},
	{2, 0, 0, 0, 1, EINVAL},
	{2, 0, 0, 0, 0, 0},
	{2, 0, 16 * MB, 2 * MB, 0x10000000, 0},
	{4, 0, -PAGE, 2 * PAGE, 0x30000000, EINVAL},
	{4, 0, -PAGE, PAGE, 0x30000000, EINVAL},
	{5, 0, 1ull << 40, 1ull << 43, 0x30000000, EINVAL},
	{5, 0, 1ull << 40, 1ull << 62, 0x30000000, EINVAL},
	{5, 0, 1ull << 52, PAGE, 0x30000000, EINVAL},
	{6, 0, 50 * MB, PAGE, 0, 0},
	{8, 0, 52 * MB, PAGE, 0xffff800000000000, EINVAL},
	{8, 0, 52 * MB, PAGE, 0x8000000000000000, EINVAL},
	{8, 0, 52 * MB, 2 * PAGE, 0x7ffffffff000 - PAGE, EINVAL},
	{8, 0, 52 * MB, PAGE, 0x7ffffffff000 - PAGE, 0},
	{9, 0, 53 * MB, 2 * PAGE, -PAGE, EINVAL},
	{11, KVM_MEM_READONLY, 54 * MB, PAGE, 0x30000000, 0},
	{12, KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES, 55 * MB, PAGE, 0x30000000, 0},
	{11, 0, 54 * MB, PAGE, 0x30000000, EINVAL},
	{13, 0, 1ull << 32, PAGE, 0x30000000, 0},
	{16, 0, 0xfee00000, PAGE, 0x30000000, 0},
	{17, 0, MEMORY_PARKING_GFN *PAGE - PAGE, PAGE, 0x30000000, 0},
	{18, 0, MEMORY_PARKING_GFN *PAGE, PAGE, 0x30000000, EINVAL},
};

static void the_ioctl_refuses_what_kvm_refuses(void)
{
	space_new(s);
	quiet_begin();
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++) {
		long rc = slot_set(s, regions[i].slot, regions[i].flags, regions[i].gpa,
				   regions[i].size, (void *)regions[i].address);

		if (rc != -regions[i].error)
			printf("\n    row %zu: %ld", i, rc);
		CU_ASSERT_EQUAL(rc, -regions[i].error);
	}
	quiet_end();
	space_free(s);
}

static void a_slot_is_found_by_its_address(void)
{
	bool readonly = false;

	space_new(s);
	CU_ASSERT_EQUAL(slot_set(s, 3, 0, MB, MB, (void *)0x10000000), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 4 * MB, MB, (void *)0x20000000), 0);
	CU_ASSERT_EQUAL(slot_set(s, 2, 0, 2 * MB, MB, (void *)0x40000000), 0);
	CU_ASSERT_EQUAL(memory_pages(&s->vm), 3 * MB / PAGE);
	CU_ASSERT_PTR_NULL(memory_at(&s->vm, MB - 1, 1, NULL));
	CU_ASSERT_PTR_EQUAL(memory_at(&s->vm, MB, 1, &readonly), (void *)0x10000000);
	CU_ASSERT(!readonly);
	CU_ASSERT_PTR_EQUAL(memory_at(&s->vm, 2 * MB - 8, 8, NULL), (void *)0x100ffff8);
	CU_ASSERT_PTR_NULL(memory_at(&s->vm, 2 * MB - 8, 9, NULL));
	CU_ASSERT_PTR_EQUAL(memory_at(&s->vm, 2 * MB, 1, NULL), (void *)0x40000000);
	CU_ASSERT_PTR_EQUAL(memory_at(&s->vm, 5 * MB - 1, 1, &readonly), (void *)0x200fffff);
	CU_ASSERT(readonly);
	CU_ASSERT_PTR_NULL(memory_at(&s->vm, 3 * MB, 1, NULL));
	CU_ASSERT_PTR_NULL(memory_at(&s->vm, 5 * MB, 1, NULL));
	CU_ASSERT_PTR_NULL(memory_at(&s->vm, ~0ull, 1, NULL));
	space_free(s);
}

/* Snapshots come and go under the readers' feet. */
static atomic_bool reading;

/* In any order of ids and addresses, with some gone in between and others behind the last. */
static void hundreds_of_slots_are_found(void)
{
	enum { COUNT = 512, STEP = 199 };
	struct space s;
	char *memory;

	space_new(&s);
	memory = vmm_memory(COUNT * PAGE, 0);
	for (unsigned i = 0; i < COUNT; i++) {
		/* First one behind the other, then wherever there is a gap. */
		unsigned at = i < COUNT / 2 ? 2 * i : 2 * (i * STEP % (COUNT / 2)) + 1;

		CU_ASSERT_EQUAL(slot_set(&s, COUNT - i, 0, at * PAGE, PAGE, memory + at * PAGE), 0);
		if (i % 5 == 4)
			CU_ASSERT_EQUAL(slot_delete(&s, COUNT - i), 0);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned at = i < COUNT / 2 ? 2 * i : 2 * (i * STEP % (COUNT / 2)) + 1;
		char *page = memory_at(&s.vm, at * PAGE, PAGE, NULL);

		CU_ASSERT_PTR_EQUAL(page, i % 5 == 4 ? NULL : memory + at * PAGE);
		CU_ASSERT_EQUAL(slot_delete(&s, COUNT - i), i % 5 == 4 ? -EINVAL : 0);
	}
	munmap(memory, COUNT * PAGE);
	space_free(&s);
}

static void *read_slots(void *arg)
{
	while (atomic_load(&reading)) {
		void *at = memory_at(&s->vm, 64 * MB + PAGE, 8, NULL);

		CU_ASSERT_PTR_EQUAL(at, (void *)(0x10000000 + PAGE));
		memory_mark_dirty(&s->vm, 64 * MB, PAGE);
	}
	return NULL;
}

static void readers_need_no_lock(void)
{
	pthread_t threads[3];

	space_new(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, KVM_MEM_LOG_DIRTY_PAGES, 64 * MB, MB, (void *)0x10000000),
			0);
	atomic_store(&reading, true);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_slots, NULL);
	for (int i = 0; i < 3000; i++) {
		CU_ASSERT_EQUAL(slot_set(s, 1 + i % 7, i & 1 ? KVM_MEM_LOG_DIRTY_PAGES : 0,
					 i % 7 * MB, MB, (void *)0x20000000),
				0);
		CU_ASSERT_EQUAL(slot_delete(s, 1 + i % 7), 0);
	}
	atomic_store(&reading, false);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	space_free(s);
}

/* --- populating --- */

static void content_is_kept_and_shared(void)
{
	static const struct {
		size_t size, offset;
		uint64_t gpa;
	} shapes[] = {
		{8 * MB, 0, 0},
		{8 * MB, 0, 64 * MB},
		{8 * MB, 0, 64 * MB + PAGE},
		{5 * MB + 3 * PAGE, 7 * PAGE, MB},
		{5 * MB + 3 * PAGE, 7 * PAGE, 2 * MB + 7 * PAGE},
		{PAGE, 0, 0},
		{3 * PAGE, 2 * MB - PAGE, 4 * GB - 2 * PAGE},
	};

	for (size_t j = 0; j < 2 * sizeof(shapes) / sizeof(*shapes); j++) {
		size_t i = j / 2, size = shapes[i].size;
		char *memory = vmm_memory(size, shapes[i].offset);

		paint(memory, size);
		space_new(s);
		if (j % 2)
			CU_ASSERT_EQUAL_FATAL(space_live(s), 0);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, shapes[i].gpa, size, memory), 0);
		CU_ASSERT(atomic_load(&s->vm.memory.changed));
		CU_ASSERT(atomic_load(&s->vm.work) & VM_WORK_MEMORY);
		/* of a live VM at once: the VMM may write to it at any time from now on */
		CU_ASSERT(j % 2 ? guest_sees(s, shapes[i].gpa, memory, size) : !space_live(s));
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(!atomic_load(&s->vm.memory.changed));
		for (size_t at = 0; at < size; at += PAGE)
			CU_ASSERT(is_painted(memory + at, memory + at));
		CU_ASSERT(guest_sees(s, shapes[i].gpa, memory, size));
		/* both ways */
		memory[size - 1] ^= 0x55;
		CU_ASSERT(guest_sees(s, shapes[i].gpa, memory, size));
		CU_ASSERT(fake_ram_write(s->vm.domid, shapes[i].gpa + 100, "guest", 6));
		CU_ASSERT_STRING_EQUAL(memory + 100, "guest");
		memory[size - 1] ^= 0x55;
		memset(memory + 100, 0, 6);
		space_free(s);
		for (size_t at = 0; at < size; at += PAGE)
			CU_ASSERT(is_painted(memory + at, memory + at));
		munmap(memory, size);
	}
}

static void large_slots_use_large_extents(void)
{
	char *memory = vmm_memory(64 * MB, 0);

	paint(memory, 64 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 2 * MB, 64 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_calls("mem_populate"), 2); /* with the scratch frame */
	CU_ASSERT_EQUAL(fake_mappings(), 32);
	CU_ASSERT(guest_sees(s, 2 * MB, memory, 64 * MB));
	space_free(s);
	munmap(memory, 64 * MB);
}

static void small_frames_do_where_large_ones_are_gone(void)
{
	char *memory = vmm_memory(8 * MB, 0);

	paint(memory, 8 * MB);
	space_start(s);
	fake_fail("mem_populate", ENOMEM);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 8 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(fake_failed());
	CU_ASSERT(guest_sees(s, 0, memory, 8 * MB));
	space_free(s);
	munmap(memory, 8 * MB);
}

static void a_host_without_memory_is_an_error(void)
{
	char *memory = vmm_memory(8 * MB, 0);
	long rc;

	paint(memory, 8 * MB);
	for (int live = 0; live < 2; live++) {
		space_new(s);
		if (!live)
			CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 8 * MB, memory), 0);
		CU_ASSERT_EQUAL_FATAL(space_live(s), 0);
		fake_host_frames(1024);
		quiet_begin();
		rc = live ? slot_set(s, 0, 0, 0, 8 * MB, memory) : flush(s);
		CU_ASSERT_EQUAL(rc, -ENOMEM);
		quiet_end();
		CU_ASSERT(atomic_load(&s->vm.memory.changed));
		/* what was put there before it failed goes with the next flush */
		CU_ASSERT(!live || !flush(s));
		CU_ASSERT(!live || guest_sees_nothing(s, 0, 8 * MB));
		for (size_t at = 0; at < 8 * MB; at += PAGE)
			CU_ASSERT(is_painted(memory + at, memory + at));
		fake_host_frames(1 << 20);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(live ? guest_sees_nothing(s, 0, 8 * MB)
			       : guest_sees(s, 0, memory, 8 * MB));
		space_free(s);
	}
	munmap(memory, 8 * MB);
}

/* What was never touched is not copied, and costs the VMM nothing. */
static void untouched_memory_stays_untouched(void)
{
	char *memory = vmm_memory(GB, 0);

	memory[512 * MB] = 1;
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, GB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(memory[512 * MB], 1);
	CU_ASSERT_EQUAL(memory[GB - 1], 0);
	space_free(s);
	CU_ASSERT_EQUAL(memory[512 * MB], 1);
	munmap(memory, GB);
}

/* Nor is a shared file filled where it has holes. */
static void sparse_files_stay_sparse(void)
{
	int fd = memfd_create("test", 0);
	char *memory;
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 64 * MB), 0);
	CU_ASSERT_EQUAL(pwrite(fd, "start", 6, 17 * MB), 6);
	CU_ASSERT_EQUAL(pwrite(fd, "page", 5, 32 * MB - 2), 5);
	CU_ASSERT_EQUAL(pwrite(fd, "end", 4, 64 * MB - 4), 4);
	memory = mmap(NULL, 48 * MB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 16 * MB);
	CU_ASSERT_FATAL(memory != MAP_FAILED);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, PAGE, 24 * MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 32 * MB, 24 * MB, memory + 24 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_STRING_EQUAL(memory + MB, "start");
	CU_ASSERT_STRING_EQUAL(memory + 16 * MB - 2, "page");
	CU_ASSERT_STRING_EQUAL(memory + 48 * MB - 4, "end");
	CU_ASSERT(guest_sees(s, PAGE, memory, 24 * MB));
	CU_ASSERT(guest_sees(s, 32 * MB, memory + 24 * MB, 24 * MB));
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT(st.st_blocks * 512 <= (blkcnt_t)(8 * MB));
	space_free(s);
	munmap(memory, 48 * MB);
	close(fd);
}

static void files_and_odd_protections_work(void)
{
	char *memory = vmm_memory(16 * PAGE, 0);
	int fd = memfd_create("test", 0);
	char page[PAGE];

	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 2 * PAGE + 100), 0);
	CU_ASSERT_EQUAL(pwrite(fd, "file", 5, 0), 5);
	CU_ASSERT_EQUAL(pwrite(fd, "end", 4, 2 * PAGE), 4);
	/* 0-3: shared, two pages past its end; 4-7: private; 8: read-only; 9: nothing allowed;
	 * 10: a hole; 11 and on: plain */
	mmap(memory, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	mmap(memory + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
	strcpy(memory + 5 * PAGE, "private");
	strcpy(memory + 8 * PAGE, "constant");
	mprotect(memory + 8 * PAGE, PAGE, PROT_READ);
	mprotect(memory + 9 * PAGE, PAGE, PROT_NONE);
	munmap(memory + 10 * PAGE, PAGE);
	strcpy(memory + 11 * PAGE, "plain");
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 16 * PAGE, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(fake_ram_read(s->vm.domid, 0, page, PAGE) && !strcmp(page, "file"));
	CU_ASSERT(fake_ram_read(s->vm.domid, 2 * PAGE, page, PAGE) && !strcmp(page, "end"));
	CU_ASSERT(fake_ram_read(s->vm.domid, 3 * PAGE, page, PAGE) && !page[0]);
	CU_ASSERT(fake_ram_read(s->vm.domid, 4 * PAGE, page, PAGE) && !strcmp(page, "file"));
	CU_ASSERT(fake_ram_read(s->vm.domid, 5 * PAGE, page, PAGE) && !strcmp(page, "private"));
	CU_ASSERT(fake_ram_read(s->vm.domid, 8 * PAGE, page, PAGE) && !strcmp(page, "constant"));
	CU_ASSERT(guest_sees_nothing(s, 9 * PAGE, 2 * PAGE));
	CU_ASSERT(guest_sees(s, 11 * PAGE, memory + 11 * PAGE, 5 * PAGE));
	space_free(s);
	CU_ASSERT_STRING_EQUAL(memory, "file");
	CU_ASSERT_STRING_EQUAL(memory + 5 * PAGE, "private");
	CU_ASSERT_STRING_EQUAL(memory + 8 * PAGE, "constant");
	CU_ASSERT_STRING_EQUAL(memory + 11 * PAGE, "plain");
	munmap(memory, 16 * PAGE);
	close(fd);
}

/* --- deleting, moving, changing --- */

static void a_deleted_slot_leaves_its_memory(void)
{
	char *memory = vmm_memory(4 * MB, 0);
	unsigned populated;

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	populated = fake_calls("mem_populate");
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees_nothing(s, 0, 4 * MB));
	CU_ASSERT(is_painted(memory + MB, memory + MB));
	strcpy(memory + MB + 64, "while parked");
	/* at another address, in another slot: the same frames */
	CU_ASSERT_EQUAL(slot_set(s, 5, 0, 32 * MB + PAGE, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 32 * MB + PAGE, memory, 4 * MB));
	CU_ASSERT_EQUAL(fake_calls("mem_populate"), populated);
	/* a part of it */
	CU_ASSERT_EQUAL(slot_delete(s, 5), 0);
	CU_ASSERT_EQUAL(slot_set(s, 5, 0, MB, MB + PAGE, memory + MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, MB, memory + MB, MB + PAGE));
	CU_ASSERT(guest_sees_nothing(s, 32 * MB, 5 * MB));
	CU_ASSERT_EQUAL(fake_calls("mem_populate"), populated);
	space_free(s);
	CU_ASSERT_STRING_EQUAL(memory + MB + 64, "while parked");
	munmap(memory, 4 * MB);
}

static void nothing_happens_without_a_difference(void)
{
	char *memory = vmm_memory(4 * MB, 0);
	unsigned calls;

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 8 * MB, PAGE, memory + MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	calls = fake_calls(NULL);
	for (int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 2 * MB, memory), 0);
		CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	}
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_calls(NULL), calls);
	space_free(s);
	munmap(memory, 4 * MB);
}

static void slots_move_over_themselves_and_each_other(void)
{
	char *memory = vmm_memory(8 * MB, 0);
	unsigned populated;

	paint(memory, 8 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 16 * MB, 4 * MB, memory + 4 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	populated = fake_calls("mem_populate");
	for (int i = 1; i < 5; i++) {
		uint64_t gpa = (i & 1 ? 3 : 0) * PAGE + (i & 2 ? MB : 0);

		CU_ASSERT_EQUAL(slot_set(s, 0, 0, gpa, 4 * MB, memory), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(guest_sees(s, gpa, memory, 4 * MB));
		CU_ASSERT(guest_sees_nothing(s, 0, gpa));
		CU_ASSERT(guest_sees_nothing(s, gpa + 4 * MB, 2 * MB));
	}
	/* they change places */
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 0, 4 * MB, memory + 4 * MB), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 16 * MB, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory + 4 * MB, 4 * MB));
	CU_ASSERT(guest_sees(s, 16 * MB, memory, 4 * MB));
	CU_ASSERT_EQUAL(fake_calls("mem_populate"), populated);
	space_free(s);
	munmap(memory, 8 * MB);
}

static void new_memory_comes_where_old_memory_was(void)
{
	char *memory = vmm_memory(8 * MB, 0);

	paint(memory, 8 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 2 * MB, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 0, 2 * MB, memory + 4 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory + 4 * MB, 2 * MB));
	CU_ASSERT(guest_sees(s, 2 * MB, memory, 4 * MB));
	space_free(s);
	munmap(memory, 8 * MB);
}

static void a_readonly_slot_sends_us_its_writes(void)
{
	char *memory = vmm_memory(MB, 0);
	unsigned populated;

	paint(memory, MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, KVM_MEM_READONLY, 2 * MB, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 2 * MB, memory, MB));
	for (uint64_t gfn = 2 * MB / PAGE; gfn < 3 * MB / PAGE; gfn++)
		CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, gfn), MEM_IOREQ_SERVER);
	populated = fake_calls("mem_populate");
	/* elsewhere, and writable */
	CU_ASSERT_EQUAL(slot_set(s, 0, KVM_MEM_READONLY, 2 * MB + PAGE, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 2 * MB + PAGE, memory, MB));
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 3 * MB / PAGE), MEM_IOREQ_SERVER);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 2 * MB + PAGE, MB / 2, memory), 0);
	CU_ASSERT_EQUAL(
		slot_set(s, 1, KVM_MEM_READONLY, 2 * MB + MB / 2 + PAGE, MB / 2, memory + MB / 2),
		0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 2 * MB / PAGE + 1), MEM_RAM_RW);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, (2 * MB + MB / 2) / PAGE), MEM_RAM_RW);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, (2 * MB + MB / 2) / PAGE + 1), MEM_IOREQ_SERVER);
	CU_ASSERT_EQUAL(fake_calls("mem_populate"), populated);
	space_free(s);
	munmap(memory, MB);
}

static void an_executed_slot_stays_executable(void)
{
	char *rom = vmm_memory(MB, 0);

	paint(rom, MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, KVM_MEM_READONLY, 2 * MB, MB, rom), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 4 * MB, MB / 2, rom), 0);
	CU_ASSERT_EQUAL(slot_set(s, 2, 0, 8 * MB, PAGE, rom + MB - PAGE), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(!memory_executed(&s->vm, 6 * MB));
	CU_ASSERT(!memory_executed(&s->vm, 8 * MB));
	CU_ASSERT(memory_executed(&s->vm, 4 * MB + PAGE));
	CU_ASSERT(!memory_executed(&s->vm, 4 * MB + PAGE));
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 4 * MB / PAGE), MEM_RAM_RO);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 2 * MB / PAGE), MEM_IOREQ_SERVER);
	/* moved, taken away, put back */
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 5 * MB, MB / 2, rom), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 5 * MB / PAGE), MEM_RAM_RO);
	CU_ASSERT_EQUAL(slot_delete(s, 1), 0);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_set(s, 3, KVM_MEM_READONLY, 4 * MB, MB / 4, rom), 0);
	CU_ASSERT_EQUAL(slot_set(s, 4, 0, 5 * MB, MB / 4, rom + MB / 4), 0);
	CU_ASSERT_EQUAL(slot_set(s, 5, KVM_MEM_READONLY, 6 * MB, MB / 4, rom + MB / 2), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 4 * MB / PAGE), MEM_RAM_RO);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 5 * MB / PAGE), MEM_RAM_RW);
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 6 * MB / PAGE), MEM_IOREQ_SERVER);
	space_free(s);
	munmap(rom, MB);
}

/* A PC's firmware: RAM, ROM and RAM again under 1 MiB. */
static void pam_storms_end_where_they_should(void)
{
	char *ram = vmm_memory(16 * MB, 0), *rom = vmm_memory(256 * KB, 0);
	static const uint32_t ro = KVM_MEM_READONLY;

	paint(ram, 16 * MB);
	paint(rom, 256 * KB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 16 * MB, ram), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, ro, 4 * GB - 256 * KB, 256 * KB, rom), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	for (int round = 0; round < 4; round++) {
		CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 0xa0000, ram), 0);
		CU_ASSERT_EQUAL(slot_set(s, 2, ro, 0xc0000, 0x20000, ram + 0xc0000), 0);
		CU_ASSERT_EQUAL(slot_set(s, 3, ro, 0xe0000, 0x20000, rom + 0x20000), 0);
		CU_ASSERT_EQUAL(slot_set(s, 4, 0, MB, 15 * MB, ram + MB), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(guest_sees(s, 0, ram, 0xa0000));
		CU_ASSERT(guest_sees_nothing(s, 0xa0000, 0x20000));
		CU_ASSERT(guest_sees(s, 0xc0000, ram + 0xc0000, 0x20000));
		CU_ASSERT(guest_sees(s, 0xe0000, rom + 0x20000, 0x20000));
		CU_ASSERT(guest_sees(s, MB, ram + MB, 15 * MB));
		CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 0xe0), MEM_IOREQ_SERVER);
		for (int i = 2; i < 5; i++)
			CU_ASSERT_EQUAL(slot_delete(s, i), 0);
		CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 16 * MB, ram), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(guest_sees(s, 0, ram, 16 * MB));
		CU_ASSERT(guest_sees(s, 4 * GB - 256 * KB, rom, 256 * KB));
	}
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 0xe0), MEM_RAM_RW);
	space_free(s);
	munmap(ram, 16 * MB);
	munmap(rom, 256 * KB);
}

static void the_local_apic_keeps_its_page(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	paint(memory, 4 * MB);
	space_start(s);
	s->vm.interrupts.irqchip = true;
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0xfee00000 - 2 * MB, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0xfee00000 - 2 * MB, memory, 2 * MB));
	CU_ASSERT(guest_sees_nothing(s, 0xfee00000, PAGE));
	CU_ASSERT(guest_sees(s, 0xfee01000, memory + 2 * MB + PAGE, 2 * MB - PAGE));
	s->vm.interrupts.irqchip = false;
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0xfee00000 - 2 * MB, memory, 4 * MB));
	space_free(s);
	munmap(memory, 4 * MB);
}

/* --- several slots with one page --- */

static void a_readonly_alias_is_a_copy(void)
{
	char *bios = vmm_memory(256 * KB, 0);

	paint(bios, 256 * KB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 4 * GB - 256 * KB, 256 * KB, bios), 0);
	CU_ASSERT_EQUAL(slot_set(s, 2, KVM_MEM_READONLY, MB - 128 * KB, 128 * KB, bios + 128 * KB),
			0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 4 * GB - 256 * KB, bios, 256 * KB));
	CU_ASSERT(guest_sees(s, MB - 128 * KB, bios + 128 * KB, 128 * KB));
	CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 0xff), MEM_IOREQ_SERVER);
	/* rewritten while nobody runs */
	strcpy(bios + 200 * KB, "new");
	memory_refresh_aliases(&s->vm);
	CU_ASSERT(guest_sees(s, MB - 128 * KB, bios + 128 * KB, 128 * KB));
	strcpy(bios + 200 * KB, "newer");
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, MB - 128 * KB, bios + 128 * KB, 128 * KB));
	/* without the owner the alias is the owner */
	CU_ASSERT_EQUAL(slot_delete(s, 1), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, MB - 128 * KB, bios + 128 * KB, 128 * KB));
	strcpy(bios + 210 * KB, "direct");
	CU_ASSERT(guest_sees(s, MB - 128 * KB, bios + 128 * KB, 128 * KB));
	CU_ASSERT(guest_sees_nothing(s, 4 * GB - 256 * KB, 256 * KB));
	CU_ASSERT_EQUAL(slot_delete(s, 2), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees_nothing(s, MB - 128 * KB, 128 * KB));
	space_free(s);
	CU_ASSERT_STRING_EQUAL(bios + 210 * KB, "direct");
	munmap(bios, 256 * KB);
}

static void the_writable_slot_has_the_page(void)
{
	char *memory = vmm_memory(MB, 0);

	paint(memory, MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_set(s, 7, 0, 4 * MB, MB / 2, memory + MB / 4), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	CU_ASSERT(guest_sees(s, 4 * MB, memory + MB / 4, MB / 2));
	CU_ASSERT(fake_ram_write(s->vm.domid, 4 * MB, "written", 8));
	CU_ASSERT_STRING_EQUAL(memory + MB / 4, "written");
	/* known difference: the copy follows with the next flush */
	CU_ASSERT(!guest_sees(s, 0, memory, MB));
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	space_free(s);
	munmap(memory, MB);
}

/* A BIOS in writable memory: the guest starts at its end, and writes to it below 1 MiB. */
static void the_reset_vector_is_memory_all_the_same(void)
{
	char *bios = vmm_memory(64 * KB, 0);

	paint(bios, 64 * KB);
	for (int i = 0; i < 2; i++) {
		space_start(s);
		CU_ASSERT_EQUAL(slot_set(s, i, 0, 4 * GB - 64 * KB, 64 * KB, bios), 0);
		CU_ASSERT_EQUAL(slot_set(s, !i, 0, MB - 64 * KB, 64 * KB, bios), 0);
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(guest_sees(s, 4 * GB - 64 * KB, bios, 64 * KB));
		CU_ASSERT(guest_sees(s, MB - 64 * KB, bios, 64 * KB));
		CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 0xfffff), MEM_RAM_RO);
		CU_ASSERT_EQUAL(fake_mem_type(s->vm.domid, 0xff), MEM_RAM_RW);
		CU_ASSERT(fake_ram_write(s->vm.domid, MB - PAGE, "shadow", 7));
		CU_ASSERT_STRING_EQUAL(bios + 64 * KB - PAGE, "shadow");
		space_free(s);
	}
	munmap(bios, 64 * KB);
}

static void a_second_writable_slot_is_served_by_us(void)
{
	char *memory = vmm_memory(MB, 0);
	uint64_t value = 0;

	paint(memory, MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 3, 0, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 4, KVM_MEM_LOG_DIRTY_PAGES, 4 * MB, 2 * PAGE, memory + PAGE),
			0);
	CU_ASSERT_EQUAL(slot_set(s, 5, KVM_MEM_READONLY, 8 * MB, PAGE, memory + PAGE), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	CU_ASSERT(guest_sees_nothing(s, 4 * MB, 2 * PAGE));
	CU_ASSERT(memory_serve(&s->vm, 4 * MB, &value, 8, false));
	CU_ASSERT_EQUAL(value, (uintptr_t)(memory + PAGE));
	value = 0x1122334455667788;
	CU_ASSERT(memory_serve(&s->vm, 4 * MB + 4, &value, 4, true));
	CU_ASSERT_EQUAL(*(uint32_t *)(memory + PAGE + 4), 0x55667788);
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	/* not memory, not writable, not within one slot */
	CU_ASSERT(!memory_serve(&s->vm, 16 * MB, &value, 8, false));
	CU_ASSERT(!memory_serve(&s->vm, 8 * MB, &value, 8, true));
	CU_ASSERT(memory_serve(&s->vm, 8 * MB, &value, 8, false));
	CU_ASSERT(!memory_serve(&s->vm, 4 * MB + 2 * PAGE - 4, &value, 8, false));
	space_free(s);
	munmap(memory, MB);
}

static void a_slot_without_memory_is_not_served(void)
{
	uint64_t value;

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, PAGE, NULL), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees_nothing(s, 0, PAGE));
	CU_ASSERT(!memory_serve(&s->vm, 0, &value, 8, false));
	CU_ASSERT(!memory_serve(&s->vm, 0, &value, 8, true));
	space_free(s);
}

/* --- what the VMM does to its address space --- */

static bool intercept(enum memory_call call, void *at, size_t length, int argument, long *result)
{
	bool answered;

	*result = 12345;
	errno = 0;
	replacing_begin();
	answered = memory_intercept(call, at, length, argument, result);
	replacing_end();
	return answered;
}

static void other_memory_is_left_alone(void)
{
	char *memory = vmm_memory(4 * MB, 0), *other = vmm_memory(MB, 0);
	long r;

	CU_ASSERT(!intercept(MEMORY_MUNMAP, other, MB, 0, &r));
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 2 * MB, memory + MB), 0);
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory, 4 * MB, 0, &r));
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(!intercept(MEMORY_MUNMAP, other, MB, 0, &r));
	CU_ASSERT(!intercept(MEMORY_MPROTECT, other, MB, PROT_READ, &r));
	CU_ASSERT(!intercept(MEMORY_MADVISE, memory, MB, MADV_DONTNEED, &r));
	CU_ASSERT(!intercept(MEMORY_MADVISE, memory + 3 * MB, MB, MADV_DONTNEED, &r));
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory + MB + 1, MB, 0, &r));
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory + MB, 0, 0, &r));
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory + MB, ~0ul, 0, &r));
	CU_ASSERT_EQUAL(fake_mappings(), 1);
	space_free(s);
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory, 4 * MB, 0, &r));
	munmap(memory, 4 * MB);
	munmap(other, MB);
}

static void protections_and_advice_are_answered(void)
{
	char *memory = vmm_memory(6 * MB, 0);
	long r;

	paint(memory, 6 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 2 * MB, memory + MB), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 4 * MB, MB, memory + 4 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(intercept(MEMORY_MPROTECT, memory + MB, PAGE, PROT_NONE, &r));
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT(is_painted(memory + MB, memory + MB));
	CU_ASSERT(intercept(MEMORY_MADVISE, memory + MB, 2 * MB, MADV_HUGEPAGE, &r));
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT(intercept(MEMORY_MADVISE, memory + MB, PAGE, 4711, &r));
	CU_ASSERT(r == -1 && errno == EINVAL);
	CU_ASSERT(intercept(MEMORY_MADVISE, memory + MB, PAGE, MADV_REMOVE, &r));
	CU_ASSERT(r == -1 && errno == EINVAL);
	/* over everything: backed or not, all of it reads as zeroes */
	CU_ASSERT(intercept(MEMORY_MADVISE, memory + PAGE, 6 * MB - 2 * PAGE, MADV_DONTNEED, &r));
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT(is_painted(memory, memory));
	for (size_t at = PAGE; at < 6 * MB - PAGE; at += PAGE)
		CU_ASSERT(!*(uintptr_t *)(memory + at));
	CU_ASSERT(is_painted(memory + 6 * MB - PAGE, memory + 6 * MB - PAGE));
	CU_ASSERT(guest_sees(s, 0, memory + MB, 2 * MB));
	/* protections of what lies between are real */
	CU_ASSERT(intercept(MEMORY_MPROTECT, memory, 6 * MB, PROT_READ, &r));
	CU_ASSERT_EQUAL(r, 0);
	memory[MB] = memory[4 * MB] = 1;
	CU_ASSERT_EQUAL(read(open("/dev/zero", 0), memory + 3 * MB, 1), -1);
	space_free(s);
	munmap(memory, 6 * MB);
}

static void shared_memory_keeps_its_content(void)
{
	char *memory = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long r;

	paint(memory, MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	CU_ASSERT(intercept(MEMORY_MADVISE, memory, MB, MADV_DONTNEED, &r));
	CU_ASSERT(is_painted(memory + PAGE, memory + PAGE));
	CU_ASSERT(intercept(MEMORY_MADVISE, memory, PAGE, MADV_REMOVE, &r));
	CU_ASSERT(r == 0 && memory[0] == 0);
	CU_ASSERT(is_painted(memory + PAGE, memory + PAGE));
	space_free(s);
	munmap(memory, MB);
}

static void memory_of_a_deleted_slot_can_be_unmapped(void)
{
	char *memory = vmm_memory(4 * MB, 0);
	long r;

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	/* not flushed yet; from the middle of one mapping to the middle of the next */
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory + MB, 2 * MB, 0, &r));
	CU_ASSERT_EQUAL(munmap(memory + MB, 2 * MB), 0);
	CU_ASSERT(is_painted(memory + MB - PAGE, memory + MB - PAGE));
	CU_ASSERT(is_painted(memory + 3 * MB, memory + 3 * MB));
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees_nothing(s, 0, 4 * MB));
	CU_ASSERT_EQUAL(fake_mappings(), 2);
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory, 4 * MB, 0, &r));
	CU_ASSERT_EQUAL(munmap(memory, 4 * MB), 0);
	CU_ASSERT_EQUAL(fake_mappings(), 0);
	space_free(s);
}

static void what_replaces_memory_of_a_slot_is_shown(void)
{
	char *memory = vmm_memory(4 * MB, 0), *hole = memory + 2 * MB - 2 * PAGE;
	long r;

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(!intercept(MEMORY_MMAP_FIXED, hole, 4 * PAGE, MAP_FIXED, &r));
	/* flushes that come too early leave the place alone */
	CU_ASSERT_EQUAL(flush(s), 0);
	usleep(20000);
	CU_ASSERT(mmap(hole, 4 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == hole);
	/* the rest never went away */
	CU_ASSERT(guest_sees(s, 0, memory, 2 * MB - 2 * PAGE));
	CU_ASSERT(guest_sees(s, 2 * MB + 2 * PAGE, memory + 2 * MB + 2 * PAGE, 2 * MB - 2 * PAGE));
	strcpy(hole, "fresh");
	/* and nobody has to enter KVM_RUN for the rest */
	CU_ASSERT(RIG_WAIT(!atomic_load(&s->vm.memory.changed)));
	CU_ASSERT(guest_sees(s, 0, memory, 4 * MB));
	CU_ASSERT_STRING_EQUAL(hole, "fresh");
	space_free(s);
	CU_ASSERT_STRING_EQUAL(hole, "fresh");
	CU_ASSERT(is_painted(memory, memory));
	munmap(memory, 4 * MB);
}

/* A balloon. */
static void fresh_memory_over_a_slot_is_empty(void)
{
	char *memory = vmm_memory(4 * MB, 0);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
	long r;

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	for (size_t at = MB; at < 3 * MB; at += 2 * PAGE) {
		CU_ASSERT(intercept(MEMORY_MMAP_FIXED, memory + at, PAGE, flags, &r));
		CU_ASSERT_EQUAL(r, (long)(memory + at));
		CU_ASSERT(!*(uintptr_t *)(memory + at));
	}
	CU_ASSERT(is_painted(memory + MB + PAGE, memory + MB + PAGE));
	CU_ASSERT_EQUAL(fake_mappings(), 2);
	CU_ASSERT(guest_sees(s, 0, memory, 4 * MB));
	CU_ASSERT(!atomic_load(&s->vm.memory.changed));
	space_free(s);
	munmap(memory, 4 * MB);
}

static void memory_of_a_slot_can_be_unmapped(void)
{
	char *memory = vmm_memory(4 * MB, 0);
	long r;

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(!intercept(MEMORY_MUNMAP, memory + MB, 2 * MB, 0, &r));
	CU_ASSERT_EQUAL(munmap(memory + MB, 2 * MB), 0);
	CU_ASSERT(RIG_WAIT(!atomic_load(&s->vm.memory.changed)));
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	CU_ASSERT(guest_sees_nothing(s, MB, 2 * MB));
	CU_ASSERT(guest_sees(s, 3 * MB, memory + 3 * MB, MB));
	space_free(s);
	munmap(memory, 4 * MB);
}

static void memory_that_becomes_accessible_is_shown(void)
{
	char *memory = vmm_memory(MB, 0);
	long r;

	mprotect(memory, MB, PROT_NONE);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees_nothing(s, 0, MB));
	CU_ASSERT(!intercept(MEMORY_MPROTECT, memory, MB / 2, PROT_READ | PROT_WRITE, &r));
	CU_ASSERT_EQUAL(mprotect(memory, MB / 2, PROT_READ | PROT_WRITE), 0);
	CU_ASSERT(RIG_WAIT(!atomic_load(&s->vm.memory.changed)));
	CU_ASSERT(guest_sees(s, 0, memory, MB / 2));
	CU_ASSERT(guest_sees_nothing(s, MB / 2, MB / 2));
	space_free(s);
	munmap(memory, MB);
}

static void moved_memory_takes_its_content_along(void)
{
	char *memory = vmm_memory(4 * MB, 0), *to = vmm_memory(2 * MB, 0);
	long r;

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	CU_ASSERT(!intercept(MEMORY_MREMAP, memory + MB, 2 * MB, 0, &r));
	CU_ASSERT(mremap(memory + MB, 2 * MB, 2 * MB, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	for (size_t at = 0; at < 2 * MB; at += PAGE)
		CU_ASSERT(is_painted(to + at, memory + MB + at));
	CU_ASSERT(is_painted(memory, memory));
	space_free(s);
	munmap(memory, 4 * MB);
	munmap(to, 2 * MB);
}

static void released_memory_is_ordinary(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(memory_ordinary(memory, MB), -EBUSY);
	CU_ASSERT_EQUAL(memory_ordinary(memory + 1, MB), -EINVAL);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	replacing_begin();
	CU_ASSERT_EQUAL(memory_ordinary(memory + PAGE, 3 * MB), 0);
	replacing_end();
	CU_ASSERT_EQUAL(fake_mappings(), 2);
	CU_ASSERT_EQUAL(memory_ordinary(memory, 4 * MB), 0);
	CU_ASSERT_EQUAL(fake_mappings(), 0);
	for (size_t at = 0; at < 4 * MB; at += PAGE)
		CU_ASSERT(is_painted(memory + at, memory + at));
	space_free(s);
	munmap(memory, 4 * MB);
}

/* free() unmaps large memory inside libc, where nobody sees it. */
static void memory_that_vanished_is_forgotten(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	munmap(memory, 4 * MB);
	mmap(memory + 2 * MB, 2 * MB, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	strcpy(memory + 2 * MB, "somebody else's");
	fake_check(); /* sees it too */
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory + 2 * MB), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 0, memory + 2 * MB, MB));
	space_free(s);
	CU_ASSERT_STRING_EQUAL(memory + 2 * MB, "somebody else's");
	munmap(memory, 4 * MB);
}

/* --- when --- */

static void a_running_guest_sees_changes_soon(void)
{
	char *memory = vmm_memory(MB, 0);

	paint(memory, MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 4 * MB, MB, memory), 0);
	usleep(20000);
	CU_ASSERT(guest_sees_nothing(s, 4 * MB, MB));
	atomic_store(&s->vcpu.in_run, true);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 2 * MB, MB, memory), 0);
	CU_ASSERT(RIG_WAIT(guest_sees(s, 2 * MB, memory, MB)));
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	CU_ASSERT(RIG_WAIT(guest_sees_nothing(s, 2 * MB, MB)));
	atomic_store(&s->vcpu.in_run, false);
	space_free(s);
	munmap(memory, MB);
}

/* How many moves of frames eight deletions make that each come a moment before what replaces them.
 */
static unsigned moves_of_a_series(char *memory)
{
	unsigned moves = fake_calls("mem_relocate");

	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
		usleep(500);
		CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
		usleep(500);
	}
	CU_ASSERT(RIG_WAIT(!atomic_load(&s->vm.memory.changed)));
	return fake_calls("mem_relocate") - moves;
}

/* Between a deletion and what comes for it a VMM may be slow: no frame moves to and fro. */
static void a_series_of_changes_is_waited_for(void)
{
	char *memory = vmm_memory(MB, 0);
	bool waited = false;

	paint(memory, MB);
	space_start(s);
	atomic_store(&s->vcpu.in_run, true);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, MB, memory), 0);
	CU_ASSERT(RIG_WAIT(!atomic_load(&s->vm.memory.changed)));
	/* One to stop the world, and a few more. On a busy machine a moment may be long: then once
	 * more. */
	for (int tries = 0; tries < 20 && !waited; tries++)
		waited = moves_of_a_series(memory) < 8;
	CU_ASSERT(waited);
	CU_ASSERT(guest_sees(s, 0, memory, MB));
	atomic_store(&s->vcpu.in_run, false);
	space_free(s);
	munmap(memory, MB);
}

/* The first domain may be impossible to make whole, and the VMM may try again. */
static void a_vm_can_have_another_domain(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	paint(memory, 4 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(slot_set(s, 1, KVM_MEM_READONLY, 8 * MB, MB, memory + MB), 0);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT(guest_sees(s, 0, memory, 4 * MB));
		space_end_domain(s);
		CU_ASSERT(atomic_load(&s->vm.memory.changed));
		CU_ASSERT_PTR_EQUAL(memory_at(&s->vm, MB, 1, NULL), memory + MB);
		CU_ASSERT(is_painted(memory + MB, memory + MB));
		CU_ASSERT_EQUAL(space_live(s), 0);
	}
	space_free(s);
	munmap(memory, 4 * MB);
}

static void an_ending_process_copies_nothing(void)
{
	char *memory = vmm_memory(4 * MB, 0);

	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	memory_destroy(&s->vm, false);
	CU_ASSERT_EQUAL(fake_mappings(), 2);
	munmap(memory, 4 * MB);
	space_free(s);
}

/* --- failures --- */

/* Everything that calls Xen, in one go; stops at the first failure. */
static long everything(char *memory)
{
	long rc = space_live(s);

	if (!rc)
		rc = slot_set(s, 0, 0, 0, 4 * MB, memory);
	if (!rc)
		rc = slot_set(s, 1, KVM_MEM_READONLY, 8 * MB, MB, memory + 5 * MB);
	if (!rc)
		rc = slot_set(s, 2, KVM_MEM_READONLY, 16 * MB, MB, memory + MB);
	if (!rc)
		rc = flush(s);
	if (!rc)
		rc = slot_set(s, 0, KVM_MEM_LOG_DIRTY_PAGES, PAGE, 4 * MB, memory);
	if (!rc)
		rc = slot_set(s, 1, KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES, 9 * MB, MB,
			      memory + 5 * MB);
	if (!rc)
		rc = slot_delete(s, 2);
	if (!rc)
		rc = slot_set(s, 3, 0, 16 * MB, MB, memory + 6 * MB);
	if (!rc)
		rc = flush(s);
	if (!rc)
		rc = slot_delete(s, 0);
	if (!rc)
		rc = flush(s);
	return rc;
}

static void nothing_is_lost_whatever_fails(void)
{
	char *memory = vmm_memory(8 * MB, 0);
	unsigned n = 0;
	bool failed = true;

	quiet_begin();
	while (failed && n++ < 1000) {
		long rc;

		paint(memory, 8 * MB);
		space_new(s);
		fake_fail_nth(n, EIO);
		rc = everything(memory);
		failed = fake_failed();
		fake_fail_clear();
		/* some failures have another way out */
		CU_ASSERT(rc == 0 || rc == -EIO || rc == -ENOMEM);
		CU_ASSERT(failed || rc == 0);
		for (size_t at = 0; at < 8 * MB; at += PAGE)
			CU_ASSERT(is_painted(memory + at, memory + at));
		if (n % 2 && vm_live(&s->vm) && s->vm.memory.changed && s->vm.vcpus[0]) {
			/* what failed once works the next time */
			CU_ASSERT_EQUAL(flush(s), 0);
			if (memory_at(&s->vm, PAGE, 1, NULL) == memory)
				CU_ASSERT(guest_sees(s, PAGE, memory, 4 * MB));
			if (memory_at(&s->vm, 16 * MB, 1, NULL))
				CU_ASSERT(guest_sees(s, 16 * MB,
						     memory_at(&s->vm, 16 * MB, 1, NULL), MB));
		}
		space_free(s);
		for (size_t at = 0; at < 8 * MB; at += PAGE)
			CU_ASSERT(is_painted(memory + at, memory + at));
	}
	quiet_end();
	CU_ASSERT(n > 20 && n < 1000);
	munmap(memory, 8 * MB);
}

/* Xen moves frame by frame and may run out of page tables anywhere. */
static void a_move_that_stops_half_way_is_taken_up(void)
{
	char *memory = vmm_memory(16 * MB, 0);
	struct control *ctl;
	unsigned pages = 0, failures = 0;
	int rc;

	paint(memory, 16 * MB);
	space_start(s);
	ctl = s->vm.xen.ctl;
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 16 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT_EQUAL(slot_delete(s, 0), 0);
	quiet_begin();
	do {
		fake_fail_clear();
		/* just what is in use */
		while (ctl->ops->domain_set_paging_pool(ctl, s->vm.domid, pages * PAGE))
			pages++;
		fake_fail_always("domain_set_paging_pool", ENOMEM);
		rc = flush(s);
		failures += rc != 0;
		CU_ASSERT(rc == 0 || rc == -ENOMEM);
	} while (rc && pages < 1000);
	quiet_end();
	fake_fail_clear();
	CU_ASSERT(failures > 4);
	CU_ASSERT(guest_sees_nothing(s, 0, 16 * MB));
	/* and with a pool that can grow nobody notices */
	ctl->ops->domain_set_paging_pool(ctl, s->vm.domid, (pages + 4) * PAGE);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 32 * MB, 16 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	CU_ASSERT(guest_sees(s, 32 * MB, memory, 16 * MB));
	space_free(s);
	munmap(memory, 16 * MB);
}

/* Tables of what was moved away stay: a new slot may need more of them than the rule says. */
static void a_new_slot_gets_the_page_tables_that_it_needs(void)
{
	char *memory = vmm_memory(8 * MB, 0);

	paint(memory, 8 * MB);
	space_start(s);
	CU_ASSERT_EQUAL(slot_set(s, 0, 0, 0, 4 * MB, memory), 0);
	CU_ASSERT_EQUAL(flush(s), 0);
	quiet_begin();
	fake_fail("mem_populate", ENOMEM);
	CU_ASSERT_EQUAL(slot_set(s, 1, 0, 1024 * MB + PAGE, 4 * MB, memory + 4 * MB), 0);
	CU_ASSERT(fake_failed());
	quiet_end();
	CU_ASSERT_EQUAL(flush(s), 0);
	fake_fail_clear();
	CU_ASSERT(guest_sees(s, 0, memory, 4 * MB));
	CU_ASSERT(guest_sees(s, 1024 * MB + PAGE, memory + 4 * MB, 4 * MB));
	space_free(s);
	munmap(memory, 8 * MB);
}

/* --- anything at all --- */

#define POOL_PAGES  2300ul
#define MODEL_SLOTS 6
#define GUEST_PAGES 8192ul

static struct model {
	bool used;
	uint32_t flags;
	uint64_t gfn, page, pages; /* page: of the pool */
} model[MODEL_SLOTS];

static unsigned long below(unsigned *seed, unsigned long n)
{
	return rand_r(seed) % n;
}

/* The slot that has a page of the pool, or -1. */
static int model_owner(uint64_t page)
{
	int owner = -1;

	for (int i = 0; i < MODEL_SLOTS; i++) {
		const struct model *m = &model[i];

		if (!m->used || page < m->page || page >= m->page + m->pages)
			continue;
		if (owner < 0 || (model[owner].flags & ~m->flags & KVM_MEM_READONLY))
			owner = i;
	}
	return owner;
}

static bool model_holds(const char *pool)
{
	char page[PAGE];

	for (uint64_t gfn = 0; gfn < GUEST_PAGES; gfn++) {
		int type = fake_mem_type(s->vm.domid, gfn), want = -1;
		uint64_t at = 0;

		for (int i = 0; i < MODEL_SLOTS; i++) {
			const struct model *m = &model[i];

			if (!m->used || gfn < m->gfn || gfn >= m->gfn + m->pages)
				continue;
			at = m->page + gfn - m->gfn;
			if (m->flags & KVM_MEM_READONLY)
				want = MEM_IOREQ_SERVER;
			else if (model_owner(at) == i)
				want = MEM_RAM_RW;
		}
		if (type != want)
			return false;
		if (want < 0)
			continue;
		fake_ram_read(s->vm.domid, gfn * PAGE, page, PAGE);
		if (memcmp(page, pool + at * PAGE, PAGE))
			return false;
	}
	return true;
}

static void model_change(unsigned *seed, char *pool)
{
	int i = below(seed, MODEL_SLOTS);
	struct model *m = &model[i], next;
	bool overlap = false;

	if (m->used && below(seed, 3) == 0) {
		CU_ASSERT_EQUAL(slot_delete(s, i), 0);
		m->used = false;
		return;
	}
	next = *m;
	if (!m->used) {
		next.used = true;
		next.pages = 1 + below(seed, below(seed, 2) ? 1500 : 20);
		next.page = below(seed, POOL_PAGES - next.pages + 1);
		next.flags = below(seed, 3) ? 0 : KVM_MEM_READONLY;
	}
	next.gfn = below(seed, GUEST_PAGES - next.pages);
	for (int j = 0; j < MODEL_SLOTS; j++)
		overlap |= j != i && model[j].used && next.gfn < model[j].gfn + model[j].pages &&
			   model[j].gfn < next.gfn + next.pages;
	CU_ASSERT_EQUAL(slot_set(s, i, next.flags, next.gfn * PAGE, next.pages * PAGE,
				 pool + next.page * PAGE),
			overlap ? -EEXIST : 0);
	if (!overlap)
		*m = next;
}

static void model_vmm(unsigned *seed, char *pool)
{
	unsigned long page = below(seed, POOL_PAGES), n = 1 + below(seed, 40);
	int flags = MAP_PRIVATE | MAP_FIXED | (below(seed, 4) ? MAP_ANONYMOUS : 0);
	char *at = pool + page * PAGE;
	long r;

	if (page + n > POOL_PAGES)
		n = POOL_PAGES - page;
	switch (below(seed, 8)) {
	case 0:
		/* without the flag it is a file, as far as they know */
		if (!intercept(MEMORY_MMAP_FIXED, at, n * PAGE, flags, &r)) {
			pthread_mutex_lock(&s->vm.lock);
			mmap(at, n * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
			paint(at, n * PAGE);
			pthread_mutex_unlock(&s->vm.lock);
		} else {
			CU_ASSERT_EQUAL(r, (long)at);
			CU_ASSERT(!*(uintptr_t *)at);
		}
		/* until it is shown again */
		RIG_WAIT(!atomic_load(&s->vm.memory.deferred));
		break;
	case 1:
	case 2:
		if (!intercept(MEMORY_MADVISE, at, n * PAGE, MADV_DONTNEED, &r))
			madvise(at, n * PAGE, MADV_DONTNEED);
		for (unsigned long i = 0; i < n; i++)
			CU_ASSERT(!*(uintptr_t *)(at + i * PAGE));
		break;
	default:
		for (unsigned long i = 0; i < n; i++)
			*(unsigned *)(at + i * PAGE + 8) = rand_r(seed);
		break;
	}
}

static void random_changes_keep_the_promise(void)
{
	char *pool = vmm_memory(POOL_PAGES * PAGE, 13 * PAGE), *copy = malloc(POOL_PAGES * PAGE);
	const char *given = getenv("SEED");
	unsigned seed = given ? atoi(given) : 1;
	int rounds = given ? 1000 : 300;

	memset(model, 0, sizeof(model));
	paint(pool, POOL_PAGES * PAGE);
	space_start(s);
	for (int round = 0; round < rounds; round++) {
		bool fail = below(&seed, 4) == 0;
		int rc;

		for (int i = below(&seed, 5); i >= 0; i--)
			model_change(&seed, pool);
		memcpy(copy, pool, POOL_PAGES * PAGE);
		if (fail) {
			quiet_begin();
			fake_fail_nth(1 + below(&seed, 20), EIO);
			rc = flush(s);
			CU_ASSERT(fake_failed() || rc == 0);
			fake_fail_clear();
			quiet_end();
			CU_ASSERT_EQUAL(memcmp(copy, pool, POOL_PAGES * PAGE), 0);
		}
		CU_ASSERT_EQUAL(flush(s), 0);
		CU_ASSERT_EQUAL(memcmp(copy, pool, POOL_PAGES * PAGE), 0);
		model_vmm(&seed, pool);
		CU_ASSERT_EQUAL(flush(s), 0);
		if (!model_holds(pool)) {
			printf("\n    round %d", round);
			CU_FAIL("the guest sees something else");
			break;
		}
	}
	memcpy(copy, pool, POOL_PAGES * PAGE);
	space_free(s);
	CU_ASSERT_EQUAL(memcmp(copy, pool, POOL_PAGES * PAGE), 0);
	free(copy);
	munmap(pool, POOL_PAGES * PAGE);
}

void register_memory_suite(void)
{
	static CU_TestInfo slots[] = {
		{"the ioctl refuses what KVM refuses", the_ioctl_refuses_what_kvm_refuses},
		{"a slot is found by its address", a_slot_is_found_by_its_address},
		{"hundreds of slots are found", hundreds_of_slots_are_found},
		{"readers need no lock", readers_need_no_lock},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo frames[] = {
		{"content is kept and shared", content_is_kept_and_shared},
		{"large slots use large extents", large_slots_use_large_extents},
		{"small frames do where large ones are gone",
		 small_frames_do_where_large_ones_are_gone},
		{"a host without memory is an error", a_host_without_memory_is_an_error},
		{"untouched memory stays untouched", untouched_memory_stays_untouched},
		{"sparse files stay sparse", sparse_files_stay_sparse},
		{"files and odd protections work", files_and_odd_protections_work},
		{"a deleted slot leaves its memory", a_deleted_slot_leaves_its_memory},
		{"nothing happens without a difference", nothing_happens_without_a_difference},
		{"slots move over themselves and each other",
		 slots_move_over_themselves_and_each_other},
		{"new memory comes where old memory was", new_memory_comes_where_old_memory_was},
		{"a read-only slot sends us its writes", a_readonly_slot_sends_us_its_writes},
		{"an executed slot stays executable", an_executed_slot_stays_executable},
		{"PAM storms end where they should", pam_storms_end_where_they_should},
		{"the local APIC keeps its page", the_local_apic_keeps_its_page},
		{"a running guest sees changes soon", a_running_guest_sees_changes_soon},
		{"a series of changes is waited for", a_series_of_changes_is_waited_for},
		{"a VM can have another domain", a_vm_can_have_another_domain},
		{"an ending process copies nothing", an_ending_process_copies_nothing},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo aliases[] = {
		{"a read-only alias is a copy", a_readonly_alias_is_a_copy},
		{"the writable slot has the page", the_writable_slot_has_the_page},
		{"the reset vector is memory all the same",
		 the_reset_vector_is_memory_all_the_same},
		{"a second writable slot is served by us", a_second_writable_slot_is_served_by_us},
		{"a slot without memory is not served", a_slot_without_memory_is_not_served},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo calls[] = {
		{"other memory is left alone", other_memory_is_left_alone},
		{"protections and advice are answered", protections_and_advice_are_answered},
		{"shared memory keeps its content", shared_memory_keeps_its_content},
		{"memory of a deleted slot can be unmapped",
		 memory_of_a_deleted_slot_can_be_unmapped},
		{"what replaces memory of a slot is shown",
		 what_replaces_memory_of_a_slot_is_shown},
		{"fresh memory over a slot is empty", fresh_memory_over_a_slot_is_empty},
		{"memory of a slot can be unmapped", memory_of_a_slot_can_be_unmapped},
		{"memory that becomes accessible is shown",
		 memory_that_becomes_accessible_is_shown},
		{"moved memory takes its content along", moved_memory_takes_its_content_along},
		{"released memory is ordinary", released_memory_is_ordinary},
		{"memory that vanished is forgotten", memory_that_vanished_is_forgotten},
		CU_TEST_INFO_NULL,
	};
	static CU_TestInfo failures[] = {
		{"nothing is lost whatever fails", nothing_is_lost_whatever_fails},
		{"a move that stops half way is taken up", a_move_that_stops_half_way_is_taken_up},
		{"a new slot gets the page tables that it needs",
		 a_new_slot_gets_the_page_tables_that_it_needs},
		{"random changes keep the promise", random_changes_keep_the_promise},
		CU_TEST_INFO_NULL,
	};
	static CU_SuiteInfo suites[] = {
		{"memory: slots", NULL, NULL, NULL, NULL, slots},
		{"memory: frames", NULL, NULL, NULL, NULL, frames},
		{"memory: aliases", NULL, NULL, NULL, NULL, aliases},
		{"memory: the VMM's calls", NULL, NULL, NULL, NULL, calls},
		{"memory: failures", NULL, NULL, NULL, NULL, failures},
		CU_SUITE_INFO_NULL,
	};

	CU_register_suites(suites);
}
