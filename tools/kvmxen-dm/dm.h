/*
 * kvmxen-dm: the device model of a domain that xl made, which is QEMU on KVM over kvmxen.
 *
 * libxl runs it in place of Xen's QEMU (device_model_override). It says libxl's words in QEMU's for
 * KVM, leaves a process of its own behind (the minder), and becomes QEMU: libxl knows the device
 * model by its process id.
 */
#ifndef KVMXEN_TOOLS_DM_H
#define KVMXEN_TOOLS_DM_H

#include <stdint.h>

/* --- arguments.c: what libxl says to a device model --- */

struct arguments {
	uint16_t domid; /* of -xen-domid */
	char **argv;    /* for QEMU: NULL at the end, owned by the caller as a whole */
};

/* qmp: the descriptor that will be QEMU's end of the minder's monitor. 0, or -1 with a message
 * said: libxl wants what cannot be done. */
int arguments_translate(char **argv, const char *qemu, int qmp, struct arguments *out);
void arguments_free(struct arguments *arguments);

/* --- minder.c: what Xen's QEMU would do for its domain, and one on KVM does not --- */

/*
 * Leaves a process behind that watches this one, and QEMU by its monitor. It tells Xen, and so xl,
 * how the guest ended: power-off, reset, panic, or the loss of its device model. It asks the guest
 * to end (the power button) when `xl shutdown` or `xl reboot` does. Ends after this process does.
 * 0 or -errno.
 */
int minder_start(uint16_t domid, int qmp);

#endif
