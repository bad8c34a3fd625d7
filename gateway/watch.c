/* SPDX-License-Identifier: BSD-3-Clause */
/* See watch.h. */
#include "gateway/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "gateway/log.h"
#include "gateway/look.h"

struct asker {
	struct gateway_watch *watch;
	unsigned index;
	pthread_t thread;
	bool hurry;
	struct extmem_region_entry extents[GATEWAY_EXTENTS_MAX];
};

struct gateway_watch {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t change;
	bool ends;
	struct gateway_model model;
	struct gateway_look *look;
	pthread_t looker;
	unsigned threads; /* askers; and the looker, which is the last */
	bool looks;
	struct asker askers[];
};

void gateway_id(const char *address, char ret[GATEWAY_ID_SIZE])
{
	size_t i;

	for (i = 0; address[i] != '\0' && i + 1 < GATEWAY_ID_SIZE; i++) {
		char c = address[i];

		ret[i] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
					 (c >= '0' && c <= '9') || c == '.' ||
					 c == '-'
				 ? c
				 : '_';
	}
	ret[i] = '\0';
}

/* False: it is the end. */
static bool nap(struct gateway_watch *w, const bool *hurry)
{
	uint64_t until_ns = xm_time_after(xm_clock_ns(), w->model.interval_ns);
	const struct timespec until = {
		.tv_sec = (time_t)(until_ns / XM_SECOND),
		.tv_nsec = (long)(until_ns % XM_SECOND),
	};
	bool ends;

	pthread_mutex_lock(&w->lock);
	while (!w->ends && !(hurry && *hurry) && xm_clock_ns() < until_ns)
		pthread_cond_timedwait(&w->change, &w->lock, &until);
	ends = w->ends;
	pthread_mutex_unlock(&w->lock);
	return !ends;
}

/* --- appliances ---------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const struct extmem_region_entry *x = a, *y = b;

	return (x->extent > y->extent) - (x->extent < y->extent);
}

static double unix_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void note(struct gateway_appliance *a, const struct extmem_status *status,
		 const struct asker *asker, int count)
{
	/* From the same start each time: it would else move by the clock's jitter. */
	if (!a->up || a->status.incarnation != status->incarnation)
		a->began_s = unix_now_s() - (double)status->uptime_ms / 1000;
	a->status = *status;
	a->up = true;
	a->words[0] = '\0';
	if (count < 0)
		return; /* what was listed before */
	a->extents_count = (unsigned)count;
	a->extents_more = count == GATEWAY_EXTENTS_MAX;
	memcpy(a->extents, asker->extents,
	       (size_t)count * sizeof(asker->extents[0]));
}

/* What an operator would miss; `before` is NULL at the first time. */
static void say_change(const char *address, const char *before, const char *state,
		       const char *words)
{
	if (before && strcmp(before, state) == 0)
		return;
	if (strcmp(state, "away") == 0)
		gateway_say(GATEWAY_WATCHES, XM_LEVEL_WARNING, "%s is away: %s", address,
			    words);
	else
		gateway_say(GATEWAY_WATCHES, XM_LEVEL_INFO, "%s %s", address, state);
}

static const char *state_of(const struct gateway_appliance *a)
{
	return !a->up ? "away" : a->status.leaving ? "drains" : "lends";
}

static void ask(struct asker *asker)
{
	struct gateway_watch *w = asker->watch;
	struct gateway_appliance *a = &w->model.appliances[asker->index];
	struct extmem_status status = { .size = sizeof(status) };
	char words[GATEWAY_WORDS_SIZE] = "";
	const char *before, *state;
	uint64_t began_ns = xm_clock_ns();
	int count = -1, rc;

	/* Before it asks: who is in a hurry from now on wants a later answer. */
	pthread_mutex_lock(&w->lock);
	asker->hurry = false;
	pthread_mutex_unlock(&w->lock);
	rc = extmem_status(a->address, GATEWAY_ASK_TIMEOUT_MS, &status);
	if (rc == 0)
		count = extmem_status_regions(a->address, GATEWAY_ASK_TIMEOUT_MS,
					      0, asker->extents,
					      GATEWAY_EXTENTS_MAX);
	else
		snprintf(words, sizeof(words), "%s", extmem_error());
	if (count > 0)
		qsort(asker->extents, (size_t)count, sizeof(asker->extents[0]),
		      by_number);
	pthread_mutex_lock(&w->lock);
	before = a->asked ? state_of(a) : NULL;
	a->asked_ns = xm_clock_ns();
	a->took_ns = a->asked_ns - began_ns;
	a->asked = true;
	if (rc == 0) {
		note(a, &status, asker, count);
	} else {
		a->up = false;
		a->extents_count = 0;
		memcpy(a->words, words, sizeof(a->words));
	}
	state = state_of(a);
	pthread_mutex_unlock(&w->lock);
	say_change(a->address, before, state, words);
}

static void *ask_on(void *argument)
{
	struct asker *asker = argument;

	do
		ask(asker);
	while (nap(asker->watch, &asker->hurry));
	return NULL;
}

/* --- programs ------------------------------------------------------------------------- */

static void *look_on(void *argument)
{
	struct gateway_watch *w = argument;

	do {
		gateway_look_read(w->look);
		pthread_mutex_lock(&w->lock);
		gateway_look_take_over(w->look, &w->model);
		pthread_mutex_unlock(&w->lock);
	} while (nap(w, NULL));
	return NULL;
}

/* --- begin and end ---------------------------------------------------------------------- */

static int start(struct gateway_watch *w)
{
	if (pthread_create(&w->looker, NULL, look_on, w) != 0)
		return -EAGAIN;
	w->looks = true;
	for (; w->threads < w->model.appliances_count; w->threads++) {
		struct asker *asker = &w->askers[w->threads];

		asker->watch = w;
		asker->index = w->threads;
		if (pthread_create(&asker->thread, NULL, ask_on, asker) != 0)
			return -EAGAIN;
	}
	return 0;
}

int gateway_watch_open(const char *const *addresses, unsigned count,
		       uint64_t interval_ns, struct gateway_watch **ret)
{
	struct gateway_watch *w =
		calloc(1, sizeof(*w) + count * sizeof(w->askers[0]));
	pthread_condattr_t monotonic;
	int rc;

	if (!w)
		return -ENOMEM;
	w->look = gateway_look_open();
	w->model.interval_ns = interval_ns;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->change, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = w->look ? 0 : -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		struct gateway_appliance *a = &w->model.appliances[i];

		snprintf(a->address, sizeof(a->address), "%s", addresses[i]);
		gateway_id(a->address, a->id);
		a->extents = calloc(GATEWAY_EXTENTS_MAX, sizeof(*a->extents));
		if (!a->extents)
			rc = -ENOMEM;
	}
	w->model.appliances_count = count;
	if (rc == 0)
		rc = start(w);
	if (rc != 0) {
		gateway_watch_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

void gateway_watch_close(struct gateway_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->threads; i++)
		pthread_join(w->askers[i].thread, NULL);
	if (w->looks)
		pthread_join(w->looker, NULL);
	for (unsigned i = 0; i < w->model.appliances_count; i++)
		free(w->model.appliances[i].extents);
	gateway_look_close(w->look);
	pthread_cond_destroy(&w->change);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

const struct gateway_model *gateway_watch_take(struct gateway_watch *w)
{
	pthread_mutex_lock(&w->lock);
	return &w->model;
}

void gateway_watch_give(struct gateway_watch *w)
{
	pthread_mutex_unlock(&w->lock);
}

void gateway_watch_hurry(struct gateway_watch *w, unsigned appliance)
{
	pthread_mutex_lock(&w->lock);
	w->askers[appliance].hurry = true;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
}
