/*
 * interrupts: a worker for interrupts on their way to a guest's handler.
 *
 * The guest, in long mode with an in-kernel irqchip, asks for a row and a count (ports 0x500), does
 * the row's operation as often and writes to 0x508. Its handlers do no more than count and end the
 * interrupt. In the rows of device interrupts an operation is: the guest writes to a port, the VMM
 * sends the interrupt and goes on with KVM_RUN, the guest waits in HLT for its handler; row `exit`
 * is the same without an interrupt. Rows that kvm-unit-tests' vmexit has bear its names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/bench/worker.h"
#include "tests/lab/programs/vm.h"

#define ASK     0x500
#define DONE    0x508
#define SEND    0x510
#define VECTOR  0x51 /* of what devices send */
#define GSI_MSI 24u
#define GSI_PIN 10u

/* r8: interrupts taken; r12: operations left. r9: the same when the operation began. `taken` waits
 * in HLT for one more. */
GUEST(guest, 64,
      ".macro taken\n7: cli; cmp %r8, %r9; jne 8f; sti; hlt; jmp 7b\n8:\n.endm\n"
      ".macro next\n dec %r12d; jnz 1b; jmp done\n.endm\n"
      ".macro send_ipi icr, dest\n movl $\\dest << 24, 0x310(%rbx); movl $\\icr, 0x300(%rbx)\n"
      ".endm\n"
      "lapic_init; pic_off; ioapic_pin 10, 0x51; lapic_init\n"
      "movl $0xb, 0x3e0(%rbx)\n" /* the timer counts each tick */
      "movl $0x54, 0x320(%rbx)\n"
      "xor %r8, %r8\n"
      "ask: cli; mov $0x500, %edx; in %dx, %eax; mov %eax, %ecx; in %dx, %eax; mov %eax, %r12d\n"
      "test %ecx, %ecx; jz exit_\n"
      "cmp $5, %ecx; jb device\n"
      "je self\n"
      "cmp $6, %ecx; je ipi\n"
      "jmp timer\n"
      "done: mov $0x508, %edx; out %eax, %dx; jmp ask\n"
      "exit_: mov $0x510, %edx\n1: out %eax, %dx; next\n"
      "device:\n1: mov %r8, %r9; mov $0x510, %edx; out %eax, %dx\n"
      "taken; next\n"
      "self:\n1: mov %r8, %r9; send_ipi 0x44052, 0\n"
      "taken; next\n"
      "ipi:\n1: mov %r8, %r9; send_ipi 0x4053, 1\n"
      "taken; next\n"
      "timer:\n1: mov %r8, %r9; movl $1, 0x380(%rbx)\n"
      "taken; next");
/* The emulator's VMRUN forgets that an STI holds interrupts off for one more instruction: one that
 * comes before the HLT is what the HLT would have waited for. */
GUEST(handler, 64,
      "inc %r8; movl $0, 0xb0(%rbx)\n"
      "push %rax; mov 8(%rsp), %rax; cmpb $0xf4, (%rax); jne 1f; incq 8(%rsp); 1: pop %rax\n"
      "iretq");
/* The second processor sends each interrupt back. */
GUEST(other, 64, "lapic_init; 1: sti; hlt; jmp 1b");
GUEST(other_handler, 64,
      "movl $0, 0xb0(%rbx); movl $0, 0x310(%rbx); movl $0x4052, 0x300(%rbx); iretq");

static const char *const names[] = {"exit",     "irqfd-msi",        "irqfd-pin", "signal-msi",
				    "irq-line", "self_ipi_sti_hlt", "ipi_halt",  "lapic-timer"};
enum { EXIT, IRQFD_MSI, IRQFD_PIN, SIGNAL_MSI, IRQ_LINE, SELF, IPI, TIMER, ROWS };

static struct vm vm;
static struct vcpu vcpu, second;
static int msi_event, pin_event;

static int irqfd_new(uint32_t gsi)
{
	struct kvm_irqfd irqfd = {.gsi = gsi, .fd = (uint32_t)eventfd(0, EFD_NONBLOCK)};

	IOCTL(vm.fd, KVM_IRQFD, &irqfd);
	return (int)irqfd.fd;
}

static void route(void)
{
	struct kvm_irq_routing *table = calloc(1, sizeof *table + 2 * sizeof table->entries[0]);

	if (!table)
		fail("out of memory");
	table->nr = 2;
	table->entries[0] = (struct kvm_irq_routing_entry){
		.gsi = GSI_MSI,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {.address_lo = LAPIC, .data = VECTOR},
	};
	table->entries[1] = (struct kvm_irq_routing_entry){
		.gsi = GSI_PIN,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = GSI_PIN},
	};
	IOCTL(vm.fd, KVM_SET_GSI_ROUTING, table);
	free(table);
}

static void event_signal(int event)
{
	const uint64_t one = 1;

	if (write(event, &one, sizeof one) != sizeof one)
		fail("write to an eventfd: %s", errno_name(errno));
}

static void send(unsigned row)
{
	struct kvm_msi msi = {.address_lo = LAPIC, .data = VECTOR};

	switch (row) {
	case IRQFD_MSI:
		event_signal(msi_event);
		break;
	case IRQFD_PIN:
		event_signal(pin_event);
		break;
	case SIGNAL_MSI:
		IOCTL(vm.fd, KVM_SIGNAL_MSI, &msi);
		break;
	case IRQ_LINE:
		vm_irq(&vm, GSI_PIN, 1);
		vm_irq(&vm, GSI_PIN, 0);
		break;
	}
}

/* Runs up to the next exit, which is to be at one of two ports. */
static unsigned next_port(void)
{
	if (vcpu_run(&vcpu) != KVM_EXIT_IO)
		fail("exit reason %u", vcpu.run->exit_reason);
	return vcpu.run->io.port;
}

static void answer(uint32_t value)
{
	memcpy(io_data(vcpu.run), &value, sizeof value);
}

static int64_t batch(unsigned row, unsigned count)
{
	int64_t began;

	answer(row);
	if (next_port() != ASK)
		fail("the guest does not ask");
	answer(count);
	began = now_ns();
	while (next_port() == SEND)
		send(row);
	began = now_ns() - began;
	if (next_port() != ASK)
		fail("the guest does not ask");
	return began;
}

static void *run_second(void *unused)
{
	while (vcpu_try_run(&second) == EINTR)
		;
	fail("the second vcpu ended");
}

int main(void)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	pthread_t thread;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	alarm(0);
	vm_handler(&vm, 64, VECTOR, 0, handler);
	vm_handler(&vm, 64, 0x52, 0, handler);
	vm_handler(&vm, 64, 0x54, 0, handler);
	vm_handler(&vm, 64, 0x53, 1, other_handler);
	vm_load(&vm, AP_CODE, other);
	route();
	msi_event = irqfd_new(GSI_MSI);
	pin_event = irqfd_new(GSI_PIN);
	vcpu_create(&vm, &second, 1);
	vcpu_set_cpuid(&second);
	vcpu_mode(&second, 64, AP_CODE);
	IOCTL(second.fd, KVM_SET_MP_STATE, &runnable);
	if (pthread_create(&thread, NULL, run_second, NULL))
		fail("no thread");
	if (next_port() != ASK)
		fail("the guest does not ask");
	worker_serve(names, ROWS, batch);
	return 0;
}
