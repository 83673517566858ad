# The fuzzers of the broker, with libFuzzer and sanitizers. Included by the Makefile.
#
#   make fuzz-broker        each for FUZZ_SECONDS (60) from the kept corpus
#   make fuzz-broker-keep   the same, and what was found new is kept (merged) in tests/fuzz/corpus

FUZZ_SECONDS ?= 60
FUZZERS := broker image
FUZZ_CC ?= clang
FUZZ_FLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -Iinclude -g -O1 -pthread \
	-fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_SRCS := libkvmxen/xen/wire.c libkvmxen/xen/wire_stream.c libkvmxen/xen/wire_socket.c \
	$(filter-out %/main.c %/sandbox.c %/stubdom.c,$(wildcard tools/kvmxend/*.c))

$(FUZZERS:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c $(FUZZ_SRCS) $(wildcard tools/kvmxend/*.h) libkvmxen/xen/wire.h
	@mkdir -p $(@D)
	$(call quiet,FUZZ,$@)$(FUZZ_CC) $(FUZZ_FLAGS) -o $@ $< $(FUZZ_SRCS)

.PHONY: fuzz-broker fuzz-broker-keep $(FUZZERS:%=fuzz-one-%)
# Side by side, with make -j.
fuzz-broker: $(FUZZERS:%=fuzz-one-%)
$(FUZZERS:%=fuzz-one-%): fuzz-one-%: $(BUILD)/fuzz/%
	@mkdir -p $(BUILD)/fuzz/found-$*
	@$(BUILD)/fuzz/$* -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/ \
		$(BUILD)/fuzz/found-$* tests/fuzz/corpus/$* 2>&1 | \
		grep -E 'executed|new_units|ERROR|SUMMARY|Test unit' | sed 's/^/fuzz $*: /'; \
		[ $${PIPESTATUS[0]} = 0 ]
$(FUZZERS:%=fuzz-one-%): SHELL := /bin/bash

fuzz-broker-keep: fuzz-broker
	@for f in $(FUZZERS); do $(BUILD)/fuzz/$$f -merge=1 tests/fuzz/corpus/$$f $(BUILD)/fuzz/found-$$f 2>/dev/null; done
