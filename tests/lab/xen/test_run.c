/* Guests that run: ioreqs, the kick, memory types and the log of written frames. */
#include <alloca.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

/* Says where it is, then spins. */
REAL_MODE(spins, "mov $0x42, %al; out %al, $0x10; 1: jmp 1b");
/* Asks a port and tells what it got. */
REAL_MODE(asks, "in $0x60, %al; out %al, $0x10; hlt");
/* Two writes to the data page, one report after each; the byte that is there at last. */
REAL_MODE(writes, "movb $0xaa, 0x3000; mov $1, %al; out %al, $0x10;"
		  "movb $0xbb, 0x3000; mov $2, %al; out %al, $0x10;"
		  "mov 0x3000, %al; out %al, $0x11; hlt");
REAL_MODE(configures, "mov $0xcf8, %dx; mov $0x8000f810, %eax; out %eax, %dx;"
		      "mov $0xcfc, %dx; in %dx, %eax; mov $0x10, %dx; out %eax, %dx;"
		      "mov $0xa000, %ax; mov %ax, %ds; movw $0x1234, 0x10; hlt");

void test_ports(void)
{
	struct machine m;
	struct ioreq req;

	machine_make(&m, EMULATION_LAPIC, 1);
	MACHINE_LOAD(&m, asks);
	check(machine_quiet(&m, 50), "a paused domain asks nothing");
	machine_unpause(&m);
	check(machine_wait(&m, &req), "an ioreq arrives");
	check(req.type == IOREQ_TYPE_PIO && req.dir == IOREQ_READ && req.addr == 0x60 &&
		      req.size == 1 && req.count == 1 && !req.data_is_ptr,
	      "for the port that is read");
	check(machine_quiet(&m, 50), "the vcpu waits for the answer");
	machine_answer(&m, 0x99);
	check(machine_wait_out(&m, 0x10, 0x99, true), "and gets the answer");
	machine_end(&m);
}

void test_pci_and_mmio(void)
{
	const uint64_t vga = 0xa0;
	struct machine m;
	struct ioreq req;

	machine_make(&m, EMULATION_HVM, 1);
	check_is(m.d->mem_release(m.dev, m.domid, 1, &vga), 0, "a hole for VGA memory");
	MACHINE_LOAD(&m, configures);
	machine_unpause(&m);
	check(machine_wait_out(&m, 0xcf8, 0x8000f810, true), "0xcf8 is forwarded");
	check(machine_wait(&m, &req), "an ioreq arrives");
	check(req.type == IOREQ_TYPE_PCI_CONFIG && req.addr >> 32 == 0xf8 &&
		      (req.addr & 0xff) == 0x10 && req.dir == IOREQ_READ && req.size == 4,
	      "for PCI configuration space, of a device that was claimed in one range");
	machine_answer(&m, 0x12345678);
	check(machine_wait_out(&m, 0x10, 0x12345678, true), "and its answer arrives");
	check(machine_wait(&m, &req), "an ioreq arrives");
	/* Xen watches VGA memory in this machine, and would buffer this write if it could. */
	check(req.type == IOREQ_TYPE_COPY && req.dir == IOREQ_WRITE && req.addr == 0xa0010 &&
		      req.data == 0x1234 && req.size == 2,
	      "for memory");
	machine_answer(&m, req.data);
	machine_end(&m);
}

/* Arms the invalidate request and makes the vcpu pass its resume path. */
static int arm(struct machine *m, uint64_t from, uint64_t to)
{
	return m->d->mem_relocate(m->dev, m->domid, from, to, 1);
}

void test_kick(void)
{
	struct hvm_hw_cpu cpu, again;
	struct vcpu_info_bits info;
	struct machine m;
	struct ioreq req;

	machine_make(&m, EMULATION_LAPIC, 1);
	MACHINE_LOAD(&m, spins);
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 0x42, true), "the guest runs");
	check(machine_quiet(&m, 50), "and spins");
	check_is(m.c->vcpu_info(m.ctl, m.domid, 0, &info), 0, "its vcpu can be asked");
	check(info.online && !info.blocked, "is online and not blocked");

	check_is(arm(&m, SCRATCH_A, SCRATCH_B), 0, "a frame is moved");
	check_is(machine_record(&m, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu)), 0,
		 "its registers are read");
	check(machine_wait(&m, &req), "an ioreq arrives");
	check_is(req.type, IOREQ_TYPE_INVALIDATE, "which is the invalidate request");
	check_is(machine_record(&m, HVM_SAVE_CODE(CPU), &again, sizeof(again)), 0, "read again");
	check(memcmp(&cpu.rax, &again.rax, 18 * 8) == 0 && (cpu.rax & 0xff) == 0x42,
	      "the registers are those of the parked vcpu");

	machine_answer(&m, req.data);
	check(machine_quiet(&m, 50), "answered, it spins on");
	check_is(arm(&m, SCRATCH_B, SCRATCH_A), 0, "the frame is moved back");
	check_is(m.d->ioreq_server_enable(m.dev, m.domid, m.server, true), 0,
		 "the enabled server is enabled");
	check(machine_wait(&m, &req) && req.type == IOREQ_TYPE_INVALIDATE, "which kicks as well");
	check_is(arm(&m, SCRATCH_B, SCRATCH_A), -EINVAL, "moving nothing is refused");
	machine_end(&m);
}

static bool write_is_seen(struct machine *m, uint8_t value)
{
	struct ioreq req;
	bool right;

	if (!machine_wait(m, &req))
		return false;
	right = req.type == IOREQ_TYPE_COPY && req.dir == IOREQ_WRITE && req.addr == DATA_AT &&
		req.size == 1 && (req.data & 0xff) == value;
	machine_answer(m, req.data);
	return right;
}

void test_mem_types(void)
{
	const uint64_t gfn = DATA_AT >> 12;
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	m.ram[DATA_AT] = 0x11;
	MACHINE_LOAD(&m, writes);
	check_is(m.d->mem_set_type(m.dev, m.domid, MEM_IOREQ_SERVER, gfn, 1), -EINVAL,
		 "a type without a server is refused");
	check_is(m.d->mem_type_to_server(m.dev, m.domid, m.server, true), 0, "the type's server");
	check_is(m.d->mem_set_type(m.dev, m.domid, MEM_IOREQ_SERVER, gfn, 1), 0, "the type");
	machine_unpause(&m);
	check(write_is_seen(&m, 0xaa), "the write is an ioreq");
	check(machine_wait_out(&m, 0x10, 1, false), "after which the guest goes on");
	check_is(m.ram[DATA_AT], 0x11, "the memory is as before");

	check_is(m.d->mem_set_type(m.dev, m.domid, MEM_RAM_RW, gfn, 1), 0, "the type goes");
	check_is(m.d->mem_type_to_server(m.dev, m.domid, m.server, false), 0, "the server too");
	check_is(m.d->mem_set_type(m.dev, m.domid, MEM_RAM_RO, gfn, 1), 0, "the type of ROM");
	machine_answer(&m, 0);
	check(machine_wait_out(&m, 0x10, 2, true), "a write to it goes by in silence");
	check(machine_wait_out(&m, 0x11, 0x11, true), "and leaves no trace in the guest");
	check_is(m.ram[DATA_AT], 0x11, "nor in memory");
	machine_end(&m);
}

enum { LOG_FRAMES = RAM_FRAMES };

static bool bit(const uint8_t *bitmap, unsigned i)
{
	return bitmap[i / 8] >> i % 8 & 1;
}

static unsigned bits(const uint8_t *bitmap)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LOG_FRAMES; i++)
		n += bit(bitmap, i);
	return n;
}

void test_log_dirty(void)
{
	const unsigned data = DATA_AT >> 12;
	uint8_t log[LOG_FRAMES / 8];
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	MACHINE_LOAD(&m, writes);
	memset(log, 0xff, sizeof(log));
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_CLEAN, LOG_FRAMES, log), 0,
		 "a log that is off");
	check_is(bits(log), 0, "is empty");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_ENABLE, 0, NULL), 0, "the log is on");
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 1, false), "the guest has written");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_PEEK, LOG_FRAMES, log), 0, "a look");
	check(bit(log, data), "shows the frame");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_CLEAN, LOG_FRAMES, log), 0, "the log");
	check(bit(log, data) && !bit(log, data + 1), "has the frame and not its neighbour");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_CLEAN, LOG_FRAMES, log), 0, "again");
	check_is(bits(log), 0, "the log is clean");
	check_is(m.d->mem_modified(m.dev, m.domid, 0x40, 2), 0, "frames are marked");
	machine_answer(&m, 0);
	check(machine_wait_out(&m, 0x10, 2, false), "the guest has written again");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_ENABLE, 0, NULL), 0,
		 "enabled while it is on");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_CLEAN, LOG_FRAMES, log), 0,
		 "the log starts anew");
	check_is(bits(log), 0, "empty");
	check_is(m.d->mem_modified(m.dev, m.domid, 0x40, 2), 0, "frames are marked");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_CLEAN, LOG_FRAMES, log), 0, "the log");
	check(bits(log) == 2 && bit(log, 0x40) && bit(log, 0x41), "has those frames");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_OFF, 0, NULL), 0, "the log is off");
	check_is(m.d->mem_modified(m.dev, m.domid, 0x40, 2), 0, "marking is no error then");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_CLEAN, LOG_FRAMES, log), 0, "and it");
	check_is(bits(log), 0, "is empty");
	machine_answer(&m, 0);
	check(machine_wait_out(&m, 0x11, 0xbb, true), "the guest goes on");
	machine_end(&m);
}

/* Stops tracking from another place of the stack. With an empty buffer that begins a page, this
 * would corrupt the memory of dom0's kernel. */
__attribute__((noinline)) static int stop_tracking(struct machine *m, size_t down)
{
	volatile char *p = alloca(down + 1);

	p[0] = 0;
	return m->d->mem_track_vram(m->dev, m->domid, 0, 0, NULL);
}

static int stop_tracking_everywhere(struct machine *m)
{
	int r, rc = 0;

	for (size_t down = 0; down < 4096; down += 16) {
		r = stop_tracking(m, down);
		rc = r ? r : rc;
	}
	return rc;
}

void test_track_vram(void)
{
	const unsigned data = DATA_AT >> 12, first = 1, n = 13;
	uint8_t log[LOG_FRAMES / 8] = {0}, guard;
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	MACHINE_LOAD(&m, writes);
	log[2] = guard = 0xa5;
	check_is(m.d->mem_track_vram(m.dev, m.domid, first, n, log), 0, "tracking starts");
	check_is(bits(log) - __builtin_popcount(guard), n, "with all of the range dirty");
	check_is(log[2], guard, "and nothing behind the bitmap");
	log[2] = 0;
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 1, false), "the guest has written");
	check_is(m.d->mem_track_vram(m.dev, m.domid, first, n, log), 0, "the log");
	check(bit(log, data - first), "has the frame");
	check_is(m.d->mem_track_vram(m.dev, m.domid, first, n, log), 0, "again");
	check_is(bits(log), 0, "it is clean");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_ENABLE, 0, NULL), 0,
		 "the whole log takes over");
	check_is(m.c->log_dirty(m.ctl, m.domid, LOG_DIRTY_OFF, 0, NULL), 0, "and goes");
	check_is(m.d->mem_track_vram(m.dev, m.domid, first, n, log), 0, "tracking again");
	check_is(m.d->mem_track_vram(m.dev, m.domid, first, n, NULL), 0, "tracking stops");
	check_is(stop_tracking_everywhere(&m), 0, "wherever the stack is");
	check_is(m.d->mem_track_vram(m.dev, m.domid, 0, 1 << 20, log), -E2BIG,
		 "more than 128 MiB are refused");
	machine_answer(&m, 0);
	check(machine_wait_out(&m, 0x10, 2, true), "the guest goes on");
	machine_end(&m);
}

/* Both ports are pending once bound, in either order. */
static void check_both_pending(struct machine *m)
{
	struct pollfd fd = {.fd = m->d->evtchn_fd(m->evtchn), .events = POLLIN};
	bool seen[2] = {false, false};

	for (int i = 0; i < 2 && poll(&fd, 1, 20000) == 1; i++) {
		int port = m->d->evtchn_take(m->evtchn);

		seen[0] |= port == m->ports[0];
		seen[1] |= port == m->ports[1];
		check_is(m->d->evtchn_unmask(m->evtchn, port), 0, "a port just bound is unmasked");
	}
	check(seen[0] && seen[1], "both ports were pending at once");
}

void test_evtchn(void)
{
	struct machine m;
	struct event_channels *other;
	struct pollfd fd;
	int port;

	machine_make(&m, EMULATION_LAPIC, 2);
	MACHINE_LOAD(&m, spins);
	check_both_pending(&m);
	check(m.ports[0] != m.ports[1], "two vcpus, two ports");
	check_is(m.d->evtchn_take(m.evtchn), -EAGAIN, "after that nothing is pending");
	check_is(m.d->evtchn_open(m.dev, m.domid, &other), 0, "another set");
	check(m.d->evtchn_bind(other, m.domid, m.page->vcpu_ioreq[0].vp_eport) < 0,
	      "a port is bound once");
	check(m.d->evtchn_bind(other, m.domid, 1000) < 0, "a port that is not there never");
	check_is(m.d->evtchn_unbind(other, 5000), -EINVAL, "nor unbound");
	m.d->evtchn_close(other);

	fd = (struct pollfd){.fd = m.d->evtchn_fd(m.evtchn), .events = POLLIN};
	check_is(poll(&fd, 1, 0), 0, "the fd is not readable");
	machine_unpause(&m);
	check_is(poll(&fd, 1, 20000), 1, "it is once a vcpu asks");
	port = m.d->evtchn_take(m.evtchn);
	check_is(port, m.ports[0], "the port is that of the vcpu");
	check_is(m.d->evtchn_take(m.evtchn), -EAGAIN, "and taken once");
	check_is(m.d->evtchn_unmask(m.evtchn, port), 0, "it is unmasked");
	machine_answer(&m, 0);
	check_is(m.d->evtchn_unbind(m.evtchn, m.ports[1]), 0, "a port is unbound");
	m.vcpus = 1;
	machine_end(&m);
}
