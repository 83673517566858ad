/* HVM parameters: hvm_allow_set_param and hvm_set_param. */
#include "tests/fake/internal.h"

#include <xen/hvm/params.h>
#include <xen/sched.h>

/* Their numbers are not given to code outside Xen and its tools. */
static bool is_deprecated(uint32_t param)
{
	switch (param) {
	case 3:         /* unused */
	case 4:         /* PAE_ENABLED */
	case 7:         /* unused */
	case 8:         /* unused */
	case 13:        /* DM_DOMAIN */
	case 20 ... 26: /* MEMORY_EVENT_*, NESTEDHVM, BUFIOREQ_EVTCHN */
	case 30:        /* MEMORY_EVENT_MSR */
		return true;
	}
	return false;
}

static bool is_set_once(uint32_t param)
{
	switch (param) {
	case HVM_PARAM_IOREQ_PFN:
	case HVM_PARAM_BUFIOREQ_PFN:
	case HVM_PARAM_VIRIDIAN:
	case HVM_PARAM_IOREQ_SERVER_PFN:
	case HVM_PARAM_NR_IOREQ_SERVER_PAGES:
	case HVM_PARAM_ALTP2M:
	case HVM_PARAM_MCA_CAP:
		return true;
	}
	return false;
}

/* S3 and back: every vcpu and every device of Xen starts anew, vcpu 0 at F000:FFF0. */
static int set_s_state(struct domain *d, uint64_t value)
{
	uint64_t old = d->params[HVM_PARAM_ACPI_S_STATE];

	if (value != 0 && value != 3)
		return -EINVAL;
	if (old == 3 && value == 0) {
		xen_records_init_domain(d);
		for (unsigned i = 0; i < d->nr_vcpus; i++) {
			xen_ioreq_cancel(&d->vcpus[i]);
			xen_vcpu_reset(&d->vcpus[i]);
			xen_records_init_vcpu(&d->vcpus[i]);
			d->vcpus[i].tsc_offset = -(int64_t)xen_host_tsc();
		}
		xen_records_reset_cpu(&d->vcpus[0], 0xf000);
		d->vcpus[0].cpu.rip = 0xfff0;
		d->vcpus[0].initialised = true;
		d->vcpus[0].down = false;
		d->vcpus[0].resume = true;
		if (d->creation_finished)
			xen_vcpu_start(&d->vcpus[0]);
	}
	return 0;
}

int xen_param_set(struct domain *d, uint32_t param, uint64_t value)
{
	int rc = 0;

	if (param >= HVM_NR_PARAMS || is_deprecated(param))
		return -EINVAL;
	if (is_set_once(param) && d->params[param] && d->params[param] != value)
		return -EEXIST;
	switch (param) {
	case HVM_PARAM_TIMER_MODE:
		rc = value > HVMPTM_one_missed_tick_pending ? -EINVAL : 0;
		break;
	case HVM_PARAM_TRIPLE_FAULT_REASON:
		rc = value > SHUTDOWN_MAX ? -EINVAL : 0;
		break;
	case HVM_PARAM_ACPI_IOPORTS_LOCATION:
		rc = value > 1 ? -EINVAL : 0;
		break;
	case HVM_PARAM_NR_IOREQ_SERVER_PAGES:
		rc = value > 8 ? -EINVAL : 0;
		break;
	case HVM_PARAM_ACPI_S_STATE:
		rc = set_s_state(d, value);
		break;
	}
	if (!rc)
		d->params[param] = value;
	return rc;
}

int xen_param_get(struct domain *d, uint32_t param, uint64_t *value)
{
	if (param >= HVM_NR_PARAMS || is_deprecated(param))
		return -EINVAL;
	*value = d->params[param];
	return 0;
}
