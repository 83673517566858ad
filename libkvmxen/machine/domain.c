#include "libkvmxen/machine/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <xen/hvm/params.h>
#include <xen/sched.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/adopt.h"
#include "libkvmxen/machine/assign.h"
#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/debug.h"
#include "libkvmxen/machine/janitor.h"
#include "libkvmxen/machine/load.h"
#include "libkvmxen/machine/monitor.h"
#include "libkvmxen/machine/spare.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

#define KIB_PER_PAGE  4
#define PAGES_SLACK   64        /* scratch, monitor ring, Xen's own special pages */
#define POOL_PER_VCPU (1 << 20) /* libxl's rule: 1 MiB a vcpu, 4 KiB a MiB of memory */
#define PAGES_PER_MIB 256

#define DEVICE(vm, op, ...)  ((vm)->xen.dev->ops->op((vm)->xen.dev, (vm)->domid, ##__VA_ARGS__))
#define CONTROL(vm, op, ...) ((vm)->xen.ctl->ops->op((vm)->xen.ctl, (vm)->domid, ##__VA_ARGS__))

static int set_params(struct vm *vm)
{
	/* A triple fault shuts the domain down as for a suspend: no toolstack takes that for the
	 * guest's end, and the domain can be resumed. To the toolstack that made it, though, it is
	 * the guest's end: a reset. */
	struct {
		uint32_t param;
		uint64_t value;
		bool irqchip_only;
	} table[] = {
		{HVM_PARAM_TRIPLE_FAULT_REASON, vm->adopted ? SHUTDOWN_reboot : SHUTDOWN_suspend,
		 false},
		{HVM_PARAM_TIMER_MODE, interrupts_timer_mode(vm), true},
		{HVM_PARAM_HPET_ENABLED, 1, true},
		/* Xen's PM timer and PM1a block go where no VMM has its own: 0x1f40. */
		{HVM_PARAM_ACPI_IOPORTS_LOCATION, 0, true},
	};
	size_t i;
	int rc;

	for (i = 0; i < sizeof table / sizeof *table; i++) {
		if (table[i].irqchip_only && !vm->interrupts.irqchip)
			continue;
		rc = DEVICE(vm, hvm_param_set, table[i].param, table[i].value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* With the monitor every CPUID is answered from the VMM's table and Xen's policy only says what
 * works: the host's default. Without it the policy is what the guest sees. */
static int set_policy(struct vm *vm)
{
	struct vcpu *vcpu = vm->vcpus[0];
	struct control_cpuid leaves[CPUID_POLICY_MAX];
	const struct control_cpuid *host;
	uint32_t n = CPUID_POLICY_MAX, nhost;
	int rc;

	if (monitor_wanted() || !vcpu->cpuid)
		return 0;
	rc = cpuid_policy(vcpu->cpuid, vcpu->cpuid_count, leaves, &n);
	if (rc == 0)
		rc = system_host_leaves(&host, &nhost);
	if (rc == 0)
		cpuid_policy_limit(leaves, n, host, nhost);
	if (rc == 0)
		rc = CONTROL(vm, cpuid_set, leaves, n);
	return rc;
}

static int set_up_memory(struct vm *vm)
{
	uint64_t pages = memory_pages(vm) + PAGES_SLACK, scratch = MEMORY_SCRATCH_GFN_A;
	unsigned vcpus = atomic_load(&vm->vcpu_count);
	int rc = CONTROL(vm, domain_set_maxmem, pages * KIB_PER_PAGE);

	if (rc == 0)
		rc = CONTROL(vm, domain_set_paging_pool,
			     (uint64_t)vcpus * POOL_PER_VCPU + (pages / PAGES_PER_MIB + 1) * 4096 +
				     POOL_PER_VCPU);
	if (rc == 0) {
		rc = DEVICE(vm, mem_populate, 0, 1, &scratch);
		rc = rc == 1 ? 0 : rc < 0 ? rc : -ENOMEM;
	}
	vm->scratch_moved = false;
	return rc;
}

static int set_up_server(struct vm *vm)
{
	static const struct {
		enum io_space space;
		uint64_t start, end;
	} claims[] = {
		{IO_SPACE_PORT, 0, 0xffff},
		{IO_SPACE_MEMORY, 0, ~0ull},
		{IO_SPACE_PCI, 0, 0xffff},
	};
	size_t i;
	int rc = DEVICE(vm, ioreq_server_create, &vm->server);

	if (rc < 0)
		return rc;
	rc = DEVICE(vm, ioreq_server_map, vm->server, &vm->ioreqs);
	for (i = 0; rc == 0 && i < sizeof claims / sizeof *claims; i++)
		rc = DEVICE(vm, ioreq_server_claim, vm->server, claims[i].space, claims[i].start,
			    claims[i].end);
	if (rc == 0)
		rc = DEVICE(vm, ioreq_server_enable, vm->server, true);
	if (rc == 0)
		rc = DEVICE(vm, mem_type_to_server, vm->server, true);
	return rc;
}

static int bind_vcpu(struct vm *vm, struct vcpu *vcpu)
{
	const struct device_ops *ops = vm->xen.dev->ops;
	int rc = ops->evtchn_open(vm->xen.dev, vm->domid, &vcpu->evtchn);

	if (rc < 0)
		return rc;
	vcpu->notify_fd = ops->notifies_by_fd ? ops->evtchn_fd(vcpu->evtchn) : -1;
	vcpu->slot = &vm->ioreqs->vcpu_ioreq[vcpu->index];
	rc = ops->evtchn_bind(vcpu->evtchn, vm->domid, vcpu->slot->vp_eport);
	if (rc < 0)
		return rc;
	vcpu->port = rc;
	return 0;
}

static int bind_vcpus(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	int rc = 0;

	for (i = 0; rc == 0 && i < count; i++)
		rc = bind_vcpu(vm, vm->vcpus[i]);
	return rc;
}

static void unbind_vcpu(struct vcpu *vcpu)
{
	const struct device_ops *ops = vcpu->vm->xen.dev->ops;

	if (!vcpu->evtchn)
		return;
	if (vcpu->port)
		ops->evtchn_unbind(vcpu->evtchn, vcpu->port);
	ops->evtchn_close(vcpu->evtchn);
	vcpu->evtchn = NULL;
	vcpu->port = 0;
	vcpu->masked_port = 0;
	vcpu->slot = NULL;
}

static void unbind_vcpus(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++)
		unbind_vcpu(vm->vcpus[i]);
}

int domain_add_vcpu(struct vm *vm, struct vcpu *vcpu)
{
	int rc;

	spare_adopt(vm, vcpu->index);
	rc = bind_vcpu(vm, vcpu);
	if (rc < 0) {
		unbind_vcpu(vcpu);
		message_error("KVM_CREATE_VCPU: no event channel for vcpu %u: %s", vcpu->id,
			      strerror(-rc));
	}
	return rc;
}

/* What the VMM is called in `xl list`: KVMXEN_NAME, or kvmxen-<pid>; a second VM of the same
 * process gets a number. */
static void choose_name(struct vm *vm)
{
	static atomic_uint made;
	unsigned n = atomic_fetch_add(&made, 1);
	const char *given = getenv("KVMXEN_NAME");
	char base[40];

	if (given && *given)
		snprintf(base, sizeof base, "%s", given);
	else
		snprintf(base, sizeof base, "kvmxen-%d", (int)getpid());
	if (n == 0)
		snprintf(vm->name, sizeof vm->name, "%s", base);
	else
		snprintf(vm->name, sizeof vm->name, "%s.%u", base, n);
}

static int create(struct vm *vm)
{
	struct domain_config config = {
		.vcpus = vm->domain_vcpus = spare_total(vm),
		.emulation = vm->interrupts.irqchip ? EMULATION_HVM : EMULATION_LAPIC,
		.iommu = assign_wanted(vm),
	};
	int rc;

	/* Whether a toolstack made its domain so, Xen says when it has to. */
	vm->iommu = adopt_wanted() || config.iommu;
	if (adopt_wanted())
		return adopt_take(vm);
	if (getrandom(vm->handle, sizeof vm->handle, 0) != sizeof vm->handle)
		return -errno;
	memcpy(config.handle, vm->handle, sizeof config.handle);
	/* The janitor hears of the handle first: from here on no way to die leaves a domain. */
	rc = vm->xen.ctl->watches ? 0 : janitor_watch(vm->handle);
	if (rc < 0)
		return rc;
	rc = vm->xen.ctl->ops->domain_create(vm->xen.ctl, &config, &vm->domid);
	if (rc < 0)
		janitor_forget(vm->handle);
	return rc;
}

static int start(struct vm *vm, const char **step)
{
	int rc = 0;

#define STEP(call)                                                                                 \
	do {                                                                                       \
		*step = #call;                                                                     \
		rc = (call);                                                                       \
		if (rc < 0)                                                                        \
			return rc;                                                                 \
	} while (0)
	if (!vm->adopted)
		STEP(CONTROL(vm, domain_set_name, vm->handle, vm->name));
	STEP(set_params(vm));
	STEP(CONTROL(vm, tsc_set, vm->tsc_khz));
	STEP(set_policy(vm));
	STEP(set_up_memory(vm));
	STEP(set_up_server(vm));
	STEP(bind_vcpus(vm));
	STEP(assign_materialise(vm));
	STEP(memory_flush(vm));
	STEP(spare_start(vm));
	if (monitor_wanted())
		STEP(monitor_start(vm));
	vm->debugged = false;
	STEP(debug_update(vm));
	if (vm->adopted)
		STEP(adopt_begin(vm));
	STEP(load_first(vm));
	STEP(interrupts_materialise(vm));
	STEP(assign_irqs_materialise(vm));
	if (vm->adopted)
		STEP(adopt_ready(vm));
	else
		STEP(CONTROL(vm, domain_unpause));
#undef STEP
	return 0;
}

int domain_make(struct vm *vm)
{
	const char *step = "domain_create";
	int rc = load_check_first(vm);

	if (rc < 0)
		return rc;
	choose_name(vm);
	rc = create(vm);
	if (rc < 0)
		goto failed;
	atomic_store(&vm->phase, VM_LIVE);
	rc = start(vm, &step);
	if (rc == 0) {
		atomic_fetch_and(&vm->work, ~(VM_WORK_MEMORY | VM_WORK_INTERRUPTS));
		message_debug("domain %u (%s) made", vm->domid, vm->name);
		return 0;
	}
	domain_end(vm, true);
failed:
	atomic_store(&vm->phase, VM_NEW);
	message_error("KVM_RUN: no Xen domain can be made: %s: %s", step, strerror(-rc));
	return rc;
}

/* A request left unanswered would keep the domain from dying. */
static void answer_all(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (vcpu->slot && vcpu->port && world_slot_state(vcpu) == STATE_IOREQ_READY)
			while (!world_answer(vcpu))
				atomic_store(&vcpu->io_cancelled, false);
	}
}

void domain_end(struct vm *vm, bool keep_content)
{
	bool paused;

	if (!vm_live(vm))
		return;
	paused = CONTROL(vm, domain_pause) == 0;
	monitor_stop(vm);
	assign_domain_ends(vm);
	if (vm->adopted)
		adopt_let_go(vm, paused);
	if (vm->ioreqs) {
		answer_all(vm);
		unbind_vcpus(vm);
		spare_stop(vm);
		/* The server itself goes with the domain: paused vcpus have not yet taken their
		 * answers. */
		vm->xen.dev->ops->ioreq_server_unmap(vm->xen.dev, vm->ioreqs);
		vm->ioreqs = NULL;
	}
	memory_destroy(vm, keep_content);
	if (!vm->adopted) {
		CONTROL(vm, domain_set_name, vm->handle, NULL);
		CONTROL(vm, domain_destroy);
		janitor_forget(vm->handle);
	}
	atomic_store(&vm->phase, VM_GONE);
}

/* Its toolstack destroys it as soon as it is shut down, which it is when no vcpu waits for an
 * answer. Xen 4.17 loses two pages with each domain that is destroyed with a monitor. */
static void abandon_adopted(struct vm *vm)
{
	bool paused = CONTROL(vm, domain_pause) == 0;

	CONTROL(vm, monitor_close, NULL);
	adopt_let_go(vm, paused);
	if (atomic_load(&vm->stop) == 0)
		answer_all(vm);
}

void domain_abandon(struct vm *vm)
{
	if (!vm_live(vm))
		return;
	atomic_store(&vm->phase, VM_GONE);
	if (vm->adopted) {
		abandon_adopted(vm);
		return;
	}
	CONTROL(vm, domain_set_name, vm->handle, NULL);
	CONTROL(vm, domain_destroy);
}
