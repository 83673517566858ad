/*
 * host_pci: a PCI device of the host as the control domain's Linux shows it, in sysfs.
 *
 * What Xen does not do for a device that it hands to a domain: Linux enables it (and tells Xen of
 * its interrupt line), resets it, and has its configuration space. Errors: negative errno.
 */
#ifndef KVMXEN_XEN_HOST_PCI_H
#define KVMXEN_XEN_HOST_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/pci_regs.h>

/* Where sysfs is; the unit tests have one of their own. */
extern const char *host_pci_sysfs;

/* Xen's number of a device. */
#define SBDF(segment, bus, devfn) ((uint32_t)(segment) << 16 | (bus) << 8 | (devfn))

struct host_pci {
	int dir;    /* the device's folder */
	int config; /* its configuration space */
};

/* -ENODEV: there is no such device. */
int host_pci_open(struct host_pci *pci, uint32_t sbdf);
void host_pci_close(struct host_pci *pci);

/* Of 1, 2 or 4 bytes; all ones when it cannot be read. */
uint32_t host_pci_read(const struct host_pci *pci, unsigned at, unsigned size);
int host_pci_write(const struct host_pci *pci, unsigned at, unsigned size, uint32_t value);
/* Sets and clears bits of a register of 2 bytes. */
int host_pci_change(const struct host_pci *pci, unsigned at, uint16_t clear, uint16_t set);
/* Where the capability PCI_CAP_ID_* begins; 0: it has none. */
unsigned host_pci_capability(const struct host_pci *pci, uint8_t id);

/* Does no driver of the control domain use it? One that only keeps it from others does not. */
bool host_pci_is_free(const struct host_pci *pci);
/* pci_enable_device and its opposite. */
int host_pci_enable(const struct host_pci *pci, bool on);
/* Resets it when Linux knows how. */
void host_pci_reset(const struct host_pci *pci);
/* The interrupt line, once enabled: a GSI. */
int host_pci_gsi(const struct host_pci *pci, uint32_t *gsi);
/* A BAR's address and size; 0 bytes: it is not there. */
int host_pci_bar(const struct host_pci *pci, unsigned bar, uint64_t *address, uint64_t *size);

/* The device must not write to memory nor interrupt any more. */
void host_pci_quiet(uint32_t sbdf);

/* Is path a memory BAR of a device, as sysfs shows it to be mapped (resourceN)? Then where it is.
 */
bool host_pci_resource(const char *path, uint64_t *address, uint64_t *size);

#endif
