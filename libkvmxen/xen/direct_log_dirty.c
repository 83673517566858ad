/* The log of frames that the guest has written (XEN_DOMCTL_shadow_op). */
#include "libkvmxen/xen/direct_private.h"

#include <string.h>

#include <xen/domctl.h>

static int switch_log(xc_interface *xc, uint16_t domid, unsigned op)
{
	return direct_result(xc_shadow_control(xc, domid, op, NULL, 0));
}

/* Xen refuses to enable the log while it is on, also where it is on for tracking VRAM only. */
static int enable_log(xc_interface *xc, uint16_t domid)
{
	int rc = switch_log(xc, domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);

	if (rc != -EINVAL)
		return rc;
	rc = switch_log(xc, domid, XEN_DOMCTL_SHADOW_OP_OFF);
	if (rc < 0)
		return rc;
	return switch_log(xc, domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);
}

static int read_log(xc_interface *xc, uint16_t domid, unsigned op, uint64_t pages, uint8_t *bitmap)
{
	size_t bytes = (pages + 7) / 8;
	DECLARE_HYPERCALL_BUFFER(uint8_t, bits);
	long long done;

	bits = xc_hypercall_buffer_alloc(xc, bits, bytes);
	if (!bits)
		return -ENOMEM;
	memset(bits, 0, bytes);
	done = xc_logdirty_control(xc, domid, op, HYPERCALL_BUFFER(bits), pages, 0, NULL);
	if (done < 0)
		done = direct_result(-1);
	else
		memcpy(bitmap, bits, bytes);
	xc_hypercall_buffer_free(xc, bits);
	return done < 0 ? done : 0;
}

int direct_log_dirty(struct control *ctl, uint16_t domid, enum log_dirty_op op, uint64_t pages,
		     uint8_t *bitmap)
{
	xc_interface *xc = direct_xc(ctl);

	switch (op) {
	case LOG_DIRTY_ENABLE:
		return enable_log(xc, domid);
	case LOG_DIRTY_OFF:
		return switch_log(xc, domid, XEN_DOMCTL_SHADOW_OP_OFF);
	case LOG_DIRTY_CLEAN:
		return read_log(xc, domid, XEN_DOMCTL_SHADOW_OP_CLEAN, pages, bitmap);
	case LOG_DIRTY_PEEK:
		return read_log(xc, domid, XEN_DOMCTL_SHADOW_OP_PEEK, pages, bitmap);
	}
	return -EINVAL;
}
