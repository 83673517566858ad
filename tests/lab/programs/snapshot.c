// A VM's state, stopped behind an access, is taken by the API's calls and put into a new VM, where
// the guest goes on as if nothing had happened.

#include "vm.h"

#include <stdio.h>
#include <string.h>

static const uint32_t msr_list[] = {0x174,      0x175,      0x176,      0x277,     0xc0000081,
				    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102};
#define MSRS (sizeof(msr_list) / sizeof(msr_list[0]))

// Counts in a general register, in memory, in an SSE register, in the x87 stack, and shows all.
GUEST(guest, 64,
      "fninit; fldz\n"
      "mov $1, %eax; cvtsi2sd %eax, %xmm9; pxor %xmm8, %xmm8\n"
      "mov $0xc0000102, %ecx; mov $0x1234, %eax; xor %edx, %edx; wrmsr\n"
      "xor %r8, %r8\n"
      "1: inc %r8; incl DATA; addsd %xmm9, %xmm8; fld1; faddp\n"
      "getb 0x90; movzbl %al, %r10d\n"
      "mov %r8d, %eax; tell; mov DATA, %eax; tell\n"
      "cvttsd2si %xmm8, %eax; tell; fistl DATA + 8; mov DATA + 8, %eax; tell\n"
      "mov $0xc0000102, %ecx; rdmsr; tell; inc %eax; wrmsr\n"
      "mov %r10d, %eax; tell\n"
      "jmp 1b");

struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entries[MSRS];
	} msrs;
};

static void take(struct vcpu *vcpu, struct state *s)
{
	vcpu_get_regs(vcpu, &s->regs);
	vcpu_get_sregs(vcpu, &s->sregs);
	IOCTL(vcpu->fd, KVM_GET_FPU, &s->fpu);
	IOCTL(vcpu->fd, KVM_GET_DEBUGREGS, &s->debugregs);
	IOCTL(vcpu->fd, KVM_GET_VCPU_EVENTS, &s->events);
	IOCTL(vcpu->fd, KVM_GET_MP_STATE, &s->mp_state);
	s->msrs.header.nmsrs = MSRS;
	for (unsigned int i = 0; i < MSRS; i++)
		s->msrs.entries[i].index = msr_list[i];
	if (IOCTL(vcpu->fd, KVM_GET_MSRS, &s->msrs) != MSRS)
		fail("KVM_GET_MSRS");
}

static void put(struct vcpu *vcpu, struct state *s)
{
	vcpu_set_regs(vcpu, &s->regs);
	vcpu_set_sregs(vcpu, &s->sregs);
	IOCTL(vcpu->fd, KVM_SET_FPU, &s->fpu);
	IOCTL(vcpu->fd, KVM_SET_DEBUGREGS, &s->debugregs);
	IOCTL(vcpu->fd, KVM_SET_VCPU_EVENTS, &s->events);
	IOCTL(vcpu->fd, KVM_SET_MP_STATE, &s->mp_state);
	if (IOCTL(vcpu->fd, KVM_SET_MSRS, &s->msrs) != MSRS)
		fail("KVM_SET_MSRS");
}

// Exits up to the next read, which is answered but not completed.
static void play_round(struct vcpu *vcpu)
{
	do {
		vcpu_run(vcpu);
		vcpu_answer(vcpu);
		vcpu_print_exit(vcpu);
	} while (vcpu->run->exit_reason != KVM_EXIT_IO ||
		 vcpu->run->io.direction != KVM_EXIT_IO_IN);
}

int main(void)
{
	struct vm vms[3];
	struct vcpu vcpus[3];

	vm_boot(&vms[0], &vcpus[0], 64, guest);
	vcpu_set_cpuid(&vcpus[0]);
	for (unsigned int i = 0;; i++) {
		struct state state;

		printf("VM %u\n", i);
		play_round(&vcpus[i]);
		play_round(&vcpus[i]);
		if (i == 2)
			return 0;
		vcpus[i].run->immediate_exit = 1;
		printf("stop: %s\n", errno_name(vcpu_try_run(&vcpus[i])));
		take(&vcpus[i], &state);
		vm_start(&vms[i + 1]);
		memcpy(vms[i + 1].ram, vms[i].ram, RAM_SIZE);
		vcpu_create(&vms[i + 1], &vcpus[i + 1], 0);
		vcpu_set_cpuid(&vcpus[i + 1]);
		vcpus[i + 1].answer = vcpus[i].answer;
		vcpu_destroy(&vcpus[i]);
		vm_destroy(&vms[i]);
		put(&vcpus[i + 1], &state);
	}
}
