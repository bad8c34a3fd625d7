/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of xm_strategy_parse() and xm_plan_make().
 *
 *	fuzz_strategy [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *
 * What is promised: parsing ends in a strategy, or in a sentence about a word of the text
 * and leaves *ret alone; what was parsed is written as a text that means the same, and is
 * written in the same way again; a plan places all that was asked, at appliances that can
 * be chosen and have room, or says why not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "core/pure/plan.h"
#include "tests/fuzz/driver.h"

#define GRANULE (64 * XM_KIB)

static void check_error(const char *text, const struct xm_strategy_error *error)
{
	size_t length = strlen(text);

	XM_ASSERT(error->at <= length && error->size <= length - error->at);
	XM_ASSERT(memchr(error->words, 0, sizeof(error->words)) != NULL);
	XM_ASSERT(error->words[0] != 0);
}

static void check_written(const struct xm_strategy *s)
{
	static char one[4096], two[4096];
	struct xm_strategy again;
	struct xm_strategy_error error;
	struct xm_words w;

	xm_words_begin(&w, one, sizeof(one));
	xm_strategy_write(s, &w);
	if (w.used >= XM_STRATEGY_TEXT_SIZE)
		return; /* defaults that were not said made it too long */
	XM_ASSERT(xm_strategy_parse(one, &again, &error) == 0);
	xm_words_begin(&w, two, sizeof(two));
	xm_strategy_write(&again, &w);
	XM_ASSERT(strcmp(one, two) == 0);
	XM_ASSERT(xm_strategy_mirrors(s) == xm_strategy_mirrors(&again));
	XM_ASSERT(xm_strategy_row(s, GRANULE) ==
		  xm_strategy_row(&again, GRANULE));
}

/* Offers that the text itself seeds, so that each input has its own. */
static uint32_t draw_offers(struct xm_rand *r, struct xm_plan_offer *offers)
{
	uint32_t count = 1 + (uint32_t)xm_rand_below(r, XM_APPLIANCES_MAX);

	for (uint32_t a = 0; a < count; a++) {
		struct xm_plan_offer *o = &offers[a];

		o->address = "somewhere";
		o->ready = !xm_rand_chance(r, 100);
		o->leaving = xm_rand_chance(r, 100);
		o->incarnation = xm_rand_below(r, 30);
		o->free = xm_rand_below(r, 200) * GRANULE;
		o->free_run = xm_rand_below(r, o->free + 1);
		o->used = xm_rand_below(r, 10) * GRANULE;
		o->soon = xm_rand_below(r, 10) * GRANULE;
		o->load = (uint32_t)xm_rand_below(r, 1000);
		o->zone[0] = (char)('a' + xm_rand_below(r, 4));
		o->host[0] = (char)('a' + xm_rand_below(r, 4));
		o->name[0] = (char)('a' + xm_rand_below(r, 4));
	}
	return count;
}

static void check_plan(const struct xm_strategy *s, uint64_t seed)
{
	static struct xm_plan_offer offers[XM_APPLIANCES_MAX];
	static struct xm_plan plan;
	uint64_t size = xm_strategy_row(s, GRANULE), placed = 0;
	uint64_t used[XM_APPLIANCES_MAX] = { 0 };
	const struct xm_strategy_choice *c;
	struct xm_rand r;
	uint32_t count;
	char words[512];
	struct xm_words w;
	int rc;

	xm_rand_seed(&r, seed);
	memset(offers, 0, sizeof(offers));
	count = draw_offers(&r, offers);
	size *= 1 + xm_rand_below(&r, 8);
	rc = xm_plan_make(s, offers, count, size, GRANULE, seed, &plan);
	XM_ASSERT(rc == 0 || rc == -ENODEV || rc == -ENOSPC);
	if (rc != 0) {
		xm_words_begin(&w, words, sizeof(words));
		xm_plan_explain(s, offers, count, size, GRANULE, &plan, rc, &w);
		XM_ASSERT(w.used > 0);
		return;
	}
	c = &s->choices[plan.choice];
	for (uint32_t i = 0; i < plan.runs_count; i++) {
		placed += plan.runs[i].size;
		for (uint32_t k = 0; k < c->columns * c->mirrors; k++)
			used[plan.runs[i].appliances[k]] +=
				plan.runs[i].size / c->columns;
	}
	XM_ASSERT(placed == size);
	for (uint32_t a = 0; a < count; a++) {
		XM_ASSERT(used[a] <= offers[a].free);
		XM_ASSERT(used[a] == 0 || plan.reasons[a] == XM_PLAN_USABLE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct xm_strategy s, untouched;
	struct xm_strategy_error error;
	uint64_t seed = size;
	char *text = malloc(size + 1);

	XM_ASSERT(text);
	memcpy(text, bytes, size);
	text[size] = 0;
	for (size_t i = 0; i < size; i++)
		seed = seed * 31 + bytes[i];
	memset(&s, 0xa5, sizeof(s));
	memset(&untouched, 0xa5, sizeof(untouched));
	memset(&error, 0, sizeof(error));
	if (xm_strategy_parse(text, &s, &error) != 0) {
		check_error(text, &error);
		XM_ASSERT(memcmp(&s, &untouched, sizeof(s)) == 0);
	} else {
		check_written(&s);
		check_plan(&s, seed);
	}
	free(text);
	return 0;
}

#ifndef XM_LIBFUZZER

/* A word of the language somewhere. */
void fuzz_mend(uint8_t *bytes, size_t size)
{
	static const char *const words[] = {
		"mirror 2", ", stripe 3 x 64K", ", spread zone", ", rank free",
		", rank random of 2", " else ", ", zone a", ", not name b",
		", keep 64K", ", limit 1M", ", ", " x ",
	};
	const char *word = words[size % XM_COUNT(words)];
	size_t length = strlen(word);

	if (size > length)
		memcpy(bytes + size * 7919 % (size - length), word, length);
}

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv);
}

#endif
