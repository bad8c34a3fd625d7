/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that share the seeds; see ranks.h. */
#include "sim/ranks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"

#include "common/rand.h"

#ifdef HAVE_MPI
#include <mpi.h>
#endif

static uint32_t rank, count = 1;

/* --- reports ---------------------------------------------------------------------- */

void report_hash(struct report *r, uint64_t seed, uint64_t hash)
{
	uint64_t mixed = seed ^ xm_rand_mix(&hash);

	r->hash += xm_rand_mix(&mixed);
}

void report_failure(struct report *r, uint64_t seed)
{
	if (r->failures < RANKS_FAILED_MAX)
		r->failed[r->failures] = seed;
	r->failures++;
}

/* Adds a seed that shows one. */
static void show(uint64_t *to, uint64_t seed)
{
	if (*to == 0 || (seed != 0 && seed < *to))
		*to = seed;
}

#define OUTCOMES (sizeof(outcome_counts) / sizeof(uint64_t))

void report_outcomes(struct report *r, uint64_t seed)
{
	const uint64_t *seen = &sim_counts.outcomes[0][0][0];

	for (size_t i = 0; i < OUTCOMES; i++) {
		if (seen[i] > 0)
			show(&r->shown[0][0][0] + i, seed);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void report_add(struct report *r, const struct report *more)
{
	uint64_t *to = (uint64_t *)r;
	const uint64_t *from = (const uint64_t *)more;
	uint64_t had = xm_min(r->failures, RANKS_FAILED_MAX);

	for (uint64_t i = 0; had + i < RANKS_FAILED_MAX && i < more->failures;
	     i++)
		r->failed[had + i] = more->failed[i];
	for (size_t i = 0; i < offsetof(struct report, failed) / 8; i++)
		to[i] += from[i];
	for (size_t i = 0; i < OUTCOMES; i++)
		show(&r->shown[0][0][0] + i, (&more->shown[0][0][0])[i]);
	qsort(r->failed, xm_min(r->failures, RANKS_FAILED_MAX),
	      sizeof(r->failed[0]), compare);
}

/* --- jobs ------------------------------------------------------------------------- */

struct job {
	pid_t pid;
	uint64_t first, now;
	struct report report;
};

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "extmem-sim: %s: %s\n", what, strerror(errno));
	exit(3);
}

static uint64_t parts_of(uint32_t jobs)
{
	return (uint64_t)jobs * count;
}

static void job_begin(struct job *job, uint32_t jobs, ranks_work work)
{
	pid_t pid;

	job->now = job->first;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		give_up("fork");
	if (pid > 0) {
		job->pid = pid;
		return;
	}
	/* What one job says of a failure stays together. */
	setvbuf(stderr, NULL, _IOFBF, 64 * XM_KIB);
	work(job->first, parts_of(jobs), &job->now, &job->report);
	fflush(NULL);
	_exit(0);
}

/* True when another was begun in its place. */
static bool job_ended(struct job *job, int status, uint32_t jobs,
		      uint64_t seed, ranks_work work)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	fprintf(stderr, "seed %llu: the process ended by signal %d\n",
		(unsigned long long)(seed + job->now),
		WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	job->report.runs++;
	report_failure(&job->report, seed + job->now);
	job->first = job->now + parts_of(jobs);
	job_begin(job, jobs, work);
	return true;
}

void ranks_run(uint32_t jobs, uint64_t seed, ranks_work work,
	       struct report *ret)
{
	struct job *all;
	uint32_t left = jobs;
	uint64_t now;

	if (jobs == 1) {
		work(rank, count, &now, ret);
		return;
	}
	all = mmap(NULL, jobs * sizeof(*all), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		give_up("mmap");
	for (uint32_t i = 0; i < jobs; i++) {
		all[i].first = (uint64_t)rank * jobs + i;
		job_begin(&all[i], jobs, work);
	}
	while (left > 0) {
		int status;
		pid_t pid = wait(&status);

		if (pid < 0)
			give_up("wait");
		for (uint32_t i = 0; i < jobs; i++) {
			if (all[i].pid == pid &&
			    !job_ended(&all[i], status, jobs, seed, work))
				left--;
		}
	}
	for (uint32_t i = 0; i < jobs; i++)
		report_add(ret, &all[i].report);
	munmap(all, jobs * sizeof(*all));
}

/* --- ranks ------------------------------------------------------------------------- */

#ifdef HAVE_MPI

/* Alone, a program is spared what MPI does at its start. */
static bool launched(void)
{
	static const char *const names[] = {
		"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK",
	};

	for (unsigned i = 0; i < XM_COUNT(names); i++) {
		if (getenv(names[i]) != NULL)
			return true;
	}
	return false;
}

void ranks_begin(uint32_t *ret_rank, uint32_t *ret_count)
{
	int a, b;

	if (launched()) {
		MPI_Init(NULL, NULL);
		MPI_Comm_rank(MPI_COMM_WORLD, &a);
		MPI_Comm_size(MPI_COMM_WORLD, &b);
		rank = (uint32_t)a;
		count = (uint32_t)b;
	}
	*ret_rank = rank;
	*ret_count = count;
}

void ranks_merge(struct report *report)
{
	struct report *all;

	if (count == 1)
		return;
	all = calloc(count, sizeof(*all));
	if (all == NULL)
		give_up("calloc");
	MPI_Gather(report, sizeof(*report), MPI_BYTE, all, sizeof(*all),
		   MPI_BYTE, 0, MPI_COMM_WORLD);
	for (uint32_t i = 1; rank == 0 && i < count; i++)
		report_add(report, &all[i]);
	free(all);
}

void ranks_end(void)
{
	if (launched())
		MPI_Finalize();
}

#else

void ranks_begin(uint32_t *ret_rank, uint32_t *ret_count)
{
	*ret_rank = rank;
	*ret_count = count;
}

void ranks_merge(struct report *report)
{
	(void)report;
}

void ranks_end(void)
{
}

#endif
