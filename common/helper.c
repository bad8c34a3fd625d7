/* SPDX-License-Identifier: BSD-3-Clause */
/* See helper.h. Floor: skin. */
#include "common/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool find_beside(const char *program, char *path, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return false;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	return (size_t)snprintf(path, size, "%s/%s", self, program) < size &&
	       access(path, X_OK) == 0;
}

bool xm_helper_find(const char *program, char *path, size_t size)
{
	const char *places = getenv("PATH");

	if (find_beside(program, path, size))
		return true;
	while (places != NULL && *places != '\0') {
		size_t n = strcspn(places, ":");

		if (*places == '/' &&
		    (size_t)snprintf(path, size, "%.*s/%s", (int)n, places, program) < size &&
		    access(path, X_OK) == 0)
			return true;
		places += n + (places[n] == ':');
	}
	return false;
}

/* With `fd` as input and output, and nothing else of ours but stderr. In a group of its own:
 * ^C is for the program, and it ends with its input. */
static int start(const char *path, const char *const argv[], int fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none;
	int error;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	posix_spawn_file_actions_adddup2(&files, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	error = posix_spawn(ret_pid, path, &files, &how, (char *const *)(uintptr_t)argv,
			    environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return -error;
}

int xm_helper_begin(const char *const argv[], int flags, pid_t *ret_pid, int *ret_fd)
{
	char path[PATH_MAX];
	int fds[2], rc;

	if (!xm_helper_find(argv[0], path, sizeof(path)))
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	rc = start(path, argv, fds[1], ret_pid);
	close(fds[1]);
	if (rc == 0 && fcntl(fds[0], F_SETFL, flags) != 0)
		rc = -errno;
	if (rc != 0)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return rc;
}
