/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts that this program plays in a process of their own, started afresh, so
 * that nothing of the library, of an MPI or of their signal handlers is in
 * what they measure: the yardsticks. A part reads questions, a line each, and
 * writes answers, a line each, and ends when its input does.
 *
 *	floor		a fault without a network, and without the library
 *	idle SETTINGS	a client that does nothing, see idle.c
 *	malloc ...	allocations by malloc, see malloc.c
 *	raw PROVIDER	libfabric's own calls between two processes
 *
 * Between questions they use no processor.
 */
#ifndef EXTMEM_BENCH_ALONE_H
#define EXTMEM_BENCH_ALONE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct alone {
	pid_t pid; /* 0: not there */
	int to, from;
};

/* Starts it, with a library loaded before all others (or NULL). False: it could
 * not be started. */
bool alone_start(struct alone *, const char *part, const char *argument,
		 const char *preload);
/* Asks, and waits for the answer (a minute at most), which is without its end
 * of line. False: there was none, and it is ended; why was said on stderr. */
bool alone_ask(struct alone *, const char *question, char *ret, size_t size);
void alone_stop(struct alone *);

/* The other side: plays the part that argv names, and never returns; or
 * returns at once when it names none. Called first thing in main(). */
void alone_main(int argc, char *argv[]);

/* One for each part: answers one question. False: it cannot, and `ret` has
 * why; the part ends then. `question` is NULL before the first: get ready. */
bool floor_answer(const char *argument, const char *question, char *ret,
		  size_t size);
bool idle_answer(const char *argument, const char *question, char *ret,
		 size_t size);
bool malloc_answer(const char *argument, const char *question, char *ret,
		   size_t size);
bool raw_answer(const char *argument, const char *question, char *ret,
		size_t size);

#endif
