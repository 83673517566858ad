// What the programs share; vm.h tells of it.

#define _GNU_SOURCE
#include "vm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LIFETIME  170 // more than what `run` allows
#define PAGE_SIZE 4096

#define CR0_PE (1ul << 0)
#define CR0_ET (1ul << 4)
#define CR0_PG (1ul << 31)

#define CR4_PAE    (1ul << 5)
#define CR4_OSFXSR (1ul << 9)

#define EFER_LME (1ul << 8)
#define EFER_LMA (1ul << 10)

#define PTE_PRESENT  (1ul << 0)
#define PTE_WRITABLE (1ul << 1)
#define PTE_LARGE    (1ul << 7)

#define GATE_INTERRUPT 0x8e00

void fail(const char *format, ...)
{
	va_list arguments;

	fputs("failed: ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

const char *errno_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "ok";

	return name ? name : "unknown";
}

int ioctl_checked(int fd, unsigned long request, void *argument, const char *name)
{
	int r = ioctl(fd, request, argument);

	if (r < 0)
		fail("%s: %s", name, errno_name(errno));
	return r;
}

void vm_create(struct vm *vm)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	alarm(LIFETIME);
	memset(vm, 0, sizeof(*vm));
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		fail("open /dev/kvm: %s", errno_name(errno));
	if (IOCTL(vm->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		fail("KVM_GET_API_VERSION: not %d", KVM_API_VERSION);
	vm->fd = IOCTL(vm->kvm, KVM_CREATE_VM, 0);
}

void vm_start(struct vm *vm)
{
	vm_create(vm);
	vm->ram = vm_slot_new(vm, 0, 0, 0, RAM_SIZE);
}

void vm_start_irqchip(struct vm *vm)
{
	struct kvm_pit_config pit = {0};
	uint64_t identity_map = 0xfffbc000;

	vm_create(vm);
	// Processors without a real mode of their own for guests need these two.
	IOCTL(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	IOCTL(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	IOCTL(vm->fd, KVM_CREATE_IRQCHIP, 0);
	IOCTL(vm->fd, KVM_CREATE_PIT2, &pit);
	vm->irqchip = true;
	vm->ram = vm_slot_new(vm, 0, 0, 0, RAM_SIZE);
}

void vm_destroy(struct vm *vm)
{
	close(vm->fd);
	close(vm->kvm);
}

void *memory_new(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap of %zu bytes: %s", size, errno_name(errno));
	return memory;
}

void vm_slot(struct vm *vm, unsigned int slot, unsigned int flags, uint64_t gpa, size_t size,
	     void *memory)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};

	IOCTL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

void *vm_slot_new(struct vm *vm, unsigned int slot, unsigned int flags, uint64_t gpa, size_t size)
{
	void *memory = memory_new(size);

	vm_slot(vm, slot, flags, gpa, size, memory);
	return memory;
}

void vm_irq(struct vm *vm, unsigned int gsi, unsigned int level)
{
	struct kvm_irq_level irq = {.irq = gsi, .level = level};

	IOCTL(vm->fd, KVM_IRQ_LINE, &irq);
}

void vm_copy(struct vm *vm, uint64_t gpa, const void *data, size_t size)
{
	if (gpa > RAM_SIZE || size > RAM_SIZE - gpa)
		fail("%zu bytes do not fit at 0x%llx", size, (unsigned long long)gpa);
	memcpy(vm->ram + gpa, data, size);
}

void vcpu_create(struct vm *vm, struct vcpu *vcpu, unsigned int id)
{
	int size = IOCTL(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->answer = 0x10;
	vcpu->out = stdout;
	vcpu->on_exit = NULL;
	vcpu->fd = IOCTL(vm->fd, KVM_CREATE_VCPU, (uintptr_t)id);
	vcpu->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		fail("mmap of a vcpu: %s", errno_name(errno));
}

void vcpu_destroy(struct vcpu *vcpu)
{
	munmap(vcpu->run, (size_t)IOCTL(vcpu->vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(vcpu->fd);
}

static void vcpu_start_at(struct vcpu *vcpu, uint64_t entry)
{
	struct kvm_regs regs = {.rip = entry, .rsp = STACK - 0x800 * vcpu->id, .rflags = 2};

	vcpu_set_regs(vcpu, &regs);
}

void vcpu_real_mode(struct vcpu *vcpu, uint64_t entry)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_start_at(vcpu, entry);
}

static struct kvm_segment flat_segment(unsigned int selector, bool code, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = (uint16_t)selector,
		.type = code ? 11 : 3,
		.present = 1,
		.s = 1,
		.db = !long_mode,
		.l = long_mode,
		.g = 1,
	};
}

static void vcpu_flat(struct vcpu *vcpu, struct kvm_sregs *sregs, bool long_mode)
{
	const uint64_t gdt[] = {
		[CS32 / 8] = 0x00cf9b000000ffff,
		[DS32 / 8] = 0x00cf93000000ffff,
		[CS64 / 8] = 0x00af9b000000ffff,
	};

	vm_copy(vcpu->vm, GDT, gdt, sizeof(gdt));
	sregs->gdt.base = GDT;
	sregs->gdt.limit = sizeof(gdt) - 1;
	sregs->idt.base = IDT;
	sregs->idt.limit = PAGE_SIZE - 1;
	sregs->cs = flat_segment(long_mode ? CS64 : CS32, true, long_mode);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss =
		flat_segment(DS32, false, false);
	sregs->cr0 |= CR0_PE | CR0_ET;
}

void vcpu_protected_mode(struct vcpu *vcpu, uint64_t entry)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	vcpu_flat(vcpu, &sregs, false);
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_start_at(vcpu, entry);
}

// The first 4 GiB in pages of 2 MiB.
static void vm_map_identity(struct vm *vm)
{
	uint64_t *l4 = (uint64_t *)(vm->ram + TABLES);
	uint64_t *l3 = l4 + 512;
	uint64_t *l2 = l3 + 512;

	l4[0] = (TABLES + 1 * PAGE_SIZE) | PTE_PRESENT | PTE_WRITABLE;
	for (unsigned int i = 0; i < 4; i++)
		l3[i] = (TABLES + (2 + i) * PAGE_SIZE) | PTE_PRESENT | PTE_WRITABLE;
	for (unsigned int i = 0; i < 4 * 512; i++)
		l2[i] = ((uint64_t)i << 21) | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
}

void vcpu_long_mode(struct vcpu *vcpu, uint64_t entry)
{
	struct kvm_sregs sregs;

	vm_map_identity(vcpu->vm);
	vcpu_get_sregs(vcpu, &sregs);
	vcpu_flat(vcpu, &sregs, true);
	sregs.cr3 = TABLES;
	sregs.cr4 |= CR4_PAE | CR4_OSFXSR;
	sregs.efer |= EFER_LME | EFER_LMA;
	sregs.cr0 |= CR0_PG;
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_start_at(vcpu, entry);
}

void vcpu_mode(struct vcpu *vcpu, unsigned int bits, uint64_t entry)
{
	if (bits == 16)
		vcpu_real_mode(vcpu, entry);
	else if (bits == 32)
		vcpu_protected_mode(vcpu, entry);
	else
		vcpu_long_mode(vcpu, entry);
}

// What stands before the handler of an interrupt; 0xf4fb: STI, HLT.
#define INTERRUPT(bits, begin, flags, load, at, rip, end)                                          \
	asm(".pushsection .rodata\n.code" #bits "\n"                                               \
	    ".globl interrupt" #bits ", interrupt" #bits "_end\ninterrupt" #bits ":\n" begin       \
	    "\ntestw $0x200, " flags "\njnz 1f\nmov $TWICE_PORT, %dx\nout %al, %dx\n1: " load      \
	    "\ncmpw $0xf4fb, -1(" at ")\njne 2f\nincw " rip "\n2: " end "\ninterrupt" #bits        \
	    "_end:\n.code64\n.popsection")
INTERRUPT(16, "push %bp; mov %sp, %bp; push %bx", "6(%bp)", "mov 2(%bp), %bx", "%bx", "2(%bp)",
	  "pop %bx; pop %bp");
INTERRUPT(32, "push %eax", "12(%esp)", "mov 4(%esp), %eax", "%eax", "4(%esp)", "pop %eax");
INTERRUPT(64, "push %rax", "24(%rsp)", "mov 8(%rsp), %rax", "%rax", "8(%rsp)", "pop %rax");

void vm_gate(struct vm *vm, unsigned int bits, unsigned int vector, uint32_t handler)
{
	const uint32_t selector = bits == 64 ? CS64 : CS32;
	const uint32_t gate[4] = {
		selector << 16 | (handler & 0xffff),
		(handler & 0xffff0000) | GATE_INTERRUPT,
	};

	if (bits == 16)
		vm_copy(vm, IVT + 4 * vector, &handler, 4);
	else if (bits == 32)
		vm_copy(vm, IDT + 8 * vector, gate, 8);
	else
		vm_copy(vm, IDT + 16 * vector, gate, 16);
}

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	IOCTL(vcpu->fd, KVM_GET_REGS, regs);
}

void vcpu_set_regs(struct vcpu *vcpu, const struct kvm_regs *regs)
{
	IOCTL(vcpu->fd, KVM_SET_REGS, regs);
}

void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	IOCTL(vcpu->fd, KVM_GET_SREGS, sregs);
}

void vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs)
{
	IOCTL(vcpu->fd, KVM_SET_SREGS, sregs);
}

void vcpu_print_regs(struct vcpu *vcpu)
{
	struct kvm_regs r;

	vcpu_get_regs(vcpu, &r);
#define PRINT(name) printf("  %-6s %016llx\n", #name, (unsigned long long)r.name)
	PRINT(rax);
	PRINT(rbx);
	PRINT(rcx);
	PRINT(rdx);
	PRINT(rsi);
	PRINT(rdi);
	PRINT(rsp);
	PRINT(rbp);
	PRINT(r8);
	PRINT(r9);
	PRINT(r10);
	PRINT(r11);
	PRINT(r12);
	PRINT(r13);
	PRINT(r14);
	PRINT(r15);
	PRINT(rip);
	PRINT(rflags);
#undef PRINT
}

struct kvm_cpuid2 *supported_cpuid(struct vm *vm)
{
	const unsigned int entries = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + entries * sizeof(cpuid->entries[0]));

	if (!cpuid)
		fail("out of memory");
	cpuid->nent = entries;
	IOCTL(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	return cpuid;
}

void vcpu_set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid(vcpu->vm);

	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 1)
			entry->ebx = (entry->ebx & 0x00ffffff) | vcpu->id << 24;
	}
	IOCTL(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

int vcpu_try_run(struct vcpu *vcpu)
{
	// What was printed so far is to be seen if this does not return.
	fflush(stdout);
	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
		return errno;
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == TWICE_PORT)
		fail("an interrupt was taken with interrupts off");
	return 0;
}

unsigned int vcpu_run(struct vcpu *vcpu)
{
	int error = vcpu_try_run(vcpu);

	if (error)
		fail("KVM_RUN: %s", errno_name(error));
	return vcpu->run->exit_reason;
}

uint8_t *io_data(struct kvm_run *run)
{
	return (uint8_t *)run + run->io.data_offset;
}

void vcpu_answer(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = NULL;
	size_t size = 0;

	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN) {
		data = io_data(run);
		size = (size_t)run->io.size * run->io.count;
	} else if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write) {
		data = run->mmio.data;
		size = run->mmio.len;
	}
	for (size_t i = 0; i < size; i++)
		data[i] = vcpu->answer++;
}

static const char *exit_name(unsigned int reason)
{
	static const char *const names[] = {
		[KVM_EXIT_UNKNOWN] = "unknown",
		[KVM_EXIT_EXCEPTION] = "exception",
		[KVM_EXIT_IO] = "io",
		[KVM_EXIT_HYPERCALL] = "hypercall",
		[KVM_EXIT_DEBUG] = "debug",
		[KVM_EXIT_HLT] = "hlt",
		[KVM_EXIT_MMIO] = "mmio",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq window open",
		[KVM_EXIT_SHUTDOWN] = "shutdown",
		[KVM_EXIT_FAIL_ENTRY] = "fail entry",
		[KVM_EXIT_INTR] = "intr",
		[KVM_EXIT_SET_TPR] = "set tpr",
		[KVM_EXIT_TPR_ACCESS] = "tpr access",
		[KVM_EXIT_NMI] = "nmi",
		[KVM_EXIT_INTERNAL_ERROR] = "internal error",
		[KVM_EXIT_SYSTEM_EVENT] = "system event",
	};

	if (reason < sizeof(names) / sizeof(names[0]) && names[reason])
		return names[reason];
	return "other";
}

static void write_bytes(FILE *out, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		fprintf(out, " %02x", bytes[i]);
}

void print_bytes(const void *data, size_t size)
{
	write_bytes(stdout, data, size);
}

void vcpu_print_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	bool in;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		in = run->io.direction == KVM_EXIT_IO_IN;
		fprintf(vcpu->out, "exit io %s port %04x size %u count %u:", in ? "in" : "out",
			run->io.port, run->io.size, run->io.count);
		write_bytes(vcpu->out, io_data(run), (size_t)run->io.size * run->io.count);
		fputc('\n', vcpu->out);
		break;
	case KVM_EXIT_MMIO:
		fprintf(vcpu->out,
			"exit mmio %s %llx len %u:", run->mmio.is_write ? "write" : "read",
			(unsigned long long)run->mmio.phys_addr, run->mmio.len);
		write_bytes(vcpu->out, run->mmio.data, run->mmio.len);
		fputc('\n', vcpu->out);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		fprintf(vcpu->out, "exit internal error, suberror %u\n", run->internal.suberror);
		break;
	default:
		fprintf(vcpu->out, "exit %s (%u)\n", exit_name(run->exit_reason), run->exit_reason);
	}
}

void fail_run(struct vcpu *vcpu, int error)
{
	if (error)
		fail("KVM_RUN: %s", errno_name(error));
	vcpu->out = stdout;
	vcpu_print_exit(vcpu);
	fail("KVM_RUN returned that");
}

bool vcpu_at_end(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_IO)
		return run->io.direction == KVM_EXIT_IO_OUT && run->io.port == END_PORT;
	return run->exit_reason != KVM_EXIT_MMIO;
}

bool vcpu_serve_irqs(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_IO && run->io.port == IRQ_PORT) {
		const uint8_t *data = io_data(vcpu->run);

		vm_irq(vcpu->vm, data[0], data[1]);
	}
	return true;
}

void vcpu_play(struct vcpu *vcpu)
{
	do {
		vcpu_run(vcpu);
		vcpu_answer(vcpu);
		if (!vcpu->on_exit || vcpu->on_exit(vcpu))
			vcpu_print_exit(vcpu);
	} while (!vcpu_at_end(vcpu));
}

// What vcpu_play_merged() has not printed yet: one access, put together from those so far.
struct access {
	bool mmio;
	bool write;
	unsigned int size; // of a port access; 0 for MMIO
	uint64_t address;  // or port
	uint8_t *data;
	size_t length;
};

static void access_flush(struct access *a)
{
	if (!a->length)
		return;
	if (a->mmio)
		printf("mmio %s %llx, %zu bytes", a->write ? "write" : "read",
		       (unsigned long long)a->address, a->length);
	else
		printf("io %s port %04x size %u, %zu bytes", a->write ? "out" : "in",
		       (unsigned int)a->address, a->size, a->length);
	if (a->length <= 16) {
		putchar(':');
		print_bytes(a->data, a->length);
		putchar('\n');
	} else {
		putchar('\n');
		print_dump(a->data, a->length);
	}
	a->length = 0;
}

static void access_add(struct access *a, const struct access *next)
{
	uint64_t address = a->mmio ? a->address + a->length : a->address;

	if (a->length && (a->mmio != next->mmio || a->write != next->write ||
			  a->size != next->size || address != next->address))
		access_flush(a);
	if (!a->length) {
		a->mmio = next->mmio;
		a->write = next->write;
		a->size = next->size;
		a->address = next->address;
	}
	a->data = realloc(a->data, a->length + next->length);
	if (!a->data)
		fail("out of memory");
	memcpy(a->data + a->length, next->data, next->length);
	a->length += next->length;
}

void vcpu_play_merged(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct access pending = {0};

	for (;;) {
		struct access next = {0};

		vcpu_run(vcpu);
		vcpu_answer(vcpu);
		if (vcpu_at_end(vcpu))
			break;
		if (vcpu->on_exit && !vcpu->on_exit(vcpu))
			continue;
		next.mmio = run->exit_reason == KVM_EXIT_MMIO;
		if (next.mmio) {
			next.write = run->mmio.is_write;
			next.address = run->mmio.phys_addr;
			next.data = run->mmio.data;
			next.length = run->mmio.len;
		} else {
			next.write = run->io.direction == KVM_EXIT_IO_OUT;
			next.address = run->io.port;
			next.size = run->io.size;
			next.data = io_data(run);
			next.length = (size_t)run->io.size * run->io.count;
		}
		access_add(&pending, &next);
	}
	access_flush(&pending);
	free(pending.data);
	vcpu_print_exit(vcpu);
}

static volatile struct kvm_run *volatile stopped;

static void on_stop(int number)
{
	(void)number;
	stopped->immediate_exit = 1;
}

static void *vcpu_thread_main(void *argument)
{
	struct vcpu *vcpu = argument;

	for (;;) {
		int error = vcpu_try_run(vcpu);

		if (error == EAGAIN)
			continue;
		if (error == EINTR)
			return NULL;
		if (error)
			fail("KVM_RUN of vcpu %u: %s", vcpu->id, errno_name(error));
		vcpu_answer(vcpu);
		if (!vcpu->on_exit || vcpu->on_exit(vcpu))
			vcpu_print_exit(vcpu);
		if (vcpu_at_end(vcpu))
			return NULL;
	}
}

void vcpu_thread_start(struct vcpu_thread *thread, struct vcpu *vcpu)
{
	thread->vcpu = vcpu;
	vcpu->out = open_memstream(&thread->lines, &thread->size);
	if (!vcpu->out || pthread_create(&thread->thread, NULL, vcpu_thread_main, vcpu))
		fail("no thread for vcpu %u", vcpu->id);
}

void vcpu_thread_stop(struct vcpu_thread *thread)
{
	catch_signal(SIGUSR2, on_stop);
	stopped = thread->vcpu->run;
	pthread_kill(thread->thread, SIGUSR2);
}

void vcpu_thread_join(struct vcpu_thread *thread)
{
	pthread_join(thread->thread, NULL);
	thread->vcpu->run->immediate_exit = 0;
	fclose(thread->vcpu->out);
	thread->vcpu->out = stdout;
	printf("vcpu %u:\n%s", thread->vcpu->id, thread->lines);
	free(thread->lines);
}

static void ignore_signal(int number)
{
	(void)number;
}

void catch_signal(int number, void (*handler)(int number))
{
	struct sigaction action = {.sa_handler = handler ? handler : ignore_signal};

	if (sigaction(number, &action, NULL) < 0)
		fail("sigaction: %s", errno_name(errno));
}

void sleep_ms(unsigned int ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

// What this process' threads do, to standard error.
static void print_threads(void)
{
	static const char *const files[] = {"comm", "wchan", "syscall", "schedstat"};
	char path[300], text[300];
	struct dirent *entry;
	DIR *tasks = opendir("/proc/self/task");

	while (tasks && (entry = readdir(tasks))) {
		if (entry->d_name[0] == '.')
			continue;
		for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
			FILE *file;

			snprintf(path, sizeof path, "/proc/self/task/%s/%s", entry->d_name,
				 files[i]);
			file = fopen(path, "r");
			if (file && fgets(text, sizeof text, file))
				fprintf(stderr, "thread %s %s: %s\n", entry->d_name, files[i],
					text);
			if (file)
				fclose(file);
		}
	}
	if (tasks)
		closedir(tasks);
}

bool wait_for(const volatile uint32_t *value, uint32_t wanted)
{
	for (unsigned int i = 0; i < 61000; i++) {
		if (*value >= wanted)
			return true;
		if (i < 1000)
			sched_yield();
		else
			sleep_ms(1);
	}
	if (*value >= wanted)
		return true;
	print_threads();
	return false;
}

void print_dump(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i += 16) {
		printf("  %04zx:", i);
		print_bytes(bytes + i, size - i < 16 ? size - i : 16);
		putchar('\n');
	}
}
