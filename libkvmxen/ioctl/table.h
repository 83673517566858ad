/*
 * table: one row for each ioctl of the KVM API.
 *
 * Dispatch, argument copying, `kvmxen caps` and the docs all read this table, so they cannot
 * disagree. An ioctl without a row, or with a row that has no handler, is refused as KVM refuses
 * what it does not know: EINVAL on the system and vcpu descriptors, ENOTTY on a VM's and a
 * device's.
 */
#ifndef KVMXEN_IOCTL_TABLE_H
#define KVMXEN_IOCTL_TABLE_H

#include <stddef.h>

#include "libkvmxen/ioctl/fd.h"

enum argument {
	ARGUMENT_ZERO,  /* none: anything but 0 is EINVAL */
	ARGUMENT_VALUE, /* the argument is a number */
	ARGUMENT_IGNORED,
	ARGUMENT_STRUCT, /* a structure of the size in the request: copied in and out */
	ARGUMENT_OUT,    /* as before, but only written: a bad pointer is found last */
	ARGUMENT_USER,   /* a structure with a tail: the handler copies */
};

struct ioctl_row {
	unsigned long request;
	const char *name;
	enum fd_kind fd;
	enum argument argument;
	long (*handler)(void *object, void *argument); /* NULL: not offered, see reason */
	const char *reason; /* why not; or, beside a handler, where it differs from KVM's */
	int refusal;        /* errno where it is not that of an unknown ioctl */
};

/* Largest ARGUMENT_STRUCT. */
#define IOCTL_STRUCT_MAX 4352

/* The row, or NULL. */
const struct ioctl_row *ioctl_row(unsigned long request, enum fd_kind fd);
/* All of them, for tools. */
const struct ioctl_row *ioctl_rows(size_t *count);

/* KVM_CHECK_EXTENSION. */
long capability_value(unsigned long number);
struct capability {
	unsigned number;
	const char *name;
	int value;
	long (*compute)(void); /* instead of value */
	const char *reason;    /* why it is absent, when it is */
};
const struct capability *capabilities(size_t *count);

#endif
