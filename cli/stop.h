/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ending a program that was told to end by SIGTERM and does not.
 *
 * A program that hangs in a page fault takes no signal but SIGKILL. It is given
 * some time after the first SIGTERM, and none after a second one. Other signals
 * are passed on and nothing more: a program may live on after each of them.
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <sys/types.h>

#include "cli/command.h"

struct stop {
	pid_t pid;	      /* of the program */
	uint64_t patience_ns; /* after SIGTERM; 0: for ever */
	uint64_t kill_ns;     /* when it is killed; 0: it was not told to end */
	bool killed;
};

/* Passes a signal on. */
void stop_signal(struct stop *, int number, uint64_t now_ns);
/* Kills the program if its time is over, and says so; else returns for how long
 * the caller may sleep, `most_ns` at most. */
uint64_t stop_look(struct stop *, uint64_t now_ns, uint64_t most_ns);

#endif
