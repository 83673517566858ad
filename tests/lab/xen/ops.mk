# build/tests/ops: the operations of libkvmxen/xen on a real Xen. Included by the Makefile, whose
# BUILD, CC, ALL_CFLAGS, XEN_LIBS and rule for objects it uses: make build/tests/ops

OPS_SRCS := $(sort $(wildcard tests/lab/xen/*.c) \
	$(wildcard libkvmxen/xen/*.c) libkvmxen/gate.c)

$(BUILD)/tests/ops: $(OPS_SRCS:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS)

.PHONY: ops
ops: $(BUILD)/tests/ops
