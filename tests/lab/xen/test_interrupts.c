/* Lines, MSIs, NMIs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

REAL_MODE(halts, "mov $1, %al; out %al, $0x10; cli; sti; 1: hlt; jmp 1b");
REAL_MODE(on_nmi, "mov $0x77, %al; out %al, $0x10; iret");

enum { APIC_SPIV = 0xf0, APIC_IRR = 0x200, APIC_ENABLED = 0x1ff, NMI_VECTOR = 2 };

static uint64_t isa_lines(struct machine *m)
{
	struct hvm_hw_isa_irqs lines = {0};

	machine_record(m, HVM_SAVE_CODE(ISA_IRQ), &lines, sizeof(lines));
	return lines.pad[0];
}

static uint64_t pci_lines(struct machine *m, unsigned word)
{
	struct hvm_hw_pci_irqs lines = {0};

	machine_record(m, HVM_SAVE_CODE(PCI_IRQ), &lines, sizeof(lines));
	return lines.pad[word];
}

void test_lines(void)
{
	struct hvm_hw_pci_link link = {0};
	struct machine m;

	machine_make(&m, EMULATION_HVM, 1);
	check_is(m.d->isa_irq_set(m.dev, m.domid, 5, true), 0, "an ISA line rises");
	check_is(isa_lines(&m), 1 << 5, "and is high");
	check_is(m.d->isa_irq_set(m.dev, m.domid, 5, false), 0, "it falls");
	check_is(isa_lines(&m), 0, "and is low");
	check_is(m.d->isa_irq_set(m.dev, m.domid, 16, true), -EINVAL, "there is no ISA line 16");

	check_is(m.d->pci_intx_set(m.dev, m.domid, 17, 2, true), 0, "INTC of device 17 rises");
	check_is(pci_lines(&m, 1), 1 << (4 * (17 - 16) + 2), "and is high");
	check_is(m.d->pci_intx_set(m.dev, m.domid, 17, 2, false), 0, "it falls");
	check_is(pci_lines(&m, 1), 0, "and is low");
	check_is(m.d->pci_intx_set(m.dev, m.domid, 1, 4, true), -EINVAL, "there is no INTE");

	check_is(m.d->pci_link_route(m.dev, m.domid, 2, 11), 0, "PCI link 2 goes to IRQ 11");
	check_is(machine_record(&m, HVM_SAVE_CODE(PCI_LINK), &link, sizeof(link)), 0, "its record");
	check_is(link.route[2], 11, "says so");
	check_is(m.d->pci_link_route(m.dev, m.domid, 4, 1), -EINVAL, "there is no link 4");
	machine_end(&m);
}

/* The image of a machine with a LAPIC that is enabled by software as well. */
static void enable_lapic(struct machine *m)
{
	struct hvm_hw_lapic lapic;
	struct hvm_hw_lapic_regs regs;
	uint8_t image[4096];
	uint32_t len = machine_image(image, CODE_AT);
	struct hvm_save_descriptor d;
	uint32_t spiv = APIC_ENABLED;

	machine_record(m, HVM_SAVE_CODE(LAPIC), &lapic, sizeof(lapic));
	machine_record(m, HVM_SAVE_CODE(LAPIC_REGS), &regs, sizeof(regs));
	lapic.disabled = 0;
	memcpy(regs.data + APIC_SPIV, &spiv, sizeof(spiv));
	len -= sizeof(d); /* the end */
	d = (struct hvm_save_descriptor){HVM_SAVE_CODE(LAPIC), 0, sizeof(lapic)};
	memcpy(image + len, &d, sizeof(d));
	memcpy(image + len + sizeof(d), &lapic, sizeof(lapic));
	len += sizeof(d) + sizeof(lapic);
	d = (struct hvm_save_descriptor){HVM_SAVE_CODE(LAPIC_REGS), 0, sizeof(regs)};
	memcpy(image + len, &d, sizeof(d));
	memcpy(image + len + sizeof(d), &regs, sizeof(regs));
	len += sizeof(d) + sizeof(regs);
	d = (struct hvm_save_descriptor){0};
	memcpy(image + len, &d, sizeof(d));
	len += sizeof(d);
	check_is(m->c->context_set(m->ctl, m->domid, image, len), 0, "a LAPIC is enabled");
}

void test_msi(void)
{
	const unsigned vector = 0x61;
	struct hvm_hw_lapic_regs regs = {0};
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	enable_lapic(&m);
	check_is(m.d->msi_inject(m.dev, m.domid, 0xfee00000, vector), 0, "an MSI");
	check_is(machine_record(&m, HVM_SAVE_CODE(LAPIC_REGS), &regs, sizeof(regs)), 0,
		 "the LAPIC's registers");
	check_is(regs.data[APIC_IRR + vector / 32 * 0x10 + vector % 32 / 8], 1 << vector % 8,
		 "have its vector requested");
	check_is(m.d->msi_inject(m.dev, m.domid, 0xfee00000, vector | 2 << 8), -EINVAL,
		 "an MSI that is an SMI is refused");
	machine_end(&m);
}

void test_nmi(void)
{
	const uint16_t handler[] = {0x1800, 0}; /* offset, segment */
	struct vcpu_info_bits info = {0};
	struct machine m;

	machine_make(&m, EMULATION_LAPIC, 1);
	memcpy(m.ram + 4 * NMI_VECTOR, handler, sizeof(handler));
	memcpy(m.ram + handler[0], on_nmi, on_nmi_end - on_nmi);
	MACHINE_LOAD(&m, halts);
	machine_unpause(&m);
	check(machine_wait_out(&m, 0x10, 1, true), "the guest runs");
	check(machine_quiet(&m, 100), "and halts");
	check_is(m.c->vcpu_info(m.ctl, m.domid, 0, &info), 0, "its vcpu");
	check(info.online && info.blocked && !info.running, "is online and blocked");
	check_is(m.c->vcpu_nmi(m.ctl, m.domid, 0), 0, "an NMI");
	check(machine_wait_out(&m, 0x10, 0x77, true), "is taken by the guest");
	check_is(m.c->vcpu_nmi(m.ctl, m.domid, 9), -ESRCH, "there is no vcpu 9");
	machine_end(&m);
}
