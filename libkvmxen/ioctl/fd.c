#include "libkvmxen/ioctl/fd.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libkvmxen/hot.h"
#include "libkvmxen/machine/vfio.h"
#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"

#define BLOCK_SIZE 1024u
#define BLOCKS     1024u /* a million descriptors: the kernel's own default ceiling */

typedef _Atomic(struct file *) entry;

static _Atomic(entry *) blocks[BLOCKS];
static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *free_files;
static HOT_DATA unsigned process_generation;

static void after_fork(void)
{
	process_generation++;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, after_fork);
}

HOT unsigned fd_process(void)
{
	return process_generation;
}

HOT static entry *entry_of(int fd, bool make)
{
	unsigned block = (unsigned)fd / BLOCK_SIZE;
	entry *entries;

	if (fd < 0 || block >= BLOCKS)
		return NULL;
	entries = atomic_load_explicit(&blocks[block], memory_order_acquire);
	if (!entries && make) {
		entry *fresh = calloc(BLOCK_SIZE, sizeof *fresh);

		if (!fresh)
			return NULL;
		if (atomic_compare_exchange_strong(&blocks[block], &entries, fresh))
			entries = fresh;
		else
			free(fresh);
	}
	return entries ? &entries[(unsigned)fd % BLOCK_SIZE] : NULL;
}

static struct file *file_new(enum fd_kind kind, void *object)
{
	struct file *file;

	pthread_mutex_lock(&free_lock);
	file = free_files;
	if (file)
		free_files = file->next_free;
	pthread_mutex_unlock(&free_lock);
	if (!file)
		file = calloc(1, sizeof *file);
	if (!file)
		return NULL;
	file->kind = kind;
	file->object = object;
	atomic_store_explicit(&file->refs, 1, memory_order_release);
	return file;
}

HOT static bool file_try_get(struct file *file)
{
	unsigned refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs != 0)
		if (atomic_compare_exchange_weak(&file->refs, &refs, refs + 1))
			return true;
	return false;
}

/* The last reference. */
COLD static void file_end(struct file *file)
{
	enum fd_kind kind = file->kind;
	void *object = file->object;

	pthread_mutex_lock(&free_lock);
	file->next_free = free_files;
	free_files = file;
	pthread_mutex_unlock(&free_lock);
	if (kind == FD_VM)
		vm_put(object);
	else if (kind == FD_VCPU)
		vcpu_release(object);
	else if (kind == FD_DEVICE)
		vfio_release(object);
}

HOT void file_put(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) == 1)
		file_end(file);
}

HOT struct file *fd_get(int fd)
{
	entry *e = entry_of(fd, false);
	struct file *file;

	if (!e)
		return NULL;
	for (;;) {
		file = atomic_load_explicit(e, memory_order_acquire);
		if (!file)
			return NULL;
		if (!file_try_get(file))
			continue;
		/* Closed and used again in between? Then it is another file's count. */
		if (atomic_load_explicit(e, memory_order_acquire) == file)
			return file;
		file_put(file);
	}
}

bool fd_is_ours(int fd)
{
	entry *e = entry_of(fd, false);

	return e && atomic_load_explicit(e, memory_order_relaxed);
}

static void set_entry(entry *e, struct file *file)
{
	struct file *old = atomic_exchange(e, file);

	if (old)
		file_put(old);
}

int fd_install(int fd, enum fd_kind kind, void *object)
{
	entry *e = entry_of(fd, true);
	struct file *file = e ? file_new(kind, object) : NULL;

	if (!file)
		return -ENOMEM;
	set_entry(e, file);
	return 0;
}

int fd_duplicate(int from, int to)
{
	struct file *file = fd_get(from);
	entry *e;

	if (!file)
		return 0;
	e = entry_of(to, true);
	if (!e) {
		file_put(file);
		return -ENOMEM;
	}
	set_entry(e, file); /* our reference becomes the descriptor's */
	return 0;
}

void fd_forget(int fd)
{
	entry *e = entry_of(fd, false);

	if (e && atomic_load_explicit(e, memory_order_relaxed))
		set_entry(e, NULL);
}

void fd_forget_range(unsigned first, unsigned last)
{
	unsigned block, i;

	for (block = first / BLOCK_SIZE; block < BLOCKS && block <= last / BLOCK_SIZE; block++) {
		if (!atomic_load(&blocks[block]))
			continue;
		for (i = 0; i < BLOCK_SIZE; i++) {
			unsigned fd = block * BLOCK_SIZE + i;

			if (fd >= first && fd <= last)
				fd_forget((int)fd);
		}
	}
}
