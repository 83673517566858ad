/*
 * What a successor must know of a domain: a small file for each, named by its handle. It is there
 * before the domain is, and until after it was destroyed, so that no sudden end of the broker
 * leaves a domain that nobody knows. The handle is the broker's own random number: a domain of
 * Xen's tools never carries it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/kvmxend/kvmxend.h"

#define NAME_LENGTH 32 /* a handle in hexadecimal */
#define RECORD_MAX  256

static void name_of(const uint8_t handle[16], char name[NAME_LENGTH + 1])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", handle[i]);
}

static bool handle_of(const char *name, uint8_t handle[16])
{
	unsigned byte;

	if (strlen(name) != NAME_LENGTH || strspn(name, "0123456789abcdef") != NAME_LENGTH)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		if (sscanf(name + 2 * i, "%2x", &byte) != 1)
			return false;
		handle[i] = byte;
	}
	return true;
}

int record_write(const char *folder, const struct guest *domain)
{
	char name[NAME_LENGTH + 1], path[512], fresh[520], text[RECORD_MAX];
	int fd, length, rc = 0;

	if (!folder)
		return 0;
	name_of(domain->handle, name);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	length = snprintf(text, sizeof text, "%d %llu %u %u %llu %llu %d %u %u %u\n",
			  domain->owner->pid, (unsigned long long)domain->owner->started,
			  domain->uid, domain->vcpus, (unsigned long long)domain->memory_kib,
			  (unsigned long long)domain->pool_kib, domain->named, domain->stub,
			  domain->monitor_port, domain->stub_port);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != length)
		rc = -EIO;
	close(fd);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = -errno;
	return rc;
}

void record_remove(const char *folder, const uint8_t handle[16])
{
	char name[NAME_LENGTH + 1], path[512];

	if (!folder)
		return;
	name_of(handle, name);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	unlink(path);
}

static bool read_record(int folder, const char *name, struct guest *domain, struct process *owner)
{
	unsigned long long started, memory, pool;
	char text[RECORD_MAX];
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), pid, named;
	unsigned uid, stub = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* A predecessor of an earlier version wrote seven fields. */
	if (sscanf(text, "%d %llu %u %u %llu %llu %d %u %u %u", &pid, &started, &uid,
		   &domain->vcpus, &memory, &pool, &named, &stub, &domain->monitor_port,
		   &domain->stub_port) < 7)
		return false;
	*owner = (struct process){.pid = pid, .started = started, .uid = uid, .pidfd = -1};
	domain->uid = uid;
	domain->memory_kib = memory;
	domain->pool_kib = pool;
	domain->named = named;
	domain->stub = stub;
	domain->owner = owner;
	return true;
}

void record_each(const char *path, void (*found)(void *arg, const struct guest *domain), void *arg)
{
	DIR *folder = path ? opendir(path) : NULL;
	const struct dirent *entry;

	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		struct guest domain = {0};
		struct process owner;

		if (entry->d_name[0] == '.')
			continue;
		if (handle_of(entry->d_name, domain.handle) &&
		    read_record(dirfd(folder), entry->d_name, &domain, &owner))
			found(arg, &domain);
		else
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
	closedir(folder);
}

int process_started(pid_t pid, uint64_t *started)
{
	char path[32], text[1024], *at;
	unsigned field;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	/* The second field is the command's name, in parentheses, of any characters. */
	at = strrchr(text, ')');
	for (field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	if (!at)
		return -ESRCH;
	*started = strtoull(at, NULL, 10);
	return 0;
}
