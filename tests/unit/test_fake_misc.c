#include "tests/unit/test_fake.h"
CU_TestInfo fake_misc_tests[] = {CU_TEST_INFO_NULL};
