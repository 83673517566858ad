/*
 * log: the lines of a trace (libkvmxen/ioctl/trace.h), as the library writes them and as
 * `kvmxen trace` prints them: readable, then " | ", then the library's own line.
 */
#ifndef KVMXEN_TOOLS_LOG_H
#define KVMXEN_TOOLS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct log_call {
	char time[24], kind[8];
	int thread, fd;
	unsigned long request, argument;
	long result;
	uint8_t *in, *out; /* NULL: none */
	size_t in_size, out_size;
	char *message; /* the last that the library said in this thread before it, or NULL */
	char *line;    /* the library's line */
};

/* The next call of a trace. False at the end. The call's members belong to the caller. */
bool log_next(FILE *in, struct log_call *call);
void log_free(struct log_call *call);

/* The ioctl's name: "KVM_RUN", or its number. */
const char *log_name(const struct log_call *call);
/* "3" or "-1 EINVAL" */
const char *log_result(const struct log_call *call);
/* What the call was about, decoded: "slot=0 flags=0x1 ..." */
void log_print_arguments(FILE *out, const struct log_call *call);

#endif
