# What `make bench` runs: build/tests/bench/*. Included by the Makefile.

BENCH_OUT := $(BUILD)/tests/bench
BENCH_OBJ = $(patsubst %,$(BUILD)/obj/tests/bench/%.o,$(1))

# Beyond what the library and the lab need.
BENCH_DEPS := libjson-c-dev
.PHONY: bench bench-programs
bench: deps
	@dpkg -s $(BENCH_DEPS) >/dev/null 2>&1 || DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(BENCH_DEPS)
	$(MAKE) all bench-programs
	tests/bench/bench

bench-programs: $(addprefix $(BENCH_OUT)/,floor exits exits-direct state memory interrupts machines \
	resident measure report)

$(BUILD)/obj/tests/bench/exits-direct.o: tests/bench/exits.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(ALL_CFLAGS) -DBENCH_DIRECT -MMD -MP -c -o $@ $<

$(BENCH_OUT)/floor: $(call BENCH_OBJ,floor guest worker)
$(BENCH_OUT)/exits: $(call BENCH_OBJ,exits guest worker)
# With the shared library: it finds the janitor beside itself.
$(BENCH_OUT)/exits-direct: $(call BENCH_OBJ,exits-direct guest worker) $(BUILD)/libkvmxen.so
BENCH_OVER_VM := state memory interrupts machines resident
$(BENCH_OVER_VM:%=$(BENCH_OUT)/%): $(BENCH_OUT)/%: $(BUILD)/obj/tests/bench/%.o $(call BENCH_OBJ,worker) \
	$(programs_out)/vm.o
# As in programs.mk: the assembler text of vm.h comes first.
$(BENCH_OVER_VM:%=$(BUILD)/obj/tests/bench/%.o): EXTRA_CFLAGS = -fno-toplevel-reorder
$(BENCH_OUT)/measure: $(call BENCH_OBJ,measure)
$(BENCH_OUT)/floor: LIBS = $(XEN_LIBS) -lxendevicemodel
$(BENCH_OUT)/exits-direct: LIBS = -Wl,-rpath,'$$ORIGIN/../..'
$(BENCH_OUT)/report: $(call BENCH_OBJ,report samples picture)
$(BENCH_OUT)/measure $(BENCH_OUT)/report: LIBS = -ljson-c -lm
$(BENCH_OUT)/%:
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(LIBS)
