/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `fault` puts into pages and expects there (fault_pages.c), for its patterns (fault.c).
 * Words of a page: its number; a count and a mark for each thread; a filler; its index.
 */
#ifndef XM_BENCH_FAULT_H
#define XM_BENCH_FAULT_H

#include "bench/bench.h"

#define FAULT_WORDS (BENCH_PAGE / 8)
#define FAULT_THREADS_MAX 64
#define FAULT_WORD_COUNT 1		       /* of thread t: t words further */
#define FAULT_WORD_MARK (1 + FAULT_THREADS_MAX)
#define FAULT_WORD_FILLER (FAULT_WORD_MARK + FAULT_THREADS_MAX)
#define FAULT_WORD_LAST (FAULT_WORDS - 1)

struct fault_settings {
	struct bench_common common;
	const char *pattern, *local, *cgroup, *umap, *spoil, *threads_list;
	uint64_t pages, threads, stride;
	bool shared, cold;
};

struct fault_part {
	uint64_t first, count; /* pages this thread touches */
	uint64_t touches, random;
	uint64_t look; /* drawn from, for the word between */
	const uint32_t *drawn; /* zipf: `touches` pages */
	uint64_t step, start;  /* sequences: start, start + step, ... */
};

struct fault_pattern;

struct fault_run {
	const struct fault_settings *s;
	const struct fault_pattern *pattern;
	struct bench_client client;
	uint64_t *words;
	struct fault_part parts[FAULT_THREADS_MAX];
	uint32_t *drawn;
	uint32_t round; /* since the pages were filled; 1: the first */
	/* What each page must have, in words of this thread: the round of its
	 * mark, 0 for none; its count. See fault_expected_of(). */
	uint32_t *marks, *counts;
};

struct fault_pattern {
	const char *name;
	void (*touch)(struct fault_run *, struct fault_part *, unsigned thread);
	bool sequential, writes, rewrites;
};

static inline uint64_t fault_mark(uint64_t page, uint64_t salt)
{
	return page * UINT64_C(0x9e3779b97f4a7c15) + salt;
}

static inline uint64_t fault_mark_of(uint64_t page, unsigned thread, uint32_t round)
{
	return fault_mark(page, (uint64_t)round * FAULT_THREADS_MAX + thread + 1);
}

static inline uint64_t fault_filler_of(uint64_t page, uint64_t i)
{
	return fault_mark(page * FAULT_WORDS + i, i);
}

/* The benchmark fails, and says what of the page is wrong. */
void fault_wrong(uint64_t page, const char *what);

static inline uint64_t *fault_read_page(struct fault_run *r, struct fault_part *p, uint64_t page)
{
	uint64_t *words = r->words + page * FAULT_WORDS;
	uint64_t i = FAULT_WORD_FILLER +
		     bench_below(&p->look, FAULT_WORD_LAST - FAULT_WORD_FILLER);

	if (words[0] != fault_mark(page, 0))
		fault_wrong(page, "its number, as it was read");
	if (words[i] != fault_filler_of(page, i))
		fault_wrong(page, "a word between, as it was read");
	return words;
}

/* Pages that are one thread's have one place here, shared ones one for each. */
uint32_t *fault_expected_of(const struct fault_run *r, uint32_t *all, uint64_t page,
			     unsigned thread);
/* All pages anew, with nothing of before. */
void fault_fill(struct fault_run *);
/* All words of all pages are as they must be, or the benchmark fails. */
void fault_verify(struct fault_run *);
/* See --spoil: what a transport, a pager or an appliance may do. */
void fault_spoil(struct fault_run *r, const char *when);

#endif
