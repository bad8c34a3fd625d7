/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of `fault`'s pages; see fault.h. */
#include "bench/fault.h"

#include <stdlib.h>
#include <string.h>

void fault_wrong(uint64_t page, const char *what)
{
	bench_fail("page %llu is wrong: %s", (unsigned long long)page, what);
}

uint32_t *fault_expected_of(const struct fault_run *r, uint32_t *all, uint64_t page,
			     unsigned thread)
{
	return &all[r->s->shared ? thread * r->s->pages + page : page];
}

void fault_fill(struct fault_run *r)
{
	uint64_t places = (r->s->shared ? r->s->threads : 1) * r->s->pages;

	for (uint64_t page = 0; page < r->s->pages; page++) {
		uint64_t *words = r->words + page * FAULT_WORDS;

		/* Nothing of before; no two pages alike, none of zeros. */
		memset(words + FAULT_WORD_COUNT, 0, (FAULT_WORD_FILLER - FAULT_WORD_COUNT) * 8);
		for (uint64_t i = FAULT_WORD_FILLER; i < FAULT_WORD_LAST; i++)
			words[i] = fault_filler_of(page, i);
		words[0] = fault_mark(page, 0);
		words[FAULT_WORD_LAST] = page;
	}
	r->round = 0;
	free(r->marks);
	free(r->counts);
	r->marks = calloc(places, sizeof(*r->marks));
	r->counts = calloc(places, sizeof(*r->counts));
	if (r->marks == NULL || r->counts == NULL)
		bench_fail("out of memory");
}

/* The marks and counts of one page, of all threads that there could be. */
static void verify_written(struct fault_run *r, uint64_t page, const uint64_t *words)
{
	unsigned own = 0;

	while (page >= r->parts[own].first + r->parts[own].count)
		own++;
	for (unsigned t = 0; t < FAULT_THREADS_MAX; t++) {
		bool its = r->s->shared ? t < r->s->threads : t == own;
		uint32_t round = 0, count = 0;

		if (its) {
			round = *fault_expected_of(r, r->marks, page, t);
			count = *fault_expected_of(r, r->counts, page, t);
		}
		if (words[FAULT_WORD_MARK + t] !=
		    (round > 0 ? fault_mark_of(page, t, round) : 0))
			fault_wrong(page, "what was written last");
		if (words[FAULT_WORD_COUNT + t] != count)
			bench_fail("page %llu is wrong: %llu of %u rewrites "
				   "are there", (unsigned long long)page,
				   (unsigned long long)words[FAULT_WORD_COUNT + t],
				   count);
	}
}

void fault_verify(struct fault_run *r)
{
	for (uint64_t page = 0; page < r->s->pages; page++) {
		const uint64_t *words = r->words + page * FAULT_WORDS;

		if (words[0] != fault_mark(page, 0))
			fault_wrong(page, "its number");
		if (words[FAULT_WORD_LAST] != page)
			fault_wrong(page, "its last word");
		for (uint64_t i = FAULT_WORD_FILLER; i < FAULT_WORD_LAST; i++) {
			if (words[i] != fault_filler_of(page, i))
				fault_wrong(page, "a word between");
		}
		verify_written(r, page, words);
	}
}

void fault_spoil(struct fault_run *r, const char *when)
{
	uint64_t page = r->s->pages / 3;
	uint64_t *words = r->words + page * FAULT_WORDS;

	if (strcmp(r->s->spoil, when) != 0)
		return;
	if (strcmp(when, "before") == 0)
		memset(words + FAULT_WORD_FILLER, 0, (FAULT_WORD_LAST - FAULT_WORD_FILLER) * 8);
	else if (strcmp(when, "after") == 0)
		((char *)words)[2000] ^= 1;
	for (unsigned t = 0; t < r->s->threads; t++) {
		if (strcmp(when, "write") == 0 && words[FAULT_WORD_MARK + t] != 0)
			words[FAULT_WORD_MARK + t] = fault_mark_of(page, t, r->round - 1);
		else if (strcmp(when, "rewrite") == 0)
			words[FAULT_WORD_COUNT + t] -= words[FAULT_WORD_COUNT + t] > 0;
	}
}
