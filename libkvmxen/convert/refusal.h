/*
 * refusal: what Xen would refuse a record for, told before anything is loaded.
 *
 * Xen 4.17 applies a context while it reads it: one bad record leaves the domain with some vcpus
 * changed and all of them down. So what KVM has taken and Xen would not is found here, by the
 * rules of hvm_load_cpu_ctxt and svm_vmcb_restore, and the field is named.
 *
 * Pure; host: the leaves of control_ops.cpuid_host, what Xen's guests may have.
 */
#ifndef KVMXEN_CONVERT_REFUSAL_H
#define KVMXEN_CONVERT_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "libkvmxen/xen/control.h"

struct refusal {
	const char *field; /* KVM's name of it */
	uint64_t value;    /* as the record has it */
	uint64_t bits;     /* those that Xen does not take */
};

/* False: Xen takes the record. */
bool cpu_record_refused(const struct hvm_hw_cpu *record, const struct control_cpuid *host,
			uint32_t n, struct refusal *refusal);
bool xsave_record_refused(const void *body, size_t length, const struct control_cpuid *host,
			  uint32_t n, struct refusal *refusal);

#endif
