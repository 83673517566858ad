/* The trace: each call one line, with what went in and what came out. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libkvmxen/ioctl/trace.h"
#include "tests/unit/unit_machine.h"

void register_trace_suite(void);

static struct machine m;
static char path[] = "/tmp/kvmxen-unit-trace-XXXXXX";

static void begin(void)
{
	strcpy(path + sizeof path - 7, "XXXXXX");
	trace_fd = mkstemp(path);
	CU_ASSERT_FATAL(trace_fd >= 0);
}

/* The text of the trace, which ends. */
static const char *end(void)
{
	static char text[65536];
	ssize_t n;

	n = pread(trace_fd, text, sizeof text - 1, 0);
	close(trace_fd);
	unlink(path);
	trace_fd = -1;
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void arguments_are_bytes(void)
{
	struct kvm_mp_state mp = {.mp_state = 0x12345678};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} msrs = {.head.nmsrs = 1, .entry[0] = {.index = 0x174, .data = 0x10}};
	char line[256];
	const char *text;

	kvm_machine_new(&m, 1, true, NULL);
	begin();
	CU_ASSERT(machine_ioctl(m.vcpu[0], KVM_SET_MP_STATE, &mp) < 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_GET_MP_STATE, &mp), 0);
	CU_ASSERT_EQUAL(machine_ioctl(m.vcpu[0], KVM_SET_MSRS, &msrs), 1);
	CU_ASSERT(machine_ioctl(m.vm, KVM_IRQ_LINE, (void *)16) < 0);
	text = end();
	snprintf(line, sizeof line, " vcpu %#lx %#lx -22 78563412 -\n", (long)KVM_SET_MP_STATE,
		 (long)&mp);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
	snprintf(line, sizeof line, " vcpu %#lx %#lx 0 78563412 00000000\n", (long)KVM_GET_MP_STATE,
		 (long)&mp);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
	/* With its tail: count, pad, index, reserved, data. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " 1 0100000000000000740100000000000010"));
	/* A pointer to nowhere has no bytes. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " 0x10 -14 - -\n"));
	kvm_machine_free(&m);
}

static void one_out(uint16_t id)
{
	fake_guest_out(id, 0, 0x3f8, 1, 0x41);
}

static void exits_have_their_data(void)
{
	const char *text, *at;

	kvm_machine_new(&m, 1, false, one_out);
	begin();
	CU_ASSERT(machine_exits(&m, 0, KVM_EXIT_IO));
	text = end();
	/* The exit's reason is in the head of kvm_run, the byte behind it. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(at = strstr(text, " vcpu 0xae80 0 0 "));
	CU_ASSERT_PTR_NOT_NULL(strstr(at, "41\n"));
	kvm_machine_free(&m);
}

static void descriptors_come_and_go(void)
{
	const char *text;
	char line[64];
	int fd, copy;

	fake_install();
	begin();
	fd = kvmxen_open(O_RDWR);
	copy = dup(fd);
	kvmxen_duplicated(fd, copy);
	kvmxen_close(fd);
	kvmxen_close(copy);
	text = end();
	snprintf(line, sizeof line, " %d open 0 0x2 %d - -\n", fd, fd);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
	snprintf(line, sizeof line, " %d dup 0 %#x 0 - -\n", fd, copy);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
	snprintf(line, sizeof line, " %d close 0 0 0 - -\n", copy);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
}

void register_trace_suite(void)
{
	CU_pSuite suite = CU_add_suite("trace", NULL, NULL);

	CU_ADD_TEST(suite, arguments_are_bytes);
	CU_ADD_TEST(suite, exits_have_their_data);
	CU_ADD_TEST(suite, descriptors_come_and_go);
}
