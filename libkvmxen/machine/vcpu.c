#include "libkvmxen/machine/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvmxen/machine/tsc.h"
#include "libkvmxen/machine/inject.h"
#include "libkvmxen/machine/domain.h"
#include "libkvmxen/message.h"

/* The fd's file: a memfd, so that the VMM's own mmap, dup and close of it are the kernel's work. */
static int make_pages(struct vcpu *vcpu)
{
	void *pages;

	vcpu->memfd = memfd_create("kvm-vcpu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (vcpu->memfd < 0)
		return -errno;
	if (ftruncate(vcpu->memfd, VCPU_MMAP_SIZE) < 0)
		return -errno;
	/* The VMM must not be able to take the pages from under us. */
	fcntl(vcpu->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	pages = mmap(NULL, VCPU_MMAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->memfd, 0);
	if (pages == MAP_FAILED)
		return -errno;
	vcpu->run = pages;
	vcpu->pio = (char *)pages + VCPU_PIO_OFFSET;
	return 0;
}

static bool id_is_taken(const struct vm *vm, unsigned long id)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;

	for (i = 0; i < count; i++)
		if (vm->vcpus[i]->id == id)
			return true;
	return false;
}

/* vm->lock held. */
static int check(struct vm *vm, unsigned long id)
{
	unsigned ids = vm->vcpu_ids ? vm->vcpu_ids : VM_MAX_VCPU_ID;

	if (id >= ids) {
		message_refused("KVM_CREATE_VCPU: id %lu is not below %u", id, ids);
		return -EINVAL;
	}
	if (atomic_load(&vm->vcpu_count) == VM_MAX_VCPUS) {
		message_refused("KVM_CREATE_VCPU: Xen's guests have no more than %d vcpus",
				VM_MAX_VCPUS);
		return -EINVAL;
	}
	vm->vcpu_ids = ids; /* from now on: too late to choose */
	if (id_is_taken(vm, id)) {
		message_refused("KVM_CREATE_VCPU: id %lu is there already", id);
		return -EEXIST;
	}
	if (atomic_load(&vm->phase) != VM_NEW &&
	    (!vm_live(vm) || atomic_load(&vm->vcpu_count) >= vm->domain_vcpus)) {
		message_error(
			"KVM_CREATE_VCPU: id %lu comes after the first KVM_RUN: Xen fixes the "
			"number of vcpus when the domain is made, and made %u",
			id, vm->domain_vcpus);
		return -EINVAL;
	}
	return 0;
}

struct vcpu *vcpu_create(struct vm *vm, unsigned long id)
{
	struct vcpu *vcpu = calloc(1, sizeof *vcpu);
	int rc = -ENOMEM;

	if (!vcpu)
		goto failed;
	vcpu->memfd = vcpu->wake_fd = -1;
	vcpu->injecting = INJECT_NONE;
	vcpu->sigfd = -1;
	vcpu_stats_init(vcpu);
	rc = make_pages(vcpu);
	if (rc < 0)
		goto failed;
	pthread_mutex_lock(&vm->lock);
	rc = check(vm, id);
	if (rc == 0 && vm->interrupts.lapic && !vm->interrupts.irqchip) {
		vcpu->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rc = vcpu->wake_fd < 0 ? -errno : 0;
	}
	if (rc == 0) {
		bool boot = id == vm->boot_cpu_id;

		vcpu->vm = vm;
		vcpu->id = id;
		vcpu->index = atomic_load(&vm->vcpu_count);
		vcpu->phase = VCPU_NEW;
		vcpu_state_reset(&vcpu->state, id, boot, vm->interrupts.lapic);
		tsc_created(vcpu);
		if (vm_live(vm))
			rc = domain_add_vcpu(vm, vcpu);
	}
	if (rc == 0) {
		vm->vcpus[vcpu->index] = vcpu;
		atomic_fetch_add(&vm->vcpu_count, 1);
	}
	pthread_mutex_unlock(&vm->lock);
	if (rc == 0) {
		vm_get(vm);
		return vcpu;
	}
failed:
	if (vcpu) {
		if (vcpu->run)
			munmap(vcpu->run, VCPU_MMAP_SIZE);
		if (vcpu->memfd >= 0)
			close(vcpu->memfd);
		if (vcpu->wake_fd >= 0)
			close(vcpu->wake_fd);
		free(vcpu);
	}
	errno = -rc;
	return NULL;
}

void vcpu_release(struct vcpu *vcpu)
{
	vm_put(vcpu->vm);
}

void vcpu_free(struct vcpu *vcpu)
{
	munmap(vcpu->run, VCPU_MMAP_SIZE);
	if (vcpu->memfd >= 0)
		close(vcpu->memfd);
	if (vcpu->wake_fd >= 0)
		close(vcpu->wake_fd);
	if (vcpu->sigfd >= 0)
		close(vcpu->sigfd);
	vcpu_stats_free(vcpu);
	free(vcpu->cpuid);
	free(vcpu);
}
