/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs that wait for pages more than half of their time; see slow.h. */
#include "cli/slow.h"

#include <stdatomic.h>
#include <stdio.h>

#define SHARE 0.5    /* from here on it is said */
#define PERMILLE 100 /* of its time that would be well */
#define MIB (UINT64_C(1) << 20)

void slow_find(const struct run_shared *now, const struct run_shared *before,
	       double seconds, struct slow *ret)
{
	struct extmem_stats s = now->stats;
	uint64_t time_ns = atomic_load(&now->threads_ns);

	if (before) {
		time_ns -= atomic_load(&before->threads_ns);
		s.waited_ns -= before->stats.waited_ns;
		s.returned_ns -= before->stats.returned_ns;
		s.misses -= before->stats.misses;
	}
	*ret = (struct slow){ .all = atomic_load(&now->live_bytes_peak) };
	if (time_ns == 0 || seconds <= 0)
		return;
	ret->share = (double)s.waited_ns / (double)time_ns;
	if (ret->share > 1)
		ret->share = 1;
	ret->misses_per_s = (double)s.misses / seconds;
	ret->local = extmem_local_for(&s, time_ns, PERMILLE);
	if (ret->local >= ret->all)
		ret->local = 0;
}

bool slow_is(const struct slow *s)
{
	return s->share > SHARE;
}

void slow_words(const struct slow *s, const char *tense, char *ret, size_t size)
{
	snprintf(ret, size, "%s for pages %.0f %% of its time", tense,
		 s->share * 100);
}

void slow_remedy(const struct slow *s, char *ret, size_t size)
{
	if (s->local != 0)
		snprintf(ret, size, "%.0f misses a second; a tenth with --local=%lluM, "
			 "%.0f %% of its memory", s->misses_per_s,
			 (unsigned long long)((s->local + MIB - 1) / MIB),
			 (double)s->local * 100 / (double)s->all);
	else
		snprintf(ret, size, "%.0f misses a second; a tenth only with all of its "
			 "%llu MiB local", s->misses_per_s,
			 (unsigned long long)((s->all + MIB - 1) / MIB));
}
