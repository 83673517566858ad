#include "libkvmxen/ioctl/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "libkvmxen/ioctl/copy.h"
#include "libkvmxen/ioctl/table.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/message.h"

#define ARGUMENT_MAX 65536u
#define RUN_HEAD     64 /* of kvm_run: all but the largest exits */

int trace_fd = -1;
static struct timespec began;

/* A line of its own, before that of the call it is about. */
static void trace_message(const char *text)
{
	char *line;
	int n = asprintf(&line, "message %d %s\n", gettid(), text);

	if (n < 0)
		return;
	if (write(trace_fd, line, n) < 0) {
		/* as put_line */
	}
	free(line);
}

__attribute__((constructor)) static void trace_start(void)
{
	const char *path = getenv("KVMXEN_TRACE");

	clock_gettime(CLOCK_MONOTONIC, &began);
	if (!path || !*path)
		return;
	trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (trace_fd >= 0)
		message_listen(trace_message);
	else
		message_error("KVMXEN_TRACE: %s: %s", path, strerror(errno));
}

/* Ioctls whose structure has a tail: a count at `at`, of elements of `size`. */
static const struct tail {
	unsigned long request;
	uint32_t head, at, size;
} tails[] = {
	{KVM_GET_MSRS, sizeof(struct kvm_msrs), 0, sizeof(struct kvm_msr_entry)},
	{KVM_SET_MSRS, sizeof(struct kvm_msrs), 0, sizeof(struct kvm_msr_entry)},
	{KVM_SET_CPUID, sizeof(struct kvm_cpuid), 0, sizeof(struct kvm_cpuid_entry)},
	{KVM_SET_CPUID2, sizeof(struct kvm_cpuid2), 0, sizeof(struct kvm_cpuid_entry2)},
	{KVM_GET_CPUID2, sizeof(struct kvm_cpuid2), 0, sizeof(struct kvm_cpuid_entry2)},
	{KVM_GET_SUPPORTED_CPUID, sizeof(struct kvm_cpuid2), 0, sizeof(struct kvm_cpuid_entry2)},
	{KVM_GET_EMULATED_CPUID, sizeof(struct kvm_cpuid2), 0, sizeof(struct kvm_cpuid_entry2)},
	{KVM_GET_MSR_INDEX_LIST, sizeof(struct kvm_msr_list), 0, 4},
	{KVM_GET_MSR_FEATURE_INDEX_LIST, sizeof(struct kvm_msr_list), 0, 4},
	{KVM_SET_SIGNAL_MASK, sizeof(struct kvm_signal_mask), 0, 1},
	{KVM_SET_GSI_ROUTING, sizeof(struct kvm_irq_routing), 0,
	 sizeof(struct kvm_irq_routing_entry)},
	{KVM_SET_PMU_EVENT_FILTER, sizeof(struct kvm_pmu_event_filter), 4, 8},
	{KVM_REINJECT_CONTROL, sizeof(struct kvm_reinject_control), 0, 0},
};

size_t trace_argument_size(unsigned long request, const void *user)
{
	size_t i;

	for (i = 0; i < sizeof tails / sizeof *tails; i++) {
		const struct tail *t = &tails[i];
		uint32_t n = 0;

		if (t->request != request)
			continue;
		if (t->size && copy_in(&n, (const char *)user + t->at, sizeof n))
			n = 0;
		if ((uint64_t)t->head + (uint64_t)n * t->size > ARGUMENT_MAX)
			n = 0;
		return t->head + (size_t)n * t->size;
	}
	return _IOC_SIZE(request);
}

/* Appends bytes to text, which has room: at most two characters for each. */
static char *put_hex(char *at, const uint8_t *bytes, size_t n)
{
	size_t i, zeros;

	for (i = 0; i < n; i += zeros ? zeros : 1) {
		for (zeros = 0; i + zeros < n && bytes[i + zeros] == 0; zeros++)
			;
		if (zeros >= 8) {
			at += sprintf(at, "z%zu.", zeros);
		} else {
			zeros = 0;
			at += sprintf(at, "%02x", bytes[i]);
		}
	}
	*at = '\0';
	return at;
}

static char *bytes_text(const void *bytes, size_t n)
{
	char *text = malloc(2 * n + 8);

	if (text && n)
		put_hex(text, bytes, n);
	else if (text)
		strcpy(text, "-");
	return text;
}

static char *argument_text(const struct trace_call *call)
{
	size_t n = trace_argument_size(call->request, call->argument);
	uint8_t *bytes;
	char *text;

	/* An old kernel's macro may carry a size without there being a structure. */
	if (n == 0 || !call->argument)
		return bytes_text(NULL, 0);
	bytes = malloc(n);
	if (!bytes)
		return NULL;
	text = copy_in(bytes, call->argument, n) ? bytes_text(NULL, 0) : bytes_text(bytes, n);
	free(bytes);
	return text;
}

/* What the exit that kvm_run shows carries, in the direction wanted; its size. */
static size_t exit_data(const struct kvm_run *run, bool writes, const void **data)
{
	size_t n;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		n = (size_t)run->io.size * run->io.count;
		*data = (const char *)run + VCPU_PIO_OFFSET;
		return (run->io.direction == KVM_EXIT_IO_OUT) == writes && n <= VCPU_PAGE ? n : 0;
	case KVM_EXIT_MMIO:
		*data = run->mmio.data;
		return !run->mmio.is_write && !writes && run->mmio.len <= 8 ? run->mmio.len : 0;
	default:
		return 0;
	}
}

static char *run_in(const struct vcpu *vcpu)
{
	uint8_t bytes[1 + VCPU_PAGE];
	const void *data;
	size_t n = exit_data(vcpu->run, false, &data);

	bytes[0] = vcpu->run->immediate_exit;
	if (n)
		memcpy(bytes + 1, data, n);
	return bytes_text(bytes, 1 + n);
}

static char *run_out(const struct vcpu *vcpu)
{
	uint8_t bytes[RUN_HEAD + VCPU_PAGE];
	const void *data;
	size_t n = exit_data(vcpu->run, true, &data);

	memcpy(bytes, vcpu->run, RUN_HEAD);
	if (n)
		memcpy(bytes + RUN_HEAD, data, n);
	return bytes_text(bytes, RUN_HEAD + n);
}

static bool is_run(const struct trace_call *call)
{
	return call->file->kind == FD_VCPU && (uint32_t)call->request == KVM_RUN;
}

static const char *kind_name(enum fd_kind kind)
{
	return kind == FD_SYSTEM ? "system"
	       : kind == FD_VM   ? "vm"
	       : kind == FD_VCPU ? "vcpu"
				 : "device";
}

static void put_line(const char *kind, int fd, unsigned long request, const void *argument,
		     long result, const char *in, const char *out)
{
	struct timespec now;
	char *line;
	int n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_sec -= began.tv_sec;
	now.tv_nsec -= began.tv_nsec;
	if (now.tv_nsec < 0) {
		now.tv_sec--;
		now.tv_nsec += 1000000000;
	}
	n = asprintf(&line, "%ld.%06ld %d %d %s %#lx %#lx %ld %s %s\n", (long)now.tv_sec,
		     now.tv_nsec / 1000, gettid(), fd, kind, request, (unsigned long)argument,
		     result, in ? in : "-", out ? out : "-");
	if (n < 0)
		return;
	/* One write: lines of several threads do not mix in a file opened to append. */
	if (write(trace_fd, line, n) < 0) {
		/* a full disk ends the trace, not the VMM */
	}
	free(line);
}

void trace_begin(struct trace_call *call)
{
	call->in = is_run(call) ? run_in(call->file->object) : argument_text(call);
}

void trace_end(struct trace_call *call, long result)
{
	int saved = errno;
	char *out = NULL;

	if (is_run(call))
		out = run_out(call->file->object);
	else if (_IOC_DIR(call->request) & _IOC_READ)
		out = argument_text(call);
	put_line(kind_name(call->file->kind), call->fd, call->request & 0xffffffff, call->argument,
		 result, call->in, out);
	free(call->in);
	free(out);
	errno = saved;
}

void trace_descriptor(const char *kind, int fd, int argument, long result)
{
	int saved = errno;

	put_line(kind, fd, 0, (void *)(long)argument, result, NULL, NULL);
	errno = saved;
}
