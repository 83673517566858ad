/*
 * trace: a record of every KVM call of a VMM, for `kvmxen trace` and `kvmxen doctor`.
 *
 * With KVMXEN_TRACE=FILE each call appends one line to FILE:
 *
 *     TIME THREAD FD KIND REQUEST ARGUMENT RESULT IN OUT
 *
 * TIME in seconds since the library was loaded; KIND open, close, dup (ARGUMENT: the new
 * descriptor), system, vm, vcpu or device; RESULT a number or -errno. IN and OUT are the bytes at
 * ARGUMENT before and after, in hexadecimal, a run of N zero bytes as zN. and "-" for none. Of
 * KVM_RUN: IN is immediate_exit and what the VMM answers to an exit that reads, OUT the head of
 * kvm_run and the data of an exit that writes.
 *
 * What the library has to say of a call is a line `message THREAD TEXT` before it.
 *
 * Without KVMXEN_TRACE a call costs one test. With it, calls are slower and their order is theirs.
 */
#ifndef KVMXEN_IOCTL_TRACE_H
#define KVMXEN_IOCTL_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "libkvmxen/ioctl/fd.h"

extern int trace_fd; /* -1: no trace */

static inline bool trace_wanted(void)
{
	return __builtin_expect(trace_fd >= 0, false);
}

struct trace_call {
	int fd;
	const struct file *file;
	unsigned long request;
	void *argument;
	char *in; /* malloced text */
};

void trace_begin(struct trace_call *call);
/* Ends what trace_begin began. result: >= 0 or -errno. */
void trace_end(struct trace_call *call, long result);
/* A call on descriptors: kind "open", "close", "dup". */
void trace_descriptor(const char *kind, int fd, int argument, long result);

/* The bytes of an argument, tail and all; 0: it is a number. Bad pointers count as no tail. */
size_t trace_argument_size(unsigned long request, const void *user);

#endif
