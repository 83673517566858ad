#include "libkvmxen/convert/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#define IMAGE_FIRST_CAPACITY 16384

static bool reserve(struct image *image, size_t more)
{
	size_t capacity = image->capacity ? image->capacity : IMAGE_FIRST_CAPACITY;
	uint8_t *data;

	if (image->error)
		return false;
	while (capacity - image->length < more)
		capacity *= 2;
	if (capacity == image->capacity)
		return true;
	data = realloc(image->data, capacity);
	if (!data) {
		image->error = -ENOMEM;
		return false;
	}
	image->data = data;
	image->capacity = capacity;
	return true;
}

void image_add(struct image *image, uint16_t typecode, uint16_t instance, const void *body,
	       size_t length)
{
	struct hvm_save_descriptor descriptor = {
		.typecode = typecode,
		.instance = instance,
		.length = length,
	};

	if (!reserve(image, sizeof descriptor + length))
		return;
	memcpy(image->data + image->length, &descriptor, sizeof descriptor);
	image->length += sizeof descriptor;
	if (length)
		memcpy(image->data + image->length, body, length);
	image->length += length;
}

void image_begin(struct image *image)
{
	struct hvm_save_header header = {
		.magic = HVM_FILE_MAGIC,
		.version = HVM_FILE_VERSION,
		.gtsc_khz = 0, /* keeps the frequency that the domain has */
	};

	memset(image, 0, sizeof *image);
	image_add(image, HVM_SAVE_CODE(HEADER), 0, &header, sizeof header);
}

int image_end(struct image *image)
{
	image_add(image, HVM_SAVE_CODE(END), 0, NULL, 0);
	return image->error;
}

void image_free(struct image *image)
{
	free(image->data);
	memset(image, 0, sizeof *image);
}

const void *image_find(const void *data, size_t size, uint16_t typecode, uint16_t instance,
		       size_t *length)
{
	const uint8_t *at = data;
	struct hvm_save_descriptor descriptor;

	while (size >= sizeof descriptor) {
		memcpy(&descriptor, at, sizeof descriptor);
		at += sizeof descriptor;
		size -= sizeof descriptor;
		if (descriptor.length > size)
			return NULL;
		if (descriptor.typecode == typecode && descriptor.instance == instance) {
			if (length)
				*length = descriptor.length;
			return at;
		}
		if (descriptor.typecode == HVM_SAVE_CODE(END))
			return NULL;
		at += descriptor.length;
		size -= descriptor.length;
	}
	return NULL;
}
