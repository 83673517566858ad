/* The shapes that guest accesses take as requests, and what never becomes one. */
#include "tests/unit/test_fake.h"

#include <xen/hvm/params.h>

#define HOLE 0xd0000000ull

static void mmio_waits_at_the_instruction(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_read(m.domid, 0, HOLE + 4, 4);
	struct ioreq *req = take(&m, 0);
	struct hvm_hw_cpu regs;

	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_COPY);
	CU_ASSERT_EQUAL(req->addr, HOLE + 4);
	CU_ASSERT_EQUAL(req->size, 4);
	CU_ASSERT_EQUAL(req->dir, IOREQ_READ);
	CU_ASSERT_EQUAL(req->data_is_ptr, 0);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0xfff0);
	answer(&m, 0, 0xcafe1234);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_value(m.domid, 0, id), 0xcafe1234);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0xfff3);
	machine_free(&m);
	assert_clean();
}

static void wide_operands_come_in_pieces(void)
{
	static const uint8_t data[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_write(m.domid, 0, HOLE, data, 16);

	for (unsigned i = 0; i < 2; i++) {
		struct ioreq *req = take(&m, 0);

		CU_ASSERT_EQUAL(req->addr, HOLE + 8 * i);
		CU_ASSERT_EQUAL(req->size, 8);
		CU_ASSERT_EQUAL(req->dir, IOREQ_WRITE);
		CU_ASSERT_EQUAL(memcmp(&req->data, data + 8 * i, 8), 0);
		answer(&m, 0, 0);
	}
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	/* across a page: two requests of the half size */
	id = fake_guest_write(m.domid, 0, HOLE + 0xffe, data, 4);
	CU_ASSERT_EQUAL(take(&m, 0)->size, 2);
	answer(&m, 0, 0);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, HOLE + 0x1000);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void ram_needs_nobody(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	char text[16] = "";
	int id;

	fake_guest_write(m.domid, 0, PAGE - 4, "over a page", 12);
	id = fake_guest_read(m.domid, 0, PAGE - 4, 12);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_data(m.domid, 0, id, text, sizeof text), 12);
	CU_ASSERT_STRING_EQUAL(text, "over a page");
	CU_ASSERT(fake_ram_read(m.domid, PAGE - 4, text, 12));
	CU_ASSERT_STRING_EQUAL(text, "over a page");
	/* half RAM, half hole */
	fake_guest_write_value(m.domid, 0, 16 * PAGE - 2, 4, 0x44332211);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 16 * PAGE);
	CU_ASSERT_EQUAL(m.page->vcpu_ioreq[0].size, 2);
	CU_ASSERT_EQUAL(m.page->vcpu_ioreq[0].data, 0x4433);
	answer(&m, 0, 0);
	machine_free(&m);
	assert_clean();
}

static void writes_to_a_servers_page_are_requests_and_reads_are_not(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	uint8_t bitmap[2];
	char text[4] = "";
	int id;

	CU_ASSERT(fake_ram_write(m.domid, 2 * PAGE, "rom", 4));
	CU_ASSERT_EQUAL(DEV(mem_type_to_server, m.domid, m.server, true), 0);
	CU_ASSERT_EQUAL(DEV(mem_set_type, m.domid, MEM_IOREQ_SERVER, 2, 1), 0);
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 0, 16, bitmap), 0);
	id = fake_guest_read(m.domid, 0, 2 * PAGE, 4);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_data(m.domid, 0, id, text, 4), 4);
	CU_ASSERT_STRING_EQUAL(text, "rom");
	id = fake_guest_write_value(m.domid, 0, 2 * PAGE, 4, 0x11111111);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 2 * PAGE);
	CU_ASSERT_EQUAL(m.page->vcpu_ioreq[0].dir, IOREQ_WRITE);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_ram_read(m.domid, 2 * PAGE, text, 4));
	CU_ASSERT_STRING_EQUAL(text, "rom");
	CU_ASSERT_EQUAL(DEV(mem_track_vram, m.domid, 0, 16, bitmap), 0);
	CU_ASSERT_EQUAL(bitmap[0], 1 << 2);
	machine_free(&m);
	assert_clean();
}

static void writes_to_read_only_ram_vanish(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	char text[4] = "";
	int id;

	CU_ASSERT(fake_ram_write(m.domid, 2 * PAGE, "rom", 4));
	CU_ASSERT_EQUAL(DEV(mem_set_type, m.domid, MEM_RAM_RO, 2, 1), 0);
	id = fake_guest_write_value(m.domid, 0, 2 * PAGE, 4, 0x11111111);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_ram_read(m.domid, 2 * PAGE, text, 4));
	CU_ASSERT_STRING_EQUAL(text, "rom");
	machine_free(&m);
	assert_clean();
}

static void rep_outs_names_the_ram(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_outs(m.domid, 0, 0x1f0, 2, 6, PAGE - 8, false);
	struct ioreq *req = take(&m, 0);
	struct hvm_hw_cpu regs;

	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_PIO);
	CU_ASSERT_EQUAL(req->data_is_ptr, 1);
	CU_ASSERT_EQUAL(req->data, PAGE - 8);
	CU_ASSERT_EQUAL(req->count, 4); /* up to the end of the page */
	CU_ASSERT_EQUAL(req->addr, 0x1f0);
	/* posted: the registers are ahead of the answer, RIP not yet */
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rcx, 2);
	CU_ASSERT_EQUAL(regs.rsi, PAGE);
	CU_ASSERT_EQUAL(regs.rip, 0xfff0);
	answer(&m, 0, 0);
	req = take(&m, 0);
	CU_ASSERT_EQUAL(req->data, PAGE);
	CU_ASSERT_EQUAL(req->count, 2);
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rip, 0xfff2);
	CU_ASSERT(!fake_guest_done(m.domid, 0, id));
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void rep_ins_may_walk_down(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_ins(m.domid, 0, 0x60, 1, 3, PAGE + 1, true);
	struct ioreq *req = take(&m, 0);

	CU_ASSERT_EQUAL(req->dir, IOREQ_READ);
	CU_ASSERT_EQUAL(req->df, 1);
	CU_ASSERT_EQUAL(req->data, PAGE + 1);
	CU_ASSERT_EQUAL(req->count, 2);
	answer(&m, 0, 0);
	req = take(&m, 0);
	CU_ASSERT_EQUAL(req->data, PAGE - 1);
	CU_ASSERT_EQUAL(req->count, 1);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void rep_stos_and_movs(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_stos(m.domid, 0, HOLE, 4, 10, 0x5a5a5a5a, false);
	struct ioreq *req = take(&m, 0);

	CU_ASSERT_EQUAL(req->data_is_ptr, 0);
	CU_ASSERT_EQUAL(req->count, 10);
	CU_ASSERT_EQUAL(req->data, 0x5a5a5a5a);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));

	id = fake_guest_movs_from(m.domid, 0, HOLE, 3 * PAGE, 8, 4, false);
	req = take(&m, 0);
	CU_ASSERT_EQUAL(req->dir, IOREQ_READ);
	CU_ASSERT_EQUAL(req->data_is_ptr, 1);
	CU_ASSERT_EQUAL(req->data, 3 * PAGE);
	CU_ASSERT_EQUAL(req->addr, HOLE);
	answer(&m, 0, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));

	/* RAM to RAM concerns nobody */
	CU_ASSERT(fake_ram_write(m.domid, PAGE, "abcdefg", 8));
	id = fake_guest_movs_to(m.domid, 0, 2 * PAGE, PAGE, 4, 2, false);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void rep_movs_into_a_servers_page_comes_one_by_one(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id;

	CU_ASSERT_EQUAL(DEV(mem_type_to_server, m.domid, m.server, true), 0);
	CU_ASSERT_EQUAL(DEV(mem_set_type, m.domid, MEM_IOREQ_SERVER, 2, 1), 0);
	CU_ASSERT(fake_ram_write(m.domid, PAGE, "\x11\x22\x33", 3));
	id = fake_guest_movs_to(m.domid, 0, 2 * PAGE, PAGE, 1, 3, false);
	for (unsigned i = 0; i < 3; i++) {
		struct ioreq *req = take(&m, 0);

		CU_ASSERT_EQUAL(req->addr, 2 * PAGE + i);
		CU_ASSERT_EQUAL(req->count, 1);
		CU_ASSERT_EQUAL(req->data_is_ptr, 0);
		CU_ASSERT_EQUAL(req->data, 0x11 * (i + 1));
		answer(&m, 0, 0);
	}
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void pci_configuration_has_its_own_type(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_pci_read(m.domid, 0, 0x0010, 0x0a, 2);
	struct ioreq *req = take(&m, 0);

	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_PIO);
	CU_ASSERT_EQUAL(req->addr, 0xcf8);
	CU_ASSERT_EQUAL(req->data, 0x80001008);
	answer(&m, 0, 0);
	req = take(&m, 0);
	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_PCI_CONFIG);
	CU_ASSERT_EQUAL(req->addr, 0x10ull << 32 | 0x0a);
	CU_ASSERT_EQUAL(req->size, 2);
	answer(&m, 0, 0x0604);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT_EQUAL(fake_guest_value(m.domid, 0, id), 0x0604);
	/* without the enable bit 0xcfc is a port like any other */
	fake_guest_out(m.domid, 0, 0xcf8, 4, 0);
	take(&m, 0);
	answer(&m, 0, 0);
	fake_guest_in(m.domid, 0, 0xcfc, 4);
	req = take(&m, 0);
	CU_ASSERT_EQUAL(req->type, IOREQ_TYPE_PIO);
	CU_ASSERT_EQUAL(req->addr, 0xcfc);
	answer(&m, 0, 0);
	machine_free(&m);
	assert_clean();
}

static void xens_own_devices_answer_themselves(void)
{
	static const uint16_t pic_pit[] = {0x20, 0x43, 0x61, 0xa1, 0x4d0, 0x1f40};
	struct machine hvm = machine_new(1, EMULATION_HVM), bare = machine_new(1, EMULATION_LAPIC);
	int id = 0;

	for (unsigned i = 0; i < sizeof pic_pit / sizeof *pic_pit; i++) {
		id = fake_guest_in(hvm.domid, 0, pic_pit[i], 1);
		fake_guest_in(bare.domid, 0, pic_pit[i], 1);
		CU_ASSERT_EQUAL(take(&bare, 0)->addr, pic_pit[i]);
		answer(&bare, 0, 0);
	}
	CU_ASSERT(fake_guest_wait(hvm.domid, 0, id, SOON));
	/* HPET and IOAPIC, but the LAPIC in both */
	id = fake_guest_read(hvm.domid, 0, 0xfed00000, 4);
	id = fake_guest_read(hvm.domid, 0, 0xfec00000, 4);
	CU_ASSERT(fake_guest_wait(hvm.domid, 0, id, SOON));
	id = fake_guest_read(bare.domid, 0, 0xfee00020, 4);
	CU_ASSERT(fake_guest_wait(bare.domid, 0, id, SOON));
	fake_guest_read(bare.domid, 0, 0xfec00000, 4);
	CU_ASSERT_EQUAL(take(&bare, 0)->addr, 0xfec00000);
	answer(&bare, 0, 0);
	machine_free(&hvm);
	machine_free(&bare);
	assert_clean();
}

static void of_the_rtc_only_the_time_is_xens(void)
{
	struct machine m = machine_new(1, EMULATION_HVM);

	fake_guest_out(m.domid, 0, 0x70, 1, 0x0a);
	fake_guest_in(m.domid, 0, 0x71, 1);
	fake_guest_out(m.domid, 0, 0x70, 1, 0x34);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 0x70);
	answer(&m, 0, 0);
	fake_guest_in(m.domid, 0, 0x71, 1);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 0x71);
	answer(&m, 0, 0);
	machine_free(&m);
	assert_clean();
}

static void the_debug_port_differs_between_versions(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	int id = fake_guest_out(m.domid, 0, 0xe9, 1, 'x');

	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	id = fake_guest_in(m.domid, 0, 0xe9, 1);
	CU_ASSERT_EQUAL(take(&m, 0)->addr, 0xe9);
	answer(&m, 0, 0xe9);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	fake_version("4.20.3");
	id = fake_guest_in(m.domid, 0, 0xe9, 1);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	assert_clean();
}

static void an_in_keeps_what_it_does_not_write_of_rax(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct hvm_hw_cpu regs;
	int id;

	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	regs.rax = 0x1122334455667788;
	CU_ASSERT(fake_guest_set_regs(m.domid, 0, &regs));
	id = fake_guest_in(m.domid, 0, 0x60, 1);
	take(&m, 0);
	answer(&m, 0, 0xffff);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rax, 0x11223344556677ff);
	id = fake_guest_in(m.domid, 0, 0x60, 4);
	take(&m, 0);
	answer(&m, 0, ~0ull);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	CU_ASSERT(fake_guest_regs(m.domid, 0, &regs));
	CU_ASSERT_EQUAL(regs.rax, 0xffffffff);
	machine_free(&m);
	assert_clean();
}

struct counter {
	unsigned left, answers;
};

static bool count_down(void *arg, unsigned vcpu, const struct hvm_hw_cpu *regs,
		       const struct fake_op *last, struct fake_op *next)
{
	struct counter *c = arg;

	if (last && last->kind == FAKE_IN && last->value == 0x77)
		c->answers++;
	if (!c->left)
		return false;
	c->left--;
	*next = (struct fake_op){.kind = FAKE_IN, .addr = 0x60, .size = 1};
	return true;
}

static void a_program_decides_as_it_goes(void)
{
	struct machine m = machine_new(1, EMULATION_LAPIC);
	struct counter c = {.left = 100};
	int id;

	fake_guest_program(m.domid, 0, count_down, &c);
	for (unsigned i = 0; i < 100; i++) {
		take(&m, 0);
		answer(&m, 0, 0x77);
	}
	/* what is pushed comes before what the program wants */
	id = fake_guest_nop(m.domid, 0);
	CU_ASSERT(fake_guest_wait(m.domid, 0, id, SOON));
	machine_free(&m);
	CU_ASSERT_EQUAL(c.left, 0);
	CU_ASSERT(c.answers >= 99); /* it need not have been told of the last */
	assert_clean();
}

CU_TestInfo fake_io_tests[] = {
	TEST(mmio_waits_at_the_instruction),
	TEST(wide_operands_come_in_pieces),
	TEST(ram_needs_nobody),
	TEST(writes_to_a_servers_page_are_requests_and_reads_are_not),
	TEST(writes_to_read_only_ram_vanish),
	TEST(rep_outs_names_the_ram),
	TEST(rep_ins_may_walk_down),
	TEST(rep_stos_and_movs),
	TEST(rep_movs_into_a_servers_page_comes_one_by_one),
	TEST(pci_configuration_has_its_own_type),
	TEST(xens_own_devices_answer_themselves),
	TEST(of_the_rtc_only_the_time_is_xens),
	TEST(the_debug_port_differs_between_versions),
	TEST(an_in_keeps_what_it_does_not_write_of_rax),
	TEST(a_program_decides_as_it_goes),
	CU_TEST_INFO_NULL,
};
