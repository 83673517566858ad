#include "tests/lab/xen/machine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "tests/lab/xen/check.h"

enum { WAIT_MS = 20000 }; /* the lab's processors are slow, and shared */

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fflush(stdout);
	fprintf(stderr, "%s: %s\n%s", what, strerror(-r), messages.debug);
	exit(check_finish() ? 1 : 2);
}

struct xen the_xen(void)
{
	struct xen xen;

	must(xen_open(&xen), "xen_open");
	return xen;
}

void random_handle(uint8_t handle[16])
{
	must(getrandom(handle, 16, 0) == 16 ? 0 : -EIO, "getrandom");
}

static void make_domain(struct machine *m, enum emulation emulation)
{
	struct domain_config config = {.vcpus = m->vcpus, .emulation = emulation};

	random_handle(m->handle);
	memcpy(config.handle, m->handle, sizeof(config.handle));
	must(m->c->domain_create(m->ctl, &config, &m->domid), "domain_create");
	must(m->c->domain_set_maxmem(m->ctl, m->domid, 4096), "domain_set_maxmem");
	must(m->c->domain_set_paging_pool(m->ctl, m->domid, 4 << 20), "domain_set_paging_pool");
}

static void make_memory(struct machine *m)
{
	static const uint64_t ram = 0, scratch = SCRATCH_A;
	uint64_t gfns[RAM_FRAMES];
	void *at;

	must(m->d->mem_populate(m->dev, m->domid, 9, 1, &ram) == 1 ? 0 : -ENOMEM, "populate");
	must(m->d->mem_populate(m->dev, m->domid, 0, 1, &scratch) == 1 ? 0 : -ENOMEM, "populate");
	for (unsigned i = 0; i < RAM_FRAMES; i++)
		gfns[i] = i;
	must(m->d->mem_map(m->dev, m->domid, NULL, PROT_READ | PROT_WRITE, RAM_FRAMES, gfns, &at),
	     "mem_map");
	m->ram = at;
}

static void make_server(struct machine *m)
{
	must(m->d->ioreq_server_create(m->dev, m->domid, &m->server), "ioreq_server_create");
	must(m->d->ioreq_server_map(m->dev, m->domid, m->server, &m->page), "ioreq_server_map");
	must(m->d->ioreq_server_claim(m->dev, m->domid, m->server, IO_SPACE_PORT, 0, 0xffff),
	     "claim ports");
	must(m->d->ioreq_server_claim(m->dev, m->domid, m->server, IO_SPACE_MEMORY, 0, ~0ull),
	     "claim memory");
	must(m->d->ioreq_server_claim(m->dev, m->domid, m->server, IO_SPACE_PCI, 0, 0xffff),
	     "claim PCI");
	must(m->d->ioreq_server_enable(m->dev, m->domid, m->server, true), "enable");
	must(m->d->evtchn_open(m->dev, m->domid, &m->evtchn), "evtchn_open");
	for (unsigned v = 0; v < m->vcpus; v++) {
		m->ports[v] =
			m->d->evtchn_bind(m->evtchn, m->domid, m->page->vcpu_ioreq[v].vp_eport);
		must(m->ports[v], "evtchn_bind");
	}
}

void machine_make(struct machine *m, enum emulation emulation, unsigned vcpus)
{
	struct xen xen = the_xen();

	*m = (struct machine){
		.d = xen.dev->ops,
		.c = xen.ctl->ops,
		.dev = xen.dev,
		.ctl = xen.ctl,
		.vcpus = vcpus,
	};
	make_domain(m, emulation);
	make_memory(m);
	make_server(m);
}

static uint8_t *put_record(uint8_t *at, uint16_t typecode, const void *body, uint32_t len)
{
	struct hvm_save_descriptor d = {.typecode = typecode, .length = len};

	memcpy(at, &d, sizeof(d));
	if (len)
		memcpy(at + sizeof(d), body, len);
	return at + sizeof(d) + len;
}

uint32_t machine_image(uint8_t image[4096], uint64_t rip)
{
	enum { CODE = 0x9b, DATA = 0x93, LDT = 0x82, TSS = 0x8b, LIMIT = 0xffff };
	struct hvm_save_header header = {.magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION};
	struct hvm_hw_cpu cpu = {
		.rip = rip,
		.rsp = STACK_AT,
		.rflags = 0x2,
		.cr0 = 0x10, /* ET */
		.dr6 = 0xffff0ff0,
		.dr7 = 0x400,
		.cs_limit = LIMIT,
		.ds_limit = LIMIT,
		.es_limit = LIMIT,
		.fs_limit = LIMIT,
		.gs_limit = LIMIT,
		.ss_limit = LIMIT,
		.tr_limit = LIMIT,
		.ldtr_limit = LIMIT,
		.idtr_limit = LIMIT,
		.gdtr_limit = LIMIT,
		.cs_arbytes = CODE,
		.ds_arbytes = DATA,
		.es_arbytes = DATA,
		.fs_arbytes = DATA,
		.gs_arbytes = DATA,
		.ss_arbytes = DATA,
		.tr_arbytes = TSS,
		.ldtr_arbytes = LDT,
	};
	uint8_t *at = image;

	at = put_record(at, HVM_SAVE_CODE(HEADER), &header, sizeof(header));
	at = put_record(at, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu));
	at = put_record(at, 0, NULL, 0);
	return at - image;
}

void machine_load(struct machine *m, const uint8_t *code, const uint8_t *end)
{
	uint8_t image[4096];
	uint32_t len = machine_image(image, CODE_AT);

	memcpy(m->ram + CODE_AT, code, end - code);
	must(m->c->context_set(m->ctl, m->domid, image, len), "context_set");
}

void machine_unpause(struct machine *m)
{
	must(m->c->domain_unpause(m->ctl, m->domid), "domain_unpause");
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

bool machine_take(struct machine *m, struct event_channels *evtchn, int port)
{
	struct pollfd fd = {.fd = m->d->evtchn_fd(evtchn), .events = POLLIN};

	if (poll(&fd, 1, WAIT_MS) != 1 || m->d->evtchn_take(evtchn) != port)
		return false;
	must(m->d->evtchn_unmask(evtchn, port), "evtchn_unmask");
	return true;
}

/* An event is a hint only: the slot tells. */
static bool wait_for(struct machine *m, struct ioreq *req, int ms)
{
	struct ioreq *slot = &m->page->vcpu_ioreq[0];
	struct pollfd fd = {.fd = m->d->evtchn_fd(m->evtchn), .events = POLLIN};
	int64_t end = now_ms() + ms, left;
	int port;

	while ((left = end - now_ms()) > 0) {
		if (poll(&fd, 1, left) <= 0)
			continue;
		while ((port = m->d->evtchn_take(m->evtchn)) >= 0)
			must(m->d->evtchn_unmask(m->evtchn, port), "evtchn_unmask");
		if (port != -EAGAIN)
			must(port, "evtchn_take");
		*req = *(volatile struct ioreq *)slot;
		if (req->state == STATE_IOREQ_READY)
			return true;
	}
	return false;
}

bool machine_wait(struct machine *m, struct ioreq *req)
{
	return wait_for(m, req, WAIT_MS);
}

bool machine_quiet(struct machine *m, int ms)
{
	struct ioreq req;

	return !wait_for(m, &req, ms);
}

void machine_answer(struct machine *m, uint64_t data)
{
	volatile struct ioreq *slot = &m->page->vcpu_ioreq[0];

	slot->data = data;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	slot->state = STATE_IORESP_READY;
	must(m->d->evtchn_notify(m->evtchn, m->ports[0]), "evtchn_notify");
}

bool machine_wait_out(struct machine *m, uint16_t port, uint32_t value, bool answer)
{
	struct ioreq req;
	bool right;

	if (!machine_wait(m, &req))
		return false;
	right = req.type == IOREQ_TYPE_PIO && req.dir == IOREQ_WRITE && req.addr == port &&
		req.data == value;
	if (!right)
		printf("# an ioreq of type %u, dir %u, addr %#lx, data %#lx, size %u\n", req.type,
		       req.dir, req.addr, req.data, req.size);
	if (answer)
		machine_answer(m, req.data);
	return right;
}

int machine_record(struct machine *m, uint16_t typecode, void *body, uint32_t len)
{
	return m->c->context_get_one(m->ctl, m->domid, typecode, 0, body, len);
}

void machine_end(struct machine *m)
{
	must(m->c->domain_pause(m->ctl, m->domid), "domain_pause");
	for (unsigned v = 0; v < m->vcpus; v++)
		if (m->page->vcpu_ioreq[v].state == STATE_IOREQ_READY) {
			m->page->vcpu_ioreq[v].state = STATE_IORESP_READY;
			must(m->d->evtchn_notify(m->evtchn, m->ports[v]), "evtchn_notify");
		}
	m->d->evtchn_close(m->evtchn);
	must(m->d->ioreq_server_unmap(m->dev, m->page), "ioreq_server_unmap");
	must(m->d->ioreq_server_destroy(m->dev, m->domid, m->server), "ioreq_server_destroy");
	must(m->d->mem_unmap(m->dev, m->ram, RAM_FRAMES), "mem_unmap");
	must(m->c->domain_destroy(m->ctl, m->domid), "domain_destroy");
}
