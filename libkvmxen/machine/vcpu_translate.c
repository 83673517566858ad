/*
 * vcpu_translate: KVM_TRANSLATE, a walk of the guest's page tables in the VMM's own mapping.
 * Intel SDM volume 3, chapter 4.
 */
#include <errno.h>
#include <string.h>

#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/cpuid.h"
#include "libkvmxen/machine/load.h"

#define CR0_PG   (1ull << 31)
#define CR4_PSE  (1ull << 4)
#define CR4_PAE  (1ull << 5)
#define CR4_LA57 (1ull << 12)
#define EFER_LMA (1ull << 10)
#define PTE_P    1ull
#define PTE_PS   (1ull << 7)
#define PTE_ADDR 0x000ffffffffff000ull

/* One kind of paging: how many levels, how the address is cut. */
struct paging {
	int levels, entry_size, bits;
};

static bool read_entry(struct vm *vm, uint64_t gpa, int size, uint64_t *entry)
{
	const void *at = memory_at(vm, gpa, size, NULL);

	*entry = 0;
	if (at)
		memcpy(entry, at, size);
	return at;
}

static struct paging paging_of(const struct kvm_sregs *sregs)
{
	if (sregs->efer & EFER_LMA)
		return (struct paging){sregs->cr4 & CR4_LA57 ? 5 : 4, 8, 9};
	if (sregs->cr4 & CR4_PAE)
		return (struct paging){3, 8, 9};
	return (struct paging){2, 4, 10};
}

/* physical_bits: of the guest's CPUID; address bits beyond them are reserved. */
static bool walk(struct vm *vm, const struct kvm_sregs *sregs, unsigned physical_bits,
		 uint64_t linear, uint64_t *physical)
{
	struct paging p = paging_of(sregs);
	uint64_t table = sregs->cr3 & (p.levels == 3 ? 0xffffffe0ull : PTE_ADDR), entry = 0;
	int level, shift = 12;

	for (level = p.levels; level > 0; level--) {
		uint64_t index;

		shift = 12 + p.bits * (level - 1);
		index = linear >> shift & ((1ull << p.bits) - 1);
		if (!read_entry(vm, table + index * p.entry_size, p.entry_size, &entry) ||
		    !(entry & PTE_P) || (entry & PTE_ADDR) >> physical_bits)
			return false;
		/* Large pages: PS, below the top two levels; with 32-bit paging only under PSE. */
		if (level > 1 && level <= 3 && (entry & PTE_PS) && !(p.levels == 3 && level == 3) &&
		    (p.entry_size == 8 || (sregs->cr4 & CR4_PSE)))
			break;
		table = entry & PTE_ADDR;
	}
	*physical = (entry & PTE_ADDR & ~((1ull << shift) - 1)) | (linear & ((1ull << shift) - 1));
	return true;
}

bool vcpu_translate_with(struct vcpu *vcpu, const struct kvm_sregs *sregs, uint64_t linear,
			 uint64_t *physical)
{
	*physical = linear;
	return !(sregs->cr0 & CR0_PG) ||
	       walk(vcpu->vm, sregs, cpuid_physical_bits(vcpu->cpuid, vcpu->cpuid_count), linear,
		    physical);
}

long vcpu_translate(struct vcpu *vcpu, struct kvm_translation *translation)
{
	uint64_t physical;
	bool valid;
	long rc = load_read(vcpu, STATE_SREGS);

	if (rc < 0)
		return rc;
	valid = vcpu_translate_with(vcpu, &vcpu->state.sregs, translation->linear_address,
				    &physical);
	translation->physical_address = valid ? physical : ~0ull;
	translation->valid = valid;
	translation->writeable = 1; /* as KVM, which does not look either */
	translation->usermode = 0;
	return 0;
}
