/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of a run: its hash, its last lines, its trace; see notes.h. */
#include "sim/notes.h"
#include "sim/oracle.h"

#include "config.h"

#include <stdarg.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/world_parts.h"

#define NOTES 128    /* lines kept for a broken law */
#define RECORDS 1024 /* of one process between two switches */

struct line {
	uint64_t at_ns;
	char process[24];
	const char *note; /* NULL: a machine's record */
	struct xm_trace_record record;
};

static struct xm_trace traces[WORLD_PROCESSES];
static uint64_t traced[WORLD_PROCESSES]; /* records taken of each */
/* Of the process that runs: what it recorded is taken before another one runs. */
static struct xm_trace_record records[RECORDS];

static struct notes {
	uint64_t seed, hash, notes;
	struct line ring[NOTES];
	FILE *show;
	uint64_t until;
	const char *fail_on;
	char law[64], why[512];
} n;

jmp_buf world_end;
const char *world_commit = PACKAGE_VERSION;

static void mix(uint64_t value)
{
	/* FNV-1a (Fowler, Noll, Vo), by words. */
	n.hash = (n.hash ^ value) * UINT64_C(0x100000001b3);
	n.hash ^= n.hash >> 29;
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
	struct line *l = &n.ring[n.notes++ % NOTES];

	l->at_ns = world_now();
	_Static_assert(sizeof(l->process) == sizeof(p->name), "copied whole");
	if (p == NULL)
		memcpy(l->process, "world", 6);
	else
		memcpy(l->process, p->name, sizeof(p->name));
	return l;
}

static void line_show(const struct line *l)
{
	if (n.show != NULL)
		print_line(n.show, l);
	if (n.notes == n.until) {
		fibers_leave();
		longjmp(world_end, WORLD_UNTIL);
	}
}

void notes_take(const struct process *p)
{
	struct xm_trace *t = &traces[p->index];
	uint64_t *seen = &traced[p->index];

	if (t->count == *seen)
		return;
	mix(world_now());
	mix(p->index);
	mix(t->hash);
	if (t->count - *seen > RECORDS)
		*seen = t->count - RECORDS;
	while (*seen < t->count) {
		struct line *l = line_add(p);

		l->note = NULL;
		l->record = *xm_trace_get(t, (*seen)++);
		sim_counts.points[l->record.id]++;
		if (l->record.id == XM_TRACE_PATH_HUNG)
			oracle_given_up((uint32_t)l->record.a);
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
		notes_take(p);
	mix(world_now());
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
	if (n.fail_on != NULL && strncmp(what, n.fail_on,
					 strlen(n.fail_on)) == 0 &&
	    strchr(": ", what[strlen(n.fail_on)]) != NULL)
		world_broken("asked for", "%s", n.fail_on);
}

void world_fail_on(const char *what)
{
	n.fail_on = what;
}

uint64_t world_hash(void)
{
	return n.hash;
}

void world_show(FILE *file)
{
	n.show = file;
}

void world_until(uint64_t note)
{
	n.until = note;
}

const char *world_law(void)
{
	return n.law;
}

const char *world_why(void)
{
	return n.why;
}

_Noreturn void world_broken(const char *law, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(n.why, sizeof(n.why), format, arguments);
	va_end(arguments);
	if (world_current() != NULL)
		notes_take(world_current());
	snprintf(n.law, sizeof(n.law), "%s", law);
	fprintf(stderr, "seed %llu: law broken: %s: %s\n",
		(unsigned long long)n.seed, n.law, n.why);
	fprintf(stderr, "  at commit %s, note %llu; the last decisions:\n",
		world_commit, (unsigned long long)n.notes);
	for (uint64_t i = n.notes > NOTES ? n.notes - NOTES : 0; i < n.notes;
	     i++)
		print_line(stderr, &n.ring[i % NOTES]);
	fibers_leave();
	longjmp(world_end, WORLD_BROKEN);
}

void notes_process_begins(const struct process *p)
{
	xm_trace_init(&traces[p->index], records, RECORDS);
	traced[p->index] = 0;
}

void notes_open(uint64_t seed)
{
	memset(&n, 0, sizeof(n));
	n.seed = seed;
	n.hash = UINT64_C(0xcbf29ce484222325);
}
