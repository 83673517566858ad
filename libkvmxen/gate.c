#include "libkvmxen/gate.h"
#include "libkvmxen/hot.h"

#include <errno.h>
#include <stddef.h>
#include <sys/rseq.h>

/* An abort is a signal or a loss of the processor within some ten instructions. */
#define ABORTS_MAX 1000

_Static_assert(ECANCELED == 125 && RSEQ_SIG == 0x53053053, "as in the assembler text");

/* libc's __rseq_offset, nearer. */
static HOT_DATA ptrdiff_t area_offset;
static HOT_DATA bool registered;

__attribute__((constructor)) static void find_area(void)
{
	area_offset = __rseq_offset;
	registered = __rseq_size != 0;
}

static inline struct rseq *rseq_area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + area_offset);
}

HOT bool gate_works(void)
{
	return registered && (int)rseq_area()->cpu_id >= 0;
}

/*
 * From 1 to 2 is the sequence. Its last instruction is the system call: what interrupts the thread
 * from then on finds it at 2, outside. (A system call that would restart is set back to the
 * instruction, and is aborted too: the gate is looked at anew.) 4 must follow libc's signature. 0:
 * aborted; else the result is in rax.
 */
static bool try_once(const volatile uint8_t *gate, long number, const long a[6], long *result)
{
	struct rseq *area = rseq_area();
	register long r10 asm("r10") = a[3];
	register long r8 asm("r8") = a[4];
	register long r9 asm("r9") = a[5];
	long rax = number, done;

	asm volatile(".pushsection __rseq_cs, \"aw\"\n"
		     ".balign 32\n"
		     "3: .long 0, 0\n"
		     ".quad 1f, 2f - 1f, 4f\n"
		     ".popsection\n"
		     "lea 3b(%%rip), %%rcx\n"
		     "mov %%rcx, %[cs]\n"
		     "1: cmpb $0, (%[gate])\n"
		     "jne 5f\n"
		     "syscall\n"
		     "2: mov $1, %[done]\n"
		     "jmp 6f\n"
		     ".byte 0x0f, 0xb9, 0x3d\n"
		     ".long 0x53053053\n"
		     "4: xor %k[done], %k[done]\n"
		     "jmp 6f\n"
		     "5: mov $-125, %%rax\n"
		     "mov $1, %[done]\n"
		     "6:\n"
		     : "+a"(rax), [cs] "=m"(area->rseq_cs), [done] "=&r"(done)
		     : [gate] "r"(gate), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory", "cc");
	*result = rax;
	return done;
}

long gate_syscall(const volatile uint8_t *gate, long number, const long arguments[6])
{
	long result;

	for (int i = 0; i < ABORTS_MAX; i++)
		if (try_once(gate, number, arguments, &result))
			return result;
	return -EDEADLK;
}
