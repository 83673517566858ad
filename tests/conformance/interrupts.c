/* interrupts: irqchip and PIT state, lines, routes, irqfds, ioeventfds, coalesced zones, MSIs. */
#include "answers.h"

#include <fcntl.h>
#include <sys/eventfd.h>

static void chip(int vm, uint32_t id)
{
	struct kvm_irqchip state = {.chip_id = id};

	answer(ioctl(vm, KVM_GET_IRQCHIP, &state), "irqchip %u/get", id);
	answer(ioctl(vm, KVM_SET_IRQCHIP, &state), "irqchip %u/set", id);
}

static void line(int vm, const char *what, uint32_t irq, uint32_t level)
{
	struct kvm_irq_level l = {.irq = irq, .level = level};

	answer(ioctl(vm, KVM_IRQ_LINE, &l), "line/%s", what);
	answer(ioctl(vm, KVM_IRQ_LINE_STATUS, &l), "line/%s, status", what);
}

static int route(int vm, uint32_t gsi, uint32_t type, uint32_t flags, uint32_t first,
		 uint32_t second)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {.head.nr = 1, .entry = {.gsi = gsi, .type = type, .flags = flags}};

	table.entry.u.irqchip.irqchip = first;
	table.entry.u.irqchip.pin = second;
	return ioctl(vm, KVM_SET_GSI_ROUTING, &table);
}

static void routes(int vm)
{
	struct kvm_irq_routing none = {0}, flags = {.flags = 1}, many = {.nr = 4097};

	answer(ioctl(vm, KVM_SET_GSI_ROUTING, &flags), "route/flags");
	answer(ioctl(vm, KVM_SET_GSI_ROUTING, &many), "route/too many");
	answer(route(vm, 1, KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 1), "route/pic");
	answer(route(vm, 9, KVM_IRQ_ROUTING_IRQCHIP, 0, 1, 1), "route/slave");
	answer(route(vm, 23, KVM_IRQ_ROUTING_IRQCHIP, 0, 2, 23), "route/ioapic");
	answer(route(vm, 1, KVM_IRQ_ROUTING_IRQCHIP, 0, 0, 8), "route/pic pin 8");
	answer(route(vm, 1, KVM_IRQ_ROUTING_IRQCHIP, 0, 2, 24), "route/ioapic pin 24");
	answer(route(vm, 1, KVM_IRQ_ROUTING_IRQCHIP, 0, 3, 0), "route/chip 3");
	answer(route(vm, 4095, KVM_IRQ_ROUTING_MSI, 0, 0xfee00000, 0), "route/last gsi");
	answer(route(vm, 4096, KVM_IRQ_ROUTING_MSI, 0, 0xfee00000, 0), "route/beyond it");
	answer(route(vm, 30, KVM_IRQ_ROUTING_MSI, KVM_MSI_VALID_DEVID, 0xfee00000, 0),
	       "route/device id");
	answer(route(vm, 30, KVM_IRQ_ROUTING_S390_ADAPTER, 0, 0, 0), "route/of s390");
	answer(route(vm, 30, 99, 0, 0, 0), "route/unknown type");
	answer(ioctl(vm, KVM_SET_GSI_ROUTING, &none), "route/none");
	line(vm, "without a route", 1, 1);
}

static int irqfd(int vm, int fd, uint32_t gsi, uint32_t flags, int resample)
{
	struct kvm_irqfd i = {.fd = fd, .gsi = gsi, .flags = flags, .resamplefd = resample};

	return ioctl(vm, KVM_IRQFD, &i);
}

static void irqfds(int vm)
{
	int one = eventfd(0, EFD_NONBLOCK), two = eventfd(0, EFD_NONBLOCK);
	int file = open("/dev/null", O_RDWR);

	answer(irqfd(vm, one, 5, 0, 0), "irqfd/assign");
	answer(irqfd(vm, one, 5, 0, 0), "irqfd/again");
	answer(irqfd(vm, one, 6, 0, 0), "irqfd/for another line");
	answer(irqfd(vm, two, 5, 0, 0), "irqfd/a second of the line");
	answer(irqfd(vm, two, 5, KVM_IRQFD_FLAG_DEASSIGN, 0), "irqfd/deassign");
	answer(irqfd(vm, two, 5, KVM_IRQFD_FLAG_DEASSIGN, 0), "irqfd/deassign again");
	answer(irqfd(vm, file, 5, 0, 0), "irqfd/no eventfd");
	answer(irqfd(vm, 1000, 5, 0, 0), "irqfd/no file");
	answer(irqfd(vm, 1000, 5, KVM_IRQFD_FLAG_DEASSIGN, 0), "irqfd/deassign no file");
	answer(irqfd(vm, two, 5, 1u << 2, 0), "irqfd/unknown flag");
	answer(irqfd(vm, two, 4096, 0, 0), "irqfd/beyond the lines");
	answer(irqfd(vm, two, 7, KVM_IRQFD_FLAG_RESAMPLE, file), "irqfd/resample to no eventfd");
	close(one);
	close(two);
	close(file);
}

static int ioeventfd(int vm, uint64_t at, uint32_t length, int fd, uint32_t flags, uint64_t match)
{
	struct kvm_ioeventfd i = {match, at, length, fd, flags, {0}};

	return ioctl(vm, KVM_IOEVENTFD, &i);
}

static void ioeventfds(int vm)
{
	const uint32_t pio = KVM_IOEVENTFD_FLAG_PIO, match = KVM_IOEVENTFD_FLAG_DATAMATCH;
	const uint32_t off = KVM_IOEVENTFD_FLAG_DEASSIGN;
	int fd = eventfd(0, EFD_NONBLOCK), file = open("/dev/null", O_RDWR);

	for (uint32_t length = 0; length <= 9; length++) {
		answer(ioeventfd(vm, 0x1000 + 16 * length, length, fd, 0, 0),
		       "ioeventfd/memory of %u", length);
		answer(ioeventfd(vm, 0x100 + 16 * length, length, fd, pio, 0),
		       "ioeventfd/port of %u", length);
		answer(ioeventfd(vm, 0x2000 + 16 * length, length, fd, match, 1),
		       "ioeventfd/value of %u", length);
	}
	answer(ioeventfd(vm, 0x5000, 4, fd, match, 1), "ioeventfd/value 1");
	answer(ioeventfd(vm, 0x5000, 4, fd, match, 1), "ioeventfd/value 1 again");
	answer(ioeventfd(vm, 0x5000, 4, fd, match, 2), "ioeventfd/value 2");
	answer(ioeventfd(vm, 0x5000, 4, fd, 0, 0), "ioeventfd/any value there");
	answer(ioeventfd(vm, 0x5000, 4, fd, match | off, 3), "ioeventfd/deassign another value");
	answer(ioeventfd(vm, 0x5000, 4, fd, match | off, 1), "ioeventfd/deassign");
	answer(ioeventfd(vm, 0x5000, 4, fd, match | off, 1), "ioeventfd/deassign again");
	answer(ioeventfd(vm, -2ull, 4, fd, 0, 0), "ioeventfd/around the end");
	answer(ioeventfd(vm, 0x6000, 4, fd, 1u << 5, 0), "ioeventfd/unknown flag");
	answer(ioeventfd(vm, 0x6000, 4, file, 0, 0), "ioeventfd/no eventfd");
	answer(ioeventfd(vm, 0x6000, 4, 1000, 0, 0), "ioeventfd/no file");
	close(fd);
	close(file);
}

static void zone(int vm, const char *what, uint64_t at, uint32_t size, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone z = {.addr = at, .size = size, .pio = pio};

	answer(ioctl(vm, KVM_REGISTER_COALESCED_MMIO, &z), "zone/%s", what);
	answer(ioctl(vm, KVM_UNREGISTER_COALESCED_MMIO, &z), "zone/%s, no more", what);
}

static void msi(int vm, const char *what, uint32_t low, uint32_t high, uint32_t flags)
{
	struct kvm_msi m = {.address_lo = low, .address_hi = high, .flags = flags, .data = 0x41};

	answer(ioctl(vm, KVM_SIGNAL_MSI, &m), "msi/%s", what);
}

static void without_irqchip(void)
{
	struct kvm_pit_state2 pit = {0};
	struct kvm_irq_routing none = {0};
	int fd = eventfd(0, EFD_NONBLOCK);
	struct subject s;

	subject_open(&s, WITH_VCPU);
	chip(s.vm, 0);
	line(s.vm, "no irqchip", 1, 1);
	msi(s.vm, "no irqchip", 0xfee00000, 0, 0);
	answer(ioctl(s.vm, KVM_GET_PIT2, &pit), "no irqchip/pit");
	answer(ioctl(s.vm, KVM_SET_GSI_ROUTING, &none), "no irqchip/routes");
	answer(irqfd(s.vm, fd, 1, 0, 0), "no irqchip/irqfd");
	answer(ioeventfd(s.vm, 0x1000, 4, fd, 0, 0), "no irqchip/ioeventfd");
	close(fd);
	subject_close(&s);
}

void interrupts(void)
{
	struct kvm_reinject_control reinject = {.pit_reinject = 0};
	struct kvm_pit_state2 pit = {0};
	struct kvm_pit_config config = {0};
	struct subject s;

	without_irqchip();
	subject_open(&s, WITH_IRQCHIP | WITH_VCPU);
	answer(ioctl(s.vm, KVM_CREATE_IRQCHIP, 0ul), "irqchip/again");
	answer(ioctl(s.vm, KVM_GET_PIT2, &pit), "pit/before it");
	answer(ioctl(s.vm, KVM_REINJECT_CONTROL, &reinject), "pit/reinject before it");
	answer(ioctl(s.vm, KVM_CREATE_PIT2, &config), "pit/create");
	answer(ioctl(s.vm, KVM_CREATE_PIT2, &config), "pit/again");
	answer(ioctl(s.vm, KVM_CREATE_PIT, 0ul), "pit/again as the first version");
	answer(ioctl(s.vm, KVM_GET_PIT2, &pit), "pit/get");
	answer(ioctl(s.vm, KVM_SET_PIT2, &pit), "pit/set");
	answer(ioctl(s.vm, KVM_REINJECT_CONTROL, &reinject), "pit/reinject");
	for (uint32_t id = 0; id < 4; id++)
		chip(s.vm, id);
	line(s.vm, "up", 3, 1);
	line(s.vm, "down", 3, 0);
	line(s.vm, "beyond the pins", 24, 1);
	line(s.vm, "-1", -1, 1);
	irqfds(s.vm);
	ioeventfds(s.vm);
	zone(s.vm, "memory", 0x100000, 0x1000, 0);
	zone(s.vm, "port", 0x200, 16, 1);
	zone(s.vm, "pio 2", 0x200, 16, 2);
	zone(s.vm, "empty", 0x100000, 0, 0);
	msi(s.vm, "flags", 0xfee00000, 0, 1u << 1);
	msi(s.vm, "device id", 0xfee00000, 0, KVM_MSI_VALID_DEVID);
	routes(s.vm);
	subject_close(&s);
}
