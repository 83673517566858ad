#include "tests/unit/unit_rig.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libkvmxen/convert/convert.h"
#include "libkvmxen/convert/image.h"

#define MAXMEM_KIB 4096

void rig_new(struct rig *rig)
{
	fake_install();
	memset(rig, 0, sizeof *rig);
	rig->vm.xen = *fake_xen();
	vm_stats_init(&rig->vm);
	pthread_mutex_init(&rig->vm.lock, NULL);
	CU_ASSERT_EQUAL_FATAL(worker_create(&rig->vm.worker), 0);
	CU_ASSERT_EQUAL_FATAL(interrupts_init(&rig->vm), 0);
}

void rig_new_irqchip(struct rig *rig)
{
	rig_new(rig);
	CU_ASSERT_EQUAL_FATAL(interrupts_create_irqchip(&rig->vm), 0);
}

void rig_add_vcpus(struct rig *rig)
{
	unsigned i;

	for (i = 0; i < RIG_VCPUS; i++) {
		struct vcpu *vcpu = &rig->vcpus[i];

		vcpu->vm = &rig->vm;
		vcpu->id = vcpu->index = i;
		vcpu_stats_init(vcpu);
		vcpu->run = mmap(NULL, VCPU_MMAP_SIZE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CU_ASSERT_FATAL(vcpu->run != MAP_FAILED);
		vcpu_state_reset(&vcpu->state, i, i == 0, rig->vm.interrupts.irqchip);
		rig->vm.vcpus[i] = vcpu;
		atomic_store(&rig->vm.vcpu_count, i + 1);
	}
}

void rig_domain(struct rig *rig)
{
	struct domain_config config = {
		.vcpus = RIG_VCPUS,
		.emulation = rig->vm.interrupts.irqchip ? EMULATION_HVM : EMULATION_LAPIC,
		.handle = {7},
	};
	struct control *ctl = rig->vm.xen.ctl;

	CU_ASSERT_EQUAL_FATAL(ctl->ops->domain_create(ctl, &config, &rig->vm.domid), 0);
	CU_ASSERT_EQUAL(ctl->ops->domain_set_maxmem(ctl, rig->vm.domid, MAXMEM_KIB), 0);
	atomic_store(&rig->vm.phase, VM_LIVE);
}

void rig_load(struct rig *rig)
{
	struct control *ctl = rig->vm.xen.ctl;
	struct hvm_hw_cpu cpu;
	struct hvm_hw_lapic lapic;
	struct hvm_hw_lapic_regs regs;
	struct image image;
	unsigned i;

	image_begin(&image);
	for (i = 0; i < RIG_VCPUS; i++) {
		memset(&cpu, 0, sizeof cpu);
		cpu_record_from_state(&cpu, &rig->vcpus[i].state);
		image_add(&image, HVM_SAVE_CODE(CPU), i, &cpu, sizeof cpu);
	}
	CU_ASSERT_EQUAL(interrupts_records(&rig->vm, &image), 0);
	for (i = 0; i < RIG_VCPUS; i++) {
		memset(&lapic, 0, sizeof lapic);
		memset(&regs, 0, sizeof regs);
		lapic_record_from_state(&lapic, &regs, &rig->vcpus[i].state);
		image_add(&image, HVM_SAVE_CODE(LAPIC), i, &lapic, sizeof lapic);
		image_add(&image, HVM_SAVE_CODE(LAPIC_REGS), i, &regs, sizeof regs);
		rig->vcpus[i].state.dirty = 0;
	}
	CU_ASSERT_EQUAL(image_end(&image), 0);
	CU_ASSERT_EQUAL(ctl->ops->domain_pause(ctl, rig->vm.domid), 0);
	CU_ASSERT_EQUAL(ctl->ops->context_set(ctl, rig->vm.domid, image.data, image.length), 0);
	CU_ASSERT_EQUAL(ctl->ops->domain_unpause(ctl, rig->vm.domid), 0);
	image_free(&image);
}

void rig_start(struct rig *rig)
{
	struct control *ctl = rig->vm.xen.ctl;

	rig_domain(rig);
	rig_load(rig);
	CU_ASSERT_EQUAL(interrupts_materialise(&rig->vm), 0);
	CU_ASSERT_EQUAL(ctl->ops->domain_unpause(ctl, rig->vm.domid), 0);
}

void rig_free(struct rig *rig)
{
	struct control *ctl = rig->vm.xen.ctl;
	const char *found;
	unsigned i;

	interrupts_destroy(&rig->vm);
	worker_destroy(rig->vm.worker);
	if (rig->vm.domid)
		ctl->ops->domain_destroy(ctl, rig->vm.domid);
	for (i = 0; i < RIG_VCPUS; i++) {
		if (rig->vcpus[i].run)
			munmap(rig->vcpus[i].run, VCPU_MMAP_SIZE);
		free(rig->vcpus[i].cpuid);
	}
	pthread_mutex_destroy(&rig->vm.lock);
	found = fake_check();
	if (found)
		fprintf(stderr, "%s\n", found);
	CU_ASSERT_PTR_NULL(found);
}
