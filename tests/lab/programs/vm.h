// A small virtual machine monitor over the plain Linux KVM API: what the programs of this folder
// share.  Nothing here knows of kvmxen.
//
// A program tells on its standard output what its guest did and what each exit looked like, in
// lines that hold no time, no host address and nothing else that may differ from run to run.  Its
// output on a real KVM is the expected one; `compare` looks for the first line that differs.
//
// Every function here that can fail ends the program with status 1 and a line that names the call
// and the errno.  The functions are for one thread, except where they take a struct vcpu: then one
// thread for each vcpu.

#ifndef VM_H
#define VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Where things are in the guest.  The names are assembler symbols as well.
#define GUEST_CONSTANTS(X)                                                                         \
	X(IVT, 0x0) /* of real mode */                                                             \
	X(GDT, 0x1000)                                                                             \
	X(IDT, 0x2000)   /* of the other modes */                                                  \
	X(DATA, 0x3000)  /* a page for the program's own use */                                    \
	X(STACK, 0x8000) /* the first vcpu's stack ends here, the next one's 0x800 below */        \
	X(CODE, 0x8000)                                                                            \
	X(AP_CODE, 0x9000)   /* where the second processor starts: on a page of its own */         \
	X(HANDLERS, 0xc000)  /* one interrupt handler each 0x100 */                                \
	X(TABLES, 0x10000)   /* page tables */                                                     \
	X(BUFFER, 0x20000)   /* up to RAM_SIZE */                                                  \
	X(RAM_SIZE, 0xa0000) /* what vm_start() gives: a PC's first 640 KiB */                     \
	X(MMIO, 0xd0000000)  /* no memory here, nor anywhere else from RAM_SIZE to 4 GiB */        \
	X(IOAPIC, 0xfec00000)                                                                      \
	X(LAPIC, 0xfee00000)                                                                       \
	X(IRQ_PORT, 0x501)                                                                         \
	X(TWICE_PORT, 0x502) /* see vm_interrupt() */                                              \
	X(END_PORT, 0xf4)    /* a byte written here ends the guest's part */                       \
	X(CS32, 0x08)                                                                              \
	X(DS32, 0x10)                                                                              \
	X(CS64, 0x18)

#define STRING_(...) #__VA_ARGS__
#define STRING(...)  STRING_(__VA_ARGS__)

#define X(name, value) name = value,
enum { GUEST_CONSTANTS(X) };
#undef X
#define X(name, value) asm(".set " #name ", " #value);
GUEST_CONSTANTS(X)
#undef X

// Guest code, placed in this program's read-only data: `bits` is 16, 32 or 64, the rest is
// assembler text.  It must run at any address, or say "label - name + CODE".
#define GUEST(name, bits, ...)                                                                     \
	asm(".pushsection .rodata\n.code" #bits "\n" #name ":\n" __VA_ARGS__ "\n" #name            \
	    "_end:\n.code64\n.popsection");                                                        \
	extern const uint8_t name[] __attribute__((visibility("hidden")));                         \
	extern const uint8_t name##_end[] __attribute__((visibility("hidden")))

// The assembler macros that guests use.  rdx and rax are overwritten.
asm(".macro putb value, port\n mov $\\port, %dx\n mov $\\value, %al\n out %al, %dx\n.endm\n"
    ".macro putw value, port\n mov $\\port, %dx\n mov $\\value, %ax\n out %ax, %dx\n.endm\n"
    ".macro putl value, port\n mov $\\port, %dx\n mov $\\value, %eax\n out %eax, %dx\n.endm\n"
    ".macro getb port\n mov $\\port, %dx\n in %dx, %al\n.endm\n"
    ".macro getw port\n mov $\\port, %dx\n in %dx, %ax\n.endm\n"
    ".macro getl port\n mov $\\port, %dx\n in %dx, %eax\n.endm\n"
    // Shows %eax to the monitor.
    ".macro tell port=0x500\n mov $\\port, %dx\n out %eax, %dx\n.endm\n"
    ".macro finish\n out %al, $END_PORT\n.endm\n"
    // Asks the monitor to set a line; see vcpu_serve_irqs().
    ".macro irq gsi, level=1\n mov $\\level << 8 | \\gsi, %ax\n mov $IRQ_PORT, %dx\n"
    " out %ax, %dx\n.endm\n"
    // The two 8259 with vectors from 0x20 and 0x28, all lines open.
    ".macro pic_init\n"
    " mov $0x11, %al; out %al, $0x20; out %al, $0xa0\n"
    " mov $0x20, %al; out %al, $0x21; mov $0x28, %al; out %al, $0xa1\n"
    " mov $4, %al; out %al, $0x21; mov $2, %al; out %al, $0xa1\n"
    " mov $1, %al; out %al, $0x21; out %al, $0xa1\n"
    " xor %eax, %eax; out %al, $0x21; out %al, $0xa1\n.endm\n"
    ".macro pic_off\n mov $0xff, %al; out %al, $0x21; out %al, $0xa1\n.endm\n"
    ".macro pic_eoi\n mov $0x20, %al; out %al, $0x20\n.endm\n"
    ".macro pic_eoi2\n mov $0x20, %al; out %al, $0xa0; out %al, $0x20\n.endm\n"
    // The local APIC, and one pin of the I/O APIC with the low word of its entry.  rbx too.
    ".macro lapic_init\n mov $LAPIC, %ebx; movl $0x1ff, 0xf0(%ebx)\n.endm\n"
    ".macro lapic_eoi\n mov $LAPIC, %ebx; movl $0, 0xb0(%ebx)\n.endm\n"
    ".macro ioapic_pin pin, entry, dest=0\n mov $IOAPIC, %ebx\n"
    " movl $0x11 + 2 * \\pin, (%ebx); movl $\\dest << 24, 0x10(%ebx)\n"
    " movl $0x10 + 2 * \\pin, (%ebx); movl $\\entry, 0x10(%ebx)\n.endm");

struct vm {
	int kvm;      // /dev/kvm
	int fd;       // the VM
	uint8_t *ram; // guest physical 0 to RAM_SIZE, slot 0
	bool irqchip;
};

struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	FILE *out;      // where its lines go: stdout, or what the program sets
	uint8_t answer; // the next byte that vcpu_answer() gives
	// If set: told of each exit by the two functions that play, before the exit is printed.
	// Returns whether it shall be.
	bool (*on_exit)(struct vcpu *vcpu);
};

// The program cannot do its work: prints the message and exits with status 1.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The same of a KVM_RUN that returned what it must not: `error`, or the last exit, which is
// printed.
_Noreturn void fail_run(struct vcpu *vcpu, int error);

// The name of an errno, "ok" for 0.
const char *errno_name(int error);

// ioctl() that must not fail; `name` is what a failure is called.
int ioctl_checked(int fd, unsigned long request, void *argument, const char *name);
#define IOCTL(fd, request, argument) ioctl_checked(fd, request, (void *)(argument), #request)

// Opens /dev/kvm and creates a VM without memory.  The program is killed after 170 seconds.
void vm_create(struct vm *vm);
// The same with memory at 0 to RAM_SIZE, without and with the in-kernel interrupt controllers.
void vm_start(struct vm *vm);
void vm_start_irqchip(struct vm *vm);
void vm_destroy(struct vm *vm);

// Fresh zeroed memory of this process, page aligned.
void *memory_new(size_t size);
// KVM_SET_USER_MEMORY_REGION; size 0 deletes the slot.
void vm_slot(struct vm *vm, unsigned int slot, unsigned int flags, uint64_t gpa, size_t size,
	     void *memory);
// The two above together.
void *vm_slot_new(struct vm *vm, unsigned int slot, unsigned int flags, uint64_t gpa, size_t size);

// KVM_IRQ_LINE
void vm_irq(struct vm *vm, unsigned int gsi, unsigned int level);

// Copies guest code to `gpa`, in slot 0.
#define vm_load(vm, gpa, code) vm_copy(vm, gpa, code, (size_t)(code##_end - code))
void vm_copy(struct vm *vm, uint64_t gpa, const void *data, size_t size);

void vcpu_create(struct vm *vm, struct vcpu *vcpu, unsigned int id);
void vcpu_destroy(struct vcpu *vcpu);

// Sets the registers for guest code at `entry`.  The three modes with a stack below STACK, flat
// segments, interrupts off, GDT and IDT at the places above:
void vcpu_real_mode(struct vcpu *vcpu, uint64_t entry);
void vcpu_protected_mode(struct vcpu *vcpu, uint64_t entry); // 32 bits, without paging
void vcpu_long_mode(struct vcpu *vcpu, uint64_t entry);      // 64 bits, first 4 GiB mapped 1:1

void vcpu_mode(struct vcpu *vcpu, unsigned int bits, uint64_t entry); // 16, 32 or 64

// What most programs begin with: vm_start() or vm_start_irqchip(), the guest's code at CODE, the
// first vcpu in the mode of that many bits.
#define vm_boot(vm, vcpu, bits, code)                                                              \
	do {                                                                                       \
		vm_start(vm);                                                                      \
		vm_load(vm, CODE, code);                                                           \
		vcpu_create(vm, vcpu, 0);                                                          \
		vcpu_mode(vcpu, bits, CODE);                                                       \
	} while (0)
#define vm_boot_irqchip(vm, vcpu, bits, code)                                                      \
	do {                                                                                       \
		vm_start_irqchip(vm);                                                              \
		vm_load(vm, CODE, code);                                                           \
		vcpu_create(vm, vcpu, 0);                                                          \
		vcpu_mode(vcpu, bits, CODE);                                                       \
		vcpu_set_cpuid(vcpu);                                                              \
	} while (0)

// An interrupt gate of the IDT, for the mode (32 or 64 bits), or a vector of the IVT (16).
void vm_gate(struct vm *vm, unsigned int bits, unsigned int vector, uint32_t handler);
// The same with the handler's code, copied to the place `index` of HANDLERS.
#define vm_handler(vm, bits, vector, index, code)                                                  \
	do {                                                                                       \
		vm_load(vm, HANDLERS + 0x100 * (index), code);                                     \
		vm_gate(vm, bits, vector, HANDLERS + 0x100 * (index));                             \
	} while (0)

// The same for an interrupt, as the lab's emulator needs it (tests/lab/README.md): it may lose the
// shadow of STI, then the guest comes back to the HLT that it was to leave, and is taken past it;
// and it may give an interrupt twice, the second time to the handler's first instruction, with
// interrupts off, which ends the program.
#define vm_interrupt(vm, bits, vector, index, code)                                                \
	do {                                                                                       \
		vm_handler(vm, bits, vector, index, interrupt##bits);                              \
		vm_load(vm,                                                                        \
			HANDLERS + 0x100 * (index) +                                               \
				(uint64_t)(interrupt##bits##_end - interrupt##bits),               \
			code);                                                                     \
	} while (0)
#define X(bits)                                                                                    \
	extern const uint8_t interrupt##bits[] __attribute__((visibility("hidden")));              \
	extern const uint8_t interrupt##bits##_end[] __attribute__((visibility("hidden")));
X(16)
X(32)
X(64)
#undef X

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_set_regs(struct vcpu *vcpu, const struct kvm_regs *regs);
void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
void vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs);
// Prints the general registers, rip and rflags.
void vcpu_print_regs(struct vcpu *vcpu);

// CPUID as the host supports it, with the vcpu's own APIC id: what a monitor gives its guests.
void vcpu_set_cpuid(struct vcpu *vcpu);
struct kvm_cpuid2 *supported_cpuid(struct vm *vm);

// KVM_RUN that must not fail; returns the exit's reason.
unsigned int vcpu_run(struct vcpu *vcpu);
// KVM_RUN; returns 0 or the errno.
int vcpu_try_run(struct vcpu *vcpu);

// The data of a KVM_EXIT_IO.
uint8_t *io_data(struct kvm_run *run);
// Answers a read by port or MMIO, if the last exit is one, with bytes that count up from 0x10.
void vcpu_answer(struct vcpu *vcpu);
// Prints the last exit as one line, with the answer to a read.
void vcpu_print_exit(struct vcpu *vcpu);
// Is the last exit the end of the guest's part: HLT, SHUTDOWN, a write to END_PORT, any error?
bool vcpu_at_end(struct vcpu *vcpu);

// An on_exit: sets the interrupt line that the guest asks for with its macro `irq`.
bool vcpu_serve_irqs(struct vcpu *vcpu);

// Runs the guest, answers its reads and prints every exit, up to the end.
void vcpu_play(struct vcpu *vcpu);
// The same where KVM leaves to the implementation how a long access is cut into exits: accesses
// that go on where the one before ended are printed as one, whatever their number and widths.
// For MMIO this is a range of bytes, for a port the stream of bytes.
void vcpu_play_merged(struct vcpu *vcpu);

// Installs a signal handler without SA_RESTART; NULL for one that does nothing.
void catch_signal(int number, void (*handler)(int number));

// Lets other threads and the guest get on: sleeps, or waits for a while at most for a value.
void sleep_ms(unsigned int ms);
// Is `*value` at least `wanted` within a minute?  (A loaded emulator is slow, not wrong.)
bool wait_for(const volatile uint32_t *value, uint32_t wanted);

// Runs a vcpu in a thread of its own with vcpu_play(), its lines kept until the thread is joined,
// which prints them after a heading.  A vcpu that does not come to its end is stopped by
// vcpu_thread_stop().  vcpus that wait for their start are run again after EAGAIN.
struct vcpu_thread {
	struct vcpu *vcpu;
	pthread_t thread;
	char *lines;
	size_t size;
};
void vcpu_thread_start(struct vcpu_thread *thread, struct vcpu *vcpu);
void vcpu_thread_stop(struct vcpu_thread *thread);
void vcpu_thread_join(struct vcpu_thread *thread);

// Prints bytes as " 01 02 ..."; the second form as lines of 16 with offsets.
void print_bytes(const void *data, size_t size);
void print_dump(const void *data, size_t size);

#endif
