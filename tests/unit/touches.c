/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of touches; see replay.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "bench/kernel.h"
#include "bench/zipf.h"
#include "common/rand.h"
#include "tests/unit/touches.h"

void touches_open(struct touches *t, const char *name, uint32_t pages)
{
	*t = (struct touches) { .name = name, .pages = pages };
	t->room = 1 << 16;
	t->list = malloc(t->room * sizeof(*t->list));
	XM_ASSERT(t->list != NULL);
}

void touches_close(struct touches *t)
{
	free(t->list);
	t->list = NULL;
}

void touches_add(struct touches *t, uint32_t page, bool write)
{
	XM_ASSERT(page < t->pages);
	if (t->count == t->room) {
		t->room *= 2;
		t->list = realloc(t->list, t->room * sizeof(*t->list));
		XM_ASSERT(t->list != NULL);
	}
	t->list[t->count++] = page << 1 | write;
}

/* --- made ----------------------------------------------------------------------- */

void touches_scan(struct touches *t, uint32_t cache)
{
	uint32_t hot = cache * 6 / 10, cold = cache * 4;
	struct xm_rand r;

	xm_rand_seed(&r, 1);
	touches_open(t, "scan", hot + cold);
	for (uint32_t i = 0; i < cold * 4; i++) {
		touches_add(t, hot + i % cold, false);
		for (unsigned k = 0; k < 2; k++)
			touches_add(t, (uint32_t)xm_rand_below(&r, hot),
				    false);
	}
}

static void loop(struct touches *t, uint32_t cache, const char *name,
		 bool shuffled)
{
	uint32_t pages = cache * 11 / 10;
	uint32_t *order = malloc(pages * sizeof(*order));
	struct xm_rand r;

	XM_ASSERT(order != NULL);
	xm_rand_seed(&r, 2);
	touches_open(t, name, pages);
	for (uint32_t i = 0; i < pages; i++) {
		uint32_t other = shuffled ? (uint32_t)xm_rand_below(&r, i + 1)
					  : i;

		order[i] = order[other];
		order[other] = i;
	}
	for (uint32_t i = 0; i < pages * 12; i++)
		touches_add(t, order[i % pages], false);
	free(order);
}

void touches_loop(struct touches *t, uint32_t cache)
{
	loop(t, cache, "loop", true);
}

void touches_circle(struct touches *t, uint32_t cache)
{
	loop(t, cache, "circle", false);
}

void touches_sequence(struct touches *t, uint32_t cache)
{
	touches_open(t, "sequence", cache * 4);
	for (uint32_t i = 0; i < cache * 12; i++)
		touches_add(t, i % (cache * 4), false);
}

void touches_zipf(struct touches *t, uint32_t cache)
{
	uint32_t pages = cache * 4;
	uint64_t state = 3;
	struct xm_zipf z;
	struct xm_rand r;

	xm_rand_seed(&r, 3);
	xm_zipf_init(&z, pages, 0.99);
	touches_open(t, "zipf", pages);
	for (uint32_t i = 0; i < pages * 8; i++) {
		uint64_t rank = xm_zipf_draw(&z, &state);

		/* An odd factor scatters ranks where pages are 2^n; nearly
		 * so elsewhere, which will do. */
		touches_add(t, (uint32_t)(rank * 2654435761 % pages),
			    xm_rand_below(&r, 5) == 0);
	}
}

void touches_random(struct touches *t, uint32_t cache)
{
	uint32_t pages = cache * 4;
	struct xm_rand r;

	xm_rand_seed(&r, 4);
	touches_open(t, "random", pages);
	for (uint32_t i = 0; i < pages * 4; i++)
		touches_add(t, (uint32_t)xm_rand_below(&r, pages), true);
}

void touches_phases(struct touches *t, uint32_t cache)
{
	uint32_t hot = cache / 2, sets = 8;
	struct xm_rand r;

	xm_rand_seed(&r, 5);
	touches_open(t, "phases", hot * sets);
	for (uint32_t i = 0; i < hot * sets * 10; i++) {
		uint32_t set = i / (hot * 10);

		touches_add(t, set * hot + (uint32_t)xm_rand_below(&r, hot),
			    false);
	}
}

/* --- recorded --------------------------------------------------------------------- */

enum { OPEN = 16 };

static struct {
	char *memory;
	struct touches *to;
	struct {
		uint32_t page;
		bool used, write;
	} open[OPEN];
	unsigned oldest;
} recorder;

static void protect(uint32_t page, int how)
{
	XM_ASSERT(mprotect(recorder.memory + (size_t)page * XM_KERNEL_PAGE,
			   XM_KERNEL_PAGE, how) == 0);
}

/* Where the processor does not say, a store is a load first. */
static bool was_store(const void *context)
{
#if defined(__x86_64__)
	const ucontext_t *c = context;

	return (c->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
	(void)context;
	return false;
#endif
}

/* A kernel allocates nothing: the list may grow here. */
static void on_touch(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)recorder.memory;
	uint32_t page = (uint32_t)(at / XM_KERNEL_PAGE);
	bool write = was_store(context);
	unsigned i = 0;

	if (at >= (uintptr_t)recorder.to->pages * XM_KERNEL_PAGE) {
		signal(signal_number, SIG_DFL); /* a real one */
		return;
	}
	while (i < OPEN && !(recorder.open[i].used &&
			     recorder.open[i].page == page))
		i++;
	if (i == OPEN) {
		i = recorder.oldest;
		recorder.oldest = (i + 1) % OPEN;
		if (recorder.open[i].used)
			protect(recorder.open[i].page, PROT_NONE);
		recorder.open[i].used = true;
		recorder.open[i].page = page;
	} else {
		write = true; /* it was open for reading */
	}
	recorder.open[i].write = write;
	protect(page, write ? PROT_READ | PROT_WRITE : PROT_READ);
	touches_add(recorder.to, page, write);
}

void touches_record(struct touches *t, const struct xm_kernel *kernel,
		    uint64_t size, uint64_t rounds)
{
	struct sigaction on = { .sa_sigaction = on_touch,
				.sa_flags = SA_SIGINFO };
	struct sigaction before;
	struct xm_kernel_verdict verdict;
	struct xm_kernel_job job = {
		.wishes = { .size = size, .seed = 1, .rounds = rounds,
			    .threads = 1, .puts_pct = 10 },
	};

	XM_ASSERT(kernel->plan(&job.wishes, &job.plan));
	job.scratch = calloc(1, job.plan.scratch_size);
	job.memory = mmap(NULL, job.plan.memory_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	XM_ASSERT(job.scratch != NULL && job.memory != MAP_FAILED);
	touches_open(t, kernel->name,
		     (uint32_t)(job.plan.memory_size / XM_KERNEL_PAGE));
	kernel->lay_out(&job);
	xm_kernel_stage(kernel, &job, XM_KERNEL_PREPARE);
	memset(&recorder, 0, sizeof(recorder));
	recorder.memory = job.memory;
	recorder.to = t;
	XM_ASSERT(sigaction(SIGSEGV, &on, &before) == 0);
	mprotect(job.memory, job.plan.memory_size, PROT_NONE);
	xm_kernel_stage(kernel, &job, XM_KERNEL_RUN);
	mprotect(job.memory, job.plan.memory_size, PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &before, NULL);
	kernel->verify(&job, &verdict);
	XM_ASSERT(verdict.wrong == NULL);
	munmap(job.memory, job.plan.memory_size);
	free(job.scratch);
}
