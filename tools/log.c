#include "tools/log.h"

#include <stdlib.h>
#include <string.h>

#include "libkvmxen/ioctl/table.h"

#define THREADS   64 /* whose last message is kept */
#define BYTES_MAX (1u << 20)

/* Text into bytes, or only their number when there is no place for them. */
static size_t bytes_of(const char *text, uint8_t *bytes)
{
	size_t n = 0;

	while (*text && *text != '-') {
		char *end, two[3] = {text[0], text[1], 0};

		if (*text == 'z') {
			n += strtoul(text + 1, &end, 10);
			text = *end == '.' ? end + 1 : end;
			continue;
		}
		if (bytes)
			bytes[n] = strtoul(two, NULL, 16);
		n++;
		text += text[1] ? 2 : 1;
	}
	return n;
}

/* NULL for none. */
static uint8_t *parse_bytes(const char *text, size_t *size)
{
	uint8_t *bytes = NULL;

	*size = bytes_of(text, NULL);
	if (*size > 0 && *size <= BYTES_MAX)
		bytes = calloc(1, *size);
	if (bytes)
		bytes_of(text, bytes);
	else
		*size = 0;
	return bytes;
}

/* thread 0: free */
static struct {
	int thread;
	char *text;
} said[THREADS];

static void keep_message(const char *line)
{
	int thread, at;
	size_t i, slot = 0;

	if (sscanf(line, "message %d %n", &thread, &at) != 1)
		return;
	for (i = 0; i < THREADS; i++) {
		if (said[i].thread == thread) {
			slot = i;
			break;
		}
		if (said[i].thread == 0)
			slot = i;
	}
	free(said[slot].text);
	said[slot].thread = thread;
	said[slot].text = strdup(line + at);
}

static char *take_message(int thread)
{
	size_t i;

	for (i = 0; i < THREADS; i++)
		if (said[i].thread == thread) {
			char *text = said[i].text;

			said[i].thread = 0;
			said[i].text = NULL;
			return text;
		}
	return NULL;
}

static bool parse(char *line, struct log_call *call)
{
	char *in = NULL, *out = NULL;
	bool ok;

	*call = (struct log_call){0};
	ok = sscanf(line, "%23s %d %d %7s %lx %lx %ld %ms %ms", call->time, &call->thread,
		    &call->fd, call->kind, &call->request, &call->argument, &call->result, &in,
		    &out) == 9;
	if (ok) {
		call->in = parse_bytes(in, &call->in_size);
		call->out = parse_bytes(out, &call->out_size);
		call->message = take_message(call->thread);
		call->line = strdup(line);
	}
	free(in);
	free(out);
	return ok;
}

bool log_next(FILE *in, struct log_call *call)
{
	char *line = NULL, *raw;
	size_t room = 0;
	ssize_t n;
	bool found = false;

	while (!found && (n = getline(&line, &room, in)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		/* A printed line has the library's behind its bar. */
		raw = strstr(line, " | ");
		raw = raw ? raw + 3 : line;
		if (strncmp(raw, "message ", 8) == 0)
			keep_message(raw);
		else
			found = parse(raw, call);
	}
	free(line);
	return found;
}

void log_free(struct log_call *call)
{
	free(call->in);
	free(call->out);
	free(call->message);
	free(call->line);
}

static enum fd_kind kind_of(const struct log_call *call)
{
	return strcmp(call->kind, "system") == 0 ? FD_SYSTEM
	       : strcmp(call->kind, "vm") == 0   ? FD_VM
	       : strcmp(call->kind, "vcpu") == 0 ? FD_VCPU
						 : FD_DEVICE;
}

const char *log_name(const struct log_call *call)
{
	static char number[24];
	const struct ioctl_row *rows;
	size_t n, i;

	if (call->request == 0)
		return call->kind;
	rows = ioctl_rows(&n);
	for (i = 0; i < n; i++)
		if (rows[i].request == call->request && rows[i].fd == kind_of(call))
			return rows[i].name;
	/* On another kind of descriptor it has its name still. */
	for (i = 0; i < n; i++)
		if (rows[i].request == call->request)
			return rows[i].name;
	snprintf(number, sizeof number, "%#lx", call->request);
	return number;
}

const char *log_result(const struct log_call *call)
{
	static char text[32];
	const char *name = call->result < 0 ? strerrorname_np(-(int)call->result) : NULL;

	if (call->result >= 0)
		snprintf(text, sizeof text, "%ld", call->result);
	else
		snprintf(text, sizeof text, "-1 %s", name ? name : "?");
	return text;
}
