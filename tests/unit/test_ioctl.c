/* The ioctl table and its dispatch, through the library's entry points. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
		CU_ASSERT((rows[i].handler != NULL) != (rows[i].reason != NULL));
		if (rows[i].argument == ARGUMENT_STRUCT)
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
	size_t n, i;
	const struct ioctl_row *rows = ioctl_rows(&n);

	kvm_machine_new(&m, 1, true, NULL);
	for (i = 0; i < n; i++) {
		int fd = rows[i].fd == FD_SYSTEM ? m.kvm : rows[i].fd == FD_VM ? m.vm : m.vcpu[0];

		if (rows[i].argument != ARGUMENT_STRUCT)
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
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)VM_MAX_VCPUS), -EINVAL);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_CREATE_VCPU, (void *)~0ul), -EINVAL);
	kvm_machine_free(&m);
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

void register_ioctl_suite(void)
{
	CU_pSuite suite = CU_add_suite("ioctl", NULL, NULL);

	CU_ADD_TEST(suite, rows_are_reachable_and_fit);
	CU_ADD_TEST(suite, capabilities_are_listed_once);
	CU_ADD_TEST(suite, descriptors_have_kinds);
	CU_ADD_TEST(suite, bad_pointers_fault);
	CU_ADD_TEST(suite, vcpu_ids_are_checked);
	CU_ADD_TEST(suite, the_last_descriptor_ends_the_vm);
}
