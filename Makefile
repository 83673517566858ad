# kvmxen: KVM programs on a Xen host. `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BUILD  ?= build
VERSION := 0.1.0
SONAME  := libkvmxen.so.0

CC      ?= gcc
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter
ALL_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fvisibility=hidden -fPIC -pthread \
	-I. -Iinclude $(CFLAGS)
XEN_LIBS := -lxenctrl -lxenguest -lxenforeignmemory -lxenevtchn -lxendevicemodel -lxentoolcore -lxentoollog -lxenstore

quiet = @printf '  %-7s %s\n' '$(1)' '$(2)';

LIB_SRCS := $(sort $(wildcard libkvmxen/*.c libkvmxen/*/*.c))
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/obj/%.o)

.PHONY: all
all: $(BUILD)/libkvmxen.so $(BUILD)/libkvmxen.a $(BUILD)/kvmxen

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libkvmxen.a: $(LIB_OBJS)
	$(call quiet,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/$(SONAME): $(LIB_OBJS) libkvmxen/libkvmxen.map
	$(call quiet,LD,$@)$(CC) -shared -pthread -Wl,-soname,$(SONAME) -Wl,--version-script=libkvmxen/libkvmxen.map \
		-Wl,-z,defs $(LDFLAGS) -o $@ $(LIB_OBJS) $(XEN_LIBS) -ldl
$(BUILD)/libkvmxen.so: $(BUILD)/$(SONAME)
	@ln -sf $(SONAME) $@

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
