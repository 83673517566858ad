#include "libkvmxen/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int verbosity(void)
{
	static int level = -1;

	if (level < 0) {
		const char *value = getenv("KVMXEN_VERBOSE");

		level = value ? atoi(value) : 0;
	}
	return level;
}

static void (*listener)(const char *line);

void message_listen(void (*to)(const char *line))
{
	listener = to;
}

/* One write for one line, so that lines of several threads do not mix. */
static void say(int level, const char *format, va_list args)
{
	char line[512] = "kvmxen: ";
	int saved = errno;
	int length = vsnprintf(line + 8, sizeof line - 9, format, args);

	length = length < 0 ? 8 : length + 8;
	if (length > (int)sizeof line - 2)
		length = sizeof line - 2;
	if (listener && level < 2) {
		line[length] = '\0';
		listener(line + 8);
	}
	line[length] = '\n';
	if (verbosity() >= level && write(STDERR_FILENO, line, length + 1) < 0) {
		/* nowhere left to complain */
	}
	errno = saved;
}

#define SAY_FROM(level)                                                                            \
	do {                                                                                       \
		va_list args;                                                                      \
		if (verbosity() < (level) && !listener)                                            \
			return;                                                                    \
		va_start(args, format);                                                            \
		say(level, format, args);                                                          \
		va_end(args);                                                                      \
	} while (0)

void message_error(const char *format, ...)
{
	SAY_FROM(0);
}

void message_refused(const char *format, ...)
{
	SAY_FROM(1);
}

bool message_verbose(void)
{
	return verbosity() >= 1;
}

void message_debug(const char *format, ...)
{
	SAY_FROM(2);
}
