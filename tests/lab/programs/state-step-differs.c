// As state-step, for the instructions that are known to differ.

#define STEPS "state-step-differs.h"
#include "state-step.c"
