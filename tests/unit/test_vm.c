/* The domain's life under a VM: made at the first KVM_RUN, or not. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

#include "tests/unit/unit_machine.h"

void register_vm_suite(void);

static struct machine m;

static void one_out(uint16_t id)
{
	fake_guest_out(id, 0, 0x3f8, 1, 0x41);
}

/* Each call to Xen of the first KVM_RUN fails in turn: an errno, or it did not matter; and nothing
 * is left. */
static void any_call_may_fail(void)
{
	unsigned n, failures = 0;
	bool failed = true;

	for (n = 1; failed && n < 500; n++) {
		long rc;

		kvm_machine_new(&m, 1, true, one_out);
		quiet_begin();
		fake_fail_nth(n, ENOMEM);
		rc = machine_run(&m, 0);
		failed = fake_failed();
		fake_fail_clear();
		quiet_end();
		CU_ASSERT(rc < 0 || m.run[0]->exit_reason == KVM_EXIT_IO);
		failures += rc < 0;
		kvm_machine_free(&m);
	}
	CU_ASSERT_FALSE(failed);
	CU_ASSERT(failures > 20);
}

void register_vm_suite(void)
{
	CU_pSuite suite = CU_add_suite("vm", NULL, NULL);

	CU_ADD_TEST(suite, any_call_may_fail);
}
