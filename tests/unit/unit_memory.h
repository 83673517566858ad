/*
 * unit_memory: a VM with nothing but memory, over the fake Xen, for the tests of memory*.c.
 *
 * One vcpu exists and is never started, so that the world can be stopped around it.
 */
#ifndef KVMXEN_TESTS_UNIT_MEMORY_H
#define KVMXEN_TESTS_UNIT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libkvmxen/machine/vcpu.h"
#include "libkvmxen/machine/vm.h"
#include "tests/fake/fake.h"

#define PAGE 4096ul
#define KB   (1ul << 10)
#define MB   (1ul << 20)
#define GB   (1ul << 30)

struct space {
	struct vm vm;
	struct vcpu vcpu;
};

/* A fresh fake and a VM_NEW VM. */
void space_new(struct space *s);
/* Its domain: created, with scratch frame and ioreq server, paused. Nothing is flushed. */
int space_live(struct space *s);
/* space_new, space_live and unpaused. */
void space_start(struct space *s);
/* The domain ends as domain_end does it: the VMM has its memory back. */
void space_end_domain(struct space *s);
/* Ends everything; what is left in the fake is a failure. */
void space_free(struct space *s);

/* KVM_SET_USER_MEMORY_REGION. 0 or -errno. */
long slot_set(struct space *s, uint32_t id, uint32_t flags, uint64_t gpa, uint64_t size,
	      const void *address);
long slot_delete(struct space *s, uint32_t id);
/* memory_flush as KVM_RUN does it. */
int flush(struct space *s);

/* Memory of the VMM, zeroed, at an address whose offset in 2 MiB is given. */
char *vmm_memory(size_t size, size_t offset);
/* Writes to each page what tells it from all others. */
void paint(char *memory, size_t size);
/* Is it still what paint wrote for the page that was at `painted` then? */
bool is_painted(const void *page, const char *painted);
/* Does the guest see the VMM's memory at gpa? */
bool guest_sees(struct space *s, uint64_t gpa, const char *memory, size_t size);
/* Does the guest see no memory at all there? */
bool guest_sees_nothing(struct space *s, uint64_t gpa, size_t size);

/* Around what makes foreign mappings ordinary memory. */
void replacing_begin(void);
void replacing_end(void);

/* Between them messages go nowhere: for failures made on purpose. */
void quiet_begin(void);
void quiet_end(void);

#endif
