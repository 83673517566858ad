/* Guest accesses of one element to ports and memory, and what Xen's own devices swallow. */
#include "tests/fake/internal.h"

#include <xen/hvm/params.h>

#define PCI_ADDRESS   0xcf8
#define PCI_DATA      0xcfc
#define PCI_ENABLE    (1u << 31)
#define RTC_OWN_BYTES 14

struct span {
	uint16_t first, last;
};

/* Devices of the HVM set; the RTC and the PM timer have rules of their own. */
static const struct span hvm_ports[] = {
	{0x20, 0x21}, {0x40, 0x43}, {0x61, 0x61}, {0xa0, 0xa1}, {0x4d0, 0x4d1},
};
static const struct span pm_ports[2][2] = {
	{{0x1f40, 0x1f43}, {0x1f48, 0x1f4b}},
	{{0xb000, 0xb003}, {0xb008, 0xb00b}},
};

static bool within(const struct span *span, uint16_t port, unsigned size)
{
	return port >= span->first && port + size - 1 <= span->last;
}

static bool inside_rtc(struct domain *d, uint16_t port, bool write, uint32_t value)
{
	if (port == 0x70 && write)
		d->rtc.cmos_index = value & 0x7f;
	return d->rtc.cmos_index < RTC_OWN_BYTES;
}

bool xen_takes_port(struct domain *d, uint16_t port, unsigned size, bool write, uint32_t value)
{
	if (port == 0xe9 && size == 1)
		return write || xen_is_420();
	if (port == 0x80 || port == 0xed)
		return true; /* straight to the hardware */
	if (d->emulation != EMULATION_HVM)
		return false;
	for (unsigned i = 0; i < sizeof hvm_ports / sizeof *hvm_ports; i++)
		if (within(&hvm_ports[i], port, size))
			return true;
	for (unsigned i = 0; i < 2; i++)
		if (within(&pm_ports[!!d->params[HVM_PARAM_ACPI_IOPORTS_LOCATION]][i], port, size))
			return true;
	return (port == 0x70 || port == 0x71) && size == 1 && inside_rtc(d, port, write, value);
}

#define LAPIC_BASE_MASK 0xffffff000ull
#define LAPIC_ENABLED   (1u << 11)
#define LAPIC_X2APIC    (1u << 10)
#define HPET_BASE       0xfed00000ull
#define HPET_SIZE       0x400
#define IOAPIC_SIZE     0x100

bool xen_takes_memory(const struct vcpu *v, uint64_t gpa)
{
	uint64_t lapic = v->lapic.apic_base_msr & LAPIC_BASE_MASK;

	if ((v->lapic.apic_base_msr & (LAPIC_ENABLED | LAPIC_X2APIC)) == LAPIC_ENABLED &&
	    gpa - lapic < PAGE_SIZE)
		return true;
	return v->d->emulation == EMULATION_HVM &&
	       (gpa - HPET_BASE < HPET_SIZE || gpa - v->d->ioapic.base_address < IOAPIC_SIZE);
}

enum send_result fake_op_send(struct vcpu *v, struct guest_op *op, struct server *s)
{
	if (!s)
		return SEND_NOBODY;
	v->wanted = true;
	if (!xen_ioreq_send(v, s, &v->req)) {
		v->wanted = false;
		return SEND_LATER;
	}
	op->phase = OP_SENT;
	return SEND_SENT;
}

static uint64_t mask_of(unsigned size)
{
	return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

/* What an IN of 1 or 2 bytes leaves of RAX stays; 4 bytes clear the upper half. */
static void load_rax(struct vcpu *v, struct guest_op *op, uint64_t value)
{
	unsigned size = op->op.size;

	op->op.value = value & mask_of(size);
	if (size < 4)
		v->cpu.rax = (v->cpu.rax & ~mask_of(size)) | op->op.value;
	else
		v->cpu.rax = op->op.value;
}

/* 0xcf8 is latched and forwarded; the data ports become configuration requests. */
static void port_request(struct vcpu *v, const struct fake_op *op)
{
	struct domain *d = v->d;
	uint16_t port = op->addr;

	v->req = (struct ioreq){
		.type = IOREQ_TYPE_PIO,
		.dir = op->kind == FAKE_IN ? IOREQ_READ : IOREQ_WRITE,
		.addr = port,
		.size = op->size,
		.count = 1,
		.data = op->kind == FAKE_OUT ? op->value & mask_of(op->size) : 0,
	};
	if (port == PCI_ADDRESS && op->size == 4 && op->kind == FAKE_OUT)
		d->cf8 = op->value;
	if ((port & ~3u) == PCI_DATA && d->cf8 & PCI_ENABLE) {
		uint64_t sbdf = d->cf8 >> 8 & 0xffff;

		v->req.type = IOREQ_TYPE_PCI_CONFIG;
		v->req.addr = sbdf << 32 | (d->cf8 & 0xfc) | (port & 3);
	}
}

enum op_result fake_op_port(struct vcpu *v, struct guest_op *op, unsigned length)
{
	bool in = op->op.kind == FAKE_IN;
	enum send_result sent;

	if (op->phase == OP_ANSWERED) {
		/* after a context load nobody waits for the data: RAX stays as loaded */
		if (in && v->wanted)
			load_rax(v, op, v->req.data);
		return OP_DONE;
	}
	op->rip = v->cpu.rip;
	if (xen_takes_port(v->d, op->op.addr, op->op.size, !in, op->op.value)) {
		if (in)
			load_rax(v, op, 0);
		v->cpu.rip += length;
		return OP_DONE;
	}
	port_request(v, &op->op);
	sent = fake_op_send(v, op, xen_ioreq_select(v->d, &v->req));
	if (sent == SEND_LATER)
		return OP_WAIT;
	v->cpu.rip += length; /* before the answer: SVM has told Xen the next RIP */
	if (sent == SEND_SENT)
		return OP_WAIT;
	if (in)
		load_rax(v, op, ~0ull);
	return OP_DONE;
}

/* One piece of a memory operand that stays within a page. */
static uint32_t piece(const struct guest_op *op)
{
	uint32_t room = PAGE_SIZE - (op->op.addr + op->at) % PAGE_SIZE;
	uint32_t rest = op->length - op->at;

	return rest < room ? rest : room;
}

/* hvmemul_phys_mmio_access: the largest power of two that fits, at most 8. */
static uint32_t chunk(uint32_t size)
{
	return size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

static enum op_result memory_request(struct vcpu *v, struct guest_op *op, struct p2m_entry *entry)
{
	bool read = op->op.kind == FAKE_READ;
	uint32_t size = chunk(piece(op));
	enum send_result sent;

	v->req = (struct ioreq){
		.type = IOREQ_TYPE_COPY,
		.dir = read ? IOREQ_READ : IOREQ_WRITE,
		.addr = op->op.addr + op->at,
		.size = size,
		.count = 1,
	};
	if (!read)
		memcpy(&v->req.data, op->data + op->at, size);
	if (xen_takes_memory(v, v->req.addr)) {
		op->at += size;
		return OP_DONE;
	}
	if (entry)
		entry->dirty = true;
	sent = fake_op_send(v, op, entry ? v->d->type_server : xen_ioreq_select(v->d, &v->req));
	if (sent != SEND_NOBODY)
		return OP_WAIT;
	if (read)
		memset(op->data + op->at, 0xff, size);
	op->at += size;
	return OP_DONE;
}

/* The answer to a part of the operand; a load of the context makes Xen begin anew, unless it has
 * sent the vcpu elsewhere. False: the instruction is no longer executed. */
static bool memory_answered(struct vcpu *v, struct guest_op *op)
{
	op->phase = OP_NEW;
	if (!v->wanted) {
		op->at = 0;
		return v->cpu.rip == op->rip;
	}
	if (op->op.kind == FAKE_READ)
		memcpy(op->data + op->at, &v->req.data, v->req.size);
	op->at += v->req.size;
	return true;
}

enum op_result fake_op_memory(struct vcpu *v, struct guest_op *op, unsigned length)
{
	bool read = op->op.kind == FAKE_READ;

	if (!op->at && op->phase == OP_NEW)
		op->rip = v->cpu.rip;
	if (op->phase == OP_ANSWERED && !memory_answered(v, op))
		return OP_DONE;
	while (op->at < op->length) {
		uint64_t gpa = op->op.addr + op->at;
		struct p2m_entry *entry = xen_p2m_find(&v->d->p2m, gpa >> PAGE_SHIFT);
		uint32_t size = piece(op);

		if (!entry || (!read && entry->type == MEM_IOREQ_SERVER)) {
			if (memory_request(v, op, entry) == OP_WAIT)
				return OP_WAIT;
			continue;
		}
		if (read)
			xen_memory_read(v->d, gpa, op->data + op->at, size);
		else if (entry->type == MEM_RAM_RW) /* the rest is dropped */
			xen_memory_write(v->d, gpa, op->data + op->at, size);
		op->at += size;
	}
	if (read) {
		op->op.value = 0;
		memcpy(&op->op.value, op->data, op->length < 8 ? op->length : 8);
	}
	v->cpu.rip += length;
	return OP_DONE;
}
