# build/tests/ops: the operations of libkvmxen/xen on a real Xen. In a makefile that knows BUILD,
# CC, ALL_CFLAGS, XEN_LIBS and how an object is built; or alone: make -f tests/lab/xen/ops.mk ops
BUILD ?= build
ifndef ALL_CFLAGS
include Makefile
endif

OPS_SRCS := $(sort $(wildcard tests/lab/xen/*.c)) \
	$(filter libkvmxen/xen/direct_%.c libkvmxen/xen/xen.c,$(wildcard libkvmxen/xen/*.c))
OPS_OBJS := $(OPS_SRCS:%.c=$(BUILD)/obj/%.o)

$(BUILD)/tests/ops: $(OPS_OBJS)
	@mkdir -p $(@D)
	@printf '  %-7s %s\n' LD $@; $(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS)

.PHONY: ops
ops: $(BUILD)/tests/ops
