/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem run`: starts an appliance if none was named, starts the program
 * with the shim, and stays: forwards signals (stop.h), shows progress, and when the
 * program has ended says what became of it and writes the statistics.
 *
 * The shim keeps its figures in a memory file that both have mapped
 * (run/shared.h), so they are there however the program ends. What the
 * terminal sends goes to the whole foreground group and is not sent twice.
 * If this process is killed, the program and the appliance are ended too
 * (PR_SET_PDEATHSIG): without it nobody would know of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/program.h"
#include "cli/report.h"
#include "cli/stop.h"
#include "preload/shared.h"

#define SHARED_FD_GOOD 100 /* away from what programs use and close */
#define LEASE_END_MS 1000
#define PRELOAD_NAME "libextmem-run.so"

struct settings {
	struct xm_option_share local;
	uint64_t external, limit, threshold, kill_after_ns;
	struct xm_option_list appliance;
	const char *stats;
	uint32_t advise, paging, calls, overflow, children, fork;
	bool progress;
};

static const char *const advise_names[] = { "", "sequential", "random" };
static const char *const paging_names[] = { "auto", "inline", "thread" };
static const char *const fork_names[] = { "snapshot", "absent", "refuse" };
static const char *const calls_names[] = { "auto", "trap", "wrap" };

static const struct xm_option options[] = {
	{ .name = "local",
	  .kind = XM_OPTION_SHARE,
	  .letter = 'l',
	  .value = "64M",
	  .min = XM_MIB,
	  .help = "Local memory, most, for what is external: so much, or such "
		  "a share of the most that the program has used so far, 4 "
		  "MiB at least.",
	  .destination = offsetof(struct settings, local) },
	{ .name = "appliance",
	  .kind = XM_OPTION_LIST,
	  .letter = 'a',
	  .unit = "ADDR",
	  .help = "Where the memory is: ofi+tcp://host:7470. May be repeated. "
		  "Without it an appliance is started on this machine for the "
		  "run.",
	  .destination = offsetof(struct settings, appliance) },
	{ .name = "external",
	  .kind = XM_OPTION_SIZE,
	  .letter = 'e',
	  .help = "External memory, most. It is taken as it is needed; "
		  "without this, as long as the appliance has some.",
	  .destination = offsetof(struct settings, external) },
	{ .name = "limit",
	  .kind = XM_OPTION_SIZE,
	  .help = "More than this the program is not given: its malloc() "
		  "fails with ENOMEM. 0: no limit.",
	  .destination = offsetof(struct settings, limit) },
	{ .name = "advise",
	  .kind = XM_OPTION_CHOICE,
	  .value = "normal",
	  .choices = "normal|sequential|random",
	  .help = "How the program goes about its memory, as far as it does "
		  "not say so itself by madvise().",
	  .destination = offsetof(struct settings, advise) },
	{ .name = "threshold",
	  .kind = XM_OPTION_SIZE,
	  .letter = 't',
	  .value = "0",
	  .help = "Allocations of this size and more are external. 0: all, "
		  "where every system call can be served (--calls), else from "
		  "2 MiB on.",
	  .destination = offsetof(struct settings, threshold) },
	{ .name = "stats",
	  .kind = XM_OPTION_TEXT,
	  .letter = 's',
	  .unit = "FILE",
	  .help = "Write statistics there at the end, as JSON; - is stderr.",
	  .destination = offsetof(struct settings, stats) },
	{ .name = "paging",
	  .kind = XM_OPTION_CHOICE,
	  .value = "auto",
	  .choices = "auto|inline|thread",
	  .help = "Who serves a fault: the thread that met it, or another, so "
		  "that the kernel can meet one too (needs privilege).",
	  .destination = offsetof(struct settings, paging) },
	{ .name = "calls",
	  .kind = XM_OPTION_CHOICE,
	  .value = "auto",
	  .choices = "auto|trap|wrap",
	  .help = "System calls that are given external memory: all are served, "
		  "by a seccomp filter that traps them, or those alone that are "
		  "made through libc's functions.",
	  .destination = offsetof(struct settings, calls) },
	{ .name = "overflow",
	  .kind = XM_OPTION_CHOICE,
	  .value = "fail",
	  .choices = "fail|local",
	  .help = "When no external memory is left: tell the program that "
		  "there is no memory, or use local memory and count it.",
	  .destination = offsetof(struct settings, overflow) },
	{ .name = "children",
	  .kind = XM_OPTION_CHOICE,
	  .value = "plain",
	  .choices = "plain|same",
	  .help = "Programs that the program starts run without external "
		  "memory, or with the same settings and a budget each.",
	  .destination = offsetof(struct settings, children) },
	{ .name = "fork",
	  .kind = XM_OPTION_CHOICE,
	  .value = "snapshot",
	  .choices = "snapshot|absent|refuse",
	  .help = "What a child made by fork() has of the external memory: all, "
		  "as it was then; nothing; or there is no fork().",
	  .destination = offsetof(struct settings, fork) },
	{ .name = "kill_after",
	  .kind = XM_OPTION_DURATION,
	  .letter = 'k',
	  .value = "10s",
	  .help = "A program that has not ended so long after SIGTERM is "
		  "killed; after a second SIGTERM at once. 0: only then.",
	  .destination = offsetof(struct settings, kill_after_ns) },
	{ .name = "progress",
	  .kind = XM_OPTION_FLAG,
	  .letter = 'p',
	  .help = "A line a second on stderr.",
	  .destination = offsetof(struct settings, progress) },
};

static const struct xm_option_table table = {
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

struct run {
	struct settings settings;
	struct daemon daemon;
	bool daemon_started, daemon_ended;
	struct run_shared *shared;
	int shared_fd;
	char file[64]; /* its name; "": it has none */
	uint32_t former_ended;
	pid_t pid;
	uint64_t started_ns;
	sigset_t before;
	struct run_outcome outcome;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * XM_SECOND + (uint64_t)t.tv_nsec;
}

/* --- before ------------------------------------------------------------------ */

static int find_preload(char path[PATH_MAX])
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
			snprintf(path, PATH_MAX, places[i], self);
			if (access(path, R_OK) == 0)
				return 0;
		}
	}
#ifdef EXTMEM_PKGLIBDIR
	snprintf(path, PATH_MAX, "%s", EXTMEM_PKGLIBDIR "/" PRELOAD_NAME);
	if (access(path, R_OK) == 0)
		return 0;
#endif
	return -ENOENT;
}

static int set_preload(void)
{
	char path[PATH_MAX], value[PATH_MAX * 2];
	const char *others = getenv("LD_PRELOAD");

	if (find_preload(path) < 0) {
		command_say("run", "%s is not beside this program, nor where "
				   "it was installed", PRELOAD_NAME);
		return -1;
	}
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

/* A file that `extmem top` finds; or one without a name, where there can be
 * none. The lock says that somebody keeps it. */
static int open_shared(struct run *run)
{
	int fd;

	snprintf(run->file, sizeof(run->file), RUN_FOLDER "/" RUN_FILE_PREFIX
		 "%u.%d", (unsigned)getuid(), (int)getpid());
	fd = open(run->file, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd >= 0 && flock(fd, LOCK_SH) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	run->file[0] = '\0';
	return memfd_create("extmem-run", 0);
}

static void close_shared(struct run *run)
{
	if (run->file[0])
		unlink(run->file);
}

/* Where few descriptors are allowed, in the middle of them. */
static int shared_fd_min(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur > 2 * SHARED_FD_GOOD)
		return SHARED_FD_GOOD;
	return (int)limit.rlim_cur / 2;
}

static int make_shared(struct run *run, const char *program)
{
	const char *name = strrchr(program, '/');
	int fd = open_shared(run);

	if (fd >= 0) {
		int error;

		run->shared_fd = fcntl(fd, F_DUPFD, shared_fd_min());
		error = errno;
		close(fd);
		errno = error;
	}
	if (fd < 0 || run->shared_fd < 0 ||
	    ftruncate(run->shared_fd, sizeof(struct run_shared)) < 0) {
		command_say("run", "no memory file for statistics: %s; is "
			    "%s full, or ulimit -n too low?",
			    strerror(errno), RUN_FOLDER);
		return -1;
	}
	run->shared = mmap(NULL, sizeof(struct run_shared),
			   PROT_READ | PROT_WRITE, MAP_SHARED, run->shared_fd,
			   0);
	if (run->shared == MAP_FAILED) {
		command_say("run", "cannot map the statistics: %s",
			    strerror(errno));
		return -1;
	}
	snprintf(run->shared->program, sizeof(run->shared->program), "%.63s",
		 name ? name + 1 : program);
	run->shared->magic = RUN_MAGIC;
	return 0;
}

static void set_number(const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	setenv(name, text, 1);
}

static int set_environment(const struct run *run)
{
	const struct settings *s = &run->settings;
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
	if (run->daemon_started)
		snprintf(list, sizeof(list), "%s", run->daemon.process.address);
	setenv(RUN_ENV_APPLIANCES, list, 1);
	if (s->local.percent > 0) {
		snprintf(share, sizeof(share), "%u%%", s->local.percent);
		setenv(RUN_ENV_LOCAL, share, 1);
		unsetenv("EXTMEM_LOCAL"); /* no share, there */
	} else {
		set_number(RUN_ENV_LOCAL, s->local.size);
	}
	set_number(RUN_ENV_LIMIT, s->limit);
	setenv(RUN_ENV_ADVISE, advise_names[s->advise], 1);
	set_number(RUN_ENV_EXTERNAL, s->external);
	set_number(RUN_ENV_THRESHOLD, s->threshold);
	setenv(RUN_ENV_PAGING, paging_names[s->paging], 1);
	setenv(RUN_ENV_CALLS, calls_names[s->calls], 1);
	setenv(RUN_ENV_OVERFLOW, s->overflow ? "local" : "fail", 1);
	setenv(RUN_ENV_CHILDREN, s->children ? "same" : "plain", 1);
	setenv(RUN_ENV_FORK, fork_names[s->fork], 1);
	setenv(RUN_ENV_NESTING, "00", 0);
	set_number(RUN_ENV_SHARED_FD, (uint64_t)run->shared_fd);
	return set_preload();
}

static int start_daemon(struct run *run)
{
	uint64_t size = run->settings.external;

	if (run->settings.appliance.count > 0)
		return 0;
	/* Slack: the granule, and what alignment takes; and for pages as they
	 * were when the program forked. */
	size = size ? size + 4 * XM_MIB +
			      (run->settings.fork == 0 ? size / 4 : 0)
		    : daemon_size_default();
	if (daemon_start(&run->daemon, size) < 0)
		return -1;
	run->daemon_started = true;
	return 0;
}

static void stop_daemon(struct run *run)
{
	if (run->daemon_started && !run->daemon_ended)
		daemon_stop(&run->daemon);
	run->daemon_started = false;
}

/* --- the program --------------------------------------------------------------- */

static const int forwarded[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				 SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH,
				 SIGCONT };

static void block_signals(sigset_t *ret_before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < XM_COUNT(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, ret_before);
}

/* Returns 0, or the errno of exec. */
static int start_program(struct run *run, const char *path, char *argv[])
{
	pid_t parent = getpid();
	int pipes[2], error = 0;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return errno;
	run->started_ns = now_ns();
	run->pid = fork();
	if (run->pid < 0) {
		error = errno;
		close(pipes[0]);
		close(pipes[1]);
		return error;
	}
	if (run->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(COMMAND_RUN_FAILED);
		sigprocmask(SIG_SETMASK, &run->before, NULL);
		run->shared->pid = (uint32_t)getpid();
		if (set_environment(run) < 0)
			_exit(COMMAND_RUN_FAILED);
		execvp(path, argv);
		error = errno;
		if (write(pipes[1], &error, sizeof(error)) < 0)
			_exit(COMMAND_RUN_FAILED);
		_exit(COMMAND_RUN_CANNOT);
	}
	close(pipes[1]);
	if (read(pipes[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(pipes[0]);
	if (error)
		waitpid(run->pid, NULL, 0);
	return error;
}

static void show_progress(const struct run *run)
{
	const struct extmem_stats *s = &run->shared->stats;

	fprintf(stderr,
		"extmem run: %3llu s, moved %.0f MiB (in %.0f, out %.0f), "
		"faults %llu, local %.1f of %.1f MiB\n",
		(unsigned long long)((now_ns() - run->started_ns) / XM_SECOND),
		(double)(s->bytes_read + s->bytes_written) / XM_MIB,
		(double)s->bytes_read / XM_MIB,
		(double)s->bytes_written / XM_MIB,
		(unsigned long long)s->faults, (double)s->local_now / XM_MIB,
		(double)s->local_limit / XM_MIB);
}

/* True when the program has ended. */
static bool reap(struct run *run)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		if (pid == run->pid) {
			run->outcome.status = status;
			run->outcome.peak_resident =
				(uint64_t)usage.ru_maxrss * 1024;
			run->outcome.user_s = (double)usage.ru_utime.tv_sec +
					      usage.ru_utime.tv_usec / 1e6;
			run->outcome.system_s = (double)usage.ru_stime.tv_sec +
						usage.ru_stime.tv_usec / 1e6;
			return true;
		}
		if (run->daemon_started && pid == run->daemon.process.pid) {
			run->daemon_ended = true;
			command_say("run", "the appliance of this run, %s, has "
					   "ended",
				    run->daemon.process.address);
		}
	}
	return false;
}

/* So that others need not wait until they end by themselves; where that fails,
 * they do. */
static void end_leases(const struct extmem_lease *leases, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		extmem_lease_end(&leases[i], LEASE_END_MS);
}

/* Of what the program was before exec(). */
static void end_former(struct run *run)
{
	uint32_t count = atomic_load(&run->shared->former_count);

	if (count > RUN_FORMER_MAX)
		count = RUN_FORMER_MAX;
	end_leases(run->shared->former + run->former_ended,
		   count - run->former_ended);
	run->former_ended = count;
}

/* An appliance of this run ends with it. */
static void end_all(struct run *run)
{
	uint32_t count = run->shared->lease_count;

	if (run->daemon_started)
		return;
	end_former(run);
	end_leases(run->shared->leases,
		   count < RUN_APPLIANCES_MAX ? count : RUN_APPLIANCES_MAX);
}

static void supervise(struct run *run)
{
	struct stop stop = { .pid = run->pid,
			     .patience_ns = run->settings.kill_after_ns };
	uint64_t shown_ns = run->started_ns, now = shown_ns, wait_ns;
	struct timespec wait;
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < XM_COUNT(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	while (!reap(run)) {
		int number;

		wait_ns = stop_look(&stop, now, XM_SECOND);
		wait.tv_sec = (time_t)(wait_ns / XM_SECOND);
		wait.tv_nsec = (long)(wait_ns % XM_SECOND);
		number = sigtimedwait(&set, &info, &wait);
		now = now_ns();
		if (run->settings.progress && now - shown_ns >= XM_SECOND) {
			show_progress(run);
			shown_ns += XM_SECOND;
		}
		if (!run->daemon_started)
			end_former(run);
		if (number <= 0 || number == SIGCHLD)
			continue;
		/* From the terminal: the program has had it as well. */
		if (info.si_code == SI_KERNEL &&
		    (number == SIGINT || number == SIGQUIT ||
		     number == SIGWINCH || number == SIGCONT))
			continue;
		stop_signal(&stop, number, now);
	}
	run->outcome.wall_s = (double)(now_ns() - run->started_ns) / 1e9;
	end_all(run);
}

/* --- after --------------------------------------------------------------------- */

static void say_lost(const struct run *run)
{
	const struct run_shared *s = run->shared;

	command_say("run",
		    "memory of the program was lost, and it got SIGBUS at "
		    "%#llx: %s", (unsigned long long)s->lost_address,
		    s->lost[0] ? s->lost : "the library does not say why");
	for (uint32_t i = 0; i < s->appliance_count; i++)
		if (strcmp(s->appliances[i].state, "ready") != 0)
			command_say("run", "appliance %s%s%s%s: %s",
				    s->appliances[i].appliance,
				    s->appliances[i].name[0] ? " (" : "",
				    s->appliances[i].name,
				    s->appliances[i].name[0] ? ")" : "",
				    s->appliances[i].state);
}

static int conclude(struct run *run)
{
	struct run_shared *s = run->shared;
	struct run_outcome *o = &run->outcome;
	uint32_t state = atomic_load(&s->state);
	int status = WIFSIGNALED(o->status) ? 128 + WTERMSIG(o->status)
					    : WEXITSTATUS(o->status);

	o->exit_status = status;
	if (state == RUN_REFUSED) /* the shim has said why */
		return COMMAND_RUN_FAILED;
	if (state == RUN_EMPTY)
		command_say("run", "the program, or what it turned into by "
				   "exec, never loaded the shim: all of its "
				   "memory was local");
	if (WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGBUS &&
	    (s->lost_address != 0 || s->stats.pages_lost > 0))
		say_lost(run);
	else if (WIFSIGNALED(o->status) && WTERMSIG(o->status) != SIGPIPE)
		command_say("run", "the program was ended by signal %d (%s)",
			    WTERMSIG(o->status), strsignal(WTERMSIG(o->status)));
	if (s->overflow_count > 0)
		command_say("run", "%llu allocations, %.1f MiB, found no "
				   "external memory and were local",
			    (unsigned long long)s->overflow_count,
			    (double)s->overflow_bytes / XM_MIB);
	if (run->settings.stats[0] &&
	    report_write(run->settings.stats, s, o) < 0 &&
	    status == COMMAND_OK)
		status = COMMAND_NO;
	return status;
}

static int begin(struct run *run, char *argv[])
{
	char path[PROGRAM_PATH_SIZE], words[PROGRAM_PATH_SIZE + 256];
	int r = program_find(argv[0], path, words, sizeof(words));

	if (r < 0) {
		command_say("run", "%s", words);
		return r == -ENOENT  ? COMMAND_RUN_NOT_FOUND
		       : r == -ENOEXEC ? COMMAND_RUN_FAILED
				       : COMMAND_RUN_CANNOT;
	}
	if (run->settings.stats[0] && report_check(run->settings.stats) < 0)
		return COMMAND_RUN_FAILED;
	if (find_preload(words) < 0) {
		command_say("run", "%s is not beside this program, nor where "
				   "it was installed", PRELOAD_NAME);
		return COMMAND_RUN_FAILED;
	}
	block_signals(&run->before);
	if (make_shared(run, path) < 0 || start_daemon(run) < 0)
		return COMMAND_RUN_FAILED;
	r = start_program(run, path, argv);
	if (r != 0) {
		command_say("run", "%s: %s", path, strerror(r));
		return r == ENOENT ? COMMAND_RUN_NOT_FOUND : COMMAND_RUN_CANNOT;
	}
	supervise(run);
	return -1;
}

int command_run(int argc, char *argv[])
{
	static struct run run;
	struct xm_options *o;
	int rest, status;

	status = command_options(&table, &run.settings, argc, argv, &o, &rest);
	if (status < 0 && rest >= argc) {
		command_say("run", "which program? `extmem run --help` says "
				   "more");
		status = COMMAND_USAGE;
	}
	if (status < 0 && run.settings.appliance.count == 0 &&
	    strncmp(xm_options_origin(o, "appliance"), "--", 2) == 0) {
		command_say("run", "--appliance is empty: give an address, or "
				   "leave it out, and one is started here");
		status = COMMAND_USAGE;
	}
	if (status < 0) {
		status = begin(&run, argv + rest);
		if (status < 0)
			status = conclude(&run);
		stop_daemon(&run);
		close_shared(&run);
	}
	xm_options_close(o);
	return status;
}
