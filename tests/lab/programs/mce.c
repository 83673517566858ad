// KVM_X86_SETUP_MCE and KVM_X86_SET_MCE: an uncorrected error is the guest's machine check.

#include "vm.h"

#include <string.h>

GUEST(guest, 64,
      "mov %cr4, %rax; or $0x40, %eax; mov %rax, %cr4\n"
      "putb 1, 0x90\n"
      "nop; nop\n"
      "putb 2, 0x90\n"
      "finish");
GUEST(handler, 64, "putb 0x12, 0x81; iretq");

static struct vcpu vcpu;

static bool serve(struct vcpu *v)
{
	// MCI_STATUS: valid, uncorrected, enabled, address valid; MCG_STATUS: RIPV, MCIP.
	struct kvm_x86_mce error = {.status = 1ull << 63 | 1ull << 61 | 1ull << 60 | 1ull << 58,
				    .addr = 0x1234000,
				    .mcg_status = 5,
				    .bank = 1};

	if (v->run->exit_reason == KVM_EXIT_IO && v->run->io.port == 0x90 && *io_data(v->run) == 1)
		IOCTL(v->fd, KVM_X86_SET_MCE, &error);
	return true;
}

int main(void)
{
	struct vm vm;
	uint64_t capability = 2 | 1 << 8;

	vm_boot(&vm, &vcpu, 64, guest);
	vm_handler(&vm, 64, 18, 0, handler);
	vcpu_set_cpuid(&vcpu);
	IOCTL(vcpu.fd, KVM_X86_SETUP_MCE, &capability);
	vcpu.on_exit = serve;
	vcpu_play(&vcpu);
	return 0;
}
