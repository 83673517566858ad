#include "libkvmxen/machine/exit.h"

#include <string.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/message.h"

#define PCI_CONFIG_DATA 0xcfc

static uint64_t size_mask(unsigned size)
{
	return size >= 8 ? ~0ull : (1ull << (size * 8)) - 1;
}

/* size: 1, 2, 4 or 8. No call of memcpy, for hot.h's reason. */
static inline void copy(void *to, const void *from, unsigned size)
{
	switch (size) {
	case 1:
		memcpy(to, from, 1);
		break;
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	default:
		memcpy(to, from, 8);
		break;
	}
}

HOT bool exit_take(struct vcpu *vcpu)
{
	struct ioreq *io = &vcpu->io;

	*io = *vcpu->slot;
	vcpu->io_done = 0;
	vcpu->io_shown = 0;
	if (io->type == IOREQ_TYPE_INVALIDATE)
		return true;
	if (io->count == 0)
		io->count = 1; /* older Xen leaves it 0 for single accesses of some kinds */
	if (io->type == IOREQ_TYPE_PCI_CONFIG) {
		/* The VMM decodes PCI configuration itself, as from the port it came through. */
		io->type = IOREQ_TYPE_PIO;
		io->addr = PCI_CONFIG_DATA | (io->addr & 3);
	}
	switch (io->type) {
	case IOREQ_TYPE_PIO:
		return (io->size == 1 || io->size == 2 || io->size == 4) &&
		       io->addr <= 0x10000 - io->size;
	case IOREQ_TYPE_COPY:
		return io->size == 1 || io->size == 2 || io->size == 4 || io->size == 8;
	default:
		return false;
	}
}

/* The i-th address from base, walking as the request's direction flag says. */
static uint64_t step(const struct ioreq *io, uint64_t base, uint32_t i)
{
	uint64_t offset = (uint64_t)i * io->size;

	return io->df ? base - offset : base + offset;
}

/* The guest's own side of a string instruction. Memory no slot backs reads as all ones and
 * swallows writes, as an access that no device claims. */
COLD static void guest_read(struct vcpu *vcpu, uint64_t gpa, void *to, unsigned size)
{
	const void *from = memory_at(vcpu->vm, gpa, size, NULL);

	if (from)
		memcpy(to, from, size);
	else
		memset(to, 0xff, size);
}

COLD static void guest_write(struct vcpu *vcpu, uint64_t gpa, const void *from, unsigned size)
{
	bool readonly = false;
	void *to = memory_at(vcpu->vm, gpa, size, &readonly);

	if (!to || readonly)
		return;
	memcpy(to, from, size);
	memory_mark_dirty(vcpu->vm, gpa, size);
}

static void count_exit(struct vcpu *vcpu, uint32_t reason)
{
	vcpu->run->exit_reason = reason;
	stats_exit(vcpu->stats, reason);
}

HOT static enum exit_result show_pio(struct vcpu *vcpu)
{
	struct ioreq *io = &vcpu->io;
	struct kvm_run *run = vcpu->run;
	uint32_t left = io->count - vcpu->io_done, n = 1, i;

	if (io->data_is_ptr && !io->df) {
		n = VCPU_PAGE / io->size;
		n = left < n ? left : n;
	}
	run->io.direction = io->dir == IOREQ_READ ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = io->size;
	run->io.port = io->addr;
	run->io.count = n;
	run->io.data_offset = VCPU_PIO_OFFSET;
	if (io->dir != IOREQ_READ) {
		if (!io->data_is_ptr)
			copy(vcpu->pio, &io->data, io->size);
		else
			for (i = 0; i < n; i++)
				guest_read(vcpu, step(io, io->data, vcpu->io_done + i),
					   (char *)vcpu->pio + i * io->size, io->size);
	}
	vcpu->io_shown = n;
	count_exit(vcpu, KVM_EXIT_IO);
	return EXIT_SHOWN;
}

HOT static enum exit_result show_mmio(struct vcpu *vcpu, uint64_t data)
{
	struct ioreq *io = &vcpu->io;
	struct kvm_run *run = vcpu->run;

	run->mmio.phys_addr = step(io, io->addr, vcpu->io_done);
	run->mmio.len = io->size;
	run->mmio.is_write = io->dir != IOREQ_READ;
	memset(run->mmio.data, 0, sizeof run->mmio.data);
	if (run->mmio.is_write)
		copy(run->mmio.data, &data, io->size);
	vcpu->io_shown = 1;
	count_exit(vcpu, KVM_EXIT_MMIO);
	return EXIT_SHOWN;
}

/* The value that element i of a write carries. */
static uint64_t element_data(struct vcpu *vcpu, uint32_t i)
{
	const struct ioreq *io = &vcpu->io;
	uint64_t data = 0;

	if (!io->data_is_ptr)
		return io->data & size_mask(io->size);
	guest_read(vcpu, step(io, io->data, i), &data, io->size);
	return data;
}

/* An access to a slot whose page another slot owns: the library's business, not the VMM's. */
HOT static bool serve_memory(struct vcpu *vcpu)
{
	struct ioreq *io = &vcpu->io;
	uint64_t gpa = step(io, io->addr, vcpu->io_done);
	bool is_write = io->dir != IOREQ_READ;
	uint64_t data = is_write ? element_data(vcpu, vcpu->io_done) : 0;

	if (!memory_serve(vcpu->vm, gpa, &data, io->size, is_write))
		return false;
	if (!is_write) {
		if (io->data_is_ptr)
			guest_write(vcpu, step(io, io->data, vcpu->io_done), &data, io->size);
		else
			io->data = data;
	}
	return true;
}

HOT enum exit_result exit_next(struct vcpu *vcpu)
{
	struct ioreq *io = &vcpu->io;

	while (vcpu->io_done < io->count) {
		bool is_write = io->dir != IOREQ_READ;
		uint64_t data = 0;

		if (io->type == IOREQ_TYPE_COPY && serve_memory(vcpu)) {
			vcpu->io_done++;
			continue;
		}

		if (is_write) {
			uint64_t address = io->type == IOREQ_TYPE_PIO
						   ? io->addr
						   : step(io, io->addr, vcpu->io_done);

			data = element_data(vcpu, vcpu->io_done);
			if (interrupts_match(vcpu, io->type, address, io->size, data, true)) {
				vcpu->io_done++;
				continue;
			}
		}
		return io->type == IOREQ_TYPE_PIO ? show_pio(vcpu) : show_mmio(vcpu, data);
	}
	return EXIT_ANSWER;
}

HOT void exit_complete(struct vcpu *vcpu)
{
	struct ioreq *io = &vcpu->io;
	const char *from = io->type == IOREQ_TYPE_PIO ? vcpu->pio : (char *)vcpu->run->mmio.data;
	uint32_t i;

	if (io->dir == IOREQ_READ) {
		if (!io->data_is_ptr) {
			uint64_t data = 0;

			copy(&data, from, io->size);
			io->data = data;
		} else {
			for (i = 0; i < vcpu->io_shown; i++)
				guest_write(vcpu, step(io, io->data, vcpu->io_done + i),
					    from + i * io->size, io->size);
		}
	}
	vcpu->io_done += vcpu->io_shown;
	vcpu->io_shown = 0;
}

HOT void exit_result_to_slot(struct vcpu *vcpu)
{
	if (vcpu->io.dir == IOREQ_READ && !vcpu->io.data_is_ptr)
		vcpu->slot->data = vcpu->io.data;
}
