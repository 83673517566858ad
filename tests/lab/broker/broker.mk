# build/tests/broker: programs of the broker's lab test. Included by the Makefile, whose BUILD, CC,
# ALL_CFLAGS and rule for objects it uses.

BROKER_PROGRAMS := $(BUILD)/tests/broker/runner $(BUILD)/tests/broker/hostile

# The assembler macros and symbols of vm.h come first: the order of top-level asm must stay.
$(BUILD)/tests/broker/runner: tests/lab/broker/runner.c $(programs_out)/vm.o tests/lab/programs/vm.h
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(PROGRAMS_CFLAGS) -I. -fno-toplevel-reorder -pthread -o $@ $< $(programs_out)/vm.o -lseccomp

$(BUILD)/tests/broker/hostile: $(BUILD)/obj/tests/lab/broker/hostile.o $(BUILD)/obj/libkvmxen/xen/wire.o \
		$(BUILD)/obj/libkvmxen/xen/wire_stream.o
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(LDFLAGS) -o $@ $^

.PHONY: broker-programs
broker-programs: $(BROKER_PROGRAMS)
