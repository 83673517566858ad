/* The state of a domain's virtual hardware: HVM save records, and the contexts of vcpus. */
#include "libkvmxen/xen/direct_private.h"

#include <string.h>

int direct_context_get(struct control *ctl, uint16_t domid, void *buf, uint32_t *len)
{
	int r = direct_result(xc_domain_hvm_getcontext(direct_xc(ctl), domid, buf, buf ? *len : 0));

	if (r < 0)
		return r;
	*len = r;
	return 0;
}

int direct_context_get_one(struct control *ctl, uint16_t domid, uint16_t typecode,
			   uint16_t instance, void *body, uint32_t len)
{
	return direct_result(xc_domain_hvm_getcontext_partial(direct_xc(ctl), domid, typecode,
							      instance, body, len));
}

int direct_context_set(struct control *ctl, uint16_t domid, const void *image, uint32_t len)
{
	/* libxenctrl copies the image and leaves it as it is. */
	return direct_result(
		xc_domain_hvm_setcontext(direct_xc(ctl), domid, (uint8_t *)image, len));
}

int direct_vcpu_context_get(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    struct vcpu_guest_context *context)
{
	vcpu_guest_context_any_t any;
	int r;

	r = direct_result(xc_vcpu_getcontext(direct_xc(ctl), domid, vcpu, &any));
	if (r >= 0)
		*context = any.c;
	return r;
}

int direct_vcpu_context_set(struct control *ctl, uint16_t domid, uint32_t vcpu,
			    const struct vcpu_guest_context *context)
{
	vcpu_guest_context_any_t any;

	if (!context)
		return direct_result(xc_vcpu_setcontext(direct_xc(ctl), domid, vcpu, NULL));
	memset(&any, 0, sizeof(any));
	any.c = *context;
	return direct_result(xc_vcpu_setcontext(direct_xc(ctl), domid, vcpu, &any));
}
