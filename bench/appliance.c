/* SPDX-License-Identifier: BSD-3-Clause */
/* Appliances of our own; see appliance.h. */
#include "bench/appliance.h"

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
#include <unistd.h>

#include "appliance/inside.h"

#define READY_TIMEOUT_MS 120000 /* its memory is touched before it is ready */
#define STOP_TIMEOUT_MS 5000

static pid_t started[BENCH_APPLIANCES_MAX];
static int started_count;
static struct xm_inside *inside[BENCH_APPLIANCES_MAX];
static int inside_count;

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

/* Between ranks on several hosts a loopback address is of no use: then all
 * addresses of this host are listened at, and its name is what clients get. */
static void listen_address(const char *transport, bool one_host,
			   char ret[BENCH_ADDRESS_SIZE])
{
	if (strcmp(transport, "ofi+shm") == 0)
		/* A killed one leaves its name, and numbers come again. */
		snprintf(ret, BENCH_ADDRESS_SIZE, "%s://bench-%ld-%d-%llx",
			 transport, (long)getpid(), started_count,
			 (unsigned long long)bench_now_us());
	else
		snprintf(ret, BENCH_ADDRESS_SIZE, "%s://%s:0", transport,
			 one_host ? "127.0.0.1" : "0.0.0.0");
}

/* vfork, because a library of this process (an MPI's, say) may have opened a
 * network device whose registered pages a copied address space would take
 * away. So the child calls nothing but the kernel, and changes only what is
 * its own: all that it needs was made ready by the parent. */
static pid_t spawn(const char *path, char *const argv[], int ready_fd,
		   int log_fd)
{
	pid_t parent = getpid(), pid;

	pid = vfork();
	if (pid != 0)
		return pid;
	/* Its own group: a ^C is for the program; it is told when to end. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	dup2(log_fd, STDERR_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	fcntl(ready_fd, F_SETFD, 0);
	execvp(path, argv);
	_exit(127);
}

static void show_log(const char *path, int log_fd)
{
	char text[4096];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	if (n <= 0) {
		fprintf(stderr, "extmem-bench: %s could not be started\n",
			path);
		return;
	}
	text[n] = '\0';
	fputs(text, stderr);
}

/* The line that says where it is; false: it ended, or took too long. */
static bool await_ready(int fd, char ret_address[BENCH_ADDRESS_SIZE])
{
	char line[BENCH_ADDRESS_SIZE + 64] = "", *address;
	size_t used = 0;

	while (strchr(line, '\n') == NULL) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (used == sizeof(line) - 1 ||
		    poll(&poll_fd, 1, READY_TIMEOUT_MS) <= 0)
			return false;
		n = read(fd, line + used, sizeof(line) - 1 - used);
		if (n <= 0)
			return false;
		used += (size_t)n;
		line[used] = '\0';
	}
	line[strcspn(line, "\n")] = '\0';
	address = strstr(line, "ofi+");
	if (address == NULL)
		return false;
	address[strcspn(address, " ")] = '\0';
	if (strlen(address) >= BENCH_ADDRESS_SIZE)
		return false;
	strcpy(ret_address, address);
	return true;
}

/* ofi+tcp://0.0.0.0:40001 -> ofi+tcp://this-host:40001 */
static void name_host(char address[BENCH_ADDRESS_SIZE])
{
	char host[64] = "", rest[BENCH_ADDRESS_SIZE];
	char *at = strstr(address, "://0.0.0.0:");

	if (at == NULL || gethostname(host, sizeof(host) - 1) != 0)
		return;
	snprintf(rest, sizeof(rest), "%s", at + strlen("://0.0.0.0"));
	snprintf(at, BENCH_ADDRESS_SIZE - (size_t)(at - address), "://%s%s",
		 host, rest);
}

static bool inside_start(uint64_t memory, char ret_address[BENCH_ADDRESS_SIZE])
{
	char words[256];

	if (inside_count == BENCH_APPLIANCES_MAX)
		return false;
	snprintf(ret_address, BENCH_ADDRESS_SIZE, "loop:bench-%d",
		 inside_count);
	if (xm_inside_start(ret_address, memory, words, sizeof(words),
			    &inside[inside_count]) != 0) {
		fprintf(stderr, "extmem-bench: %s: %s\n", ret_address, words);
		return false;
	}
	inside_count++;
	return true;
}

bool appliance_start(const struct bench_common *common, bool one_host,
		     uint64_t memory,
		     char ret_address[BENCH_ADDRESS_SIZE])
{
	char path[PATH_MAX], listen[BENCH_ADDRESS_SIZE], size[32], ready[16];
	char polling[16], clients[24], clients_flag[] = "--clients-max";
	char *argv[] = { (char[]){ "extmemd" },	  (char[]){ "--listen" },
			 listen,		  (char[]){ "--memory" },
			 size,			  (char[]){ "--ready-fd" },
			 ready,			  (char[]){ "--drain-timeout" },
			 (char[]){ "0" },	  (char[]){ "--polling" },
			 polling,		  NULL, NULL, NULL };
	int pipes[2], log_fd;
	bool is_ready = false;
	pid_t pid;

	if (strcmp(common->transport, "loop") == 0)
		return inside_start(memory, ret_address);
	log_fd = memfd_create("extmemd-log", MFD_CLOEXEC);
	if (started_count == BENCH_APPLIANCES_MAX || log_fd < 0 ||
	    pipe2(pipes, O_CLOEXEC) < 0) {
		fprintf(stderr, "extmem-bench: cannot start an appliance: %s\n",
			strerror(errno));
		return false;
	}
	find_daemon(path);
	listen_address(common->transport, one_host, listen);
	snprintf(polling, sizeof(polling), "%s", common->polling);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)memory);
	snprintf(ready, sizeof(ready), "%d", pipes[1]);
	snprintf(clients, sizeof(clients), "%llu",
		 (unsigned long long)common->clients_max);
	if (common->clients_max > 0) {
		argv[XM_COUNT(argv) - 3] = clients_flag;
		argv[XM_COUNT(argv) - 2] = clients;
	}
	pid = spawn(path, argv, pipes[1], log_fd);
	close(pipes[1]);
	if (pid > 0) {
		started[started_count++] = pid;
		is_ready = await_ready(pipes[0], ret_address);
	}
	close(pipes[0]);
	if (!is_ready)
		show_log(path, log_fd);
	else
		name_host(ret_address);
	close(log_fd);
	return is_ready;
}

long appliance_pid(void)
{
	return started_count > 0 ? (long)started[0] : 0;
}

bool appliances_are_well(void)
{
	int status;

	for (int i = 0; i < started_count; i++) {
		if (started[i] == 0 ||
		    waitpid(started[i], &status, WNOHANG) == 0)
			continue;
		started[i] = 0;
		fprintf(stderr, "extmem-bench: an appliance ended, with "
				"status %d\n", status);
		return false;
	}
	return true;
}

void appliances_stop(void)
{
	const struct timespec nap = { .tv_nsec = 10000000 };

	for (int i = 0; i < started_count; i++) {
		if (started[i] == 0)
			continue;
		kill(started[i], SIGTERM);
		for (int ms = 0; started[i] != 0 && ms < STOP_TIMEOUT_MS;
		     ms += 10) {
			if (waitpid(started[i], NULL, WNOHANG) != 0)
				started[i] = 0;
			else
				nanosleep(&nap, NULL);
		}
		if (started[i] != 0) {
			kill(started[i], SIGKILL);
			waitpid(started[i], NULL, 0);
			started[i] = 0;
		}
	}
	started_count = 0;
	while (inside_count > 0)
		xm_inside_stop(inside[--inside_count]);
}
