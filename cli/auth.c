/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem auth`: executes extmem-auth, which alone among the programs is linked with
 * OpenSSL.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/auth.h"
#include "cli/command.h"
#include "cli/program.h"

bool auth_check(const char *file, char *words, size_t size)
{
	char path[PROGRAM_PATH_SIZE];
	int ends[2], status = -1;
	ssize_t n = 0;
	pid_t pid;

	snprintf(words, size, "this build has no TLS (Debian: libssl-dev)");
	if (!program_beside("extmem-auth", path) || pipe2(ends, O_CLOEXEC) != 0)
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
	char path[PROGRAM_PATH_SIZE];

	(void)argc;
	if (!program_beside("extmem-auth", path)) {
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
