/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the program may have, and what it has: counts of external memory in use,
 * --limit, --overflow, and a local budget that is a share of what is in use.
 */
#include "preload/growth.h"

#define LIMIT_SLACK (UINT64_C(256) << 10) /* the most arena.c takes at once */

static _Atomic uint64_t local; /* bytes, as it is now */
static uint32_t percent;       /* of what is in use; 0: it does not follow */

void budget_start(void)
{
	atomic_store(&local, shim_shared->stats.local_limit);
	percent = shim_shared->percent = shim_options.local.percent;
}

uint64_t budget_local(void)
{
	return atomic_load(&local);
}

void budget_live(int64_t size)
{
	struct run_shared *s = shim_shared;
	uint64_t now = atomic_fetch_add(&s->live_bytes, (uint64_t)size) +
		       (uint64_t)size;
	uint64_t peak = atomic_load(&s->live_bytes_peak);

	while (size > 0 && now > peak &&
	       !atomic_compare_exchange_weak(&s->live_bytes_peak, &peak, now))
		;
}

void budget_count(uint64_t count, uint64_t size)
{
	atomic_fetch_add(&shim_shared->blocks_count, count);
	atomic_fetch_add(&shim_shared->blocks_bytes, size);
}

bool budget_limited(uint64_t size)
{
	return shim_options.limit != 0 &&
	       (size > SIZE_MAX_ASKED ||
		atomic_load(&shim_shared->live_bytes) + size + LIMIT_SLACK >
			shim_options.limit);
}

/* The budget follows the most that was ever in use, in steps: it is raised
 * with everybody stopped. */
void budget_follow(uint64_t more)
{
	uint64_t now = atomic_load(&local), step = now / 16,
		 use = atomic_load(&shim_shared->live_bytes) + more,
		 peak = atomic_load(&shim_shared->live_bytes_peak), want;

	want = (use > peak ? use : peak) / 100 * percent;
	if (step < SHIM_PAGE * 64)
		step = SHIM_PAGE * 64;
	if (percent == 0 || want < now + step)
		return;
	/* Beyond what it was opened for it stays as it is. */
	if (extmem_local(shim_client, want) == 0)
		atomic_store(&local, want);
	else
		percent = 0;
}

/* The reason that was given last, in full, was this one. */
static bool said_before(const char *words)
{
	static atomic_flag busy = ATOMIC_FLAG_INIT;
	static char last[512];
	bool same;

	/* Another thread is at it: better twice in full than not at all. */
	if (atomic_flag_test_and_set(&busy))
		return false;
	same = strcmp(last, words) == 0;
	snprintf(last, sizeof(last), "%s", words);
	atomic_flag_clear(&busy);
	return same;
}

static void say_full(size_t size)
{
	char words[512];

	snprintf(words, sizeof(words), "%s",
		 opening_failure() ? opening_failure() : extmem_error());
	if (budget_limited(size))
		snprintf(words, sizeof(words), "--limit is %llu MiB",
			 (unsigned long long)(shim_options.limit >> 20));
	else if (size > SIZE_MAX_ASKED)
		snprintf(words, sizeof(words), "no machine has that much");
	else if (shim_options.external && growth_total() + size > shim_options.external)
		snprintf(words, sizeof(words), "--external is %llu MiB",
			 (unsigned long long)(shim_options.external >> 20));
	shim_say("no external memory for %zu bytes: %s; %s", size,
		 said_before(words) ? "as before" : words,
		 shim_options.overflow_local && !budget_limited(size)
			 ? "it is local now"
			 : "the program is told ENOMEM");
}

bool budget_overflow(size_t size)
{
	struct run_shared *s = shim_shared;

	if (atomic_fetch_add(&s->refused_count, 1) < 8)
		say_full(size);
	atomic_fetch_add(&s->refused_bytes, size);
	/* A limit is one on the program, wherever its memory is. */
	if (!shim_options.overflow_local || budget_limited(size))
		return false;
	atomic_fetch_add(&s->overflow_count, 1);
	atomic_fetch_add(&s->overflow_bytes, size);
	return true;
}
