#include "tests/bench/guest.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* In the order of the guest's table. Those that kvm-unit-tests' vmexit has bear its names. */
static const char *const names[] = {
	"portio-no-eventfd",
	"inl_from_qemu",
	"mmio-no-eventfd:write",
	"mmio-no-eventfd:read",
	"outsb-per-byte",
	"insb-per-byte",
	"portio-wildcard-eventfd",
	"portio-datamatch-eventfd",
	"mmio-wildcard-eventfd",
	"mmio-datamatch-eventfd",
	"coalesced-mmio",
	"coalesced-pio",
	"cpuid",
};

/* An operation: what comes before its loop, and its body. */
#define LOOP(name, before, body) name ":\n" before "\n1:\n" body "\ndec %ecx\njnz 1b\njmp done\n"
#define AT(name)                 ".long " name " - guest_code + 0x8000\n"

asm(".set PORT, 0x510\n.set WILDCARD, 0x520\n.set DATAMATCH, 0x524\n.set COALESCED, 0x528\n"
    ".set MMIO, 0xd0000000\n"
    ".pushsection .rodata\n.code32\n.globl guest_code, guest_code_end\nguest_code:\n"
    "ask: mov $0x500, %edx; in %dx, %eax; mov %eax, %ebx; in %dx, %eax; mov %eax, %ecx\n"
    "mov $0x77, %eax; mov $0x20000, %esi; mov $0x20000, %edi; cld\n"
    "jmp *table - guest_code + 0x8000(,%ebx,4)\n"
    "done: mov $0x508, %edx; out %eax, %dx; jmp ask\n"
    "table:" AT("out_") AT("in_") AT("write_") AT("read_") AT("outs_") AT("ins_") AT("out_wild") AT(
	    "out_match") AT("write_wild") AT("write_match") AT("write_zone") AT("out_zone")
	    AT("cpuid_") LOOP("out_", "mov $PORT, %edx", "out %eax, %dx") LOOP(
		    "in_", "mov $PORT, %edx", "in %dx, %eax") LOOP("write_", "", "mov %eax, MMIO")
		    LOOP("read_",
			 "", "mov MMIO, %eax") "outs_: mov $PORT, %edx; rep outsb; jmp done\n"
					       "ins_: mov $PORT, %edx; rep insb; jmp done\n" LOOP(
						       "out_wild", "mov $WILDCARD, %edx",
						       "out %eax, %dx") LOOP("out_match",
									     "mov $DATAMATCH, %edx",
									     "out %eax, %dx")
						       LOOP("write_wild", "",
							    "mov %eax, MMIO + 0x1000") LOOP("write_"
											    "match",
											    "",
											    "mov "
											    "%eax, "
											    "MMIO "
											    "+ "
											    "0x101"
											    "0")
							       LOOP("write_zone", "",
								    "mov %eax, MMIO + 0x2000")
								       LOOP("out_zone",
									    "mov $COALESCED, %edx",
									    "out %eax, %dx")
									       LOOP("cpuid_",
										    "mov %ecx, "
										    "%esi",
										    "xor %eax, "
										    "%eax; cpuid; "
										    "mov %esi, "
										    "%ecx; dec "
										    "%esi") "guest_"
											    "code_"
											    "end:"
											    "\n."
											    "code64"
											    "\n."
											    "popsec"
											    "tion");

int guest_row(const char *name)
{
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

void worker_serve(int64_t (*batch)(unsigned row, unsigned count))
{
	char name[64];
	unsigned count;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%63s %u", name, &count) == 2) {
		int row = guest_row(name);
		int64_t took = row < 0 ? -1 : batch((unsigned)row, count);

		if (took < 0)
			puts("-");
		else
			printf("%lld\n", (long long)took);
	}
}
