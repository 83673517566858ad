/*
 * dispatch: the library's entry points; arguments in, handler, arguments out.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "include/kvmxen/kvmxen.h"
#include "libkvmxen/intercept.h"
#include "libkvmxen/hot.h"
#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/create.h"
#include "libkvmxen/ioctl/fd.h"
#include "libkvmxen/ioctl/handlers.h"
#include "libkvmxen/ioctl/table.h"
#include "libkvmxen/ioctl/trace.h"
#include "libkvmxen/machine/vfio.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/world.h"
#include "libkvmxen/message.h"

#define EXPORT __attribute__((visibility("default")))

static bool argument_readable(unsigned long request, const void *user)
{
	uint8_t argument[IOCTL_STRUCT_MAX];

	return copy_in(argument, user, _IOC_SIZE(request)) == 0;
}

static long unknown(const struct file *file, unsigned long request, const struct ioctl_row *row,
		    const void *argument)
{
	message_refused("%s (%#lx): %s", row ? row->name : "ioctl", request,
			row ? row->reason : "unknown on this kind of descriptor");
	/* KVM has read the argument by then. */
	if (row && row->argument == ARGUMENT_STRUCT && !argument_readable(request, argument))
		return -EFAULT;
	if (row && row->refusal)
		return -row->refusal;
	return file->kind & (FD_VM | FD_DEVICE) ? -ENOTTY : -EINVAL;
}

static long with_struct(const struct ioctl_row *row, void *object, void *user)
{
	/* As large as the largest, on the stack: no allocation, whatever the ioctl. */
	uint8_t argument[IOCTL_STRUCT_MAX] __attribute__((aligned(64)));
	size_t size = _IOC_SIZE(row->request);
	long rc;

	if (row->argument == ARGUMENT_OUT) {
		rc = row->handler(object, argument);
		return rc >= 0 && copy_out(user, argument, size) ? -EFAULT : rc;
	}
	/* Also when the request says "read": KVM_SET_IRQCHIP and KVM_SET_PIT do, and go in. */
	if (copy_in(argument, user, size))
		return -EFAULT;
	rc = row->handler(object, argument);
	if (rc >= 0 && (_IOC_DIR(row->request) & _IOC_READ) && copy_out(user, argument, size))
		return -EFAULT;
	return rc;
}

static long call(const struct ioctl_row *row, void *object, void *argument)
{
	switch (row->argument) {
	case ARGUMENT_ZERO:
		return argument ? -EINVAL : row->handler(object, NULL);
	case ARGUMENT_OUT:
	case ARGUMENT_STRUCT:
		return with_struct(row, object, argument);
	default:
		return row->handler(object, argument);
	}
}

static long on_vcpu(const struct ioctl_row *row, struct vcpu *vcpu, void *argument)
{
	long rc;

	/* KVM's own rule: one ioctl of a vcpu at a time, the running KVM_RUN included. */
	vcpu_lock(&vcpu->lock);
	/* A load that began while the vcpu was in KVM_RUN still writes its state. */
	if (row->request != KVM_RUN)
		world_wait(vcpu->vm);
	rc = call(row, vcpu, argument);
	vcpu_unlock(&vcpu->lock);
	return rc;
}

HOT static bool foreign_process(const struct file *file)
{
	const struct vm *vm = file->kind == FD_VM ? file->object : NULL;

	if (file->kind == FD_VCPU)
		vm = ((const struct vcpu *)file->object)->vm;
	if (file->kind == FD_DEVICE)
		vm = ((const struct vfio *)file->object)->vm;
	return vm && vm->owner != fd_process();
}

COLD static long refuse_foreign(const struct file *file, unsigned long request)
{
	const struct ioctl_row *row = ioctl_row(request & 0xffffffff, file->kind);

	message_refused("%s: the VM belongs to the process that made it",
			row ? row->name : "ioctl");
	return -EIO;
}

/* Called for each exit, so without the way through the table, whose row says the same. */
static inline long run(struct vcpu *vcpu)
{
	long rc;

	vcpu_lock(&vcpu->lock);
	rc = vcpu_run(vcpu);
	vcpu_unlock(&vcpu->lock);
	return rc;
}

/* The request's high half is nothing to the kernel. */
HOT static long dispatch(struct file *file, unsigned long request, void *argument)
{
	const struct ioctl_row *row;

	if (foreign_process(file))
		return refuse_foreign(file, request);
	if (request == KVM_RUN && file->kind == FD_VCPU && !argument)
		return run(file->object);
	row = ioctl_row(request & 0xffffffff, file->kind);
	if (!row || !row->handler)
		return unknown(file, request, row, argument);
	if (file->kind == FD_VCPU)
		return on_vcpu(row, file->object, argument);
	return call(row, file->object, argument);
}

HOT static int result(long rc)
{
	if (rc >= 0)
		return (int)rc;
	errno = (int)-rc;
	return -1;
}

EXPORT int kvmxen_open(int flags)
{
	int fd = create_system_fd(flags);

	if (trace_wanted())
		trace_descriptor("open", fd, flags, fd);
	return result(fd);
}

EXPORT HOT int kvmxen_ioctl(int fd, unsigned long request, void *argument)
{
	struct file *file = fd_get(fd);
	long rc;

	if (!file)
		return result(-ENOTTY);
	if (trace_wanted()) {
		struct trace_call call = {fd, file, request, argument, NULL};

		trace_begin(&call);
		rc = dispatch(file, request, argument);
		trace_end(&call, rc);
	} else {
		rc = dispatch(file, request, argument);
	}
	file_put(file);
	return result(rc);
}

/* A caller's report in the library's place. */
struct report {
	void (*call)(void *context, const struct kvmxen_loss *loss);
	void *context;
};

static void pass_on(void *context, const struct loss *loss)
{
	const struct report *report = context;

	report->call(report->context, &(struct kvmxen_loss){
					      .structure = loss->structure,
					      .field = loss->field,
					      .index = loss->index,
					      .value = loss->value,
					      .becomes = loss->becomes,
					      .note = loss->note,
				      });
}

EXPORT int kvmxen_losses(int fd, void (*call)(void *context, const struct kvmxen_loss *loss),
			 void *context)
{
	struct report report = {call, context};
	loss_report *pass = call ? pass_on : NULL;
	struct file *file = fd_get(fd);
	long rc = -EINVAL;

	if (!file)
		return result(-ENOTTY);
	if (foreign_process(file)) {
		rc = -EIO;
	} else if (file->kind == FD_VM) {
		rc = vm_losses(file->object, pass, &report);
	} else if (file->kind == FD_VCPU) {
		struct vcpu *vcpu = file->object;

		vcpu_lock(&vcpu->lock);
		rc = vcpu_losses(vcpu, pass, &report);
		vcpu_unlock(&vcpu->lock);
	}
	file_put(file);
	return result(rc);
}

EXPORT int kvmxen_close(int fd)
{
	if (!fd_is_ours(fd))
		return result(-EBADF);
	kvmxen_forget(fd, fd);
	return close(fd);
}

EXPORT int kvmxen_owns(int fd)
{
	return fd_is_ours(fd);
}

EXPORT int kvmxen_duplicated(int from, int fd)
{
	if (trace_wanted() && fd_is_ours(from))
		trace_descriptor("dup", from, fd, 0);
	return result(fd_duplicate(from, fd));
}

EXPORT const char *kvmxen_version(void)
{
	return KVMXEN_VERSION;
}
