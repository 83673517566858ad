/* The VMM's own address space, as far as memory needs to know and change it. */
#include "libkvmxen/machine/memory_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libkvmxen/xen/host_pci.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Mappings of devices and of foreign domains cannot be moved, nor may they be read to copy them. */
static bool is_foreign(const char *path)
{
	static const char *const memory[] = {"/dev/shm/", "/dev/zero", "/dev/hugepages/"};

	if (!strncmp(path, "anon_inode:", 11) || !strncmp(path, "/proc/", 6) ||
	    !strncmp(path, "/sys/", 5) || !strncmp(path, host_pci_sysfs, strlen(host_pci_sysfs)))
		return true;
	if (strncmp(path, "/dev/", 5))
		return false;
	for (size_t i = 0; i < sizeof(memory) / sizeof(*memory); i++)
		if (!strncmp(path, memory[i], strlen(memory[i])))
			return false;
	return true;
}

/* start-end perms offset major:minor inode path */
static void parse(const char *line, struct vma *vma, uintptr_t start, uintptr_t end)
{
	const char *perms = strchr(line, ' ') + 1;
	const char *device = strchr(strchr(perms, ' ') + 1, ' ') + 1;
	unsigned long major, minor, inode;
	char *rest;

	major = strtoul(device, &rest, 16);
	minor = strtoul(rest + 1, &rest, 16);
	inode = strtoul(rest, &rest, 10);
	rest += strspn(rest, " ");
	*vma = (struct vma){
		.start = start,
		.end = end,
		.whole = start,
		.whole_end = end,
		.offset = strtoul(strchr(perms, ' '), NULL, 16),
		.accessible = perms[0] == 'r' || perms[1] == 'w' || perms[2] == 'x',
		.readable = perms[0] == 'r',
		.anonymous = perms[3] == 'p' && !inode,
		.shared = perms[3] == 's',
		.foreign = is_foreign(rest),
		.device = major << 32 | minor,
		.inode = inode,
	};
}

int vmas_scan(struct vmas *vmas, uintptr_t start, uintptr_t end)
{
	FILE *file = fopen("/proc/self/maps", "re");
	size_t room = 0, size = 0;
	char *line = NULL;
	int rc = 0;

	*vmas = (struct vmas){0};
	if (!file)
		return -errno;
	while (!rc && getline(&line, &size, file) > 0) {
		char *rest;
		uintptr_t from = strtoul(line, &rest, 16), to;

		if (*rest != '-')
			continue;
		to = strtoul(rest + 1, NULL, 16);
		if (to <= start)
			continue;
		if (from >= end)
			break;
		rc = memory_grow(&vmas->vma, vmas->count, &room, sizeof(*vmas->vma));
		if (rc)
			break;
		parse(line, &vmas->vma[vmas->count], from, to);
		if (from < start)
			vmas->vma[vmas->count].start = start;
		if (to > end)
			vmas->vma[vmas->count].end = end;
		vmas->count++;
	}
	free(line);
	fclose(file);
	if (rc)
		vmas_free(vmas);
	return rc;
}

void vmas_free(struct vmas *vmas)
{
	free(vmas->vma);
	*vmas = (struct vmas){0};
}

void *vma_move_aside(uintptr_t hva, size_t length)
{
	/* What was there stays mapped, empty, until our mapping replaces it: a hole could be given
	 * to another thread's mmap in between. */
	void *aside = mremap((void *)hva, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);

	if (aside != MAP_FAILED || errno != EINVAL)
		return aside;
	/* Before Linux 5.13 for files, and for huge pages still, there is no such thing. Who uses
	 * the memory now loses what he writes, as above, but does not die of it. */
	aside = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (aside == MAP_FAILED)
		return aside;
	if (mremap((void *)hva, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, aside) ==
	    MAP_FAILED) {
		int error = errno;

		munmap(aside, length);
		errno = error;
		return MAP_FAILED;
	}
	mmap((void *)hva, length, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	return aside;
}

int vma_put_back(void *aside, uintptr_t hva, size_t length)
{
	return mremap(aside, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)hva) ==
			       MAP_FAILED
		       ? -errno
		       : 0;
}

/* Which pages of private anonymous memory were ever touched: /proc/self/pagemap. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)

static bool read_pagemap(const char *at, uint64_t *entries, size_t pages)
{
	size_t bytes = pages * sizeof(*entries);
	off_t offset = (uintptr_t)at / MEMORY_PAGE * sizeof(*entries);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && pread(fd, entries, bytes, offset) == (ssize_t)bytes;

	if (fd >= 0)
		close(fd);
	return done;
}

static void copy_anonymous(const char *from, char *to, size_t pages)
{
	uint64_t entries[CHUNK_PAGES];
	bool known = read_pagemap(from, entries, pages);

	for (size_t i = 0; i < pages; i++)
		if (!known || entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			memcpy(to + i * MEMORY_PAGE, from + i * MEMORY_PAGE, MEMORY_PAGE);
}

/* A mapped file may end before its mapping does: such pages must not be touched by us. */
static void copy_file(char *from, char *to, size_t length)
{
	pid_t self = getpid();

	while (length) {
		struct iovec local = {to, length}, remote = {from, length};
		ssize_t done = process_vm_readv(self, &local, 1, &remote, 1, 0);

		/* Up to a page that cannot be read: past it. */
		if (done < (ssize_t)length)
			done = (done < 0 ? 0 : done / MEMORY_PAGE * MEMORY_PAGE) + MEMORY_PAGE;
		from += done;
		to += done;
		length -= done;
	}
}

/* A sparse file's holes read as zeroes, but reading them fills them: with memory, for a memfd. */
static void copy_data(const struct vma *vma, int fd, uintptr_t hva, char *from, char *to,
		      size_t length)
{
	off_t start = vma->offset + (hva - vma->whole), end = start + length, data, hole = start;

	while ((data = lseek(fd, hole, SEEK_DATA)) >= 0 && data < end) {
		data &= -MEMORY_PAGE;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data || hole > end)
			hole = end;
		copy_file(from + (data - start), to + (data - start),
			  ((hole - data) + MEMORY_PAGE - 1) & -MEMORY_PAGE);
	}
}

static bool file_has_data(const struct vma *vma, int fd, uintptr_t hva, size_t length)
{
	off_t start = vma->offset + (hva - vma->whole);
	off_t data = lseek(fd, start, SEEK_DATA);

	return data >= 0 && data < start + (off_t)length;
}

bool vma_has_content(const struct vma *vma, int fd, uintptr_t hva, void *aside, size_t length)
{
	uint64_t entries[CHUNK_PAGES];

	if (!vma->anonymous)
		return fd < 0 || file_has_data(vma, fd, hva, length);
	if (!read_pagemap(aside, entries, length / MEMORY_PAGE))
		return true;
	for (size_t i = 0; i < length / MEMORY_PAGE; i++)
		if (entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
			return true;
	return false;
}

int vma_open(const struct vma *vma)
{
	char path[64];

	if (!vma->shared)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", vma->whole, vma->whole_end);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void vma_copy(const struct vma *vma, int fd, uintptr_t hva, void *aside, void *to, size_t length)
{
	if (!vma->readable && mprotect(aside, length, PROT_READ))
		return;
	if (vma->anonymous)
		copy_anonymous(aside, to, length / MEMORY_PAGE);
	else if (fd >= 0)
		copy_data(vma, fd, hva, aside, to, length);
	else
		copy_file(aside, to, length);
}
