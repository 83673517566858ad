/* The host's memory: frames of one sparse memfd, so that a mapping of a frame is a real mapping. */
#include "tests/fake/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMFD_NAME  "kvmxen-fake-frames"
#define MAX_FRAMES  (4u << 20)
#define FIRST_FRAME 1u

struct frame {
	uint16_t owner; /* domid */
	uint32_t refs;
};

static struct frame *frames;
static int fd = -1;
static frame_t hint = FIRST_FRAME;
static uint32_t in_use, limit = MAX_FRAMES;

/* Frames whose content is to be given back, gathered into one run. */
static frame_t punch_first;
static uint32_t punch_count;

static void punch(void)
{
	if (punch_count)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)punch_first * PAGE_SIZE, (off_t)punch_count * PAGE_SIZE);
	punch_count = 0;
}

static void open_memory(void)
{
	if (fd >= 0)
		return;
	fd = memfd_create(MEMFD_NAME, MFD_CLOEXEC);
	frames = calloc(MAX_FRAMES, sizeof *frames);
	if (fd < 0 || !frames || ftruncate(fd, (off_t)MAX_FRAMES * PAGE_SIZE)) {
		perror("fake: memory");
		abort();
	}
}

void xen_frames_reset(void)
{
	open_memory();
	punch();
	hint = FIRST_FRAME;
	limit = MAX_FRAMES;
}

static frame_t find_run(frame_t from, frame_t to, uint32_t count)
{
	uint32_t run = 0;

	for (frame_t f = from; f < to; f++) {
		run = frames[f].refs ? 0 : run + 1;
		if (run == count)
			return f + 1 - count;
	}
	return 0;
}

frame_t xen_frames_alloc(uint16_t owner, uint32_t count)
{
	frame_t first;

	if (in_use + count > limit)
		return 0;
	first = find_run(hint, MAX_FRAMES, count);
	if (!first)
		first = find_run(FIRST_FRAME, MAX_FRAMES, count);
	if (!first)
		return 0;
	punch(); /* what is handed out must read as zeroes */
	for (uint32_t i = 0; i < count; i++) {
		frames[first + i].refs = 1;
		frames[first + i].owner = owner;
	}
	in_use += count;
	hint = first + count;
	return first;
}

void xen_frame_get(frame_t frame)
{
	frames[frame].refs++;
}

void xen_frame_put(frame_t frame)
{
	if (--frames[frame].refs)
		return;
	in_use--;
	if (punch_count && frame != punch_first + punch_count)
		punch();
	if (!punch_count)
		punch_first = frame;
	punch_count++;
	if (frame < hint)
		hint = frame;
	xen_domain_frame_freed(frames[frame].owner);
}

/* Through the descriptor: a test's sanitizer need not see Xen's accesses as this process' own. */
void xen_frame_read(frame_t frame, unsigned offset, void *buf, size_t len)
{
	if (pread(fd, buf, len, (off_t)frame * PAGE_SIZE + offset) != (ssize_t)len)
		abort();
}

void xen_frame_write(frame_t frame, unsigned offset, const void *buf, size_t len)
{
	if (pwrite(fd, buf, len, (off_t)frame * PAGE_SIZE + offset) != (ssize_t)len)
		abort();
}

void *xen_frames_mmap(void *addr, frame_t first, uint32_t count, int prot)
{
	int flags = MAP_SHARED | (addr ? MAP_FIXED : 0);

	return mmap(addr, (size_t)count * PAGE_SIZE, prot, flags, fd, (off_t)first * PAGE_SIZE);
}

bool xen_frames_named(const char *line)
{
	return strstr(line, "memfd:" MEMFD_NAME) != NULL;
}

void fake_host_frames(uint32_t n)
{
	fake_lock();
	limit = n < MAX_FRAMES ? n : MAX_FRAMES;
	fake_unlock();
}
