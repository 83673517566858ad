/*
 * runner: a KVM program that runs until it is killed, for tests of what its end leaves behind, and
 * of what it notices of a broker's end.
 *
 *	runner SECONDS [filtered | plain]
 *
 * Its guest makes exits without pause; a timer takes KVM_RUN out of it a hundred times a second,
 * and its registers are read and written at each: the control plane is in use all the time. Every
 * tenth of a second the count of exits goes to standard output. With `filtered` it allows itself,
 * after the first exit, only the system calls that docs/broker.md lists, and dies of any other.
 * With `plain` there is no timer: exits, and nothing else.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/lab/programs/vm.h"

GUEST(guest, 64, "1: inc %rcx; mov %ecx, %eax; tell; jmp 1b");

/* What KVM_RUN, registers and kicks of a running VM need; the last ones are this program's own. */
static const int allowed[] = {
	SCMP_SYS(ioctl),
	SCMP_SYS(read),
	SCMP_SYS(ppoll),
	SCMP_SYS(poll),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(brk),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(futex),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(signalfd4),
	SCMP_SYS(getpid),
	SCMP_SYS(sched_yield),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(close),
	SCMP_SYS(fcntl),
	SCMP_SYS(write),
	SCMP_SYS(exit_group),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(restart_syscall),
};

/* Names the call, which KILL_PROCESS does not. */
static void refused(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);

	fprintf(stderr, "the filter does not allow %s\n", name ? name : "?");
	_exit(1);
}

static void filter(void)
{
	const struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_TRAP);
	int rc = context ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < sizeof allowed / sizeof *allowed; i++)
		rc = seccomp_rule_add(context, SCMP_ACT_ALLOW, allowed[i], 0);
	sigaction(SIGSYS, &action, NULL);
	if (rc == 0)
		rc = seccomp_load(context);
	if (rc < 0)
		fail("seccomp: %s", errno_name(-rc));
	seccomp_release(context);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct itimerval often = {{0, 10000}, {0, 10000}}, never = {0};
	bool filtered = argc > 2 && strcmp(argv[2], "filtered") == 0;
	bool plain = argc > 2 && strcmp(argv[2], "plain") == 0;
	unsigned long exits = 0;
	double said = 0, end;
	struct kvm_regs regs;
	struct vcpu vcpu;
	struct vm vm;
	int error;

	catch_signal(SIGALRM, NULL);
	vm_boot(&vm, &vcpu, 64, guest);
	vcpu_run(&vcpu);
	/* Allocates what stdio needs. */
	printf("0\n");
	fflush(stdout);
	/* In place of the alarm that ends other programs. */
	setitimer(ITIMER_REAL, plain ? &never : &often, NULL);
	if (filtered)
		filter();
	end = now() + (argc > 1 ? atoi(argv[1]) : 600);
	while (now() < end) {
		error = vcpu_try_run(&vcpu);
		if (error == EINTR) {
			vcpu_get_regs(&vcpu, &regs);
			regs.rbx++;
			vcpu_set_regs(&vcpu, &regs);
		} else if (error) {
			fail("KVM_RUN: %s", errno_name(error));
		} else if (vcpu.run->exit_reason != KVM_EXIT_IO) {
			fail("exit %u", vcpu.run->exit_reason);
		}
		exits++;
		if (now() > said + 0.1) {
			said = now();
			printf("%lu\n", exits);
			fflush(stdout);
		}
	}
	/* Giving the VM back takes more than running it. */
	if (filtered)
		_exit(0);
	return 0;
}
