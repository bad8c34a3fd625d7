/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workloads that extmem-sim predicts, on ordinary memory: touches as `fault`
 * makes them, one word a page, and the kernel `sort`. Of several rounds the median.
 */
#include "bench/ordinary.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/bench.h"
#include "bench/kernel.h"

enum { PAGES = 20000, ROUNDS = 5, WORDS = BENCH_PAGE / 8 };

static uint64_t random_state = 1, sum;

static void random_read(uint64_t *words)
{
	for (int i = 0; i < PAGES; i++)
		sum += words[bench_below(&random_state, PAGES) * WORDS];
}

static void random_rmw(uint64_t *words)
{
	for (int i = 0; i < PAGES; i++)
		words[bench_below(&random_state, PAGES) * WORDS]++;
}

static void seq_read(uint64_t *words)
{
	for (int i = 0; i < PAGES; i++)
		sum += words[(uint64_t)i * WORDS];
}

static void seq_write(uint64_t *words)
{
	for (int i = 0; i < PAGES; i++)
		words[(uint64_t)i * WORDS] = (uint64_t)i;
}

static double touches_us(void (*touch)(uint64_t *), uint64_t *words)
{
	double took[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		double began = bench_now_us();

		touch(words);
		took[i] = (bench_now_us() - began) / PAGES;
	}
	return bench_permille(took, ROUNDS, 500);
}

static double sort_us(void *memory)
{
	const struct xm_kernel *kernel = &xm_kernel_sort;
	struct xm_kernel_job job = {
		.wishes = { .size = (uint64_t)PAGES * BENCH_PAGE, .seed = 1,
			    .threads = 1 },
		.memory = memory,
	};
	double took[ROUNDS];

	if (!kernel->plan(&job.wishes, &job.plan))
		bench_fail("sort: it cannot be so large");
	job.scratch = bench_calloc(1, job.plan.scratch_size);
	for (int i = 0; i < ROUNDS; i++) {
		double began;

		kernel->lay_out(&job);
		kernel->step(&job, XM_KERNEL_PREPARE, 0, 0);
		began = bench_now_us();
		for (uint32_t k = 0; k < job.plan.run_steps; k++)
			kernel->step(&job, XM_KERNEL_RUN, k, 0);
		took[i] = (bench_now_us() - began) / (double)job.plan.work;
	}
	free(job.scratch);
	return bench_permille(took, ROUNDS, 500);
}

void ordinary_measure(struct ordinary ret[ORDINARY_COUNT])
{
	const size_t size = (size_t)PAGES * BENCH_PAGE;
	uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (words == MAP_FAILED)
		bench_fail("out of memory");
	ret[0] = (struct ordinary){ "sort", sort_us(words) };
	ret[1] = (struct ordinary){ "random-read",
				    touches_us(random_read, words) };
	ret[2] = (struct ordinary){ "random-rmw",
				    touches_us(random_rmw, words) };
	ret[3] = (struct ordinary){ "seq-read", touches_us(seq_read, words) };
	ret[4] = (struct ordinary){ "seq-write", touches_us(seq_write, words) };
	munmap(words, size);
	/* So that the sums are needed. */
	if (sum == 1)
		bench_say("%llu", (unsigned long long)sum);
}
