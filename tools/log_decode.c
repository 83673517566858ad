/* log_decode: the arguments of a call, field by field. */
#include <stddef.h>
#include <string.h>

#include <linux/kvm.h>

#include "libkvmxen/ioctl/newer.h"
#include "libkvmxen/ioctl/table.h"
#include "tools/log.h"

struct field {
	unsigned long request;
	const char *name;
	uint16_t offset;
	uint8_t size;
};

#define F(request, type, member)                                                                   \
	{                                                                                          \
		request, #member, offsetof(struct type, member),                                   \
			sizeof(((struct type *)0)->member)                                         \
	}
#define REGS(request)                                                                              \
	F(request, kvm_regs, rip), F(request, kvm_regs, rflags), F(request, kvm_regs, rax),        \
		F(request, kvm_regs, rbx), F(request, kvm_regs, rcx), F(request, kvm_regs, rdx),   \
		F(request, kvm_regs, rsi), F(request, kvm_regs, rdi), F(request, kvm_regs, rsp),   \
		F(request, kvm_regs, rbp), F(request, kvm_regs, r8), F(request, kvm_regs, r9),     \
		F(request, kvm_regs, r10), F(request, kvm_regs, r11), F(request, kvm_regs, r12),   \
		F(request, kvm_regs, r13), F(request, kvm_regs, r14), F(request, kvm_regs, r15)
#define SREGS(request)                                                                             \
	F(request, kvm_sregs, cr0), F(request, kvm_sregs, cr2), F(request, kvm_sregs, cr3),        \
		F(request, kvm_sregs, cr4), F(request, kvm_sregs, cr8),                            \
		F(request, kvm_sregs, efer), F(request, kvm_sregs, apic_base),                     \
		F(request, kvm_sregs, cs.selector), F(request, kvm_sregs, cs.base),                \
		F(request, kvm_sregs, ss.selector), F(request, kvm_sregs, tr.selector),            \
		F(request, kvm_sregs, gdt.base), F(request, kvm_sregs, idt.base)
#define DEVICE_ATTR(request)                                                                       \
	F(request, kvm_device_attr, group), F(request, kvm_device_attr, attr),                     \
		F(request, kvm_device_attr, addr)
#define ZONE(request)                                                                              \
	F(request, kvm_coalesced_mmio_zone, addr), F(request, kvm_coalesced_mmio_zone, size),      \
		F(request, kvm_coalesced_mmio_zone, pio)
#define EVENTS(request)                                                                            \
	F(request, kvm_vcpu_events, exception.injected),                                           \
		F(request, kvm_vcpu_events, exception.nr),                                         \
		F(request, kvm_vcpu_events, interrupt.injected),                                   \
		F(request, kvm_vcpu_events, interrupt.nr),                                         \
		F(request, kvm_vcpu_events, nmi.pending),                                          \
		F(request, kvm_vcpu_events, sipi_vector), F(request, kvm_vcpu_events, flags)

static const struct field fields[] = {
	F(KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region, slot),
	F(KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region, flags),
	F(KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region, guest_phys_addr),
	F(KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region, memory_size),
	F(KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region, userspace_addr),
	F(KVM_SET_USER_MEMORY_REGION2, kvm_userspace_memory_region2_, slot),
	F(KVM_SET_USER_MEMORY_REGION2, kvm_userspace_memory_region2_, flags),
	F(KVM_SET_USER_MEMORY_REGION2, kvm_userspace_memory_region2_, guest_phys_addr),
	F(KVM_SET_USER_MEMORY_REGION2, kvm_userspace_memory_region2_, memory_size),
	F(KVM_SET_USER_MEMORY_REGION2, kvm_userspace_memory_region2_, userspace_addr),
	F(KVM_GET_DIRTY_LOG, kvm_dirty_log, slot),
	F(KVM_CLEAR_DIRTY_LOG, kvm_clear_dirty_log, slot),
	F(KVM_CLEAR_DIRTY_LOG, kvm_clear_dirty_log, num_pages),
	F(KVM_CLEAR_DIRTY_LOG, kvm_clear_dirty_log, first_page),
	F(KVM_ENABLE_CAP, kvm_enable_cap, cap),
	F(KVM_ENABLE_CAP, kvm_enable_cap, flags),
	F(KVM_ENABLE_CAP, kvm_enable_cap, args[0]),
	F(KVM_IRQ_LINE, kvm_irq_level, irq),
	F(KVM_IRQ_LINE, kvm_irq_level, level),
	F(KVM_IRQ_LINE_STATUS, kvm_irq_level, irq),
	F(KVM_IRQ_LINE_STATUS, kvm_irq_level, level),
	F(KVM_GET_IRQCHIP, kvm_irqchip, chip_id),
	F(KVM_SET_IRQCHIP, kvm_irqchip, chip_id),
	F(KVM_CREATE_PIT2, kvm_pit_config, flags),
	F(KVM_SET_GSI_ROUTING, kvm_irq_routing, nr),
	F(KVM_SIGNAL_MSI, kvm_msi, address_lo),
	F(KVM_SIGNAL_MSI, kvm_msi, address_hi),
	F(KVM_SIGNAL_MSI, kvm_msi, data),
	F(KVM_IRQFD, kvm_irqfd, fd),
	F(KVM_IRQFD, kvm_irqfd, gsi),
	F(KVM_IRQFD, kvm_irqfd, flags),
	F(KVM_IRQFD, kvm_irqfd, resamplefd),
	F(KVM_IOEVENTFD, kvm_ioeventfd, addr),
	F(KVM_IOEVENTFD, kvm_ioeventfd, len),
	F(KVM_IOEVENTFD, kvm_ioeventfd, fd),
	F(KVM_IOEVENTFD, kvm_ioeventfd, flags),
	F(KVM_IOEVENTFD, kvm_ioeventfd, datamatch),
	ZONE(KVM_REGISTER_COALESCED_MMIO),
	ZONE(KVM_UNREGISTER_COALESCED_MMIO),
	F(KVM_SET_CLOCK, kvm_clock_data, clock),
	F(KVM_SET_CLOCK, kvm_clock_data, flags),
	F(KVM_GET_CLOCK, kvm_clock_data, clock),
	F(KVM_CREATE_DEVICE, kvm_create_device, type),
	F(KVM_CREATE_DEVICE, kvm_create_device, flags),
	F(KVM_CREATE_DEVICE, kvm_create_device, fd),
	DEVICE_ATTR(KVM_SET_DEVICE_ATTR),
	DEVICE_ATTR(KVM_GET_DEVICE_ATTR),
	DEVICE_ATTR(KVM_HAS_DEVICE_ATTR),
	REGS(KVM_GET_REGS),
	REGS(KVM_SET_REGS),
	SREGS(KVM_GET_SREGS),
	SREGS(KVM_SET_SREGS),
	EVENTS(KVM_GET_VCPU_EVENTS),
	EVENTS(KVM_SET_VCPU_EVENTS),
	F(KVM_TRANSLATE, kvm_translation, linear_address),
	F(KVM_TRANSLATE, kvm_translation, physical_address),
	F(KVM_TRANSLATE, kvm_translation, valid),
	F(KVM_INTERRUPT, kvm_interrupt, irq),
	F(KVM_GET_MP_STATE, kvm_mp_state, mp_state),
	F(KVM_SET_MP_STATE, kvm_mp_state, mp_state),
	F(KVM_SET_GUEST_DEBUG, kvm_guest_debug, control),
	F(KVM_GET_DEBUGREGS, kvm_debugregs, dr6),
	F(KVM_GET_DEBUGREGS, kvm_debugregs, dr7),
	F(KVM_SET_DEBUGREGS, kvm_debugregs, dr6),
	F(KVM_SET_DEBUGREGS, kvm_debugregs, dr7),
	F(KVM_SET_SIGNAL_MASK, kvm_signal_mask, len),
	F(KVM_SET_CPUID2, kvm_cpuid2, nent),
	F(KVM_GET_CPUID2, kvm_cpuid2, nent),
	F(KVM_GET_SUPPORTED_CPUID, kvm_cpuid2, nent),
	F(KVM_SET_MSRS, kvm_msrs, nmsrs),
	F(KVM_GET_MSRS, kvm_msrs, nmsrs),
	F(KVM_GET_MSR_INDEX_LIST, kvm_msr_list, nmsrs),
};

static void print_msrs(FILE *out, const uint8_t *bytes, size_t size)
{
	struct kvm_msr_entry entry;
	size_t at;

	for (at = sizeof(struct kvm_msrs); at + sizeof entry <= size; at += sizeof entry) {
		memcpy(&entry, bytes + at, sizeof entry);
		fprintf(out, " %#x=%#llx", entry.index, (unsigned long long)entry.data);
	}
}

static void print_cpuid(FILE *out, const uint8_t *bytes, size_t size)
{
	struct kvm_cpuid_entry2 e;
	size_t at;

	for (at = sizeof(struct kvm_cpuid2); at + sizeof e <= size; at += sizeof e) {
		memcpy(&e, bytes + at, sizeof e);
		fprintf(out, " %#x.%u={%#x,%#x,%#x,%#x}", e.function, e.index, e.eax, e.ebx, e.ecx,
			e.edx);
	}
}

static void print_data(FILE *out, const uint8_t *data, size_t n)
{
	size_t i;

	fputs(" data=", out);
	for (i = 0; i < n && i < 64; i++)
		fprintf(out, "%02x", data[i]);
	if (n > 64)
		fputs("...", out);
}

static void print_exit(FILE *out, const struct log_call *call)
{
	struct kvm_run run;
	size_t head = 64;

	if (call->in_size > 1)
		print_data(out, call->in + 1, call->in_size - 1);
	if (call->in_size && call->in[0])
		fputs(" immediate_exit", out);
	if (call->out_size < head || call->result < 0)
		return;
	memset(&run, 0, sizeof run);
	memcpy(&run, call->out, head);
	switch (run.exit_reason) {
	case KVM_EXIT_IO:
		fprintf(out, " -> IO %s port=%#x size=%u count=%u", run.io.direction ? "out" : "in",
			run.io.port, run.io.size, run.io.count);
		break;
	case KVM_EXIT_MMIO:
		fprintf(out, " -> MMIO %s addr=%#llx len=%u", run.mmio.is_write ? "write" : "read",
			(unsigned long long)run.mmio.phys_addr, run.mmio.len);
		if (run.mmio.is_write && run.mmio.len <= 8)
			print_data(out, run.mmio.data, run.mmio.len);
		break;
	default:
		fprintf(out, " -> exit %u", run.exit_reason);
	}
	if (call->out_size > head)
		print_data(out, call->out + head, call->out_size - head);
}

static const char *capability_name(unsigned long number)
{
	size_t n, i;
	const struct capability *caps = capabilities(&n);

	for (i = 0; i < n; i++)
		if (caps[i].number == number)
			return caps[i].name;
	return NULL;
}

void log_print_arguments(FILE *out, const struct log_call *call)
{
	/* What a call reads is worth more after it. */
	const uint8_t *bytes = call->out && call->result >= 0 ? call->out : call->in;
	size_t size = bytes == call->in ? call->in_size : call->out_size, i;
	bool known = false;

	if (call->request == KVM_RUN && strcmp(call->kind, "vcpu") == 0) {
		print_exit(out, call);
		return;
	}
	if (call->request == KVM_CHECK_EXTENSION) {
		const char *name = capability_name(call->argument);

		if (name)
			fprintf(out, " KVM_CAP_%s", name);
		else
			fprintf(out, " %lu", call->argument);
		return;
	}
	for (i = 0; i < sizeof fields / sizeof *fields; i++) {
		const struct field *f = &fields[i];
		uint64_t value = 0;

		if (f->request != call->request || (size_t)f->offset + f->size > size)
			continue;
		memcpy(&value, bytes + f->offset, f->size);
		fprintf(out, " %s=%#llx", f->name, (unsigned long long)value);
		known = true;
	}
	if (bytes && (call->request == KVM_GET_MSRS || call->request == KVM_SET_MSRS))
		print_msrs(out, bytes, size);
	if (bytes && call->request == KVM_SET_CPUID2)
		print_cpuid(out, bytes, size);
	if (!known && (!bytes || _IOC_SIZE(call->request) == 0))
		fprintf(out, " %#lx", call->argument);
}
