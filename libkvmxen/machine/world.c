#include "libkvmxen/machine/world.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/machine/wait.h"
#include "libkvmxen/message.h"
#include "libkvmxen/xen/evtchn_notify.h"

/* How long a vcpu may take to reach a stop before we say that something is wrong. The emulated lab
 * with two spinning vcpus on two CPUs has been seen to need 40 ms. */
#define STOP_LIMIT_MS 10000

static void pause_us(long us)
{
	struct timespec ts = {.tv_nsec = us * 1000};

	nanosleep(&ts, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void world_wait(struct vm *vm)
{
	unsigned value;

	while ((value = atomic_load(&vm->stop)) != 0)
		syscall(SYS_futex, &vm->stop, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

int world_arm(struct vm *vm)
{
	const struct device_ops *ops = vm->xen.dev->ops;
	uint64_t from, to;
	int rc;

	pthread_mutex_lock(&vm->arm_lock);
	from = vm->scratch_moved ? MEMORY_SCRATCH_GFN_B : MEMORY_SCRATCH_GFN_A;
	to = vm->scratch_moved ? MEMORY_SCRATCH_GFN_A : MEMORY_SCRATCH_GFN_B;
	rc = ops->mem_relocate(vm->xen.dev, vm->domid, from, to, 1);
	if (rc == 0)
		vm->scratch_moved = !vm->scratch_moved;
	pthread_mutex_unlock(&vm->arm_lock);
	return rc;
}

/* True when Xen will not let the vcpu execute before we answer or wake it. */
static bool at_rest(struct vcpu *vcpu, bool *halted)
{
	const struct control_ops *ops = vcpu->vm->xen.ctl->ops;
	struct vcpu_info_bits info;

	*halted = false;
	if (world_slot_state(vcpu) == STATE_IOREQ_READY)
		return true;
	if (ops->vcpu_info(vcpu->vm->xen.ctl, vcpu->vm->domid, vcpu->index, &info) != 0)
		return false;
	if (world_slot_state(vcpu) == STATE_IOREQ_READY)
		return true;
	*halted = !info.online || info.blocked;
	return *halted;
}

/* A domain that shut down (triple fault, all vcpus halted for good) or that `xl pause` holds runs
 * nothing at all, and what was armed waits for it. */
static bool domain_still(struct vm *vm, bool *gone)
{
	struct domain_info info;
	int rc = vm->xen.ctl->ops->domain_info(vm->xen.ctl, vm->domid, &info);

	*gone = rc != 0 || info.dying;
	return *gone || info.shutdown || info.paused;
}

int world_park(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct control_ops *ops = vm->xen.ctl->ops;
	uint64_t limit = now_ms() + STOP_LIMIT_MS;
	struct hvm_hw_cpu cpu;
	unsigned round = 0;
	bool halted, gone;
	int rc;

	STATS_ADD(&vm->stats->kicks);
	for (;;) {
		if (world_slot_state(vcpu) == STATE_IOREQ_READY)
			return 0;
		/* A flag can be lost when completing one I/O leads to the next: arm it anew now and
		 * then. The save makes the vcpu pass through its resume path. */
		if (round % 16 == 0) {
			rc = world_arm(vm);
			if (rc < 0)
				return domain_still(vm, &gone) ? 1 : rc;
			ops->context_get_one(vm->xen.ctl, vm->domid, HVM_SAVE_CODE(CPU),
					     vcpu->index, &cpu, sizeof cpu);
		}
		if (at_rest(vcpu, &halted))
			return halted ? 1 : 0;
		if (round >= 2) {
			if (domain_still(vm, &gone))
				return 1;
			pause_us(round < 20 ? 50 : 500);
		} else {
			sched_yield();
		}
		if (++round % 64 == 0 && now_ms() > limit) {
			message_error("KVM_RUN: vcpu %u of domain %u does not stop", vcpu->id,
				      vm->domid);
			return -EIO;
		}
	}
}

HOT bool world_answer(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint64_t began;

	/* Either the stopper sees `answering` and waits for us, or we see `stop` and wait for it:
	 * both sides store first and look afterwards, in one total order. */
	for (;;) {
		atomic_store(&vcpu->answering, true);
		if (atomic_load(&vm->stop) == 0)
			break;
		atomic_store(&vcpu->answering, false);
		interrupts_signal(vcpu);
		world_wait(vm);
	}
	if (atomic_load(&vcpu->io_cancelled)) {
		atomic_store(&vcpu->answering, false);
		return false;
	}
	atomic_thread_fence(memory_order_release);
	began = __rdtsc();
	vcpu->slot->state = STATE_IORESP_READY;
	if (vcpu->notify_fd >= 0)
		evtchn_notify_fd(vcpu->notify_fd, vcpu->port);
	else
		vm->xen.dev->ops->evtchn_notify(vcpu->evtchn, vcpu->port);
	wait_answered(vcpu, began);
	atomic_store_explicit(&vcpu->answering, false, memory_order_release);
	return true;
}

/* Waits for each vcpu that Xen may be running to come to rest. */
static int wait_for_rest(struct vm *vm)
{
	uint64_t limit = now_ms() + STOP_LIMIT_MS;
	unsigned count = atomic_load(&vm->vcpu_count), round = 0, i = 0;
	bool halted, gone;

	while (i < count) {
		if (at_rest(vm->vcpus[i], &halted)) {
			i++;
			continue;
		}
		if (domain_still(vm, &gone))
			return 0;
		if (++round % 200 == 0) {
			if (now_ms() > limit) {
				message_error("vcpu %u of domain %u does not stop",
					      vm->vcpus[i]->id, vm->domid);
				return -EIO;
			}
			/* The flag may have been lost to a chain of I/O. */
			world_arm(vm);
			vm->xen.dev->ops->ioreq_server_enable(vm->xen.dev, vm->domid, vm->server,
							      true);
		}
		if (round < 4)
			sched_yield();
		else
			pause_us(100);
	}
	return 0;
}

int world_stop(struct vm *vm)
{
	const struct control_ops *ops = vm->xen.ctl->ops;
	unsigned count = atomic_load(&vm->vcpu_count), i;
	int rc;

	atomic_store(&vm->stop, 1);
	for (i = 0; i < count; i++)
		while (atomic_load(&vm->vcpus[i]->answering))
			sched_yield();

	rc = world_arm(vm);
	/* Enabling an enabled server pauses and unpauses the domain: all pass their resume path. */
	if (rc == 0)
		rc = vm->xen.dev->ops->ioreq_server_enable(vm->xen.dev, vm->domid, vm->server,
							   true);
	if (rc == 0)
		rc = wait_for_rest(vm);
	if (rc == 0)
		rc = ops->domain_pause(vm->xen.ctl, vm->domid);
	if (rc < 0) {
		atomic_store(&vm->stop, 0);
		syscall(SYS_futex, &vm->stop, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	}
	return rc;
}

void world_start(struct vm *vm)
{
	int rc = vm->xen.ctl->ops->domain_unpause(vm->xen.ctl, vm->domid);

	if (rc < 0)
		message_error("domain %u cannot be unpaused: error %d", vm->domid, -rc);
	atomic_store(&vm->stop, 0);
	syscall(SYS_futex, &vm->stop, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
