// 1000 random states of a small guest: each is set, the guest executes one OUT from it, and what
// is got afterwards is what was set, but for RIP.  The first difference is named by its field.
// usage: state-random [STATES]

#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STATES  1000
#define CHIPS   10 // each so many the interrupt controllers and the PIT as well
#define SECONDS 900
#define NAMED   20 // differences printed, each field once

GUEST(guest, 64, "out %al, $0x90; hlt");

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void)
{
	return state_random(&seed);
}

static uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

// A segment that both kinds of processor keep as it is: accessed, granularity as the limit says.
static struct kvm_segment data_segment(void)
{
	bool large = rnd() & 1;
	struct kvm_segment s = {
		.base = (uint32_t)rnd(),
		.limit = large ? (uint32_t)rnd() | 0x100fff : rnd() & 0xfffff,
		.selector = (uint16_t)rnd(),
		.type = rnd() & 1 ? 3 : 7,
		.present = 1,
		.db = rnd() & 1,
		.s = 1,
		.g = large,
		.avl = rnd() & 1,
	};

	return s;
}

static void random_sregs(struct kvm_sregs *s)
{
	s->ds = data_segment();
	s->es = data_segment();
	s->fs = data_segment();
	s->gs = data_segment();
	s->fs.base = canonical(rnd());
	s->gs.base = canonical(rnd());
	s->ds.dpl = rnd() & 3;
	s->ss.selector = rnd() & 0xfffc;
	s->ss.avl = rnd() & 1;
	s->cs.selector = rnd() & 0xfffc;
	s->cs.avl = rnd() & 1;
	s->tr.base = canonical(rnd());
	s->tr.limit = rnd() & 0xffff;
	s->tr.selector = rnd() & 0xfff8;
	s->ldt.base = canonical(rnd());
	s->ldt.limit = rnd() & 0xffff;
	s->ldt.selector = rnd() & 0xfff8;
	s->gdt.base = canonical(rnd());
	s->gdt.limit = (uint16_t)rnd();
	s->idt.base = canonical(rnd());
	s->idt.limit = (uint16_t)rnd();
	// MP, NE, WP, AM; TSD, DE, MCE, PGE, PCE, OSXMMEXCPT; SCE, NXE.
	s->cr0 = (s->cr0 & ~0x50022ull) | (rnd() & 0x50022);
	s->cr2 = canonical(rnd());
	s->cr3 = TABLES | (rnd() & 0x18);
	s->cr4 = (s->cr4 & ~0x5ccull) | (rnd() & 0x5cc);
	s->efer = (s->efer & ~0x801ull) | (rnd() & 0x801);
	s->cr8 = rnd() & 15;
}

static void random_fpu(struct kvm_xsave *x)
{
	uint8_t *area = (uint8_t *)x->region;

	// Control and status words, tags; no pointers: a processor may forget them.
	*(uint16_t *)area = (rnd() & 0xf3f) | 0x40;
	*(uint16_t *)(area + 2) = (rnd() & 7) << 11 | (rnd() & 0x4700);
	area[4] = (uint8_t)rnd();
	memset(area + 5, 0, 19);
	*(uint32_t *)(area + 24) = rnd() & 0xffc0;
	*(uint32_t *)(area + 28) = 0xffff; // which of them there are
	for (unsigned int i = 0; i < 8; i++) {
		*(uint64_t *)(area + 32 + 16 * i) = rnd();
		*(uint64_t *)(area + 40 + 16 * i) = rnd() & 0xffff;
	}
	for (unsigned int i = 160; i < 416; i += 8)
		*(uint64_t *)(area + i) = rnd();
	*(uint64_t *)(area + 512) = 3;
}

static void lapic_set(struct kvm_lapic_state *lapic, unsigned int at, uint32_t value)
{
	memcpy(lapic->regs + at, &value, sizeof(value));
}

static void random_lapic(struct state *s)
{
	struct kvm_lapic_state *l = &s->lapic;
	uint32_t tpr = (uint32_t)s->sregs.cr8 << 4; // KVM forgets the bits below

	lapic_set(l, 0x80, tpr);
	lapic_set(l, 0xa0, tpr); // PPR: nothing is in service
	lapic_set(l, 0xd0, (uint32_t)(rnd() << 24));
	lapic_set(l, 0xe0, rnd() & 1 ? 0xffffffff : 0x0fffffff);
	lapic_set(l, 0xf0, 0x100 | (rnd() & 0xf0) | 15);
	for (unsigned int i = 0; i < 8; i++) {
		lapic_set(l, 0x180 + 16 * i, i ? (uint32_t)rnd() : 0); // TMR
		lapic_set(l, 0x200 + 16 * i, i ? (uint32_t)rnd() : 0); // IRR; interrupts are off
	}
	lapic_set(l, 0x300, rnd() & 0xcc0ff);
	lapic_set(l, 0x310, (uint32_t)(rnd() << 24));
	for (unsigned int at = 0x320; at <= 0x370; at += 0x10)
		lapic_set(l, at, 0x10000 | (rnd() & 0xff));
	lapic_set(l, 0x3e0, rnd() & 0xb);
}

static void random_chips(struct state *s)
{
	struct kvm_ioapic_state *io = &s->ioapic.chip.ioapic;

	for (unsigned int i = 0; i < 2; i++) {
		struct kvm_pic_state *p = &s->pic[i].chip.pic;

		p->imr = 0xff;
		p->irr = rnd() & (i ? 0xff : 0xfa); // not the timer's, not the cascade
		p->isr = (uint8_t)rnd();
		p->priority_add = rnd() & 7;
		p->irq_base = rnd() & 0xf8;
		p->read_reg_select = rnd() & 1;
		p->poll = rnd() & 1;
		p->special_mask = rnd() & 1;
		p->auto_eoi = rnd() & 1;
		p->rotate_on_auto_eoi = rnd() & 1;
		p->special_fully_nested_mode = rnd() & 1;
		p->elcr = rnd() & p->elcr_mask;
	}
	io->ioregsel = rnd() & 0xff;
	io->id = rnd() & 15;
	for (unsigned int i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		// Masked; vector, destination, mode, polarity, trigger.
		io->redirtbl[i].bits = 0x10000 | (rnd() & 0xff0000000000a8ff);
	for (unsigned int i = 1; i < 3; i++) {
		struct kvm_pit_channel_state *c = &s->pit.channels[i];

		c->count = 1 + (rnd() & 0xffff);
		c->latched_count = (uint16_t)rnd();
		c->count_latched = rnd() & 3;
		c->status_latched = rnd() & 1;
		c->status = (uint8_t)rnd();
		c->read_state = 1 + rnd() % 4;
		c->write_state = 1 + rnd() % 4;
		c->write_latch = (uint8_t)rnd();
		c->rw_mode = 1 + rnd() % 3;
		c->mode = rnd() % 6;
		c->bcd = rnd() & 1;
		c->gate = i == 1 || (rnd() & 1);
	}
	s->pit.flags = rnd() & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}

static void random_msrs(struct state *s)
{
	for (unsigned int i = 0; i < STATE_MSRS; i++) {
		switch (state_msrs[i]) {
		case 0x277: // the emulated processor has no page attributes for guests
			break;
		case 0x250 ... 0x26f:
			s->msrs[i] = rnd() & 1 ? 0x0606060606060606 : 0x0000050501010404;
			break;
		case 0x2ff:
			s->msrs[i] = (rnd() & 0xc00) | 6;
			break;
		case 0x200:
		case 0x20e:
			s->msrs[i] = (rnd() & 0xfffff000) | 6;
			break;
		case 0x201:
		case 0x20f:
			s->msrs[i] = (rnd() & 0xffffff000) | 0x800;
			break;
		case 0x400:
			s->msrs[i] = rnd() & 1 ? ~0ull : 0;
			break;
		case 0x174 ... 0x176: // 32 bits in KVM on AMD
		case 0xc0000103:
			s->msrs[i] = (uint32_t)rnd();
			break;
		case 0x17a:
		case 0x1a0:
			break;
		default:
			s->msrs[i] = canonical(rnd());
		}
	}
}

static void random_state(struct state *s)
{
	uint64_t *r = (uint64_t *)&s->regs;

	for (unsigned int i = 0; i < 16; i++)
		r[i] = rnd();
	s->regs.rip = CODE;
	// The status flags, DF, IOPL, NT, AC, ID.
	s->regs.rflags = 2 | (rnd() & 0x247cd5);
	random_sregs(&s->sregs);
	random_fpu(&s->xsave);
	for (unsigned int i = 0; i < 4; i++)
		s->debugregs.db[i] = canonical(rnd());
	s->debugregs.dr6 = 0xffff0ff0 | (rnd() & 0xe00f);
	s->debugregs.dr7 = 0x400 | (rnd() & 0xffff0000); // none enabled
	random_lapic(s);
	random_msrs(s);
}

static unsigned int number, differing, named;

static void found(const char *name, uint64_t set, uint64_t got)
{
	static char seen[NAMED][80];

	for (unsigned int i = 0; i < named; i++)
		if (strcmp(seen[i], name) == 0)
			return;
	if (named == NAMED)
		return;
	snprintf(seen[named++], sizeof(seen[0]), "%s", name);
	printf("state %u: %s: set %llx, got %llx\n", number, name, (unsigned long long)set,
	       (unsigned long long)got);
}

static void any(const char *name, uint64_t set, uint64_t got)
{
	(void)name;
	(void)set;
	(void)got;
	differing++;
}

int main(int argc, char **argv)
{
	unsigned int wanted = argc > 1 ? (unsigned int)atoi(argv[1]) : STATES;
	static struct state first, set, got;
	unsigned int states = 0;
	struct vm vm;
	struct vcpu vcpu;

	vm_boot_irqchip(&vm, &vcpu, 64, guest);
	alarm(SECONDS);
	state_get(&vcpu, &first, true);
	for (number = 0; number < wanted; number++) {
		bool chips = number % CHIPS == 0;

		set = first;
		random_state(&set);
		if (chips)
			random_chips(&set);
		state_set(&vcpu, &set, chips);
		if (vcpu_run(&vcpu) != KVM_EXIT_IO || vcpu.run->io.port != 0x90)
			fail("state %u: exit %u", number, vcpu.run->exit_reason);
		if (*io_data(vcpu.run) != (uint8_t)set.regs.rax)
			fail("state %u: not its rax", number);
		// The instruction is completed, the next one not begun.
		vcpu.run->immediate_exit = 1;
		if (vcpu_try_run(&vcpu) == 0)
			fail("state %u: immediate_exit did not stop it", number);
		vcpu.run->immediate_exit = 0;
		got = set;
		state_get(&vcpu, &got, chips);
		set.regs.rip += 2;
		differing = 0;
		state_compare(&set, &got, any);
		states += differing != 0;
		state_compare(&set, &got, found);
	}
	printf("%u states, %u not got as they were set\n", number, states);
	return 0;
}
