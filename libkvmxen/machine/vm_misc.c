#include <errno.h>
#include <time.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/machine/tsc.h"
#include "libkvmxen/message.h"

#define TSS_ADDRESS_LAST     0xffffd000ul /* three pages below 4 GiB */
#define IDENTITY_MAP_DEFAULT 0xfffbc000ul
#define MMU_PAGES_MIN        64 /* KVM_MIN_ALLOC_MMU_PAGES */

/* Kept and not used: only VMX without unrestricted guest needs the pages, and Xen has its own. */
long vm_set_tss_addr(struct vm *vm, unsigned long address)
{
	if (address > TSS_ADDRESS_LAST)
		return -EINVAL;
	vm->tss_address = address;
	return 0;
}

/* The order is KVM's: too late comes before a bad pointer. */
long vm_set_identity_map_addr(struct vm *vm, void *user)
{
	uint64_t address;
	long rc = 0;

	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->vcpu_count))
		rc = -EINVAL;
	else if (copy_in(&address, user, sizeof address))
		rc = -EFAULT;
	else
		vm->identity_map_address = address ? address : IDENTITY_MAP_DEFAULT;
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

long vm_set_boot_cpu_id(struct vm *vm, unsigned long id)
{
	long rc = 0;

	pthread_mutex_lock(&vm->lock);
	if (atomic_load(&vm->vcpu_count))
		rc = -EBUSY;
	else
		vm->boot_cpu_id = id;
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* The guest sees nothing of this clock: Xen offers no way to intercept kvmclock's MSRs. */
long vm_get_clock(struct vm *vm, struct kvm_clock_data *clock)
{
	*clock = (struct kvm_clock_data){
		.clock = now_ns(CLOCK_BOOTTIME) + vm->clock_offset,
	};
	return 0;
}

long vm_set_clock(struct vm *vm, const struct kvm_clock_data *clock)
{
	uint64_t value = clock->clock;

	if (clock->flags & ~(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
		return -EINVAL;
	if (clock->flags & KVM_CLOCK_REALTIME) {
		uint64_t real = now_ns(CLOCK_REALTIME);

		/* Time that passed since the reading, as on a migration. */
		if (real > clock->realtime)
			value += real - clock->realtime;
	}
	vm->clock_offset = value - now_ns(CLOCK_BOOTTIME);
	return 0;
}

/* How many ids KVM_CREATE_VCPU takes: chosen once, and before the first vcpu. */
static long set_vcpu_ids(struct vm *vm, uint64_t ids)
{
	long rc = -EINVAL;

	pthread_mutex_lock(&vm->lock);
	if (ids <= VM_MAX_VCPU_ID && (!vm->vcpu_ids || vm->vcpu_ids == ids)) {
		vm->vcpu_ids = ids;
		rc = 0;
	}
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

/* Little that Xen can do has to be enabled first. */
long vm_enable_cap(struct vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 && !cap->flags)
		return memory_set_log_options(vm, cap->args[0]);
	if (cap->cap == KVM_CAP_SPLIT_IRQCHIP && !cap->flags)
		return interrupts_split_irqchip(vm, cap);
	if (cap->cap == KVM_CAP_MAX_VCPU_ID && !cap->flags)
		return set_vcpu_ids(vm, cap->args[0]);
	message_refused("KVM_ENABLE_CAP: capability %u cannot be enabled", cap->cap);
	return -EINVAL;
}

/* Xen sizes its own paging pool. */
long vm_set_nr_mmu_pages(struct vm *vm, unsigned long pages)
{
	return pages < MMU_PAGES_MIN ? -EINVAL : 0;
}

long vm_get_tsc_khz(struct vm *vm)
{
	return tsc_khz(vm);
}

long vm_set_tsc_khz(struct vm *vm, unsigned long khz)
{
	int rc = tsc_khz_set(vm, khz);

	if (rc < 0)
		message_error(
			"KVM_SET_TSC_KHZ: %u kHz: the guest runs with %u kHz, which Xen fixes "
			"when the domain is made",
			(uint32_t)khz, tsc_khz(vm));
	return rc;
}
