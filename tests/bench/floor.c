/*
 * floor: the smallest ioreq server that answers a guest, in three forms:
 *
 *   floor wait     xenevtchn: read (blocking), write (unmask), ioctl (notify) for each exit
 *   floor uring    the unmask and the read are one io_uring_enter; ioctl (notify)
 *   floor poll [N] the port stays masked, the slot is watched; ioctl (notify). It reads a byte of
 * each of N further pages for each exit: what a page costs floor machine  makes and ends the
 * domain, up to the guest's first exit; the rows of machines.c
 *
 * Nothing is looked at but the request's address, and nothing is done but what the protocol of
 * xen/hvm/ioreq.h needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xen/hvm/ioreq.h>
#include <xen/hvm/save.h>
#include <xen/memory.h>

#include "tests/bench/guest.h"
#include "tests/bench/worker.h"

#define FRAMES (GUEST_RAM / 4096)

static xc_interface *xc;
static xendevicemodel_handle *dm;
static xenforeignmemory_handle *fmem;
static uint32_t domid;
static xenevtchn_handle *evtchn;
static evtchn_port_t port;
static xenforeignmemory_resource_handle *resource;
static volatile struct ioreq *slot;
static uint8_t *ram;
static void (*wait_event)(void);

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the three ways to wait --- */

static void wait_by_read(void)
{
	while (slot->state != STATE_IOREQ_READY) {
		int got = xenevtchn_pending(evtchn);

		must(got >= 0 && xenevtchn_unmask(evtchn, got) == 0, "event");
	}
}

static void wait_by_polling(void)
{
	while (slot->state != STATE_IOREQ_READY)
		__builtin_ia32_pause();
}

static struct {
	int fd;
	unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	bool reading;
	uint32_t unmask, got;
} ring;

static void ring_open(void)
{
	struct io_uring_params p = {0};
	uint8_t *rings;
	unsigned *array;

	ring.fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	must(ring.fd >= 0 && (p.features & IORING_FEAT_SINGLE_MMAP), "io_uring_setup");
	rings = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof *ring.cqes, PROT_READ | PROT_WRITE,
		     MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, p.sq_entries * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED,
			 ring.fd, IORING_OFF_SQES);
	must(rings != MAP_FAILED && ring.sqes != MAP_FAILED, "mmap of the ring");
	ring.sq_tail = (unsigned *)(rings + p.sq_off.tail);
	ring.sq_mask = p.sq_entries - 1;
	ring.cq_head = (unsigned *)(rings + p.cq_off.head);
	ring.cq_tail = (unsigned *)(rings + p.cq_off.tail);
	ring.cq_mask = p.cq_entries - 1;
	ring.cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	array = (unsigned *)(rings + p.sq_off.array);
	for (unsigned i = 0; i < p.sq_entries; i++)
		array[i] = i;
	ring.unmask = port;
	fcntl(xenevtchn_fd(evtchn), F_SETFL, O_NONBLOCK); /* else reads go to worker threads */
}

static void ring_put(uint8_t op, uint8_t flags, void *buffer)
{
	ring.sqes[*ring.sq_tail & ring.sq_mask] = (struct io_uring_sqe){
		.opcode = op,
		.flags = flags,
		.fd = xenevtchn_fd(evtchn),
		.addr = (uintptr_t)buffer,
		.len = sizeof(uint32_t),
	};
	__atomic_store_n(ring.sq_tail, *ring.sq_tail + 1, __ATOMIC_RELEASE);
}

static void wait_by_ring(void)
{
	while (slot->state != STATE_IOREQ_READY) {
		unsigned submit = 0, head = *ring.cq_head;

		if (!ring.reading) {
			ring_put(IORING_OP_WRITE, IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK,
				 &ring.unmask);
			ring_put(IORING_OP_READ, 0, &ring.got);
			ring.reading = true;
			submit = 2;
		}
		must(syscall(SYS_io_uring_enter, ring.fd, submit, 1, IORING_ENTER_GETEVENTS, NULL,
			     0) >= 0,
		     "io_uring_enter");
		while (head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE)) {
			errno = -ring.cqes[head & ring.cq_mask].res;
			must(ring.cqes[head & ring.cq_mask].res == sizeof(uint32_t), "read");
			ring.reading = false;
			head++;
		}
		__atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
	}
}

/* --- the exits --- */

static unsigned pages;
static volatile uint8_t *pages_at;

static void next_exit(void)
{
	wait_event();
	for (unsigned i = 0; i < pages; i++)
		(void)pages_at[i * 4096ul];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static void answer(uint32_t data)
{
	slot->data = data;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	slot->state = STATE_IORESP_READY;
	must(xenevtchn_notify(evtchn, port) == 0, "notify");
}

static int64_t batch(unsigned row, unsigned count)
{
	int64_t began;

	next_exit();
	answer(row);
	next_exit();
	began = now_ns();
	answer(count);
	for (;;) {
		next_exit();
		if (slot->type == IOREQ_TYPE_PIO && slot->addr == GUEST_DONE)
			break;
		answer(GUEST_DATA);
	}
	began = now_ns() - began;
	answer(0);
	return began;
}

/* --- the domain --- */

static void domain_make(void)
{
	struct xen_domctl_createdomain create = {
		.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
		.max_vcpus = 1,
		.max_evtchn_port = 1023,
		.max_grant_frames = 32,
		.grant_opts = XEN_DOMCTL_GRANT_version(1),
		.arch.emulation_flags = XEN_X86_EMU_LAPIC,
	};
	xen_pfn_t gfns[FRAMES];

	xc = xc_interface_open(NULL, NULL, 0);
	must(xc, "xc_interface_open");
	must(getrandom(create.handle, sizeof create.handle, 0) == sizeof create.handle, "handle");
	must(xc_domain_create(xc, &domid, &create) == 0, "create");
	must(xc_domain_max_vcpus(xc, domid, 1) == 0, "max_vcpus");
	must(xc_domain_setmaxmem(xc, domid, 4096) == 0, "setmaxmem");
	must(xc_set_paging_mempool_size(xc, domid, 4 << 20) == 0, "paging pool");
	for (unsigned i = 0; i < FRAMES; i++)
		gfns[i] = i;
	must(xc_domain_populate_physmap_exact(xc, domid, FRAMES, 0, 0, gfns) == 0, "populate");
	fmem = xenforeignmemory_open(NULL, 0);
	must(fmem, "xenforeignmemory_open");
	ram = xenforeignmemory_map(fmem, domid, PROT_READ | PROT_WRITE, FRAMES, gfns, NULL);
	must(ram, "map");
	memcpy(ram + GUEST_CODE, guest_code, (size_t)(guest_code_end - guest_code));
}

static void domain_destroy(void)
{
	xc_domain_destroy(xc, domid);
}

/* 32 bits, flat. */
static void domain_load(void)
{
	enum { CODE = 0xc9b, DATA = 0xc93, LDT = 0x82, TSS = 0x8b };
	struct {
		struct hvm_save_descriptor header_descriptor;
		struct hvm_save_header header;
		struct hvm_save_descriptor cpu_descriptor;
		struct hvm_hw_cpu cpu;
		struct hvm_save_descriptor end;
	} __attribute__((packed)) image = {
		.header_descriptor = {HVM_SAVE_CODE(HEADER), 0, sizeof image.header},
		.header = {.magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION},
		.cpu_descriptor = {HVM_SAVE_CODE(CPU), 0, sizeof image.cpu},
		.cpu = {.rip = GUEST_CODE,
			.rflags = 2,
			.cr0 = 0x11,
			.dr6 = 0xffff0ff0,
			.dr7 = 0x400,
			.cs_limit = ~0u,
			.ds_limit = ~0u,
			.es_limit = ~0u,
			.fs_limit = ~0u,
			.gs_limit = ~0u,
			.ss_limit = ~0u,
			.tr_limit = 0xffff,
			.ldtr_limit = 0xffff,
			.cs_arbytes = CODE,
			.ds_arbytes = DATA,
			.es_arbytes = DATA,
			.fs_arbytes = DATA,
			.gs_arbytes = DATA,
			.ss_arbytes = DATA,
			.tr_arbytes = TSS,
			.ldtr_arbytes = LDT},
		.end = {0, 0, 0},
	};

	must(xc_domain_hvm_setcontext(xc, domid, (uint8_t *)&image, sizeof image) == 0, "context");
}

static void server_make(void)
{
	void *page = NULL;
	ioservid_t server;
	int r;

	dm = xendevicemodel_open(NULL, 0);
	must(dm, "xendevicemodel_open");
	must(xendevicemodel_create_ioreq_server(dm, domid, HVM_IOREQSRV_BUFIOREQ_OFF, &server) == 0,
	     "server");
	resource = xenforeignmemory_map_resource(fmem, domid, XENMEM_resource_ioreq_server, server,
						 XENMEM_resource_ioreq_server_frame_ioreq(0), 1,
						 &page, PROT_READ | PROT_WRITE, 0);
	must(resource, "ioreq page");
	must(xendevicemodel_map_io_range_to_ioreq_server(dm, domid, server, 0, 0, 0xffff) == 0 &&
		     xendevicemodel_map_io_range_to_ioreq_server(dm, domid, server, 1, 0, ~0ull) ==
			     0,
	     "claim");
	must(xendevicemodel_set_ioreq_server_state(dm, domid, server, 1) == 0, "enable");
	slot = &((shared_iopage_t *)page)->vcpu_ioreq[0];
	evtchn = xenevtchn_open(NULL, 0);
	must(evtchn, "evtchn");
	r = xenevtchn_bind_interdomain(evtchn, domid, slot->vp_eport);
	must(r >= 0, "bind");
	port = (evtchn_port_t)r;
}

static void machine_make(void)
{
	domain_make();
	domain_load();
	server_make();
	must(xenevtchn_pending(evtchn) == (xenevtchn_port_or_error_t)port, "the first event");
}

/* --- machines --- */

static const char *const machine_rows[] = {"create", "destroy"};

static void machine_end(void)
{
	xenevtchn_close(evtchn);
	xenforeignmemory_unmap_resource(fmem, resource);
	xenforeignmemory_unmap(fmem, ram, FRAMES);
	domain_destroy();
	xendevicemodel_close(dm);
	xenforeignmemory_close(fmem);
	xc_interface_close(xc);
}

static int64_t machine_batch(unsigned row, unsigned count)
{
	int64_t took[2] = {0};

	for (unsigned i = 0; i < count; i++) {
		int64_t began = now_ns(), made;

		machine_make();
		must(xenevtchn_unmask(evtchn, port) == 0 && xc_domain_unpause(xc, domid) == 0,
		     "unpause");
		wait_by_read();
		made = now_ns();
		machine_end();
		took[0] += made - began;
		took[1] += now_ns() - made;
	}
	return took[row];
}

int main(int argc, char **argv)
{
	const char *kind = argc >= 2 ? argv[1] : "";

	if (argc == 3) {
		pages = (unsigned)strtoul(argv[2], NULL, 0);
		pages_at = calloc(pages + 1, 4096);
		must(pages_at, "memory");
		memset((void *)pages_at, 1, pages * 4096ul);
	}

	if (!strcmp(kind, "machine")) {
		worker_serve(machine_rows, 2, machine_batch);
		return 0;
	}
	if (!strcmp(kind, "wait"))
		wait_event = wait_by_read;
	else if (!strcmp(kind, "uring"))
		wait_event = wait_by_ring;
	else if (!strcmp(kind, "poll"))
		wait_event = wait_by_polling;
	else
		return fprintf(stderr, "usage: floor wait|uring|poll [PAGES]|machine\n"), 2;
	atexit(domain_destroy);
	machine_make();
	if (wait_event == wait_by_read)
		must(xenevtchn_unmask(evtchn, port) == 0, "unmask");
	else if (wait_event == wait_by_ring)
		ring_open();
	must(xc_domain_unpause(xc, domid) == 0, "unpause");
	worker_serve(guest_rows, GUEST_ROWS, batch);
	return 0;
}
