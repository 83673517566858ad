#include "libkvmxen/machine/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"

/* --- KVM_GET_STATS_FD --- */

/* The file: header, the object's name, descriptors, and from the second page on the counters. */
#define NAME_SIZE   48 /* KVM's own */
#define DATA_OFFSET 4096
#define FILE_SIZE   (2 * DATA_OFFSET)
#define MAX_ITEMS   12

/* kvm_stats_desc, whose name in the kernel's header has no size. */
struct descriptor {
	uint32_t flags;
	int16_t exponent;
	uint16_t size; /* values */
	uint32_t offset, bucket_size;
	char name[NAME_SIZE];
};
_Static_assert(offsetof(struct descriptor, name) == sizeof(struct kvm_stats_desc), "KVM's layout");
_Static_assert(sizeof(struct kvm_stats_header) + NAME_SIZE +
			       MAX_ITEMS * sizeof(struct descriptor) <=
		       DATA_OFFSET,
	       "descriptors fit");
_Static_assert(sizeof(struct vcpu_stats) <= FILE_SIZE - DATA_OFFSET, "counters fit");

struct item {
	const char *name;
	size_t offset;
};

static const struct item vcpu_items[] = {
#define X(kind, counter, key)                                                                      \
	{counter, offsetof(struct vcpu_stats, exits) + STATS_EXIT_##kind * sizeof(uint64_t)},
	STATS_EXITS(X)
#undef X
};
static const struct item vm_items[] = {
	{"xen_invalidate_requests", offsetof(struct vm_stats, invalidates)},
	{"xen_kicks", offsetof(struct vm_stats, kicks)},
	{"xen_context_loads", offsetof(struct vm_stats, loads)},
	{"cpuid_exits", offsetof(struct vm_stats, cpuids)},
	{"ioeventfd_signals", offsetof(struct vm_stats, ioeventfds)},
	{"coalesced_writes", offsetof(struct vm_stats, coalesced)},
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
_Static_assert(COUNT(vcpu_items) <= MAX_ITEMS && COUNT(vm_items) <= MAX_ITEMS, "descriptors fit");
/* Readers may take the block of counters for as long as the descriptors say. */
_Static_assert(COUNT(vcpu_items) * sizeof(uint64_t) == sizeof(struct vcpu_stats) &&
		       COUNT(vm_items) * sizeof(uint64_t) == sizeof(struct vm_stats),
	       "no counter without a descriptor");

/* Makes the file with the counters' present values. *page: where the counters go on. */
static int file_make(const char *name, const struct item *items, size_t n, const void *counters,
		     size_t size, void **page)
{
	struct kvm_stats_header header = {
		.name_size = NAME_SIZE,
		.num_desc = n,
		.id_offset = sizeof header,
		.desc_offset = sizeof header + NAME_SIZE,
		.data_offset = DATA_OFFSET,
	};
	int fd = memfd_create("kvm-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *file = MAP_FAILED;
	size_t i;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, FILE_SIZE) == 0)
		file = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	memcpy(file, &header, sizeof header);
	snprintf(file + header.id_offset, NAME_SIZE, "%s", name);
	for (i = 0; i < n; i++) {
		struct descriptor d = {
			.flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE |
				 KVM_STATS_BASE_POW10,
			.size = 1,
			.offset = items[i].offset,
		};

		snprintf(d.name, sizeof d.name, "%s", items[i].name);
		memcpy(file + header.desc_offset + i * sizeof d, &d, sizeof d);
	}
	memcpy(file + DATA_OFFSET, counters, size);
	*page = file + DATA_OFFSET;
	/* The VMM reads only; our own mapping goes on. */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	return fd;
}

/* KVM's is open for reading alone. */
static long another(int fd)
{
	char path[32];
	int copy;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	copy = open(path, O_RDONLY | O_CLOEXEC);
	if (copy < 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? -errno : copy;
}

static void file_free(int fd, void *counters, const void *own)
{
	if (fd < 0)
		return;
	close(fd);
	if (counters != own)
		munmap((char *)counters - DATA_OFFSET, FILE_SIZE);
}

void vm_stats_init(struct vm *vm)
{
	vm->stats_fd = -1;
	atomic_store(&vm->stats, &vm->own_stats);
}

void vm_stats_free(struct vm *vm)
{
	file_free(vm->stats_fd, atomic_load(&vm->stats), &vm->own_stats);
}

void vcpu_stats_init(struct vcpu *vcpu)
{
	vcpu->stats_fd = -1;
	atomic_store(&vcpu->stats, &vcpu->own_stats);
}

void vcpu_stats_free(struct vcpu *vcpu)
{
	file_free(vcpu->stats_fd, atomic_load(&vcpu->stats), &vcpu->own_stats);
}

/* What is counted while the page changes is lost: no lock for that. */
long vm_get_stats_fd(struct vm *vm)
{
	char name[NAME_SIZE];
	long rc = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->stats_fd < 0) {
		void *page;

		snprintf(name, sizeof name, "kvm-%d", getpid());
		rc = file_make(name, vm_items, COUNT(vm_items), &vm->own_stats,
			       sizeof vm->own_stats, &page);
		if (rc >= 0) {
			vm->stats_fd = rc;
			atomic_store(&vm->stats, page);
		}
	}
	if (rc >= 0)
		rc = another(vm->stats_fd);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

long vcpu_get_stats_fd(struct vcpu *vcpu)
{
	char name[NAME_SIZE];
	void *page;
	long rc;

	if (vcpu->stats_fd < 0) {
		snprintf(name, sizeof name, "kvm-%d/vcpu-%u", getpid(), vcpu->id);
		rc = file_make(name, vcpu_items, COUNT(vcpu_items), &vcpu->own_stats,
			       sizeof vcpu->own_stats, &page);
		if (rc < 0)
			return rc;
		vcpu->stats_fd = rc;
		atomic_store(&vcpu->stats, page);
	}
	return another(vcpu->stats_fd);
}

/* --- KVMXEN_STATS --- */

static const char *const exit_keys[STATS_EXIT_KINDS] = {
#define X(kind, counter, key) [STATS_EXIT_##kind] = key,
	STATS_EXITS(X)
#undef X
};

static unsigned long all_exits(const struct vm *vm, enum stats_exit kind)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	unsigned long sum = 0;

	for (i = 0; i < count; i++)
		sum += atomic_load(&atomic_load(&vm->vcpus[i]->stats)->exits[kind]);
	return sum;
}

void stats_write(const struct vm *vm)
{
	const struct vm_stats *s = atomic_load(&vm->stats);
	const char *path = getenv("KVMXEN_STATS");
	FILE *out;
	size_t i;

	/* A VM that never ran has nothing to say, and would hide one that did. */
	if (!path || !*path || vm->domid == 0)
		return;
	out = fopen(path, "we");
	if (!out)
		return;
	fprintf(out, "domid %u\nname %s\n", vm->domid, vm->name);
	for (i = 0; i < STATS_EXIT_KINDS; i++)
		fprintf(out, "exits.%s %lu\n", exit_keys[i], all_exits(vm, i));
	fprintf(out,
		"ioeventfds %lu\ncoalesced %lu\ncpuids %lu\ninvalidates %lu\nkicks %lu\nloads "
		"%lu\n",
		atomic_load(&s->ioeventfds), atomic_load(&s->coalesced), atomic_load(&s->cpuids),
		atomic_load(&s->invalidates), atomic_load(&s->kicks), atomic_load(&s->loads));
	fclose(out);
}
