/*
 * resident: what VMs cost their VMM in memory.
 *
 * Prints lines "WHAT KIB" from the private resident memory (/proc/self/smaps_rollup): a program
 * that does nothing yet, the first VM that has run, each further VM, each further vcpu of a VM.
 * Guest memory counts where it is the VMM's own, which under Xen it is not: a few pages here.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lab/programs/vm.h"

#define VMS   4u
#define VCPUS 8u

GUEST(guest, 64, "1: tell; jmp 1b");

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long sum = 0, kib;

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Private_Clean: %ld", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %ld", &kib) == 1)
			sum += kib;
	if (!f || !sum)
		fail("no /proc/self/smaps_rollup");
	fclose(f);
	return sum;
}

/* A VM whose vcpus have all run. */
static void vm_with(struct vm *vm, unsigned vcpus)
{
	struct vcpu *all = calloc(vcpus, sizeof *all);

	if (!all)
		fail("out of memory");
	vm_start(vm);
	alarm(0);
	vm_load(vm, CODE, guest);
	for (unsigned i = 0; i < vcpus; i++) {
		vcpu_create(vm, &all[i], i);
		vcpu_long_mode(&all[i], CODE);
	}
	for (unsigned i = 0; i < vcpus; i++)
		if (vcpu_run(&all[i]) != KVM_EXIT_IO)
			fail("exit reason %u", all[i].run->exit_reason);
}

int main(void)
{
	struct vm vms[VMS + 1];
	long before, first, further, vcpus;

	before = resident_kib();
	vm_with(&vms[0], 1);
	first = resident_kib();
	for (unsigned i = 1; i < VMS; i++)
		vm_with(&vms[i], 1);
	further = resident_kib();
	vm_with(&vms[VMS], VCPUS);
	vcpus = resident_kib();
	printf("before %ld\nfirst-vm %ld\nfurther-vm %ld\nfurther-vcpu %ld\n", before,
	       first - before, (further - first) / (VMS - 1),
	       (vcpus - further - (further - first) / (VMS - 1)) / (VCPUS - 1));
	return 0;
}
