#include "tests/unit/unit_machine.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/machine/janitor.h"

/* --- the janitor --- */

/* The library starts this very program as its janitor, and waits until that has left itself to
 * init. There is nothing to clean up behind a fake, but it must answer, and end with its VMM. */
__attribute__((constructor)) static void be_the_janitor(int argc, char **argv)
{
	struct janitor_message message;

	if (argc != 1 || strcmp(argv[0], "kvmxen-janitor"))
		return;
	if (fork() != 0)
		_exit(0);
	while (recv(JANITOR_FD, &message, sizeof message, 0) == sizeof message)
		if (message.verb == JANITOR_WATCH && send(JANITOR_FD, "", 1, MSG_NOSIGNAL) != 1)
			break;
	_exit(0);
}

/* --- the machine --- */

static struct control_ops ops;
static struct control control = {.ops = &ops};
static struct machine *current;

static int create(struct control *ctl, const struct domain_config *config, uint16_t *domid)
{
	int rc = fake_xen()->ctl->ops->domain_create(ctl, config, domid);

	if (rc == 0 && current->script)
		current->script(*domid);
	return rc;
}

long machine_ioctl(int fd, unsigned long request, const void *argument)
{
	int rc = kvmxen_ioctl(fd, request, (void *)(uintptr_t)argument);

	return rc < 0 ? -errno : rc;
}

static void *object_of(int fd)
{
	struct file *file = fd_get(fd);
	void *object;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	object = file->object;
	file_put(file);
	return object;
}

struct vm *machine_vm(const struct machine *m)
{
	return object_of(m->vm);
}

struct vcpu *machine_vcpu(const struct machine *m, unsigned vcpu)
{
	return object_of(m->vcpu[vcpu]);
}

static void machine_new(struct machine *m, unsigned vcpus, bool irqchip, bool split,
			void (*script)(uint16_t domid))
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};
	struct kvm_userspace_memory_region ram = {.memory_size = MACHINE_RAM};

	setenv("KVMXEN_JANITOR", "/proc/self/exe", 1);
	fake_install();
	*m = (struct machine){.vcpus = vcpus, .script = script};
	m->kvm = kvmxen_open(O_RDWR | O_CLOEXEC);
	CU_ASSERT_FATAL(m->kvm >= 0);
	m->vm = machine_ioctl(m->kvm, KVM_CREATE_VM, NULL);
	CU_ASSERT_FATAL(m->vm >= 0);
	ops = *fake_xen()->ctl->ops;
	ops.domain_create = create;
	machine_vm(m)->xen.ctl = &control;
	current = m;
	m->ram = vmm_memory(MACHINE_RAM, 0);
	ram.userspace_addr = (uintptr_t)m->ram;
	CU_ASSERT_EQUAL(machine_ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &ram), 0);
	if (irqchip)
		CU_ASSERT_EQUAL(machine_ioctl(m->vm, KVM_CREATE_IRQCHIP, NULL), 0);
	if (split)
		CU_ASSERT_EQUAL(machine_ioctl(m->vm, KVM_ENABLE_CAP, &cap), 0);
	for (unsigned i = 0; i < vcpus; i++) {
		m->vcpu[i] = machine_ioctl(m->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)i);
		CU_ASSERT_FATAL(m->vcpu[i] >= 0);
		m->run[i] = mmap(NULL, VCPU_MMAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 m->vcpu[i], 0);
		CU_ASSERT_FATAL(m->run[i] != MAP_FAILED);
	}
}

void kvm_machine_new(struct machine *m, unsigned vcpus, bool irqchip,
		     void (*script)(uint16_t domid))
{
	machine_new(m, vcpus, irqchip, false, script);
}

void kvm_machine_split(struct machine *m, unsigned vcpus, void (*script)(uint16_t domid))
{
	machine_new(m, vcpus, false, true, script);
}

void machine_close(struct machine *m)
{
	for (unsigned i = 0; i < m->vcpus; i++) {
		munmap(m->run[i], VCPU_MMAP_SIZE);
		kvmxen_close(m->vcpu[i]);
	}
	kvmxen_close(m->vm);
	kvmxen_close(m->kvm);
}

void kvm_machine_free(struct machine *m)
{
	const char *found;

	machine_close(m);
	found = fake_check();
	if (found)
		fprintf(stderr, "%s\n", found);
	CU_ASSERT_PTR_NULL(found);
	CU_ASSERT_EQUAL(fake_domains(), 0);
}

void machine_executes_at(struct machine *m, unsigned vcpu, uint64_t rip)
{
	struct kvm_regs regs = {.rip = rip, .rflags = 2};
	struct kvm_sregs sregs = {0};

	CU_ASSERT_EQUAL(machine_ioctl(m->vcpu[vcpu], KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	CU_ASSERT_EQUAL(machine_ioctl(m->vcpu[vcpu], KVM_SET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m->vcpu[vcpu], KVM_SET_REGS, &regs), 0);
}

long machine_run(struct machine *m, unsigned vcpu)
{
	return machine_ioctl(m->vcpu[vcpu], KVM_RUN, NULL);
}

bool machine_exits(struct machine *m, unsigned vcpu, uint32_t reason)
{
	long rc;

	while ((rc = machine_run(m, vcpu)) == -EINTR)
		;
	if (rc == 0 && m->run[vcpu]->exit_reason == reason)
		return true;
	fprintf(stderr, "KVM_RUN: %ld, exit %u and not %u\n", rc, m->run[vcpu]->exit_reason,
		reason);
	return false;
}

static void *run_once(void *data)
{
	struct runner *r = data;

	r->rc = machine_run(r->m, r->vcpu);
	atomic_store(&r->done, true);
	return NULL;
}

void runner_start(struct runner *r, struct machine *m, unsigned vcpu)
{
	*r = (struct runner){.m = m, .vcpu = vcpu};
	CU_ASSERT_EQUAL_FATAL(pthread_create(&r->thread, NULL, run_once, r), 0);
}

bool runner_end(struct runner *r)
{
	for (int left = MACHINE_SOON; left > 0 && !atomic_load(&r->done); left--)
		usleep(1000);
	if (!atomic_load(&r->done))
		return false;
	pthread_join(r->thread, NULL);
	return true;
}
