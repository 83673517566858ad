/*
 * loss: what of a state does not survive the way to Xen.
 *
 * A field is reported when its value does not come back from Xen's records, or when Xen has no
 * word for it and it is not what a reset leaves. Where nothing is reported, KVM -> Xen -> KVM is
 * the identity (tests/unit/test_loss.c). What the table (fields.h) calls converted because Xen
 * itself changes it later (a timer's phase, a stale CR2) is the table's to say, not this report's.
 *
 * Pure: no call here talks to Xen.
 */
#ifndef KVMXEN_CONVERT_LOSS_H
#define KVMXEN_CONVERT_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

struct vcpu_state;

#define LOSS_FIELDS_MAX 1024

struct loss {
	unsigned number;       /* of the field, below LOSS_FIELDS_MAX */
	const char *structure; /* "kvm_sregs"; "msr" */
	const char *field;     /* "cr0" */
	unsigned index;        /* of an array */
	bool is_array;
	uint64_t value;   /* as the VMM set it; the first 8 bytes where it is longer */
	uint64_t becomes; /* as it would be read back */
	const char *note; /* what becomes of it, and why */
};

typedef void loss_report(void *context, const struct loss *loss);

/* Each calls report for every field that is lost, and returns how many there are (report may be
 * NULL); negative: -ENOMEM. has_xsave: the host has CPU_XSAVE records. */
int loss_vcpu(const struct vcpu_state *state, bool has_xsave, loss_report *report, void *context);
int loss_pic(const struct kvm_pic_state *pic, unsigned chip, loss_report *report, void *context);
int loss_ioapic(const struct kvm_ioapic_state *ioapic, loss_report *report, void *context);
int loss_pit(const struct kvm_pit_state2 *pit, loss_report *report, void *context);

/* A report for the message channel: one line for each field, once in the life of the process; only
 * with KVMXEN_VERBOSE=1 or more. context: unused. */
loss_report loss_tell;

#endif
