/*
 * fields: every field of every KVM structure of state, what carries it in Xen, and what becomes of
 * it. docs/state.md is this table, printed (`kvmxen state`); the loss report (loss.h) works from
 * it; a test sees to it that no byte of a structure is missing.
 *
 * Model specific registers have their own table, machine/msr.h; msr_home_field says of each home
 * what a field says here.
 */
#ifndef KVMXEN_CONVERT_FIELDS_H
#define KVMXEN_CONVERT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fidelity {
	EXACT,     /* every value that KVM takes goes to Xen and comes back */
	CONVERTED, /* it has another form in Xen; values that do not fit it are in the loss report
		    */
	LOST,      /* Xen has no word for it */
};

struct field {
	const char *name;
	uint32_t offset, size; /* in its structure, bytes */
	uint32_t element;      /* size of one, of an array of them */
	enum fidelity fidelity;
	bool repeated;    /* as the row of the segment CS: not printed again */
	const char *xen;  /* Xen's record and field, or its call; "": none */
	const char *note; /* how it is converted, or why it is lost and what becomes of it */
};

/* What holds the structures. */
enum field_object {
	IN_VCPU, /* struct vcpu_state, at base */
	IN_PIC,  /* the others are the structures themselves */
	IN_IOAPIC,
	IN_PIT,
	IN_NOTHING, /* another view of what is elsewhere, or nothing that is kept as such */
};

struct structure {
	const char *name, *ioctls;
	uint32_t size;
	enum field_object object;
	uint32_t base;
	const struct field *fields;
	size_t count;
};

const struct structure *structures(size_t *count);
const char *fidelity_name(enum fidelity fidelity);

/* What becomes of the model specific register of a row of msr_table: name, fidelity, xen, note. */
void msr_field(int row, struct field *field);

#endif
