#include "answers.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
	{"matrix", matrix},         {"slots", slots},         {"machine", machine},
	{"interrupts", interrupts}, {"registers", registers},
};

void give_up(const char *what)
{
	printf("%s\tcannot go on: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

void *zeroed_pages(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		give_up("mmap");
	return pages;
}

static const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "E?";
}

static void print_name(const char *format, va_list args)
{
	vprintf(format, args);
	putchar('\t');
}

static void fill_descriptors(void)
{
	int fd;

	while ((fd = dup(STDERR_FILENO)) >= 0 && fd < FIRST_DESCRIPTOR - 1)
		continue;
}

int answer(int result, const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	print_name(format, args);
	va_end(args);
	if (result < 0)
		puts(error_name(error));
	else if (result >= FIRST_DESCRIPTOR && fcntl(result, F_GETFD) >= 0)
		puts("fd");
	else if (result > 100000)
		puts("a large number"); /* of kHz: each boot measures its own */
	else
		printf("%d\n", result);
	errno = error;
	return result;
}

void value(unsigned long long number, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_name(format, args);
	va_end(args);
	printf("%#llx\n", number);
}

void subject_open(struct subject *s, unsigned with)
{
	struct kvm_create_device vfio = {.type = KVM_DEV_TYPE_VFIO};
	struct kvm_pit_config pit = {0};

	*s = (struct subject){-1, -1, -1, -1, NULL};
	s->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (s->kvm < 0)
		give_up("/dev/kvm");
	s->vm = ioctl(s->kvm, KVM_CREATE_VM, 0ul);
	if (s->vm < 0)
		give_up("KVM_CREATE_VM");
	if ((with & WITH_IRQCHIP) && ioctl(s->vm, KVM_CREATE_IRQCHIP, 0ul) < 0)
		give_up("KVM_CREATE_IRQCHIP");
	if ((with & WITH_PIT) && ioctl(s->vm, KVM_CREATE_PIT2, &pit) < 0)
		give_up("KVM_CREATE_PIT2");
	if (with & WITH_VCPU) {
		s->vcpu = ioctl(s->vm, KVM_CREATE_VCPU, 0ul);
		if (s->vcpu < 0)
			give_up("KVM_CREATE_VCPU");
	}
	if (with & WITH_DEVICE) {
		if (ioctl(s->vm, KVM_CREATE_DEVICE, &vfio) < 0)
			give_up("KVM_CREATE_DEVICE");
		s->device = vfio.fd;
	}
}

void subject_close(struct subject *s)
{
	if (s->device >= 0)
		close(s->device);
	if (s->vcpu >= 0)
		close(s->vcpu);
	close(s->vm);
	close(s->kvm);
}

/* Each group in a process of its own: one that dies takes no other with it. */
static bool run_group(void (*run)(void), const char *name)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(600); /* an emulated machine under load is slow */
		run();
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		give_up("fork");
	if (status == 0)
		return true;
	printf("%s\tended with status %#x\n", name, status);
	return false;
}

int main(int argc, char **argv)
{
	bool well = true;

	fill_descriptors();
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (argc < 2 || strcmp(argv[1], groups[i].name) == 0)
			well &= run_group(groups[i].run, groups[i].name);
	return well ? 0 : 1;
}
