/*
 * hot: what an exit and its answer execute.
 *
 * A system call of dom0, which is a PV guest, empties the processor's TLB, so each page of code
 * that the way from KVM_RUN to the next exit touches costs a page walk. The functions on it lie
 * side by side (.text.hot), and what they only call when something is unusual lies elsewhere.
 */
#ifndef KVMXEN_HOT_H
#define KVMXEN_HOT_H

#define HOT __attribute__((hot))
/* Variables that it reads. */
#define HOT_DATA __attribute__((section(".data.hot")))
#define COLD     __attribute__((cold, noinline))

#endif
