/* irqfds with a resample eventfd: the line is up until a chip has the interrupt, the eventfd comes
 * when the guest has ended it. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libkvmxen/interrupts/interrupts_private.h"
#include "tests/unit/unit_rig.h"

void register_resample_suite(void);

#define GSI         10
#define MASKED      0x10000
#define LEVEL_PIN   0x8000
#define VECTOR      0x3a
#define A_FEW_LOOKS 30000 /* us */

static struct rig rig;
static struct vm *const vm = &rig.vm;
static int trigger, resample;

static int event(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static void fire(int fd)
{
	uint64_t one = 1;

	CU_ASSERT_EQUAL(write(fd, &one, sizeof one), sizeof one);
}

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

/* Once, and soon. */
static bool came(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	return poll(&wait, 1, RIG_SOON) == 1 && count_of(fd) == 1;
}

static long irqfd(int fd, int second, uint32_t flags)
{
	struct kvm_irqfd args = {.fd = fd, .gsi = GSI, .resamplefd = second, .flags = flags};

	return interrupts_irqfd(vm, &args);
}

/* A domain whose IOAPIC has these bits in the pin, and an irqfd. */
static void set_up_with_pic(uint64_t bits, uint8_t imr)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_PIC_SLAVE};

	rig_new_irqchip(&rig);
	rig_add_vcpus(&rig);
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), 0);
	chip.chip.pic.imr = imr;
	CU_ASSERT_EQUAL(interrupts_set_irqchip(vm, &chip), 0);
	chip = (struct kvm_irqchip){.chip_id = KVM_IRQCHIP_IOAPIC};
	CU_ASSERT_EQUAL(interrupts_get_irqchip(vm, &chip), 0);
	chip.chip.ioapic.redirtbl[GSI].bits = bits;
	CU_ASSERT_EQUAL(interrupts_set_irqchip(vm, &chip), 0);
	rig_start(&rig);
	trigger = event();
	resample = event();
	CU_ASSERT_EQUAL(irqfd(trigger, resample, KVM_IRQFD_FLAG_RESAMPLE), 0);
}

/* The n-th pulse is over. */
static bool given(unsigned n)
{
	return fake_gsi_edges(vm->domid, GSI) == n && !fake_isa_level(vm->domid, GSI);
}

static void set_up(uint64_t bits)
{
	set_up_with_pic(bits, 0);
}

static void tear_down(void)
{
	close(trigger);
	close(resample);
	rig_free(&rig);
}

static void a_level_is_given_once_for_each_end(void)
{
	unsigned i;

	set_up(LEVEL_PIN | VECTOR);
	for (i = 1; i <= 20; i++) {
		fire(trigger);
		CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, GSI) == i));
		CU_ASSERT(RIG_WAIT(!fake_isa_level(vm->domid, GSI)));
		/* Not ended: a further signal is the same level. */
		fire(trigger);
		CU_ASSERT(RIG_WAIT(count_of(trigger) == 0));
		usleep(i == 1 ? A_FEW_LOOKS : 0);
		CU_ASSERT_EQUAL(count_of(resample), 0);
		fake_ioapic_end(vm->domid, GSI);
		CU_ASSERT(came(resample));
		CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, GSI), i);
	}
	tear_down();
}

/* Not even a guest that ends it between two calls sees it twice. */
static void a_quick_guest_gets_it_once(void)
{
	unsigned i;

	set_up(LEVEL_PIN | VECTOR);
	fake_quick_guest(vm->domid);
	for (i = 1; i <= 20; i++) {
		fire(trigger);
		CU_ASSERT(RIG_WAIT(given(i)));
		fake_ioapic_end(vm->domid, GSI);
		CU_ASSERT(came(resample));
		CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, GSI), i);
	}
	tear_down();
}

static void a_masked_pin_gets_it_when_it_is_unmasked(void)
{
	set_up_with_pic(LEVEL_PIN | MASKED | VECTOR, 0xff);
	fire(trigger);
	usleep(A_FEW_LOOKS);
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, GSI), 0);
	CU_ASSERT_EQUAL(count_of(resample), 0);
	fake_quick_guest(vm->domid);
	fake_ioapic_unmask(vm->domid, GSI);
	CU_ASSERT(RIG_WAIT(given(1)));
	usleep(A_FEW_LOOKS);
	CU_ASSERT_EQUAL(count_of(resample), 0);
	fake_ioapic_end(vm->domid, GSI);
	CU_ASSERT(came(resample));
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, GSI), 1);
	tear_down();
}

/* The line was up for the PIC. */
static void a_guest_goes_from_the_pic_to_the_ioapic(void)
{
	set_up(LEVEL_PIN | MASKED | VECTOR);
	fire(trigger);
	CU_ASSERT(RIG_WAIT(fake_isa_level(vm->domid, GSI)));
	usleep(A_FEW_LOOKS);
	CU_ASSERT_EQUAL(count_of(resample), 0);
	fake_ioapic_unmask(vm->domid, GSI);
	CU_ASSERT(RIG_WAIT(!fake_isa_level(vm->domid, GSI)));
	usleep(A_FEW_LOOKS);
	CU_ASSERT_EQUAL(count_of(resample), 0);
	fake_ioapic_end(vm->domid, GSI);
	CU_ASSERT(came(resample));
	CU_ASSERT(!fake_isa_level(vm->domid, GSI));
	tear_down();
}

static void removed_before_it_was_taken(void)
{
	set_up(MASKED);
	fire(trigger);
	CU_ASSERT(RIG_WAIT(fake_isa_level(vm->domid, GSI)));
	usleep(A_FEW_LOOKS);
	CU_ASSERT(fake_isa_level(vm->domid, GSI));
	CU_ASSERT_EQUAL(irqfd(trigger, resample, KVM_IRQFD_FLAG_DEASSIGN), 0);
	CU_ASSERT(!fake_isa_level(vm->domid, GSI));
	CU_ASSERT_EQUAL(count_of(resample), 0);
	tear_down();
}

static void an_edge_ends_with_its_vector(void)
{
	set_up(VECTOR);
	fire(trigger);
	CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, GSI) == 1));
	/* Nobody runs here; the LAPICs have no such vector. */
	CU_ASSERT(came(resample));
	tear_down();
}

static void the_pics_end_counts_when_the_ioapic_is_masked(void)
{
	set_up(MASKED);
	fire(trigger);
	CU_ASSERT(RIG_WAIT(fake_isa_level(vm->domid, GSI)));
	fake_pic_serve(vm->domid, GSI, true);
	CU_ASSERT(RIG_WAIT(!fake_isa_level(vm->domid, GSI)));
	usleep(A_FEW_LOOKS);
	CU_ASSERT_EQUAL(count_of(resample), 0);
	fake_pic_serve(vm->domid, GSI, false);
	CU_ASSERT(came(resample));
	tear_down();
}

/* Of a line that several share all hear. */
static void all_of_a_gsi_are_told(void)
{
	int trigger2 = event(), resample2 = event();

	set_up(LEVEL_PIN | VECTOR);
	CU_ASSERT_EQUAL(irqfd(trigger2, resample2, KVM_IRQFD_FLAG_RESAMPLE), 0);
	CU_ASSERT_EQUAL(irqfd(trigger2, resample2, KVM_IRQFD_FLAG_RESAMPLE), -EBUSY);
	fire(trigger2);
	CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, GSI) == 1));
	CU_ASSERT(RIG_WAIT(!fake_isa_level(vm->domid, GSI)));
	fake_ioapic_end(vm->domid, GSI);
	CU_ASSERT(came(resample));
	CU_ASSERT(came(resample2));
	CU_ASSERT_EQUAL(irqfd(trigger2, resample2, KVM_IRQFD_FLAG_DEASSIGN), 0);
	fire(trigger);
	CU_ASSERT(RIG_WAIT(fake_gsi_edges(vm->domid, GSI) == 2));
	CU_ASSERT(RIG_WAIT(!fake_isa_level(vm->domid, GSI)));
	fake_ioapic_end(vm->domid, GSI);
	CU_ASSERT(came(resample));
	CU_ASSERT_EQUAL(count_of(resample2), 0);
	close(trigger2);
	close(resample2);
	tear_down();
}

/* What Xen does not say now it says later. */
static void a_record_that_cannot_be_read_is_read_again(void)
{
	set_up(LEVEL_PIN | VECTOR);
	fake_fail_always("context_get_one", -EIO);
	fire(trigger);
	CU_ASSERT(RIG_WAIT(fake_failed()));
	CU_ASSERT_EQUAL(fake_gsi_edges(vm->domid, GSI), 0);
	fake_fail_clear();
	CU_ASSERT(RIG_WAIT(given(1)));
	fake_ioapic_end(vm->domid, GSI);
	CU_ASSERT(came(resample));
	tear_down();
}

static void a_split_irqchip_has_none(void)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};

	rig_new(&rig);
	CU_ASSERT_EQUAL(interrupts_split_irqchip(vm, &cap), 0);
	trigger = event();
	resample = event();
	CU_ASSERT_EQUAL(irqfd(trigger, resample, KVM_IRQFD_FLAG_RESAMPLE), -EINVAL);
	CU_ASSERT_EQUAL(irqfd(trigger, resample, 0), 0);
	tear_down();
}

void register_resample_suite(void)
{
	CU_pSuite suite = CU_add_suite("resample", NULL, NULL);

	CU_ADD_TEST(suite, a_level_is_given_once_for_each_end);
	CU_ADD_TEST(suite, a_quick_guest_gets_it_once);
	CU_ADD_TEST(suite, a_masked_pin_gets_it_when_it_is_unmasked);
	CU_ADD_TEST(suite, a_guest_goes_from_the_pic_to_the_ioapic);
	CU_ADD_TEST(suite, removed_before_it_was_taken);
	CU_ADD_TEST(suite, an_edge_ends_with_its_vector);
	CU_ADD_TEST(suite, the_pics_end_counts_when_the_ioapic_is_masked);
	CU_ADD_TEST(suite, all_of_a_gsi_are_told);
	CU_ADD_TEST(suite, a_record_that_cannot_be_read_is_read_again);
	CU_ADD_TEST(suite, a_split_irqchip_has_none);
}
