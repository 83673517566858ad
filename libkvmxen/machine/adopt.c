#include "libkvmxen/machine/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/sched.h>

#include "libkvmxen/message.h"

#define CONTROL(vm, op, ...) ((vm)->xen.ctl->ops->op((vm)->xen.ctl, (vm)->domid, ##__VA_ARGS__))

static const char *given(void)
{
	const char *domain = getenv("KVMXEN_DOMAIN");

	return domain && *domain ? domain : NULL;
}

bool adopt_wanted(void)
{
	return given() != NULL;
}

static int check(const struct vm *vm, const struct domain_config *found)
{
	unsigned vcpus = atomic_load(&vm->vcpu_count);
	enum emulation wanted = vm->interrupts.irqchip ? EMULATION_HVM : EMULATION_LAPIC;

	if (vcpus > found->vcpus) {
		message_error("domain %u has %u vcpus, the VMM wants %u", vm->domid, found->vcpus,
			      vcpus);
		return -EINVAL;
	}
	if (wanted != found->emulation) {
		message_error("domain %u has %s, the VMM wants %s (kernel-irqchip)", vm->domid,
			      found->emulation == EMULATION_HVM ? "Xen's interrupt controllers"
								: "a LAPIC alone",
			      wanted == EMULATION_HVM ? "these" : "its own");
		return -EINVAL;
	}
	return 0;
}

int adopt_take(struct vm *vm)
{
	struct domain_config found;
	char *end;
	unsigned long domid = strtoul(given(), &end, 10);
	int rc = 0;

	/* Domain 0 is nobody's to take. */
	if (*end || domid == 0 || domid >= DOMID_FIRST_RESERVED)
		rc = -EINVAL;
	vm->domid = domid;
	if (rc == 0)
		rc = CONTROL(vm, domain_adopt, &found);
	if (rc < 0) {
		message_error("KVMXEN_DOMAIN=%s: cannot be adopted: %s", given(), strerror(-rc));
		return rc;
	}
	vm->adopted = true;
	memcpy(vm->handle, found.handle, sizeof vm->handle);
	return check(vm, &found);
}

int adopt_begin(struct vm *vm)
{
	unsigned count = atomic_load(&vm->vcpu_count), i;
	int rc = 0;

	/* The toolstack made the first one ready for its own firmware. */
	for (i = 0; rc == 0 && i < count; i++)
		rc = CONTROL(vm, vcpu_context_set, i, NULL);
	/* Nothing can run in between. */
	if (rc == 0)
		rc = CONTROL(vm, domain_unpause);
	if (rc == 0)
		rc = CONTROL(vm, domain_pause);
	return rc;
}

int adopt_ready(struct vm *vm)
{
	return CONTROL(vm, domain_ready);
}

void adopt_let_go(struct vm *vm, bool paused)
{
	CONTROL(vm, domain_shutdown, SHUTDOWN_crash);
	/* A vcpu must run for a moment to take its answer, and is shut down then. */
	if (paused)
		CONTROL(vm, domain_unpause);
}
