/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual time, processes and events; see world.h. */
#include "sim/world.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sim/crash.h"
#include "sim/memory.h"
#include "sim/notes.h"
#include "sim/world_parts.h"

#define MOMENT_MOST 2000000 /* events without time going on */
#define EVENTS_CHUNK 256

/* A call by world_at() that is to come. */
struct event {
	struct timer timer;
	void (*run)(void *, uint64_t);
	void *argument;
	uint64_t number;
	struct event *next_free;
};

static struct world {
	uint64_t now_ns, order, events;
	uint64_t moment_ns, moment_event; /* the first event at this time */
	struct process processes[WORLD_PROCESSES];
	const struct process *ran;
	bool (*stop)(void);
	bool stopped;
} w;

/* These keep their memory from run to run. */
static struct heap timers;
static struct event *events_free;

struct xm_rand world_rands[WORLD_PURPOSES];

/* --- timers and events ------------------------------------------------------------ */

void world_timer_set(struct timer *timer, uint64_t at_ns)
{
	heap_put(&timers, xm_max(at_ns, w.now_ns), w.order++, timer);
}

void world_timer_drop(struct timer *timer)
{
	heap_drop(&timers, timer);
}

static struct event *event_of(struct timer *timer)
{
	return (struct event *)(void *)((char *)timer -
					offsetof(struct event, timer));
}

static void event_free(struct event *e)
{
	e->next_free = events_free;
	events_free = e;
}

static struct event *event_new(void)
{
	struct event *e = events_free;

	if (e == NULL) {
		struct event *chunk = malloc(EVENTS_CHUNK * sizeof(*chunk));

		XM_ASSERT(chunk != NULL);
		for (unsigned i = 0; i < EVENTS_CHUNK; i++)
			event_free(&chunk[i]);
		e = events_free;
	}
	events_free = e->next_free;
	return e;
}

static void on_event(struct timer *timer)
{
	struct event *e = event_of(timer);
	void (*run)(void *, uint64_t) = e->run;
	void *argument = e->argument;
	uint64_t number = e->number;

	event_free(e);
	run(argument, number);
}

void world_at(uint64_t at_ns, void (*run)(void *, uint64_t), void *argument,
	      uint64_t number)
{
	struct event *e = event_new();

	e->timer = (struct timer){ HEAP_NOWHERE, on_event };
	e->run = run;
	e->argument = argument;
	e->number = number;
	world_timer_set(&e->timer, at_ns);
}

uint64_t world_events(void)
{
	return w.events;
}

const struct process *world_ran(void)
{
	return w.ran;
}

void world_event_begins(void)
{
	w.events++;
}

bool world_event_over(const struct process *p)
{
	if (p != NULL)
		notes_take(p);
	w.ran = p;
	w.stopped = w.stop != NULL && w.stop();
	if (w.now_ns != w.moment_ns) {
		w.moment_ns = w.now_ns;
		w.moment_event = w.events;
	} else if (w.events - w.moment_event > MOMENT_MOST) {
		world_broken("liveness", "%d steps, and time does not go on; "
			     "the last is %s's", MOMENT_MOST,
			     p != NULL ? p->name : "the world");
	}
	return w.stopped;
}

/* --- processes ----------------------------------------------------------------------- */

struct process *world_spawn(const char *name, uint32_t node)
{
	uint32_t i = 0;
	struct process *p;

	while (i < WORLD_PROCESSES && w.processes[i].alive)
		i++;
	XM_ASSERT(i < WORLD_PROCESSES);
	p = &w.processes[i];
	p->index = i;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->node = node;
	p->alive = true;
	p->hung = false;
	p->hang_counts_ns = 0;
	p->asleep_ns = 0;
	p->hangs_ns = 0;
	p->skew_ns = 0;
	p->jumps = 0;
	p->drift_ppm = 0;
	p->started_ns = w.now_ns;
	p->incarnation++;
	p->memory = NULL;
	p->held = 0;
	p->died = NULL;
	p->owner = NULL;
	notes_process_begins(p);
	return p;
}

void world_kill(struct process *p)
{
	XM_ASSERT(p->alive && world_current() != p);
	p->alive = false;
	fibers_process_died(p);
	if (p->died != NULL)
		p->died(p);
	memory_process_died(p);
}

void world_hang(struct process *p, bool hung)
{
	uint64_t ns = w.now_ns - p->hung_since_ns;

	if (hung && !p->hung)
		p->hung_since_ns = w.now_ns;
	if (!hung && p->hung) {
		p->hangs_ns += ns;
		if (ns > p->hang_counts_ns)
			p->asleep_ns += ns;
	}
	p->hung = hung;
	fibers_process_hung(p);
}

uint64_t world_run_ns(const struct process *p)
{
	uint64_t now_ns = p->hung ? p->hung_since_ns : w.now_ns;

	return now_ns - p->hangs_ns;
}

uint64_t world_awake_ns(const struct process *p)
{
	return w.now_ns - p->asleep_ns;
}

uint64_t world_awake_least_ns(const struct process *p)
{
	return w.now_ns - p->hangs_ns;
}

struct process *world_process(uint32_t index)
{
	return &w.processes[index];
}

uint64_t world_process_ns(const struct process *p)
{
	int64_t now_ns = (int64_t)w.now_ns + p->skew_ns;
	int64_t age_ns = (int64_t)(w.now_ns - p->started_ns);

	/* Some 50 hours, at 5 %, until this product is too large. */
	if (p->drift_ppm != 0)
		now_ns += age_ns * p->drift_ppm / 1000000;
	return (uint64_t)now_ns;
}

/* --- running -------------------------------------------------------------------------- */

/* Rings the first timer; false: none rings until then. */
static bool go_on(uint64_t until_ns)
{
	struct timer *timer;

	if (timers.count == 0 || timers.entries[0].at_ns > until_ns)
		return false;
	timer = timers.entries[0].timer;
	w.now_ns = timers.entries[0].at_ns;
	heap_drop(&timers, timer);
	timer->ring(timer);
	w.events++;
	world_event_over(NULL);
	return true;
}

uint64_t world_run(uint64_t until_ns, bool (*stop)(void))
{
	uint64_t first = w.events;

	w.stop = stop;
	w.stopped = false;
	while (!w.stopped) {
		if (!fibers_run() && !go_on(until_ns)) {
			w.now_ns = until_ns;
			break;
		}
	}
	return w.events - first;
}

uint64_t world_now(void)
{
	return w.now_ns;
}

void world_open(uint64_t seed)
{
	struct xm_rand root;

	memset(&w, 0, sizeof(w));
	fibers_open();
	notes_open(seed);
	crash_in(seed);
	w.now_ns = WORLD_BEGIN;
	xm_rand_seed(&root, seed);
	for (unsigned i = 0; i < WORLD_PURPOSES; i++)
		xm_rand_split(&root, "world", i, &world_rands[i]);
}

void world_close(void)
{
	crash_nowhere();
	for (uint32_t i = 0; i < WORLD_PROCESSES; i++) {
		if (w.processes[i].alive)
			world_kill(&w.processes[i]);
	}
	/* No fiber is left, so these are events. */
	for (size_t i = 0; i < timers.count; i++)
		event_free(event_of(timers.entries[i].timer));
	timers.count = 0;
}
