/* Shorthands for fake_guest_push. */
#include "tests/fake/internal.h"

int fake_guest_out(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size, uint32_t value)
{
	const struct fake_op op = {
		.kind = FAKE_OUT, .addr = port, .size = size, .count = 1, .value = value};

	return fake_guest_push(domid, vcpu, &op);
}

int fake_guest_in(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size)
{
	const struct fake_op op = {.kind = FAKE_IN, .addr = port, .size = size, .count = 1};

	return fake_guest_push(domid, vcpu, &op);
}

static int push_rep(uint16_t domid, unsigned vcpu, enum fake_op_kind kind, uint64_t addr,
		    unsigned size, unsigned count, uint64_t ram, bool df)
{
	const struct fake_op op = {
		.kind = kind, .addr = addr, .size = size, .count = count, .ram = ram, .df = df};

	return fake_guest_push(domid, vcpu, &op);
}

int fake_guest_outs(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size, unsigned count,
		    uint64_t ram, bool df)
{
	return push_rep(domid, vcpu, FAKE_OUTS, port, size, count, ram, df);
}

int fake_guest_ins(uint16_t domid, unsigned vcpu, uint16_t port, unsigned size, unsigned count,
		   uint64_t ram, bool df)
{
	return push_rep(domid, vcpu, FAKE_INS, port, size, count, ram, df);
}

int fake_guest_movs_to(uint16_t domid, unsigned vcpu, uint64_t mmio, uint64_t ram, unsigned size,
		       unsigned count, bool df)
{
	return push_rep(domid, vcpu, FAKE_MOVS_TO, mmio, size, count, ram, df);
}

int fake_guest_movs_from(uint16_t domid, unsigned vcpu, uint64_t mmio, uint64_t ram, unsigned size,
			 unsigned count, bool df)
{
	return push_rep(domid, vcpu, FAKE_MOVS_FROM, mmio, size, count, ram, df);
}

int fake_guest_stos(uint16_t domid, unsigned vcpu, uint64_t gpa, unsigned size, unsigned count,
		    uint64_t value, bool df)
{
	const struct fake_op op = {.kind = FAKE_STOS,
				   .addr = gpa,
				   .size = size,
				   .count = count,
				   .value = value,
				   .df = df};

	return fake_guest_push(domid, vcpu, &op);
}

int fake_guest_read(uint16_t domid, unsigned vcpu, uint64_t gpa, size_t size)
{
	const struct fake_op op = {.kind = FAKE_READ, .addr = gpa, .size = size, .count = 1};

	return fake_guest_push(domid, vcpu, &op);
}

int fake_guest_write(uint16_t domid, unsigned vcpu, uint64_t gpa, const void *data, size_t size)
{
	const struct fake_op op = {
		.kind = FAKE_WRITE, .addr = gpa, .size = size, .count = 1, .data = (void *)data};

	return fake_guest_push(domid, vcpu, &op);
}

int fake_guest_write_value(uint16_t domid, unsigned vcpu, uint64_t gpa, unsigned size,
			   uint64_t value)
{
	return fake_guest_write(domid, vcpu, gpa, &value, size);
}

/* 0xcf8: enable, bus and device, register without its low bits. */
#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc

static void push_pci_address(uint16_t domid, unsigned vcpu, uint16_t bdf, uint8_t reg)
{
	fake_guest_out(domid, vcpu, PCI_ADDRESS, 4, 1u << 31 | (uint32_t)bdf << 8 | (reg & ~3u));
}

int fake_guest_pci_read(uint16_t domid, unsigned vcpu, uint16_t bdf, uint8_t reg, unsigned size)
{
	push_pci_address(domid, vcpu, bdf, reg);
	return fake_guest_in(domid, vcpu, PCI_DATA + (reg & 3), size);
}

int fake_guest_pci_write(uint16_t domid, unsigned vcpu, uint16_t bdf, uint8_t reg, unsigned size,
			 uint32_t value)
{
	push_pci_address(domid, vcpu, bdf, reg);
	return fake_guest_out(domid, vcpu, PCI_DATA + (reg & 3), size, value);
}

static int push_simple(uint16_t domid, unsigned vcpu, enum fake_op_kind kind, uint64_t addr,
		       uint64_t value)
{
	const struct fake_op op = {.kind = kind, .addr = addr, .value = value};

	return fake_guest_push(domid, vcpu, &op);
}

int fake_guest_hlt(uint16_t domid, unsigned vcpu, bool interrupts)
{
	return push_simple(domid, vcpu, FAKE_HLT, 0, interrupts);
}

int fake_guest_triple_fault(uint16_t domid, unsigned vcpu)
{
	return push_simple(domid, vcpu, FAKE_TRIPLE_FAULT, 0, 0);
}

int fake_guest_cpuid(uint16_t domid, unsigned vcpu, uint32_t leaf, uint32_t subleaf)
{
	return push_simple(domid, vcpu, FAKE_CPUID, leaf, subleaf);
}

int fake_guest_rdmsr(uint16_t domid, unsigned vcpu, uint32_t msr)
{
	return push_simple(domid, vcpu, FAKE_RDMSR, msr, 0);
}

int fake_guest_wrmsr(uint16_t domid, unsigned vcpu, uint32_t msr, uint64_t value)
{
	return push_simple(domid, vcpu, FAKE_WRMSR, msr, value);
}

int fake_guest_spin(uint16_t domid, unsigned vcpu)
{
	return push_simple(domid, vcpu, FAKE_SPIN, 0, 0);
}

int fake_guest_poll(uint16_t domid, unsigned vcpu, uint64_t gpa, uint8_t value)
{
	return push_simple(domid, vcpu, FAKE_POLL, gpa, value);
}

int fake_guest_nop(uint16_t domid, unsigned vcpu)
{
	return push_simple(domid, vcpu, FAKE_NOP, 0, 0);
}

int fake_guest_int3(uint16_t domid, unsigned vcpu)
{
	return push_simple(domid, vcpu, FAKE_INT3, 0, 0);
}
