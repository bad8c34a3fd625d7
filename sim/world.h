/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world: virtual time, processes that run, hang and die, and their threads
 * as coroutines. Everything in it happens in one thread of this process, in an
 * order that the seed alone decides.
 *
 * A process is one of extmem's: a client, an appliance's control process, an
 * appliance's interface process. Its threads (fibers) run until they wait:
 * for a moment, for something to arrive, for a lock. The production skin waits
 * only through core/skin/os.h, which sim/os.c makes real on top of this.
 *
 * Time stands still while a fiber runs. When none can, it jumps to the next
 * event. A hung process (SIGSTOP) has fibers that cannot run; a killed one has
 * none, and its memory is gone.
 */
#ifndef XM_WORLD_H
#define XM_WORLD_H

#include <setjmp.h>
#include <stdio.h>

#include "common/base.h"
#include "common/rand.h"
#include "core/pure/trace.h"

#define WORLD_PROCESSES 64
#define WORLD_FIBERS 256
#define WORLD_BEGIN (10 * XM_SECOND) /* what the clock says first */

/* Purposes of random numbers: one more of one kind moves no other. */
enum world_purpose {
	WORLD_SCHEDULE = 1,
	WORLD_NETWORK,
	WORLD_WEATHER,
	WORLD_WORK,
	WORLD_SECRETS,
	WORLD_SHAPE,
	WORLD_MISFORTUNE,
};

struct process {
	uint32_t index;
	char name[24];
	uint32_t node; /* the host it runs on */
	bool alive, hung;
	uint64_t hung_since_ns;
	uint64_t hang_counts_ns; /* shorter hangs are time awake */
	uint64_t asleep_ns;	 /* in all the longer ones, less short jumps */
	uint64_t hangs_ns;	 /* in all of them */
	int64_t skew_ns;   /* its clock against the world's */
	int32_t drift_ppm; /* how fast its clock runs */
	uint64_t started_ns;
	uint32_t incarnation;
	struct memory *memory; /* what it allocated */
	uint64_t held;	       /* so many pieces */
	/* Told when the process dies, newest first. */
	void (*died)(struct process *);
	void *owner;
};

void world_open(uint64_t seed);
void world_close(void);
uint64_t world_now(void);
struct xm_rand *world_rand(enum world_purpose);
/* True once in `n`; never for n == 0. */
bool world_chance(enum world_purpose, uint64_t n);

struct process *world_spawn(const char *name, uint32_t node);
/* Its fibers end where they are; its memory goes; it can be spawned again
 * under the same index. */
void world_kill(struct process *);
void world_hang(struct process *, bool hung);
struct process *world_process(uint32_t index);
/* Whose fiber is running; NULL outside of any. */
struct process *world_current(void);
/* For stop(): which one's it was, that has just run; NULL: none's. */
const struct process *world_ran(void);
/* The process's own clock. */
uint64_t world_process_ns(const struct process *);

/* Time but that in which it hung. */
uint64_t world_run_ns(const struct process *);
/* How long it could have listened, of all the time there was. */
uint64_t world_awake_ns(const struct process *);
/* At least: a short hang may not count either, where it adds to another. */
uint64_t world_awake_least_ns(const struct process *);

/* A new thread of a process. */
struct fiber *world_fiber(struct process *, void (*run)(void *), void *argument);
/* The argument of the one that is running. */
void *world_argument(void);
/* What the running fiber keeps for itself; `end` is called when it ends by itself,
 * unless `value` is NULL. */
struct world_own {
	void *value;
	void (*end)(void *value);
};
struct world_own *world_own(void);
/* From inside a fiber. wait(): until someone wakes `key`, or for timeout_ns
 * (XM_NEVER: for ever); true when woken. yield(): others may run now. */
bool world_wait(const void *key, uint64_t timeout_ns);
void world_wake(const void *key);
void world_yield(void);

/* Calls back at `at_ns`, outside of any fiber, whatever happens to anyone. */
void world_at(uint64_t at_ns, void (*run)(void *, uint64_t), void *argument,
	      uint64_t number);

/* Runs until `until_ns`, or until stop() holds after some event. Returns the
 * number of events. */
uint64_t world_run(uint64_t until_ns, bool (*stop)(void));

/* Memory that goes with its process. */
void *world_alloc(size_t size);
void world_free(void *memory);
/* Pieces of it that the process has. */
uint64_t world_held(const struct process *);
/* Threads of the process that keep something for themselves. */
uint32_t world_owners(const struct process *);

/* --- the record of what happened ------------------------------------------------ */

/* Notes one event: `what` is "room.what: a sentence" with fields as those of
 * trace points, of numbers that do not depend on addresses. Goes into the
 * hash, into a ring of the last ones, and to the trace if it is shown. So do
 * the records of the processes' machines. */
void world_note(const char *what, uint64_t a, uint64_t b, uint64_t c);
void world_note_all(const char *what, const uint64_t fields[4]);
/* Where the machines of a process record. */
struct xm_trace *world_trace(const struct process *);
uint64_t world_hash(void);
uint64_t world_events(void);
/* A line for each, in columns: time, process, what, sentence. NULL: nowhere. */
void world_show(FILE *);
/* The run ends, and no law is broken, with this note; 0: it does not. */
void world_until(uint64_t note);
/* A note of this name breaks a law, to try what breaking one does. NULL: none. */
void world_fail_on(const char *what);
/* What a broken law names beside its seed: the commit. */
extern const char *world_commit;
/* A law is broken: prints seed, commit, law, and the last notes, and ends the
 * run. */
_Noreturn void world_broken(const char *law, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* --- crash.c: what a run cannot say itself --------------------------------------- */

/* From now on a crash, and a step that does not end, name the seed. */
void crash_watch(void);
void crash_in(uint64_t seed);
void crash_nowhere(void);

/* Where a run ends early: 0 the first time, then one of these. */
enum { WORLD_BROKEN = 1, WORLD_UNTIL };
extern jmp_buf world_end;
const char *world_law(void);
const char *world_why(void);

#endif
