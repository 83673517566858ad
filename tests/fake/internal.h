/*
 * internal: what the files of the fake share. One lock guards everything below; a function whose
 * comment does not say otherwise is called with it held.
 */
#ifndef KVMXEN_TESTS_FAKE_INTERNAL_H
#define KVMXEN_TESTS_FAKE_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake.h"

#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12

#define MAX_VCPUS   128
#define MAX_SERVERS 8    /* MAX_NR_IOREQ_SERVERS */
#define MAX_RANGES  256  /* MAX_NR_IO_RANGES */
#define MAX_PORTS   1024 /* event channels of one domain */
#define NR_GSIS     48
#define NR_IO_TYPES 3

struct domain;
struct vcpu;
struct server;

/* --- host: fake_host.c --- */

struct fake_host {
	pthread_mutex_t lock;
	pthread_cond_t cond; /* something changed: vcpus and waiters look again */
	struct domain *domains;
	uint16_t next_domid;
	bool manual;
	char version[32];
};
extern struct fake_host fake_host;

void fake_lock(void);
void fake_unlock(void);
void fake_changed(void);
/* Waits for fake_changed until the deadline of fake_deadline; false: it has passed. */
bool fake_wait(const struct timespec *deadline);
struct timespec fake_deadline(int milliseconds);
/* Xen 4.20 or later is being played. */
bool xen_is_420(void);

void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
void leak(const char *format, ...) __attribute__((format(printf, 1, 2)));
void violations_forget(void);

/* --- calls: fake_call.c --- */

/* Every member of the two tables: name, and whether fake_fail_nth may hit it. */
#define FAKE_OPS(X)                                                                                \
	X(ioreq_server_create, true)                                                               \
	X(ioreq_server_destroy, false)                                                             \
	X(ioreq_server_map, true)                                                                  \
	X(ioreq_server_unmap, false)                                                               \
	X(ioreq_server_claim, true)                                                                \
	X(ioreq_server_enable, true)                                                               \
	X(mem_populate, true)                                                                      \
	X(mem_release, false)                                                                      \
	X(mem_relocate, true)                                                                      \
	X(mem_set_type, true)                                                                      \
	X(mem_type_to_server, true)                                                                \
	X(mem_modified, true)                                                                      \
	X(mem_track_vram, true)                                                                    \
	X(mem_map, true)                                                                           \
	X(mem_unmap, false)                                                                        \
	X(isa_irq_set, true)                                                                       \
	X(pci_intx_set, true)                                                                      \
	X(pci_link_route, true)                                                                    \
	X(msi_inject, true)                                                                        \
	X(event_inject, true)                                                                      \
	X(hvm_param_set, true)                                                                     \
	X(hvm_param_get, true)                                                                     \
	X(evtchn_open, true)                                                                       \
	X(evtchn_close, false)                                                                     \
	X(evtchn_fd, false)                                                                        \
	X(evtchn_bind, true)                                                                       \
	X(evtchn_offer, true)                                                                      \
	X(evtchn_unbind, false)                                                                    \
	X(evtchn_notify, true)                                                                     \
	X(evtchn_take, true)                                                                       \
	X(evtchn_unmask, true)                                                                     \
	X(device_close, false)                                                                     \
	X(domain_create, true)                                                                     \
	X(domain_destroy, false)                                                                   \
	X(domain_find, true)                                                                       \
	X(domain_adopt, true)                                                                      \
	X(domain_ready, true)                                                                      \
	X(domain_shutdown, true)                                                                   \
	X(domain_set_name, true)                                                                   \
	X(domain_set_maxmem, true)                                                                 \
	X(domain_set_paging_pool, true)                                                            \
	X(domain_pause, true)                                                                      \
	X(domain_unpause, true)                                                                    \
	X(domain_resume, true)                                                                     \
	X(domain_info, true)                                                                       \
	X(domain_subscribe, true)                                                                  \
	X(tsc_set, true)                                                                           \
	X(tsc_get, true)                                                                           \
	X(host_tsc_khz, true)                                                                      \
	X(cpuid_host, true)                                                                        \
	X(cpuid_set, true)                                                                         \
	X(monitor_open, true)                                                                      \
	X(monitor_close, false)                                                                    \
	X(monitor_debug, true)                                                                     \
	X(context_get, true)                                                                       \
	X(context_get_one, true)                                                                   \
	X(context_set, true)                                                                       \
	X(vcpu_context_get, true)                                                                  \
	X(vcpu_context_set, true)                                                                  \
	X(vcpu_info, true)                                                                         \
	X(vcpu_nmi, true)                                                                          \
	X(log_dirty, true)                                                                         \
	X(host_iommu, true)                                                                        \
	X(device_test, true)                                                                       \
	X(device_assign, true)                                                                     \
	X(device_deassign, false)                                                                  \
	X(device_map, true)                                                                        \
	X(device_irq_bind, true)                                                                   \
	X(device_irq_unbind, false)                                                                \
	X(version, false)                                                                          \
	X(control_close, false)

enum fake_op_index {
#define INDEX(name, fails) OP_##name,
	FAKE_OPS(INDEX)
#undef INDEX
		NR_OPS
};

/* Takes the lock and counts; 0, or the negative errno that was ordered. */
int fake_call_begin(enum fake_op_index op);
/* Gives the lock back and wakes whoever waits for a change. */
int fake_call_end(int rc);
void fake_calls_reset(void);

#define HOST_KHZ 2000000 /* what the host says of its TSC; the machine's own is what counts */

/* --- frames: fake_frame.c. A frame is a page of one memfd; 0 is no frame. --- */

typedef uint32_t frame_t;

void xen_frames_reset(void);
/* count adjacent zeroed frames that count as pages of a domain (0: of none); 0: out of memory.
 * Each starts with one reference. */
frame_t xen_frames_alloc(uint16_t owner, uint32_t count);
/* The reference of the domain (its p2m) or of a mapping. Freed with the last one. */
void xen_frame_get(frame_t frame);
void xen_frame_put(frame_t frame);
void xen_frame_read(frame_t frame, unsigned offset, void *buf, size_t len);
void xen_frame_write(frame_t frame, unsigned offset, const void *buf, size_t len);
/* mmap of count frames from first; addr as mmap's, MAP_FIXED when not NULL. */
void *xen_frames_mmap(void *addr, frame_t first, uint32_t count, int prot);
/* A line of /proc/self/maps that shows the frames. */
bool xen_frames_named(const char *line);

/* --- p2m: fake_p2m.c --- */

struct p2m_entry {
	frame_t frame; /* 0: a hole */
	uint8_t type;  /* enum mem_type */
	bool dirty;    /* written since the log was last cleaned */
};
#define P2M_BITS   9
#define P2M_LEVELS 4
#define MAX_GFN    (1ull << (P2M_BITS * P2M_LEVELS))

struct p2m_node;
struct p2m {
	struct p2m_node *root;
	uint32_t nodes; /* page-table pages in use, as Xen would need them */
	uint64_t ioreq_pages;
};

/* NULL: a hole. */
struct p2m_entry *xen_p2m_find(struct p2m *p2m, uint64_t gfn);
/* The entry of gfn, made when missing. small: as a 4 KiB entry. */
struct p2m_entry *xen_p2m_make(struct p2m *p2m, uint64_t gfn, bool small);
/* Calls visit for each gfn that has a frame, in order. */
void xen_p2m_walk(struct p2m *p2m, void (*visit)(void *arg, uint64_t gfn, struct p2m_entry *entry),
		  void *arg);
void xen_p2m_free(struct p2m *p2m);

/* --- mappings: fake_map.c --- */

int xen_map_create(struct domain *d, void *addr, int prot, size_t n, const uint64_t *gfns,
		   void **out);
int xen_map_remove(void *addr, size_t n);
void xen_maps_check(void);
void xen_maps_reset(void);

/* --- guest operations: fake_script.c, fake_guest.c --- */

enum op_phase { OP_NEW, OP_SENT, OP_ANSWERED, OP_HALTED };

struct guest_op {
	struct fake_op op;
	int id; /* from 1; -1: of a program */
	bool done;
	enum op_phase phase;
	uint64_t rip;    /* of the instruction, once it has begun */
	uint32_t at;     /* bytes or elements finished */
	uint32_t length; /* of data */
	uint8_t *data;
};

/* What the vcpu's step should do next. */
enum op_result {
	OP_DONE, /* the operation has ended */
	OP_WAIT, /* it waits for an answer or an event */
	OP_IDLE, /* it spins: nothing to do until something changes */
};
enum op_result fake_op_run(struct vcpu *v, struct guest_op *op);
/* Their parts: fake_io.c, fake_rep.c, fake_msr.c. length: of the instruction. */
enum op_result fake_op_port(struct vcpu *v, struct guest_op *op, unsigned length);
enum op_result fake_op_memory(struct vcpu *v, struct guest_op *op, unsigned length);
enum op_result fake_op_rep(struct vcpu *v, struct guest_op *op, unsigned length);
void fake_op_msr(struct vcpu *v, struct guest_op *op);
/* Sends v->req to its server; without one, the answer is all ones at once. */
enum send_result { SEND_SENT, SEND_NOBODY, SEND_LATER };
enum send_result fake_op_send(struct vcpu *v, struct guest_op *op, struct server *s);
/* Does a device inside Xen take this access? */
bool xen_takes_port(struct domain *d, uint16_t port, unsigned size, bool write, uint32_t value);
bool xen_takes_memory(const struct vcpu *v, uint64_t gpa);

/* The operation that the vcpu is in or would begin, or NULL. */
struct guest_op *fake_script_current(struct vcpu *v);
/* The same, asking the vcpu's program for one more when there is none. */
struct guest_op *fake_script_next(struct vcpu *v);
void fake_script_free(struct vcpu *v);

/* --- event channels: fake_evtchn.c --- */

enum port_use { PORT_IOREQ, PORT_SUSPEND, PORT_MONITOR };

struct local_port;
struct port {
	struct domain *d;
	uint32_t number;
	enum port_use use;
	struct vcpu *v; /* PORT_IOREQ */
	struct local_port *peer;
};
struct port *xen_port_alloc(struct domain *d, enum port_use use, struct vcpu *v);
void xen_port_free(struct port *port);
/* Xen signals the other side. */
void xen_port_send(struct port *port);

int xen_evtchn_open(uint16_t domid, struct event_channels **out);
void xen_evtchn_close(struct event_channels *evtchn);
int xen_evtchn_fd(struct event_channels *evtchn);
int xen_evtchn_bind(struct event_channels *evtchn, struct domain *d, uint32_t remote);
/* A channel between two sets of this process, which stand for two domains. */
int xen_evtchn_offer(struct event_channels *evtchn);
int xen_evtchn_bind_offer(struct event_channels *evtchn, uint32_t number);
int xen_evtchn_unbind(struct event_channels *evtchn, uint32_t number);
int xen_evtchn_notify(struct event_channels *evtchn, uint32_t number);
int xen_evtchn_take(struct event_channels *evtchn);
int xen_evtchn_unmask(struct event_channels *evtchn, uint32_t number);
void xen_evtchns_check(void);
void xen_evtchns_reset(void);

/* --- ioreq servers: fake_server.c (what the tools ask), fake_ioreq.c (what vcpus send) --- */

struct range {
	uint64_t start, end;
};
struct server {
	struct domain *d;
	uint16_t id;
	bool enabled;
	frame_t frame;
	struct shared_iopage *page; /* our own view, or the tools' newest one */
	struct shared_iopage *own;
	struct shared_iopage *theirs[4];
	struct range ranges[NR_IO_TYPES][MAX_RANGES];
	unsigned nr_ranges[NR_IO_TYPES];
	struct port *ports[MAX_VCPUS];
	bool pending[MAX_VCPUS];
	uint8_t seen[MAX_VCPUS]; /* the state that Xen saw last in a pending slot */
};
int xen_server_create(struct domain *d, uint16_t *id);
int xen_server_destroy(struct domain *d, uint16_t id);
int xen_server_map(struct domain *d, uint16_t id, struct shared_iopage **page);
int xen_server_unmap(struct shared_iopage *page);
int xen_server_claim(struct domain *d, uint16_t id, enum io_space space, uint64_t start,
		     uint64_t end);
int xen_server_enable(struct domain *d, uint16_t id, bool on);
void xen_server_free(struct server *s);
void xen_servers_check(struct domain *d);
void xen_orphans_check(void);
void xen_orphans_reset(void);

/* The server that gets this access, newest first, or NULL: nobody. */
struct server *xen_ioreq_select(struct domain *d, const struct ioreq *req);
bool xen_ioreq_send(struct vcpu *v, struct server *s, const struct ioreq *req);
void xen_ioreq_broadcast_invalidate(struct vcpu *v);
/* Is a request of v unanswered or not yet consumed? */
bool xen_ioreq_pending(const struct vcpu *v);
/* Looks at every pending slot of v; false: it has to wait, or the domain has crashed. */
bool xen_ioreq_complete(struct vcpu *v);
/* hvmemul_cancel: answers are still awaited, but nobody wants them. */
void xen_ioreq_cancel(struct vcpu *v);

/* --- records: fake_record.c --- */

#define XSAVE_AREA_MAX 2696 /* x87, SSE, AVX, MPX, AVX-512, PKRU */
#define MSR_MAX        16

struct xsave_record {
	struct hvm_hw_cpu_xsave head;
	uint8_t rest[XSAVE_AREA_MAX - 576];
};
struct msr_record {
	uint32_t count;
	struct hvm_one_msr msr[MSR_MAX];
};

/* --- vcpus: fake_vcpu.c --- */

struct vcpu {
	struct domain *d;
	unsigned id;
	pthread_t thread;
	bool has_thread;

	bool initialised;    /* v->is_initialised */
	bool down;           /* VPF_down */
	bool blocked;        /* VPF_blocked */
	bool blocked_in_xen; /* VPF_blocked_in_xen: waits for a notify */
	bool event_paused;   /* until the monitor answers */
	uint32_t injected;   /* XEN_DMOP_inject_event: EVENTINJ's value; 0: none */
	bool stuck;
	bool invalidate; /* v->mapcache_invalidate */
	bool resume;     /* goes through hvm_do_resume before it goes on */
	bool deferring;  /* holds up a shutdown: an ioreq is out */
	bool unspin;

	struct hvm_hw_cpu cpu;
	struct hvm_hw_lapic lapic;
	struct hvm_hw_lapic_regs lapic_regs;
	struct hvm_hw_mtrr mtrr;
	struct hvm_vmce_vcpu vmce;
	struct hvm_tsc_adjust tsc_adjust;
	struct xsave_record xsave;
	struct msr_record msrs;
	uint64_t pat;
	int64_t tsc_offset; /* guest TSC - host TSC */
	struct ioreq req;   /* what it last sent */
	bool wanted;        /* somebody completes req with the answer */

	bool irr[256];
	bool nmi;
	unsigned nmis;
	uint32_t *events;
	unsigned nr_events;

	struct guest_op **ops;
	unsigned nr_ops, cap_ops, head;
	fake_program program;
	void *program_arg;
	struct guest_op own; /* the operation of the program */
};

void xen_vcpu_init(struct vcpu *v, struct domain *d, unsigned id);
void xen_vcpu_start(struct vcpu *v);
void xen_vcpu_stop(struct vcpu *v);
/* vcpu_reset: down, not initialised; the registers remain. */
void xen_vcpu_reset(struct vcpu *v);
bool xen_vcpu_runnable(const struct vcpu *v);
bool xen_vcpu_step(struct vcpu *v);
/* An event for it: ends a HLT. */
void xen_vcpu_wake(struct vcpu *v);
uint64_t xen_host_tsc(void);
uint64_t xen_vcpu_tsc(const struct vcpu *v);

/* --- domains: fake_domain.c --- */

struct msi {
	uint64_t address;
	uint32_t data;
};

struct domain {
	struct domain *next;
	uint16_t domid;
	bool dead;  /* kept for its results only */
	bool dying; /* destroyed, but somebody still maps its frames */
	int pid;    /* the process that runs its vcpus: not a forked child's */
	uint8_t handle[16];
	char *name;
	enum emulation emulation;
	unsigned nr_vcpus;
	struct vcpu *vcpus;

	bool ready;      /* the toolstack has been told of its device model */
	unsigned pauses; /* controller_pause_count */
	bool creation_finished;
	bool shutting_down, shut_down;
	unsigned shutdown_reason;
	struct port *suspend_port;

	uint64_t max_pages, pages;
	uint64_t pool_pages;
	struct p2m p2m;
	frame_t *lost; /* frames that lost their gfn to another */
	uint32_t nr_lost;
	bool log_dirty;
	bool iommu; /* may have devices of the host */
	struct {
		uint64_t gfn;
		uint32_t n;
	} vram;

	struct server *servers[MAX_SERVERS];
	struct server *type_server; /* gets the writes to MEM_IOREQ_SERVER pages */
	struct port *ports[MAX_PORTS];

	uint64_t params[64];
	uint32_t tsc_khz;
	uint64_t sync_tsc;
	uint32_t cf8; /* the PCI configuration address, latched by Xen */
	struct control_cpuid policy[128];
	unsigned nr_policy;

	struct hvm_hw_vpic pic[2];
	struct hvm_hw_vioapic ioapic;
	struct hvm_hw_pci_irqs pci_irq;
	struct hvm_hw_isa_irqs isa_irq;
	struct hvm_hw_pci_link pci_link;
	struct hvm_hw_pit pit;
	struct hvm_hw_rtc rtc;
	struct hvm_hw_hpet hpet;
	struct hvm_hw_pmtimer pmtimer;
	unsigned gsi_edges[NR_GSIS];
	bool quick_guest; /* fake_quick_guest */
	struct msi *msis;
	unsigned nr_msis;

	struct {
		bool open, debug;
		frame_t frame;
		void *own;
		void *theirs; /* the agent's view, which outlives the domain */
		struct port *port;
		uint32_t req_prod, rsp_cons;
	} monitor;
};

/* Alive, or NULL. */
struct domain *xen_domain_find(uint16_t domid);
/* Alive, dying or dead. */
struct domain *xen_domain_any(uint16_t domid);
/* -EINVAL when there is no such vcpu. */
struct vcpu *xen_vcpu_find(uint16_t domid, unsigned vcpu);
void xen_domain_crash(struct domain *d, const char *why);
void xen_domain_shutdown(struct domain *d, unsigned reason);
/* Ends a shutdown that waited for the vcpus' requests. */
void xen_domain_check_shutdown(struct domain *d);
/* Pauses and unpauses: every vcpu passes through its resume path. */
void xen_domain_reschedule(struct domain *d);
bool xen_domain_runs(const struct domain *d);
/* A p2m removal from outside: an INVALIDATE is armed on every vcpu. */
void xen_domain_invalidate(struct domain *d);
void xen_domain_frame_freed(uint16_t domid);
void xen_domains_check(void);
void xen_domains_reset(void);

int xen_domain_create(const struct domain_config *config, uint16_t *domid);
int xen_domain_destroy(struct domain *d);
int xen_domain_set_name(struct domain *d, const char *name);
int xen_domain_pause(struct domain *d);
int xen_domain_unpause(struct domain *d);
int xen_domain_resume(struct domain *d);
int xen_domain_adopt(struct domain *d, struct domain_config *found);
int xen_domain_subscribe(struct domain *d, uint32_t *port);

/* --- memory: fake_memory.c, fake_dirty.c --- */

int xen_memory_populate(struct domain *d, unsigned order, size_t n, const uint64_t *gfns);
int xen_memory_release(struct domain *d, size_t n, const uint64_t *gfns);
int xen_memory_relocate(struct domain *d, uint64_t src, uint64_t dst, uint32_t n);
int xen_memory_set_type(struct domain *d, enum mem_type type, uint64_t gfn, uint32_t n);
int xen_memory_type_to_server(struct domain *d, uint16_t server, bool on);
void xen_memory_free(struct domain *d);
/* Takes a frame out of the p2m; the caller owns its reference then. */
frame_t xen_memory_unhook(struct domain *d, uint64_t gfn);

int xen_dirty_modified(struct domain *d, uint64_t gfn, uint32_t n);
int xen_dirty_track_vram(struct domain *d, uint64_t gfn, uint32_t n, uint8_t *bitmap);
int xen_dirty_log(struct domain *d, enum log_dirty_op op, uint64_t pages, uint8_t *bitmap);

/* Native access of the guest or of Xen within one page; type rules are the caller's. */
bool xen_memory_read(struct domain *d, uint64_t gpa, void *buf, size_t len);
bool xen_memory_write(struct domain *d, uint64_t gpa, const void *buf, size_t len);

/* --- devices of the host: fake_passthrough.c --- */

void xen_passthrough_reset(void);
void xen_passthrough_destroyed(uint16_t domid);
bool xen_domain_has_devices(const struct domain *d);
int xen_host_iommu(void);
int xen_device_test(uint32_t sbdf);
int xen_device_assign(struct domain *d, uint32_t sbdf);
int xen_device_deassign(uint16_t domid, uint32_t sbdf, bool aside);
int xen_device_map(struct domain *d, uint64_t gfn, uint64_t mfn, uint64_t pages, bool on);
int xen_device_irq_bind(struct domain *d, struct device_irq *irq);
int xen_device_irq_unbind(struct domain *d, struct device_irq *irq);

/* --- the rest of the tables --- */

int xen_param_set(struct domain *d, uint32_t param, uint64_t value);
int xen_param_get(struct domain *d, uint32_t param, uint64_t *value);

int xen_isa_irq_set(struct domain *d, uint8_t irq, bool level);
int xen_pci_intx_set(struct domain *d, uint8_t device, uint8_t intx, bool level);
int xen_pci_link_route(struct domain *d, uint8_t link, uint8_t irq);
int xen_msi_inject(struct domain *d, uint64_t address, uint32_t data);
int xen_event_inject(struct domain *d, uint32_t vcpu, uint8_t vector, uint8_t type);
int xen_vcpu_nmi(struct vcpu *v);

int xen_cpuid_host(struct control_cpuid *leaves, uint32_t *n);
int xen_cpuid_set(struct domain *d, const struct control_cpuid *leaves, uint32_t n);
void xen_cpuid_init(struct domain *d);
/* What the guest's CPUID gives. */
void xen_cpuid_guest(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

int xen_context_get(struct domain *d, void *buf, uint32_t *len);
int xen_context_get_one(struct domain *d, uint16_t typecode, uint16_t instance, void *body,
			uint32_t len);
int xen_context_set(struct domain *d, const void *image, uint32_t len);
int xen_vcpu_context_get(struct vcpu *v, struct vcpu_guest_context *context);
int xen_vcpu_context_set(struct vcpu *v, const struct vcpu_guest_context *context);
bool xen_record_is_of_vcpu(uint16_t code);
/* Where a record lives and how long it is; NULL: there is none. */
void *xen_record_body(struct domain *d, uint16_t code, uint16_t instance, uint32_t *len);
int xen_record_check(struct domain *d, const struct hvm_save_descriptor *desc, const void *body);
int xen_record_load(struct domain *d, const struct hvm_save_descriptor *desc, const void *body);
void xen_record_save(struct domain *d, uint16_t code, uint16_t instance, void *out,
		     const void *body, uint32_t len);
enum fake_vcpu_state xen_vcpu_state(const struct vcpu *v);
/* The records of a domain or vcpu just created. */
void xen_records_init_domain(struct domain *d);
void xen_records_init_vcpu(struct vcpu *v);
/* Real mode at cs:0, as after INIT and SIPI. */
void xen_records_reset_cpu(struct vcpu *v, uint16_t cs);

int xen_monitor_open(struct domain *d, uint64_t gfn, void **ring, uint32_t *port);
int xen_monitor_close(struct domain *d, void *ring);
/* Sends the CPUID event of v; false: the ring is full. */
bool xen_monitor_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, unsigned length);
int xen_monitor_debug(struct domain *d, bool on);
/* INT3 (reason VM_EVENT_REASON_SOFTWARE_BREAKPOINT) or #DB. False: the ring is full. */
bool xen_monitor_exception(struct vcpu *v, uint32_t reason, unsigned type, unsigned length);
/* The agent notified: takes its responses. */
void xen_monitor_notified(struct domain *d);
/* Xen's side ends, with the monitor or with the domain. */
void xen_monitor_free(struct domain *d);
/* Unmaps the agent's view as well, whatever became of it. */
void xen_monitor_reset(struct domain *d);

extern const struct device_ops fake_device_ops;
extern const struct control_ops fake_control_ops;

#endif
