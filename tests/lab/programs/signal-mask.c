// KVM_SET_SIGNAL_MASK: which signals take KVM_RUN out, the thread's own mask notwithstanding.  The
// handler of a signal that the thread blocks does not run.

#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

GUEST(guest, 16,
      "1: mov $1, %al; out %al, $0x90\n"
      "hlt; jmp 1b");

static volatile unsigned int handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void set_mask(struct vcpu *vcpu, uint64_t signals)
{
	struct {
		struct kvm_signal_mask header;
		uint8_t signals[8];
	} mask = {.header.len = 8};

	for (unsigned int i = 0; i < 8; i++)
		mask.signals[i] = (uint8_t)(signals >> (8 * i));
	IOCTL(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
}

static bool pending(int number)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, number);
}

static void try_run(struct vcpu *vcpu, const char *what)
{
	int error = vcpu_try_run(vcpu);

	printf("%s: %s", what, errno_name(error));
	printf(", exit reason %u, pending: usr1 %d usr2 %d, handled %u\n",
	       error ? 0 : vcpu->run->exit_reason, pending(SIGUSR1), pending(SIGUSR2), handled);
}

int main(void)
{
	struct kvm_signal_mask wrong_length = {.len = 4};
	const struct timespec no_time = {0};
	struct vm vm;
	struct vcpu vcpu;
	sigset_t both;

	vm_boot(&vm, &vcpu, 16, guest);
	catch_signal(SIGUSR1, on_signal);
	catch_signal(SIGUSR2, on_signal);
	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &both, NULL);

	pthread_kill(pthread_self(), SIGUSR1);
	try_run(&vcpu, "usr1 pending, no mask set");
	// Only usr1 passes.
	set_mask(&vcpu, ~(1ull << (SIGUSR1 - 1)));
	try_run(&vcpu, "usr1 pending, usr1 let through");
	try_run(&vcpu, "again");
	printf("taken: %d\n", sigtimedwait(&both, NULL, &no_time) == SIGUSR1);
	try_run(&vcpu, "nothing pending");
	pthread_kill(pthread_self(), SIGUSR2);
	try_run(&vcpu, "usr2 pending, usr1 let through");
	set_mask(&vcpu, 0);
	try_run(&vcpu, "usr2 pending, all let through");
	// A mask that blocks what the thread does not.
	set_mask(&vcpu, ~0ull);
	printf("taken: %d\n", sigtimedwait(&both, NULL, &no_time) == SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &both, NULL);
	try_run(&vcpu, "nothing pending, none let through");
	printf("length 4: %s\n",
	       errno_name(ioctl(vcpu.fd, KVM_SET_SIGNAL_MASK, &wrong_length) < 0 ? errno : 0));
	IOCTL(vcpu.fd, KVM_SET_SIGNAL_MASK, 0);
	pthread_sigmask(SIG_BLOCK, &both, NULL);
	pthread_kill(pthread_self(), SIGUSR1);
	try_run(&vcpu, "usr1 pending, mask removed");
	return 0;
}
