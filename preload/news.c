/* SPDX-License-Identifier: BSD-3-Clause */
/* See news.h. Floor: none of core's. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "preload/news.h"

/* The first bucket of faults of 134 ms (2^27 ns) and more: a power of two has 16. */
#define SLOW_BUCKET (16 + (27 - 4) * 16)

const char *const news_names[NEWS_SUBSYSTEMS] = { "appliance", "copies", "memory", "faults" };

struct teller {
	news_say *say;
	void *context;
};

static void tell(const struct teller *t, enum news_subsystem subsystem, enum xm_level level,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
static void tell(const struct teller *t, enum news_subsystem subsystem, enum xm_level level,
		 const char *format, ...)
{
	char words[256];
	va_list list;

	va_start(list, format);
	vsnprintf(words, sizeof(words), format, list);
	va_end(list);
	t->say(t->context, subsystem, level, words);
}

/* How much more than was told; a counter that went back tells nothing. */
static uint64_t more(uint64_t *told, uint64_t now)
{
	uint64_t before = *told;

	*told = now;
	return now > before ? now - before : 0;
}

static void appliances(struct news *n, const struct run_shared *s, const char (*reasons)[192],
		       const struct teller *t)
{
	for (uint32_t i = 0; i < s->appliance_count && i < RUN_APPLIANCES_MAX; i++) {
		const struct run_appliance *a = &s->appliances[i];
		bool away = strcmp(a->state, "away") == 0;
		size_t own = strnlen(a->appliance, sizeof(a->appliance));
		const char *why = reasons[i];

		if (own > 0 && strncmp(why, a->appliance, own) == 0)
			why += own + strspn(why + own, ": "); /* it is named before */

		if (strcmp(n->states[i], a->state) == 0)
			continue;
		memcpy(n->states[i], a->state, sizeof(n->states[i]));
		tell(t, NEWS_APPLIANCE, away ? XM_LEVEL_WARNING : XM_LEVEL_INFO,
		     "%.60s is %.15s%s%.72s", a->appliance, a->state,
		     away && why[0] != '\0' ? ": " : "", away ? why : "");
	}
}

static void copies(struct news *n, const struct extmem_stats *s, const struct teller *t)
{
	uint64_t all = s->members + s->members_missing, went;
	bool mends = s->mending_bytes > 0;

	went = more(&n->failovers, s->failovers);
	if (went > 0)
		tell(t, NEWS_COPIES, XM_LEVEL_WARNING, "mirrors went on without an appliance,"
		     " %" PRIu64 " time%s", went, went == 1 ? "" : "s");
	if (n->view != s->view)
		tell(t, NEWS_COPIES, XM_LEVEL_INFO, "view %" PRIu64 " of the appliances is in"
		     " use", s->view);
	n->view = s->view;
	if (n->members_missing != s->members_missing)
		tell(t, NEWS_COPIES, s->members_missing > 0 ? XM_LEVEL_WARNING : XM_LEVEL_INFO,
		     "%" PRIu64 " of %" PRIu64 " copies are whole", s->members, all);
	n->members_missing = s->members_missing;
	if (!n->mends && mends)
		tell(t, NEWS_COPIES, XM_LEVEL_INFO, "copies are made anew, %" PRIu64
		     " MiB to look at", s->mending_bytes >> 20);
	if (n->mends && !mends)
		tell(t, NEWS_COPIES, XM_LEVEL_INFO, "no copy is being made any more");
	n->mends = mends;
}

static void memory(struct news *n, const struct run_shared *s, const struct teller *t)
{
	bool leaves = s->stats.leaving_bytes > 0, stranded = s->stats.stranded_bytes > 0;
	uint64_t count;

	if (s->lost[0] != '\0' && !n->lost)
		tell(t, NEWS_MEMORY, XM_LEVEL_ERROR, "lost: %.140s", s->lost);
	n->lost = s->lost[0] != '\0';
	count = more(&n->pages_lost, s->stats.pages_lost);
	if (count > 0)
		tell(t, NEWS_MEMORY, XM_LEVEL_ERROR, "%" PRIu64 " faults on lost pages", count);
	count = more(&n->bad_tags, s->stats.bad_tags);
	if (count > 0)
		tell(t, NEWS_MEMORY, XM_LEVEL_ERROR, "sealed pages came back wrong, %" PRIu64
		     " times", count);
	count = more(&n->tampered, s->stats.tampered);
	if (count > 0)
		tell(t, NEWS_MEMORY, XM_LEVEL_ERROR, "%" PRIu64 " sealed pages are lost", count);
	if (!n->leaves && leaves)
		tell(t, NEWS_MEMORY, XM_LEVEL_INFO, "%" PRIu64 " MiB are to leave an appliance"
		     " that drains or shrinks", s->stats.leaving_bytes >> 20);
	if (n->leaves && !leaves)
		tell(t, NEWS_MEMORY, XM_LEVEL_INFO, "nothing is to leave any more");
	n->leaves = leaves;
	if (!n->stranded && stranded)
		tell(t, NEWS_MEMORY, XM_LEVEL_WARNING, "%" PRIu64 " MiB of it have nowhere to"
		     " go", s->stats.stranded_bytes >> 20);
	n->stranded = stranded;
	count = more(&n->refused, atomic_load(&s->refused_count));
	if (count > 0)
		tell(t, NEWS_MEMORY, XM_LEVEL_WARNING, "%" PRIu64 " allocations found no room",
		     count);
}

static void faults(struct news *n, const struct extmem_stats *s, const struct teller *t)
{
	uint64_t slow = 0, count;

	count = more(&n->reconnects, s->reconnects);
	if (count > 0)
		tell(t, NEWS_APPLIANCE, XM_LEVEL_INFO, "%" PRIu64 " connection%s replaced", count,
		     count == 1 ? " was" : "s were");
	for (unsigned i = SLOW_BUCKET; i < EXTMEM_LATENCY_BUCKETS; i++)
		slow += s->latency[i];
	count = more(&n->slow, slow);
	/* As long as there are some each time, once: the ring is for the rest. */
	if (count > 0 && !n->slows)
		tell(t, NEWS_FAULTS, XM_LEVEL_WARNING, "%" PRIu64 " fault%s took more than"
		     " 134 ms", count, count == 1 ? "" : "s");
	n->slows = count > 0;
}

void news_step(struct news *n, const struct run_shared *s, const char (*reasons)[192],
	       news_say *say, void *context)
{
	const struct teller t = { say, context };

	appliances(n, s, reasons, &t);
	faults(n, &s->stats, &t);
	copies(n, &s->stats, &t);
	memory(n, s, &t);
}
