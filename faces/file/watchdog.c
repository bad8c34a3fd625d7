/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog; see watchdog.h. It opens and allocates nothing after it has begun: when it
 * is needed, whoever does may wait for ever.
 *
 * Fork and not threads: the process that serves may be stopped.
 */
#include "faces/file/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "faces/file/log.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif


int face_lock_memory(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "-1000", 5);
		close(fd);
	}
	/* Not everybody who may lock memory may do that. */
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	/* The addresses that are reserved for mappings have no memory. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		return -errno;
	return 0;
}

/* Shared by the process that serves, the one that looks, and the watchdog. */
struct watched {
	_Atomic uint64_t answered; /* requests */
	_Atomic uint64_t looks;
	_Atomic bool waits; /* a request did, at the last look */
};

static const struct timespec second = { .tv_sec = 1 };

/* The kernel's file must be opened for each look, and that may itself wait for memory: so
 * who looks is not the watchdog. */
static void look(const char *path, struct watched *w)
{
	for (;; nanosleep(&second, NULL)) {
		char text[24] = "";
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return;
		w->waits = read(fd, text, sizeof(text) - 1) > 0 && text[0] != '0';
		close(fd);
		w->looks++;
	}
}

static void watch(int abort_fd, uint64_t deadline_s, struct watched *w)
{
	uint64_t answered = w->answered, looks = w->looks, idle_s = 0;

	while (idle_s < deadline_s) {
		nanosleep(&second, NULL);
		/* Two looks may fall between two of our seconds, or none. */
		if (w->answered != answered || (w->looks != looks && !w->waits))
			idle_s = 0;
		else
			idle_s++;
		answered = w->answered;
		looks = w->looks;
	}
	(void)!write(abort_fd, "1", 1);
	face_say("no request was answered for %llu s: the connection was ended, "
		 "and so are programs whose memory was there",
		 (unsigned long long)deadline_s);
}

/* In a child. What its parent has open ends with its parent. */
static void begin(pid_t parent, const char *name, int kept_fd, bool background)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < (background ? 3 : 2); fd++)
		dup2(null, fd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	for (int fd = 3; fd < 1024; fd++)
		if (fd != kept_fd)
			close(fd);
	face_log_begin(background);
	if (getppid() != parent || face_lock_memory() != 0)
		_exit(1);
}

int face_watchdog_begin(unsigned connection, uint64_t deadline_s, bool background,
			_Atomic uint64_t **ret_answered)
{
	char waiting[96], aborts[96];
	int abort_fd;
	pid_t parent = getpid(), child;
	struct watched *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return -errno;
	snprintf(waiting, sizeof(waiting), "/sys/fs/fuse/connections/%u/waiting",
		 connection);
	snprintf(aborts, sizeof(aborts), "/sys/fs/fuse/connections/%u/abort",
		 connection);
	abort_fd = open(aborts, O_WRONLY | O_CLOEXEC);
	if (abort_fd < 0 || access(waiting, R_OK) != 0)
		return -errno;
	child = fork();
	if (child == 0) {
		begin(parent, "extmem-watchdog", abort_fd, background);
		parent = getpid();
		child = fork();
		if (child == 0) {
			begin(parent, "extmem-look", -1, background);
			look(waiting, shared);
		} else if (child > 0) {
			watch(abort_fd, deadline_s, shared);
		}
		_exit(1);
	}
	close(abort_fd);
	*ret_answered = &shared->answered;
	return child > 0 ? 0 : -EAGAIN;
}
