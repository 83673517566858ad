// One instruction at a time: each of a list (state-step.h) is executed from the same random
// state, in long mode, and stopped behind it by an OUT or in its exception's handler.  A line for
// each says which fields of the state and which bytes of memory it changed, and to what.

#include "state.h"

#include <stdio.h>
#include <unistd.h>

#define SECONDS   900
#define DONE_PORT 0x90
#define TRAP_PORT 0x92
#define DATA_PORT 0x600

#define STEP(kind, text)                                                                           \
	asm(".pushsection .rodata\n771: " text "\n772:\n773: .asciz \"" kind ": " text             \
	    "\"\n.popsection\n.pushsection steps, \"aw\"\n.balign 8\n.quad 771b, 772b, 773b\n"     \
	    ".popsection");
#ifndef STEPS
#define STEPS "state-step.h"
#endif
#include STEPS

struct step {
	const uint8_t *code, *end;
	const char *text;
};
extern const struct step __start_steps[], __stop_steps[];

GUEST(stop, 64, "out %al, $0x90; hlt");
// Handlers: a byte of the vector, without an effect on registers.
GUEST(trap, 64, "out %al, $0x92; hlt");

static struct vm vm;
static struct vcpu vcpu;
static struct state initial, before, after;
static uint64_t seed = 0x853c49e6748fea9b;

static uint64_t rnd(void)
{
	return state_random(&seed);
}

// Registers that every instruction of the list can start with.
static void make_state(struct state *s)
{
	uint64_t *r = (uint64_t *)&s->regs;
	uint8_t *area = (uint8_t *)s->xsave.region;

	for (unsigned int i = 0; i < 16; i++)
		r[i] = rnd();
	s->regs.rcx = 5; // repetitions, shift counts
	s->regs.rdx = DATA_PORT;
	s->regs.rsi = BUFFER + 0x10;
	s->regs.rdi = BUFFER + 0x1010;
	s->regs.rsp = STACK;
	s->regs.rbp = STACK - 0x100;
	s->regs.rip = CODE;
	s->regs.rflags = 2 | (rnd() & 0x8d5 & ~0x400ull);
	*(uint16_t *)area = 0x37f;
	*(uint16_t *)(area + 2) = 4 << 11; // four values on the stack
	area[4] = 0xf0;
	*(uint32_t *)(area + 24) = 0x1f80;
	*(uint32_t *)(area + 28) = 0xffff;
	for (unsigned int i = 0; i < 4; i++) {
		*(uint64_t *)(area + 32 + 16 * i) = rnd() | 1ull << 63;
		*(uint64_t *)(area + 40 + 16 * i) = 0x3ff0 + (rnd() & 15);
	}
	for (unsigned int i = 160; i < 416; i += 8)
		*(uint64_t *)(area + i) = 0x3ff0000000000000 | (rnd() >> 12);
	*(uint64_t *)(area + 512) = 3;
}

static void make_memory(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) table = {0x17f, GDT};
	uint64_t data_seed = 0xda942042e4dd58b5;
	uint8_t *buffer = vm.ram + BUFFER;

	memset(vm.ram + STACK - 0x1000, 0, 0x1000);
	for (unsigned int i = 0; i < 0x2000; i += 8)
		*(uint64_t *)(buffer + i) = state_random(&data_seed);
	*(double *)(buffer + 0x40) = 1.5;
	*(float *)(buffer + 0x48) = -2.25f;
	*(uint64_t *)(buffer + 0x50) = 0xc000000000000000;
	*(uint16_t *)(buffer + 0x58) = 0x4001;
	*(uint16_t *)(buffer + 0x60) = 0x27f;
	*(uint32_t *)(buffer + 0x64) = 0x3f80;
	memcpy(buffer + 0x100, &table, sizeof(table));
	memcpy(buffer + 0x110, &table, sizeof(table));
	// An image for FXRSTOR.
	memset(buffer + 0x200, 0, 512);
	*(uint16_t *)(buffer + 0x200) = 0x37f;
	*(uint32_t *)(buffer + 0x200 + 24) = 0x1f80;
	for (unsigned int i = 160; i < 416; i++)
		buffer[0x200 + i] = (uint8_t)i;
}

static void show(const char *name, uint64_t old, uint64_t new)
{
	(void)old;
	printf(" %s %llx", name, (unsigned long long)new);
}

static void show_memory(const uint8_t *old, uint64_t from, uint64_t size)
{
	for (uint64_t i = 0; i < size; i += 8) {
		uint64_t a, b;

		memcpy(&a, old + i, 8);
		memcpy(&b, vm.ram + from + i, 8);
		if (a != b)
			printf(" [%llx] %llx", (unsigned long long)(from + i),
			       (unsigned long long)b);
	}
}

// Runs to the OUT behind the instruction or in a handler.
static void play(void)
{
	vcpu.answer = 0x10;
	for (unsigned int exits = 0; exits < 100; exits++) {
		unsigned int reason = vcpu_run(&vcpu);

		if (reason != KVM_EXIT_IO) {
			printf(" exit %u", reason);
			return;
		}
		if (vcpu.run->io.port == DONE_PORT || vcpu.run->io.port == TRAP_PORT) {
			if (vcpu.run->io.port == TRAP_PORT)
				printf(" trap");
			break;
		}
		vcpu_answer(&vcpu);
		if (vcpu.run->io.direction == KVM_EXIT_IO_OUT) {
			printf(" out");
			print_bytes(io_data(vcpu.run), vcpu.run->io.size * vcpu.run->io.count);
		}
	}
	vcpu.run->immediate_exit = 1;
	if (vcpu_try_run(&vcpu) == 0)
		printf(" not stopped");
	vcpu.run->immediate_exit = 0;
}

static void do_step(const struct step *step)
{
	static uint8_t stack[0x1000], buffer[0x2000];
	size_t size = (size_t)(step->end - step->code);

	make_memory();
	memset(vm.ram + CODE, 0xf4, 64);
	vm_copy(&vm, CODE, step->code, size);
	vm_copy(&vm, CODE + size, stop, (size_t)(stop_end - stop));
	before = initial;
	make_state(&before);
	state_set(&vcpu, &before, false);
	memcpy(stack, vm.ram + STACK - 0x1000, sizeof(stack));
	memcpy(buffer, vm.ram + BUFFER, sizeof(buffer));
	printf("%s:", step->text);
	play();
	after = before;
	state_get(&vcpu, &after, false);
	// Where it went on is told by the port; an address in a handler by the vector.
	state_compare(&before, &after, show);
	show_memory(stack, STACK - 0x1000, sizeof(stack));
	show_memory(buffer, BUFFER, sizeof(buffer));
	putchar('\n');
}

int main(void)
{
	vm_start_irqchip(&vm);
	alarm(SECONDS);
	vcpu_create(&vm, &vcpu, 0);
	vcpu_mode(&vcpu, 64, CODE);
	vcpu_set_cpuid(&vcpu);
	for (unsigned int vector = 0; vector < 64; vector++)
		vm_handler(&vm, 64, vector, vector, trap);
	state_get(&vcpu, &initial, false);
	for (const struct step *step = __start_steps; step < __stop_steps; step++)
		do_step(step);
	return 0;
}
