/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See spawn.h.
 *
 * The child is made by vfork(), because a library of this process (an MPI's,
 * say) may have opened a network device whose registered pages a copied
 * address space would take away. So the child calls nothing but the kernel,
 * and changes only what is its own: the parent prepared all that it needs.
 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void find_daemon(char *path, size_t size)
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
			snprintf(path, size, places[i], self);
			if (access(path, X_OK) == 0)
				return;
		}
	}
	snprintf(path, size, "extmemd"); /* by PATH */
}

static pid_t start(const char *path, char *const argv[], int ready_fd,
		   int log_fd)
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;

	/* No handler of ours may run in the child, which shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0) {
		/* A group of its own: ^C is for the program, and it is told
		 * when to end. */
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		dup2(log_fd, STDERR_FILENO);
		dup2(log_fd, STDOUT_FILENO);
		fcntl(ready_fd, F_SETFD, 0);
		sigemptyset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		execvp(path, argv);
		_exit(127);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

/* Reads the line that says where it is. */
static int await_address(struct xm_spawned *s, int fd, int timeout_ms,
			 int cancel_fd)
{
	char line[sizeof(s->address) + 64] = "", *address;
	size_t used = 0;

	while (strchr(line, '\n') == NULL) {
		struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
					{ .fd = cancel_fd, .events = POLLIN } };
		ssize_t n;

		if (used == sizeof(line) - 1)
			return -EPROTO;
		if (poll(fds, XM_COUNT(fds), timeout_ms) <= 0)
			return -ETIMEDOUT;
		if (fds[1].revents != 0)
			return -EINTR;
		n = read(fd, line + used, sizeof(line) - 1 - used);
		if (n <= 0)
			return -ECHILD; /* it ended */
		used += (size_t)n;
		line[used] = '\0';
	}
	line[strcspn(line, "\n")] = '\0';
	address = strstr(line, "ofi+");
	if (address == NULL)
		return -EPROTO;
	address[strcspn(address, " ")] = '\0';
	if (strlen(address) >= sizeof(s->address))
		return -EPROTO;
	strcpy(s->address, address);
	return 0;
}

int xm_spawn(const char *listen, uint64_t memory, const char *const *flags,
	     int timeout_ms, int cancel_fd, struct xm_spawned *ret)
{
	char size[32], ready[16];
	/* execvp() changes none of them. */
	const char *argv[10 + XM_SPAWN_FLAGS_MAX] = {
		"extmemd", "--listen", listen, "--memory", size,
		"--ready-fd", ready, "--drain-timeout", "0",
	};
	size_t count = 9;
	int pipes[2];
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->log_fd = memfd_create("extmemd-log", MFD_CLOEXEC);
	if (ret->log_fd < 0 || pipe2(pipes, O_CLOEXEC) != 0)
		return -errno;
	find_daemon(ret->path, sizeof(ret->path));
	snprintf(size, sizeof(size), "%llu", (unsigned long long)memory);
	snprintf(ready, sizeof(ready), "%d", pipes[1]);
	for (size_t i = 0; flags != NULL && flags[i] != NULL; i++) {
		XM_ASSERT(i < XM_SPAWN_FLAGS_MAX);
		argv[count++] = flags[i];
	}
	ret->pid = start(ret->path, (char *const *)(uintptr_t)argv, pipes[1],
			 ret->log_fd);
	rc = ret->pid < 0 ? -errno : 0;
	close(pipes[1]);
	if (rc == 0)
		rc = await_address(ret, pipes[0], timeout_ms, cancel_fd);
	close(pipes[0]);
	return rc;
}

bool xm_spawned_show(const struct xm_spawned *s, FILE *to)
{
	char text[4096];
	ssize_t n = pread(s->log_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	fputs(text, to);
	if (text[n - 1] != '\n')
		fputc('\n', to);
	return true;
}

void xm_spawned_stop(struct xm_spawned *s, int timeout_ms)
{
	const struct timespec nap = { .tv_nsec = 10000000 };

	if (s->pid <= 0)
		return;
	kill(s->pid, SIGTERM);
	for (int waited_ms = 0; waited_ms < timeout_ms; waited_ms += 10) {
		if (waitpid(s->pid, NULL, WNOHANG) != 0) {
			s->pid = 0;
			return;
		}
		nanosleep(&nap, NULL);
	}
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void xm_spawned_close(struct xm_spawned *s)
{
	if (s->log_fd >= 0)
		close(s->log_fd);
	s->log_fd = -1;
}
