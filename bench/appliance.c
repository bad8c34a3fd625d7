/* SPDX-License-Identifier: BSD-3-Clause */
/* Appliances of our own; see appliance.h. */
#include "bench/appliance.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/inside.h"
#include "common/spawn.h"

#define READY_TIMEOUT_MS 120000 /* its memory is touched before it is ready */
#define STOP_TIMEOUT_MS 5000

static struct xm_spawned started[BENCH_APPLIANCES_MAX];
static int started_count;
static struct xm_inside *inside[BENCH_APPLIANCES_MAX];
static int inside_count;

/* Between ranks on several hosts a loopback address is of no use: then all
 * addresses of this host are listened at, and its name is what clients get. It has no
 * credentials: what it lends for the time of a benchmark is nobody's secret. */
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
	char listen[BENCH_ADDRESS_SIZE], clients[24];
	const char *flags[6] = { "--polling", common->polling };
	struct xm_spawned *s = &started[started_count];
	int rc;

	if (strcmp(common->transport, "loop") == 0)
		return inside_start(memory, ret_address);
	if (started_count == BENCH_APPLIANCES_MAX)
		return false;
	listen_address(common->transport, one_host, listen);
	snprintf(clients, sizeof(clients), "%llu",
		 (unsigned long long)common->clients_max);
	if (common->clients_max > 0) {
		flags[2] = "--clients-max";
		flags[3] = clients;
	}
	if (!one_host)
		flags[common->clients_max > 0 ? 4 : 2] = "--insecure-plaintext";
	rc = xm_spawn(listen, memory, flags, READY_TIMEOUT_MS, -1, s);
	started_count += s->pid > 0;
	if (rc != 0 && !xm_spawned_show(s, stderr))
		fprintf(stderr, "extmem-bench: %s could not be started: %s\n",
			s->path, strerror(-rc));
	xm_spawned_close(s);
	if (rc != 0)
		return false;
	snprintf(ret_address, BENCH_ADDRESS_SIZE, "%s", s->address);
	name_host(ret_address);
	return true;
}

long appliance_pid(void)
{
	return started_count > 0 ? (long)started[0].pid : 0;
}

long appliance_child(long pid)
{
	char path[64];
	long child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", pid, pid);
	file = fopen(path, "re");
	if (file != NULL && fscanf(file, "%ld", &child) != 1)
		child = 0;
	if (file != NULL)
		fclose(file);
	return child;
}

void appliance_signal(int index, int number)
{
	pid_t pid = started[index].pid;
	pid_t child = pid > 0 ? (pid_t)appliance_child(pid) : 0;

	/* The interface process first: it ends by itself when the other one does. */
	if (child > 0)
		kill(child, number);
	if (pid > 0)
		kill(pid, number);
}

void appliance_kill(int index)
{
	appliance_signal(index, SIGKILL);
	xm_spawned_stop(&started[index], STOP_TIMEOUT_MS);
	started[index].pid = 0;
}

bool appliance_restart(const struct bench_common *common, int index,
		       uint64_t memory)
{
	const char *flags[] = { "--polling", common->polling, NULL };
	struct xm_spawned *s = &started[index];
	char address[sizeof(s->address)];
	int rc;

	snprintf(address, sizeof(address), "%s", s->address);
	rc = xm_spawn(address, memory, flags, READY_TIMEOUT_MS, -1, s);
	if (rc != 0 && !xm_spawned_show(s, stderr))
		fprintf(stderr, "extmem-bench: %s could not be started again: "
				"%s\n",
			s->path, strerror(-rc));
	xm_spawned_close(s);
	return rc == 0;
}

bool appliances_are_well(void)
{
	int status;

	for (int i = 0; i < started_count; i++) {
		if (started[i].pid == 0 ||
		    waitpid(started[i].pid, &status, WNOHANG) == 0)
			continue;
		started[i].pid = 0;
		fprintf(stderr, "extmem-bench: an appliance ended, with "
				"status %d\n", status);
		return false;
	}
	return true;
}

void appliances_stop(void)
{
	for (int i = 0; i < started_count; i++)
		xm_spawned_stop(&started[i], STOP_TIMEOUT_MS);
	started_count = 0;
	while (inside_count > 0)
		xm_inside_stop(inside[--inside_count]);
}
