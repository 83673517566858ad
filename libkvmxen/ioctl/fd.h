/*
 * fd: which file descriptors are ours, and what they stand for.
 *
 * A KVM descriptor is a real one, so that close, dup, poll, fork and exec behave; the table maps
 * its number to a file: the open file description, counted by its descriptors and by the calls
 * that are using it.
 *
 * fd_get takes no lock: an entry is one atomic pointer, and files are never given back to malloc,
 * so a count that has reached zero is seen as such.
 */
#ifndef KVMXEN_IOCTL_FD_H
#define KVMXEN_IOCTL_FD_H

#include <stdatomic.h>
#include <stdbool.h>

enum fd_kind {
	FD_SYSTEM = 1 << 0, /* /dev/kvm */
	FD_VM = 1 << 1,
	FD_VCPU = 1 << 2,
	FD_DEVICE = 1 << 3, /* KVM_CREATE_DEVICE */
};

struct file {
	atomic_uint refs;
	enum fd_kind kind;
	void *object; /* struct vm, vcpu or vfio */
	struct file *next_free;
};

/* Enters a new file under the open descriptor fd. The file owns one reference of object.
 * 0 or -errno (nothing is taken then). */
int fd_install(int fd, enum fd_kind kind, void *object);

/* The file of fd with a reference, or NULL: not ours. */
struct file *fd_get(int fd);
/* The last reference ends the object's. */
void file_put(struct file *file);

/* Is fd ours? Cheap. */
bool fd_is_ours(int fd);
/* to becomes another descriptor of from's file (nothing when from is not ours). 0 or -errno. */
int fd_duplicate(int from, int to);
/* fd was or is about to be closed. */
void fd_forget(int fd);
void fd_forget_range(unsigned first, unsigned last);

/* Counts the forks between this process and the one that loaded the library: the KVM check that a
 * VM is used by the process that made it, without a system call. */
unsigned fd_process(void);

#endif
