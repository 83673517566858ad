#include "tests/unit/test_fake.h"
CU_TestInfo fake_io_tests[] = {CU_TEST_INFO_NULL};
