/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem run`: starts the program with the shim, starts an appliance when the program
 * needs it if none was named, and stays: forwards signals (stop.h), shows progress, and when the
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
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/copies.h"
#include "cli/daemon.h"
#include "cli/program.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/slow.h"
#include "cli/stop.h"
#include "common/clock.h"
#include "preload/shared.h"

#define SHARED_FD_GOOD 100 /* away from what programs use and close */
#define LEASE_END_MS 1000

struct run {
	struct run_settings settings;
	struct daemon daemon;
	bool daemon_started, daemon_ended;
	struct run_shared *shared;
	int shared_fd;
	char file[64]; /* its name; "": it has none */
	uint32_t former_ended;
	struct copies copies;
	pid_t pid;
	uint64_t started_ns;
	sigset_t before;
	sigset_t ending; /* what ends the run before the program is started */
	struct run_outcome outcome;
};

/* --- before ------------------------------------------------------------------ */

/* A file that `extmem top` finds; or one without a name, where there can be
 * none: that is said where there could, had it room. */
static int open_shared(struct run *run)
{
	int fd = run_shared_make(run->file, sizeof(run->file));

	if (fd >= 0)
		return fd;
	if (fd == -ENOSPC || fd == -EDQUOT)
		command_say("run", "%s has no room for the figures: `extmem "
			    "top` does not show this program", RUN_FOLDER);
	fd = memfd_create("extmem-run", MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, sizeof(struct run_file)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
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
	if (fd < 0 || run->shared_fd < 0) {
		command_say("run", "no memory file for statistics: %s; is "
			    "ulimit -n too low?", strerror(errno));
		return -1;
	}
	run->shared = mmap(NULL, sizeof(struct run_file),
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

static int start_daemon(struct run *run)
{
	uint64_t size = run->settings.external;
	int signal_fd, rc;

	if (run->settings.appliance.count > 0)
		return 0;
	/* Slack: the granule, and what alignment takes; and for pages as they
	 * were when the program forked. */
	size = size ? size + 4 * XM_MIB +
			      (run->settings.fork == 0 ? size / 4 : 0)
		    : daemon_size_default();
	/* Without a descriptor left, a signal is seen after the start. */
	signal_fd = signalfd(-1, &run->ending, SFD_CLOEXEC);
	rc = daemon_start(&run->daemon, size, signal_fd);
	run->daemon_started = rc == 0;
	if (signal_fd >= 0)
		close(signal_fd);
	return rc;
}

/* A program that needs none is not to wait for it. Others open their clients
 * before they begin, and children have nobody whom they could ask. */
static bool starts_by_need(const struct run *run)
{
	return run->settings.appliance.count == 0 &&
	       run->settings.open_after > 0 && !run->settings.children;
}

/* The program has asked. It sleeps on the word that is written. */
static void start_asked(struct run *run)
{
	_Atomic uint32_t *asks = &run->shared->appliance_asks;
	uint32_t answer = RUN_APPLIANCE_FAILED;

	if (start_daemon(run) == 0) {
		snprintf(run->shared->appliance_address,
			 sizeof(run->shared->appliance_address), "%.127s",
			 run->daemon.process.address);
		answer = RUN_APPLIANCE_THERE;
	}
	atomic_store(asks, answer);
	syscall(SYS_futex, asks, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Makes the wait for signals end when the program asks. */
static void *await_ask(void *p)
{
	_Atomic uint32_t *asks = p;

	while (atomic_load(asks) == RUN_APPLIANCE_BY_NEED)
		syscall(SYS_futex, asks, FUTEX_WAIT, RUN_APPLIANCE_BY_NEED,
			NULL, NULL, 0);
	kill(getpid(), SIGCHLD);
	return NULL;
}

/* With all signals blocked, as the thread's are then. */
static int watch_for_ask(struct run *run)
{
	pthread_t thread;
	int error;

	atomic_store(&run->shared->appliance_asks, RUN_APPLIANCE_BY_NEED);
	error = pthread_create(&thread, NULL, await_ask,
			       &run->shared->appliance_asks);
	if (error != 0) {
		command_say("run", "no thread: %s", strerror(error));
		return -error;
	}
	pthread_detach(thread);
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

/* After block_signals(). The signals that would have ended this process, had they
 * not been blocked. A signal that is ignored (SIGHUP under nohup) or was blocked
 * before is left to the program, which inherits that. A handler is none of ours:
 * a library, such as a provider of libfabric, has set it. */
static void find_ending_signals(struct run *run)
{
	sigemptyset(&run->ending);
	for (size_t i = 0; i < XM_COUNT(forwarded); i++) {
		int number = forwarded[i];
		struct sigaction action;

		if (number != SIGWINCH && number != SIGCONT &&
		    sigaction(number, NULL, &action) == 0 &&
		    action.sa_handler != SIG_IGN &&
		    !sigismember(&run->before, number))
			sigaddset(&run->ending, number);
	}
}

/* True if a signal has come that ends the run; *ret_status is then its exit
 * status. The program, which is not there yet, cannot have had it, even if it
 * came from the terminal. */
static bool ended_early(const struct run *run, int *ret_status)
{
	const struct timespec now = { 0 };
	int number = sigtimedwait(&run->ending, NULL, &now);

	if (number <= 0)
		return false;
	command_say("run", "signal %d (%s) came before the program was started",
		    number, strsignal(number));
	*ret_status = 128 + number;
	return true;
}

/* Returns 0, or the errno of exec. */
static int start_program(struct run *run, const char *path, char *argv[])
{
	pid_t parent = getpid();
	int pipes[2], error = 0;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return errno;
	run->started_ns = xm_clock_ns();
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
		run->shared->pid_space = run_shared_space();
		if (run_environment_set(&run->settings,
					run->daemon_started
						? run->daemon.process.address
						: NULL,
					run->shared_fd) < 0)
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
		(unsigned long long)((xm_clock_ns() - run->started_ns) / XM_SECOND),
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
		now = xm_clock_ns();
		if (run->settings.progress && now - shown_ns >= XM_SECOND) {
			show_progress(run);
			shown_ns += XM_SECOND;
		}
		if (atomic_load(&run->shared->appliance_asks) ==
		    RUN_APPLIANCE_ASKED)
			start_asked(run);
		copies_look(&run->copies, &run->shared->stats);
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
	run->outcome.wall_s = (double)(xm_clock_ns() - run->started_ns) / 1e9;
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

#define SLOW_LEAST_NS XM_SECOND /* it waited so long: what is shorter is no matter */

static void say_slow(const struct run *run)
{
	struct slow slow;
	char words[80], remedy[80];

	slow_find(run->shared, NULL, run->outcome.wall_s, &slow);
	/* One that is recorded is to be slow. */
	if (getenv(RUN_ENV_RECORD) || !slow_is(&slow) || run->shared->stats.waited_ns < SLOW_LEAST_NS)
		return;
	slow_words(&slow, "waited", words, sizeof(words));
	slow_remedy(&slow, remedy, sizeof(remedy));
	command_say("run", "the program %s:\n"
		    "  %s\n"
		    "  see --local, --advise and extmem-run(7), SLOW PROGRAMS",
		    words, remedy);
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
	copies_look(&run->copies, &run->shared->stats);
	say_slow(run);
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
	int r = program_find(argv[0], path, words, sizeof(words)), status;

	if (r < 0) {
		command_say("run", "%s", words);
		return r == -ENOENT  ? COMMAND_RUN_NOT_FOUND
		       : r == -ENOEXEC ? COMMAND_RUN_FAILED
				       : COMMAND_RUN_CANNOT;
	}
	if (run->settings.stats[0] && report_check(run->settings.stats) < 0)
		return COMMAND_RUN_FAILED;
	if (run_preload_find(words, sizeof(words)) < 0)
		return COMMAND_RUN_FAILED;
	block_signals(&run->before);
	find_ending_signals(run);
	if (make_shared(run, path) < 0)
		return COMMAND_RUN_FAILED;
	r = starts_by_need(run) ? watch_for_ask(run) : start_daemon(run);
	if (ended_early(run, &status))
		return status;
	if (r < 0)
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

	status = command_options(&run_options, &run.settings, argc, argv, &o,
				 &rest);
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
	/* The program is not to start another one behind its own back. */
	if (status < 0 && !command_appliances("run", &run.settings.appliance))
		status = COMMAND_RUN_FAILED;
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
