/*
 * exits: a KVM program that serves the bench's guest. Built twice: over /dev/kvm (real KVM, or the
 * preload), and calling libkvmxen by name.
 *
 *   exits [--slots N] [--ioeventfds N] [--routes N] [--vcpus N]    as many of them, unused
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "tests/bench/guest.h"
#include "tests/bench/worker.h"

#ifdef BENCH_DIRECT
#include <kvmxen/kvmxen.h>
#define kvm_open()                    kvmxen_open(O_RDWR | O_CLOEXEC)
#define kvm_ioctl(fd, request, value) kvmxen_ioctl(fd, request, (void *)(uintptr_t)(value))
#else
#define kvm_open()                    open("/dev/kvm", O_RDWR | O_CLOEXEC)
#define kvm_ioctl(fd, request, value) ioctl(fd, request, value)
#endif
#define IOCTL(fd, request, value) must(kvm_ioctl(fd, request, value), #request)

#define PAGE 4096u

static int system_fd, vm, vcpu;
static struct kvm_run *run;
static struct kvm_coalesced_mmio_ring *ring;
static uint8_t *ram;
static int events;
static unsigned slots = 1, ioeventfds, routes, vcpus = 1;

static int must(int r, const char *what)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "exits: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *memory(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		must(-1, "mmap");
	return at;
}

static void slot_add(uint32_t number, uint64_t gpa, size_t size, void *at)
{
	struct kvm_userspace_memory_region region = {
		.slot = number,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	IOCTL(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void ioeventfd_add(uint64_t address, uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd args = {
		.addr = address,
		.len = 4,
		.fd = events,
		.flags = flags,
		.datamatch = datamatch,
	};

	IOCTL(vm, KVM_IOEVENTFD, &args);
}

static void zone_add(uint64_t address, bool pio)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = address, .size = 4, .pio = pio};

	IOCTL(vm, KVM_REGISTER_COALESCED_MMIO, &zone);
}

/* What no operation of the guest touches. */
static void add_crowd(void)
{
	for (unsigned i = 1; i < slots; i++)
		slot_add(i, 0x1000000ull + i * 0x10000ull, PAGE, memory(PAGE));
	for (unsigned i = 0; i < ioeventfds; i++)
		ioeventfd_add(0xd0100000ull + i * 16, KVM_IOEVENTFD_FLAG_DATAMATCH, i);
	if (routes) {
		struct kvm_irq_routing *routing =
			calloc(1, sizeof *routing + routes * sizeof *routing->entries);

		routing->nr = routes;
		for (unsigned i = 0; i < routes; i++)
			routing->entries[i] = (struct kvm_irq_routing_entry){
				.gsi = 24 + i,
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = {.address_lo = 0xfee00000, .data = 0x40},
			};
		IOCTL(vm, KVM_SET_GSI_ROUTING, routing);
		free(routing);
	}
	for (unsigned i = 1; i < vcpus; i++)
		IOCTL(vm, KVM_CREATE_VCPU, (unsigned long)i);
}

static void vm_make(void)
{
	system_fd = must(kvm_open(), "/dev/kvm");
	/* As VMMs do: they kick by a handler that sets immediate_exit when this says 1. */
	IOCTL(system_fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT);
	vm = IOCTL(system_fd, KVM_CREATE_VM, 0ul);
	if (routes)
		IOCTL(vm, KVM_CREATE_IRQCHIP, 0ul);
	ram = memory(GUEST_RAM);
	slot_add(0, 0, GUEST_RAM, ram);
	memcpy(ram + GUEST_CODE, guest_code, (size_t)(guest_code_end - guest_code));
	events = must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	ioeventfd_add(GUEST_PORT_WILDCARD, KVM_IOEVENTFD_FLAG_PIO, 0);
	ioeventfd_add(GUEST_PORT_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH,
		      GUEST_DATA);
	ioeventfd_add(GUEST_MMIO_WILDCARD, 0, 0);
	ioeventfd_add(GUEST_MMIO_DATAMATCH, KVM_IOEVENTFD_FLAG_DATAMATCH, GUEST_DATA);
	zone_add(GUEST_MMIO_COALESCED, false);
	zone_add(GUEST_PORT_COALESCED, true);
}

static void vcpu_make(void)
{
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
	struct kvm_regs regs = {.rip = GUEST_CODE, .rflags = 2};
	struct kvm_sregs sregs;
	size_t size = (size_t)IOCTL(system_fd, KVM_GET_VCPU_MMAP_SIZE, 0ul);

	vcpu = IOCTL(vm, KVM_CREATE_VCPU, 0ul);
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		must(-1, "mmap of the vcpu");
	ring = (void *)((char *)run +
			IOCTL(system_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO) * PAGE);
	IOCTL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr0 |= 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cs = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	IOCTL(vcpu, KVM_SET_SREGS, &sregs);
	IOCTL(vcpu, KVM_SET_REGS, &regs);
}

/* Runs up to the next exit, and gives reads the value. */
static void next_exit(uint32_t value)
{
	IOCTL(vcpu, KVM_RUN, 0ul);
	ring->first = ring->last; /* as VMMs do after each exit */
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN) {
		memcpy((char *)run + run->io.data_offset, &value, run->io.size);
	} else if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write) {
		memcpy(run->mmio.data, &value, sizeof value);
	} else if (run->exit_reason != KVM_EXIT_IO && run->exit_reason != KVM_EXIT_MMIO) {
		fprintf(stderr, "exits: exit reason %u\n", run->exit_reason);
		exit(1);
	}
}

static void must_be(uint16_t port)
{
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == port)
		return;
	fprintf(stderr, "exits: another exit than that of port %#x\n", port);
	exit(1);
}

static int64_t batch(unsigned row, unsigned count)
{
	uint64_t value;
	int64_t began;

	if (read(events, &value, sizeof value) < 0 && errno != EAGAIN)
		must(-1, "eventfd");
	next_exit(row);
	must_be(GUEST_ASK);
	next_exit(count);
	must_be(GUEST_ASK);
	began = now_ns();
	do
		next_exit(GUEST_DATA);
	while (run->exit_reason != KVM_EXIT_IO || run->io.port != GUEST_DONE);
	return now_ns() - began;
}

static error_t option(int key, char *argument, struct argp_state *state)
{
	unsigned *number = key == 's'   ? &slots
			   : key == 'i' ? &ioeventfds
			   : key == 'r' ? &routes
			   : key == 'v' ? &vcpus
					: NULL;

	if (!number)
		return ARGP_ERR_UNKNOWN;
	*number = (unsigned)strtoul(argument, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"slots", 's', "N", 0, "memory slots", 0},
		{"ioeventfds", 'i', "N", 0, "ioeventfds beside the measured ones", 0},
		{"routes", 'r', "N", 0, "GSI routes", 0},
		{"vcpus", 'v', "N", 0, "vcpus, all but one never run", 0},
		{0},
	};
	static const struct argp parser = {.options = options, .parser = option};

	argp_parse(&parser, argc, argv, 0, NULL, NULL);
	vm_make();
	vcpu_make();
	add_crowd();
	worker_serve(guest_rows, GUEST_ROWS, batch);
	return 0;
}
