/* SPDX-License-Identifier: BSD-3-Clause */
/* See confine.h. Floor: skin. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "appliance/confine.h"
#include "common/words.h"

#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

/* Their runtime opens files when it has something to say. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(XM_COVERED)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* --- capabilities, files ------------------------------------------------------- */

static bool drop_capabilities(bool pins)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct now[2], data[2] = { 0 };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, now) != 0)
		return false;
	if (pins)
		data[0].permitted = data[0].effective =
			now[0].permitted & 1u << CAP_IPC_LOCK;
	return syscall(SYS_capset, &head, data) == 0;
}

/* Of the first Landlock, which every kernel that has it knows. */
#define LANDLOCK_ALL                                                          \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |         \
	 LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |         \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |     \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |         \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |         \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |       \
	 LANDLOCK_ACCESS_FS_MAKE_SYM)

static bool close_files(bool shm)
{
	struct landlock_ruleset_attr all = { .handled_access_fs = LANDLOCK_ALL };
	struct landlock_path_beneath_attr below = {
		.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE |
				  LANDLOCK_ACCESS_FS_READ_FILE |
				  LANDLOCK_ACCESS_FS_REMOVE_FILE |
				  LANDLOCK_ACCESS_FS_MAKE_REG,
	};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	bool done = ruleset >= 0;

	if (!done)
		return false;
	if (shm) {
		below.parent_fd = open("/dev/shm", O_PATH | O_CLOEXEC);
		done = below.parent_fd >= 0 &&
		       syscall(SYS_landlock_add_rule, ruleset,
			       LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0;
		if (below.parent_fd >= 0)
			close(below.parent_fd);
	}
	done = done && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return done;
}

/* --- system calls ---------------------------------------------------------------- */

#ifdef HAVE_SECCOMP

/* What the loop, a transport on what is open, and the C library under them do. */
static const char *const calls[] = {
	"read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg",
	"sendmsg", "recvmmsg", "sendmmsg", "close", "shutdown", "accept",
	"accept4", "getsockopt", "setsockopt", "getsockname", "getpeername",
	"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait",
	"epoll_pwait2", "epoll_ctl", "epoll_create", "epoll_create1", "eventfd",
	"eventfd2", "pipe", "pipe2", "socketpair", "fstat", "newfstatat", "lseek", "munmap", "mremap",
	"madvise", "brk", "mlock", "mlock2", "munlock", "futex", "clock_gettime",
	"clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"sched_yield", "sched_getaffinity", "getcpu", "getpid", "gettid",
	"getuid", "geteuid", "getgid", "getegid", "getrandom", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
	"alarm", "setitimer", "set_robust_list", "rseq", "set_tid_address",
	"membarrier", "sync_file_range", "sync_file_range2", "exit", "exit_group",
};

/* Of ofi+shm: segments of its clients, and copies from and to their memory. */
static const char *const calls_shm[] = {
	"openat", "unlink", "unlinkat", "ftruncate", "process_vm_readv",
	"process_vm_writev",
};

static bool allow(scmp_filter_ctx filter, const char *const *names, size_t count)
{
	bool done = true;

	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);

		/* Not every architecture has all of them. */
		if (number != __NR_SCMP_ERROR && number >= 0)
			done = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) ==
				       0 &&
			       done;
	}
	return done;
}

/* Calls of which some arguments are harmless: memory that is not executed, threads, and
 * signals to ourselves, as abort() sends one. */
static bool allow_some(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp data = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	struct scmp_arg_cmp thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
					     CLONE_THREAD);
	struct scmp_arg_cmp ourselves = SCMP_A0(SCMP_CMP_EQ,
						(scmp_datum_t)getpid());

	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, data) ==
		       0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				data) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				thread) == 0 &&
	       /* Its arguments cannot be looked at: the C library then takes clone. */
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
				0) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				ourselves) == 0;
}

/* Of what fcntl() does, all but naming an owner: who may do that has the kernel send a signal
 * of his choice to any process of this user, such as the control process. */
static bool allow_fcntl(scmp_filter_ctx filter)
{
	static const int commands[] = {
		F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL,
		F_GETLK, F_SETLK, F_SETLKW,
	};
	bool done = true;

	for (size_t i = 0; i < XM_COUNT(commands); i++) {
		struct scmp_arg_cmp command =
			SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]);

		done = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
					command) == 0 && done;
	}
	return done;
}

/* What the store does with what is open. */
static const char *const calls_store[] = {
	"read", "write", "writev", "pread64", "pwrite64", "fdatasync", "fsync",
	"recvfrom", "sendto", "close", "fstat", "newfstatat", "munmap", "mremap",
	"madvise", "brk", "futex", "clock_gettime", "gettimeofday", "time",
	"getrandom", "getpid", "gettid", "sched_yield", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "restart_syscall", "exit", "exit_group",
};

static bool close_calls_of_store(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	bool done = filter != NULL &&
		    allow(filter, calls_store, XM_COUNT(calls_store)) &&
		    allow_some(filter) && seccomp_load(filter) == 0;

	seccomp_release(filter);
	return done;
}

static bool close_calls(bool shm, bool pins)
{
	static const char *const calls_device[] = { "ioctl" };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool done = filter != NULL;

	if (!done)
		return false;
	/* For all threads: a provider may have some. */
	done = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
	       allow(filter, calls, XM_COUNT(calls)) &&
	       (!shm || allow(filter, calls_shm, XM_COUNT(calls_shm))) &&
	       (!pins || allow(filter, calls_device, 1)) && allow_some(filter) &&
	       allow_fcntl(filter) &&
	       seccomp_load(filter) == 0;
	seccomp_release(filter);
	return done;
}

#else

static bool close_calls(bool shm, bool pins)
{
	(void)shm;
	(void)pins;
	return false;
}

static bool close_calls_of_store(void)
{
	return false;
}

#endif

/* Nothing but write() and _exit() here: whatever was under way is cut off. */
static void on_forbidden(int number, siginfo_t *info, void *context)
{
	char text[256];
	struct xm_words words;

	(void)number;
	(void)context;
	xm_words_begin(&words, text, sizeof(text));
	xm_words_add(&words, "extmemd: the store process made system call ");
	xm_words_number(&words, (uint64_t)info->si_syscall);
	xm_words_add(&words, ", which it may not make, and ends. If it is at its start, its C "
			     "library needs that call: begin with --no-confine, and "
			     "report it\n");
	if (write(STDERR_FILENO, text, words.used) < 0)
		_exit(2); /* nobody can be told */
	_exit(1);
}

/* Threads that a provider has begun keep what they had, but for system calls. */
static unsigned threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	unsigned count = 0;

	if (folder == NULL)
		return 0;
	for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder))
		count += e->d_name[0] != '.';
	closedir(folder);
	return count;
}

/* Returns the bit of what holds. */
static uint32_t say(struct xm_words *words, bool holds, uint32_t bit, const char *what)
{
	xm_words_add(words, words->used > 0 ? ", " : "");
	if (!holds)
		xm_words_add(words, "not ");
	xm_words_add(words, what);
	return holds ? bit : 0;
}

uint32_t xm_confine(const char *scheme, bool pins, char text[XM_CONFINED_SIZE])
{
	bool shm = strcmp(scheme, "ofi+shm") == 0;
	unsigned count = threads();
	struct xm_words words;
	uint32_t ret;

	xm_words_begin(&words, text, XM_CONFINED_SIZE);
	ret = say(&words, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			  drop_capabilities(pins),
		  XM_CONFINED_CAPABILITIES, "without capabilities");
	ret |= say(&words, !shm && prctl(PR_SET_DUMPABLE, 0) == 0, XM_CONFINED_TRACING,
		   "hidden from tracing");
	ret |= say(&words, close_files(shm), XM_CONFINED_FILES,
		   "without files (Landlock)");
	ret |= say(&words, !SANITIZED && close_calls(shm, pins), XM_CONFINED_CALLS,
		   "bound to few system calls (seccomp)");
	if (count > 1) {
		xm_words_add(&words, "; of its ");
		xm_words_number(&words, count);
		xm_words_add(&words, " threads one alone, but for system calls");
	}
	return ret;
}

void xm_confine_store(char text[XM_CONFINED_SIZE])
{
	struct sigaction forbidden = { .sa_sigaction = on_forbidden,
				       .sa_flags = SA_SIGINFO };
	struct xm_words words;

	sigaction(SIGSYS, &forbidden, NULL);
	xm_words_begin(&words, text, XM_CONFINED_SIZE);
	say(&words, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		    drop_capabilities(false), 0, "without capabilities");
	say(&words, prctl(PR_SET_DUMPABLE, 0) == 0, 0, "hidden from tracing");
	say(&words, !SANITIZED && close_files(false), 0,
	    "without files but its own (Landlock)");
	say(&words, !SANITIZED && close_calls_of_store(), 0,
	    "bound to few system calls (seccomp)");
}
