/* Counting the calls of the two tables, and making them fail. */
#include "tests/fake/internal.h"

#include <stdio.h>

static struct {
	const char *name;
	bool fails;
	unsigned count;
	int once, always; /* errno */
} calls[NR_OPS] = {
#define ROW(name, fails) [OP_##name] = {#name, fails, 0, 0, 0},
	FAKE_OPS(ROW)
#undef ROW
};

static unsigned total, nth;
static int nth_error;
static bool delivered;

static int injected(enum fake_op_index op)
{
	int error = calls[op].always;

	if (calls[op].once) {
		error = calls[op].once;
		calls[op].once = 0;
	}
	if (!error && nth && calls[op].fails && --nth == 0)
		error = nth_error;
	if (error)
		delivered = true;
	return error;
}

int fake_call_begin(enum fake_op_index op)
{
	fake_lock();
	calls[op].count++;
	total++;
	return -abs(injected(op)); /* either sign is understood */
}

int fake_call_end(int rc)
{
	fake_changed();
	fake_unlock();
	return rc;
}

static void forget_failures(void)
{
	for (int i = 0; i < NR_OPS; i++)
		calls[i].once = calls[i].always = 0;
	nth = 0;
	delivered = false;
}

void fake_calls_reset(void)
{
	forget_failures();
	for (int i = 0; i < NR_OPS; i++)
		calls[i].count = 0;
	total = 0;
}

/* A misspelt name in a test must not look like a test that passes. */
static int op_index(const char *name)
{
	for (int i = 0; i < NR_OPS; i++)
		if (!strcmp(calls[i].name, name))
			return i;
	fprintf(stderr, "fake: no operation is called %s\n", name);
	abort();
}

void fake_fail(const char *op, int error)
{
	fake_lock();
	calls[op_index(op)].once = error;
	delivered = false;
	fake_unlock();
}

void fake_fail_always(const char *op, int error)
{
	fake_lock();
	calls[op_index(op)].always = error;
	delivered = false;
	fake_unlock();
}

void fake_fail_nth(unsigned n, int error)
{
	fake_lock();
	nth = n;
	nth_error = error;
	delivered = false;
	fake_unlock();
}

void fake_fail_clear(void)
{
	fake_lock();
	forget_failures();
	fake_unlock();
}

bool fake_failed(void)
{
	bool result;

	fake_lock();
	result = delivered;
	fake_unlock();
	return result;
}

unsigned fake_calls(const char *op)
{
	unsigned n;

	fake_lock();
	n = op ? calls[op_index(op)].count : total;
	fake_unlock();
	return n;
}
