#include "libkvmxen/xen/host_pci.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* IORESOURCE_MEM of the kernel, in the third column of a device's file `resource`. */
#define RESOURCE_MEMORY 0x200u

const char *host_pci_sysfs = "/sys";

int host_pci_open(struct host_pci *pci, uint32_t sbdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/bus/pci/devices/%04x:%02x:%02x.%x", host_pci_sysfs,
		 sbdf >> 16, sbdf >> 8 & 0xff, sbdf >> 3 & 0x1f, sbdf & 7);
	pci->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pci->dir < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	pci->config = openat(pci->dir, "config", O_RDWR | O_CLOEXEC);
	if (pci->config < 0) {
		int rc = -errno;

		close(pci->dir);
		return rc;
	}
	return 0;
}

void host_pci_close(struct host_pci *pci)
{
	close(pci->config);
	close(pci->dir);
}

uint32_t host_pci_read(const struct host_pci *pci, unsigned at, unsigned size)
{
	uint32_t value = 0;

	if (pread(pci->config, &value, size, at) != (ssize_t)size)
		return ~0u >> (32 - 8 * size);
	return value;
}

int host_pci_write(const struct host_pci *pci, unsigned at, unsigned size, uint32_t value)
{
	ssize_t done = pwrite(pci->config, &value, size, at);

	return done < 0 ? -errno : done == (ssize_t)size ? 0 : -EIO;
}

int host_pci_change(const struct host_pci *pci, unsigned at, uint16_t clear, uint16_t set)
{
	uint16_t value = host_pci_read(pci, at, 2);

	return host_pci_write(pci, at, 2, (value & ~clear) | set);
}

unsigned host_pci_capability(const struct host_pci *pci, uint8_t id)
{
	unsigned at, left = (256 - PCI_STD_HEADER_SIZEOF) / PCI_CAP_SIZEOF;

	if (!(host_pci_read(pci, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	at = host_pci_read(pci, PCI_CAPABILITY_LIST, 1) & ~3u;
	while (at >= PCI_STD_HEADER_SIZEOF && left--) {
		if (host_pci_read(pci, at + PCI_CAP_LIST_ID, 1) == id)
			return at;
		at = host_pci_read(pci, at + PCI_CAP_LIST_NEXT, 1) & ~3u;
	}
	return 0;
}

bool host_pci_is_free(const struct host_pci *pci)
{
	static const char *const keepers[] = {"pci-stub", "pciback", "xen-pciback", "vfio-pci"};
	char link[PATH_MAX], *name;
	ssize_t n = readlinkat(pci->dir, "driver", link, sizeof link - 1);

	if (n < 0)
		return true;
	link[n] = '\0';
	name = strrchr(link, '/');
	name = name ? name + 1 : link;
	for (size_t i = 0; i < sizeof keepers / sizeof *keepers; i++)
		if (strcmp(name, keepers[i]) == 0)
			return true;
	return false;
}

static int write_attribute(const struct host_pci *pci, const char *name, const char *value)
{
	int fd = openat(pci->dir, name, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int read_attribute(const struct host_pci *pci, const char *name, char *text, size_t size)
{
	int fd = openat(pci->dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	return 0;
}

int host_pci_enable(const struct host_pci *pci, bool on)
{
	return write_attribute(pci, "enable", on ? "1" : "0");
}

void host_pci_reset(const struct host_pci *pci)
{
	write_attribute(pci, "reset", "1");
}

int host_pci_gsi(const struct host_pci *pci, uint32_t *gsi)
{
	char text[32];
	int rc = read_attribute(pci, "irq", text, sizeof text);

	if (rc == 0)
		*gsi = strtoul(text, NULL, 10);
	return rc < 0 ? rc : *gsi ? 0 : -ENXIO;
}

/* The line of a BAR in `resource`: start, end, flags. */
static bool parse_bar(const char *text, unsigned bar, uint64_t *address, uint64_t *size)
{
	uint64_t start, end, flags;

	for (; bar && text; bar--) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	if (!text || sscanf(text, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
		return false;
	*address = start;
	*size = (flags & RESOURCE_MEMORY) && end > start ? end - start + 1 : 0;
	return true;
}

int host_pci_bar(const struct host_pci *pci, unsigned bar, uint64_t *address, uint64_t *size)
{
	char text[2048];
	int rc = read_attribute(pci, "resource", text, sizeof text);

	return rc < 0 ? rc : parse_bar(text, bar, address, size) ? 0 : -EINVAL;
}

void host_pci_quiet(uint32_t sbdf)
{
	struct host_pci pci;
	unsigned at;

	if (host_pci_open(&pci, sbdf) < 0)
		return;
	at = host_pci_capability(&pci, PCI_CAP_ID_MSI);
	if (at)
		host_pci_change(&pci, at + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 0);
	at = host_pci_capability(&pci, PCI_CAP_ID_MSIX);
	if (at)
		host_pci_change(&pci, at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 0);
	host_pci_change(&pci, PCI_COMMAND, PCI_COMMAND_MASTER, PCI_COMMAND_INTX_DISABLE);
	host_pci_reset(&pci);
	host_pci_enable(&pci, false);
	host_pci_close(&pci);
}

bool host_pci_resource(const char *path, uint64_t *address, uint64_t *size)
{
	const char *name = strrchr(path, '/');
	struct host_pci pci;
	char dir[PATH_MAX], *end;
	unsigned long bar;
	int rc;

	if (strncmp(path, host_pci_sysfs, strlen(host_pci_sysfs)) || !name ||
	    strncmp(name, "/resource", 9))
		return false;
	bar = strtoul(name + 9, &end, 10);
	if (end == name + 9 || (*end && strcmp(end, "_wc")) || bar > 5)
		return false;
	snprintf(dir, sizeof dir, "%.*s", (int)(name - path), path);
	pci.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pci.dir < 0)
		return false;
	rc = host_pci_bar(&pci, bar, address, size);
	close(pci.dir);
	return rc == 0 && *size;
}
