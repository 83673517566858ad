#include "tests/lab/xen/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libkvmxen/message.h"

struct messages messages;

static unsigned passed, failed;

static bool report(bool holds, const char *format, va_list args)
{
	printf("%s - ", holds ? "ok" : "not ok");
	vprintf(format, args);
	if (holds)
		passed++;
	else
		failed++;
	return holds;
}

bool check(bool holds, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(holds, format, args);
	va_end(args);
	putchar('\n');
	return holds;
}

bool check_is(long got, long want, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(got == want, format, args);
	va_end(args);
	if (got != want)
		printf(" (is %ld (%#lx), not %ld (%#lx))", got, got, want, want);
	putchar('\n');
	return got == want;
}

int check_finish(void)
{
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}

void messages_reset(void)
{
	memset(&messages, 0, sizeof(messages));
}

void message_error(const char *format, ...)
{
	va_list args;

	messages.errors++;
	va_start(args, format);
	vsnprintf(messages.error, sizeof(messages.error), format, args);
	va_end(args);
}

void message_debug(const char *format, ...)
{
	size_t used = strlen(messages.debug);
	va_list args;

	va_start(args, format);
	vsnprintf(messages.debug + used, sizeof(messages.debug) - used, format, args);
	va_end(args);
	strncat(messages.debug, "\n", sizeof(messages.debug) - strlen(messages.debug) - 1);
}

void message_refused(const char *format, ...)
{
}
