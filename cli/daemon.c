/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance of our own, for one run. What it logs goes to a memory file and
 * is shown when it does not come up.
 */
#include "cli/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/command.h"
#include "core/extmem.h"

#define LISTEN_ADDRESS "ofi+tcp://127.0.0.1:0"
#define READY_TIMEOUT_MS 60000
#define STOP_TIMEOUT_MS 5000

uint64_t daemon_size_default(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];
	uint64_t size;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	size = kib * XM_KIB / 2;
	if (size > 2 * XM_GIB)
		size = 2 * XM_GIB;
	if (size < 64 * XM_MIB)
		size = 64 * XM_MIB;
	return size / (2 * XM_MIB) * (2 * XM_MIB);
}

/* It may not have had the time to say why. False: it has not ended. */
static bool show_end(struct daemon *daemon)
{
	int status = 0;

	for (int waited_ms = 0; waited_ms < 1000; waited_ms += 10) {
		const struct timespec nap = { .tv_nsec = 10000000 };

		if (waitpid(daemon->process.pid, &status, WNOHANG) == daemon->process.pid)
			break;
		if (waited_ms == 990)
			return false;
		nanosleep(&nap, NULL);
	}
	if (WIFSIGNALED(status))
		command_say("run", "it was ended by signal %d%s",
			    WTERMSIG(status),
			    WTERMSIG(status) == SIGKILL
				    ? ": a memory cgroup may be too small for "
				      "it"
				    : "");
	return true;
}

int daemon_start(struct daemon *daemon, uint64_t size, int cancel_fd)
{
	int rc = xm_spawn(LISTEN_ADDRESS, size, NULL, READY_TIMEOUT_MS,
			  cancel_fd, &daemon->process);

	if (rc == 0)
		return 0;
	if (rc == -EINTR) {
		daemon_stop(daemon);
		return rc;
	}
	command_say("run", "an appliance of %llu MiB on this machine did not "
			   "come up:", (unsigned long long)(size / XM_MIB));
	if (daemon->process.pid > 0 && !show_end(daemon))
		daemon_stop(daemon);
	if (!xm_spawned_show(&daemon->process, stderr))
		command_say("run", "%s: %s", daemon->process.path,
			    rc == -ECHILD ? "it could not be started"
					  : strerror(-rc));
	return rc;
}

void daemon_stop(struct daemon *daemon)
{
	xm_spawned_stop(&daemon->process, STOP_TIMEOUT_MS);
}
