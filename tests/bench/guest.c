#include "tests/bench/guest.h"

/* In the order of the guest's table. Those that kvm-unit-tests' vmexit has bear its names. */
const char *const guest_rows[GUEST_ROWS] = {
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

/* `again`: the end of an operation's loop. `at`: an entry of the table, which is in the order of
 * the names above. GUEST_* of the header are written out: the assembler knows no enums. */
asm(".set PORT, 0x510\n"
    ".set WILDCARD, 0x520\n"
    ".set DATAMATCH, 0x524\n"
    ".set COALESCED, 0x528\n"
    ".set MMIO, 0xd0000000\n"
    ".set CODE, 0x8000\n"
    ".macro again\n dec %ecx\n jnz 1b\n jmp done\n.endm\n"
    ".macro at operation\n .long \\operation - guest_code + CODE\n.endm\n"
    ".pushsection .rodata\n"
    ".code32\n"
    ".globl guest_code, guest_code_end\n"
    "guest_code:\n"
    "ask: mov $0x500, %edx; in %dx, %eax; mov %eax, %ebx; in %dx, %eax; mov %eax, %ecx\n"
    "mov $0x77, %eax; mov $0x20000, %esi; mov $0x20000, %edi; cld\n"
    "jmp *table - guest_code + CODE(,%ebx,4)\n"
    "done: mov $0x508, %edx; out %eax, %dx; jmp ask\n"
    "table: at out_; at in_; at write_; at read_; at outs_; at ins_\n"
    "at out_wild; at out_match; at write_wild; at write_match\n"
    "at write_zone; at out_zone; at cpuid_\n"
    "out_: mov $PORT, %edx\n1: out %eax, %dx; again\n"
    "in_: mov $PORT, %edx\n1: in %dx, %eax; again\n"
    "write_:\n1: mov %eax, MMIO; again\n"
    "read_:\n1: mov MMIO, %eax; again\n"
    "outs_: mov $PORT, %edx; rep outsb; jmp done\n"
    "ins_: mov $PORT, %edx; rep insb; jmp done\n"
    "out_wild: mov $WILDCARD, %edx\n1: out %eax, %dx; again\n"
    "out_match: mov $DATAMATCH, %edx\n1: out %eax, %dx; again\n"
    "write_wild:\n1: mov %eax, MMIO + 0x1000; again\n"
    "write_match:\n1: mov %eax, MMIO + 0x1010; again\n"
    "write_zone:\n1: mov %eax, MMIO + 0x2000; again\n"
    "out_zone: mov $COALESCED, %edx\n1: out %eax, %dx; again\n"
    "cpuid_: mov %ecx, %esi\n1: xor %eax, %eax; cpuid; mov %esi, %ecx; dec %esi; again\n"
    "guest_code_end:\n"
    ".code64\n"
    ".popsection");
