/*
 * The unit tests' program. Each tests/unit/test_NAME.c defines register_NAME_suite, which adds its
 * suites to CUnit's registry; those that are not linked in are absent, not errors.
 *
 * unit [-l] [SUITE...]: runs all suites, or those whose name contains one of the arguments.
 */
#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/fake/fake.h"

#define SUITES(X)                                                                                  \
	X(fake)                                                                                    \
	X(convert)                                                                                 \
	X(msr)                                                                                     \
	X(cpuid)                                                                                   \
	X(state)                                                                                   \
	X(ioctl)                                                                                   \
	X(fdtable)                                                                                 \
	X(memory)                                                                                  \
	X(dirty)                                                                                   \
	X(interrupts)                                                                              \
	X(irqchip)                                                                                 \
	X(irqfd)                                                                                   \
	X(ioeventfd)                                                                               \
	X(coalesced)                                                                               \
	X(routing)                                                                                 \
	X(vm)                                                                                      \
	X(vcpu)                                                                                    \
	X(run)                                                                                     \
	X(monitor)                                                                                 \
	X(system)                                                                                  \
	X(xen)                                                                                     \
	X(message)                                                                                 \
	X(preload)                                                                                 \
	X(janitor)                                                                                 \
	X(broker)                                                                                  \
	X(tools)

#define DECLARE(name) __attribute__((weak)) void register_##name##_suite(void);
SUITES(DECLARE)
#undef DECLARE

static void register_all(void)
{
#define REGISTER(name)                                                                             \
	if (register_##name##_suite)                                                               \
		register_##name##_suite();
	SUITES(REGISTER)
#undef REGISTER
}

static bool wanted(const char *suite, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(suite, argv[i]))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	bool list = argc > 1 && !strcmp(argv[1], "-l");
	unsigned failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	register_all();
	for (CU_pSuite s = CU_get_registry()->pSuite; s; s = s->pNext) {
		if (list)
			puts(s->pName);
		else
			CU_set_suite_active(s, wanted(s->pName, argc, argv) ? CU_TRUE : CU_FALSE);
	}
	if (list)
		return 0;
	CU_set_fail_on_inactive(CU_FALSE);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	fake_reset();
	return failed || CU_get_error() != CUE_SUCCESS;
}
