/*
 * kvmxen trace: runs a VMM and prints its KVM calls, one line for each; or makes the calls of such
 * a log again and compares the answers.
 *
 * The library writes the trace (libkvmxen/ioctl/trace.h); here it becomes readable, when the VMM
 * has ended.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/kvmxen.h"
#include "tools/launch.h"
#include "tools/log.h"
#include "tools/replay.h"

static const struct argp_option options[] = {
	{"output", 'o', "FILE", 0, "Write the log to FILE (default: standard error)", 0},
	{"replay", 'r', "LOG", 0, "Make the calls of LOG again, and say which answers differ", 0},
	{0},
};

struct trace_options {
	const char *output, *replay;
	int first; /* of argv: the VMM */
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct trace_options *o = state->input;

	switch (key) {
	case 'o':
		o->output = value;
		return 0;
	case 'r':
		o->replay = value;
		return 0;
	case ARGP_KEY_ARG:
		o->first = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->first == !o->replay)
			argp_error(state, "a VMM, or --replay and a log?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_call(FILE *out, const struct log_call *call)
{
	fprintf(out, "%s %d %s:%d %s", call->time, call->thread, call->kind, call->fd,
		log_name(call));
	log_print_arguments(out, call);
	fprintf(out, " = %s", log_result(call));
	if (call->message)
		fprintf(out, " (%s)", call->message);
	fprintf(out, " | %s\n", call->line);
}

static int print_log(const char *raw, const char *output)
{
	FILE *in = fopen(raw, "re"), *out = output ? fopen(output, "we") : stderr;
	struct log_call call;

	if (!in || !out) {
		fprintf(stderr, "kvmxen: %s: %s\n", in ? output : raw, strerror(errno));
		return 1;
	}
	while (log_next(in, &call)) {
		print_call(out, &call);
		log_free(&call);
	}
	fclose(in);
	return fflush(out) == 0 ? 0 : 1;
}

int trace_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[--] VMM [ARGUMENT...]\n--replay LOG",
		.doc = "Runs a KVM program on this Xen host and logs its KVM calls, one line for "
		       "each, with decoded arguments.",
	};
	struct trace_options o = {0};
	char name[] = "kvmxen trace", raw[] = "/tmp/kvmxen-trace-XXXXXX";
	int status, fd;

	argv[0] = name;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (o.replay)
		return replay_log(o.replay);
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
	status = launch_wait(&argv[o.first]);
	if (print_log(raw, o.output) != 0 && status == 0)
		status = 1;
	unlink(raw);
	return status;
}
