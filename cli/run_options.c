/* SPDX-License-Identifier: BSD-3-Clause */
/* See run_options.h. */
#include "cli/run_options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "common/options_shared.h"
#include "preload/shared.h"

#define PRELOAD_NAME "libextmem-run.so"

static const char *const advise_names[] = { "", "sequential", "random" };
static const char *const paging_names[] = { "auto", "inline", "thread" };
static const char *const rest_names[] = { "count", "warn", "refuse" };
static const char *const fork_names[] = { "snapshot", "absent", "refuse" };
static const char *const calls_names[] = { "auto", "trap", "wrap" };

static const struct xm_option options[] = {
	{ .name = "local",
	  .kind = XM_OPTION_SHARE,
	  .letter = 'l',
	  .value = "64M",
	  .min = XM_MIB,
	  .help = "Limit of local memory for external pages: a size, or "
		  "a percentage of the largest amount of external "
		  "memory that the program has had so far (4 MiB at "
		  "least).",
	  .destination = offsetof(struct run_settings, local) },
	XM_SHARED_APPLIANCE(struct run_settings, appliance,
		"Address of an appliance: ofi+tcp://host:7470; or a "
		"directory: etcd://host:2379/prefix. May be "
		"repeated. Without it, an appliance is started on "
		"this machine for the run."),
	XM_SHARED_STRATEGY(struct run_settings, strategy,
		"How many appliances have each byte, over how many the "
		"memory is spread, and which of them: \"mirror 2, rank "
		"free\", or the name of a stored one; see extmem(5)."),
	XM_SHARED_SEAL(struct run_settings, seal,
		"Encrypt and authenticate memory before it leaves this "
		"machine, so that appliances can neither read nor change it; "
		"see SEALS in extmem(5)."),
	{ .name = "external",
	  .kind = XM_OPTION_SIZE,
	  .letter = 'e',
	  .help = "Limit of external memory, which is allocated as the "
		  "program needs it. Without it, the limit is what the "
		  "appliances have.",
	  .destination = offsetof(struct run_settings, external) },
	{ .name = "open_after",
	  .kind = XM_OPTION_SIZE,
	  .value = "8M",
	  .help = "The program's first memory stays local up to this size, "
		  "and nothing is opened before it has more. 0: external "
		  "memory is opened before the program begins.",
	  .destination = offsetof(struct run_settings, open_after) },
	{ .name = "limit",
	  .kind = XM_OPTION_SIZE,
	  .help = "The program gets at most this much external memory; "
		  "beyond that malloc() fails with ENOMEM. 0: no limit.",
	  .destination = offsetof(struct run_settings, limit) },
	{ .name = "advise",
	  .kind = XM_OPTION_CHOICE,
	  .value = "normal",
	  .choices = "normal|sequential|random",
	  .help = "How the program uses its memory. Its own calls of "
		  "madvise() go before.",
	  .destination = offsetof(struct run_settings, advise) },
	{ .name = "threshold",
	  .kind = XM_OPTION_SIZE,
	  .letter = 't',
	  .value = "0",
	  .help = "Allocations of at least this size are external. 0: "
		  "all of them if every system call can be served "
		  "(--calls), else those of 2 MiB and more.",
	  .destination = offsetof(struct run_settings, threshold) },
	{ .name = "stats",
	  .kind = XM_OPTION_TEXT,
	  .letter = 's',
	  .unit = "FILE",
	  .help = "Write statistics to this file at the end, as JSON; - "
		  "is stderr.",
	  .destination = offsetof(struct run_settings, stats) },
	{ .name = "paging",
	  .kind = XM_OPTION_CHOICE,
	  .value = "auto",
	  .choices = "auto|inline|thread",
	  .help = "Who serves a page fault: the faulting thread "
		  "(inline), or a thread of the library (thread), which "
		  "with privilege serves the kernel's faults too.",
	  .destination = offsetof(struct run_settings, paging) },
	{ .name = "calls",
	  .kind = XM_OPTION_CHOICE,
	  .value = "auto",
	  .choices = "auto|trap|wrap",
	  .help = "Which system calls may be given external memory: "
		  "all, since a seccomp filter traps them (trap), or "
		  "those made through libc's functions (wrap).",
	  .destination = offsetof(struct run_settings, calls) },
	{ .name = "local_rest",
	  .kind = XM_OPTION_CHOICE,
	  .value = "count",
	  .choices = "count|warn|refuse",
	  .help = "Local memory besides what is external (executable, "
		  "shared, stacks, huge pages): count it; also say when it "
		  "is more than --local (warn); or answer ENOMEM to "
		  "mappings by which it would be (refuse).",
	  .destination = offsetof(struct run_settings, local_rest) },
	{ .name = "overflow",
	  .kind = XM_OPTION_CHOICE,
	  .value = "fail",
	  .choices = "fail|local",
	  .help = "When no external memory is left: the program gets "
		  "ENOMEM (fail), or local memory, which is counted "
		  "(local).",
	  .destination = offsetof(struct run_settings, overflow) },
	{ .name = "children",
	  .kind = XM_OPTION_CHOICE,
	  .value = "plain",
	  .choices = "plain|same",
	  .help = "Programs that the program starts: without external "
		  "memory (plain), or with the same settings, and a "
		  "client and local memory each (same).",
	  .destination = offsetof(struct run_settings, children) },
	{ .name = "fork",
	  .kind = XM_OPTION_CHOICE,
	  .value = "snapshot",
	  .choices = "snapshot|absent|refuse",
	  .help = "What a child of fork() has of the external memory: "
		  "all of it, as it was then (snapshot); nothing "
		  "(absent); or fork() fails (refuse).",
	  .destination = offsetof(struct run_settings, fork) },
	{ .name = "kill_after",
	  .kind = XM_OPTION_DURATION,
	  .letter = 'k',
	  .value = "10s",
	  .help = "Kill the program if it has not ended this long after "
		  "SIGTERM. A second SIGTERM kills it at once. 0: only "
		  "a second SIGTERM does.",
	  .destination = offsetof(struct run_settings, kill_after_ns) },
	{ .name = "progress",
	  .kind = XM_OPTION_FLAG,
	  .letter = 'p',
	  .help = "Print a line on stderr every second.",
	  .destination = offsetof(struct run_settings, progress) },
};

const struct xm_option_table run_options = {
	.program = "extmem run",
	.prefix = "EXTMEM",
	.usage = "[OPTION]... [--] PROGRAM [ARGUMENT]...",
	.about = "Runs PROGRAM, unmodified, with its large allocations in the "
		 "memory of appliances, and exits with its status: 128+N when "
		 "signal N ended it, 125 when the run could not begin, 126 and "
		 "127 when PROGRAM cannot be executed or found.",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- the environment of the program ------------------------------------------ */

int run_preload_find(char *path, size_t path_size)
{
	char self[PATH_MAX - 64];
	const char *const places[] = {
		"%s/.libs/" PRELOAD_NAME,
		"%s/" PRELOAD_NAME,
		"%s/../lib/extmem/" PRELOAD_NAME,
	};
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		*strrchr(self, '/') = '\0';
		for (size_t i = 0; i < XM_COUNT(places); i++) {
			snprintf(path, path_size, places[i], self);
			if (access(path, R_OK) == 0)
				return 0;
		}
	}
#ifdef EXTMEM_PKGLIBDIR
	snprintf(path, path_size, "%s", EXTMEM_PKGLIBDIR "/" PRELOAD_NAME);
	if (access(path, R_OK) == 0)
		return 0;
#endif
	command_say("run", "%s is not beside this program, nor where it was "
			   "installed", PRELOAD_NAME);
	return -1;
}

static int set_preload(void)
{
	char path[PATH_MAX], value[PATH_MAX * 2];
	const char *others = getenv("LD_PRELOAD");

	if (run_preload_find(path, sizeof(path)) < 0)
		return -1;
	if (strpbrk(path, ": ")) {
		command_say("run", "%s: a path with a blank or a colon cannot "
				   "be preloaded; install extmem elsewhere",
			    path);
		return -1;
	}
	if ((size_t)snprintf(value, sizeof(value), "%s%s%s", path,
			     others && *others ? ":" : "",
			     others && *others ? others : "") >= sizeof(value) ||
	    setenv("LD_PRELOAD", value, 1) < 0) {
		command_say("run", "LD_PRELOAD is too long");
		return -1;
	}
	return 0;
}

static void set_number(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	setenv(name, text, 1);
}

/* They are read when the program needs memory, and it may be in another folder then. An
 * appliance of the run's own has none. */
static void set_credentials(bool named)
{
	const char *file = getenv("EXTMEM_AUTH");
	char path[PATH_MAX];

	if (!named)
		unsetenv("EXTMEM_AUTH");
	else if (file && *file && realpath(file, path))
		setenv("EXTMEM_AUTH", path, 1);
}

int run_environment_set(const struct run_settings *s, const char *daemon,
			int shared_fd)
{
	char list[RUN_APPLIANCES_MAX * 160] = "", share[16];
	size_t used = 0;

	if (s->appliance.count > RUN_APPLIANCES_MAX) {
		command_say("run", "at most %d appliances", RUN_APPLIANCES_MAX);
		return -1;
	}
	for (size_t i = 0; i < s->appliance.count; i++) {
		if (strlen(s->appliance.items[i]) > 127) {
			command_say("run", "--appliance %s is too long",
				    s->appliance.items[i]);
			return -1;
		}
		used += snprintf(list + used, sizeof(list) - used, "%s%s",
				 used ? "\n" : "", s->appliance.items[i]);
	}
	if (daemon)
		snprintf(list, sizeof(list), "%s", daemon);
	setenv(RUN_ENV_APPLIANCES, list, 1);
	set_credentials(s->appliance.count > 0);
	if (s->local.percent > 0) {
		snprintf(share, sizeof(share), "%u%%", s->local.percent);
		setenv(RUN_ENV_LOCAL, share, 1);
		unsetenv("EXTMEM_LOCAL"); /* no share, there */
	} else {
		set_number(RUN_ENV_LOCAL, s->local.size);
	}
	if (s->strategy[0] != '\0')
		setenv("EXTMEM_STRATEGY", s->strategy, 1);
	if (s->seal)
		setenv("EXTMEM_SEAL", "all", 1);
	set_number(RUN_ENV_LIMIT, s->limit);
	setenv(RUN_ENV_ADVISE, advise_names[s->advise], 1);
	set_number(RUN_ENV_EXTERNAL, s->external);
	set_number(RUN_ENV_OPEN_AFTER, s->open_after);
	set_number(RUN_ENV_THRESHOLD, s->threshold);
	setenv(RUN_ENV_PAGING, paging_names[s->paging], 1);
	setenv(RUN_ENV_CALLS, calls_names[s->calls], 1);
	setenv(RUN_ENV_OVERFLOW, s->overflow ? "local" : "fail", 1);
	setenv(RUN_ENV_CHILDREN, s->children ? "same" : "plain", 1);
	setenv(RUN_ENV_FORK, fork_names[s->fork], 1);
	setenv(RUN_ENV_LOCAL_REST, rest_names[s->local_rest], 1);
	setenv(RUN_ENV_NESTING, "00", 0);
	set_number(RUN_ENV_SHARED_FD, (uint64_t)shared_fd);
	return set_preload();
}
