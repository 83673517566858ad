/* Context images: what image_begin, image_add and image_end write, and what image_find believes. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

#include "libkvmxen/convert/image.h"

void register_image_suite(void);

static void an_empty_image_is_header_and_end(void)
{
	struct hvm_save_descriptor descriptor;
	struct hvm_save_header header;
	struct image image;

	image_begin(&image);
	CU_ASSERT_EQUAL(image_end(&image), 0);
	CU_ASSERT_EQUAL_FATAL(image.length, 2 * sizeof descriptor + sizeof header);
	memcpy(&descriptor, image.data, sizeof descriptor);
	CU_ASSERT_EQUAL(descriptor.typecode, HVM_SAVE_CODE(HEADER));
	CU_ASSERT_EQUAL(descriptor.instance, 0);
	CU_ASSERT_EQUAL(descriptor.length, sizeof header);
	memcpy(&header, image.data + sizeof descriptor, sizeof header);
	CU_ASSERT_EQUAL(header.magic, HVM_FILE_MAGIC);
	CU_ASSERT_EQUAL(header.version, HVM_FILE_VERSION);
	CU_ASSERT_EQUAL(header.changeset, 0);
	CU_ASSERT_EQUAL(header.cpuid, 0);
	CU_ASSERT_EQUAL(header.gtsc_khz, 0);
	memcpy(&descriptor, image.data + image.length - sizeof descriptor, sizeof descriptor);
	CU_ASSERT_EQUAL(descriptor.typecode, HVM_SAVE_CODE(END));
	CU_ASSERT_EQUAL(descriptor.length, 0);
	image_free(&image);
	CU_ASSERT_PTR_NULL(image.data);
}

static void what_is_added_is_found(void)
{
	uint8_t body[5000];
	struct image image;
	unsigned i;
	size_t length;

	image_begin(&image);
	for (i = 0; i < 40; i++) {
		memset(body, i, sizeof body);
		image_add(&image, 2 + i % 3, i, body, 100 + i * 120);
	}
	CU_ASSERT_EQUAL(image_end(&image), 0);
	for (i = 0; i < 40; i++) {
		const uint8_t *found = image_find(image.data, image.length, 2 + i % 3, i, &length);

		CU_ASSERT_PTR_NOT_NULL_FATAL(found);
		CU_ASSERT_EQUAL(length, 100 + i * 120);
		CU_ASSERT(found[0] == i && found[length - 1] == i);
	}
	CU_ASSERT_PTR_NULL(image_find(image.data, image.length, 2, 1, &length));
	CU_ASSERT_PTR_NULL(image_find(image.data, image.length, 99, 0, NULL));
	image_free(&image);
}

/* An image is foreign data to whoever walks it. */
static void a_cut_image_is_never_read_past_its_end(void)
{
	uint8_t body[64] = {1};
	struct image image;
	size_t cut;

	image_begin(&image);
	image_add(&image, 7, 0, body, sizeof body);
	CU_ASSERT_EQUAL(image_end(&image), 0);
	for (cut = 0; cut <= image.length; cut++) {
		/* On the heap, at its exact size, for the address sanitizer. */
		uint8_t *copy = malloc(cut ? cut : 1);
		bool whole = cut >= image.length - sizeof(struct hvm_save_descriptor);

		memcpy(copy, image.data, cut);
		CU_ASSERT_EQUAL(image_find(copy, cut, 7, 0, NULL) != NULL, whole);
		CU_ASSERT_PTR_NULL(image_find(copy, cut, 8, 0, NULL));
		free(copy);
	}
	image_free(&image);
}

static void nothing_is_found_after_end(void)
{
	struct image image;

	image_begin(&image);
	image_end(&image);
	image_add(&image, 7, 0, "x", 1);
	CU_ASSERT_PTR_NULL(image_find(image.data, image.length, 7, 0, NULL));
	image_free(&image);
}

void register_image_suite(void)
{
	CU_pSuite suite = CU_add_suite("image", NULL, NULL);

	CU_ADD_TEST(suite, an_empty_image_is_header_and_end);
	CU_ADD_TEST(suite, what_is_added_is_found);
	CU_ADD_TEST(suite, a_cut_image_is_never_read_past_its_end);
	CU_ADD_TEST(suite, nothing_is_found_after_end);
}
