/*
 * stub-exits: the round trip of an exit, by whichever way the library goes: directly or by the
 * broker in dom0, or in a stub domain, where it stands in place of kvmxen-dm and takes the domain
 * from libxl's words. Prints `exit NS`, the median of some batches.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <kvmxen/kvmxen.h>
#include <linux/kvm.h>

#define PAGE    4096
#define RAM     (1 << 20)
#define START   0x1000
#define BATCHES 9
#define COUNT   500

/* Port and value do not matter: 1: out dx, al; jmp 1b */
static const uint8_t guest[] = {0xee, 0xeb, 0xfd};

static long must(long r, const char *what)
{
	if (r >= 0)
		return r;
	printf("stub-exits: %s: %s\n", what, strerror(errno));
	exit(1);
}
#define IOCTL(fd, request, value)                                                                  \
	must(kvmxen_ioctl(fd, request, (void *)(uintptr_t)(value)), #request)

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int make(struct kvm_run **run)
{
	int kvm = must(kvmxen_open(O_RDWR | O_CLOEXEC), "kvmxen_open"), vm, vcpu;
	void *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {.memory_size = RAM,
						     .userspace_addr = (uintptr_t)ram};
	struct kvm_regs regs = {.rip = START, .rflags = 2, .rdx = 0x5000};
	struct kvm_sregs sregs;

	vm = IOCTL(kvm, KVM_CREATE_VM, 0ul);
	/* As libxl's domains have them. */
	IOCTL(vm, KVM_CREATE_IRQCHIP, 0ul);
	memcpy((char *)ram + START, guest, sizeof guest);
	IOCTL(vm, KVM_SET_USER_MEMORY_REGION, &region);
	vcpu = IOCTL(vm, KVM_CREATE_VCPU, 0ul);
	*run = mmap(NULL, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0ul), PROT_READ | PROT_WRITE,
		    MAP_SHARED, vcpu, 0);
	must(*run == MAP_FAILED ? -1 : 0, "mmap");
	IOCTL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	IOCTL(vcpu, KVM_SET_SREGS, &sregs);
	IOCTL(vcpu, KVM_SET_REGS, &regs);
	return vcpu;
}

static int64_t batch(int vcpu, const struct kvm_run *run)
{
	int64_t began = now_ns();

	for (int i = 0; i < COUNT; i++) {
		IOCTL(vcpu, KVM_RUN, 0ul);
		if (run->exit_reason != KVM_EXIT_IO) {
			printf("stub-exits: exit reason %u\n", run->exit_reason);
			exit(1);
		}
	}
	return (now_ns() - began) / COUNT;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int64_t took[BATCHES];
	struct kvm_run *run;
	int vcpu;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-xen-domid"))
			setenv("KVMXEN_DOMAIN", argv[i + 1], 1);
	vcpu = make(&run);
	/* The first ones make the domain, and are waited for until it runs. */
	batch(vcpu, run);
	for (int i = 0; i < BATCHES; i++)
		took[i] = batch(vcpu, run);
	qsort(took, BATCHES, sizeof *took, by_value);
	printf("exit %lld\n", (long long)took[BATCHES / 2]);
	fflush(stdout);
	return 0;
}
