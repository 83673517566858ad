/* slots: KVM_SET_USER_MEMORY_REGION and the dirty log's arguments. */
#include "answers.h"

#define PAGE 4096ull

static void slot(int vm, const char *what, uint32_t id, uint32_t flags, uint64_t gpa, uint64_t size,
		 uint64_t hva)
{
	struct kvm_userspace_memory_region region = {id, flags, gpa, size, hva};

	answer(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "slots/%s", what);
}

static void log_of(int vm, const char *what, uint32_t id, void *bitmap)
{
	struct kvm_dirty_log log = {.slot = id, .dirty_bitmap = bitmap};

	answer(ioctl(vm, KVM_GET_DIRTY_LOG, &log), "dirty log/%s", what);
}

static void dirty(int vm, uint64_t hva)
{
	uint64_t bits[8];

	memset(bits, 0xff, sizeof bits);
	slot(vm, "logged", 7, KVM_MEM_LOG_DIRTY_PAGES, 0x100000, 16 * PAGE, hva);
	log_of(vm, "of a fresh slot", 7, bits);
	value(bits[0], "dirty log/is clear");
	value(bits[1], "dirty log/next word untouched");
	log_of(vm, "of a slot that is not logged", 0, bits);
	log_of(vm, "of no slot", 30, bits);
	log_of(vm, "slot too high", 1u << 15, bits);
	log_of(vm, "address space 1", 7 | 1u << 16, bits);
	log_of(vm, "bad pointer", 7, (void *)16);
	slot(vm, "logging off", 7, 0, 0x100000, 16 * PAGE, hva);
	log_of(vm, "after logging", 7, bits);
}

void slots(void)
{
	uint64_t hva = (uintptr_t)zeroed_pages(64 * PAGE);
	struct subject s;

	subject_open(&s, WITH_VCPU);
	slot(s.vm, "first", 0, 0, 0, 8 * PAGE, hva);
	slot(s.vm, "the same again", 0, 0, 0, 8 * PAGE, hva);
	slot(s.vm, "smaller", 0, 0, 0, 4 * PAGE, hva);
	slot(s.vm, "other memory", 0, 0, 0, 8 * PAGE, hva + 8 * PAGE);
	slot(s.vm, "made read-only", 0, KVM_MEM_READONLY, 0, 8 * PAGE, hva);
	slot(s.vm, "made logged", 0, KVM_MEM_LOG_DIRTY_PAGES, 0, 8 * PAGE, hva);
	slot(s.vm, "no more logged", 0, 0, 0, 8 * PAGE, hva);
	slot(s.vm, "overlapping", 1, 0, 7 * PAGE, 8 * PAGE, hva + 8 * PAGE);
	slot(s.vm, "around another", 1, 0, 0, 16 * PAGE, hva + 8 * PAGE);
	slot(s.vm, "beside another", 1, 0, 8 * PAGE, 8 * PAGE, hva + 8 * PAGE);
	slot(s.vm, "the same memory twice", 2, 0, 32 * PAGE, 8 * PAGE, hva);
	slot(s.vm, "moved", 2, 0, 64 * PAGE, 8 * PAGE, hva);
	slot(s.vm, "moved onto another", 2, 0, PAGE, 8 * PAGE, hva);
	slot(s.vm, "read-only", 3, KVM_MEM_READONLY, 128 * PAGE, PAGE, hva + 20 * PAGE);
	slot(s.vm, "read-only and logged", 4, KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES,
	     130 * PAGE, PAGE, hva + 21 * PAGE);
	slot(s.vm, "read-only no more", 3, 0, 128 * PAGE, PAGE, hva + 20 * PAGE);
	slot(s.vm, "deleted", 3, 0, 128 * PAGE, 0, hva);
	slot(s.vm, "deleted again", 3, 0, 128 * PAGE, 0, hva);
	slot(s.vm, "deleted with flags", 4, KVM_MEM_READONLY, 0, 0, 0);
	slot(s.vm, "guest address in a page", 5, 0, 200 * PAGE + 8, PAGE, hva);
	slot(s.vm, "size in a page", 5, 0, 200 * PAGE, PAGE + 8, hva);
	slot(s.vm, "memory in a page", 5, 0, 200 * PAGE, PAGE, hva + 8);
	slot(s.vm, "size less than a page", 5, 0, 200 * PAGE, 1, hva);
	slot(s.vm, "unknown flag", 5, 1u << 4, 200 * PAGE, PAGE, hva);
	slot(s.vm, "highest flag", 5, 1u << 31, 200 * PAGE, PAGE, hva);
	slot(s.vm, "slot too high", 1u << 15, 0, 200 * PAGE, PAGE, hva);
	slot(s.vm, "address space 1", 5 | 1u << 16, 0, 200 * PAGE, PAGE, hva);
	slot(s.vm, "address space 2", 5 | 2u << 16, 0, 200 * PAGE, PAGE, hva);
	slot(s.vm, "end of addresses", 5, 0, -PAGE, PAGE, hva);
	slot(s.vm, "beyond it", 5, 0, -PAGE, 2 * PAGE, hva);
	slot(s.vm, "kernel's memory", 5, 0, 200 * PAGE, PAGE, 0xffff888000000000);
	slot(s.vm, "memory around the end", 5, 0, 200 * PAGE, 2 * PAGE, -PAGE);
	slot(s.vm, "not canonical", 5, 0, 200 * PAGE, PAGE, 1ull << 60);
	slot(s.vm, "larger than any", 5, 0, 200 * PAGE, 1ull << 44, hva);
	dirty(s.vm, hva + 30 * PAGE);
	subject_close(&s);
}
