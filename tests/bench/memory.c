/*
 * memory: a worker for memory slots and the dirty log.
 *
 *   memory [--slots N] [--vcpus N]    as many in all; the others lie still: a vcpu in HLT
 *
 * Every change of a slot is timed with the KVM_RUN behind it, up to the guest's next exit: by then
 * the guest has it. A VMM's memory is untouched when it is made a slot, but for create-written. A
 * row that needs the slot comes after its create.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/bench/worker.h"
#include "tests/lab/programs/vm.h"

#define MIB      (1ul << 20)
#define PAGE     4096ul
#define LOGGED   (256 * MIB)
#define PER_GIB  (1024 * MIB / LOGGED)
#define HERE     0x10000000ul
#define THERE    0x60000000ul
#define CROWD    0x1000000ul /* below HERE: one page each MiB/16 */
#define SLOT     1u
#define SLOTS_AT 2u

/* Asks how many pages to write to, from where; tells when it is done. */
GUEST(guest, 64,
      "1: mov $0x500, %dx; in %dx, %eax; mov %eax, %ecx; in %dx, %eax; mov %eax, %edi\n"
      "2: test %ecx, %ecx; jz 1b\n"
      "movb $1, (%rdi); add $0x1000, %rdi; dec %ecx; jmp 2b");
GUEST(sleeper, 64, "1: sti; hlt; jmp 1b");

static unsigned slots = 2, vcpus = 1;
static struct vm vm;
static struct vcpu vcpu;
static void *memory;
static size_t memory_size;

enum kind {
	CREATE,
	CREATE_WRITTEN,
	TOUCH,
	MOVE,
	DELETE,
	CYCLE,
	LOG_ON,
	LOG_GET_CLEAN,
	LOG_WRITE,
	LOG_GET_WRITTEN,
	LOG_OFF
};

#define SIZED(text, size)                                                                          \
	{"create:" text, CREATE, size}, {"guest-writes-all:" text, TOUCH, size},                   \
		{"move:" text, MOVE, size},                                                        \
	{                                                                                          \
		"delete:" text, DELETE, size                                                       \
	}
static const struct row {
	const char *name;
	enum kind kind;
	size_t size;
} rows[] = {
	{"create+delete:1M", CYCLE, MIB},
	SIZED("64M", 64 * MIB),
	SIZED("256M", 256 * MIB),
	SIZED("1G", 1024 * MIB),
	{"create-written:256M", CREATE_WRITTEN, LOGGED},
	{"log-on", LOG_ON, LOGGED},
	{"log-get:clean", LOG_GET_CLEAN, LOGGED},
	{"log-guest-writes-all", LOG_WRITE, LOGGED},
	{"log-get:all-written", LOG_GET_WRITTEN, LOGGED},
	{"log-off", LOG_OFF, LOGGED},
	{"delete-written:256M", DELETE, LOGGED},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Completes the guest's question with a number, up to the next. */
static void answer(uint32_t value)
{
	memcpy(io_data(vcpu.run), &value, sizeof value);
	if (vcpu_run(&vcpu) != KVM_EXIT_IO)
		fail("exit reason %u", vcpu.run->exit_reason);
}

/* Without pages it is a plain exit, or rather two. */
static void guest_writes(uint32_t pages)
{
	answer(pages);
	answer(HERE);
}

static void slot_forget(void)
{
	if (memory && munmap(memory, memory_size))
		fail("munmap: %s", errno_name(errno));
	memory = NULL;
}

static void slot_prepare(size_t size, bool written)
{
	slot_forget();
	memory_size = size;
	memory = memory_new(size);
	if (written)
		memset(memory, 0x5a, size);
}

static void slot_set(uint64_t gpa, size_t size, uint32_t flags)
{
	vm_slot(&vm, SLOT, flags, gpa, size, memory);
	guest_writes(0);
}

static void log_get(void)
{
	static uint64_t bitmap[LOGGED / PAGE / 64];
	struct kvm_dirty_log log = {.slot = SLOT, .dirty_bitmap = bitmap};

	IOCTL(vm.fd, KVM_GET_DIRTY_LOG, &log);
}

static int64_t once(const struct row *row)
{
	int64_t began;
	int64_t scale = row->kind >= LOG_ON ? PER_GIB : 1;

	if (row->kind == CREATE || row->kind == CREATE_WRITTEN || row->kind == CYCLE)
		slot_prepare(row->size, row->kind == CREATE_WRITTEN);
	else if (!memory || memory_size != row->size)
		return -1;
	began = now_ns();
	switch (row->kind) {
	case CREATE:
	case CREATE_WRITTEN:
		slot_set(HERE, row->size, 0);
		break;
	case TOUCH:
	case LOG_WRITE:
		guest_writes((uint32_t)(row->size / PAGE));
		break;
	case MOVE:
		slot_set(THERE, row->size, 0);
		break;
	case CYCLE:
		slot_set(HERE, row->size, 0);
		slot_set(HERE, 0, 0);
		break;
	case DELETE:
		slot_set(THERE, 0, 0);
		break;
	case LOG_ON:
		slot_set(HERE, row->size, KVM_MEM_LOG_DIRTY_PAGES);
		break;
	case LOG_OFF:
		slot_set(HERE, row->size, 0);
		break;
	case LOG_GET_CLEAN:
	case LOG_GET_WRITTEN:
		log_get();
		break;
	}
	began = now_ns() - began;
	if (row->kind == DELETE || row->kind == CYCLE)
		slot_forget();
	return began * scale;
}

/* Only of what can be done again at once is COUNT done. */
static int64_t batch(unsigned row, unsigned count)
{
	int64_t took = 0;

	if (rows[row].kind != CYCLE) {
		took = once(&rows[row]);
		return took < 0 ? -1 : took * count;
	}
	for (unsigned i = 0; i < count; i++)
		took += once(&rows[row]);
	return took;
}

static void *run_sleeper(void *of)
{
	struct vcpu *sleeping = of;

	while (vcpu_try_run(sleeping) == EINTR)
		;
	fail("a sleeping vcpu ended");
}

static void add_crowd(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct vcpu *others = calloc(vcpus, sizeof *others);
	pthread_t thread;

	if (!others)
		fail("out of memory");
	for (unsigned i = SLOTS_AT; i < slots; i++)
		vm_slot_new(&vm, i, 0, CROWD + i * MIB / 16, PAGE);
	/* All before the first runs: kvmxen's domain has as many vcpus as were made by then. */
	for (unsigned i = 1; i < vcpus; i++) {
		vcpu_create(&vm, &others[i], i);
		vcpu_set_cpuid(&others[i]);
		vcpu_mode(&others[i], 64, AP_CODE);
		IOCTL(others[i].fd, KVM_SET_MP_STATE, &runnable);
	}
	for (unsigned i = 1; i < vcpus; i++)
		if (pthread_create(&thread, NULL, run_sleeper, &others[i]))
			fail("no thread");
}

static error_t option(int key, char *argument, struct argp_state *state)
{
	if (key == 's')
		slots = (unsigned)strtoul(argument, NULL, 0);
	else if (key == 'v')
		vcpus = (unsigned)strtoul(argument, NULL, 0);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"slots", 's', "N", 0, "memory slots", 0},
		{"vcpus", 'v', "N", 0, "vcpus", 0},
		{0},
	};
	static const struct argp parser = {.options = options, .parser = option};
	const char *names[ROWS];

	argp_parse(&parser, argc, argv, 0, NULL, NULL);
	for (unsigned i = 0; i < ROWS; i++)
		names[i] = rows[i].name;
	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	alarm(0);
	vm_load(&vm, AP_CODE, sleeper);
	add_crowd();
	if (vcpu_run(&vcpu) != KVM_EXIT_IO)
		fail("exit reason %u", vcpu.run->exit_reason);
	worker_serve(names, ROWS, batch);
	return 0;
}
