/* What the data of a request may be. Pure: no calls, nothing believed. */
#include <string.h>

#include <xenctrl.h>

#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#include "tools/kvmxend/kvmxend.h"

bool check_name(const char *name, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.+-";
	size_t i;

	if (length == 0 || length > WIRE_NAME_MAX || name[0] == '-' || name[0] == '.')
		return false;
	for (i = 0; i < length; i++)
		if (!name[i] || !strchr(allowed, name[i]))
			return false;
	return true;
}

/* The records of a context. most: instances; 0: one for each vcpu. any: of any length from that of
 * the structure on. */
static const struct record {
	uint16_t code;
	uint16_t length;
	uint16_t most;
	bool any;
} records[] = {
#define RECORD(name, most, any)                                                                    \
	{                                                                                          \
		HVM_SAVE_CODE(name), HVM_SAVE_LENGTH(name), most, any                              \
	}
	RECORD(CPU, 0, false),        RECORD(PIC, 2, false),        RECORD(IOAPIC, 1, false),
	RECORD(LAPIC, 0, false),      RECORD(LAPIC_REGS, 0, false), RECORD(PCI_IRQ, 1, false),
	RECORD(ISA_IRQ, 1, false),    RECORD(PCI_LINK, 1, false),   RECORD(PIT, 1, false),
	RECORD(RTC, 1, false),        RECORD(HPET, 1, false),       RECORD(PMTIMER, 1, false),
	RECORD(MTRR, 0, false),       {CPU_XSAVE_CODE, 0, 0, true}, RECORD(VMCE_VCPU, 0, false),
	RECORD(TSC_ADJUST, 0, false), {CPU_MSR_CODE, 0, 0, true},
#undef RECORD
};

static const struct record *record_of(uint16_t code)
{
	size_t i;

	for (i = 0; i < sizeof records / sizeof *records; i++)
		if (records[i].code == code)
			return &records[i];
	return NULL;
}

static bool check_record(const struct hvm_save_descriptor *d, uint32_t vcpus)
{
	const struct record *record = record_of(d->typecode);

	if (!record || d->instance >= (record->most ? record->most : vcpus))
		return false;
	return record->any ? d->length >= record->length : d->length == record->length;
}

bool check_image(const void *image, size_t length, uint32_t vcpus)
{
	const char *at = image;
	struct hvm_save_descriptor d;
	bool first = true;

	for (;;) {
		if (length < sizeof d)
			return false;
		memcpy(&d, at, sizeof d);
		at += sizeof d;
		length -= sizeof d;
		if (d.length > length)
			return false;
		if (d.typecode == HVM_SAVE_CODE(END))
			return !first && d.instance == 0 && d.length == 0 && length == 0;
		if (first ? d.typecode != HVM_SAVE_CODE(HEADER) || d.instance != 0 ||
				    d.length != HVM_SAVE_LENGTH(HEADER)
			  : !check_record(&d, vcpus))
			return false;
		first = false;
		at += d.length;
		length -= d.length;
	}
}

bool check_param(uint32_t param, bool write)
{
	switch (param) {
	case HVM_PARAM_TRIPLE_FAULT_REASON:
	case HVM_PARAM_TIMER_MODE:
	case HVM_PARAM_HPET_ENABLED:
	case HVM_PARAM_ACPI_IOPORTS_LOCATION:
	case HVM_PARAM_ACPI_S_STATE:
	case HVM_PARAM_IDENT_PT:
	case HVM_PARAM_VM86_TSS_SIZED:
	case HVM_PARAM_VPT_ALIGN:
		return true;
	default:
		return false;
	}
}
