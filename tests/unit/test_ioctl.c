/* The ioctl table and its dispatch, through the library's entry points. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvmxen/intercept.h"
#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/ioctl/table.h"
#include "tests/unit/unit_machine.h"

void register_ioctl_suite(void);

static struct machine m;

static void rows_are_reachable_and_fit(void)
{
	size_t n, i;
	const struct ioctl_row *rows = ioctl_rows(&n);

	for (i = 0; i < n; i++) {
		CU_ASSERT_PTR_EQUAL(ioctl_row(rows[i].request, rows[i].fd), &rows[i]);
		CU_ASSERT(rows[i].handler != NULL || rows[i].reason != NULL);
		CU_ASSERT(rows[i].handler == NULL || rows[i].refusal == 0);
		if (rows[i].argument == ARGUMENT_STRUCT || rows[i].argument == ARGUMENT_OUT)
			CU_ASSERT(_IOC_SIZE(rows[i].request) <= IOCTL_STRUCT_MAX);
	}
}

static void capabilities_are_listed_once(void)
{
	size_t n, i, j;
	const struct capability *table = capabilities(&n);

	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			CU_ASSERT_NOT_EQUAL(table[i].number, table[j].number);
}

static void descriptors_have_kinds(void)
{
	int pipes[2];

	kvm_machine_new(&m, 1, false, NULL);
	CU_ASSERT_EQUAL(machine_ioctl(m.kvm, KVM_RUN, NULL), -EINVAL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_RUN, NULL), -ENOTTY);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_CREATE_VM, NULL), -EINVAL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, _IO(KVMIO, 0xff), NULL), -ENOTTY);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_RUN, (void *)1), -EINVAL);
	CU_ASSERT_EQUAL(pipe(pipes), 0);
	CU_ASSERT_EQUAL(machine_ioctl(pipes[0], KVM_RUN, NULL), -ENOTTY);
	CU_ASSERT_EQUAL(machine_ioctl(-1, KVM_RUN, NULL), -ENOTTY);
	close(pipes[0]);
	close(pipes[1]);
	kvm_machine_free(&m);
}

/* Each row whose structure is copied by the dispatcher. */
static void bad_pointers_fault(void)
{
	struct kvm_pit_config pit = {0};
	size_t n, i;
	const struct ioctl_row *rows = ioctl_rows(&n);

	kvm_machine_new(&m, 1, true, NULL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_PIT2, &pit), 0);
	for (i = 0; i < n; i++) {
		int fd = rows[i].fd == FD_SYSTEM ? m.kvm : rows[i].fd == FD_VM ? m.vm : m.vcpu[0];

		if (!rows[i].handler || rows[i].fd == FD_DEVICE ||
		    (rows[i].argument != ARGUMENT_STRUCT && rows[i].argument != ARGUMENT_OUT))
			continue;
		CU_ASSERT_EQUAL(machine_ioctl(fd, rows[i].request, NULL), -EFAULT);
		CU_ASSERT_EQUAL(machine_ioctl(fd, rows[i].request, (void *)16), -EFAULT);
	}
	kvm_machine_free(&m);
}

static void vcpu_ids_are_checked(void)
{
	kvm_machine_new(&m, 1, false, NULL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)0), -EEXIST);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)VM_MAX_VCPU_ID), -EINVAL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)~0ul), -EINVAL);
	kvm_machine_free(&m);
}

static long choose_ids(uint64_t ids)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_MAX_VCPU_ID, .args = {ids}};

	return machine_ioctl(m.vm, KVM_ENABLE_CAP, &cap);
}

static void the_number_of_vcpu_ids_is_chosen_once(void)
{
	int fd;

	quiet_begin();
	kvm_machine_new(&m, 0, false, NULL);
	CU_ASSERT_EQUAL(choose_ids(VM_MAX_VCPU_ID + 1), -EINVAL);
	CU_ASSERT_EQUAL(choose_ids(2), 0);
	CU_ASSERT_EQUAL(choose_ids(2), 0);
	CU_ASSERT_EQUAL(choose_ids(3), -EINVAL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)2), -EINVAL);
	fd = machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)1);
	CU_ASSERT(fd >= 0);
	kvmxen_close(fd);
	kvm_machine_free(&m);
	/* The first vcpu chooses all. */
	kvm_machine_new(&m, 1, false, NULL);
	CU_ASSERT_EQUAL(choose_ids(2), -EINVAL);
	CU_ASSERT_EQUAL(choose_ids(VM_MAX_VCPU_ID), 0);
	kvm_machine_free(&m);
	quiet_end();
}

static void one_out(uint16_t id)
{
	fake_guest_out(id, 0, 0x3f8, 1, 0x41);
}

/* The VM lives as long as any descriptor of it or of its vcpu. */
static void the_last_descriptor_ends_the_vm(void)
{
	int copy;

	kvm_machine_new(&m, 1, false, one_out);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	copy = dup(m.vcpu[0]);
	CU_ASSERT_EQUAL(kvmxen_duplicated(m.vcpu[0], copy), 0);
	machine_close(&m);
	CU_ASSERT_EQUAL(fake_domains(), 1);
	CU_ASSERT_EQUAL(kvmxen_owns(m.vcpu[0]), 0);
	CU_ASSERT_EQUAL(kvmxen_owns(copy), 1);
	CU_ASSERT_EQUAL(kvmxen_close(copy), 0);
	CU_ASSERT_PTR_NULL(fake_check());
	CU_ASSERT_EQUAL(fake_domains(), 0);
}

/* Those of other architectures, those that are gone: as x86 KVM refuses them. */
static void absent_ioctls_are_refused_as_kvm_does(void)
{
	char argument[512] = {0};
	size_t n, i;
	const struct ioctl_row *rows = ioctl_rows(&n);

	kvm_machine_new(&m, 1, true, NULL);
	for (i = 0; i < n; i++) {
		int fd = rows[i].fd == FD_SYSTEM ? m.kvm : rows[i].fd == FD_VM ? m.vm : m.vcpu[0];
		long want = rows[i].fd == FD_VM ? -ENOTTY : -EINVAL;

		if (rows[i].handler)
			continue;
		CU_ASSERT_EQUAL(machine_ioctl(fd, rows[i].request, argument),
				rows[i].refusal ? -rows[i].refusal : want);
	}
	kvm_machine_free(&m);
}

static long attr_ioctl(int fd, unsigned long request, uint32_t group, uint64_t attr, void *at)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)at};

	return machine_ioctl(fd, request, &a);
}

static void the_vfio_device_knows_no_group(void)
{
	struct kvm_create_device create = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
	int32_t fd = 999;
	int device;

	kvm_machine_new(&m, 1, true, NULL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_DEVICE, &create), -ENODEV);
	create.type = KVM_DEV_TYPE_VFIO;
	create.flags = KVM_CREATE_DEVICE_TEST;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_DEVICE, &create), 0);
	create.flags = 0;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_DEVICE, &create), 0);
	device = create.fd;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_DEVICE, &create), -EBUSY);
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_HAS_DEVICE_ATTR, 1, 1, NULL), 0);
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_HAS_DEVICE_ATTR, 1, 9, NULL), -ENXIO);
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_GET_DEVICE_ATTR, 1, 1, &fd), -EPERM);
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_SET_DEVICE_ATTR, 1, 1, (void *)16), -EFAULT);
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_SET_DEVICE_ATTR, 1, 1, &fd), -EBADF);
	fd = m.kvm;
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_SET_DEVICE_ATTR, 1, 1, &fd), -EINVAL);
	CU_ASSERT_EQUAL(attr_ioctl(device, KVM_SET_DEVICE_ATTR, 1, 2, &fd), -ENOENT);
	CU_ASSERT_EQUAL(machine_ioctl(device, KVM_RUN, NULL), -ENOTTY);
	kvmxen_close(device);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_DEVICE, &create), 0);
	kvmxen_close(create.fd);
	kvm_machine_free(&m);
}

static void attributes_answer_as_kvm_does(void)
{
	uint64_t value = ~0ull, offset;

	kvm_machine_new(&m, 1, true, NULL);
	CU_ASSERT_EQUAL(attr_ioctl(m.kvm, KVM_HAS_DEVICE_ATTR, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(attr_ioctl(m.kvm, KVM_HAS_DEVICE_ATTR, 0, 9, NULL), -ENXIO);
	CU_ASSERT_EQUAL(attr_ioctl(m.kvm, KVM_GET_DEVICE_ATTR, 0, 0, &value), 0);
	CU_ASSERT_NOT_EQUAL(value, ~0ull);
	CU_ASSERT_EQUAL(attr_ioctl(m.kvm, KVM_GET_DEVICE_ATTR, 0, 0, NULL), -EFAULT);
	CU_ASSERT_EQUAL(attr_ioctl(m.vcpu[0], KVM_HAS_DEVICE_ATTR, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(attr_ioctl(m.vcpu[0], KVM_HAS_DEVICE_ATTR, 9, 0, NULL), -ENXIO);
	CU_ASSERT_EQUAL(attr_ioctl(m.vcpu[0], KVM_GET_DEVICE_ATTR, 0, 0, &value), 0);
	offset = value + 0x123456789000;
	CU_ASSERT_EQUAL(attr_ioctl(m.vcpu[0], KVM_SET_DEVICE_ATTR, 0, 0, &offset), 0);
	CU_ASSERT_EQUAL(attr_ioctl(m.vcpu[0], KVM_GET_DEVICE_ATTR, 0, 0, &value), 0);
	/* Within a second of either sign, at up to 8 GHz. */
	CU_ASSERT((int64_t)(value - offset) < 8000000000ll &&
		  (int64_t)(value - offset) > -8000000000ll);
	kvm_machine_free(&m);
}

static void filters_that_filter_nothing_pass(void)
{
	uint8_t bitmap[8] = {0};
	struct kvm_msr_filter filter = {0};
	struct kvm_pmu_event_filter pmu = {.action = KVM_PMU_EVENT_DENY};

	kvm_machine_new(&m, 1, true, NULL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_X86_SET_MSR_FILTER, &filter), 0);
	filter.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_X86_SET_MSR_FILTER, &filter), -EINVAL);
	filter.flags = 0;
	filter.ranges[3] = (struct kvm_msr_filter_range){
		.flags = KVM_MSR_FILTER_READ, .nmsrs = 8, .bitmap = bitmap};
	quiet_begin();
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_X86_SET_MSR_FILTER, &filter), -EINVAL);
	quiet_end();
	bitmap[0] = 0xff;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_X86_SET_MSR_FILTER, &filter), 0);
	filter.ranges[3].bitmap = (void *)16;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_X86_SET_MSR_FILTER, &filter), -EFAULT);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_PMU_EVENT_FILTER, &pmu), 0);
	pmu.nevents = 301;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_PMU_EVENT_FILTER, &pmu), -E2BIG);
	pmu.action = 2;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_PMU_EVENT_FILTER, &pmu), -EINVAL);
	kvm_machine_free(&m);
}

/* The value of a counter in a statistics file, as a program finds it; -1: none of that name. */
static int64_t counter(int fd, const char *name)
{
	struct kvm_stats_header h;
	char desc[sizeof(struct kvm_stats_desc) + 256];
	struct kvm_stats_desc *d = (void *)desc;
	uint64_t value;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(pread(fd, &h, sizeof h, 0), sizeof h);
	for (i = 0; i < h.num_desc; i++) {
		size_t size = sizeof *d + h.name_size;

		CU_ASSERT_EQUAL_FATAL(pread(fd, desc, size, h.desc_offset + i * size),
				      (ssize_t)size);
		if (strcmp(d->name, name) == 0 &&
		    pread(fd, &value, sizeof value, h.data_offset + d->offset) == sizeof value)
			return (int64_t)value;
	}
	return -1;
}

/* A reader takes the counters in one block, which has as many as there are descriptors. */
static void counters_are_one_block(int fd)
{
	char desc[sizeof(struct kvm_stats_desc) + 256];
	struct kvm_stats_desc *d = (void *)desc;
	struct kvm_stats_header h;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(pread(fd, &h, sizeof h, 0), sizeof h);
	for (i = 0; i < h.num_desc; i++) {
		size_t size = sizeof *d + h.name_size;

		CU_ASSERT_EQUAL_FATAL(pread(fd, desc, size, h.desc_offset + i * size),
				      (ssize_t)size);
		CU_ASSERT(d->size == 1 && d->offset % 8 == 0);
		CU_ASSERT(d->offset / 8 < h.num_desc);
	}
}

static void statistics_are_read_from_a_descriptor(void)
{
	int of_vm, of_vcpu, again;

	kvm_machine_new(&m, 1, false, one_out);
	of_vcpu = machine_ioctl(m.vcpu[0], KVM_GET_STATS_FD, NULL);
	CU_ASSERT_FATAL(of_vcpu >= 0);
	CU_ASSERT_EQUAL(counter(of_vcpu, "io_exits"), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(counter(of_vcpu, "io_exits"), 1);
	CU_ASSERT_EQUAL(counter(of_vcpu, "mmio_exits"), 0);
	counters_are_one_block(of_vcpu);
	of_vm = machine_ioctl(m.vm, KVM_GET_STATS_FD, NULL);
	CU_ASSERT_FATAL(of_vm >= 0);
	counters_are_one_block(of_vm);
	CU_ASSERT(counter(of_vm, "xen_context_loads") >= 0);
	again = machine_ioctl(m.vcpu[0], KVM_GET_STATS_FD, NULL);
	CU_ASSERT_EQUAL(counter(again, "io_exits"), 1);
	CU_ASSERT_EQUAL(write(again, "x", 1), -1);
	close(again);
	kvm_machine_free(&m);
	/* A file that is open stays. */
	CU_ASSERT_EQUAL(counter(of_vcpu, "io_exits"), 1);
	close(of_vm);
	close(of_vcpu);
}

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[2];
} cpuid;

static uint32_t edx_of_leaf_1(void)
{
	memset(&cpuid, 0, sizeof cpuid);
	cpuid.head.nent = 2;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_CPUID2, &cpuid), 0);
	CU_ASSERT(cpuid.head.nent == 1 && cpuid.entries[0].function == 1);
	return cpuid.entries[0].edx;
}

/* Bits that follow the registers are theirs, whatever was set; and are no change. */
static void the_cpuid_table_is_shown_as_the_guest_sees_it(void)
{
	struct kvm_sregs sregs = {0};

	kvm_machine_new(&m, 1, true, one_out);
	cpuid.head.nent = 1;
	cpuid.entries[0] = (struct kvm_cpuid_entry2){.function = 1, .edx = 1};
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_CPUID2, &cpuid), 0);
	CU_ASSERT_EQUAL(edx_of_leaf_1(), 1u << 9 | 1);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_SREGS, &sregs), 0);
	sregs.apic_base &= ~(1ull << 11);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(edx_of_leaf_1(), 1);
	sregs.apic_base |= 1ull << 11;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_SREGS, &sregs), 0);
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	CU_ASSERT_EQUAL(edx_of_leaf_1(), 1u << 9 | 1);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_CPUID2, &cpuid), 0);
	cpuid.entries[0].edx = 1;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_CPUID2, &cpuid), 0);
	quiet_begin();
	cpuid.entries[0].edx = 3;
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_CPUID2, &cpuid), -EINVAL);
	quiet_end();
	kvm_machine_free(&m);
}

/* More ids than vcpus: 8-bit APIC ids, as real topologies leave some out. */
static void as_many_vcpus_as_xen_has(void)
{
	long i, rc = 0;

	kvm_machine_new(&m, 0, true, NULL);
	for (i = 0; i < VM_MAX_VCPUS; i++) {
		rc = machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)(2 * i % VM_MAX_VCPU_ID));
		CU_ASSERT(rc >= 0);
		close((int)rc);
		kvmxen_forget(rc, rc);
	}
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)1), -EINVAL);
	kvm_machine_free(&m);
}

/* The newer form, Linux 6.8's, of the same call. */
static void a_region_of_the_second_kind_is_a_slot(void)
{
	struct kvm_userspace_memory_region2_ region = {
		.slot = 5,
		.guest_phys_addr = 0x40000000,
		.memory_size = 0x2000,
	};
	struct kvm_userspace_memory_region old = {.slot = 5, .guest_phys_addr = 0x40000000};
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = {.slot = 5, .dirty_bitmap = &bitmap};

	kvm_machine_new(&m, 0, false, NULL);
	region.userspace_addr = (uintptr_t)mmap(NULL, 0x2000, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.kvm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_USER_MEMORY2), 1);
	region.flags = 1u << 2; /* KVM_MEM_GUEST_MEMFD */
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION2, &region), -EINVAL);
	region.flags = KVM_MEM_LOG_DIRTY_PAGES;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION2, &region), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_GET_DIRTY_LOG, &log), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &old), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_GET_DIRTY_LOG, &log), -ENOENT);
	munmap((void *)(uintptr_t)region.userspace_addr, 0x2000);
	kvm_machine_free(&m);
}

void register_ioctl_suite(void)
{
	CU_pSuite suite = CU_add_suite("ioctl", NULL, NULL);

	CU_ADD_TEST(suite, rows_are_reachable_and_fit);
	CU_ADD_TEST(suite, capabilities_are_listed_once);
	CU_ADD_TEST(suite, descriptors_have_kinds);
	CU_ADD_TEST(suite, bad_pointers_fault);
	CU_ADD_TEST(suite, vcpu_ids_are_checked);
	CU_ADD_TEST(suite, the_number_of_vcpu_ids_is_chosen_once);
	CU_ADD_TEST(suite, the_cpuid_table_is_shown_as_the_guest_sees_it);
	CU_ADD_TEST(suite, absent_ioctls_are_refused_as_kvm_does);
	CU_ADD_TEST(suite, the_vfio_device_knows_no_group);
	CU_ADD_TEST(suite, attributes_answer_as_kvm_does);
	CU_ADD_TEST(suite, filters_that_filter_nothing_pass);
	CU_ADD_TEST(suite, statistics_are_read_from_a_descriptor);
	CU_ADD_TEST(suite, as_many_vcpus_as_xen_has);
	CU_ADD_TEST(suite, the_last_descriptor_ends_the_vm);
	CU_ADD_TEST(suite, a_region_of_the_second_kind_is_a_slot);
}
