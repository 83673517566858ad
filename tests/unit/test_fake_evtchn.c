#include "tests/unit/test_fake.h"
CU_TestInfo fake_evtchn_tests[] = {CU_TEST_INFO_NULL};
