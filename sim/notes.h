/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of a run: a line for each note of the simulator and for each trace
 * record of the processes' machines. All of them go into the run's hash, the
 * last ones into a ring that a broken law prints, and each to a file if one was
 * given by world_show().
 */
#ifndef XM_NOTES_H
#define XM_NOTES_H

#include <setjmp.h>
#include <stdio.h>

#include "common/base.h"
#include "core/pure/trace.h"

struct process;

/* Notes one event. `what` is "room.what: a sentence", with {fields} as in
 * core/pure/trace.c. The numbers must not depend on addresses. */
void world_note(const char *what, uint64_t a, uint64_t b, uint64_t c);
void world_note_all(const char *what, const uint64_t fields[4]);
/* Where the machines of a process record. */
struct xm_trace *world_trace(const struct process *);
uint64_t world_hash(void);
/* Prints each line in columns (time, process, name, sentence); NULL: nowhere. */
void world_show(FILE *);
/* Ends the run with the note of this number, no law broken; 0: does not. */
void world_until(uint64_t note);
/* Makes a note of this name break a law, to try what that does; NULL: none. */
void world_fail_on(const char *what);

/* A law (an invariant) is broken: prints seed, commit, law and the last lines,
 * and ends the run by longjmp(). */
_Noreturn void world_broken(const char *law, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The commit that a broken law names beside its seed. */
extern const char *world_commit;
/* The law that was broken, and how; "": none. */
const char *world_law(void);
const char *world_why(void);

/* A run's setjmp() returns 0 the first time, then one of these. */
enum { WORLD_BROKEN = 1, WORLD_UNTIL };
extern jmp_buf world_end;

#endif
