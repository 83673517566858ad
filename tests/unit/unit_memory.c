#include "tests/unit/unit_memory.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/machine/world.h"

#define POOL               (4 * MB)
#define HUGE               (2 * MB)
#define DEVICE(s, op, ...) ((s)->vm.xen.dev->ops->op((s)->vm.xen.dev, (s)->vm.domid, ##__VA_ARGS__))
#define CONTROL(s, op, ...)                                                                        \
	((s)->vm.xen.ctl->ops->op((s)->vm.xen.ctl, (s)->vm.domid, ##__VA_ARGS__))

/* The fake learns of a mapping that was replaced as a whole when it looks for one, and may take two
 * new ones in its place for the halves of the old: it shall look in time. */
static struct device_ops ops;
static struct device device = {&ops};
enum { NOT_REPLACED, REPLACED, REPLACING };
static atomic_int replaced;

static int map(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
	       const uint64_t *gfns, void **out)
{
	if (replaced != NOT_REPLACED)
		fake_check();
	if (replaced == REPLACED)
		replaced = NOT_REPLACED;
	return fake_xen()->dev->ops->mem_map(dev, domid, addr, prot, n, gfns, out);
}

void replacing_begin(void)
{
	replaced = REPLACING;
}

void replacing_end(void)
{
	replaced = REPLACED;
}

void space_new(struct space *s)
{
	fake_install();
	memset(s, 0, sizeof(*s));
	s->vm.xen = *fake_xen();
	ops = *s->vm.xen.dev->ops;
	ops.mem_map = map;
	s->vm.xen.dev = &device;
	s->vm.owner = fd_process();
	atomic_init(&s->vm.refs, 1);
	pthread_mutex_init(&s->vm.lock, NULL);
	pthread_mutex_init(&s->vm.arm_lock, NULL);
	CU_ASSERT_EQUAL_FATAL(worker_create(&s->vm.worker), 0);
	CU_ASSERT_EQUAL_FATAL(memory_init(&s->vm), 0);
}

int space_live(struct space *s)
{
	static const struct domain_config config = {
		.vcpus = 1, .emulation = EMULATION_LAPIC, .handle = {9}};
	uint64_t scratch = MEMORY_SCRATCH_GFN_A;
	struct vm *vm = &s->vm;
	int rc = vm->xen.ctl->ops->domain_create(vm->xen.ctl, &config, &vm->domid);

	if (rc)
		return rc;
	atomic_store(&vm->phase, VM_LIVE);
	rc = CONTROL(s, domain_set_maxmem, (memory_pages(vm) + 64) * (PAGE / KB));
	if (!rc)
		rc = CONTROL(s, domain_set_paging_pool, POOL);
	if (!rc)
		rc = DEVICE(s, mem_populate, 0, 1, &scratch) == 1 ? 0 : -ENOMEM;
	if (!rc)
		rc = DEVICE(s, ioreq_server_create, &vm->server);
	if (!rc)
		rc = DEVICE(s, ioreq_server_map, vm->server, &vm->ioreqs);
	if (!rc)
		rc = DEVICE(s, ioreq_server_enable, vm->server, true);
	if (!rc)
		rc = DEVICE(s, mem_type_to_server, vm->server, true);
	if (rc)
		return rc;
	s->vcpu.vm = vm;
	s->vcpu.slot = &vm->ioreqs->vcpu_ioreq[0];
	vm->vcpus[0] = &s->vcpu;
	atomic_store(&vm->vcpu_count, 1);
	return 0;
}

void space_start(struct space *s)
{
	space_new(s);
	CU_ASSERT_EQUAL_FATAL(space_live(s), 0);
	CU_ASSERT_EQUAL_FATAL(CONTROL(s, domain_unpause), 0);
}

void space_end_domain(struct space *s)
{
	if (!vm_live(&s->vm))
		return;
	if (s->vm.ioreqs) {
		s->vm.xen.dev->ops->ioreq_server_unmap(s->vm.xen.dev, s->vm.ioreqs);
		DEVICE(s, ioreq_server_destroy, s->vm.server);
		s->vm.ioreqs = NULL;
	}
	memory_destroy(&s->vm, true);
	CU_ASSERT_EQUAL(fake_mappings(), 0);
	CONTROL(s, domain_destroy);
	atomic_store(&s->vm.phase, VM_NEW);
}

void space_free(struct space *s)
{
	const char *found;

	atomic_store(&s->vm.refs, 0);
	space_end_domain(s);
	memory_destroy(&s->vm, true);
	worker_destroy(s->vm.worker);
	pthread_mutex_destroy(&s->vm.memory.lock);
	pthread_mutex_destroy(&s->vm.arm_lock);
	pthread_mutex_destroy(&s->vm.lock);
	found = fake_check();
	if (found)
		fprintf(stderr, "%s\n", found);
	CU_ASSERT_PTR_NULL(found);
}

long slot_set(struct space *s, uint32_t id, uint32_t flags, uint64_t gpa, uint64_t size,
	      const void *address)
{
	struct kvm_userspace_memory_region region = {id, flags, gpa, size, (uintptr_t)address};

	return memory_set_user_region(&s->vm, &region);
}

long slot_delete(struct space *s, uint32_t id)
{
	return slot_set(s, id, 0, 0, 0, NULL);
}

int flush(struct space *s)
{
	int rc;

	pthread_mutex_lock(&s->vm.lock);
	rc = memory_flush(&s->vm);
	pthread_mutex_unlock(&s->vm.lock);
	return rc;
}

char *vmm_memory(size_t size, size_t offset)
{
	char *area = mmap(NULL, size + 2 * HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)area + HUGE) & ~(HUGE - 1)) + offset;

	CU_ASSERT_FATAL(area != MAP_FAILED);
	CU_ASSERT_FATAL(mmap(at, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == at);
	return at;
}

void paint(char *memory, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE) {
		*(uintptr_t *)(memory + at) = (uintptr_t)(memory + at);
		*(uintptr_t *)(memory + at + PAGE - 8) = ~(uintptr_t)(memory + at);
	}
}

bool is_painted(const void *page, const char *painted)
{
	const uintptr_t *words = page;

	return words[0] == (uintptr_t)painted && words[PAGE / 8 - 1] == ~(uintptr_t)painted;
}

bool guest_sees(struct space *s, uint64_t gpa, const char *memory, size_t size)
{
	char page[PAGE];

	for (size_t at = 0; at < size; at += PAGE)
		if (!fake_ram_read(s->vm.domid, gpa + at, page, PAGE) ||
		    memcmp(page, memory + at, PAGE))
			return false;
	return true;
}

bool guest_sees_nothing(struct space *s, uint64_t gpa, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		if (fake_mem_type(s->vm.domid, (gpa + at) / PAGE) != -1)
			return false;
	return true;
}

static int stderr_copy = -1;

void quiet_begin(void)
{
	int null = open("/dev/null", O_WRONLY);

	fflush(stderr);
	stderr_copy = dup(STDERR_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

void quiet_end(void)
{
	fflush(stderr);
	dup2(stderr_copy, STDERR_FILENO);
	close(stderr_copy);
}
