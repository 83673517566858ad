/* The name of a domain in xenstore, by which Xen's tools know it. */
#include "libkvmxen/xen/direct_private.h"

#include <stdio.h>
#include <string.h>

#include <xenstore.h>

enum { PATH_MAX_LEN = 128, UUID_LEN = 36 };

struct paths {
	char uuid[UUID_LEN + 1];
	char local[PATH_MAX_LEN]; /* the domain */
	char vm[PATH_MAX_LEN];    /* what outlives a reboot, for Xen's tools */
	char libxl[PATH_MAX_LEN]; /* what libxl keeps */
};

static void paths_of(struct paths *p, uint16_t domid, const uint8_t h[16])
{
	snprintf(p->uuid, sizeof(p->uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", h[0], h[1],
		 h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14],
		 h[15]);
	snprintf(p->local, sizeof(p->local), "/local/domain/%u", domid);
	snprintf(p->vm, sizeof(p->vm), "/vm/%s", p->uuid);
	snprintf(p->libxl, sizeof(p->libxl), "/libxl/%u", domid);
}

static bool put(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key,
		const char *value)
{
	char path[PATH_MAX_LEN + 16];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	return xs_write(xs, t, path, value, strlen(value));
}

static bool take_away(struct xs_handle *xs, xs_transaction_t t, const char *path)
{
	return xs_rm(xs, t, path) || errno == ENOENT;
}

static bool write_entries(struct xs_handle *xs, xs_transaction_t t, uint16_t domid,
			  const struct paths *p, const char *name)
{
	char id[8];

	snprintf(id, sizeof(id), "%u", domid);
	/* The nodes are made without permissions of their own: they are the control domain's,
	 * and closed to the guest. */
	return put(xs, t, p->local, "name", name) && put(xs, t, p->local, "domid", id) &&
	       put(xs, t, p->local, "vm", p->vm) && put(xs, t, p->vm, "name", name) &&
	       put(xs, t, p->vm, "uuid", p->uuid) &&
	       /* For libxl a PVH domain is one without a device model to look for. */
	       put(xs, t, p->libxl, "type", "pvh");
}

static bool remove_entries(struct xs_handle *xs, xs_transaction_t t, const struct paths *p)
{
	return take_away(xs, t, p->local) && take_away(xs, t, p->vm) && take_away(xs, t, p->libxl);
}

int direct_domain_set_name(struct control *ctl, uint16_t domid, const uint8_t handle[16],
			   const char *name)
{
	struct xs_handle *xs;
	struct paths p;
	int rc;

	paths_of(&p, domid, handle);
	errno = 0;
	xs = xs_open(0);
	if (!xs)
		return direct_result(-1);
	do {
		xs_transaction_t t = xs_transaction_start(xs);
		bool ok;

		rc = 0;
		if (t == XBT_NULL) {
			rc = direct_result(-1);
			break;
		}
		ok = name ? write_entries(xs, t, domid, &p, name) : remove_entries(xs, t, &p);
		if (!ok) {
			rc = direct_result(-1);
			xs_transaction_end(xs, t, true);
		} else if (!xs_transaction_end(xs, t, false)) {
			rc = direct_result(-1);
		}
	} while (rc == -EAGAIN); /* somebody else changed the same entries: once more */
	xs_close(xs);
	return rc;
}
