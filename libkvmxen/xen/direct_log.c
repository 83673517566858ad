/* Xen's libraries log to stderr by themselves; here they say it through message_debug. */
#include "libkvmxen/xen/direct_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <xentoollog.h>

#include "libkvmxen/message.h"

__attribute__((format(printf, 5, 0))) static void log_message(struct xentoollog_logger *logger,
							      xentoollog_level level, int errnoval,
							      const char *context,
							      const char *format, va_list args)
{
	int saved = errno;
	char text[512], reason[128];

	if (level < XTL_WARN)
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	if (errnoval > 0)
		message_debug("%s: %s: %s", context ? context : "xen", text,
			      strerror_r(errnoval, reason, sizeof(reason)));
	else
		message_debug("%s: %s", context ? context : "xen", text);
	errno = saved;
}

static void log_destroy(struct xentoollog_logger *logger)
{
}

static struct xentoollog_logger quiet = {.vmessage = log_message, .destroy = log_destroy};

struct xentoollog_logger *direct_logger(void)
{
	return &quiet;
}

int direct_xc_open(xc_interface **xc)
{
	errno = 0;
	*xc = xc_interface_open(&quiet, &quiet, 0);
	if (*xc)
		return 0;
	return direct_result(-1);
}
