/*
 * /etc/kvmxen/kvmxend.conf: a line for all users and one for each who has limits of his own,
 *
 *	all domains=4 vcpus=16 memory=4096 connections=16
 *	user alice memory=16384
 *
 * memory in MiB. What a line leaves out is as in `all`, which comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/kvmxend/kvmxend.h"

#define FILE_MAX (64 << 10)

static const struct limits defaults = {
	.domains = 4,
	.vcpus = 16,
	.connections = 16,
	.memory_kib = 4096 * 1024,
};

void config_default(struct config *config)
{
	*config = (struct config){.all = defaults};
}

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno && !*end && *number <= UINT32_MAX;
}

static const char *parse_limit(struct limits *limits, char *word)
{
	char *value = strchr(word, '=');
	uint64_t number;

	if (!value)
		return "not NAME=NUMBER";
	*value++ = '\0';
	if (!parse_number(value, &number))
		return "not a number";
	if (strcmp(word, "domains") == 0)
		limits->domains = number;
	else if (strcmp(word, "vcpus") == 0)
		limits->vcpus = number;
	else if (strcmp(word, "connections") == 0)
		limits->connections = number;
	else if (strcmp(word, "memory") == 0)
		limits->memory_kib = number << 10;
	else
		return "no such limit";
	return NULL;
}

static struct limits *add_user(struct config *config, uid_t uid)
{
	void *users = realloc(config->users, (config->count + 1) * sizeof *config->users);

	if (!users)
		return NULL;
	config->users = users;
	config->users[config->count] = (struct user_limits){.uid = uid, .limits = config->all};
	return &config->users[config->count++].limits;
}

static bool find_user(const char *name, uid_t *uid)
{
	const struct passwd *user;
	uint64_t number;

	if (parse_number(name, &number)) {
		*uid = number;
		return true;
	}
	user = getpwnam(name);
	if (user)
		*uid = user->pw_uid;
	return user != NULL;
}

static const char *parse_line(struct config *config, char *line)
{
	static const char blank[] = " \t\r";
	struct limits *limits = &config->all;
	const char *why = NULL;
	char *rest, *word;
	uid_t uid;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, blank, &rest);
	if (!word)
		return NULL;
	if (strcmp(word, "user") == 0) {
		word = strtok_r(NULL, blank, &rest);
		if (!word || !find_user(word, &uid))
			return "no such user";
		limits = add_user(config, uid);
		if (!limits)
			return "no memory";
	} else if (strcmp(word, "all") != 0) {
		return "a line begins with all or user";
	} else if (config->count) {
		return "all comes before the users";
	}
	while (!why && (word = strtok_r(NULL, blank, &rest)))
		why = parse_limit(limits, word);
	return why;
}

int config_parse(struct config *config, char *text, unsigned *line, const char **why)
{
	char *next;

	for (*line = 1; text; text = next, ++*line) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		*why = parse_line(config, text);
		if (*why)
			return -EINVAL;
	}
	return 0;
}

int config_load(struct config *config, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	const char *why;
	unsigned line;
	size_t done = 0;
	ssize_t n = 0;
	char *text;

	config_default(config);
	if (fd < 0) {
		if (errno == ENOENT)
			return 0;
		rc = -errno;
		note("%s: %s", path, strerror(-rc));
		return rc;
	}
	text = malloc(FILE_MAX + 1);
	while (text && done < FILE_MAX && (n = read(fd, text + done, FILE_MAX - done)) > 0)
		done += n;
	close(fd);
	if (!text || n < 0 || done == FILE_MAX) {
		note("%s: cannot be read, or is too long", path);
		rc = -EIO;
	} else {
		text[done] = '\0';
		rc = config_parse(config, text, &line, &why);
		if (rc < 0)
			note("%s:%u: %s", path, line, why);
	}
	free(text);
	return rc;
}

const struct limits *config_limits(const struct config *config, uid_t uid)
{
	size_t i;

	for (i = 0; i < config->count; i++)
		if (config->users[i].uid == uid)
			return &config->users[i].limits;
	return &config->all;
}

void config_free(struct config *config)
{
	free(config->users);
	config->users = NULL;
	config->count = 0;
}
