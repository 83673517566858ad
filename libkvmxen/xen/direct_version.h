/*
 * direct_version: the one place that a new version of Xen changes.
 *
 * The control plane's layouts (xen/domctl.h, xen/sysctl.h) and parts of libxenctrl differ from
 * release to release; a library built for one speaks to that one only, and Xen answers EACCES to
 * any other. What the rest of the direct implementation uses beyond these functions has had the
 * same prototypes since 4.17.
 */
#ifndef KVMXEN_XEN_DIRECT_VERSION_H
#define KVMXEN_XEN_DIRECT_VERSION_H

#include <xenctrl.h>

#include "libkvmxen/xen/control.h"

/* The releases whose control interface this was built for, such as "4.17", for messages. */
const char *direct_version_built_for(void);

/* The version of the Xen that runs, such as "4.17.7" (any version tells): 0, or -1 with errno. */
int direct_version_running(xc_interface *xc, char *text, size_t size);

/* What a domain was created with, as far as kvmxen's own are created with it: 0, or -EOPNOTSUPP. */
int direct_version_config(const xc_domaininfo_t *info, struct domain_config *config);

/* XEN_DOMCTL_createdomain's argument. */
void direct_version_createdomain(struct xen_domctl_createdomain *create,
				 const struct domain_config *config);

/* Domains from domid first on, in order: how many of at most n, or -1 with errno. */
int direct_version_domains(xc_interface *xc, uint16_t first, unsigned n, xc_domaininfo_t *info);

#endif
