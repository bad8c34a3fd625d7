/* SPDX-License-Identifier: BSD-3-Clause */
/* Ending a program that was told to end; see stop.h. */
#include "cli/stop.h"

#include <signal.h>

void stop_signal(struct stop *stop, int number, uint64_t now_ns)
{
	kill(stop->pid, number);
	if (number != SIGTERM)
		return;
	if (stop->kill_ns != 0)
		stop->kill_ns = now_ns;
	else if (stop->patience_ns != 0)
		stop->kill_ns = xm_time_after(now_ns, stop->patience_ns);
	else
		stop->kill_ns = XM_NEVER;
}

uint64_t stop_look(struct stop *stop, uint64_t now_ns, uint64_t most_ns)
{
	if (stop->kill_ns == 0 || stop->killed)
		return most_ns;
	if (now_ns < stop->kill_ns)
		return xm_min(stop->kill_ns - now_ns, most_ns);
	stop->killed = true;
	kill(stop->pid, SIGKILL);
	command_say("run", "the program did not end by SIGTERM, and is killed");
	return most_ns;
}
