/*
 * kvmxen doctor: runs a VMM and says which ioctls and capabilities of KVM it uses, which of them
 * fail here, and why.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "libkvmxen/ioctl/table.h"
#include "tools/kvmxen.h"
#include "tools/launch.h"
#include "tools/log.h"

#define USES_MAX 512

/* One ioctl on one kind of descriptor, or one capability. */
struct use {
	char name[64], kind[8];
	unsigned long request, calls, failures;
	long error;      /* of the first failure */
	long value;      /* of a capability */
	char *why, *how; /* what the library said; the arguments of the first failure: malloced */
};

struct report {
	struct use ioctls[USES_MAX], capabilities[USES_MAX];
	size_t ioctl_count, capability_count;
};

static struct use *use_of(struct use *uses, size_t *count, const char *kind, const char *name)
{
	size_t i;

	for (i = 0; i < *count; i++)
		if (strcmp(uses[i].name, name) == 0 && strcmp(uses[i].kind, kind) == 0)
			return &uses[i];
	if (*count == USES_MAX)
		return NULL;
	snprintf(uses[i].name, sizeof uses[i].name, "%s", name);
	snprintf(uses[i].kind, sizeof uses[i].kind, "%s", kind);
	++*count;
	return &uses[i];
}

static const struct capability *capability_of(unsigned long number)
{
	size_t n, i;
	const struct capability *caps = capabilities(&n);

	for (i = 0; i < n; i++)
		if (caps[i].number == number)
			return &caps[i];
	return NULL;
}

static const char *row_reason(const struct use *use)
{
	size_t n, i;
	const struct ioctl_row *rows = ioctl_rows(&n);

	for (i = 0; i < n; i++)
		if (rows[i].request == use->request && strcmp(rows[i].name, use->name) == 0 &&
		    !rows[i].handler)
			return rows[i].reason;
	return NULL;
}

static char *arguments_text(const struct log_call *call)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	log_print_arguments(out, call);
	fclose(out);
	return text;
}

static void count_capability(struct report *r, const struct log_call *call)
{
	const struct capability *cap = capability_of(call->argument);
	char name[64];
	struct use *use;

	if (cap)
		snprintf(name, sizeof name, "KVM_CAP_%s", cap->name);
	else
		snprintf(name, sizeof name, "capability %lu", call->argument);
	use = use_of(r->capabilities, &r->capability_count, "", name);
	if (!use)
		return;
	use->calls++;
	use->request = call->argument;
	use->value = call->result;
}

static void count(struct report *r, const struct log_call *call)
{
	struct use *use;

	if (call->request == 0)
		return;
	if (call->request == KVM_CHECK_EXTENSION && call->result >= 0) {
		count_capability(r, call);
		return;
	}
	use = use_of(r->ioctls, &r->ioctl_count, call->kind, log_name(call));
	if (!use)
		return;
	use->calls++;
	use->request = call->request;
	/* A kick is no failure. */
	if (call->result >= 0 || (call->request == KVM_RUN && call->result == -EINTR))
		return;
	if (use->failures++ == 0) {
		use->error = -call->result;
		use->why = call->message ? strdup(call->message) : NULL;
		use->how = arguments_text(call);
	}
}

static void print_ioctls(const struct report *r)
{
	size_t i;

	printf("\n%-32s %-7s %9s %9s\n", "ioctl", "on", "calls", "failed");
	for (i = 0; i < r->ioctl_count; i++) {
		const struct use *use = &r->ioctls[i];

		printf("%-32s %-7s %9lu %9lu\n", use->name, use->kind, use->calls, use->failures);
	}
	for (i = 0; i < r->ioctl_count; i++) {
		const struct use *use = &r->ioctls[i];
		const char *reason = row_reason(use);

		if (!use->failures)
			continue;
		printf("\n%s on %s failed %lu of %lu times, first with %s:%s\n", use->name,
		       use->kind, use->failures, use->calls, strerrorname_np((int)use->error),
		       use->how ? use->how : "");
		if (reason)
			printf("    not offered: %s\n", reason);
		else if (use->why)
			printf("    %s\n", use->why);
		else
			printf("    as KVM refuses such an argument\n");
	}
}

static void print_capabilities(const struct report *r)
{
	size_t i;

	printf("\n%-40s %9s\n", "capability", "answer");
	for (i = 0; i < r->capability_count; i++) {
		const struct use *use = &r->capabilities[i];
		const struct capability *cap = capability_of(use->request);

		printf("%-40s %9ld", use->name, use->value);
		if (use->value == 0)
			printf("  %s", cap && cap->reason ? cap->reason : "unknown to kvmxen");
		putchar('\n');
	}
}

static int report(const char *raw)
{
	static struct report r;
	FILE *in = fopen(raw, "re");
	struct log_call call;

	if (!in) {
		fprintf(stderr, "kvmxen: %s: %s\n", raw, strerror(errno));
		return 1;
	}
	while (log_next(in, &call)) {
		count(&r, &call);
		log_free(&call);
	}
	fclose(in);
	if (r.ioctl_count == 0 && r.capability_count == 0) {
		printf("It made no KVM call. Is it a static program, or does it use a system call "
		       "of "
		       "its own?\n");
		return 1;
	}
	print_ioctls(&r);
	print_capabilities(&r);
	return 0;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	int *first = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		*first = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (*first == 0)
			argp_error(state, "which VMM?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int doctor_main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "[--] VMM [ARGUMENT...]",
		.doc = "Runs a KVM program on this Xen host; when it has ended, names each ioctl "
		       "and capability of KVM that it used, which of them failed, and why.",
	};
	char name[] = "kvmxen doctor", raw[] = "/tmp/kvmxen-doctor-XXXXXX";
	int first = 0, status, fd;

	argv[0] = name;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &first);
	status = launch_prepare();
	if (status)
		return status;
	fd = mkstemp(raw);
	if (fd < 0) {
		fprintf(stderr, "kvmxen: %s: %s\n", raw, strerror(errno));
		return 1;
	}
	close(fd);
	setenv("KVMXEN_TRACE", raw, 1);
	status = launch_wait(&argv[first]);
	printf("%s ended with status %d.\n", argv[first], status);
	if (report(raw) != 0 && status == 0)
		status = 1;
	unlink(raw);
	return status;
}
