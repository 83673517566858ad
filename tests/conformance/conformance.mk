# The conformance program: build/tests/conformance.  Included by the checkout's Makefile.

conformance_src := $(wildcard tests/conformance/*.c)

.PHONY: conformance
conformance: $(BUILD)/tests/conformance

$(BUILD)/tests/conformance: $(conformance_src) tests/conformance/answers.h
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter \
		-o $@ $(conformance_src)
