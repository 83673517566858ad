/* The scripts of the guests' vcpus: queueing operations, waiting for them, their results. */
#include "tests/fake/internal.h"

struct guest_op *fake_script_current(struct vcpu *v)
{
	if (v->own.id && !v->own.done)
		return &v->own;
	while (v->head < v->nr_ops && v->ops[v->head]->done)
		v->head++;
	return v->head < v->nr_ops ? v->ops[v->head] : NULL;
}

static void prepare(struct guest_op *op, const struct fake_op *from)
{
	*op = (struct guest_op){.op = *from};
	if (from->kind == FAKE_READ || from->kind == FAKE_WRITE)
		op->length = from->size;
	else if (from->kind == FAKE_CPUID)
		op->length = 4 * sizeof(uint32_t);
	op->data = op->length ? calloc(1, op->length) : NULL;
	if (op->length && !op->data)
		abort();
	if (from->kind == FAKE_WRITE && from->data)
		memcpy(op->data, from->data, op->length);
	else if (from->kind == FAKE_WRITE)
		memcpy(op->data, &from->value, op->length < 8 ? op->length : 8);
	op->op.data = op->data;
}

struct guest_op *fake_script_next(struct vcpu *v)
{
	struct guest_op *op = fake_script_current(v);
	struct fake_op next = {0};

	if (op || !v->program ||
	    !v->program(v->program_arg, v->id, &v->cpu, v->own.id ? &v->own.op : NULL, &next))
		return op;
	/* One entry serves all operations of a program, which may be millions. */
	free(v->own.data);
	prepare(&v->own, &next);
	v->own.id = -1;
	return &v->own;
}

void fake_script_free(struct vcpu *v)
{
	for (unsigned i = 0; i < v->nr_ops; i++) {
		free(v->ops[i]->data);
		free(v->ops[i]);
	}
	free(v->ops);
	free(v->own.data);
}

static struct guest_op *find(struct vcpu *v, int id)
{
	return v && id > 0 && (unsigned)id <= v->nr_ops ? v->ops[id - 1] : NULL;
}

static bool size_is_valid(const struct fake_op *op)
{
	switch (op->kind) {
	case FAKE_OUT:
	case FAKE_IN:
	case FAKE_OUTS:
	case FAKE_INS:
		return op->size == 1 || op->size == 2 || op->size == 4;
	case FAKE_STOS:
	case FAKE_MOVS_TO:
	case FAKE_MOVS_FROM:
		return op->size == 1 || op->size == 2 || op->size == 4 || op->size == 8;
	case FAKE_READ:
	case FAKE_WRITE:
		return op->size > 0 && (op->kind == FAKE_READ || op->data || op->size <= 8);
	default:
		return true;
	}
}

int fake_guest_push(uint16_t domid, unsigned vcpu, const struct fake_op *op)
{
	struct guest_op *new = NULL;
	struct vcpu *v;
	int rc = -EINVAL;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (v && size_is_valid(op)) {
		if (v->nr_ops == v->cap_ops) {
			v->cap_ops = v->cap_ops ? 2 * v->cap_ops : 16;
			v->ops = realloc(v->ops, v->cap_ops * sizeof *v->ops);
		}
		new = malloc(sizeof *new);
		if (!v->ops || !new)
			abort();
		prepare(new, op);
		v->ops[v->nr_ops++] = new;
		rc = new->id = v->nr_ops;
		fake_changed();
	}
	fake_unlock();
	return rc;
}

void fake_guest_program(uint16_t domid, unsigned vcpu, fake_program program, void *arg)
{
	struct vcpu *v;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (v) {
		v->program = program;
		v->program_arg = arg;
	}
	fake_changed();
	fake_unlock();
}

void fake_guest_unspin(uint16_t domid, unsigned vcpu)
{
	struct vcpu *v;

	fake_lock();
	v = xen_vcpu_find(domid, vcpu);
	if (v)
		v->unspin = true;
	fake_changed();
	fake_unlock();
}

bool fake_guest_wait(uint16_t domid, unsigned vcpu, int id, int timeout)
{
	struct timespec deadline = fake_deadline(timeout);
	struct guest_op *op;
	bool done;

	fake_lock();
	op = find(xen_vcpu_find(domid, vcpu), id);
	while (op && !op->done && fake_wait(&deadline))
		;
	done = op && op->done;
	fake_unlock();
	return done;
}

bool fake_guest_done(uint16_t domid, unsigned vcpu, int id)
{
	struct guest_op *op;
	bool done;

	fake_lock();
	op = find(xen_vcpu_find(domid, vcpu), id);
	done = op && op->done;
	fake_unlock();
	return done;
}

uint64_t fake_guest_value(uint16_t domid, unsigned vcpu, int id)
{
	uint64_t value = 0;
	struct guest_op *op;

	fake_lock();
	op = find(xen_vcpu_find(domid, vcpu), id);
	if (op)
		value = op->op.value;
	fake_unlock();
	return value;
}

size_t fake_guest_data(uint16_t domid, unsigned vcpu, int id, void *buf, size_t size)
{
	struct guest_op *op;

	fake_lock();
	op = find(xen_vcpu_find(domid, vcpu), id);
	if (!op)
		size = 0;
	else if (size > op->length)
		size = op->length;
	if (size)
		memcpy(buf, op->data, size);
	fake_unlock();
	return size;
}
