/*
 * unit_machine: a whole VM through the library's entry points over the fake Xen, for the tests of
 * what a VMM sees. This program stands in for the janitor as well: see unit_machine.c.
 */
#ifndef KVMXEN_TESTS_UNIT_MACHINE_H
#define KVMXEN_TESTS_UNIT_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "include/kvmxen/kvmxen.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"
#include "tests/fake/fake.h"
#include "tests/unit/unit_memory.h"

#define MACHINE_VCPUS 4
#define MACHINE_RAM   (1 * MB) /* at 0 */
#define MACHINE_SOON  5000     /* ms: what should happen at once */

struct machine {
	int kvm, vm, vcpu[MACHINE_VCPUS];
	struct kvm_run *run[MACHINE_VCPUS];
	unsigned vcpus;
	char *ram;
	/* Called when the domain has been created: what its guests are going to do. */
	void (*script)(uint16_t domid);
};

/* A fresh fake, a VM with RAM and vcpus, and no domain yet. */
void kvm_machine_new(struct machine *m, unsigned vcpus, bool irqchip,
		     void (*script)(uint16_t domid));
/* With a split irqchip of 24 pins. */
void kvm_machine_split(struct machine *m, unsigned vcpus, void (*script)(uint16_t domid));
/* Closes everything; what is left in the fake is a failure. */
void kvm_machine_free(struct machine *m);
/* Without a look at what is left. */
void machine_close(struct machine *m);

/* A vcpu begins at the reset vector, where these machines have no memory: it goes on at rip, below
 * MACHINE_RAM. */
void machine_executes_at(struct machine *m, unsigned vcpu, uint64_t rip);
/* kvmxen_ioctl, but -errno. */
long machine_ioctl(int fd, unsigned long request, const void *argument);
/* KVM_RUN: 0 or -errno. */
long machine_run(struct machine *m, unsigned vcpu);
/* KVM_RUN until something other than -EINTR. */
bool machine_exits(struct machine *m, unsigned vcpu, uint32_t reason);

/* The library's own objects; they live as long as the descriptors. */
struct vm *machine_vm(const struct machine *m);
struct vcpu *machine_vcpu(const struct machine *m, unsigned vcpu);

/* KVM_RUN in a thread of its own, once. */
struct runner {
	struct machine *m;
	unsigned vcpu;
	pthread_t thread;
	long rc;
	atomic_bool done;
};
void runner_start(struct runner *r, struct machine *m, unsigned vcpu);
/* Waits for it; false: it does not end, and goes on for ever. */
bool runner_end(struct runner *r);

#endif
