/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance of our own, for one run. It tells its address, with the port
 * it was given, through --ready-fd; what it logs goes to a memory file and is
 * shown when it does not come up.
 */
#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static void find_daemon(char path[PATH_MAX])
{
	static const char *const places[] = {
		"%s/extmemd",
		"%s/../sbin/extmemd",
		"%s/../libexec/extmemd",
		"%s/../libexec/extmem/extmemd",
	};
	char self[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < XM_COUNT(places); i++) {
			snprintf(path, PATH_MAX, places[i], self);
			if (access(path, X_OK) == 0)
				return;
		}
	}
	strcpy(path, "extmemd"); /* by PATH */
}

static _Noreturn void be_daemon(int ready_fd, int log_fd, uint64_t size,
				pid_t parent)
{
	char path[PATH_MAX], memory[32], ready[16];
	sigset_t none;

	/* Its own group: a ^C is for the program; it is told when to end. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fcntl(ready_fd, F_SETFD, 0);
	dup2(log_fd, STDERR_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	find_daemon(path);
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)size);
	snprintf(ready, sizeof(ready), "%d", ready_fd);
	execlp(path, "extmemd", "--listen", LISTEN_ADDRESS, "--memory", memory,
	       "--ready-fd", ready, "--drain-timeout", "0",
	       (char *)NULL);
	dprintf(log_fd, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

/* It may not have had the time to say why. False: it has not ended. */
static bool show_end(struct daemon *daemon)
{
	int status = 0;

	for (int waited_ms = 0; waited_ms < 1000; waited_ms += 10) {
		const struct timespec nap = { .tv_nsec = 10000000 };

		if (waitpid(daemon->pid, &status, WNOHANG) == daemon->pid)
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

static void show_log(const struct daemon *daemon)
{
	char line[4096];
	ssize_t n = pread(daemon->log_fd, line, sizeof(line) - 1, 0);

	if (n <= 0)
		return;
	line[n] = '\0';
	fputs(line, stderr);
	if (line[n - 1] != '\n')
		fputc('\n', stderr);
}

/* Reads the line with the address; -1: it ended, or took too long. */
static int await_ready(struct daemon *daemon, int fd)
{
	char line[sizeof(daemon->address) + 64] = "", *address;
	size_t used = 0;

	while (!strchr(line, '\n')) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (used == sizeof(line) - 1 ||
		    poll(&poll_fd, 1, READY_TIMEOUT_MS) <= 0)
			return -1;
		n = read(fd, line + used, sizeof(line) - 1 - used);
		if (n <= 0)
			return -1;
		used += n;
		line[used] = '\0';
	}
	line[strcspn(line, "\n")] = '\0';
	address = strstr(line, "ofi+");
	if (!address || strlen(address) >= sizeof(daemon->address))
		return -1;
	address[strcspn(address, " ")] = '\0';
	strcpy(daemon->address, address);
	return 0;
}

int daemon_start(struct daemon *daemon, uint64_t size)
{
	int pipes[2];
	pid_t parent = getpid();

	daemon->log_fd = memfd_create("extmemd-log", MFD_CLOEXEC);
	if (daemon->log_fd < 0 || pipe2(pipes, O_CLOEXEC) < 0) {
		command_say("run", "cannot start an appliance: %s",
			    strerror(errno));
		return -1;
	}
	daemon->pid = fork();
	if (daemon->pid == 0)
		be_daemon(pipes[1], daemon->log_fd, size, parent);
	close(pipes[1]);
	if (daemon->pid < 0 || await_ready(daemon, pipes[0]) < 0) {
		command_say("run", "an appliance of %llu MiB on this machine "
				   "did not come up:",
			    (unsigned long long)(size / XM_MIB));
		close(pipes[0]);
		if (daemon->pid > 0 && !show_end(daemon))
			daemon_stop(daemon);
		show_log(daemon);
		return -1;
	}
	close(pipes[0]);
	return 0;
}

void daemon_stop(struct daemon *daemon)
{
	const struct timespec nap = { .tv_nsec = 10000000 };

	kill(daemon->pid, SIGTERM);
	for (int waited_ms = 0; waited_ms < STOP_TIMEOUT_MS; waited_ms += 10) {
		if (waitpid(daemon->pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&nap, NULL);
	}
	kill(daemon->pid, SIGKILL);
	waitpid(daemon->pid, NULL, 0);
}
