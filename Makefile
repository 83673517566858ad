# kvmxen: KVM programs on a Xen host. `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
BUILD  ?= build
VERSION := 0.1.0
SONAME  := libkvmxen.so.0

CC      ?= gcc
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter
ALL_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fvisibility=hidden -fPIC -pthread \
	-DKVMXEN_VERSION='"$(VERSION)"' -I. -Iinclude $(CFLAGS)
XEN_LIBS := -lxenctrl -lxenguest -lxenforeignmemory -lxenevtchn -lxenvchan -lxentoolcore -lxentoollog -lxenstore

quiet = @printf '  %-7s %s\n' '$(1)' '$(2)';

LIB_SRCS := $(sort $(wildcard libkvmxen/*.c libkvmxen/*/*.c))
LIB_OBJS := $(LIB_SRCS:%.c=$(BUILD)/obj/%.o)

# The shared library is optimized as a whole: what an exit calls is then one piece (libkvmxen/hot.h).
LTO ?= -flto=auto
$(LIB_OBJS): EXTRA_CFLAGS = $(if $(LTO),$(LTO) -ffat-lto-objects)

.PHONY: all
all: $(BUILD)/kvmxen $(BUILD)/libkvmxen-preload.so $(BUILD)/libkvmxen.so $(BUILD)/libkvmxen.a $(BUILD)/kvmxen-janitor \
	$(BUILD)/kvmxend $(BUILD)/kvmxen-dm \
	$(BUILD)/kvmxen.pc

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(ALL_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libkvmxen.a: $(LIB_OBJS)
	$(call quiet,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/$(SONAME): $(LIB_OBJS) libkvmxen/libkvmxen.map
	$(call quiet,LD,$@)$(CC) -shared -pthread $(CFLAGS) $(LTO) -Wl,-soname,$(SONAME) -Wl,--version-script=libkvmxen/libkvmxen.map \
		-Wl,-z,defs $(LDFLAGS) -o $@ $(LIB_OBJS) $(XEN_LIBS)
$(BUILD)/libkvmxen.so: $(BUILD)/$(SONAME)
	@ln -sf $(SONAME) $@

# The shim finds the library beside itself, wherever both are.
$(BUILD)/obj/tools/preload.o: EXTRA_CFLAGS = -U_FILE_OFFSET_BITS
$(BUILD)/libkvmxen-preload.so: $(BUILD)/obj/tools/preload.o $(BUILD)/libkvmxen.so
	$(call quiet,LD,$@)$(CC) -shared -pthread -Wl,-z,defs -Wl,-rpath,'$$ORIGIN' $(LDFLAGS) -o $@ $< -L$(BUILD) -lkvmxen

TOOL_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tools/kvmxen-janitor.c tools/preload.c,$(wildcard tools/*.c)))
$(TOOL_OBJS): EXTRA_CFLAGS = -DKVMXEN_SHIM_PLACES='".","..","../$(notdir $(LIBDIR))"'
$(BUILD)/kvmxen: $(TOOL_OBJS) $(BUILD)/libkvmxen.a
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS) -ljson-c
$(BUILD)/kvmxen-janitor: $(BUILD)/obj/tools/kvmxen-janitor.o $(BUILD)/libkvmxen.a
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS)

KVMXEND_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tools/kvmxend/*.c))
$(BUILD)/kvmxend: $(KVMXEND_OBJS) $(BUILD)/libkvmxen.a
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS) -lseccomp

DM_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tools/kvmxen-dm/*.c)) $(BUILD)/obj/tools/launch.o
$(BUILD)/kvmxen-dm: $(DM_OBJS) $(BUILD)/libkvmxen.a
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS) -ljson-c

# The stub domain's image: a kernel, which is Debian's, and an initramfs. Both are the lab's unless told
# otherwise: STUBDOM_KERNEL=/boot/vmlinuz-VERSION STUBDOM_MODULES=/lib/modules/VERSION.
STUBDOM_KERNEL  ?= $(shell tests/lab/lab kernel)
STUBDOM_MODULES ?= $(shell tests/lab/lab modules)
$(BUILD)/stubdom/init: $(BUILD)/obj/stubdom/init.o
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(LDFLAGS) -o $@ $< -lxenstore
# What tests/lab/scenarios/xl puts into one in place of kvmxen-dm.
.SECONDARY: $(BUILD)/obj/tests/lab/scenarios/stub-hostile.o $(BUILD)/obj/tests/lab/scenarios/stub-exits.o
.PHONY: stub-programs
stub-programs: $(BUILD)/tests/scenarios/stub-hostile $(BUILD)/tests/scenarios/stub-exits
$(BUILD)/tests/scenarios/stub-%: $(BUILD)/obj/tests/lab/scenarios/stub-%.o $(BUILD)/libkvmxen.a
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) -pthread $(LDFLAGS) -o $@ $^ $(XEN_LIBS)
.PHONY: stubdom
stubdom: $(BUILD)/stubdom/initramfs
$(BUILD)/stubdom/initramfs: stubdom/build $(BUILD)/stubdom/init $(BUILD)/kvmxen-dm $(BUILD)/libkvmxen.so $(BUILD)/libkvmxen-preload.so
	$(call quiet,STUBDOM,$@)BUILD=$(BUILD) stubdom/build $(STUBDOM_KERNEL) $(STUBDOM_MODULES) $(@D)/init $(@D)

$(BUILD)/kvmxen.pc: Makefile
	@mkdir -p $(@D)
	$(call quiet,GEN,$@)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$${prefix}/include' '' \
		'Name: kvmxen' 'Description: the Linux KVM API on a Xen host' 'Version: $(VERSION)' \
		'Libs: -L$${libdir} -lkvmxen' 'Cflags: -I$${includedir}' > $@

.PHONY: install
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/kvmxen $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/kvmxen
	install -m 755 $(BUILD)/kvmxen $(BUILD)/kvmxen-dm $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(BUILD)/kvmxen-janitor $(DESTDIR)$(LIBDIR)/kvmxen/
	install -m 755 $(BUILD)/$(SONAME) $(BUILD)/libkvmxen-preload.so $(DESTDIR)$(LIBDIR)/
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libkvmxen.so
	install -m 644 $(BUILD)/libkvmxen.a $(DESTDIR)$(LIBDIR)/
	install -m 644 $(BUILD)/kvmxen.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	install -m 644 include/kvmxen/*.h $(DESTDIR)$(PREFIX)/include/kvmxen/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(SYSCONFDIR)/kvmxen $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(BUILD)/kvmxend $(DESTDIR)$(PREFIX)/sbin/
	sed 's|/usr/local/sbin|$(PREFIX)/sbin|' tools/kvmxend/kvmxend.service > $(DESTDIR)$(UNITDIR)/kvmxend.service
	[ -e $(DESTDIR)$(SYSCONFDIR)/kvmxen/kvmxend.conf ] || \
		install -m 644 tools/kvmxend/kvmxend.conf $(DESTDIR)$(SYSCONFDIR)/kvmxen/
	install -m 644 docs/man/kvmxend.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man7 docs/man/*.7
	[ ! -e $(BUILD)/stubdom/initramfs ] || \
		install -D -m 644 -t $(DESTDIR)$(LIBDIR)/kvmxen/stubdom $(BUILD)/stubdom/vmlinuz $(BUILD)/stubdom/initramfs

-include tests/unit/unit.mk tests/lab/xen/ops.mk tests/lab/programs/programs.mk tests/conformance/conformance.mk
-include tests/bench/bench.mk
-include tests/lab/broker/broker.mk tests/fuzz/fuzz.mk

# What the build and the tests need beyond a compiler; the lab installs what it needs itself.
DEPS := gcc make pkg-config libxen-dev libcunit1-dev libjson-c-dev libseccomp-dev libc6-dev linux-libc-dev \
	clang libclang-rt-14-dev strace qemu-system-xen
.PHONY: deps
deps:
	@dpkg -s $(DEPS) >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(DEPS); }

.PHONY: test test-long lab-test demo
test: deps
	$(MAKE) -j$$(nproc) all $(BUILD)/tests/unit $(BUILD)/asan/unit ops programs conformance broker-programs bench-programs
	$(MAKE) check-docs check-headers unit unit-asan
	$(MAKE) -j2 fuzz-broker FUZZ_SECONDS=150
	tests/lab/suite

# What takes too long for every day: more machines, ten VMMs killed, domains of xl, stub domains, snapshots
# and migration.
test-long: deps
	$(MAKE) -j$$(nproc) all
	LONG=1 tests/lab/suite machines xl stubdom gdb assign migration

demo: deps
	$(MAKE) all
	tools/demo

lab-test: all ops programs conformance broker-programs
	tests/lab/suite

# All the Linux KVM selftests, on real KVM and under kvmxen; in `make test` are those that pass and are quick.
.PHONY: selftests fuzz
selftests: all
	tests/conformance/selftests both

# A longer course of the random calls; FUZZ_ROUNDS, FUZZ_SEED.
FUZZ_ROUNDS ?= 20000
FUZZ_SEED   ?= 1
fuzz: $(BUILD)/asan/unit
	KVMXEN_FUZZ_ROUNDS=$(FUZZ_ROUNDS) KVMXEN_FUZZ_SEED=$(FUZZ_SEED) $< fuzz

# Every public header must compile alone; every source must be as the formatter leaves it.
.PHONY: check-headers format check-format
check-headers:
	@for h in include/kvmxen/*.h; do echo "#include \"$$h\"" | $(CC) -std=c11 -Wall -Wextra -Werror -fsyntax-only -x c - || exit 1; done
SOURCES = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(SOURCES)
check-format:
	clang-format --dry-run -Werror $(SOURCES)

# Pages that are the code's own tables, printed.
docs/state.md: PRINT = state
docs/api.md: PRINT = caps --markdown
GENERATED_DOCS := docs/state.md docs/api.md
.PHONY: docs check-docs $(GENERATED_DOCS) $(GENERATED_DOCS:%=check-%)
docs: $(GENERATED_DOCS)
$(GENERATED_DOCS): $(BUILD)/kvmxen
	$(BUILD)/kvmxen $(PRINT) > $@
check-docs: $(GENERATED_DOCS:%=check-%)
	@tests/conformance/check-capabilities $(BUILD)/kvmxen
check-docs/state.md: PRINT = state
check-docs/api.md: PRINT = caps --markdown
check-docs: check-selftests-docs
.PHONY: check-selftests-docs selftests-docs
check-selftests-docs:
	@tests/conformance/selftests check-docs
docs: selftests-docs
selftests-docs:
	tests/conformance/selftests docs > docs/conformance.md.new && mv docs/conformance.md.new docs/conformance.md
$(GENERATED_DOCS:%=check-%): check-docs/%: $(BUILD)/kvmxen
	@$(BUILD)/kvmxen $(PRINT) | diff -u docs/$* - || { echo "docs/$* is not what \`make docs\` writes"; exit 1; }

.PHONY: help
help:
	@echo 'make            the library, the shim, the command, the janitor, the broker'
	@echo 'make demo       QEMU on KVM, on a real Xen in the lab'
	@echo 'make test       unit suites (plain and under sanitizers), then the lab suite'
	@echo 'make lab-test   the lab suite alone'
	@echo 'make selftests  the Linux KVM selftests on real KVM and under kvmxen'
	@echo 'make fuzz       random calls of the API, under sanitizers'
	@echo 'make fuzz-broker   the broker, FUZZ_SECONDS for each fuzzer; fuzz-broker-keep keeps what is new'
	@echo 'make stubdom    the image of a stub domain; make install takes it along when it is there'
	@echo 'make docs       the pages of docs/ that are made from the code; check-docs compares'
	@echo 'make bench      measures, and writes docs/performance.md'
	@echo 'make install    DESTDIR, PREFIX, LIBDIR'
	@echo 'make format | check-format | check-headers | clean'

.PHONY: clean
clean:
	rm -rf $(BUILD)/obj $(BUILD)/asan $(BUILD)/tsan $(BUILD)/tests $(BUILD)/kvmxen* $(BUILD)/libkvmxen*

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
