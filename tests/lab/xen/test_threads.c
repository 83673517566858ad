/* One pair of connections, many threads. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/lab/xen/check.h"
#include "tests/lab/xen/machine.h"
#include "tests/lab/xen/ops.h"

#include <xen/hvm/params.h>

enum { THREADS = 8, ROUNDS = 40, PAGE = 4096 };

struct worker {
	pthread_t thread;
	struct machine *m;
	unsigned number;
	int failed; /* the first error, or what was wrong */
};

static int one_round(struct worker *w)
{
	struct machine *m = w->m;
	uint64_t gfns[2] = {w->number, w->number + THREADS}, value;
	struct hvm_hw_cpu cpu;
	void *at;
	int rc;

	rc = m->d->mem_map(m->dev, m->domid, NULL, PROT_READ, 2, gfns, &at);
	if (rc)
		return rc;
	rc = ((uint8_t *)at)[0] == w->number && ((uint8_t *)at)[PAGE] == w->number + THREADS
		     ? m->d->mem_unmap(m->dev, at, 2)
		     : -EILSEQ;
	if (!rc)
		rc = m->d->hvm_param_get(m->dev, m->domid, HVM_PARAM_TIMER_MODE, &value);
	if (!rc)
		rc = machine_record(m, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu));
	if (!rc && cpu.rip != CODE_AT)
		rc = -EILSEQ;
	if (!rc)
		rc = m->d->mem_modified(m->dev, m->domid, w->number, 1);
	/* An error in one thread is not another one's. */
	if (!rc && machine_record(m, 99, &cpu, sizeof(cpu)) != -EINVAL)
		rc = -EILSEQ;
	return rc;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < ROUNDS && !w->failed; i++)
		w->failed = one_round(w);
	return NULL;
}

REAL_MODE(never_runs, "hlt");

void test_threads(void)
{
	struct worker workers[THREADS];
	struct machine m;
	int failed = 0;

	machine_make(&m, EMULATION_LAPIC, 1);
	MACHINE_LOAD(&m, never_runs);
	for (unsigned i = 0; i < 2 * THREADS; i++)
		m.ram[i * PAGE] = i;
	/* The code is in one of these frames. */
	m.ram[CODE_AT] = CODE_AT / PAGE;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.m = &m, .number = i};
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].failed)
			failed = workers[i].failed;
	}
	check_is(failed, 0, "%u threads use the pair at once", THREADS);
	machine_end(&m);
}
