/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel is a small, well-known computation over one piece of memory, by
 * which memory is measured: GUPS, STREAM, a sort, and so on. It is a set of
 * pure functions over plain pointers: it does not know whether its memory is
 * ordinary or external, makes no system call, takes no clock, starts no
 * thread. So the same object code runs on both, and the ratio of the two
 * times says what external memory costs.
 *
 * How one is run (xm_kernel_all() below does it on one thread, without times):
 *
 *	plan()		from the wishes of the caller: how much memory, how many
 *			steps, how much work
 *	lay_out()	once; writes `scratch` alone
 *	step(PREPARE)	for each step in order, on every thread; not timed
 *	step(RUN)	likewise; this is what is timed
 *	verify()	once, on one thread
 *
 * Threads: step s is called `threads` times, with thread = 0 .. threads - 1,
 * at once or one after the other, as the caller likes. Between two steps the
 * caller has a barrier. Calls of one step write to different words, except
 * where the kernel says otherwise (gups). Nothing here waits.
 *
 * Memory: the working set lies in `memory` alone, all of it. The caller owns
 * it; it is page aligned, of plan.memory_size bytes, and its contents before
 * prepare do not matter. `scratch` is ordinary memory for what is no part of
 * the working set: pointers, counters, cluster centers. Its size is stated
 * by the plan, and what is in it by each kernel. It is aligned to 64 bytes
 * and zeroed.
 *
 * Where plan.exact is set, results do not depend on the order in which threads
 * come: two runs with equal wishes (the number of threads among them) end in
 * equal digests, whatever memory they ran on.
 */
#ifndef XM_BENCH_KERNEL_H
#define XM_BENCH_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define XM_KERNEL_PAGE 4096
#define XM_KERNEL_THREADS_MAX 64
#define XM_KERNEL_PARTS_MAX 4

struct xm_kernel_wishes {
	uint64_t size;	  /* of the working set, bytes; the plan takes at most this */
	uint64_t seed;	  /* of everything that is drawn */
	uint64_t rounds;  /* 0: as usual for the kernel; see its help */
	uint32_t threads; /* 1 .. XM_KERNEL_THREADS_MAX */
	uint32_t puts_pct; /* zipf: puts among the operations, 0 .. 100 */
};

struct xm_kernel_plan {
	uint64_t memory_size;  /* a multiple of the page */
	uint64_t scratch_size;
	uint64_t rounds;
	uint64_t work;	       /* units of work in all RUN steps together */
	uint64_t part_work[XM_KERNEL_PARTS_MAX]; /* in one step of that part */
	uint32_t prepare_steps, run_steps;
	bool exact; /* equal wishes give equal digests */
};

struct xm_kernel_job {
	struct xm_kernel_wishes wishes;
	struct xm_kernel_plan plan; /* of these wishes */
	void *memory;
	void *scratch;
};

struct xm_kernel_verdict {
	const char *wrong; /* NULL: all is right; else what is not */
	uint64_t checked;  /* words, records or values looked at */
	uint64_t errors;   /* of these, wrong */
	uint64_t allowed;  /* errors that the rules of the kernel permit */
	uint64_t digest;   /* of every byte of memory */
};

enum xm_kernel_stage {
	XM_KERNEL_PREPARE,
	XM_KERNEL_RUN,
};

struct xm_kernel {
	const char *name;
	const char *help;   /* one line; says what a round is */
	const char *unit;   /* of work, plural: "updates" */
	const char *rate;   /* how its speed is called: "GUPS" */
	double rate_scale;  /* units a second in one of that */
	uint32_t parts;	    /* RUN step s belongs to part s % parts */
	const char *part_names[XM_KERNEL_PARTS_MAX];
	uint64_t size_min;  /* the least wishes.size */

	/* False when the wishes cannot be: size below size_min, too many
	 * rounds or threads. */
	bool (*plan)(const struct xm_kernel_wishes *,
		     struct xm_kernel_plan *ret);
	void (*lay_out)(struct xm_kernel_job *);
	void (*step)(struct xm_kernel_job *, enum xm_kernel_stage,
		     uint32_t step, uint32_t thread);
	void (*verify)(struct xm_kernel_job *, struct xm_kernel_verdict *ret);
};

extern const struct xm_kernel xm_kernel_gups, xm_kernel_stream,
	xm_kernel_sort, xm_kernel_zipf, xm_kernel_pagerank, xm_kernel_kmeans;

/* --- what kernels share ------------------------------------------------------ */

/* The output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a
 * bijection that makes the i-th random number out of seed and i, so that any
 * part of the data can be made again at any time, on any thread. */
static inline uint64_t xm_kernel_mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The part of [0, count) that a thread does. */
static inline void xm_kernel_share(uint64_t count, uint32_t thread,
				   uint32_t threads, uint64_t *ret_begin,
				   uint64_t *ret_end)
{
	uint64_t each = count / threads, more = count % threads;

	*ret_begin = thread * each + (thread < more ? thread : more);
	*ret_end = *ret_begin + each + (thread < more);
}

static inline uint64_t xm_kernel_round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Of every word in memory, in order. Four chains, for speed. */
static inline uint64_t xm_kernel_digest(const void *memory, uint64_t size)
{
	const uint64_t *words = memory;
	uint64_t d[4] = { 1, 2, 3, 4 };

	for (uint64_t i = 0; i < size / 8; i += 4) {
		for (unsigned k = 0; k < 4; k++) {
			d[k] = (d[k] ^ words[i + k]) *
			       UINT64_C(0xff51afd7ed558ccd);
			d[k] ^= d[k] >> 32;
		}
	}
	return xm_kernel_mix(d[0] ^ xm_kernel_mix(d[1] ^ xm_kernel_mix(
		d[2] ^ xm_kernel_mix(d[3]))));
}

static inline void xm_kernel_stage(const struct xm_kernel *kernel,
				   struct xm_kernel_job *job,
				   enum xm_kernel_stage stage)
{
	uint32_t steps = stage == XM_KERNEL_RUN ? job->plan.run_steps
						: job->plan.prepare_steps;

	for (uint32_t s = 0; s < steps; s++) {
		for (uint32_t t = 0; t < job->wishes.threads; t++)
			kernel->step(job, stage, s, t);
	}
}

/* All of it on the calling thread: for tests, and for who needs no times. */
static inline void xm_kernel_all(const struct xm_kernel *kernel,
				 struct xm_kernel_job *job,
				 struct xm_kernel_verdict *ret)
{
	kernel->lay_out(job);
	xm_kernel_stage(kernel, job, XM_KERNEL_PREPARE);
	xm_kernel_stage(kernel, job, XM_KERNEL_RUN);
	kernel->verify(job, ret);
}

#endif
