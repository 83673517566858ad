/*
 * The unit tests' program. Each tests/unit/test_NAME.c defines register_NAME_suite, which adds its
 * suites to CUnit's registry. A test_NAME_PART.c belongs to test_NAME.c and registers nothing.
 *
 * unit [-l] [WORD...]: runs all suites, or those whose name contains one of the words; -l lists.
 */
#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/fake/fake.h"

/* suites.h, made by unit.mk: X(NAME) for each test_NAME.c that is linked in. */
#define X(name) __attribute__((weak)) void register_##name##_suite(void);
#include "tests/unit/suites.h"
#undef X

static const struct {
	const char *name;
	void (*add)(void);
} files[] = {
#define X(name) {#name, register_##name##_suite},
#include "tests/unit/suites.h"
#undef X
};
#define NR_FILES (sizeof files / sizeof *files)

static bool is_part(const char *name)
{
	for (size_t i = 0; i < NR_FILES; i++) {
		size_t n = strlen(files[i].name);

		if (files[i].add && !strncmp(name, files[i].name, n) && name[n] == '_')
			return true;
	}
	return false;
}

/* False: there is a file whose tests nobody would ever run. */
static bool register_all(void)
{
	bool complete = true;

	for (size_t i = 0; i < NR_FILES; i++) {
		if (files[i].add) {
			files[i].add();
		} else if (!is_part(files[i].name)) {
			fprintf(stderr, "unit: tests/unit/test_%s.c defines no register_%s_suite\n",
				files[i].name, files[i].name);
			complete = false;
		}
	}
	return complete;
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
	bool complete;
	unsigned failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	complete = register_all();
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
	return !complete || failed || CU_get_error() != CUE_SUCCESS;
}
