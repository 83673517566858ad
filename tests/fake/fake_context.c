/* HVM contexts: images of save records, whole and one at a time. */
#include "tests/fake/internal.h"

static const uint16_t save_order[] = {
	HVM_SAVE_CODE(CPU),
	HVM_SAVE_CODE(PIC),
	HVM_SAVE_CODE(IOAPIC),
	HVM_SAVE_CODE(LAPIC),
	HVM_SAVE_CODE(LAPIC_REGS),
	HVM_SAVE_CODE(PCI_IRQ),
	HVM_SAVE_CODE(ISA_IRQ),
	HVM_SAVE_CODE(PCI_LINK),
	HVM_SAVE_CODE(PIT),
	HVM_SAVE_CODE(RTC),
	HVM_SAVE_CODE(HPET),
	HVM_SAVE_CODE(PMTIMER),
	HVM_SAVE_CODE(MTRR),
	CPU_XSAVE_CODE,
	HVM_SAVE_CODE(VMCE_VCPU),
	HVM_SAVE_CODE(TSC_ADJUST),
	CPU_MSR_CODE,
};
#define NR_TYPES (sizeof save_order / sizeof *save_order)

#define RECORD_MAX 4096u
#define DESC       sizeof(struct hvm_save_descriptor)

struct writer {
	uint8_t *buf;
	uint32_t at, size;
};

static void put(struct writer *w, uint16_t code, uint16_t instance, const void *body, uint32_t len)
{
	const struct hvm_save_descriptor desc = {code, instance, len};

	if (w->buf && w->at + DESC + len <= w->size) {
		memcpy(w->buf + w->at, &desc, DESC);
		if (len)
			memcpy(w->buf + w->at + DESC, body, len);
	}
	w->at += DESC + len;
}

/* Does the record exist at this moment? */
static void *present(struct domain *d, uint16_t code, uint16_t instance, uint32_t *len)
{
	if (code == HVM_SAVE_CODE(CPU) && instance < d->nr_vcpus && d->vcpus[instance].down)
		return NULL;
	return xen_record_body(d, code, instance, len);
}

static void put_type(struct writer *w, struct domain *d, uint16_t code)
{
	unsigned n = xen_record_is_of_vcpu(code) ? d->nr_vcpus : 2;
	uint8_t out[RECORD_MAX] __attribute__((aligned(8)));

	for (unsigned i = 0; i < n; i++) {
		uint32_t len = 0;
		const void *body = present(d, code, i, &len);

		if (!body)
			continue;
		xen_record_save(d, code, i, out, body, len);
		put(w, code, i, out, len);
	}
}

int xen_context_get(struct domain *d, void *buf, uint32_t *len)
{
	struct writer w = {buf, 0, *len};
	const struct hvm_save_header header = {
		.magic = HVM_FILE_MAGIC,
		.version = HVM_FILE_VERSION,
		.gtsc_khz = d->tsc_khz,
	};

	d->sync_tsc = buf ? xen_host_tsc() : d->sync_tsc;
	put(&w, HVM_SAVE_CODE(HEADER), 0, &header, sizeof header);
	for (unsigned i = 0; i < NR_TYPES; i++)
		put_type(&w, d, save_order[i]);
	put(&w, HVM_SAVE_CODE(END), 0, NULL, 0);
	if (buf && w.at > *len)
		return -ENOSPC;
	*len = w.at;
	xen_domain_reschedule(d);
	return 0;
}

int xen_context_get_one(struct domain *d, uint16_t typecode, uint16_t instance, void *body,
			uint32_t len)
{
	uint8_t out[RECORD_MAX] __attribute__((aligned(8)));
	uint32_t have = 0;
	const void *from;

	if (typecode > HVM_SAVE_CODE_MAX || typecode <= HVM_SAVE_CODE(HEADER))
		return -EINVAL;
	if (xen_record_is_of_vcpu(typecode)) {
		if (instance >= d->nr_vcpus)
			return -ENOENT;
		d->vcpus[instance].resume = true; /* vcpu_pause, vcpu_unpause */
	} else {
		xen_domain_reschedule(d);
	}
	from = present(d, typecode, instance, &have);
	if (!from)
		return -ENODATA;
	if (len < have)
		return -ENOENT;
	xen_record_save(d, typecode, instance, out, from, have);
	memcpy(body, out, have);
	return 0;
}

static int header_check(const uint8_t *image, uint32_t len)
{
	struct hvm_save_descriptor desc;
	struct hvm_save_header header;

	if (len < DESC + sizeof header)
		return -EINVAL;
	memcpy(&desc, image, DESC);
	memcpy(&header, image + DESC, sizeof header);
	if (desc.typecode != HVM_SAVE_CODE(HEADER) || desc.instance ||
	    desc.length != sizeof header || header.magic != HVM_FILE_MAGIC ||
	    header.version != HVM_FILE_VERSION)
		return -EINVAL;
	return 0;
}

/* One pass over the records after the header: checks each, and applies it when asked to. */
static int pass(struct domain *d, const uint8_t *image, uint32_t len, bool check, bool apply)
{
	uint32_t at = DESC + sizeof(struct hvm_save_header);
	uint8_t body[RECORD_MAX] __attribute__((aligned(8)));

	for (;;) {
		struct hvm_save_descriptor desc;
		int rc = 0;

		if (len - at < DESC)
			return -EINVAL; /* the image ends without END */
		memcpy(&desc, image + at, DESC);
		at += DESC;
		if (desc.typecode == HVM_SAVE_CODE(END))
			return desc.length ? -EINVAL : 0;
		if (desc.length > len - at || desc.length > sizeof body)
			return -EINVAL;
		memcpy(body, image + at, desc.length);
		at += desc.length;
		if (check)
			rc = xen_record_check(d, &desc, body);
		if (!rc && apply)
			rc = xen_record_load(d, &desc, body);
		if (rc)
			return rc;
	}
}

int xen_context_set(struct domain *d, const void *image, uint32_t len)
{
	int rc;

	if (xen_domain_runs(d)) {
		violation("domain %u: context loaded while the domain is not paused", d->domid);
		return -EBUSY;
	}
	rc = header_check(image, len);
	if (rc)
		return rc;
	if (xen_is_420()) {
		rc = pass(d, image, len, true, false);
		if (rc)
			return rc;
	}
	d->sync_tsc = xen_host_tsc();
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		d->vcpus[i].down = true;
	return pass(d, image, len, true, true);
}
