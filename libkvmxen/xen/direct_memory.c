/* Guest memory: populating, moving, typing, tracking and mapping frames. */
#include "libkvmxen/xen/direct_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(sizeof(xen_pfn_t) == sizeof(uint64_t), "a gfn is a xen_pfn_t");

/* Extents in one hypercall; libxenctrl wants an array that it may write to. */
enum { BATCH = 512 };

/* Linux' default limit of a dm_op's buffer (privcmd.dm_op_buf_max_size). */
enum { DM_OP_BUFFER_MAX = 4096 };

typedef int (*reservation_call)(xc_interface *xc, uint16_t domid, unsigned order, unsigned n,
				xen_pfn_t *gfns);

static int populate_batch(xc_interface *xc, uint16_t domid, unsigned order, unsigned n,
			  xen_pfn_t *gfns)
{
	return xc_domain_populate_physmap(xc, domid, n, order, 0, gfns);
}

static int release_batch(xc_interface *xc, uint16_t domid, unsigned order, unsigned n,
			 xen_pfn_t *gfns)
{
	return xc_domain_decrease_reservation(xc, domid, n, order, gfns);
}

/* How many of the extents the call has done, from the start; -errno when it was none. */
static ssize_t in_batches(reservation_call call, xc_interface *xc, uint16_t domid, unsigned order,
			  size_t n, const uint64_t *gfns)
{
	xen_pfn_t batch[BATCH];
	size_t done = 0;

	while (done < n) {
		size_t want = n - done < BATCH ? n - done : BATCH;
		int r;

		memcpy(batch, gfns + done, want * sizeof(*batch));
		r = direct_result(call(xc, domid, order, want, batch));
		if (r < 0)
			return done ? (ssize_t)done : r;
		done += r;
		if ((size_t)r < want)
			break;
	}
	return done;
}

int direct_mem_populate(struct device *dev, uint16_t domid, unsigned order, size_t n,
			const uint64_t *gfns)
{
	int done = in_batches(populate_batch, direct_device(dev)->xc, domid, order, n, gfns);

	/* Xen does not say why it stopped. */
	return done || !n ? done : -ENOMEM;
}

int direct_mem_release(struct device *dev, uint16_t domid, size_t n, const uint64_t *gfns)
{
	ssize_t done = in_batches(release_batch, direct_device(dev)->xc, domid, 0, n, gfns);

	if (done < 0)
		return done;
	return (size_t)done == n ? 0 : -EINVAL;
}

int direct_mem_relocate(struct device *dev, uint16_t domid, uint64_t src, uint64_t dst, uint32_t n)
{
	return direct_result(
		xendevicemodel_relocate_memory(direct_device(dev)->dm, domid, n, src, dst));
}

int direct_mem_set_type(struct device *dev, uint16_t domid, enum mem_type type, uint64_t gfn,
			uint32_t n)
{
	return direct_result(xendevicemodel_set_mem_type(direct_device(dev)->dm, domid,
							 (hvmmem_type_t)type, gfn, n));
}

int direct_mem_type_to_server(struct device *dev, uint16_t domid, uint16_t server, bool on)
{
	return direct_result(xendevicemodel_map_mem_type_to_ioreq_server(
		direct_device(dev)->dm, domid, server, HVMMEM_ioreq_server,
		on ? XEN_DMOP_IOREQ_MEM_ACCESS_WRITE : 0));
}

int direct_mem_modified(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n)
{
	return direct_result(xendevicemodel_modified_memory(direct_device(dev)->dm, domid, gfn, n));
}

int direct_mem_track_vram(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n,
			  uint8_t *bitmap)
{
	/* The kernel pins the buffer, which it cannot do with foreign memory: use one of ours. It
	 * has its full size in any case: libxendevicemodel sends an empty one to stop, and that
	 * must not be (direct_dm_op). */
	uint8_t bits[DM_OP_BUFFER_MAX] = {0};
	size_t bytes = bitmap ? ((size_t)n + 7) / 8 : 0;
	struct xen_dm_op op = {
		.op = XEN_DMOP_track_dirty_vram,
		.u.track_dirty_vram = {.nr = bitmap ? n : 0, .first_pfn = gfn},
	};
	int r;

	if (bytes > sizeof(bits))
		return -E2BIG;
	r = direct_dm_op(direct_device(dev), domid, &op, bits, sizeof(bits));
	if (r < 0 || !bytes)
		return r;
	memcpy(bitmap, bits, bytes);
	/* The first call sets all bits of all bytes. */
	if (n % 8)
		bitmap[bytes - 1] &= (1u << n % 8) - 1;
	return 0;
}

static int first_error(const int *err, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (err[i])
			return err[i];
	return 0;
}

/* Keeps an address range that must not become free: others would be given parts of it. */
static void hold_range(void *addr, size_t bytes, int fixed)
{
	mmap(addr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
}

int direct_mem_map(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
		   const uint64_t *gfns, void **out)
{
	xenforeignmemory_handle *fmem = direct_device(dev)->fmem;
	size_t bytes = n * XC_PAGE_SIZE;
	int few[BATCH], *err = few, rc = 0;
	void *at;

	if (n > BATCH) {
		err = malloc(n * sizeof(*err));
		if (!err)
			return -ENOMEM;
	}
	at = xenforeignmemory_map2(fmem, domid, addr, prot, addr ? MAP_FIXED : 0, n,
				   (const xen_pfn_t *)gfns, err);
	if (!at) {
		rc = direct_result(-1);
		if (addr)
			hold_range(addr, bytes, MAP_FIXED_NOREPLACE);
		goto out;
	}
	rc = first_error(err, n);
	if (!rc)
		*out = at;
	else if (addr)
		hold_range(addr, bytes, MAP_FIXED);
	else
		xenforeignmemory_unmap(fmem, at, n);
out:
	if (err != few)
		free(err);
	return rc;
}

int direct_mem_unmap(struct device *dev, void *addr, size_t n)
{
	return direct_result(xenforeignmemory_unmap(direct_device(dev)->fmem, addr, n));
}
