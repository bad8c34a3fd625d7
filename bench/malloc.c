/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same churn with this process's malloc: a part of alone.h, which `alloc`
 * starts twice, once with libjemalloc in front. Its argument is
 * "KIND COUNT SEED THREADS"; every question is answered with "NS LOOP_NS": what a
 * step took, and what it takes without an allocator. Where libjemalloc was
 * asked for, as argument's fifth word, and is not there, it says so and ends.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/alone.h"
#include "bench/churn.h"

static struct churn churn;
static unsigned threads;

static uint64_t take(void *context, uint32_t size)
{
	(void)context;
	return (uintptr_t)malloc(size);
}

static void give(void *context, uint64_t handle)
{
	(void)context;
	free((void *)(uintptr_t)handle);
}

static bool get_ready(const char *argument, char *ret, size_t size)
{
	char kind[200], wanted[16] = "";
	unsigned long long count, seed;

	if (sscanf(argument, "%199s %llu %llu %u %15s", kind, &count, &seed,
		   &threads, wanted) < 4) {
		snprintf(ret, size, "malloc: the part's argument");
		return false;
	}
	if (strcmp(wanted, "jemalloc") == 0 &&
	    dlsym(RTLD_DEFAULT, "mallctl") == NULL) {
		snprintf(ret, size, "jemalloc is not there (Debian: "
				    "libjemalloc2)");
		return false;
	}
	if (!churn_make(kind, count, seed, &churn)) {
		snprintf(ret, size, "%s", churn.words);
		return false;
	}
	return true;
}

bool malloc_answer(const char *argument, const char *question, char *ret,
		   size_t size)
{
	const struct churn_allocator own = { take, give, NULL };
	uint64_t failed;
	double ns, loop_ns;

	if (question == NULL)
		return get_ready(argument, ret, size);
	loop_ns = churn_replay(&churn, &churn_nothing, threads, &failed);
	ns = churn_replay(&churn, &own, threads, &failed);
	if (failed > 0) {
		snprintf(ret, size, "malloc: out of memory");
		return false;
	}
	snprintf(ret, size, "%.3f %.3f", ns, loop_ns);
	return true;
}
