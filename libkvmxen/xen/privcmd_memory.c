/* Guest memory: moving, typing, tracking and mapping frames. */
#include "libkvmxen/xen/privcmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/privcmd.h>

_Static_assert(sizeof(xen_pfn_t) == sizeof(uint64_t), "a gfn is a xen_pfn_t");

/* Mappings up to this size need no allocation for Xen's answers. */
enum { FEW = 512 };

/* Linux' default limit of a dm_op's buffer (privcmd.dm_op_buf_max_size). */
enum { DM_OP_BUFFER_MAX = 4096 };

/* Frames in one call. Xen (4.17) cuts the count to 16 bits: of 65536 frames it moves none, and says
 * that it has. */
enum { RELOCATE_MAX = 0x8000 };

int privcmd_mem_relocate(struct device *dev, uint16_t domid, uint64_t src, uint64_t dst, uint32_t n)
{
	int rc = 0;

	for (uint32_t done = 0, some; rc == 0 && done < n; done += some) {
		struct xen_dm_op op = {.op = XEN_DMOP_relocate_memory};

		some = n - done < RELOCATE_MAX ? n - done : RELOCATE_MAX;
		op.u.relocate_memory.size = some;
		op.u.relocate_memory.src_gfn = src + done;
		op.u.relocate_memory.dst_gfn = dst + done;
		rc = privcmd_dm_op(dev, domid, &op, NULL, 0);
	}
	return rc;
}

int privcmd_mem_set_type(struct device *dev, uint16_t domid, enum mem_type type, uint64_t gfn,
			 uint32_t n)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_set_mem_type,
		.u.set_mem_type = {.nr = n, .mem_type = type, .first_pfn = gfn},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_mem_type_to_server(struct device *dev, uint16_t domid, uint16_t server, bool on)
{
	struct xen_dm_op op = {
		.op = XEN_DMOP_map_mem_type_to_ioreq_server,
		.u.map_mem_type_to_ioreq_server = {.id = server,
						   .type = MEM_IOREQ_SERVER,
						   .flags = on ? XEN_DMOP_IOREQ_MEM_ACCESS_WRITE
							       : 0},
	};

	return privcmd_dm_op(dev, domid, &op, NULL, 0);
}

int privcmd_mem_modified(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n)
{
	struct xen_dm_op_modified_memory_extent extent = {.nr = n, .first_pfn = gfn};
	struct xen_dm_op op = {
		.op = XEN_DMOP_modified_memory,
		.u.modified_memory = {.nr_extents = 1},
	};

	return privcmd_dm_op(dev, domid, &op, &extent, sizeof(extent));
}

int privcmd_mem_track_vram(struct device *dev, uint16_t domid, uint64_t gfn, uint32_t n,
			   uint8_t *bitmap)
{
	/* The kernel pins the buffer, which it cannot do with foreign memory: use one of ours. It
	 * has its full size also to stop: an empty one must not be (privcmd_dm_op). */
	uint8_t bits[DM_OP_BUFFER_MAX] = {0};
	size_t bytes = bitmap ? ((size_t)n + 7) / 8 : 0;
	struct xen_dm_op op = {
		.op = XEN_DMOP_track_dirty_vram,
		.u.track_dirty_vram = {.nr = bitmap ? n : 0, .first_pfn = gfn},
	};
	int rc;

	if (bytes > sizeof(bits))
		return -E2BIG;
	rc = privcmd_dm_op(dev, domid, &op, bits, sizeof(bits));
	if (rc < 0 || !bytes)
		return rc;
	memcpy(bitmap, bits, bytes);
	/* The first call sets all bits of all bytes. */
	if (n % 8)
		bitmap[bytes - 1] &= (1u << n % 8) - 1;
	return 0;
}

/* The ioctl as a whole fails with ENOENT when a frame is paged out; else each frame has its own
 * error. */
static int fill(int fd, uint16_t domid, void *at, size_t n, const uint64_t *gfns)
{
	struct privcmd_mmapbatch_v2 call = {
		.num = n,
		.dom = domid,
		.addr = (uintptr_t)at,
		.arr = (const xen_pfn_t *)gfns,
	};
	int few[FEW], *err = few, rc = 0;

	if (n > FEW) {
		err = malloc(n * sizeof(*err));
		if (!err)
			return -ENOMEM;
	}
	call.err = err;
	if (ioctl(fd, IOCTL_PRIVCMD_MMAPBATCH_V2, &call) < 0)
		rc = -errno;
	for (size_t i = 0; i < n && !rc; i++)
		rc = err[i];
	if (err != few)
		free(err);
	return rc;
}

int privcmd_mem_map(struct device *dev, uint16_t domid, void *addr, int prot, size_t n,
		    const uint64_t *gfns, void **out)
{
	const struct privcmd_device *privcmd = (const struct privcmd_device *)dev;
	size_t bytes = n * XC_PAGE_SIZE;
	int fd = privcmd->fd(privcmd, domid), rc;
	void *at;

	if (fd < 0)
		return fd;
	at = mmap(addr, bytes, prot, MAP_SHARED | (addr ? MAP_FIXED : 0), fd, 0);
	if (at == MAP_FAILED) {
		rc = -errno;
	} else {
		rc = fill(fd, domid, at, n, gfns);
		if (!rc) {
			*out = at;
			return 0;
		}
	}
	/* A range that was given must not become free: others would be given parts of it. */
	if (addr)
		mmap(addr, bytes, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	else if (at != MAP_FAILED)
		munmap(at, bytes);
	return rc;
}

int privcmd_mem_unmap(struct device *dev, void *addr, size_t n)
{
	return munmap(addr, n * XC_PAGE_SIZE) < 0 ? -errno : 0;
}
