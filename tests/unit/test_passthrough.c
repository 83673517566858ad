/* KVM_ASSIGN_PCI_DEVICE and its family, over the fake Xen and a sysfs of plain files. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/ioctl/table.h"
#include "libkvmxen/xen/host_pci.h"
#include "tests/unit/unit_machine.h"

void register_passthrough_suite(void);

#define DEVICE      SBDF(0, 0, 5 << 3)
#define OTHER       SBDF(0, 0, 6 << 3)
#define BAR         0xfea00000u
#define BAR_SIZE    0x10000u
#define BAR_GPA     0xe0000000ul
#define MSI_AT      0x40
#define MSIX_AT     0x60
#define MSIX_OFFSET 0x2000
#define HOST_GSI    21
#define ANY_ID      7

static struct machine m;
static char tree[64];

/* --- a sysfs --- */

static void path_of(char *path, size_t size, uint32_t sbdf, const char *name)
{
	snprintf(path, size, "%s/bus/pci/devices/0000:%02x:%02x.%x/%s", tree, sbdf >> 8 & 0xff,
		 sbdf >> 3 & 0x1f, sbdf & 7, name);
}

static void put(uint32_t sbdf, const char *name, const void *data, size_t length, off_t at)
{
	char path[256];
	int fd;

	path_of(path, sizeof path, sbdf, name);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, data, length, at), (ssize_t)length);
	close(fd);
}

static uint16_t config_word(uint32_t sbdf, unsigned at)
{
	char path[256];
	uint16_t word = 0;
	int fd;

	path_of(path, sizeof path, sbdf, "config");
	fd = open(path, O_RDONLY);
	CU_ASSERT_EQUAL(pread(fd, &word, sizeof word, at), sizeof word);
	close(fd);
	return word;
}

static void put_byte(uint32_t sbdf, unsigned at, uint8_t value)
{
	put(sbdf, "config", &value, 1, at);
}

static void add_device(uint32_t sbdf)
{
	char path[256], text[128];
	uint8_t config[256] = {0x34, 0x12, 0xe8, 0x11};
	uint32_t bar = BAR, table = MSIX_OFFSET;

	path_of(path, sizeof path, sbdf, "");
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	config[PCI_CAPABILITY_LIST] = MSI_AT;
	memcpy(config + PCI_BASE_ADDRESS_0, &bar, sizeof bar);
	config[MSI_AT] = PCI_CAP_ID_MSI;
	config[MSI_AT + 1] = MSIX_AT;
	config[MSIX_AT] = PCI_CAP_ID_MSIX;
	memcpy(config + MSIX_AT + PCI_MSIX_TABLE, &table, sizeof table);
	put(sbdf, "config", config, sizeof config, 0);
	snprintf(text, sizeof text, "0x%016x 0x%016x 0x%016x\n", BAR, BAR + BAR_SIZE - 1, 0x40200);
	put(sbdf, "resource", text, strlen(text), 0);
	/* Linux shows the address as the offset of what is mapped; here it is the offset. */
	put(sbdf, "resource0", "", 1, BAR + BAR_SIZE - 1);
	put(sbdf, "enable", "0\n", 2, 0);
	snprintf(text, sizeof text, "%d\n", HOST_GSI);
	put(sbdf, "irq", text, strlen(text), 0);
	fake_device_add(sbdf, false);
}

static void make_tree(void)
{
	char path[256];
	const char *const dirs[] = {"", "/bus", "/bus/pci", "/bus/pci/devices"};

	strcpy(tree, "/tmp/kvmxen-sysfs-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(tree) != NULL);
	for (unsigned i = 1; i < 4; i++) {
		snprintf(path, sizeof path, "%s%s", tree, dirs[i]);
		mkdir(path, 0700);
	}
	host_pci_sysfs = tree;
}

static void remove_tree(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -r %s", tree);
	CU_ASSERT_EQUAL(system(command), 0);
	host_pci_sysfs = "/sys";
}

/* --- a machine with a host that has an IOMMU and two devices --- */

static void outs(uint16_t id)
{
	for (unsigned i = 0; i < 4; i++)
		fake_guest_out(id, 0, 0x3f8, 1, 0x41);
}

static void begin(void)
{
	make_tree();
	kvm_machine_new(&m, 1, true, outs);
	fake_host_iommu(true);
	add_device(DEVICE);
	add_device(OTHER);
}

static void end(void)
{
	kvm_machine_free(&m);
	CU_ASSERT_EQUAL(fake_device_owner(DEVICE), FAKE_DOM0);
	remove_tree();
}

static long assign_as(uint32_t id, uint32_t sbdf, uint32_t flags)
{
	struct kvm_assigned_pci_dev dev = {
		.assigned_dev_id = id,
		.busnr = sbdf >> 8 & 0xff,
		.devfn = sbdf & 0xff,
		.flags = flags,
	};

	return machine_ioctl(m.vm, KVM_ASSIGN_PCI_DEVICE, &dev);
}

static long assign(uint32_t id, uint32_t sbdf)
{
	return assign_as(id, sbdf, KVM_DEV_ASSIGN_ENABLE_IOMMU);
}

static long deassign(uint32_t id)
{
	struct kvm_assigned_pci_dev dev = {.assigned_dev_id = id};

	return machine_ioctl(m.vm, KVM_DEASSIGN_PCI_DEVICE, &dev);
}

static long irq(unsigned long request, uint32_t id, uint32_t flags, uint32_t gsi)
{
	struct kvm_assigned_irq arg = {.assigned_dev_id = id, .guest_irq = gsi, .flags = flags};

	return machine_ioctl(m.vm, request, &arg);
}

static long msix_nr(uint32_t id, uint16_t nr)
{
	struct kvm_assigned_msix_nr arg = {.assigned_dev_id = id, .entry_nr = nr};

	return machine_ioctl(m.vm, KVM_ASSIGN_SET_MSIX_NR, &arg);
}

static long msix_entry(uint32_t id, uint16_t entry, uint32_t gsi)
{
	struct kvm_assigned_msix_entry arg = {.assigned_dev_id = id, .entry = entry, .gsi = gsi};

	return machine_ioctl(m.vm, KVM_ASSIGN_SET_MSIX_ENTRY, &arg);
}

static long route(uint32_t gsi, uint32_t data)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[1];
	} table = {.head.nr = 1};

	table.entry[0].gsi = gsi;
	table.entry[0].type = KVM_IRQ_ROUTING_MSI;
	table.entry[0].u.msi.address_lo = 0xfee01000;
	table.entry[0].u.msi.data = data;
	return machine_ioctl(m.vm, KVM_SET_GSI_ROUTING, &table);
}

static bool run(void)
{
	return machine_exits(&m, 0, KVM_EXIT_IO);
}

#define INTX (KVM_DEV_IRQ_HOST_INTX | KVM_DEV_IRQ_GUEST_INTX)
#define MSI  (KVM_DEV_IRQ_HOST_MSI | KVM_DEV_IRQ_GUEST_MSI)
#define MSIX (KVM_DEV_IRQ_HOST_MSIX | KVM_DEV_IRQ_GUEST_MSIX)

/* --- what is offered, and to which devices --- */

static const unsigned long family[] = {
	KVM_ASSIGN_PCI_DEVICE,    KVM_DEASSIGN_PCI_DEVICE, KVM_ASSIGN_DEV_IRQ,
	KVM_DEASSIGN_DEV_IRQ,     KVM_ASSIGN_SET_MSIX_NR,  KVM_ASSIGN_SET_MSIX_ENTRY,
	KVM_ASSIGN_SET_INTX_MASK,
};
#define FAMILY (sizeof family / sizeof *family)

static void unknown_without_an_iommu(void)
{
	static const int caps[] = {KVM_CAP_DEVICE_ASSIGNMENT,
				   KVM_CAP_IOMMU,
				   KVM_CAP_DEVICE_MSI,
				   KVM_CAP_DEVICE_MSIX,
				   KVM_CAP_DEVICE_DEASSIGNMENT,
				   KVM_CAP_ASSIGN_DEV_IRQ,
				   KVM_CAP_PCI_2_3};

	begin();
	for (size_t i = 0; i < FAMILY; i++)
		CU_ASSERT_EQUAL(machine_ioctl(m.vm, family[i], (void *)16), -EFAULT);
	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
		CU_ASSERT_EQUAL(capability_value(caps[i]), 1);
	fake_host_iommu(false);
	for (size_t i = 0; i < FAMILY; i++)
		CU_ASSERT_EQUAL(machine_ioctl(m.vm, family[i], (void *)16), -ENOTTY);
	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
		CU_ASSERT_EQUAL(capability_value(caps[i]), 0);
	fake_host_iommu(true);
	/* The broker's answer. */
	fake_fail_always("host_iommu", EPERM);
	CU_ASSERT_EQUAL(assign(1, DEVICE), -ENOTTY);
	CU_ASSERT_EQUAL(capability_value(KVM_CAP_IOMMU), 0);
	fake_fail_clear();
	end();
}

static void wrong_devices_are_refused(void)
{
	char path[256];

	begin();
	CU_ASSERT_EQUAL(assign_as(1, DEVICE, 0), -EINVAL);
	CU_ASSERT_EQUAL(assign(1, SBDF(0, 0, 9 << 3)), -EINVAL);
	put_byte(DEVICE, PCI_HEADER_TYPE, PCI_HEADER_TYPE_BRIDGE);
	CU_ASSERT_EQUAL(assign(1, DEVICE), -EPERM);
	put_byte(DEVICE, PCI_HEADER_TYPE, 0x80);
	put_byte(OTHER, PCI_BASE_ADDRESS_0 + 3, 0);
	put_byte(OTHER, PCI_BASE_ADDRESS_0 + 2, 0);
	CU_ASSERT_EQUAL(assign(1, OTHER), -EPERM);
	path_of(path, sizeof path, DEVICE, "driver");
	CU_ASSERT_EQUAL(symlink("../../../bus/pci/drivers/e1000", path), 0);
	CU_ASSERT_EQUAL(assign(1, DEVICE), -EBUSY);
	unlink(path);
	CU_ASSERT_EQUAL(symlink("../../../bus/pci/drivers/pci-stub", path), 0);
	fake_fail("device_test", EINVAL);
	CU_ASSERT_EQUAL(assign(1, DEVICE), -EBUSY);
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT_EQUAL(assign(1, DEVICE), -EEXIST);
	CU_ASSERT_EQUAL(assign(2, DEVICE), -EBUSY);
	CU_ASSERT_EQUAL(deassign(2), -EINVAL);
	CU_ASSERT_EQUAL(deassign(1), 0);
	CU_ASSERT_EQUAL(deassign(1), -EINVAL);
	CU_ASSERT_EQUAL(fake_domains(), 0);
	end();
}

/* --- with a domain --- */

static void the_domain_gets_it_and_gives_it_back(void)
{
	begin();
	fake_device_add(SBDF(0, 1, 0), true);
	put_byte(DEVICE, PCI_COMMAND, PCI_COMMAND_MASTER);
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT(config_word(DEVICE, PCI_COMMAND) & PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(fake_device_owner(DEVICE), FAKE_DOM0);
	CU_ASSERT(run());
	CU_ASSERT_EQUAL(fake_device_owner(DEVICE), fake_last_domain());
	/* Another after the first: the domain can have it now. */
	CU_ASSERT_EQUAL(assign(2, OTHER), 0);
	CU_ASSERT_EQUAL(fake_device_owner(OTHER), fake_last_domain());
	CU_ASSERT_EQUAL(deassign(2), 0);
	CU_ASSERT_EQUAL(fake_device_owner(OTHER), FAKE_DOM0);
	CU_ASSERT_EQUAL(assign(2, OTHER), 0);
	end();
	CU_ASSERT_EQUAL(fake_device_owner(OTHER), FAKE_DOM0);
}

static void one_set_aside_is_set_aside_again(void)
{
	begin();
	fake_device_add(SBDF(0, 0, 7 << 3), true);
	add_device(SBDF(0, 0, 7 << 3));
	CU_ASSERT_EQUAL(assign(1, SBDF(0, 0, 7 << 3)), 0);
	CU_ASSERT(run());
	CU_ASSERT_EQUAL(fake_device_owner(SBDF(0, 0, 7 << 3)), fake_last_domain());
	CU_ASSERT_EQUAL(deassign(1), 0);
	CU_ASSERT_EQUAL(fake_device_owner(SBDF(0, 0, 7 << 3)), FAKE_ASIDE);
	end();
}

/* It may have been about to write to what is dom0's memory now. */
static void given_back_it_is_quiet(void)
{
	begin();
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT(run());
	put_byte(DEVICE, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	put_byte(DEVICE, MSI_AT + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
	CU_ASSERT_EQUAL(deassign(1), 0);
	CU_ASSERT(!(config_word(DEVICE, PCI_COMMAND) & PCI_COMMAND_MASTER));
	CU_ASSERT(!(config_word(DEVICE, MSI_AT + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE));
	end();
}

static void too_late_without_a_first_one(void)
{
	begin();
	CU_ASSERT(run());
	CU_ASSERT_EQUAL(assign(1, DEVICE), -EINVAL);
	CU_ASSERT_EQUAL(fake_device_owner(DEVICE), FAKE_DOM0);
	end();
}

static void a_log_of_everything_excludes_it(void)
{
	struct kvm_userspace_memory_region ram = {
		.slot = 0,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.memory_size = MACHINE_RAM,
	};
	struct kvm_userspace_memory_region more = {
		.slot = 5,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = 16 * MB,
		.memory_size = 1 * MB,
	};

	begin();
	ram.userspace_addr = (uintptr_t)m.ram;
	more.userspace_addr = (uintptr_t)vmm_memory(1 * MB, 0);
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT(run());
	/* One range is logged in another way. */
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &ram), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &more), -EINVAL);
	CU_ASSERT_EQUAL(deassign(1), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &more), 0);
	CU_ASSERT_EQUAL(assign(1, DEVICE), -EXDEV);
	end();
}

/* --- its memory --- */

static long bar_slot(void *at, uint64_t gpa, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = 3,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	return machine_ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void a_slot_shows_its_bar(void)
{
	uint64_t mfn = 0, gfn = BAR_GPA >> 12;
	char path[256];
	uint16_t id;
	void *bar;
	int fd;

	begin();
	path_of(path, sizeof path, DEVICE, "resource0");
	fd = open(path, O_RDWR);
	bar = mmap(NULL, 0x8000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, BAR + 0x1000);
	CU_ASSERT_FATAL(bar != MAP_FAILED);
	close(fd);
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT_EQUAL(bar_slot(bar, BAR_GPA, 0x8000), 0);
	CU_ASSERT(run());
	id = fake_last_domain();
	CU_ASSERT(fake_device_mapped(id, gfn + 2, &mfn));
	CU_ASSERT_EQUAL(mfn, (BAR >> 12) + 3);
	CU_ASSERT_EQUAL(fake_calls("device_map"), 1);
	/* Moved, and again nothing to do. */
	CU_ASSERT_EQUAL(bar_slot(bar, BAR_GPA + 0x100000, 0x8000), 0);
	CU_ASSERT(run());
	CU_ASSERT(!fake_device_mapped(id, gfn, &mfn));
	CU_ASSERT(fake_device_mapped(id, gfn + 0x100, &mfn));
	CU_ASSERT_EQUAL(mfn, (BAR >> 12) + 1);
	CU_ASSERT_EQUAL(bar_slot(bar, 0, 0), 0);
	CU_ASSERT(run());
	CU_ASSERT(!fake_device_mapped(id, gfn + 0x100, &mfn));
	fake_fail("device_map", EPERM);
	CU_ASSERT_EQUAL(bar_slot(bar, BAR_GPA, 0x8000), -EPERM);
	CU_ASSERT_EQUAL(bar_slot(bar, BAR_GPA, 0x8000), 0);
	CU_ASSERT(fake_device_mapped(id, gfn, &mfn));
	end();
	munmap(bar, 0x8000);
}

/* --- its interrupts --- */

static void a_message_follows_its_route(void)
{
	struct device_irq at = {0};
	unsigned binds = 0;

	begin();
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT_EQUAL(route(24, 0x51), 0);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSI, 24), 0);
	CU_ASSERT(run());
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	CU_ASSERT_EQUAL(at.kind, DEVICE_MSI);
	CU_ASSERT_EQUAL(at.data, 0x51);
	CU_ASSERT_EQUAL(at.address, 0xfee01000);
	CU_ASSERT(config_word(DEVICE, MSI_AT + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE);
	CU_ASSERT_EQUAL(route(24, 0x51), 0);
	fake_device_irqs(fake_last_domain(), &at, &binds);
	CU_ASSERT_EQUAL(binds, 1);
	CU_ASSERT_EQUAL(route(24, 0x62), 0);
	fake_device_irqs(fake_last_domain(), &at, &binds);
	CU_ASSERT_EQUAL(binds, 2);
	CU_ASSERT_EQUAL(at.data, 0x62);
	/* Without a route it goes nowhere. */
	CU_ASSERT_EQUAL(route(25, 0x62), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 0);
	CU_ASSERT_EQUAL(route(24, 0x63), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	CU_ASSERT_EQUAL(irq(KVM_DEASSIGN_DEV_IRQ, 1, MSI, 0), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 0);
	CU_ASSERT(!(config_word(DEVICE, MSI_AT + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE));
	/* In two halves. */
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, KVM_DEV_IRQ_HOST_MSI, 0), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 0);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, KVM_DEV_IRQ_GUEST_MSI, 24), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	end();
}

static void a_line_goes_to_the_pins_of_its_gsi(void)
{
	struct kvm_assigned_pci_dev mask = {
		.assigned_dev_id = 1,
		.flags = KVM_DEV_ASSIGN_MASK_INTX,
	};
	struct device_irq at = {0};
	unsigned binds;

	begin();
	CU_ASSERT_EQUAL(assign_as(1, DEVICE, KVM_DEV_ASSIGN_ENABLE_IOMMU | KVM_DEV_ASSIGN_PCI_2_3),
			0);
	CU_ASSERT(run());
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, INTX, 20), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	CU_ASSERT_EQUAL(at.gsi, HOST_GSI);
	CU_ASSERT(at.device >= 8);
	CU_ASSERT_EQUAL((4 * at.device + at.device / 8 + at.intx) % 32, 20 - 16);
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ASSIGN_SET_INTX_MASK, &mask), 0);
	CU_ASSERT(config_word(DEVICE, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	mask.flags = 0;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ASSIGN_SET_INTX_MASK, &mask), 0);
	CU_ASSERT(!(config_word(DEVICE, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE));
	CU_ASSERT_EQUAL(irq(KVM_DEASSIGN_DEV_IRQ, 1, INTX, 0), 0);
	/* An ISA irq: by a PCI link, and pins that KVM does not have. */
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, INTX, 10), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	CU_ASSERT(at.device >= 2 && at.device < 8);
	CU_ASSERT_EQUAL(irq(KVM_DEASSIGN_DEV_IRQ, 1, INTX, 0), 0);
	/* Xen's timer pins have no wire. */
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, INTX, 0), -EINVAL);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, INTX, 100), -EINVAL);
	/* A device that cannot mask its line has it taken away. */
	CU_ASSERT_EQUAL(assign(2, OTHER), 0);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 2, INTX, 10), 0);
	mask.assigned_dev_id = 2;
	mask.flags = KVM_DEV_ASSIGN_MASK_INTX;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ASSIGN_SET_INTX_MASK, &mask), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 0);
	mask.flags = 0;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ASSIGN_SET_INTX_MASK, &mask), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	mask.assigned_dev_id = ANY_ID;
	CU_ASSERT_EQUAL(machine_ioctl(m.vm, KVM_ASSIGN_SET_INTX_MASK, &mask), -ENODEV);
	end();
}

static void a_table_of_messages(void)
{
	struct device_irq at = {0};
	unsigned binds;

	begin();
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT(run());
	CU_ASSERT_EQUAL(route(30, 0x71), 0);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSIX, 0), -EINVAL);
	CU_ASSERT_EQUAL(msix_nr(ANY_ID, 2), -EINVAL);
	CU_ASSERT_EQUAL(msix_nr(1, 0), -EINVAL);
	CU_ASSERT_EQUAL(msix_nr(1, KVM_MAX_MSIX_PER_DEV + 1), -EINVAL);
	CU_ASSERT_EQUAL(msix_nr(1, 1), 0);
	CU_ASSERT_EQUAL(msix_nr(1, 1), -EINVAL);
	CU_ASSERT_EQUAL(msix_entry(ANY_ID, 3, 30), -EINVAL);
	CU_ASSERT_EQUAL(msix_entry(1, 3, 30), 0);
	CU_ASSERT_EQUAL(msix_entry(1, 4, 30), -ENOSPC);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSIX, 0), 0);
	CU_ASSERT_EQUAL(fake_device_irqs(fake_last_domain(), &at, &binds), 1);
	CU_ASSERT_EQUAL(at.kind, DEVICE_MSIX);
	CU_ASSERT_EQUAL(at.entry, 3);
	CU_ASSERT_EQUAL(at.table, BAR);
	CU_ASSERT(config_word(DEVICE, MSIX_AT + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE);
	CU_ASSERT_EQUAL(irq(KVM_DEASSIGN_DEV_IRQ, 1, MSIX, 0), 0);
	CU_ASSERT(!(config_word(DEVICE, MSIX_AT + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE));
	CU_ASSERT_EQUAL(msix_nr(1, 2), 0);
	end();
}

static void wrong_interrupts_are_refused(void)
{
	begin();
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSI, 24), -ENODEV);
	CU_ASSERT_EQUAL(irq(KVM_DEASSIGN_DEV_IRQ, 1, MSI, 24), -ENODEV);
	CU_ASSERT_EQUAL(assign(1, DEVICE), 0);
	CU_ASSERT_EQUAL(irq(KVM_DEASSIGN_DEV_IRQ, 1, MSI, 24), -ENXIO);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, 0, 24), -EINVAL);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, 1 << 5, 24), -EINVAL);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSI | INTX, 24), -EINVAL);
	CU_ASSERT_EQUAL(
		irq(KVM_ASSIGN_DEV_IRQ, 1, KVM_DEV_IRQ_HOST_MSI | KVM_DEV_IRQ_GUEST_INTX, 24),
		-EINVAL);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSI, 24), 0);
	CU_ASSERT_EQUAL(irq(KVM_ASSIGN_DEV_IRQ, 1, MSI, 24), -EEXIST);
	end();
}

/* Whatever fails, in whichever call: nothing is left in Xen, and the device is dom0's. */
static void any_failure_leaves_nothing(void)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		begin();
		fake_fail_nth(n, EIO);
		if (assign(1, DEVICE) == 0 && irq(KVM_ASSIGN_DEV_IRQ, 1, INTX, 10) == 0 &&
		    machine_run(&m, 0) == 0 && route(24, 0x51) == 0 &&
		    irq(KVM_DEASSIGN_DEV_IRQ, 1, INTX, 0) == 0)
			irq(KVM_ASSIGN_DEV_IRQ, 1, MSI, 24);
		failed = fake_failed();
		fake_fail_clear();
		end();
	}
}

void register_passthrough_suite(void)
{
	CU_pSuite suite = CU_add_suite("passthrough", NULL, NULL);

#define TEST(function) CU_add_test(suite, #function, function)
	TEST(unknown_without_an_iommu);
	TEST(wrong_devices_are_refused);
	TEST(the_domain_gets_it_and_gives_it_back);
	TEST(one_set_aside_is_set_aside_again);
	TEST(given_back_it_is_quiet);
	TEST(too_late_without_a_first_one);
	TEST(a_log_of_everything_excludes_it);
	TEST(a_slot_shows_its_bar);
	TEST(a_message_follows_its_route);
	TEST(a_line_goes_to_the_pins_of_its_gsi);
	TEST(a_table_of_messages);
	TEST(wrong_interrupts_are_refused);
	TEST(any_failure_leaves_nothing);
#undef TEST
}
