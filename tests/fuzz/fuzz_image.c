/* fuzz_image: the check of a context image, of a name and of a configuration. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/kvmxend/kvmxend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void note(const char *format, ...)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* At the end of what is allocated: one byte too far is seen. */
	char *copy = malloc(size + 1);
	struct config config;
	unsigned line;
	const char *why;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	check_image(copy, size, 2);
	check_name(copy, size);
	copy[size] = '\0';
	config_default(&config);
	config_parse(&config, copy, &line, &why);
	config_free(&config);
	free(copy);
	return 0;
}
