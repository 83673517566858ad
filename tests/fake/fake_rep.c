/* Guest accesses of many elements: the rep forms of ins, outs, stos and movs. */
#include "tests/fake/internal.h"

#define MAX_REPS 4096u

static bool is_port(const struct fake_op *op)
{
	return op->kind == FAKE_INS || op->kind == FAKE_OUTS;
}

static bool uses_ram(const struct fake_op *op)
{
	return op->kind != FAKE_STOS;
}

static uint64_t element(uint64_t base, const struct guest_op *op, uint32_t i)
{
	uint64_t distance = (uint64_t)i * op->op.size;

	return op->op.df ? base - distance : base + distance;
}

/* Elements from gpa on, in walking order, that stay within its page. */
static uint32_t reps_in_page(uint64_t gpa, const struct fake_op *op)
{
	uint32_t offset = gpa % PAGE_SIZE;
	uint32_t n = op->df ? offset / op->size + 1 : (PAGE_SIZE - offset) / op->size;

	return n ? n : 1;
}

static uint32_t reps(const struct guest_op *op, uint64_t target, uint64_t ram)
{
	uint32_t n = op->op.count - op->at;

	if (n > MAX_REPS)
		n = MAX_REPS;
	if (!is_port(&op->op) && reps_in_page(target, &op->op) < n)
		n = reps_in_page(target, &op->op);
	if (uses_ram(&op->op) && reps_in_page(ram, &op->op) < n)
		n = reps_in_page(ram, &op->op);
	return n;
}

static void show_registers(struct vcpu *v, const struct guest_op *op)
{
	v->cpu.rcx = op->op.count - op->at;
	v->cpu.rdi = element(op->op.kind == FAKE_INS || op->op.kind == FAKE_MOVS_FROM ? op->op.ram
										      : op->op.addr,
			     op, op->at);
	v->cpu.rsi = element(op->op.kind == FAKE_MOVS_FROM ? op->op.addr : op->op.ram, op, op->at);
}

/* RAM to RAM, or one value to RAM: nobody hears of it. */
static void native(struct vcpu *v, struct guest_op *op, uint64_t target, uint64_t ram,
		   struct p2m_entry *entry)
{
	uint64_t value = op->op.value;

	if (op->op.kind == FAKE_MOVS_FROM) {
		xen_memory_read(v->d, target, &value, op->op.size);
		xen_memory_write(v->d, ram, &value, op->op.size);
	} else {
		if (op->op.kind == FAKE_MOVS_TO)
			xen_memory_read(v->d, ram, &value, op->op.size);
		if (entry->type == MEM_RAM_RW)
			xen_memory_write(v->d, target, &value, op->op.size);
	}
	op->at++;
}

/* Nobody claims the range: reads give ones, writes vanish. */
static void unanswered(struct vcpu *v, struct guest_op *op, uint32_t n)
{
	uint64_t ones = ~0ull;

	for (uint32_t i = 0; i < n; i++, op->at++)
		if (op->op.kind == FAKE_INS || op->op.kind == FAKE_MOVS_FROM)
			xen_memory_write(v->d, element(op->op.ram, op, op->at), &ones, op->op.size);
}

static enum op_result request(struct vcpu *v, struct guest_op *op, uint64_t target, uint64_t ram,
			      struct p2m_entry *entry)
{
	bool read = op->op.kind == FAKE_INS || op->op.kind == FAKE_MOVS_FROM;
	uint32_t n = reps(op, target, ram);
	enum send_result sent;

	v->req = (struct ioreq){
		.type = is_port(&op->op) ? IOREQ_TYPE_PIO : IOREQ_TYPE_COPY,
		.dir = read ? IOREQ_READ : IOREQ_WRITE,
		.addr = target,
		.data = uses_ram(&op->op) ? ram : op->op.value,
		.data_is_ptr = uses_ram(&op->op),
		.size = op->op.size,
		.count = n,
		.df = op->op.df,
	};
	if (entry) { /* into a page of the server: one element at a time, with its value */
		v->req.count = 1;
		if (uses_ram(&op->op)) {
			v->req.data_is_ptr = 0;
			v->req.data = 0;
			xen_memory_read(v->d, ram, &v->req.data, op->op.size);
		}
		entry->dirty = true;
	}
	sent = fake_op_send(v, op, entry ? v->d->type_server : xen_ioreq_select(v->d, &v->req));
	if (sent == SEND_NOBODY) {
		unanswered(v, op, v->req.count);
		return OP_DONE;
	}
	if (sent == SEND_SENT && v->req.data_is_ptr) {
		/* posted: the registers go on before the answer */
		op->at += v->req.count;
		show_registers(v, op);
	}
	return OP_WAIT;
}

enum op_result fake_op_rep(struct vcpu *v, struct guest_op *op, unsigned length)
{
	if (op->phase == OP_ANSWERED) {
		op->phase = OP_NEW;
		if (!v->req.data_is_ptr && v->wanted)
			op->at += v->req.count;
		else if (!v->wanted && v->cpu.rip != op->rip)
			return OP_DONE; /* sent elsewhere by a load */
	} else if (!op->at) {
		op->rip = v->cpu.rip;
	}
	while (op->at < op->op.count) {
		uint64_t target = is_port(&op->op) ? op->op.addr : element(op->op.addr, op, op->at);
		uint64_t ram = element(op->op.ram, op, op->at);
		struct p2m_entry *entry =
			is_port(&op->op) ? NULL : xen_p2m_find(&v->d->p2m, target >> PAGE_SHIFT);
		bool write = op->op.kind == FAKE_STOS || op->op.kind == FAKE_MOVS_TO;

		if (entry && !(write && entry->type == MEM_IOREQ_SERVER))
			native(v, op, target, ram, entry);
		else if (request(v, op, target, ram, entry) == OP_WAIT)
			break;
	}
	show_registers(v, op);
	/* posted to the last element: the instruction is behind the vcpu */
	if (op->at == op->op.count && v->cpu.rip == op->rip)
		v->cpu.rip += length;
	return op->phase == OP_SENT || op->at < op->op.count ? OP_WAIT : OP_DONE;
}
