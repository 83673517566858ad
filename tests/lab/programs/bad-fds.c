// Each kind of ioctl on each kind of file descriptor, with an argument that would do on the right
// one: a table of errnos.

#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROW(request)                                                                               \
	{                                                                                          \
		request, #request                                                                  \
	}
static const struct {
	unsigned long request;
	const char *name;
} requests[] = {
	ROW(KVM_GET_API_VERSION),
	ROW(KVM_GET_VCPU_MMAP_SIZE),
	ROW(KVM_CHECK_EXTENSION),
	ROW(KVM_GET_SUPPORTED_CPUID),
	ROW(KVM_GET_MSR_INDEX_LIST),
	ROW(KVM_SET_USER_MEMORY_REGION),
	ROW(KVM_GET_DIRTY_LOG),
	ROW(KVM_SET_TSS_ADDR),
	ROW(KVM_IRQ_LINE),
	ROW(KVM_GET_IRQCHIP),
	ROW(KVM_IOEVENTFD),
	ROW(KVM_IRQFD),
	ROW(KVM_SIGNAL_MSI),
	ROW(KVM_RUN),
	ROW(KVM_GET_REGS),
	ROW(KVM_GET_SREGS),
	ROW(KVM_GET_FPU),
	ROW(KVM_GET_MSRS),
	ROW(KVM_GET_MP_STATE),
	ROW(KVM_GET_VCPU_EVENTS),
	ROW(KVM_GET_LAPIC),
	ROW(KVM_NMI),
	{_IO(KVMIO, 0xfe), "an unknown KVM ioctl"},
	{_IO('T', 0x01), "TCGETS"},
};

static const char *try_ioctl(int fd, unsigned long request)
{
	static uint8_t argument[0x4000];
	int r;

	memset(argument, 0, sizeof(argument));
	r = ioctl(fd, request, request == KVM_RUN || request == KVM_SET_TSS_ADDR ? NULL : argument);
	return errno_name(r < 0 ? errno : 0);
}

int main(void)
{
	struct vm vm;
	struct vcpu vcpu;
	int null = open("/dev/null", O_RDWR);

	vm_create(&vm);
	vcpu_create(&vm, &vcpu, 0);
	printf("%-28s %-8s %-8s %-8s %-8s %-8s\n", "", "system", "vm", "vcpu", "other", "none");
	for (unsigned int i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		unsigned long request = requests[i].request;

		printf("%-28s", requests[i].name);
		// On the right descriptor it is another program's affair.
		if (i < 5)
			printf(" %-8s", "-");
		else
			printf(" %-8s", try_ioctl(vm.kvm, request));
		if (i >= 5 && i < 13)
			printf(" %-8s", "-");
		else
			printf(" %-8s", try_ioctl(vm.fd, request));
		if (i >= 13 && i < 22)
			printf(" %-8s", "-");
		else
			printf(" %-8s", try_ioctl(vcpu.fd, request));
		printf(" %-8s %-8s\n", try_ioctl(null, request), try_ioctl(-1, request));
	}
	printf("read of a vcpu: %s\n", errno_name(read(vcpu.fd, &vm, 1) < 0 ? errno : 0));
	printf("write to a vm: %s\n", errno_name(write(vm.fd, &vcpu, 1) < 0 ? errno : 0));
	return 0;
}
