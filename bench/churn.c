/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocations and frees as a list; see churn.h. */
#include "bench/churn.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

#define SLABS 1000
#define OBJECTS 100000
#define SLOTS_MAX (1u << 26)
#define NEVER UINT32_MAX

/* --- generated ---------------------------------------------------------------------------- */

/* Between low and high, each octave as likely as the next. */
static uint32_t draw_size(uint64_t *random, double low, double high)
{
	double u = (double)(bench_draw(random) >> 11) * 0x1p-53;

	return (uint32_t)(low * exp(u * log(high / low)));
}

static void step(struct churn *c, uint32_t slot, uint32_t size)
{
	c->steps[c->count++] = (struct churn_step){ slot, size };
}

/* A slot at random: what is in it goes, or something comes. */
static void make_uniform(struct churn *c, size_t count, uint64_t *random,
			 uint32_t slots, bool slabs)
{
	bool *used = calloc(slots, sizeof(*used));

	c->slots = slots;
	while (used != NULL && c->count < count) {
		uint32_t slot = (uint32_t)bench_below(random, slots);
		uint32_t size = slabs ? draw_size(random, 1, 257) * BENCH_PAGE
				      : draw_size(random, 8, 1025);

		step(c, slot, used[slot] ? 0 : size);
		used[slot] = !used[slot];
	}
	free(used);
}

/* Each has a lifetime, in steps, that is drawn when it is allocated: nine in
 * ten live for some hundred steps at most, one in ten for up to all of it. What
 * is due at a step is a chain from `due`. */
static void make_program(struct churn *c, size_t count, uint64_t *random)
{
	uint32_t *due = malloc(count * sizeof(*due));
	uint32_t *next = malloc(count * sizeof(*next));
	uint32_t *free_slots = malloc(count * sizeof(*free_slots));
	uint32_t free_count = 0;
	size_t at = 0;

	if (due == NULL || next == NULL || free_slots == NULL)
		bench_fail("out of memory");
	memset(due, 0xff, count * sizeof(*due));
	for (; c->count < count; at++) {
		double most = bench_below(random, 10) > 0 ? 256 : (double)count;
		uint32_t slot, size;
		size_t end;

		for (uint32_t gone = due[at]; gone != NEVER && c->count < count;
		     gone = next[gone]) {
			step(c, gone, 0);
			free_slots[free_count++] = gone;
		}
		if (c->count == count)
			break;
		slot = free_count > 0 ? free_slots[--free_count] : c->slots++;
		size = bench_below(random, 50) > 0
			       ? draw_size(random, 8, 1025)
			       : draw_size(random, 1024, 256 * 1024 + 1.0);
		step(c, slot, size);
		end = at + 1 + draw_size(random, 1, most);
		if (end < count) {
			next[slot] = due[end];
			due[end] = slot;
		}
	}
	free(due);
	free(next);
	free(free_slots);
}

/* --- from a file ----------------------------------------------------------------------------- */

static bool grow(struct churn *c, size_t *room)
{
	struct churn_step *steps;

	if (c->count < *room)
		return true;
	*room = *room > 0 ? 2 * *room : 1024;
	steps = realloc(c->steps, *room * sizeof(*steps));
	if (steps == NULL)
		return false;
	c->steps = steps;
	return true;
}

static bool read_line(struct churn *c, const char *path, unsigned line,
		      const char *text)
{
	unsigned long long slot, size = 0;
	char kind, rest;
	int n = sscanf(text, " %c %llu %llu %c", &kind, &slot, &size, &rest);

	if (n >= 2 && slot < SLOTS_MAX &&
	    ((kind == 'a' && n == 3 && size > 0 && size <= UINT32_MAX) ||
	     (kind == 'f' && n == 2))) {
		step(c, (uint32_t)slot, (uint32_t)size);
		if (slot >= c->slots)
			c->slots = (uint32_t)slot + 1;
		return true;
	}
	snprintf(c->words, sizeof(c->words),
		 "%.100s:%u: not \"a SLOT SIZE\" or \"f SLOT\"", path, line);
	return false;
}

static bool read_file(struct churn *c, const char *path)
{
	FILE *file = fopen(path, "re");
	char text[256];
	unsigned line = 0;
	size_t room = 0;
	bool well = file != NULL;

	if (!well)
		snprintf(c->words, sizeof(c->words), "%.100s: %s", path,
			 strerror(errno));
	while (well && fgets(text, sizeof(text), file) != NULL) {
		line++;
		text[strcspn(text, "#\n")] = '\0';
		if (text[strspn(text, " \t")] == '\0')
			continue;
		if (!grow(c, &room))
			bench_fail("out of memory");
		well = read_line(c, path, line, text);
	}
	if (well && ferror(file)) {
		snprintf(c->words, sizeof(c->words), "%.100s: %s", path,
			 strerror(errno));
		well = false;
	} else if (well && c->count == 0) {
		snprintf(c->words, sizeof(c->words),
			 "%.100s: there is no allocation in it", path);
		well = false;
	}
	if (file != NULL)
		fclose(file);
	return well;
}

/* Slots are used in turn, as a step says; how much is alive at most; and what
 * is left at the end goes. */
static bool finish(struct churn *c, const char *kind)
{
	uint32_t *sizes = calloc((size_t)c->slots + 1, sizeof(*sizes));
	uint64_t live = 0, live_count = 0;
	struct churn_step *steps;
	size_t count = c->count;

	for (size_t i = 0; sizes != NULL && i < count; i++) {
		const struct churn_step *s = &c->steps[i];

		if ((s->size == 0) != (sizes[s->slot] != 0)) {
			snprintf(c->words, sizeof(c->words),
				 "%.100s: step %zu: slot %u is %s", kind, i + 1,
				 s->slot, s->size == 0 ? "empty" : "in use");
			free(sizes);
			return false;
		}
		live += s->size;
		live -= s->size == 0 ? sizes[s->slot] : 0;
		live_count += s->size == 0 ? (uint64_t)-1 : 1;
		sizes[s->slot] = s->size;
		if (live > c->live_max)
			c->live_max = live;
		if (live_count > c->live_max_count)
			c->live_max_count = live_count;
	}
	steps = realloc(c->steps, (count + live_count + 1) * sizeof(*steps));
	if (sizes == NULL || steps == NULL)
		bench_fail("out of memory");
	c->steps = steps;
	for (uint32_t slot = 0; slot < c->slots; slot++) {
		if (sizes[slot] != 0)
			step(c, slot, 0);
	}
	free(sizes);
	return true;
}

bool churn_make(const char *kind, size_t count, uint64_t seed,
		struct churn *ret)
{
	struct churn c = { .steps = NULL };
	uint64_t random = seed * 2 + 1; /* any but 0 */
	bool well = true;

	if (strncmp(kind, CHURN_FILE, strlen(CHURN_FILE)) != 0) {
		c.steps = malloc((count + 1) * sizeof(*c.steps));
		if (c.steps == NULL)
			bench_fail("out of memory");
	}
	if (strcmp(kind, "slabs") == 0)
		make_uniform(&c, count, &random, SLABS, true);
	else if (strcmp(kind, "objects") == 0)
		make_uniform(&c, count, &random, OBJECTS, false);
	else if (strcmp(kind, "program") == 0)
		make_program(&c, count, &random);
	else
		well = read_file(&c, kind + strlen(CHURN_FILE));
	well = well && finish(&c, kind);
	*ret = c;
	if (!well) {
		free(ret->steps);
		ret->steps = NULL;
	}
	return well;
}

void churn_free(struct churn *c)
{
	free(c->steps);
	c->steps = NULL;
}

/* --- replay ------------------------------------------------------------------------------------- */

struct replay {
	const struct churn *churn;
	const struct churn_allocator *allocator;
	pthread_barrier_t gate;
};

struct replayer {
	struct replay *replay;
	pthread_t id;
	double began_us, ended_us;
	uint64_t failed;
};

static void *replay_one(void *argument)
{
	struct replayer *self = argument;
	struct replay *r = self->replay;
	const struct churn_allocator *a = r->allocator;
	uint64_t *handles = bench_calloc((size_t)r->churn->slots + 1,
					 sizeof(*handles));
	uint64_t failed = 0;

	/* Its pages are there before the clock runs. */
	for (uint32_t i = 0; i < r->churn->slots; i += 512)
		((volatile uint64_t *)handles)[i] = 0;
	pthread_barrier_wait(&r->gate);
	self->began_us = bench_now_us();
	for (size_t i = 0; i < r->churn->count; i++) {
		const struct churn_step *s = &r->churn->steps[i];

		if (s->size > 0) {
			handles[s->slot] = a->take(a->context, s->size);
			failed += handles[s->slot] == 0;
		} else if (handles[s->slot] != 0) {
			a->give(a->context, handles[s->slot]);
		}
	}
	self->ended_us = bench_now_us();
	self->failed = failed;
	free(handles);
	return NULL;
}

static uint64_t take_nothing(void *context, uint32_t size)
{
	(void)context;
	return size;
}

static void give_nothing(void *context, uint64_t handle)
{
	(void)context;
	(void)handle;
}

const struct churn_allocator churn_nothing = { take_nothing, give_nothing,
					       NULL };

double churn_replay(const struct churn *c, const struct churn_allocator *a,
		    unsigned threads, uint64_t *ret_failed)
{
	struct replay r = { .churn = c, .allocator = a };
	struct replayer *all = calloc(threads, sizeof(*all));
	double began = INFINITY, ended = 0;
	uint64_t failed = 0;

	/* Always on threads of its own: an allocator may have a faster path in
	 * a program that has but one, which no client of extmem is. They look
	 * at the clock, as nobody knows when this one runs again. */
	if (all == NULL || pthread_barrier_init(&r.gate, NULL, threads) != 0)
		bench_fail("out of memory");
	for (unsigned i = 0; i < threads; i++) {
		all[i].replay = &r;
		if (pthread_create(&all[i].id, NULL, replay_one, &all[i]) != 0)
			bench_fail("no thread could be started");
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(all[i].id, NULL);
		began = fmin(began, all[i].began_us);
		ended = fmax(ended, all[i].ended_us);
		failed += all[i].failed;
	}
	pthread_barrier_destroy(&r.gate);
	free(all);
	*ret_failed = failed;
	return (ended - began) * 1e3 / (double)c->count;
}
