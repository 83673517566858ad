/*
 * The in-kernel irqchip, lines, routing, MSI, irqfd, ioeventfd and coalesced zones. The answers of
 * real KVM (Linux 6.1 to 6.18) are the measure.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <xen/hvm/params.h>

#include "libkvmxen/convert/image.h"
#include "libkvmxen/interrupts/interrupts_private.h"
#include "tests/unit/unit_rig.h"

void register_interrupts_suite(void);

static struct rig rig;
static struct vm *const vm = &rig.vm;

/* --- shorthands --- */

static void new_live(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	rig_start(&rig);
}

static long line(uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level args = {.irq = gsi, .level = level};

	return interrupts_irq_line(vm, &args);
}

static int line_status(uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level args = {.irq = gsi, .level = level};

	CU_ASSERT_EQUAL(interrupts_irq_line_status(vm, &args), 0);
	return args.status;
}

static struct kvm_irqchip get_chip(uint32_t id)
{
	struct kvm_irqchip chip;

	memset(&chip, 0xee, sizeof chip);
	chip.chip_id = id;
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), 0);
	return chip;
}

static void set_chip(const struct kvm_irqchip *chip)
{
	CU_ASSERT_EQUAL(interrupts_set_irqchip(vm, chip), 0);
}

/* Programs a pin of the IOAPIC. */
static void set_pin(unsigned pin, uint64_t bits)
{
	struct kvm_irqchip chip = get_chip(KVM_IRQCHIP_IOAPIC);

	chip.chip.ioapic.redirtbl[pin].bits = bits;
	set_chip(&chip);
}

static uint32_t lapic_word(unsigned vcpu, unsigned offset)
{
	uint32_t value;

	memcpy(&value, rig.vcpus[vcpu].state.lapic.regs + offset, sizeof value);
	return value;
}

static void lapic_set(unsigned vcpu, unsigned offset, uint32_t value)
{
	memcpy(rig.vcpus[vcpu].state.lapic.regs + offset, &value, sizeof value);
}

static void lapic_enable(unsigned vcpu)
{
	lapic_set(vcpu, 0xf0, 0x1ff);
}

static void new_live_on(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(0);
	lapic_enable(1);
	rig_start(&rig);
}

static bool irr(unsigned vcpu, unsigned vector)
{
	return lapic_word(vcpu, 0x200 + vector / 32 * 16) & (1u << vector % 32);
}

static long route(uint32_t nr, const struct kvm_irq_routing_entry *entries)
{
	return interrupts_set_gsi_routing(vm, nr, 0, entries);
}

static struct kvm_irq_routing_entry chip_route(uint32_t gsi, uint32_t chip, uint32_t pin)
{
	struct kvm_irq_routing_entry entry = {.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP};

	entry.u.irqchip.irqchip = chip;
	entry.u.irqchip.pin = pin;
	return entry;
}

static struct kvm_irq_routing_entry msi_route(uint32_t gsi, uint32_t address, uint32_t data)
{
	struct kvm_irq_routing_entry entry = {.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI};

	entry.u.msi.address_lo = address;
	entry.u.msi.data = data;
	return entry;
}

static long irqfd(int fd, uint32_t gsi, uint32_t flags, int resample)
{
	struct kvm_irqfd args = {.fd = fd, .gsi = gsi, .flags = flags, .resamplefd = resample};

	return interrupts_irqfd(vm, &args);
}

static long ioeventfd(uint64_t address, uint32_t length, int fd, uint32_t flags, uint64_t data)
{
	struct kvm_ioeventfd args = {
		.addr = address, .len = length, .fd = fd, .flags = flags, .datamatch = data};

	return interrupts_ioeventfd(vm, &args);
}

/* A write of a vcpu's, and all that comes of it. */
static bool write_of(struct vcpu *vcpu, uint8_t type, uint64_t address, unsigned size,
		     uint64_t data)
{
	bool matched = interrupts_match(vcpu, type, address, size, data, true);

	interrupts_signal(vcpu);
	return matched;
}

static bool pio(uint16_t port, unsigned size, uint64_t data)
{
	return write_of(&rig.vcpus[0], IOREQ_TYPE_PIO, port, size, data);
}

static bool mmio(uint64_t address, unsigned size, uint64_t data)
{
	return write_of(&rig.vcpus[0], IOREQ_TYPE_COPY, address, size, data);
}

static void fire(int fd)
{
	uint64_t one = 1;

	CU_ASSERT_EQUAL(write(fd, &one, sizeof one), sizeof one);
}

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof count) != sizeof count)
		return 0;
	return count;
}

static int event(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* --- irqchip before the domain --- */

static void everything_is_refused_without_an_irqchip(void)
{
	struct kvm_irqchip chip = {.chip_id = 0};
	struct kvm_pit_state pit = {0};
	struct kvm_pit_state2 pit2 = {0};
	struct kvm_pit_config config = {0};
	struct kvm_reinject_control reinject = {.pit_reinject = 1};
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x20};
	struct kvm_irq_level level = {.irq = 1, .level = 1};

	rig_new(&rig);
	CU_ASSERT_EQUAL(interrupts_irq_line(vm, &level), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_irq_line_status(vm, &level), -ENXIO);
	for (chip.chip_id = 0; chip.chip_id < 4; chip.chip_id++) {
		CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), -ENXIO);
		CU_ASSERT_EQUAL(interrupts_set_irqchip(vm, &chip), -ENXIO);
	}
	CU_ASSERT_EQUAL(interrupts_get_pit(vm, &pit), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_set_pit(vm, &pit), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit2), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_set_pit2(vm, &pit2), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_reinject_control(vm, &reinject), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_create_pit(vm), -ENOENT);
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), -ENOENT);
	CU_ASSERT_EQUAL(interrupts_signal_msi(vm, &msi), -EINVAL);
	CU_ASSERT_EQUAL(interrupts_set_gsi_routing(vm, 0, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(event(), 5, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(event(), 5, KVM_IRQFD_FLAG_RESAMPLE, event()), -EINVAL);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(interrupts_create_irqchip(vm), -EINVAL);
	rig_free(&rig);
}

static void an_irqchip_is_created_once_and_first(void)
{
	rig_new(&rig);
	CU_ASSERT_EQUAL(interrupts_create_irqchip(vm), 0);
	CU_ASSERT_EQUAL(interrupts_create_irqchip(vm), -EEXIST);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(interrupts_create_irqchip(vm), -EEXIST);
	rig_free(&rig);
}

static void chips_reset_as_kvms_do(void)
{
	struct kvm_irqchip chip;
	unsigned pin;

	rig_new_irqchip(&rig);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	CU_ASSERT_EQUAL(chip.chip.pic.irq_base, 0);
	CU_ASSERT_EQUAL(chip.chip.pic.imr, 0);
	CU_ASSERT_EQUAL(chip.chip.pic.elcr_mask, 0xf8);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_SLAVE).chip.pic.elcr_mask, 0xde);
	chip = get_chip(KVM_IRQCHIP_IOAPIC);
	CU_ASSERT_EQUAL(chip.chip.ioapic.base_address, 0xfec00000);
	CU_ASSERT(chip.chip.ioapic.id == 0 && chip.chip.ioapic.irr == 0);
	for (pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		CU_ASSERT_EQUAL(chip.chip.ioapic.redirtbl[pin].bits, 0x10000);
	chip.chip_id = 3;
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), -EINVAL);
	CU_ASSERT_EQUAL(interrupts_set_irqchip(vm, &chip), -EINVAL);
	chip.chip_id = -1;
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), -EINVAL);
	rig_free(&rig);
}

static void what_was_set_is_read_back(void)
{
	struct kvm_irqchip chip;

	rig_new_irqchip(&rig);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	chip.chip.pic.irq_base = 0x20;
	chip.chip.pic.imr = 0xfb;
	chip.chip.pic.init4 = 1;
	set_chip(&chip);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	CU_ASSERT(chip.chip.pic.irq_base == 0x20 && chip.chip.pic.imr == 0xfb);
	CU_ASSERT(atomic_load(&vm->work) & VM_WORK_INTERRUPTS);
	chip = get_chip(KVM_IRQCHIP_IOAPIC);
	chip.chip.ioapic.id = 5;
	chip.chip.ioapic.redirtbl[4].bits = 0x0100000000000031ull;
	set_chip(&chip);
	chip = get_chip(KVM_IRQCHIP_IOAPIC);
	CU_ASSERT(chip.chip.ioapic.id == 5);
	CU_ASSERT(chip.chip.ioapic.redirtbl[4].bits == 0x0100000000000031ull);
	rig_free(&rig);
}

static void a_pic_remembers_edges(void)
{
	struct kvm_irqchip chip;

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(line(1, 1), 0);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	CU_ASSERT(chip.chip.pic.irr == 0x2 && chip.chip.pic.last_irr == 0x2);
	CU_ASSERT_EQUAL(line(1, 0), 0);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	CU_ASSERT(chip.chip.pic.irr == 0x2 && chip.chip.pic.last_irr == 0);
	/* The slave asks through the master's pin 2. */
	line(12, 1);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_SLAVE).chip.pic.irr, 0x10);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_MASTER).chip.pic.irr, 0x6);
	rig_free(&rig);
}

static void a_level_triggered_pic_pin_follows_its_line(void)
{
	struct kvm_irqchip chip;

	rig_new_irqchip(&rig);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	chip.chip.pic.elcr = 0x20;
	set_chip(&chip);
	line(5, 1);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_MASTER).chip.pic.irr, 0x20);
	line(5, 0);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_MASTER).chip.pic.irr, 0);
	rig_free(&rig);
}

/* IRQ_LINE takes any number and any level. */
static void odd_lines_are_no_errors(void)
{
	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(line(23, 0), 0);
	CU_ASSERT_EQUAL(line(24, 0), 0);
	CU_ASSERT_EQUAL(line(200, 1), 0);
	CU_ASSERT_EQUAL(line(4096, 1), 0);
	CU_ASSERT_EQUAL(line(-1, 1), 0);
	CU_ASSERT_EQUAL(line(3, 2), 0);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_MASTER).chip.pic.last_irr, 8);
	CU_ASSERT_EQUAL(line(3, -1), 0);
	rig_free(&rig);
}

static void the_status_tells_what_became_of_it(void)
{
	struct kvm_irqchip chip;

	rig_new_irqchip(&rig);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	chip.chip.pic.imr = 0xfb;
	set_chip(&chip);
	CU_ASSERT_EQUAL(line_status(5, 1), -1); /* masked in both chips */
	CU_ASSERT_EQUAL(line_status(5, 0), 1);
	CU_ASSERT_EQUAL(line_status(100, 1), -1); /* no route */
	CU_ASSERT_EQUAL(line_status(10, 1), 1);
	CU_ASSERT_EQUAL(line_status(10, 1), 1); /* no new edge: KVM's PIC says 1 all the same */
	CU_ASSERT_EQUAL(line_status(10, 0), 2);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	chip.chip.pic.imr = chip.chip.pic.irr = 0;
	chip.chip.pic.elcr = 0x20;
	set_chip(&chip);
	CU_ASSERT_EQUAL(line_status(5, 1), 1);
	CU_ASSERT_EQUAL(line_status(5, 1), 0); /* coalesced */
	rig_free(&rig);
}

static void an_ioapic_delivers_into_the_librarys_lapics(void)
{
	struct kvm_irqchip chip;

	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(0);
	lapic_enable(1);
	set_pin(20, 0x32 | (1ull << 56)); /* edge, to APIC id 1 */
	CU_ASSERT_EQUAL(line_status(20, 1), 1);
	CU_ASSERT(!irr(0, 0x32) && irr(1, 0x32));
	CU_ASSERT_EQUAL(line_status(20, 1), 0);
	line(20, 0);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.irr, 0);
	/* A level waits for its end of interrupt. */
	set_pin(21, 0x8043);
	CU_ASSERT_EQUAL(line_status(21, 1), 1);
	CU_ASSERT(irr(0, 0x43));
	CU_ASSERT_EQUAL(lapic_word(0, 0x180 + 0x20), 1u << 3);
	chip = get_chip(KVM_IRQCHIP_IOAPIC);
	CU_ASSERT(chip.chip.ioapic.redirtbl[21].fields.remote_irr == 1);
	CU_ASSERT(chip.chip.ioapic.irr == 1u << 21);
	/* A masked pin remembers. */
	CU_ASSERT_EQUAL(line_status(22, 1), -1);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.irr, 3u << 21);
	/* What is pending when the VMM sets the chip is delivered. */
	chip = get_chip(KVM_IRQCHIP_IOAPIC);
	chip.chip.ioapic.redirtbl[22].bits = 0x54;
	set_chip(&chip);
	CU_ASSERT(irr(0, 0x54));
	rig_free(&rig);
}

/* --- MSI --- */

static long signal_msi(uint32_t lo, uint32_t hi, uint32_t data, uint32_t flags)
{
	struct kvm_msi msi = {.address_lo = lo, .address_hi = hi, .data = data, .flags = flags};

	return interrupts_signal_msi(vm, &msi);
}

static void signal_msi_answers_as_kvm_does(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x31, 0), 0); /* LAPIC switched off */
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x31, 1), 0);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x31, 2), -EINVAL);
	CU_ASSERT_EQUAL(signal_msi(0xfee05000, 0, 0x31, 0), 0); /* nobody there */
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0x100, 0x31, 0), 0);
	CU_ASSERT_FALSE(irr(0, 0x31));
	lapic_enable(0);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x31, 0), 1);
	CU_ASSERT(irr(0, 0x31));
	lapic_enable(1);
	CU_ASSERT_EQUAL(signal_msi(0xfeeff000, 0, 0x35, 0), 2); /* to all */
	CU_ASSERT(irr(0, 0x35) && irr(1, 0x35));
	CU_ASSERT_EQUAL(signal_msi(0xfeeff000, 0, 0x136, 0), 1); /* lowest priority */
	CU_ASSERT_EQUAL(irr(0, 0x36) + irr(1, 0x36), 1);
	rig_free(&rig);
}

static void logical_destinations_match(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(0);
	lapic_enable(1);
	lapic_set(0, 0xe0, 0xffffffff); /* flat */
	lapic_set(0, 0xd0, 0x01000000);
	lapic_set(1, 0xe0, 0xffffffff);
	lapic_set(1, 0xd0, 0x02000000);
	CU_ASSERT_EQUAL(signal_msi(0xfee02004, 0, 0x41, 0), 1);
	CU_ASSERT(!irr(0, 0x41) && irr(1, 0x41));
	CU_ASSERT_EQUAL(signal_msi(0xfee03004, 0, 0x42, 0), 2);
	lapic_set(0, 0xe0, 0x0fffffff); /* cluster */
	lapic_set(0, 0xd0, 0x21000000);
	CU_ASSERT_EQUAL(signal_msi(0xfee21004, 0, 0x43, 0), 1);
	CU_ASSERT(irr(0, 0x43));
	CU_ASSERT_EQUAL(signal_msi(0xfee11004, 0, 0x44, 0), 0 + !!(0x11 & 2));
	rig_free(&rig);
}

static void msis_reach_xen(void)
{
	uint64_t address;
	uint32_t data;

	new_live_on();
	CU_ASSERT_EQUAL(signal_msi(0xfee01000, 0, 0x4055, 0), 1);
	CU_ASSERT_EQUAL_FATAL(fake_msis(vm->domid), 1);
	CU_ASSERT(fake_msi(vm->domid, 0, &address, &data));
	CU_ASSERT(address == 0xfee01000 && data == 0x4055);
	CU_ASSERT_EQUAL(signal_msi(0xfee07000, 0, 0x55, 0), 0); /* no such vcpu */
	rig_free(&rig);
}

/* Xen's LAPIC is asked until it is seen switched on, and the message goes to Xen in any case. */
static void a_lapic_that_is_off_takes_no_msi(void)
{
	unsigned asked;

	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(1);
	rig_start(&rig);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x55, 0), 0);
	CU_ASSERT_EQUAL(signal_msi(0xfee01000, 0, 0x55, 0), 1);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 2);
	asked = fake_calls("context_get_one");
	CU_ASSERT_EQUAL(signal_msi(0xfee01000, 0, 0x55, 0), 1);
	CU_ASSERT_EQUAL(fake_calls("context_get_one"), asked);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x55, 0), 0);
	CU_ASSERT_EQUAL(fake_calls("context_get_one"), asked + 1);
	rig_free(&rig);
}

/* Xen would complain about them, or allocate a pirq for vector 0. */
static void what_xen_cannot_take_is_dropped(void)
{
	unsigned before;

	new_live_on();
	before = fake_msis(vm->domid);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x400, 0), 1); /* NMI */
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x200, 0), 0); /* SMI */
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x500, 0), 1); /* INIT */
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x731, 0), 0); /* ExtINT */
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0, 0), 1);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), before);
	rig_free(&rig);
}

/* --- lines once the domain is there --- */

static void isa_lines_reach_xen(void)
{
	unsigned gsi;

	new_live();
	for (gsi = 1; gsi < 16; gsi++) {
		if (gsi == 2)
			continue;
		CU_ASSERT_EQUAL(line(gsi, 1), 0);
		CU_ASSERT(fake_isa_level(vm->domid, gsi));
		CU_ASSERT_EQUAL(line(gsi, 1), 0);
		CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, gsi), 1);
		CU_ASSERT_EQUAL(line(gsi, 0), 0);
		CU_ASSERT_FALSE(fake_isa_level(vm->domid, gsi));
		CU_ASSERT_EQUAL(line_status(gsi, 1), 2);
		CU_ASSERT_EQUAL(line_status(gsi, 0), 2);
		CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, gsi), 2);
	}
	CU_ASSERT_EQUAL(line_status(99, 1), -1);
	rig_free(&rig);
}

static void upper_ioapic_pins_are_pci_wires(void)
{
	unsigned gsi;

	new_live();
	for (gsi = 16; gsi < 24; gsi++) {
		unsigned dev = (gsi - 16) / 4, intx = (gsi - 16) % 4;

		CU_ASSERT_EQUAL(line_status(gsi, 1), 1);
		CU_ASSERT(fake_intx_level(vm->domid, dev, intx));
		CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, gsi), 1);
		CU_ASSERT_EQUAL(line(gsi, 0), 0);
		CU_ASSERT_FALSE(fake_intx_level(vm->domid, dev, intx));
	}
	/* None of them reached an ISA irq through a PCI link. */
	for (gsi = 0; gsi < 16; gsi++)
		CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, gsi), 0);
	rig_free(&rig);
}

/* QEMU's and every PC's: ISA irq 0 is pin 2 of the IOAPIC. */
static void the_timer_has_pin_2(void)
{
	struct kvm_irq_routing_entry timer[] = {chip_route(0, KVM_IRQCHIP_PIC_MASTER, 0),
						chip_route(0, KVM_IRQCHIP_IOAPIC, 2)};
	struct kvm_irq_routing_entry pin = chip_route(7, KVM_IRQCHIP_IOAPIC, 2);

	new_live();
	CU_ASSERT_EQUAL(route(2, timer), 0);
	line(0, 1);
	CU_ASSERT(fake_isa_level(vm->domid, 0));
	CU_ASSERT_FALSE(fake_isa_level(vm->domid, 2));
	line(0, 0);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 0), 1);
	CU_ASSERT_EQUAL(route(1, &pin), 0);
	line(7, 1);
	CU_ASSERT(fake_isa_level(vm->domid, 0));
	line(7, 0);
	CU_ASSERT_FALSE(fake_isa_level(vm->domid, 0));
	rig_free(&rig);
}

static void no_pulse_is_lost(void)
{
	unsigned i;

	new_live();
	for (i = 0; i < 1000; i++) {
		line(4, 1);
		line(4, 0);
	}
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 4), 1000);
	rig_free(&rig);
}

/* A line that was high before the domain is high in it; the edge is in the PIC already. */
static void lines_from_before_are_high(void)
{
	struct kvm_irqchip chip;

	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(0);
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	chip.chip.pic.irq_base = 0x20;
	set_chip(&chip);
	set_pin(18, 0x51);
	line(4, 1);
	line(18, 1);
	line(3, 1);
	line(3, 0);
	rig_start(&rig);
	CU_ASSERT(fake_isa_level(vm->domid, 4));
	CU_ASSERT(fake_intx_level(vm->domid, 0, 2));
	CU_ASSERT_FALSE(fake_isa_level(vm->domid, 3));
	chip = get_chip(KVM_IRQCHIP_PIC_MASTER);
	CU_ASSERT_EQUAL(chip.chip.pic.irr, 0x18);
	CU_ASSERT_EQUAL(chip.chip.pic.last_irr, 0x10);
	CU_ASSERT_EQUAL(chip.chip.pic.irq_base, 0x20);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.redirtbl[18].fields.vector, 0x51);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 4), 0);
	line(4, 0);
	CU_ASSERT_FALSE(fake_isa_level(vm->domid, 4));
	line(4, 1);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 4), 1);
	rig_free(&rig);
}

/* Between the first image and interrupts_materialise both an MSI and a pulse arrive. */
static void what_comes_while_the_domain_starts_is_not_lost(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(0);
	rig_domain(&rig);
	rig_load(&rig);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 0);
	CU_ASSERT_EQUAL(signal_msi(0xfee00000, 0, 0x61, 0), 1);
	line(6, 1);
	line(6, 0);
	line(7, 1);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 0);
	CU_ASSERT_EQUAL(interrupts_materialise(vm), 0);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 1);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 6), 1);
	CU_ASSERT_FALSE(fake_isa_level(vm->domid, 6));
	CU_ASSERT(fake_isa_level(vm->domid, 7));
	rig_free(&rig);
}

/* The contract's other order: set up before the first image. */
static void materialise_may_come_before_the_image(void)
{
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	set_pin(19, 0x66);
	line(5, 1);
	rig_domain(&rig);
	CU_ASSERT_EQUAL(interrupts_materialise(vm), 0);
	CU_ASSERT(fake_isa_level(vm->domid, 5));
	rig_load(&rig);
	CU_ASSERT(fake_isa_level(vm->domid, 5));
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_MASTER).chip.pic.irr, 0x20);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.redirtbl[19].bits, 0x66);
	rig_free(&rig);
}

static void a_domain_without_irqchip_has_no_records(void)
{
	rig_new(&rig);
	rig_add_vcpus(&rig);
	rig_start(&rig);
	CU_ASSERT_EQUAL(fake_calls("isa_irq_set"), 0);
	CU_ASSERT_EQUAL(fake_calls("pci_link_route"), 0);
	rig_free(&rig);
}

static void live_chips_are_xens_until_they_are_set(void)
{
	struct kvm_irqchip chip;
	unsigned calls;

	new_live();
	chip = get_chip(KVM_IRQCHIP_IOAPIC);
	CU_ASSERT_EQUAL(chip.chip.ioapic.redirtbl[3].bits, 0x10000);
	atomic_store(&vm->work, 0);
	calls = fake_calls("context_set");
	chip.chip.ioapic.redirtbl[3].bits = 0x77;
	set_chip(&chip);
	CU_ASSERT_EQUAL(fake_calls("context_set"), calls);
	CU_ASSERT_EQUAL(atomic_load(&vm->work), VM_WORK_INTERRUPTS);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.redirtbl[3].bits, 0x77);
	chip = get_chip(KVM_IRQCHIP_PIC_SLAVE);
	chip.chip.pic.imr = 0xaa;
	set_chip(&chip);
	line(9, 1); /* goes to Xen and to what is about to be loaded */
	line(9, 0);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_PIC_SLAVE).chip.pic.irr, 2);
	rig_load(&rig);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.redirtbl[3].bits, 0x77);
	chip = get_chip(KVM_IRQCHIP_PIC_SLAVE);
	CU_ASSERT(chip.chip.pic.imr == 0xaa && chip.chip.pic.irr == 2);
	rig_free(&rig);
}

static void xens_errors_are_passed_on(void)
{
	struct kvm_irqchip chip = {.chip_id = 0};
	struct kvm_pit_config config = {0};
	struct kvm_pit_state2 pit;

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), 0);
	rig_add_vcpus(&rig);
	rig_domain(&rig);
	rig_load(&rig);
	fake_fail("pci_link_route", EPERM);
	CU_ASSERT_EQUAL(interrupts_materialise(vm), -EPERM);
	CU_ASSERT_EQUAL(interrupts_materialise(vm), 0);
	fake_fail("context_get_one", EIO);
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), -EIO);
	chip.chip_id = 2;
	fake_fail("context_get_one", EIO);
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), -EIO);
	fake_fail("context_get_one", EIO);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), -EIO);
	fake_fail("isa_irq_set", EIO);
	CU_ASSERT_EQUAL(line(4, 1), 0);
	rig_free(&rig);
}

/* The domain could not be started after all; a later KVM_RUN makes another. */
static void a_second_domain_gets_everything_again(void)
{
	struct control *ctl;
	uint16_t first;

	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	lapic_enable(0);
	set_pin(17, 0x44);
	line(10, 1);
	rig_start(&rig);
	ctl = vm->xen.ctl;
	first = vm->domid;
	CU_ASSERT_EQUAL(ctl->ops->domain_destroy(ctl, first), 0);
	atomic_store(&vm->phase, VM_NEW);
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.redirtbl[17].bits, 0x44);
	line(11, 1);
	rig_start(&rig);
	CU_ASSERT_NOT_EQUAL(vm->domid, first);
	CU_ASSERT(fake_isa_level(vm->domid, 10));
	CU_ASSERT(fake_isa_level(vm->domid, 11));
	CU_ASSERT_EQUAL(get_chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.redirtbl[17].bits, 0x44);
	rig_free(&rig);
}

/* --- PIT --- */

static void a_pit_is_created_once(void)
{
	struct kvm_pit_config config = {0};
	struct kvm_pit_state pit;
	struct kvm_pit_state2 pit2;

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(interrupts_get_pit(vm, &pit), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit2), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), 0);
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), -EEXIST);
	CU_ASSERT_EQUAL(interrupts_create_pit(vm), -EEXIST);
	CU_ASSERT_EQUAL(interrupts_get_pit(vm, &pit), 0);
	CU_ASSERT(pit.channels[0].count == 0x10000 && pit.channels[0].mode == 0xff);
	CU_ASSERT(pit.channels[0].gate == 1 && pit.channels[2].gate == 0);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit2), 0);
	CU_ASSERT_EQUAL(pit2.flags, 0);
	rig_free(&rig);
	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	config.flags = ~0u; /* KVM looks at one bit and refuses none */
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), 0);
	rig_free(&rig);
}

static void a_pit_is_set_and_loaded(void)
{
	struct kvm_pit_config config = {.flags = KVM_PIT_SPEAKER_DUMMY};
	struct kvm_pit_state2 pit;
	struct kvm_pit_state old;

	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), 0);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), 0);
	pit.channels[0].mode = 2;
	pit.channels[0].count = 0x1234;
	pit.channels[1].count = 0;
	pit.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	CU_ASSERT_EQUAL(interrupts_set_pit2(vm, &pit), 0);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), 0);
	CU_ASSERT(pit.channels[0].count == 0x1234 && pit.channels[1].count == 0x10000);
	CU_ASSERT_EQUAL(pit.flags, KVM_PIT_FLAGS_HPET_LEGACY);
	pit.flags = 0xff;
	CU_ASSERT_EQUAL(interrupts_set_pit2(vm, &pit), 0);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), 0);
	CU_ASSERT_EQUAL(pit.flags, 0xff);
	rig_start(&rig);
	CU_ASSERT_EQUAL(interrupts_get_pit(vm, &old), 0);
	CU_ASSERT(old.channels[0].count == 0x1234 && old.channels[0].mode == 2);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), 0);
	CU_ASSERT_EQUAL(pit.flags, 0xff);
	old.channels[0].count = 0x777;
	CU_ASSERT_EQUAL(interrupts_set_pit(vm, &old), 0);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), 0);
	CU_ASSERT_EQUAL(pit.channels[0].count, 0x777);
	rig_load(&rig);
	CU_ASSERT_EQUAL(interrupts_get_pit2(vm, &pit), 0);
	CU_ASSERT_EQUAL(pit.channels[0].count, 0x777);
	rig_free(&rig);
}

static uint64_t timer_mode(void)
{
	uint64_t mode = ~0ull;

	CU_ASSERT_EQUAL(vm->xen.dev->ops->hvm_param_get(vm->xen.dev, vm->domid,
							HVM_PARAM_TIMER_MODE, &mode),
			0);
	return mode;
}

static void reinjection_is_xens_timer_mode(void)
{
	struct kvm_reinject_control control = {.pit_reinject = 0};
	struct kvm_pit_config config = {0};

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(interrupts_reinject_control(vm, &control), -ENXIO);
	CU_ASSERT_EQUAL(interrupts_create_pit2(vm, &config), 0);
	CU_ASSERT_EQUAL(interrupts_timer_mode(vm), HVMPTM_no_delay_for_missed_ticks);
	CU_ASSERT_EQUAL(interrupts_reinject_control(vm, &control), 0);
	CU_ASSERT_EQUAL(interrupts_timer_mode(vm), HVMPTM_no_missed_ticks_pending);
	rig_add_vcpus(&rig);
	rig_start(&rig);
	CU_ASSERT_EQUAL(timer_mode(), HVMPTM_no_missed_ticks_pending);
	control.pit_reinject = 1;
	CU_ASSERT_EQUAL(interrupts_reinject_control(vm, &control), 0);
	CU_ASSERT_EQUAL(timer_mode(), HVMPTM_no_delay_for_missed_ticks);
	rig_free(&rig);
}

/* --- routing --- */

static void routes_that_x86_lacks_are_refused(void)
{
	struct kvm_irq_routing_entry entry, two[2], *many;
	unsigned i;

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(route(0, NULL), 0);
	CU_ASSERT_EQUAL(line_status(1, 1), -1);
	CU_ASSERT_EQUAL(interrupts_set_gsi_routing(vm, 0, 1, NULL), -EINVAL);
	entry = chip_route(0, 0, 0);
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	entry = chip_route(8, 1, 0);
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	entry = chip_route(23, 2, 23);
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	entry = chip_route(0, 3, 0);
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	entry = chip_route(0, 0, 8);
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	entry = chip_route(0, 1, 8);
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	entry = chip_route(0, 2, 24);
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	for (i = 0; i < 8; i++) {
		entry = (struct kvm_irq_routing_entry){.gsi = 25, .type = i};
		CU_ASSERT_EQUAL(route(1, &entry),
				i == KVM_IRQ_ROUTING_IRQCHIP || i == KVM_IRQ_ROUTING_MSI ? 0
											 : -EINVAL);
	}
	entry = chip_route(0, 0, 0);
	entry.flags = 2;
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	entry = msi_route(30, 0xfee00000, 0);
	entry.flags = 1;
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	entry.flags = 2;
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	entry = msi_route(4095, 0xfee00000, 0);
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	entry.gsi = 4096;
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	entry.gsi = -1;
	CU_ASSERT_EQUAL(route(1, &entry), -EINVAL);
	two[0] = chip_route(1, 0, 1);
	two[1] = chip_route(1, 2, 1);
	CU_ASSERT_EQUAL(route(2, two), 0);
	two[1] = chip_route(1, 0, 1);
	CU_ASSERT_EQUAL(route(2, two), -EINVAL);
	two[1] = msi_route(1, 0xfee00000, 0);
	CU_ASSERT_EQUAL(route(2, two), -EINVAL);
	two[0] = two[1];
	CU_ASSERT_EQUAL(route(2, two), -EINVAL);
	many = calloc(4097, sizeof *many);
	for (i = 0; i < 4097; i++)
		many[i] = msi_route(i % 4096, 0xfee00000, 0);
	CU_ASSERT_EQUAL(route(1024, many), 0);
	CU_ASSERT_EQUAL(route(4096, many), 0);
	CU_ASSERT_EQUAL(route(4097, many), -EINVAL);
	CU_ASSERT_EQUAL(interrupts_set_gsi_routing(vm, ~0u, 0, many), -EINVAL);
	free(many);
	rig_free(&rig);
}

/* A table that is refused leaves the old one; one that is taken replaces all of it. */
static void a_table_is_taken_whole_or_not(void)
{
	struct kvm_irq_routing_entry good[] = {msi_route(40, 0xfee00000, 0x71),
					       chip_route(41, KVM_IRQCHIP_IOAPIC, 20)};
	struct kvm_irq_routing_entry bad[] = {msi_route(42, 0xfee00000, 0x72),
					      chip_route(43, 9, 0)};

	new_live_on();
	CU_ASSERT_EQUAL(route(2, good), 0);
	CU_ASSERT_EQUAL(route(2, bad), -EINVAL);
	line(40, 1);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 1);
	line(40, 0);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 1);
	CU_ASSERT_EQUAL(line_status(40, 1), 1);
	CU_ASSERT_EQUAL(line_status(40, 0), -1);
	line(41, 1);
	CU_ASSERT(fake_intx_level(vm->domid, 1, 0));
	CU_ASSERT_EQUAL(line_status(42, 1), -1);
	CU_ASSERT_EQUAL(line_status(4, 1), -1);
	rig_free(&rig);
}

static atomic_bool stop;

static void *raise_lines(void *data)
{
	while (!atomic_load(&stop)) {
		line(50, 1);
		line(4, 1);
		line(4, 0);
	}
	return NULL;
}

static void routes_change_under_running_lines(void)
{
	struct kvm_irq_routing_entry a[] = {msi_route(50, 0xfee00000, 0x41), chip_route(4, 0, 4)};
	struct kvm_irq_routing_entry b[] = {msi_route(50, 0xfee01000, 0x42), chip_route(4, 2, 4)};
	pthread_t threads[2];
	unsigned i, n, bad = 0;

	new_live();
	atomic_store(&stop, false);
	route(2, a);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, raise_lines, NULL);
	for (i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(i % 2 ? route(2, a) : route(2, b), 0);
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	n = fake_msis(vm->domid);
	for (i = 0; i < n; i++) {
		uint64_t address = 0;
		uint32_t data = 0;

		fake_msi(vm->domid, i, &address, &data);
		bad += !((address == 0xfee00000 && data == 0x41) ||
			 (address == 0xfee01000 && data == 0x42));
	}
	CU_ASSERT_EQUAL(bad, 0);
	rig_free(&rig);
}

/* --- irqfd --- */

static void irqfds_are_checked_as_kvm_does(void)
{
	int e = event(), e2 = event(), null = open("/dev/null", O_RDWR), pipes[2];

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(pipe(pipes), 0);
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), 0);
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), -EBUSY);
	CU_ASSERT_EQUAL(irqfd(e, 8, 0, 0), -EBUSY);
	CU_ASSERT_EQUAL(irqfd(e2, 4, 0, 0), 0);
	CU_ASSERT_EQUAL(irqfd(e2, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	CU_ASSERT_EQUAL(irqfd(e, 5, KVM_IRQFD_FLAG_DEASSIGN, 0), 0); /* not there: fine */
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), -EBUSY);
	CU_ASSERT_EQUAL(irqfd(e, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	CU_ASSERT_EQUAL(irqfd(e, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	CU_ASSERT_EQUAL(irqfd(999, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), -EBADF);
	CU_ASSERT_EQUAL(irqfd(null, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(999, 4, 0, 0), -EBADF);
	CU_ASSERT_EQUAL(irqfd(-1, 4, 0, 0), -EBADF);
	CU_ASSERT_EQUAL(irqfd(null, 4, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(pipes[0], 4, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(e, 4, 4, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(e, 4, 1u << 31, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(e, 4, KVM_IRQFD_FLAG_DEASSIGN | 4, 0), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(e, -1, 0, 0), 0); /* any GSI */
	CU_ASSERT_EQUAL(irqfd(e, -1, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	CU_ASSERT_EQUAL(irqfd(e, 6, KVM_IRQFD_FLAG_RESAMPLE, 999), -EBADF);
	CU_ASSERT_EQUAL(irqfd(e, 6, KVM_IRQFD_FLAG_RESAMPLE, null), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	close(null);
	close(e);
	close(e2);
	rig_free(&rig);
}

static void an_irqfd_pulses_its_line(void)
{
	int e = event(), blocking = eventfd(0, 0);
	unsigned i;

	new_live();
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), 0);
	CU_ASSERT_EQUAL(irqfd(blocking, 20, 0, 0), 0);
	for (i = 1; i <= 50; i++) {
		fire(e);
		CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, 4) == i));
		fire(blocking);
		CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, 20) == i));
	}
	CU_ASSERT(RIG_WAIT(!fake_isa_level(vm->domid, 4)));
	CU_ASSERT_EQUAL(count_of(e), 0);
	CU_ASSERT_EQUAL(irqfd(e, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	fire(e);
	usleep(20000);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 4), 50);
	CU_ASSERT_EQUAL(count_of(e), 1);
	close(e);
	close(blocking);
	rig_free(&rig);
}

static void an_irqfd_sends_its_msi(void)
{
	struct kvm_irq_routing_entry entry = msi_route(30, 0xfee00000, 0x33);
	int e = event();

	new_live();
	CU_ASSERT_EQUAL(irqfd(e, 30, 0, 0), 0);
	fire(e);
	CU_ASSERT(RIG_WAIT(count_of(e) == 0));
	usleep(10000);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 0); /* not routed yet: nothing */
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	fire(e);
	CU_ASSERT(RIG_WAIT(fake_msis(vm->domid) == 1));
	usleep(10000);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 1);
	close(e);
	rig_free(&rig);
}

static void a_signalled_eventfd_fires_at_once(void)
{
	int e = eventfd(1, EFD_NONBLOCK);

	new_live();
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), 0);
	CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, 4) == 1));
	close(e);
	rig_free(&rig);
}

/* The same before there is a domain: the edge waits in the PIC. */
static void a_signalled_irqfd_is_in_the_state_that_is_read(void)
{
	struct kvm_irq_routing_entry entry = msi_route(30, 0xfee00000, 0x33);
	unsigned i, given;
	int e = event(), e2 = event();

	new_live();
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	CU_ASSERT_EQUAL(irqfd(e, 30, 0, 0), 0);
	for (i = 1; i <= 50; i++) {
		given = interrupts_given(vm);
		fire(e);
		interrupts_settle(vm);
		CU_ASSERT_EQUAL(fake_msis(vm->domid), i);
		CU_ASSERT_NOT_EQUAL(interrupts_given(vm), given);
	}
	entry = chip_route(31, KVM_IRQCHIP_IOAPIC, 20);
	CU_ASSERT_EQUAL(route(1, &entry), 0);
	CU_ASSERT_EQUAL(irqfd(e2, 31, 0, 0), 0);
	fire(e2);
	get_chip(KVM_IRQCHIP_IOAPIC);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 20), 1);
	fire(e2);
	CU_ASSERT_EQUAL(irqfd(e2, 31, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 20), 2);
	close(e);
	close(e2);
	rig_free(&rig);
}

/* What comes while an image of the chips is on its way to Xen would be overwritten by it. */
static void interrupts_during_a_load_are_given_again(void)
{
	struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x33};
	struct image image;

	new_live();
	image_begin(&image);
	CU_ASSERT_EQUAL(interrupts_records(vm, &image), 0);
	interrupts_signal_msi(vm, &msi);
	line(20, 1);
	line(21, 1);
	line(21, 0);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 1);
	image_free(&image);
	interrupts_loaded(vm);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 2);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 20), 2);
	CU_ASSERT(fake_intx_level(vm->domid, 1, 0));
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 21), 2);
	CU_ASSERT_FALSE(fake_intx_level(vm->domid, 1, 1));
	/* Once, and only what came during the load. */
	line(20, 0);
	line(20, 1);
	interrupts_signal_msi(vm, &msi);
	interrupts_loaded(vm);
	CU_ASSERT_EQUAL(fake_msis(vm->domid), 3);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 20), 3);
	rig_free(&rig);
}

static void an_irqfd_works_before_the_domain(void)
{
	int e = event();

	rig_new_irqchip(&rig);
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), 0);
	fire(e);
	CU_ASSERT(RIG_WAIT(get_chip(KVM_IRQCHIP_PIC_MASTER).chip.pic.irr == 0x10));
	close(e);
	rig_free(&rig);
}

/* KVM keeps the file, not its number. */
static void an_irqfd_outlives_the_vmms_descriptor(void)
{
	int e = event(), copy = dup(e), other;

	new_live();
	CU_ASSERT_EQUAL(irqfd(e, 4, 0, 0), 0);
	close(e);
	other = event();
	CU_ASSERT_EQUAL(other, e);
	CU_ASSERT_EQUAL(irqfd(other, 5, 0, 0), 0); /* a new file under the old number */
	fire(copy);
	CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, 4) == 1));
	fire(other);
	CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, 5) == 1));
	CU_ASSERT_EQUAL(irqfd(copy, 9, 0, 0), -EBUSY);
	CU_ASSERT_EQUAL(irqfd(copy, 4, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	fire(copy);
	usleep(10000);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, 4), 1);
	close(copy);
	close(other);
	rig_free(&rig);
}

static void irqfds_come_and_go_while_they_fire(void)
{
	unsigned i, round;
	int e[16];

	new_live();
	for (i = 0; i < 16; i++)
		e[i] = event();
	for (round = 0; round < 30; round++) {
		for (i = 0; i < 16; i++)
			CU_ASSERT_EQUAL(irqfd(e[i], 3 + i % 8, 0, 0), 0);
		for (i = 0; i < 16; i++)
			fire(e[i]);
		for (i = 0; i < 16; i++)
			CU_ASSERT_EQUAL(irqfd(e[i], 3 + i % 8, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	}
	for (i = 0; i < 16; i++)
		close(e[i]);
	rig_free(&rig);
}

/* --- ioeventfd --- */

#define DM  KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO KVM_IOEVENTFD_FLAG_PIO
#define DE  KVM_IOEVENTFD_FLAG_DEASSIGN

static void ioeventfds_are_checked_as_kvm_does(void)
{
	int e = event(), e2 = event(), null = open("/dev/null", O_RDWR);
	unsigned length;

	rig_new(&rig);
	for (length = 0; length <= 9; length++) {
		bool good = length == 0 || length == 1 || length == 2 || length == 4 || length == 8;

		CU_ASSERT_EQUAL(ioeventfd(0x10000 + length * 0x100, length, e, 0, 0),
				good ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(ioeventfd(0x100 + length * 0x10, length, e, PIO, 0),
				good ? 0 : -EINVAL);
	}
	CU_ASSERT_EQUAL(ioeventfd(0x20000, 0, e, DM, 1), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x20000, 16, e, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x20000, -1, e, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DM, 1), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e2, DM, 2), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DM, 1), -EEXIST);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e2, DM, 1), -EEXIST);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e2, 0, 0), -EEXIST);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 4, e, DM, 1), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x31000, 2, e, DM, 0x10001), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x10100, 1, e2, 0, 0), -EEXIST);
	CU_ASSERT_EQUAL(ioeventfd(0x10100, 1, e2, DM, 5), -EEXIST);
	CU_ASSERT_EQUAL(ioeventfd(0x10100, 0, e2, 0, 0), -EEXIST);
	CU_ASSERT_EQUAL(ioeventfd(0x10000, 4, e2, 0, 0), -EEXIST); /* there is one of length 0 */
	CU_ASSERT_EQUAL(ioeventfd(0x110, 1, e, 0, 0), 0);          /* another bus */
	CU_ASSERT_EQUAL(ioeventfd(-1ull, 2, e, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(-8ull, 4, e, 0, 0), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x12345, 2, e, PIO, 0), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x40000, 2, e, 8, 0), 0); /* virtio-ccw: KVM takes it */
	CU_ASSERT_EQUAL(ioeventfd(0x42000, 2, e, 16, 0), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x44000, 2, e, 32, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x44000, 2, e, 1u << 31, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x50000, 2, 999, 0, 0), -EBADF);
	CU_ASSERT_EQUAL(ioeventfd(0x50000, 2, -1, 0, 0), -EBADF);
	CU_ASSERT_EQUAL(ioeventfd(0x50000, 2, null, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x50000, 3, 999, 0, 0), -EINVAL);

	CU_ASSERT_EQUAL(ioeventfd(0x60000, 2, e, DE, 0), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e2, DE | DM, 1), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 4, e2, DE | DM, 2), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DE | DM, 9), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DE, 1), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DE | DM, 1), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DE | DM, 1), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, 999, DE, 0), -EBADF);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, null, DE, 0), -EINVAL);
	CU_ASSERT_EQUAL(ioeventfd(0x10000, 0, e, DE, 0), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x120, 2, e, DE, 0), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 3, e, DE, 0), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x30000, 2, e, DE | 1u << 20, 0), -ENOENT);
	close(e);
	close(e2);
	close(null);
	rig_free(&rig);
}

static void only_the_right_write_matches(void)
{
	int any = event(), two = event(), five = event(), port = event();

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_FALSE(mmio(0x1000, 4, 0));
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 0, any, 0, 0), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x2000, 2, two, 0, 0), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x3000, 4, five, DM, 5), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x200, 1, port, PIO | DM, 1), 0);

	CU_ASSERT(mmio(0x1000, 1, 0) && mmio(0x1000, 8, ~0ull));
	CU_ASSERT_EQUAL(count_of(any), 2);
	CU_ASSERT_FALSE(mmio(0x1001, 1, 0));
	CU_ASSERT_FALSE(interrupts_match(&rig.vcpus[0], IOREQ_TYPE_COPY, 0x1000, 4, 0, false));
	CU_ASSERT(mmio(0x2000, 2, 77));
	CU_ASSERT_FALSE(mmio(0x2000, 4, 77));
	CU_ASSERT_FALSE(mmio(0x2000, 1, 77));
	CU_ASSERT_EQUAL(count_of(two), 1);
	CU_ASSERT(mmio(0x3000, 4, 5));
	CU_ASSERT_FALSE(mmio(0x3000, 4, 6));
	CU_ASSERT_FALSE(mmio(0x3000, 8, 5));
	CU_ASSERT(mmio(0x3000, 4, 0xdead00000005ull)); /* what is above the access is no data */
	CU_ASSERT_EQUAL(count_of(five), 2);
	CU_ASSERT(pio(0x200, 1, 1));
	CU_ASSERT_FALSE(pio(0x200, 1, 2));
	CU_ASSERT_FALSE(pio(0x200, 2, 1));
	CU_ASSERT_FALSE(mmio(0x200, 1, 1));
	CU_ASSERT_EQUAL(count_of(port), 1);
	CU_ASSERT_EQUAL(atomic_load(&vm->stats->ioeventfds), 6);

	CU_ASSERT_EQUAL(ioeventfd(0x200, 1, port, PIO | DM | DE, 1), 0);
	CU_ASSERT_FALSE(pio(0x200, 1, 1));
	close(any);
	close(two);
	close(five);
	close(port);
	rig_free(&rig);
}

/* One that can never match: the data has more bits than the access. */
static void datamatch_is_compared_in_full(void)
{
	int e = event();

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 2, e, DM, 0x10001), 0);
	CU_ASSERT_FALSE(mmio(0x1000, 2, 1));
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 8, e, DM, ~0ull), 0);
	CU_ASSERT(mmio(0x1000, 8, ~0ull));
	close(e);
	rig_free(&rig);
}

/* KVM has no limit but that of descriptors, and registrations of one eventfd need but one. */
static void there_may_be_thousands(void)
{
	struct rlimit old, low;
	int e = event();
	unsigned i, missed = 0;

	rig_new(&rig);
	rig_add_vcpus(&rig);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = 100;
	setrlimit(RLIMIT_NOFILE, &low);
	for (i = 0; i < 3000; i++)
		CU_ASSERT_EQUAL(ioeventfd(0x100000 + i % 1000 * 8, 4, e, DM, i / 1000), 0);
	setrlimit(RLIMIT_NOFILE, &old);
	for (i = 0; i < 3000; i++)
		missed += !mmio(0x100000 + i % 1000 * 8, 4, i / 1000);
	CU_ASSERT_EQUAL(missed, 0);
	CU_ASSERT_EQUAL(count_of(e), 3000);
	CU_ASSERT_FALSE(mmio(0x100004, 4, 0));
	CU_ASSERT_FALSE(mmio(0x100000, 4, 3));
	for (i = 0; i < 3000; i += 2)
		CU_ASSERT_EQUAL(ioeventfd(0x100000 + i % 1000 * 8, 4, e, DM | DE, i / 1000), 0);
	for (i = 0; i < 3000; i++)
		missed += mmio(0x100000 + i % 1000 * 8, 4, i / 1000) != i % 2;
	CU_ASSERT_EQUAL(missed, 0);
	close(e);
	rig_free(&rig);
}

static void an_ioeventfd_outlives_the_vmms_descriptor(void)
{
	int e = event(), copy = dup(e), other;

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 4, e, 0, 0), 0);
	close(e);
	other = event();
	CU_ASSERT_EQUAL(other, e);
	CU_ASSERT(mmio(0x1000, 4, 0));
	CU_ASSERT_EQUAL(count_of(copy), 1);
	CU_ASSERT_EQUAL(count_of(other), 0);
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 4, other, DE, 0), -ENOENT);
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 4, copy, DE, 0), 0);
	close(copy);
	close(other);
	rig_free(&rig);
}

/* --- a hit is signalled later --- */

static bool hit(unsigned vcpu, uint64_t address)
{
	return interrupts_match(&rig.vcpus[vcpu], IOREQ_TYPE_COPY, address, 4, 0, true);
}

static void a_hit_is_signalled_once(void)
{
	int e = event();

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 4, e, 0, 0), 0);
	CU_ASSERT(hit(0, 0x1000));
	CU_ASSERT_EQUAL(count_of(e), 0);
	interrupts_signal(&rig.vcpus[1]);
	CU_ASSERT_EQUAL(count_of(e), 0);
	interrupts_signal(&rig.vcpus[0]);
	interrupts_signal(&rig.vcpus[0]);
	CU_ASSERT_EQUAL(count_of(e), 1);
	/* Two elements of one instruction: none is lost, and none comes twice. */
	CU_ASSERT(hit(0, 0x1000) && hit(0, 0x1000));
	interrupts_signal(&rig.vcpus[0]);
	CU_ASSERT_EQUAL(count_of(e), 2);
	close(e);
	rig_free(&rig);
}

static atomic_bool returned;

static void *drop_it(void *data)
{
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 4, *(int *)data, DE, 0), 0);
	atomic_store(&returned, true);
	return NULL;
}

static void *end_of_run(void *data)
{
	interrupts_keep_order(data);
	atomic_store(&returned, true);
	return NULL;
}

/* Starts the thread, which must not get on before the first vcpu's hit is signalled. */
static void waits_for_the_signal(void *(*function)(void *), void *data, int e)
{
	pthread_t thread;

	atomic_store(&returned, false);
	CU_ASSERT(hit(0, 0x1000));
	pthread_create(&thread, NULL, function, data);
	usleep(20000);
	CU_ASSERT_FALSE(atomic_load(&returned));
	CU_ASSERT_EQUAL(count_of(e), 0);
	interrupts_signal(&rig.vcpus[0]);
	pthread_join(thread, NULL);
	CU_ASSERT(atomic_load(&returned));
	CU_ASSERT_EQUAL(count_of(e), 1);
}

static void what_may_not_come_before_a_signal_waits_for_it(void)
{
	int e = event();

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(ioeventfd(0x1000, 4, e, 0, 0), 0);
	waits_for_the_signal(end_of_run, &rig.vcpus[1], e);
	waits_for_the_signal(drop_it, &e, e);
	interrupts_keep_order(&rig.vcpus[1]); /* nothing any more: at once */
	close(e);
	rig_free(&rig);
}

static atomic_uint hits;

static void *write_doorbells(void *data)
{
	while (!atomic_load(&stop)) {
		if (write_of(data, IOREQ_TYPE_COPY, 0x5000, 4, 1))
			atomic_fetch_add(&hits, 1);
		write_of(data, IOREQ_TYPE_COPY, 0x6000, 4, 1);
	}
	return NULL;
}

/* While vcpus write, others come and go: nobody's eventfd is signalled but the right one, although
 * descriptor numbers are used again at once. */
static void ioeventfds_come_and_go_under_running_vcpus(void)
{
	int stay = event(), i;
	pthread_t threads[2];
	unsigned wrong = 0;

	rig_new(&rig);
	rig_add_vcpus(&rig);
	atomic_store(&stop, false);
	atomic_store(&hits, 0);
	CU_ASSERT_EQUAL(ioeventfd(0x5000, 4, stay, 0, 0), 0);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, write_doorbells, &rig.vcpus[i]);
	for (i = 0; i < 1000; i++) {
		int go = event(), innocent;

		CU_ASSERT_EQUAL(ioeventfd(0x6000, 4, go, 0, 0), 0);
		CU_ASSERT_EQUAL(ioeventfd(0x6000, 4, go, DE, 0), 0);
		innocent = event();
		wrong += count_of(innocent) != 0;
		close(innocent);
		close(go);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(count_of(stay), atomic_load(&hits));
	close(stay);
	rig_free(&rig);
}

static atomic_bool waited;

static void *wait_for_readers(void *data)
{
	readers_wait(data);
	atomic_store(&waited, true);
	return NULL;
}

/* What a reader may have seen is not taken from it; readers that come later delay nobody. */
static void a_writer_waits_for_the_readers_there_are(void)
{
	struct readers readers = {0};
	unsigned round;

	for (round = 0; round < 4; round++) {
		unsigned first = readers_enter(&readers), later = 0, i;
		pthread_t thread;

		atomic_store(&waited, false);
		pthread_create(&thread, NULL, wait_for_readers, &readers);
		usleep(10000);
		CU_ASSERT_FALSE(atomic_load(&waited));
		/* One always comes before the last goes. */
		for (i = 0; i < 10; i++) {
			unsigned next = readers_enter(&readers);

			readers_exit(&readers, i ? later : first);
			later = next;
			usleep(1000);
		}
		readers_exit(&readers, later);
		pthread_join(thread, NULL);
		CU_ASSERT(atomic_load(&waited));
		CU_ASSERT(!atomic_load(&readers.inside[0]) && !atomic_load(&readers.inside[1]));
	}
}

/* --- coalesced zones --- */

static long zone(bool add, uint64_t address, uint32_t size, uint32_t is_pio)
{
	struct kvm_coalesced_mmio_zone args = {.addr = address, .size = size, .pio = is_pio};

	return add ? interrupts_register_coalesced(vm, &args)
		   : interrupts_unregister_coalesced(vm, &args);
}

static volatile struct kvm_coalesced_mmio_ring *ring(void)
{
	return (void *)((char *)rig.vcpus[0].run + VCPU_COALESCED_PAGE * VCPU_PAGE);
}

#define RING_ENTRIES                                                                               \
	((VCPU_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

static void zones_are_checked_as_kvm_does(void)
{
	unsigned i;

	rig_new(&rig);
	CU_ASSERT_EQUAL(zone(false, 0x100000, 0x1000, 0), 0); /* not there: fine */
	CU_ASSERT_EQUAL(zone(true, 0x100000, 0x1000, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0x100000, 0x1000, 0), 0);
	CU_ASSERT_EQUAL(zone(false, 0x100000, 0x1000, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0xcf8, 4, 1), 0);
	CU_ASSERT_EQUAL(zone(true, 0xcf8, 4, 2), -EINVAL);
	CU_ASSERT_EQUAL(zone(false, 0xcf8, 4, 2), -EINVAL);
	CU_ASSERT_EQUAL(zone(true, 0x100000, 0, 0), 0);
	CU_ASSERT_EQUAL(zone(true, -1ull, 16, 0), 0);
	rig_free(&rig);
	rig_new(&rig);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(zone(true, 0x1000000 + i * 0x1000, 16, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0x2000000, 16, 0), -ENOSPC);
	CU_ASSERT_EQUAL(zone(true, 0x100, 4, 1), 0); /* another bus */
	rig_free(&rig);
}

static void writes_in_a_zone_are_kept_in_the_ring(void)
{
	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_FALSE(mmio(0xa0000, 4, 0));
	CU_ASSERT_EQUAL(zone(true, 0xa0000, 0x1000, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0x3c0, 2, 1), 0);
	CU_ASSERT(mmio(0xa0010, 4, 0x11223344));
	CU_ASSERT(interrupts_match(&rig.vcpus[1], IOREQ_TYPE_COPY, 0xa0ff8, 8, ~0ull, true));
	CU_ASSERT(pio(0x3c1, 1, 0x5a));
	CU_ASSERT_EQUAL(ring()->last, 3);
	CU_ASSERT(ring()->coalesced_mmio[0].phys_addr == 0xa0010);
	CU_ASSERT(ring()->coalesced_mmio[0].len == 4 && ring()->coalesced_mmio[0].pio == 0);
	CU_ASSERT(ring()->coalesced_mmio[0].data[0] == 0x44);
	CU_ASSERT(ring()->coalesced_mmio[0].data[3] == 0x11);
	CU_ASSERT(ring()->coalesced_mmio[1].len == 8);
	CU_ASSERT(ring()->coalesced_mmio[2].phys_addr == 0x3c1);
	CU_ASSERT(ring()->coalesced_mmio[2].pio == 1 && ring()->coalesced_mmio[2].data[0] == 0x5a);
	/* Not wholly inside, a read, another space: an exit. */
	CU_ASSERT_FALSE(mmio(0xa0ffc, 8, 0));
	CU_ASSERT_FALSE(mmio(0x9fffc, 8, 0));
	CU_ASSERT_FALSE(mmio(0xa1000, 1, 0));
	CU_ASSERT_FALSE(pio(0x3c1, 2, 0));
	CU_ASSERT_FALSE(mmio(0x3c0, 1, 0));
	CU_ASSERT_FALSE(interrupts_match(&rig.vcpus[0], IOREQ_TYPE_COPY, 0xa0000, 4, 0, false));
	CU_ASSERT_EQUAL(ring()->last, 3);
	CU_ASSERT_EQUAL(atomic_load(&vm->stats->coalesced), 3);
	/* Any part of a zone takes the whole zone away. */
	CU_ASSERT_EQUAL(zone(false, 0xa0100, 0x10, 0), 0);
	CU_ASSERT_FALSE(mmio(0xa0010, 4, 0));
	CU_ASSERT(pio(0x3c0, 1, 0));
	rig_free(&rig);
}

static void overlapping_zones_are_all_searched(void)
{
	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(zone(true, 0x1000, 0x10000, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0x2000, 0x10, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0x3000, 0x10, 0), 0);
	CU_ASSERT_EQUAL(zone(true, 0x20000, 0x10, 0), 0);
	CU_ASSERT(mmio(0x2008, 8, 0));
	CU_ASSERT(mmio(0x2010, 8, 0)); /* behind the small one, in the big one */
	CU_ASSERT(mmio(0x10ff8, 8, 0));
	CU_ASSERT_FALSE(mmio(0x11000, 1, 0));
	CU_ASSERT(mmio(0x20000, 1, 0));
	/* What stays is found when the outermost are gone. */
	CU_ASSERT_EQUAL(zone(false, 0x20000, 0x10, 0), 0);
	CU_ASSERT_EQUAL(zone(false, 0x1000, 0x10, 0), 0);
	CU_ASSERT(mmio(0x2008, 8, 0));
	CU_ASSERT(mmio(0x300c, 4, 0));
	CU_ASSERT_FALSE(mmio(0x2010, 8, 0));
	CU_ASSERT_FALSE(mmio(0x20000, 1, 0));
	rig_free(&rig);
}

static void a_full_or_broken_ring_makes_an_exit(void)
{
	unsigned i;

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(zone(true, 0xa0000, 0x1000, 0), 0);
	for (i = 0; i < RING_ENTRIES - 1; i++)
		CU_ASSERT(mmio(0xa0000, 1, i));
	CU_ASSERT_FALSE(mmio(0xa0000, 1, 0));
	ring()->first = 1;
	CU_ASSERT(mmio(0xa0000, 1, 0));
	CU_ASSERT_EQUAL(ring()->last, 0);
	CU_ASSERT_FALSE(mmio(0xa0000, 1, 0));
	ring()->last = RING_ENTRIES; /* the VMM writes what it likes */
	CU_ASSERT_FALSE(mmio(0xa0000, 1, 0));
	ring()->last = ~0u;
	CU_ASSERT_FALSE(mmio(0xa0000, 1, 0));
	ring()->last = 0;
	ring()->first = ~0u;
	CU_ASSERT(mmio(0xa0000, 1, 0));
	CU_ASSERT_EQUAL(ring()->last, 1);
	rig_free(&rig);
}

static void *write_coalesced(void *data)
{
	struct vcpu *vcpu = data;
	unsigned i;

	for (i = 0; i < 20000; i++)
		while (!interrupts_match(vcpu, IOREQ_TYPE_COPY, 0xa0000 + 8 * vcpu->index, 4, i,
					 true))
			sched_yield();
	return NULL;
}

/* Two vcpus write, one VMM thread drains: each vcpu's writes arrive once and in order. */
static void vcpus_share_the_ring(void)
{
	uint32_t next[RIG_VCPUS] = {0}, wrong = 0, drained = 0, value;
	pthread_t threads[RIG_VCPUS];
	unsigned i;

	rig_new(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(zone(true, 0xa0000, 0x1000, 0), 0);
	for (i = 0; i < RIG_VCPUS; i++)
		pthread_create(&threads[i], NULL, write_coalesced, &rig.vcpus[i]);
	while (drained < 20000 * RIG_VCPUS) {
		uint32_t first = ring()->first, last;

		last = __atomic_load_n(&ring()->last, __ATOMIC_ACQUIRE);
		if (first == last) {
			sched_yield();
			continue;
		}
		i = (ring()->coalesced_mmio[first].phys_addr - 0xa0000) / 8;
		memcpy(&value, (void *)ring()->coalesced_mmio[first].data, sizeof value);
		wrong += i >= RIG_VCPUS || value != next[i]++;
		__atomic_store_n(&ring()->first, (first + 1) % RING_ENTRIES, __ATOMIC_RELEASE);
		drained++;
	}
	for (i = 0; i < RIG_VCPUS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	rig_free(&rig);
}

static void *write_once(void *data)
{
	mmio(0xa0000, 4, 1);
	atomic_store(&waited, true);
	return NULL;
}

static void entries_of_the_ring_are_written_one_at_a_time(void)
{
	struct interrupts_private *p;
	pthread_t thread;

	rig_new(&rig);
	rig_add_vcpus(&rig);
	p = vm->interrupts.private;
	CU_ASSERT_EQUAL(zone(true, 0xa0000, 0x1000, 0), 0);
	atomic_store(&waited, false);
	CU_ASSERT_FALSE(atomic_flag_test_and_set(&p->ring_busy));
	pthread_create(&thread, NULL, write_once, NULL);
	usleep(10000);
	CU_ASSERT_FALSE(atomic_load(&waited));
	CU_ASSERT_EQUAL(ring()->last, 0);
	atomic_flag_clear(&p->ring_busy);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(ring()->last, 1);
	rig_free(&rig);
}

void register_interrupts_suite(void)
{
	CU_pSuite suite = CU_add_suite("interrupts", NULL, NULL);

	CU_ADD_TEST(suite, everything_is_refused_without_an_irqchip);
	CU_ADD_TEST(suite, an_irqchip_is_created_once_and_first);
	CU_ADD_TEST(suite, chips_reset_as_kvms_do);
	CU_ADD_TEST(suite, what_was_set_is_read_back);
	CU_ADD_TEST(suite, a_pic_remembers_edges);
	CU_ADD_TEST(suite, a_level_triggered_pic_pin_follows_its_line);
	CU_ADD_TEST(suite, odd_lines_are_no_errors);
	CU_ADD_TEST(suite, the_status_tells_what_became_of_it);
	CU_ADD_TEST(suite, an_ioapic_delivers_into_the_librarys_lapics);
	CU_ADD_TEST(suite, signal_msi_answers_as_kvm_does);
	CU_ADD_TEST(suite, logical_destinations_match);
	CU_ADD_TEST(suite, msis_reach_xen);
	CU_ADD_TEST(suite, a_lapic_that_is_off_takes_no_msi);
	CU_ADD_TEST(suite, what_xen_cannot_take_is_dropped);
	CU_ADD_TEST(suite, isa_lines_reach_xen);
	CU_ADD_TEST(suite, upper_ioapic_pins_are_pci_wires);
	CU_ADD_TEST(suite, the_timer_has_pin_2);
	CU_ADD_TEST(suite, no_pulse_is_lost);
	CU_ADD_TEST(suite, lines_from_before_are_high);
	CU_ADD_TEST(suite, what_comes_while_the_domain_starts_is_not_lost);
	CU_ADD_TEST(suite, materialise_may_come_before_the_image);
	CU_ADD_TEST(suite, a_domain_without_irqchip_has_no_records);
	CU_ADD_TEST(suite, live_chips_are_xens_until_they_are_set);
	CU_ADD_TEST(suite, xens_errors_are_passed_on);
	CU_ADD_TEST(suite, a_second_domain_gets_everything_again);
	CU_ADD_TEST(suite, a_pit_is_created_once);
	CU_ADD_TEST(suite, a_pit_is_set_and_loaded);
	CU_ADD_TEST(suite, reinjection_is_xens_timer_mode);
	CU_ADD_TEST(suite, routes_that_x86_lacks_are_refused);
	CU_ADD_TEST(suite, a_table_is_taken_whole_or_not);
	CU_ADD_TEST(suite, routes_change_under_running_lines);
	CU_ADD_TEST(suite, irqfds_are_checked_as_kvm_does);
	CU_ADD_TEST(suite, an_irqfd_pulses_its_line);
	CU_ADD_TEST(suite, an_irqfd_sends_its_msi);
	CU_ADD_TEST(suite, a_signalled_eventfd_fires_at_once);
	CU_ADD_TEST(suite, a_signalled_irqfd_is_in_the_state_that_is_read);
	CU_ADD_TEST(suite, interrupts_during_a_load_are_given_again);
	CU_ADD_TEST(suite, an_irqfd_works_before_the_domain);
	CU_ADD_TEST(suite, an_irqfd_outlives_the_vmms_descriptor);
	CU_ADD_TEST(suite, irqfds_come_and_go_while_they_fire);
	CU_ADD_TEST(suite, ioeventfds_are_checked_as_kvm_does);
	CU_ADD_TEST(suite, only_the_right_write_matches);
	CU_ADD_TEST(suite, datamatch_is_compared_in_full);
	CU_ADD_TEST(suite, there_may_be_thousands);
	CU_ADD_TEST(suite, an_ioeventfd_outlives_the_vmms_descriptor);
	CU_ADD_TEST(suite, a_hit_is_signalled_once);
	CU_ADD_TEST(suite, what_may_not_come_before_a_signal_waits_for_it);
	CU_ADD_TEST(suite, ioeventfds_come_and_go_under_running_vcpus);
	CU_ADD_TEST(suite, a_writer_waits_for_the_readers_there_are);
	CU_ADD_TEST(suite, zones_are_checked_as_kvm_does);
	CU_ADD_TEST(suite, writes_in_a_zone_are_kept_in_the_ring);
	CU_ADD_TEST(suite, overlapping_zones_are_all_searched);
	CU_ADD_TEST(suite, a_full_or_broken_ring_makes_an_exit);
	CU_ADD_TEST(suite, vcpus_share_the_ring);
	CU_ADD_TEST(suite, entries_of_the_ring_are_written_one_at_a_time);
}
