/* The tests of ops, by what they are about; each makes and ends its own domains. */
#ifndef KVMXEN_TESTS_LAB_XEN_OPS_H
#define KVMXEN_TESTS_LAB_XEN_OPS_H

void test_without_xen(void);
void test_without_permission(void);
void test_without_files(void);
void test_other_version(void);
void test_opening(void);
void test_domain_life(void);
void test_domain_dying(void);
void test_domain_name(void);
void test_tsc(void);
void test_params(void);
void test_cpuid(void);
void test_populate(void);
void test_relocate_large(void);
void test_map(void);
void test_ports(void);
void test_pci_and_mmio(void);
void test_kick(void);
void test_mem_types(void);
void test_log_dirty(void);
void test_track_vram(void);
void test_lines(void);
void test_msi(void);
void test_nmi(void);
void test_context(void);
void test_vcpu_context(void);
void test_triple_fault(void);
void test_monitor(void);
void test_monitor_left(void);
void test_evtchn(void);
void test_threads(void);
void test_nothing_left(void);

#endif
