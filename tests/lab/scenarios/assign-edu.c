// A VMM that gives its guest a PCI device of the host by KVM_ASSIGN_PCI_DEVICE: QEMU's `edu`, whose
// first BAR has an identification, a DMA engine and an interrupt. Run by the script `assign`:
//
//	assign-edu SEGMENT:BUS:DEVICE.FUNCTION MODE
//
//	errors:     what is refused.
//
//	msi:        the guest uses the device; its interrupt is a message,
//
//	pin10, pin20: or a pin of the IOAPIC.
//
//	msix:       another device: e1000e, an interrupt by its MSI-X table.
//
//	deassign:   as msi, then the device is taken away; stays until it is killed.
//
//	hold:       as msi, then the guest starts a DMA; stays until it is killed.

#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_SIZE   0x100000
#define EDU_ID     0x010000ed
#define DMA_BYTES  0x100
#define MSI_VECTOR 0x51
#define MSI_GSI    24
#define ID         1
#define COMMAND    4 // in the configuration space
#define MEMORY     2
#define MASTER     4

// Shows the identification and the liveness check; writes BUFFER to the device by DMA, and back to
// BUFFER + 0x1000 with an interrupt at the end; shows whether the bytes are the same.
#define USE_DEVICE                                                                                 \
	"mov $MMIO, %esi\n"                                                                        \
	"mov (%rsi), %eax; tell\n"                                                                 \
	"movl $0x12345678, 4(%rsi); mov 4(%rsi), %eax; tell\n"                                     \
	"movl $0, DATA\n"                                                                          \
	"movq $BUFFER, 0x80(%rsi); movq $0x40000, 0x88(%rsi); movq $0x100, 0x90(%rsi)\n"           \
	"movq $1, 0x98(%rsi)\n"                                                                    \
	"1: mov 0x98(%rsi), %rax; test $1, %al; jnz 1b\n"                                          \
	"movq $0x40000, 0x80(%rsi); movq $BUFFER + 0x1000, 0x88(%rsi); movq $0x100, 0x90(%rsi)\n"  \
	"movq $7, 0x98(%rsi)\n"                                                                    \
	"2: cli; cmpl $0, DATA; jne 3f; sti; hlt; jmp 2b\n"                                        \
	"3: mov $BUFFER, %esi; mov $BUFFER + 0x1000, %edi; mov $0x100, %ecx\n"                     \
	"repe cmpsb; mov %ecx, %eax; sete %al; movzx %al, %eax; tell\n"                            \
	"finish\n" /* For `hold`: a DMA is under way. */                                           \
	"mov $MMIO, %esi; movq $7, 0x98(%rsi); finish\n"                                           \
	"4: jmp 4b"

GUEST(guest_msi, 64, "pic_off; lapic_init\n" USE_DEVICE);
// Level-triggered.
GUEST(guest_pin10, 64, "pic_off; lapic_init; ioapic_pin 10, 0x8051\n" USE_DEVICE);
GUEST(guest_pin20, 64, "pic_off; lapic_init; ioapic_pin 20, 0x8051\n" USE_DEVICE);
GUEST(handler, 64,
      "push %rax; push %rdx; push %rbx; push %rsi\n"
      "mov $MMIO, %esi; mov 0x24(%rsi), %eax; mov %eax, 0x64(%rsi); tell\n"
      "incl DATA; lapic_eoi\n"
      "pop %rsi; pop %rbx; pop %rdx; pop %rax; iretq");

// e1000e: its status; the first entry of the table for "other causes", and one of them.
GUEST(guest_msix, 64,
      "pic_off; lapic_init\n"
      "mov $MMIO, %esi; mov 8(%rsi), %eax; tell; movl $0, DATA\n"
      "movl $0x80000, 0xe4(%rsi); movl $0x1000000, 0xd0(%rsi); movl $0x1000000, 0xc8(%rsi)\n"
      "1: cli; cmpl $0, DATA; jne 2f; sti; hlt; jmp 1b\n"
      "2: finish");
GUEST(handler_msix, 64,
      "push %rax; push %rdx; push %rbx; push %rsi\n"
      "mov $MMIO, %esi; mov 0xc0(%rsi), %eax; tell\n"
      "incl DATA; lapic_eoi\n"
      "pop %rsi; pop %rbx; pop %rdx; pop %rax; iretq");

static struct vm vm;
static struct vcpu vcpu;
static unsigned bus, devfn, segment;
static char device[64];

static void parse(const char *name)
{
	unsigned slot, function;

	if (sscanf(name, "%x:%x:%x.%x", &segment, &bus, &slot, &function) != 4)
		fail("%s is no device", name);
	devfn = slot << 3 | function;
	snprintf(device, sizeof(device), "/sys/bus/pci/devices/%s", name);
}

static int try(unsigned long request, void *argument)
{
	return ioctl(vm.fd, request, argument) < 0 ? errno : 0;
}

static int assign(uint32_t id, uint32_t on, uint32_t fn, uint32_t flags)
{
	struct kvm_assigned_pci_dev dev = {
		.assigned_dev_id = id,
		.busnr = on,
		.devfn = fn,
		.flags = flags,
		.segnr = segment,
	};

	return try(KVM_ASSIGN_PCI_DEVICE, &dev);
}

static int deassign(uint32_t id)
{
	struct kvm_assigned_pci_dev dev = {.assigned_dev_id = id};

	return try(KVM_DEASSIGN_PCI_DEVICE, &dev);
}

static int irq(unsigned long request, uint32_t id, uint32_t flags, uint32_t gsi)
{
	struct kvm_assigned_irq arg = {.assigned_dev_id = id, .guest_irq = gsi, .flags = flags};

	return try(request, &arg);
}

static int failures;

static void expect(const char *what, int got, int wanted)
{
	if (got == wanted) {
		printf("ok assign-%s - %s\n", what, errno_name(wanted));
		return;
	}
	printf("not ok assign-%s - %s and not %s\n", what, errno_name(got), errno_name(wanted));
	failures++;
}

static void see(const char *what, bool seen)
{
	printf("%sok assign-%s - %s\n", seen ? "" : "not ", what, seen ? "seen" : "not seen");
	failures += !seen;
}

#define IOMMU KVM_DEV_ASSIGN_ENABLE_IOMMU
#define MSI   (KVM_DEV_IRQ_HOST_MSI | KVM_DEV_IRQ_GUEST_MSI)
#define MSIX  (KVM_DEV_IRQ_HOST_MSIX | KVM_DEV_IRQ_GUEST_MSIX)
#define INTX  (KVM_DEV_IRQ_HOST_INTX | KVM_DEV_IRQ_GUEST_INTX)

static void errors(void)
{
	struct kvm_assigned_msix_entry entry = {.assigned_dev_id = ID};
	struct kvm_assigned_msix_nr nr = {.assigned_dev_id = ID, .entry_nr = 0};

	vm_start_irqchip(&vm);
	expect("without-iommu-flag", assign(ID, bus, devfn, 0), EINVAL);
	expect("no-such-device", assign(ID, 0xfe, 0x18, IOMMU), EINVAL);
	// The host bridge has no BAR, and a driver of dom0 has the first virtio device.
	expect("without-bars", assign(ID, 0, 0, IOMMU), EPERM);
	expect("dom0-uses-it", assign(ID, 0, 1 << 3, IOMMU), EBUSY);
	expect("irq-of-no-device", irq(KVM_ASSIGN_DEV_IRQ, ID, MSI, MSI_GSI), ENODEV);
	expect("deassign-no-device", deassign(ID), EINVAL);
	expect("assign", assign(ID, bus, devfn, IOMMU), 0);
	expect("same-id", assign(ID, bus, devfn, IOMMU), EEXIST);
	expect("same-device", assign(ID + 1, bus, devfn, IOMMU), EBUSY);
	expect("two-kinds", irq(KVM_ASSIGN_DEV_IRQ, ID, MSI | INTX, 10), EINVAL);
	expect("no-kind", irq(KVM_ASSIGN_DEV_IRQ, ID, 0, 10), EINVAL);
	expect("no-irq-to-deassign", irq(KVM_DEASSIGN_DEV_IRQ, ID, MSI, 0), ENXIO);
	expect("irq", irq(KVM_ASSIGN_DEV_IRQ, ID, MSI, MSI_GSI), 0);
	expect("irq-again", irq(KVM_ASSIGN_DEV_IRQ, ID, MSI, MSI_GSI), EEXIST);
	expect("msix-none", try(KVM_ASSIGN_SET_MSIX_NR, &nr), EINVAL);
	expect("msix-entry", try(KVM_ASSIGN_SET_MSIX_ENTRY, &entry), ENOSPC);
	expect("deassign", deassign(ID), 0);
}

static void route_message(void)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + sizeof(table->entries[0]));

	table->nr = 1;
	table->entries[0].gsi = MSI_GSI;
	table->entries[0].type = KVM_IRQ_ROUTING_MSI;
	table->entries[0].u.msi.address_lo = LAPIC;
	table->entries[0].u.msi.data = MSI_VECTOR;
	IOCTL(vm.fd, KVM_SET_GSI_ROUTING, table);
	free(table);
}

static int open_of_device(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", device, name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		fail("%s: %s", path, errno_name(errno));
	return fd;
}

// What a VMM does with a device beside KVM's calls.
static void give_bar(size_t size)
{
	int config = open_of_device("config"), resource = open_of_device("resource0");
	uint16_t command;
	void *bar;

	if (pread(config, &command, 2, COMMAND) != 2)
		fail("the configuration space cannot be read");
	command |= MEMORY | MASTER;
	if (pwrite(config, &command, 2, COMMAND) != 2)
		fail("the configuration space cannot be written");
	bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
	if (bar == MAP_FAILED)
		fail("resource0 cannot be mapped");
	vm_slot(&vm, 1, 0, MMIO, size, bar);
	close(config);
	close(resource);
}

// Runs the guest up to the end of its part; what it tells comes into told[].
static unsigned run(uint32_t *told, unsigned room)
{
	unsigned n = 0;

	for (;;) {
		unsigned reason = vcpu_run(&vcpu);

		if (reason == KVM_EXIT_IO && vcpu.run->io.port == END_PORT)
			return n;
		if (reason != KVM_EXIT_IO || vcpu.run->io.port != 0x500 || n == room)
			fail("the guest left by exit %u, port %#x", reason,
			     reason == KVM_EXIT_IO ? vcpu.run->io.port : 0);
		memcpy(&told[n++], io_data(vcpu.run), 4);
	}
}

static void use(const char *mode, uint32_t flags, uint32_t gsi)
{
	uint32_t told[16] = {0};
	unsigned n;

	vcpu_set_cpuid(&vcpu);
	vm_handler(&vm, 64, MSI_VECTOR, 0, handler);
	for (unsigned i = 0; i < DMA_BYTES; i++)
		vm.ram[BUFFER + i] = i * 7 + 1;
	expect("device", assign(ID, bus, devfn, IOMMU | KVM_DEV_ASSIGN_PCI_2_3), 0);
	expect("interrupt", irq(KVM_ASSIGN_DEV_IRQ, ID, flags, gsi), 0);
	give_bar(BAR_SIZE);
	n = run(told, 16);
	printf("# %s: identification %#x, liveness %#x, interrupt status %#x, DMA equal %u\n", mode,
	       told[0], told[1], told[2], told[3]);
	see("identification", told[0] == EDU_ID && told[1] == ~0x12345678u);
	see("interrupt-came", told[2] == 0x100 && n == 4);
	see("dma", told[3] == 1 && !memcmp(vm.ram + BUFFER, vm.ram + BUFFER + 0x1000, DMA_BYTES));
}

#define OTHER_CAUSE (1u << 24)

static void use_table(void)
{
	struct kvm_assigned_msix_nr nr = {.assigned_dev_id = ID, .entry_nr = 1};
	struct kvm_assigned_msix_entry entry = {.assigned_dev_id = ID, .gsi = MSI_GSI};
	uint32_t told[16] = {0};
	unsigned n;

	vcpu_set_cpuid(&vcpu);
	vm_handler(&vm, 64, MSI_VECTOR, 0, handler_msix);
	expect("device", assign(ID, bus, devfn, IOMMU), 0);
	expect("entries", try(KVM_ASSIGN_SET_MSIX_NR, &nr), 0);
	expect("entry", try(KVM_ASSIGN_SET_MSIX_ENTRY, &entry), 0);
	expect("interrupt", irq(KVM_ASSIGN_DEV_IRQ, ID, MSIX, MSI_GSI), 0);
	give_bar(0x20000);
	n = run(told, 16);
	printf("# msix: status %#x, interrupt cause %#x\n", told[0], told[1]);
	see("interrupt-came", n == 2 && (told[1] & OTHER_CAUSE));
}

static void boot(const char *mode)
{
	if (!strcmp(mode, "pin10"))
		vm_boot_irqchip(&vm, &vcpu, 64, guest_pin10);
	else if (!strcmp(mode, "pin20"))
		vm_boot_irqchip(&vm, &vcpu, 64, guest_pin20);
	else if (!strcmp(mode, "msix"))
		vm_boot_irqchip(&vm, &vcpu, 64, guest_msix);
	else
		vm_boot_irqchip(&vm, &vcpu, 64, guest_msi);
}

static _Noreturn void stay(const char *word)
{
	printf("%s\n", word);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[2] : "";
	uint32_t told[4];

	if (argc != 3)
		fail("usage: assign-edu DEVICE MODE");
	parse(argv[1]);
	if (!strcmp(mode, "errors")) {
		errors();
		return failures != 0;
	}
	boot(mode);
	if (!strncmp(mode, "pin", 3)) {
		use(mode, INTX, atoi(mode + 3));
	} else if (!strcmp(mode, "msix")) {
		route_message();
		use_table();
	} else {
		route_message();
		use(mode, MSI, MSI_GSI);
	}
	if (!strcmp(mode, "hold")) {
		run(told, 4);
		stay("holds");
	}
	expect("taken-away", deassign(ID), 0);
	if (!strcmp(mode, "deassign"))
		stay("deassigned");
	return failures != 0;
}
