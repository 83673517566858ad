/*
 * kvmxen caps: what KVM_CHECK_EXTENSION and the ioctls answer here, and why: the library's own
 * tables, for a reader (text), for a program (JSON), for docs/api.md (Markdown, without what
 * depends on the host). Needs no Xen, but without it the host's own answers are 0.
 */
#include <argp.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "include/kvmxen/kvmxen.h"
#include "libkvmxen/ioctl/table.h"
#include "tools/kvmxen.h"

enum format { TEXT, JSON, MARKDOWN };

static const char *fd_name(enum fd_kind kind)
{
	return kind == FD_SYSTEM ? "system"
	       : kind == FD_VM   ? "vm"
	       : kind == FD_VCPU ? "vcpu"
				 : "device";
}

static const char *status(const struct ioctl_row *row)
{
	return row->handler ? row->reason ? "differs" : "done" : "refused";
}

/* The errno of a refused ioctl. */
static const char *refusal(const struct ioctl_row *row)
{
	if (row->refusal)
		return strerrorname_np(row->refusal);
	return row->fd & (FD_VM | FD_DEVICE) ? "ENOTTY" : "EINVAL";
}

/* Why it answers 0, if it does. */
static const char *absence(const struct capability *cap, long value)
{
	return value == 0 ? cap->reason : NULL;
}

static void print_text(void)
{
	size_t count, i;
	const struct capability *caps = capabilities(&count);
	const struct ioctl_row *rows;

	for (i = 0; i < count; i++) {
		long value = capability_value(caps[i].number);
		const char *why = absence(&caps[i], value);

		printf("KVM_CAP_%-28s %-6ld %s\n", caps[i].name, value, why ? why : "");
	}
	rows = ioctl_rows(&count);
	for (i = 0; i < count; i++)
		printf("%-32s %-6s %-7s %s\n", rows[i].name, fd_name(rows[i].fd),
		       rows[i].handler ? status(&rows[i]) : refusal(&rows[i]),
		       rows[i].reason ? rows[i].reason : "");
}

static void add_string(struct json_object *to, const char *key, const char *value)
{
	if (value)
		json_object_object_add(to, key, json_object_new_string(value));
}

static struct json_object *json_capabilities(void)
{
	struct json_object *list = json_object_new_array();
	size_t count, i;
	const struct capability *caps = capabilities(&count);

	for (i = 0; i < count; i++) {
		struct json_object *cap = json_object_new_object();
		long value = capability_value(caps[i].number);
		char name[64];

		snprintf(name, sizeof name, "KVM_CAP_%s", caps[i].name);
		add_string(cap, "name", name);
		json_object_object_add(cap, "number", json_object_new_int64(caps[i].number));
		json_object_object_add(cap, "value", json_object_new_int64(value));
		add_string(cap, "reason", absence(&caps[i], value));
		json_object_array_add(list, cap);
	}
	return list;
}

static struct json_object *json_ioctls(void)
{
	struct json_object *list = json_object_new_array();
	size_t count, i;
	const struct ioctl_row *rows = ioctl_rows(&count);

	for (i = 0; i < count; i++) {
		struct json_object *row = json_object_new_object();

		add_string(row, "name", rows[i].name);
		json_object_object_add(row, "request", json_object_new_int64(rows[i].request));
		add_string(row, "descriptor", fd_name(rows[i].fd));
		add_string(row, "status", status(&rows[i]));
		add_string(row, "errno", rows[i].handler ? NULL : refusal(&rows[i]));
		add_string(row, "reason", rows[i].reason);
		json_object_array_add(list, row);
	}
	return list;
}

static void print_json(void)
{
	struct json_object *all = json_object_new_object();

	add_string(all, "version", kvmxen_version());
	json_object_object_add(all, "capabilities", json_capabilities());
	json_object_object_add(all, "ioctls", json_ioctls());
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
}

static void print_markdown(void)
{
	size_t count, i;
	const struct capability *caps;
	const struct ioctl_row *rows;

	puts("# The KVM API under kvmxen\n\n"
	     "Made by `make docs` from the tables that answer (`libkvmxen/ioctl/table.c`,\n"
	     "`capability.c`); `make test` checks that it is current. An ioctl that has no line "
	     "is\n"
	     "refused as KVM refuses an unknown one: EINVAL on /dev/kvm and on a vcpu, ENOTTY on a "
	     "VM\n"
	     "and on a device. `kvmxen caps` prints what a host answers.\n\n"
	     "## ioctls\n\n| ioctl | on | answer | |\n|---|---|---|---|");
	rows = ioctl_rows(&count);
	for (i = 0; i < count; i++)
		printf("| %s | %s | %s | %s |\n", rows[i].name, fd_name(rows[i].fd),
		       rows[i].handler ? "done" : refusal(&rows[i]),
		       rows[i].reason ? rows[i].reason : "");
	puts("\n## Capabilities\n\n| KVM_CAP_ | value | |\n|---|---|---|");
	caps = capabilities(&count);
	for (i = 0; i < count; i++) {
		char number[16];

		snprintf(number, sizeof number, "%d", caps[i].value);
		printf("| %s | %s | %s%s |\n", caps[i].name,
		       caps[i].compute ? "the host's" : number,
		       caps[i].compute && caps[i].reason ? "0: " : "",
		       caps[i].reason ? caps[i].reason : "");
	}
}

static const struct argp_option options[] = {
	{"json", 'j', NULL, 0, "As JSON", 0},
	{"markdown", 'm', NULL, 0, "As the matrix in docs/api.md", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	enum format *format = state->input;

	switch (key) {
	case 'j':
		*format = JSON;
		return 0;
	case 'm':
		*format = MARKDOWN;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int caps_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Lists each capability and ioctl of the KVM API: what is answered on this "
		       "host, and why where it is not what KVM answers.",
	};
	enum format format = TEXT;
	char name[] = "kvmxen caps";

	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &format);
	if (format == JSON)
		print_json();
	else if (format == MARKDOWN)
		print_markdown();
	else
		print_text();
	return 0;
}
