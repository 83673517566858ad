/*
 * A guest for xl's tests that is there at once: a multiboot kernel on QEMU's pc. It says on the
 * serial port what happens to it.
 *
 *   a   "answer N", N counted by itself, and the hypervisor's name, which CPUID tells
 *   r   resets the machine        t   by a triple fault
 *   power button: says so and switches the machine off
 */
#define MAGIC 0x1badb002u

__attribute__((section(".multiboot"), used)) static const unsigned header[] = {MAGIC, 0, -MAGIC};

enum {
	COM1 = 0x3f8,
	COM1_LINE = COM1 + 5,
	PM1_STATUS = 0x600, /* where QEMU's firmware puts it */
	PM1_ENABLE = PM1_STATUS + 2,
	PM1_CONTROL = PM1_STATUS + 4,
	POWER_BUTTON = 1 << 8,
	SLEEP = 1 << 13, /* of type 0: off */
	RESET = 0xcf9,
};

static void outb(unsigned short port, unsigned char value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static void outw(unsigned short port, unsigned short value)
{
	__asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static unsigned short inw(unsigned short port)
{
	unsigned short value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static unsigned char inb(unsigned short port)
{
	unsigned char value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	while (*text)
		outb(COM1, *text++);
}

static void answer(void)
{
	static unsigned count;
	char digits[] = "answer 00 ";
	union {
		unsigned words[3];
		char text[13];
	} name = {.text = ""};
	unsigned leaf = 0x40000000;

	count++;
	digits[7] += count / 10 % 10;
	digits[8] += count % 10;
	say(digits);
	__asm__ volatile("cpuid"
			 : "+a"(leaf), "=b"(name.words[0]), "=c"(name.words[1]),
			   "=d"(name.words[2]));
	say(name.text);
	say("\r\n");
}

static void triple_fault(void)
{
	static const struct {
		unsigned short limit;
		unsigned base;
	} __attribute__((packed)) none;

	__asm__ volatile("lidt %0; int3" ::"m"(none));
}

static void command(char letter)
{
	switch (letter) {
	case 'a':
		answer();
		break;
	case 'r':
		outb(RESET, 0x06);
		break;
	case 't':
		triple_fault();
		break;
	}
}

__attribute__((used)) void guest(void)
{
	outw(PM1_ENABLE, POWER_BUTTON);
	say("here\r\n");
	for (;;) {
		if (inb(COM1_LINE) & 1)
			command(inb(COM1));
		if (inw(PM1_STATUS) & POWER_BUTTON) {
			say("the power button\r\n");
			outw(PM1_CONTROL, SLEEP);
		}
		for (int i = 0; i < 200000; i++)
			__asm__ volatile("pause");
	}
}

static char stack[4096] __attribute__((aligned(16), used));

__asm__(".globl _start\n"
	"_start: mov $stack + 4096, %esp\n"
	"call guest\n");
