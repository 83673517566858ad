/*
 * answers: prints what a KVM answers, case by case, as "NAME<TAB>ANSWER". The same program runs on
 * real KVM and under kvmxen; tests/conformance/compare looks for what differs. It expects nothing.
 *
 * An answer is an errno's name, "fd" for a descriptor (which is closed at once), or the number.
 */
#ifndef KVMXEN_TESTS_CONFORMANCE_ANSWERS_H
#define KVMXEN_TESTS_CONFORMANCE_ANSWERS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

/* A VM with what is opened of it; fields are -1 where there is none. */
struct subject {
	int kvm, vm, vcpu, device;
	struct kvm_run *run;
};

enum { WITH_IRQCHIP = 1, WITH_PIT = 2, WITH_VCPU = 4, WITH_DEVICE = 8 };

void subject_open(struct subject *s, unsigned with);
void subject_close(struct subject *s);

/* Descriptors that calls return are not below this: small answers are numbers and nothing else. */
#define FIRST_DESCRIPTOR 100

/* Prints the case; the format makes its name. Returns the result, -1 with errno. */
int answer(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A value that is no result. */
void value(unsigned long long number, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Ends the program: the rest would mean nothing. */
void give_up(const char *what) __attribute__((noreturn));
void *zeroed_pages(size_t size);

void matrix(void);
void slots(void);
void machine(void);
void interrupts(void);
void registers(void);

#endif
