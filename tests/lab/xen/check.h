/*
 * check: one line for each promise, and a count. Also stands in for libkvmxen/message.c: what the
 * code under test says is kept here.
 */
#ifndef KVMXEN_TESTS_LAB_XEN_CHECK_H
#define KVMXEN_TESTS_LAB_XEN_CHECK_H

#include <stdbool.h>

/* Prints "ok" or "not ok" with the promise; returns whether it holds. */
bool check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As above for a result that must be want; names what came instead. */
bool check_is(long got, long want, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The last line, with the counts; the exit status of the program. */
int check_finish(void);

/* What message_error and message_debug have said since messages_reset. */
struct messages {
	unsigned errors;
	char error[512];
	char debug[4096]; /* lines, the first ones */
};
extern struct messages messages;
void messages_reset(void);

#endif
