/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the seed when the process crashes or a step does not end. The text is made
 * when a run begins, because a signal handler may do little more than write(). */
#include "sim/crash.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "sim/notes.h"
#include "sim/world.h"

/* Processor time; a step takes microseconds. */
#define STEP_SECONDS 20

static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT,
			     SIGVTALRM };
static struct sigaction before[XM_COUNT(fatal)];
static char words[2][256]; /* for a crash; for a step without an end */
static volatile sig_atomic_t words_size[2];
static uint64_t events_seen;
static bool watched;

void crash_in(uint64_t seed)
{
	struct itimerval often = { { STEP_SECONDS, 0 }, { STEP_SECONDS, 0 } };

	if (!watched)
		return;
	words_size[0] = snprintf(
		words[0], sizeof(words[0]), "seed %llu: law broken: crash: "
		"the process ends by a signal\n  at commit %s\n",
		(unsigned long long)seed, world_commit);
	words_size[1] = snprintf(
		words[1], sizeof(words[1]), "seed %llu: law broken: liveness: "
		"a step takes more than %d s of processor time\n  at commit "
		"%s\n", (unsigned long long)seed, STEP_SECONDS, world_commit);
	events_seen = UINT64_MAX;
	setitimer(ITIMER_VIRTUAL, &often, NULL); /* no child inherits it */
}

void crash_nowhere(void)
{
	words_size[0] = words_size[1] = 0;
}

/* Prints the text, and restores the action that was there before (most likely the
 * default, which ends the process). A signal that an instruction raised is raised
 * again when the handler returns; the others are sent again. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	unsigned which = number == SIGVTALRM;

	(void)context;
	if (number == SIGVTALRM &&
	    (words_size[1] == 0 || world_events() != events_seen)) {
		events_seen = world_events();
		return;
	}
	if (words_size[which] > 0 &&
	    write(STDERR_FILENO, words[which], (size_t)words_size[which]) < 0)
		words_size[which] = 0; /* nobody to tell */
	for (unsigned i = 0; i < XM_COUNT(fatal); i++) {
		if (fatal[i] == number)
			sigaction(number, &before[i], NULL);
	}
	if (info->si_code <= 0 || number == SIGVTALRM)
		raise(number);
}

void crash_watch(void)
{
	static uint64_t stack[8192]; /* a fiber's may be what is wrong */
	stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK |
						SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaltstack(&other, NULL);
	for (unsigned i = 0; i < XM_COUNT(fatal); i++)
		sigaction(fatal[i], &action, &before[i]);
	watched = true;
}
