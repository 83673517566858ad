/*
 * image: builds and reads an HVM context image: HEADER, records, END (xen/arch-x86/hvm/save.h).
 */
#ifndef KVMXEN_CONVERT_IMAGE_H
#define KVMXEN_CONVERT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct image {
	uint8_t *data; /* owned: image_free */
	size_t length, capacity;
	int error; /* -ENOMEM once an addition failed; reported by image_end */
};

/* Starts with a HEADER that leaves the domain's TSC frequency alone. */
void image_begin(struct image *image);
void image_add(struct image *image, uint16_t typecode, uint16_t instance, const void *body,
	       size_t length);
/* Closes with END. 0 or -ENOMEM. */
int image_end(struct image *image);
void image_free(struct image *image);

/* Walks a context: the body of the record (typecode, instance), or NULL. *length may be NULL. */
const void *image_find(const void *data, size_t size, uint16_t typecode, uint16_t instance,
		       size_t *length);

#endif
