/*
 * state: a worker for what a VMM asks of a vcpu at rest, and for a kick.
 *
 * The guest, with an in-kernel irqchip, writes to a port for ever, or spins while DATA is set. Each
 * ioctl is the first after an exit: a row get-X or set-X is that ioctl alone, set-X+run has the
 * KVM_RUN behind it in which the state reaches the guest (to be compared with row run).
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/bench/worker.h"
#include "tests/lab/programs/vm.h"

GUEST(guest, 64, "1: tell; 2: pause; cmpb $0, DATA; jne 2b; jmp 1b");

static struct vm vm;
static struct vcpu vcpu;

/* --- the parts of the state, as a VMM keeps them --- */

#define MSRS_MAX 256

static struct {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[MSRS_MAX];
} msrs;
static struct kvm_regs regs;
static struct kvm_sregs sregs;
static struct kvm_fpu fpu;
static struct kvm_xsave xsave;
static struct kvm_xcrs xcrs;
static struct kvm_lapic_state lapic;
static struct kvm_mp_state mp_state;
static struct kvm_vcpu_events events;
static struct kvm_debugregs debugregs;
static struct kvm_irqchip ioapic = {.chip_id = KVM_IRQCHIP_IOAPIC};
static struct kvm_pit_state2 pit;

static const struct part {
	unsigned long get, set;
	void *data;
	bool of_vm;
	bool in_batch; /* fpu is in xsave */
} parts[] = {
	{KVM_GET_REGS, KVM_SET_REGS, &regs, false, true},
	{KVM_GET_SREGS, KVM_SET_SREGS, &sregs, false, true},
	{KVM_GET_FPU, KVM_SET_FPU, &fpu, false, false},
	{KVM_GET_XSAVE, KVM_SET_XSAVE, &xsave, false, true},
	{KVM_GET_XCRS, KVM_SET_XCRS, &xcrs, false, true},
	{KVM_GET_MSRS, KVM_SET_MSRS, &msrs, false, true},
	{KVM_GET_LAPIC, KVM_SET_LAPIC, &lapic, false, true},
	{KVM_GET_MP_STATE, KVM_SET_MP_STATE, &mp_state, false, true},
	{KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, &events, false, true},
	{KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, &debugregs, false, true},
	{KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, &ioapic, true, false},
	{KVM_GET_PIT2, KVM_SET_PIT2, &pit, true, false},
};

enum { PARTS = sizeof parts / sizeof *parts };
enum { GET, SET, SET_RUN, WAYS };
enum { ROW_ALL = PARTS * WAYS, ROW_RUN = ROW_ALL + WAYS, ROW_COMPLETE, ROW_KICK, ROW_RESUME, ROWS };

#define WAYS_OF(name) "get-" name, "set-" name, "set-" name "+run"
static const char *const names[ROWS] = {
	WAYS_OF("regs"),   WAYS_OF("sregs"),
	WAYS_OF("fpu"),    WAYS_OF("xsave"),
	WAYS_OF("xcrs"),   WAYS_OF("msrs"),
	WAYS_OF("lapic"),  WAYS_OF("mp-state"),
	WAYS_OF("events"), WAYS_OF("debugregs"),
	WAYS_OF("ioapic"), WAYS_OF("pit"),
	WAYS_OF("all"),    "run",
	"complete-io",     "kick",
	"resume",
};

static bool missing[PARTS]; /* the processor has no such state */

static int part_try(const struct part *part, int way)
{
	return ioctl(part->of_vm ? vm.fd : vcpu.fd, way == GET ? part->get : part->set, part->data);
}

static void part_move(const struct part *part, int way)
{
	int r = part_try(part, way);

	if (r < 0 || (part->data == &msrs && r != (int)msrs.head.nmsrs))
		fail("ioctl %#lx: %s", way == GET ? part->get : part->set, errno_name(errno));
}

static void move(unsigned index, int way)
{
	if (index < PARTS) {
		part_move(&parts[index], way);
		return;
	}
	for (unsigned i = 0; i < PARTS; i++)
		if (parts[i].in_batch && !missing[i])
			part_move(&parts[i], way);
}

/* The MSRs that can be read and written, of all that KVM names. */
static void msrs_choose(void)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t indices[MSRS_MAX];
	} list = {.head = {.nmsrs = MSRS_MAX}};

	IOCTL(vm.kvm, KVM_GET_MSR_INDEX_LIST, &list);
	for (unsigned i = 0; i < list.head.nmsrs; i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} one = {.head = {.nmsrs = 1}, .entry = {.index = list.indices[i]}};

		if (ioctl(vcpu.fd, KVM_GET_MSRS, &one) == 1 &&
		    ioctl(vcpu.fd, KVM_SET_MSRS, &one) == 1)
			msrs.entries[msrs.head.nmsrs++] = one.entry;
	}
}

/* --- rows --- */

static void run_to_exit(void)
{
	if (vcpu_run(&vcpu) != KVM_EXIT_IO)
		fail("exit reason %u", vcpu.run->exit_reason);
}

static int64_t move_timed(unsigned index, int way)
{
	int64_t took = 0;

	move(index, GET); /* what is set is what is there */
	run_to_exit();
	took -= now_ns();
	move(index, way);
	if (way == SET_RUN)
		run_to_exit();
	return took + now_ns();
}

static int64_t complete_timed(void)
{
	int64_t took;

	run_to_exit();
	vcpu.run->immediate_exit = 1;
	took = -now_ns();
	if (vcpu_try_run(&vcpu) != EINTR)
		fail("KVM_RUN with immediate_exit ended");
	took += now_ns();
	vcpu.run->immediate_exit = 0;
	return took;
}

static sem_t kick_wanted;
static pthread_t main_thread;
static volatile int64_t kicked_at;

static void *kicker(void *unused)
{
	for (;;) {
		while (sem_wait(&kick_wanted))
			;
		usleep(2000); /* the guest spins by then */
		kicked_at = now_ns();
		vcpu.run->immediate_exit = 1;
		pthread_kill(main_thread, SIGUSR1);
	}
	return NULL;
}

/* From a kick of the running guest to KVM_RUN's return, and from the next KVM_RUN to an exit. */
static int64_t kick_timed(bool resume)
{
	int64_t kick, took;

	run_to_exit();
	vm.ram[DATA] = 1;
	sem_post(&kick_wanted);
	if (vcpu_try_run(&vcpu) != EINTR)
		fail("KVM_RUN ended without a kick");
	kick = now_ns() - kicked_at;
	vcpu.run->immediate_exit = 0;
	vm.ram[DATA] = 0;
	took = -now_ns();
	run_to_exit();
	took += now_ns();
	return resume ? took : kick;
}

static int64_t batch(unsigned row, unsigned count)
{
	int64_t took = 0;

	if (row < ROW_ALL && missing[row / WAYS])
		return -1;
	for (unsigned i = 0; i < count; i++) {
		if (row < ROW_RUN) {
			took += move_timed(row / WAYS, (int)(row % WAYS));
		} else if (row == ROW_RUN) {
			took -= now_ns();
			run_to_exit();
			took += now_ns();
		} else if (row == ROW_COMPLETE) {
			took += complete_timed();
		} else {
			took += kick_timed(row == ROW_RESUME);
		}
	}
	return took;
}

int main(void)
{
	pthread_t thread;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	alarm(0);
	catch_signal(SIGUSR1, NULL);
	msrs_choose();
	run_to_exit();
	for (unsigned i = 0; i < PARTS; i++)
		missing[i] = part_try(&parts[i], GET) < 0 || part_try(&parts[i], SET) < 0;
	main_thread = pthread_self();
	if (sem_init(&kick_wanted, 0, 0) || pthread_create(&thread, NULL, kicker, NULL))
		fail("no thread");
	worker_serve(names, ROWS, batch);
	return 0;
}
