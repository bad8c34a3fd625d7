/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of the public API: real appliances, each a process of its own on
 * a free port, and other programs, which are this one again with an act to
 * perform; stopped, killed and continued by process id alone. All of them die
 * with the test. Every wait has a deadline, generous: tests assert order and
 * outcome, never speed.
 *
 *	int main(int argc, char **argv)
 *	{
 *		static const struct act acts[] = { { "hold", hold }, { 0 } };
 *
 *		act_begin(argc, argv, acts);
 *		return xm_tests_run("loss", tests);
 *	}
 */
#ifndef XM_TESTS_APPLIANCE_H
#define XM_TESTS_APPLIANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/extmem.h"

#define MIB ((uint64_t)1 << 20)
#define PAGE 4096
/* From XM_SLOW: by how much everything takes longer in this build, 1 or more. */
unsigned slowness(void);
#define PATIENCE_MS (30000 * slowness()) /* for anything at all */

/* --- appliances --------------------------------------------------------------- */

struct appliance {
	pid_t control, interface;
	char address[128];
};

enum part { PART_CONTROL = 1, PART_INTERFACE = 2, PART_BOTH = 3 };

/* Starts `extmemd --listen listen --memory memory more...` (more: NULL-ended,
 * or NULL) and waits until it is ready. False: it did not come up, and what
 * it said is on stderr. */
bool appliance_start(struct appliance *, const char *listen,
		     const char *memory, const char *const more[]);
#define LOOPBACK "ofi+tcp://127.0.0.1:0"
#define SHARED "ofi+shm://" /* a fresh name is made */
void appliance_signal(const struct appliance *, enum part, int number);
/* SIGTERM, then SIGKILL; returns what wait() said of the control process. */
int appliance_stop(struct appliance *);
/* kill -9 of both. */
void appliance_kill(struct appliance *);
/* What is free there, or -1. */
int64_t appliance_free(const struct appliance *);
/* Waits until so much is free: what was given back is zeroed first. */
bool appliance_frees(const struct appliance *, uint64_t size);

/* --- other programs -------------------------------------------------------------- */

struct act {
	const char *name;
	int (*perform)(int argc, char **argv); /* arguments after the name */
};

/* Forgets EXTMEM_* variables, sets a deadline for the whole program (tests end
 * with a failure instead of hanging), and, if argv asks for it, performs an
 * act and does not return. */
void act_begin(int argc, char **argv, const struct act *acts);
/* Starts an act in a fresh process. Its standard output is `*ret_out`. */
pid_t act_start(const char *name, const char *const arguments[], int *ret_out);
/* Waits for a line that begins so. */
bool act_says(int out, const char *line);
/* Its wait status; it is killed (and that is returned) past the patience. */
int act_wait(pid_t);

/* --- clients ------------------------------------------------------------------------ */

/* extmem_open() with appliance=address and up to 8 settings more, NULL-ended.
 * NULL: it failed, in words on stderr. */
extmem *client_open(const char *address, ...);
struct extmem_stats client_stats(extmem *);
bool client_is(extmem *, const char *state); /* of its first appliance */

/* --- the rest -------------------------------------------------------------------------- */

uint64_t now_ms(void);
void sleep_ms(unsigned ms);
/* Asks again and again; false when the patience is over. */
bool until(bool (*question)(void *), void *context);

/* Bytes that tell where they belong: of `seed` at `offset`. */
void pattern_fill(void *ret, uint64_t offset, size_t size, uint64_t seed);
bool pattern_is(const void *bytes, uint64_t offset, size_t size,
		uint64_t seed);
bool all_zero(const void *bytes, size_t size);

#include "tests/support/touching.h"

/* The last error has this part; else prints it. */
bool words_have(const char *part);

#endif
