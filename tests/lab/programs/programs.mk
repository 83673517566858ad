# The KVM programs: build/tests/programs/NAME from NAME.c and vm.c.  Included by the checkout's
# Makefile, or used alone: make -f tests/lab/programs/programs.mk

programs_src := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
programs_out ?= $(or $(BUILD),build)/tests/programs
programs := $(patsubst $(programs_src)/%.c,$(programs_out)/%, \
	$(filter-out %/vm.c,$(wildcard $(programs_src)/*.c)))
quiet ?= @printf '  %-7s %s\n' '$(1)' '$(2)';
PROGRAMS_CFLAGS ?= -std=gnu11 -O2 -g -Wall -Wextra -Werror

.PHONY: programs
programs: $(programs)

# The assembler macros and symbols of vm.h come first: the order of top-level asm must stay.
$(programs_out)/%: $(programs_src)/%.c $(programs_out)/vm.o $(programs_src)/vm.h
	$(call quiet,CC,$@)$(CC) $(PROGRAMS_CFLAGS) -fno-toplevel-reorder -pthread -o $@ $< $(programs_out)/vm.o

$(programs_out)/vm.o: $(programs_src)/vm.c $(programs_src)/vm.h | $(programs_out)
	$(call quiet,CC,$@)$(CC) $(PROGRAMS_CFLAGS) -pthread -c -o $@ $<

$(programs_out):
	mkdir -p $@
