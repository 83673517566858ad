# The unit tests: CUnit suites over the fake Xen. Included by the top Makefile; works alone too:
# make -f tests/unit/unit.mk unit
#
#   unit, unit-asan, unit-tsan   build and run
#   SUITES="fake run"            only tests/unit/test_fake*.c and test_run*.c
#   RUN="mapping"                only suites whose name contains this
#   UNIT_LIB_SRCS=               without the library and what tests over it share (unit_*.c)

comma    := ,
BUILD    ?= build
CC       ?= gcc
XEN_LIBS ?= -lxenctrl -lxenguest -lxenforeignmemory -lxenevtchn -lxenvchan -lxentoolcore \
	-lxentoollog -lxenstore
quiet    ?= @printf '  %-7s %s\n' '$(1)' '$(2)';
RUN      ?=

# The files of suite X are test_X.c, which defines register_X_suite, and test_X_*.c.
ALL_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
SUITES    ?= $(ALL_TESTS)
UNIT_TESTS := $(sort $(foreach suite,$(SUITES),$(filter $(suite) $(suite)_%,$(ALL_TESTS))))

# The broker without its process: that opens Xen, and filters its own system calls.
UNIT_LIB_SRCS ?= $(sort $(wildcard libkvmxen/*.c libkvmxen/*/*.c) \
	$(filter-out %/main.c %/sandbox.c,$(wildcard tools/kvmxend/*.c)) tools/kvmxen-dm/arguments.c)
UNIT_SRCS := $(sort tests/unit/main.c $(if $(strip $(UNIT_LIB_SRCS)),\
	$(wildcard tests/unit/unit_*.c)) $(UNIT_TESTS:%=tests/unit/test_%.c) \
	$(wildcard tests/fake/*.c))

UNIT_WARN := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wno-unused-parameter
UNIT_CFLAGS := -std=gnu11 $(UNIT_WARN) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fPIC -pthread \
	-DKVMXEN_VERSION='"$(or $(VERSION),0)"' -I. -Iinclude -g

# directory, flags: objects and program of one flavour, built from source
define unit_flavour
$(1)/obj/%.o: %.c
	@mkdir -p $$(@D)
	$$(call quiet,CC,$$<)$$(CC) $$(UNIT_CFLAGS) -I$(1)/obj $(2) -MMD -MP -c -o $$@ $$<

# What main.c registers: rewritten when the list has changed only.
$(1)/obj/tests/unit/suites.h: FORCE
	@mkdir -p $$(@D)
	@printf 'X(%s)\n' $$(UNIT_TESTS) | cmp -s - $$@ || printf 'X(%s)\n' $$(UNIT_TESTS) > $$@
$(1)/obj/tests/unit/main.o: $(1)/obj/tests/unit/suites.h

$(1)/unit: $$(UNIT_SRCS:%.c=$(1)/obj/%.o) $$(UNIT_LIB_SRCS:%.c=$(1)/obj/%.o)
	@mkdir -p $$(@D)
	$$(call quiet,LD,$$@)$$(CC) -pthread -rdynamic $(2) $$(LDFLAGS) -o $$@ $$^ -lcunit \
		$$(XEN_LIBS) -ldl

-include $$(patsubst %.c,$(1)/obj/%.d,$$(UNIT_SRCS) $$(UNIT_LIB_SRCS))
endef

$(eval $(call unit_flavour,$(BUILD)/tests,-O2 -D_FORTIFY_SOURCE=2))
$(eval $(call unit_flavour,$(BUILD)/asan,-O1 -fno-omit-frame-pointer -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined))
$(eval $(call unit_flavour,$(BUILD)/tsan,-O1 -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan))

.PHONY: unit unit-asan unit-tsan FORCE
FORCE:
unit: $(BUILD)/tests/unit
	$< $(RUN)
unit-asan: $(BUILD)/asan/unit
	ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 $< $(RUN)
unit-tsan: $(BUILD)/tsan/unit
	TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1 $< $(RUN)
