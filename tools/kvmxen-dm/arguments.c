#include "tools/kvmxen-dm/dm.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_WORDS 16 /* that we add */

/* Words of libxl's that say what it wants of Xen. */
static const struct {
	const char *word;
	const char *refusal; /* NULL: left out */
} xens[] = {
	{"-xen-attach", "only a domain of type \"hvm\" has a device model here"},
	{"-xen-domid-restrict", "dm_restrict: not to be had"},
	{"-incoming", "a saved domain cannot be restored"},
	{"-runas", "device_model_user: not to be had, it needs root"},
};

struct words {
	char **list;
	size_t count;
};

static void add(struct words *words, const char *word)
{
	char *copy = strdup(word);

	if (!copy)
		abort();
	words->list[words->count++] = copy;
}

/* The machine that libxl names, on KVM: the type is Xen's or pc, the accelerator is said apart. */
static void add_machine(struct words *words, const char *value)
{
	char *copy = strdup(value), *result = calloc(1, strlen(value) + sizeof "pc"), *rest = copy;
	const char *part;

	if (!copy || !result)
		abort();
	while ((part = strsep(&rest, ","))) {
		if (!strcmp(part, "accel=xen"))
			continue;
		if (*result)
			strcat(result, ",");
		strcat(result, strcmp(part, "xenfv") ? part : "pc");
	}
	add(words, "-machine");
	add(words, result);
	free(result);
	free(copy);
}

/* Why libxl's word cannot be had, or NULL. */
static const char *refusal(const char *word)
{
	for (size_t i = 0; i < sizeof xens / sizeof *xens; i++)
		if (!strcmp(word, xens[i].word))
			return xens[i].refusal;
	return NULL;
}

static bool parse_domid(const char *text, uint16_t *domid)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*domid = value;
	return *text && !*end && value > 0 && value < 0x7ff0;
}

/* Takes one word, and the next if it belongs to it: how many, or -1 with a message said. */
static int take(struct words *words, char **argv, struct arguments *out, bool *cpu)
{
	const char *word = argv[0], *value = argv[1], *why = refusal(word);

	if (why) {
		fprintf(stderr, "kvmxen-dm: %s: %s\n", word, why);
		return -1;
	}
	if (value && !strcmp(word, "-xen-domid")) {
		if (parse_domid(value, &out->domid))
			return 2;
		fprintf(stderr, "kvmxen-dm: -xen-domid %s: no domain\n", value);
		return -1;
	}
	if (value && (!strcmp(word, "-machine") || !strcmp(word, "-M"))) {
		add_machine(words, value);
		return 2;
	}
	/* PV devices: their frontends need Xen's event channels and grants. */
	if (value && !strcmp(word, "-device") && !strncmp(value, "xen-", 4))
		return 2;
	*cpu |= !strcmp(word, "-cpu");
	add(words, word);
	return 1;
}

int arguments_translate(char **argv, const char *qemu, int qmp, struct arguments *out)
{
	struct words words = {0};
	char monitor[64];
	bool cpu = false;
	size_t n;

	for (n = 0; argv[n]; n++)
		;
	*out = (struct arguments){.argv = calloc(n + MORE_WORDS, sizeof *argv)};
	if (!out->argv)
		abort();
	words.list = out->argv;
	add(&words, qemu);
	add(&words, "-accel");
	add(&words, "kvm");
	for (argv++; *argv;) {
		int taken = take(&words, argv, out, &cpu);

		if (taken < 0) {
			arguments_free(out);
			return -1;
		}
		argv += taken;
	}
	if (out->domid == 0) {
		fprintf(stderr, "kvmxen-dm: no -xen-domid: started by xl, not by hand\n");
		arguments_free(out);
		return -1;
	}
	if (!cpu) {
		add(&words, "-cpu");
		add(&words, "host");
	}
	/* A reset ends QEMU as a power-off does: the new domain is xl's to make. */
	add(&words, "-no-reboot");
	snprintf(monitor, sizeof monitor, "socket,id=kvmxen-dm,fd=%d", qmp);
	add(&words, "-chardev");
	add(&words, monitor);
	add(&words, "-mon");
	add(&words, "chardev=kvmxen-dm,mode=control");
	return 0;
}

void arguments_free(struct arguments *arguments)
{
	for (char **word = arguments->argv; word && *word; word++)
		free(*word);
	free(arguments->argv);
	arguments->argv = NULL;
}
