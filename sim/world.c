/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual time, processes and fibers; see world.h. */
#include "sim/world.h"

#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"
#include "sim/stacks.h"

#define STACK (256 * XM_KIB)
#define BUCKETS 64
#define NOTES 128 /* lines kept for a broken law */
#define RECORDS 1024 /* of one process between two switches */
#define PAINTED_MAX (64 * XM_KIB)
#define MOMENT_MOST 2000000 /* events without time going on */

/* --- state ------------------------------------------------------------------------ */

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_WAITING, FIBER_ENDED };

struct fiber {
	enum fiber_state state;
	struct process *process;
	struct context context;
	void *stack;
	void (*run)(void *);
	void *argument;
	struct world_own own;
	bool ending; /* it gives that back */
	const void *key;
	bool woken;
	/* Its alarm: among w.alarms at `alarm`, unless that is NO_ALARM. */
	uint64_t alarm_ns, alarm_order;
	uint32_t alarm;
};

#define NO_ALARM UINT32_MAX

struct event {
	uint64_t at_ns, order;
	void (*run)(void *, uint64_t);
	void *argument;
	uint64_t number;
};

struct memory {
	struct memory *next, **link;
	struct process *process;
	size_t size;
	uint64_t aligned[4]; /* what follows is 64-byte aligned */
};

struct line {
	uint64_t at_ns;
	char process[24];
	const char *note; /* else a machine's record */
	struct xm_trace_record record;
};

static struct xm_trace traces[WORLD_PROCESSES];
static uint64_t traced[WORLD_PROCESSES]; /* records taken of each */
static struct xm_trace_record records[WORLD_PROCESSES][RECORDS];

static struct world {
	uint64_t seed, now_ns, order, events;
	uint64_t moment_ns, moment_event; /* the first of this moment */
	struct xm_rand rand[8];
	struct process processes[WORLD_PROCESSES];
	struct fiber fibers[WORLD_FIBERS];
	uint32_t fibers_used; /* slots ever used */
	uint64_t ready[WORLD_FIBERS / 64]; /* those that can run, a bit each */
	uint32_t ready_count;
	/* Of those that wait, by their key's bucket. */
	uint64_t waiting[BUCKETS][WORLD_FIBERS / 64];
	/* A heap of those that wait until some time, the first on top: numbers
	 * of fibers. */
	uint8_t alarms[WORLD_FIBERS];
	uint32_t alarms_count;
	struct fiber *running;
	const struct process *ran;
	struct context home;
	bool (*stop)(void);
	bool stopped;
	struct event *heap;
	size_t heap_count, heap_max;
	uint64_t hash, notes;
	struct line ring[NOTES];
	FILE *show;
	uint64_t until;
	const char *fail_on;
	char law[64], why[512];
} w;

jmp_buf world_end;
const char *world_commit = PACKAGE_VERSION;

/* --- random --------------------------------------------------------------------- */

struct xm_rand *world_rand(enum world_purpose purpose)
{
	return &w.rand[purpose];
}

bool world_chance(enum world_purpose purpose, uint64_t n)
{
	return n != 0 && xm_rand_below(&w.rand[purpose], n) == 0;
}

/* --- notes ---------------------------------------------------------------------- */

static void mix(uint64_t value)
{
	/* FNV-1a (Fowler, Noll, Vo), by words. */
	w.hash = (w.hash ^ value) * UINT64_C(0x100000001b3);
	w.hash ^= w.hash >> 29;
}

static void print_line(FILE *file, const struct line *l)
{
	const uint64_t fields[4] = { l->record.a, l->record.b, l->record.c,
				     l->record.d };
	char text[XM_TRACE_TEXT_SIZE], *sentence;

	if (l->note != NULL)
		xm_trace_sentence(l->note, fields, text, sizeof(text));
	else
		xm_trace_text(&l->record, text, sizeof(text));
	sentence = strstr(text, ": ");
	if (sentence != NULL) {
		*sentence = '\0';
		sentence += 2;
	}
	fprintf(file, "%14.6f ms  %-11s  %-22s  %s", (double)l->at_ns / 1e6,
		l->process, text, sentence != NULL ? sentence : "");
	if (sentence == NULL)
		fprintf(file, "%llu %llu %llu", (unsigned long long)fields[0],
			(unsigned long long)fields[1],
			(unsigned long long)fields[2]);
	fputc('\n', file);
}

static struct line *line_add(const struct process *p)
{
	struct line *l = &w.ring[w.notes++ % NOTES];

	l->at_ns = w.now_ns;
	_Static_assert(sizeof(l->process) == sizeof(p->name), "copied whole");
	if (p == NULL)
		memcpy(l->process, "world", 6);
	else
		memcpy(l->process, p->name, sizeof(p->name));
	return l;
}

static void line_show(const struct line *l)
{
	if (w.show != NULL)
		print_line(w.show, l);
	if (w.notes == w.until) {
		w.running = NULL;
		longjmp(world_end, WORLD_UNTIL);
	}
}

/* Takes in what the machines of a process have recorded. Time has stood still
 * since, and no other process has run. */
static void take_records(const struct process *p)
{
	struct xm_trace *t = &traces[p->index];
	uint64_t *seen = &traced[p->index];

	if (t->count == *seen)
		return;
	mix(w.now_ns);
	mix(p->index);
	mix(t->hash);
	if (t->count - *seen > RECORDS)
		*seen = t->count - RECORDS;
	while (*seen < t->count) {
		struct line *l = line_add(p);

		l->note = NULL;
		l->record = *xm_trace_get(t, (*seen)++);
		sim_counts.points[l->record.id]++;
		line_show(l);
	}
}

struct xm_trace *world_trace(const struct process *p)
{
	return &traces[p->index];
}

void world_note(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	world_note_all(what, (uint64_t[4]){ a, b, c, 0 });
}

void world_note_all(const char *what, const uint64_t fields[4])
{
	const struct process *p = world_current();
	struct line *l;

	if (p != NULL)
		take_records(p);
	mix(w.now_ns);
	for (const char *at = what; *at != '\0' && *at != ':'; at++)
		mix((uint8_t)*at);
	for (unsigned i = 0; i < 4; i++)
		mix(fields[i]);
	l = line_add(p);
	l->note = what;
	l->record = (struct xm_trace_record){
		.a = fields[0], .b = fields[1], .c = fields[2],
		.d = fields[3],
	};
	line_show(l);
	/* By its name: what stands before the sentence. */
	if (w.fail_on != NULL && strncmp(what, w.fail_on,
					 strlen(w.fail_on)) == 0 &&
	    strchr(": ", what[strlen(w.fail_on)]) != NULL)
		world_broken("asked for", "%s", w.fail_on);
}

void world_fail_on(const char *what)
{
	w.fail_on = what;
}

uint64_t world_hash(void)
{
	return w.hash;
}

const struct process *world_ran(void)
{
	return w.ran;
}

uint64_t world_events(void)
{
	return w.events;
}

void world_show(FILE *file)
{
	w.show = file;
}

void world_until(uint64_t note)
{
	w.until = note;
}

const char *world_law(void)
{
	return w.law;
}

const char *world_why(void)
{
	return w.why;
}

_Noreturn void world_broken(const char *law, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(w.why, sizeof(w.why), format, arguments);
	va_end(arguments);
	if (world_current() != NULL)
		take_records(world_current());
	snprintf(w.law, sizeof(w.law), "%s", law);
	fprintf(stderr, "seed %llu: law broken: %s: %s\n",
		(unsigned long long)w.seed, w.law, w.why);
	fprintf(stderr, "  at commit %s, note %llu; the last decisions:\n",
		world_commit, (unsigned long long)w.notes);
	for (uint64_t i = w.notes > NOTES ? w.notes - NOTES : 0; i < w.notes;
	     i++)
		print_line(stderr, &w.ring[i % NOTES]);
	w.running = NULL;
	longjmp(world_end, WORLD_BROKEN);
}

/* --- events ---------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ns < b->at_ns ||
	       (a->at_ns == b->at_ns && a->order < b->order);
}

void world_at(uint64_t at_ns, void (*run)(void *, uint64_t), void *argument,
	      uint64_t number)
{
	struct event e = { xm_max(at_ns, w.now_ns), w.order++, run, argument,
			   number };
	size_t i = w.heap_count++;

	if (w.heap_count > w.heap_max) {
		w.heap_max = w.heap_max * 2 + 64;
		w.heap = realloc(w.heap, w.heap_max * sizeof(e));
		XM_ASSERT(w.heap != NULL);
	}
	while (i > 0 && before(&e, &w.heap[(i - 1) / 2])) {
		w.heap[i] = w.heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w.heap[i] = e;
}

static struct event event_pop(void)
{
	struct event first = w.heap[0], last = w.heap[--w.heap_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w.heap_count)
			break;
		if (child + 1 < w.heap_count &&
		    before(&w.heap[child + 1], &w.heap[child]))
			child++;
		if (!before(&w.heap[child], &last))
			break;
		w.heap[i] = w.heap[child];
		i = child;
	}
	w.heap[i] = last;
	return first;
}

/* --- alarms ------------------------------------------------------------------------ */

/* A fiber that waits has one alarm at most, and takes it along when it is
 * woken: none rings for nothing. */

static bool rings_before(uint32_t a, uint32_t b)
{
	const struct fiber *f = &w.fibers[a], *g = &w.fibers[b];

	return f->alarm_ns < g->alarm_ns ||
	       (f->alarm_ns == g->alarm_ns && f->alarm_order < g->alarm_order);
}

static void alarm_put(uint32_t at, uint32_t fiber)
{
	w.alarms[at] = (uint8_t)fiber;
	w.fibers[fiber].alarm = at;
}

/* `fiber` is to stand at `at`, or above, or below. */
static void alarm_settle(uint32_t at, uint32_t fiber)
{
	while (at > 0 && rings_before(fiber, w.alarms[(at - 1) / 2])) {
		alarm_put(at, w.alarms[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= w.alarms_count)
			break;
		if (child + 1 < w.alarms_count &&
		    rings_before(w.alarms[child + 1], w.alarms[child]))
			child++;
		if (!rings_before(w.alarms[child], fiber))
			break;
		alarm_put(at, w.alarms[child]);
		at = child;
	}
	alarm_put(at, fiber);
}

static void alarm_set(struct fiber *fiber, uint64_t at_ns)
{
	fiber->alarm_ns = xm_max(at_ns, w.now_ns);
	fiber->alarm_order = w.order++;
	w.alarms_count++;
	alarm_settle(w.alarms_count - 1, (uint32_t)(fiber - w.fibers));
}

static void alarm_drop(struct fiber *fiber)
{
	uint32_t at = fiber->alarm;

	if (at == NO_ALARM)
		return;
	fiber->alarm = NO_ALARM;
	w.alarms_count--;
	if (at < w.alarms_count)
		alarm_settle(at, w.alarms[w.alarms_count]);
}

/* --- fibers ----------------------------------------------------------------------- */

static uint64_t bit_of(const struct fiber *fiber)
{
	return UINT64_C(1) << (fiber - w.fibers) % 64;
}

static unsigned word_of(const struct fiber *fiber)
{
	return (unsigned)((fiber - w.fibers) / 64);
}

static unsigned bucket_of(const void *key)
{
	uint64_t hash = (uint64_t)(uintptr_t)key *
			UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(hash >> 58);
}
_Static_assert(BUCKETS == 64, "six bits of the hash");

/* Follows from a fiber's state, and from its process's. */
static void fiber_can_run(const struct fiber *fiber)
{
	uint64_t *word = &w.ready[word_of(fiber)], bit = bit_of(fiber);
	bool can = fiber->state == FIBER_READY && !fiber->process->hung;

	if (can == ((*word & bit) != 0))
		return;
	*word ^= bit;
	w.ready_count += can ? 1 : -1U;
}

static void fiber_set(struct fiber *fiber, enum fiber_state state)
{
	uint64_t *bucket = w.waiting[bucket_of(fiber->key)];

	if (fiber->state == FIBER_WAITING) {
		bucket[word_of(fiber)] &= ~bit_of(fiber);
		alarm_drop(fiber);
	}
	fiber->state = state;
	if (state == FIBER_WAITING)
		bucket[word_of(fiber)] |= bit_of(fiber);
	fiber_can_run(fiber);
}

static void fiber_main(void)
{
	struct fiber *fiber = w.running;

	fiber->run(fiber->argument);
	while (fiber->own.value != NULL) {
		struct world_own own = fiber->own;

		fiber->own.value = NULL;
		fiber->ending = true;
		own.end(own.value);
		fiber->ending = false;
	}
	fiber_set(fiber, FIBER_ENDED);
	world_wake(fiber);
	world_switch(&fiber->context, &w.home);
}

struct fiber *world_fiber(struct process *process, void (*run)(void *),
			  void *argument)
{
	uint32_t i = 0;
	struct fiber *fiber;

	while (i < w.fibers_used && w.fibers[i].state != FIBER_FREE)
		i++;
	XM_ASSERT(i < WORLD_FIBERS);
	if (i == w.fibers_used)
		w.fibers_used++;
	fiber = &w.fibers[i];
	if (fiber->stack == NULL)
		fiber->stack = malloc(STACK);
	XM_ASSERT(fiber->stack != NULL);
	fiber->process = process;
	fiber->run = run;
	fiber->argument = argument;
	fiber->own.value = NULL;
	fiber->ending = false;
	fiber->alarm = NO_ALARM;
	fiber_set(fiber, FIBER_READY);
	context_make(&fiber->context, fiber->stack, STACK, fiber_main);
	return fiber;
}

struct world_own *world_own(void)
{
	return &w.running->own;
}

void *world_argument(void)
{
	return w.running->argument;
}

/* Any fiber that can run, as the seed has it. */
static struct fiber *choose(void)
{
	uint64_t skip = 0, word;
	unsigned i = 0;

	if (w.ready_count == 0)
		return NULL;
	if (w.ready_count > 1)
		skip = xm_rand_below(&w.rand[WORLD_SCHEDULE], w.ready_count);
	for (word = w.ready[0];; word &= word - 1) {
		while (word == 0)
			word = w.ready[++i];
		if (skip-- == 0)
			break;
	}
	return &w.fibers[64 * i + (unsigned)__builtin_ctzll(word)];
}

/* What is asked after each event; true: the world stops here. */
static bool event_over(const struct process *p)
{
	if (p != NULL)
		take_records(p);
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

/* The running fiber has a new state, and another runs on: straight from one to
 * the next, or itself, as long as one can; else home, where time goes on. */
static void pass_on(void)
{
	struct fiber *fiber = w.running, *next = NULL;

	w.running = NULL;
	if (!event_over(fiber->process))
		next = choose();
	if (next != NULL) {
		w.events++;
		w.running = next;
	}
	if (next != fiber)
		world_switch(&fiber->context,
			     next != NULL ? &next->context : &w.home);
}

bool world_wait(const void *key, uint64_t timeout_ns)
{
	struct fiber *fiber = w.running;

	XM_ASSERT(fiber != NULL);
	fiber->key = key;
	fiber_set(fiber, FIBER_WAITING);
	if (timeout_ns != XM_NEVER)
		alarm_set(fiber, w.now_ns + timeout_ns);
	pass_on();
	return fiber->woken;
}

void world_wake(const void *key)
{
	const uint64_t *bucket = w.waiting[bucket_of(key)];

	for (unsigned i = 0; i < XM_COUNT(w.ready); i++) {
		uint64_t word = bucket[i];

		for (; word != 0; word &= word - 1) {
			struct fiber *fiber =
				&w.fibers[64 * i +
					  (unsigned)__builtin_ctzll(word)];

			if (fiber->key != key)
				continue;
			fiber->woken = true;
			fiber_set(fiber, FIBER_READY);
		}
	}
}

void world_yield(void)
{
	fiber_set(w.running, FIBER_READY);
	pass_on();
}

struct process *world_current(void)
{
	return w.running == NULL ? NULL : w.running->process;
}

/* --- memory ------------------------------------------------------------------------ */

void *world_alloc(size_t size)
{
	struct process *process = world_current();
	/* Large ones cost what is touched of them. */
	struct memory *m = size >= PAINTED_MAX
				   ? calloc(1, sizeof(*m) + size)
				   : aligned_alloc(64, xm_align_up(
						sizeof(*m) + size, 64));

	XM_ASSERT(m != NULL && process != NULL);
	if (size < PAINTED_MAX)
		memset(m, 0, sizeof(*m) + size);
	m->size = size;
	m->next = process->memory;
	m->link = &process->memory;
	if (m->next != NULL)
		m->next->link = &m->next;
	process->memory = m;
	process->held++;
	m->process = process;
	return m + 1;
}

void world_free(void *memory)
{
	struct memory *m;

	if (memory == NULL)
		return;
	m = (struct memory *)memory - 1;
	m->process->held--;
	*m->link = m->next;
	if (m->next != NULL)
		m->next->link = m->link;
	/* What is used after this shall look like nothing good. */
	if (m->size < PAINTED_MAX)
		memset(memory, 0xdd, m->size);
	free(m);
}

uint64_t world_held(const struct process *p)
{
	return p->held;
}

uint32_t world_owners(const struct process *p)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < w.fibers_used; i++)
		count += w.fibers[i].process == p &&
			 w.fibers[i].state != FIBER_FREE &&
			 (w.fibers[i].own.value != NULL || w.fibers[i].ending);
	return count;
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
	p->drift_ppm = 0;
	p->started_ns = w.now_ns;
	p->incarnation++;
	p->memory = NULL;
	p->held = 0;
	p->died = NULL;
	p->owner = NULL;
	xm_trace_init(&traces[i], records[i], RECORDS);
	traced[i] = 0;
	return p;
}

void world_kill(struct process *p)
{
	XM_ASSERT(p->alive && world_current() != p);
	p->alive = false;
	for (uint32_t i = 0; i < w.fibers_used; i++) {
		if (w.fibers[i].process == p)
			fiber_set(&w.fibers[i], FIBER_FREE);
	}
	if (p->died != NULL)
		p->died(p);
	while (p->memory != NULL) {
		struct memory *next = p->memory->next;

		free(p->memory);
		p->memory = next;
	}
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
	for (uint32_t i = 0; i < w.fibers_used; i++) {
		if (w.fibers[i].process == p)
			fiber_can_run(&w.fibers[i]);
	}
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

	if (p->drift_ppm != 0)
		now_ns += (int64_t)((__int128)(w.now_ns - p->started_ns) *
				    p->drift_ppm / 1000000);
	return (uint64_t)now_ns;
}

/* --- running -------------------------------------------------------------------------- */

/* Until the fibers have come home: none can run, or one has ended. */
static void run_fibers(struct fiber *fiber)
{
	w.events++;
	w.running = fiber;
	world_switch(&w.home, &fiber->context);
	fiber = w.running;
	if (fiber == NULL)
		return;
	w.running = NULL;
	event_over(fiber->process);
	fiber_set(fiber, FIBER_FREE);
}

/* The first of what is to come, be it an event or an alarm; false: nothing
 * until then. */
static bool go_on(uint64_t until_ns)
{
	struct fiber *fiber = w.alarms_count == 0 ? NULL
						  : &w.fibers[w.alarms[0]];
	struct event e;

	if (fiber != NULL &&
	    (w.heap_count == 0 || fiber->alarm_ns < w.heap[0].at_ns ||
	     (fiber->alarm_ns == w.heap[0].at_ns &&
	      fiber->alarm_order < w.heap[0].order))) {
		if (fiber->alarm_ns > until_ns)
			return false;
		w.now_ns = fiber->alarm_ns;
		fiber->woken = false;
		fiber_set(fiber, FIBER_READY);
	} else {
		if (w.heap_count == 0 || w.heap[0].at_ns > until_ns)
			return false;
		e = event_pop();
		w.now_ns = e.at_ns;
		e.run(e.argument, e.number);
	}
	w.events++;
	event_over(NULL);
	return true;
}

uint64_t world_run(uint64_t until_ns, bool (*stop)(void))
{
	uint64_t first = w.events;

	w.stop = stop;
	w.stopped = false;
	while (!w.stopped) {
		struct fiber *fiber = choose();

		if (fiber != NULL) {
			run_fibers(fiber);
		} else if (!go_on(until_ns)) {
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
	struct fiber fibers[WORLD_FIBERS];

	memcpy(fibers, w.fibers, sizeof(fibers));
	memset(&w, 0, sizeof(w));
	for (uint32_t i = 0; i < WORLD_FIBERS; i++)
		w.fibers[i].stack = fibers[i].stack;
	w.seed = seed;
	crash_in(seed);
	w.now_ns = WORLD_BEGIN;
	w.hash = UINT64_C(0xcbf29ce484222325);
	xm_rand_seed(&root, seed);
	for (unsigned i = 0; i < XM_COUNT(w.rand); i++)
		xm_rand_split(&root, "world", i, &w.rand[i]);
}

void world_close(void)
{
	crash_nowhere();
	for (uint32_t i = 0; i < WORLD_PROCESSES; i++) {
		if (w.processes[i].alive)
			world_kill(&w.processes[i]);
	}
	free(w.heap);
	w.heap = NULL;
	w.heap_count = w.heap_max = 0;
}
