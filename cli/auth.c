/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem auth`: executes extmem-auth, which alone among the programs is linked with
 * OpenSSL.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/auth.h"
#include "cli/command.h"

#define PROGRAM "/extmem-auth"

bool auth_find(char *path, size_t size)
{
	char self[PATH_MAX - sizeof(PROGRAM)];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return false;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, size, "%s" PROGRAM, self);
	return access(path, X_OK) == 0;
}

bool auth_check(const char *file, char *words, size_t size)
{
	char path[PATH_MAX];
	int ends[2], status = -1;
	ssize_t n = 0;
	pid_t pid;

	snprintf(words, size, "this build has no TLS (Debian: libssl-dev)");
	if (!auth_find(path, sizeof(path)) || pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		execl(path, "extmem-auth", "check", file, NULL);
		_exit(127);
	}
	close(ends[1]);
	if (pid > 0) {
		n = read(ends[0], words, size - 1);
		waitpid(pid, &status, 0);
	}
	close(ends[0]);
	words[n > 0 ? n : 0] = '\0';
	words[strcspn(words, "\n")] = '\0';
	return status == 0;
}

int command_auth(int argc, char *argv[])
{
	static char name[] = "extmem-auth";
	char path[PATH_MAX];

	(void)argc;
	if (!auth_find(path, sizeof(path))) {
		command_say("auth", "extmem-auth is not beside this program: "
				    "configure and build again with OpenSSL "
				    "(Debian: libssl-dev)");
		return COMMAND_NO;
	}
	argv[0] = name;
	execv(path, argv);
	command_say("auth", "%s: %s", path, strerror(errno));
	return COMMAND_NO;
}
