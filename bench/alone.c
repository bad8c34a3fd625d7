/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts played in a process of their own; see alone.h. */
#include "bench/alone.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_MS 60000
#define FLAG "--part"

static const struct {
	const char *name;
	bool (*answer)(const char *argument, const char *question, char *ret,
		       size_t size);
} parts[] = {
	{ "floor", floor_answer },
	{ "idle", idle_answer },
	{ "malloc", malloc_answer },
	{ "raw", raw_answer },
};

/* This one's environment, with LD_PRELOAD if asked for; to be freed. */
static char **environment_of(const char *preload, char *variable, size_t size)
{
	size_t count = 0, used = 0;
	char **list;

	while (environ[count] != NULL)
		count++;
	list = calloc(count + 2, sizeof(*list));
	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (preload == NULL ||
		    strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
			list[used++] = environ[i];
	}
	if (preload != NULL) {
		snprintf(variable, size, "LD_PRELOAD=%s", preload);
		list[used] = variable;
	}
	return list;
}

/* vfork for the reason that appliance.c gives. */
static pid_t spawn(char *const argv[], char *const environment[], int fd)
{
	pid_t parent = getpid(), pid;

	pid = vfork();
	if (pid != 0)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	execve("/proc/self/exe", argv, environment);
	_exit(127);
}

bool alone_start(struct alone *a, const char *part, const char *argument,
		 const char *preload)
{
	const char *argv[] = { "extmem-bench", FLAG, part, argument, NULL };
	char variable[256];
	char **environment = environment_of(preload, variable,
					    sizeof(variable));
	int pair[2];

	a->pid = 0;
	if (environment == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(environment);
		return false;
	}
	a->pid = spawn((char **)argv, environment, pair[1]);
	free(environment);
	close(pair[1]);
	if (a->pid < 0) {
		a->pid = 0;
		close(pair[0]);
		return false;
	}
	a->to = a->from = pair[0];
	return true;
}

static bool read_answer(int fd, char *ret, size_t size)
{
	size_t used = 0;

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

		if (used == size || poll(&poll_fd, 1, ANSWER_TIMEOUT_MS) <= 0 ||
		    read(fd, ret + used, 1) != 1)
			return false;
		if (ret[used] == '\n') {
			ret[used] = '\0';
			return true;
		}
		used++;
	}
}

bool alone_ask(struct alone *a, const char *question, char *ret, size_t size)
{
	char line[256];
	int length = snprintf(line, sizeof(line), "%s\n", question);

	if (a->pid == 0)
		return false;
	if (send(a->to, line, (size_t)length, MSG_NOSIGNAL) == length &&
	    read_answer(a->from, ret, size))
		return true;
	alone_stop(a);
	return false;
}

void alone_stop(struct alone *a)
{
	if (a->pid == 0)
		return;
	close(a->to);
	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
	a->pid = 0;
}

void alone_main(int argc, char *argv[])
{
	char question[256], answer[512] = "";
	size_t i = 0;

	if (argc != 4 || strcmp(argv[1], FLAG) != 0)
		return;
	prctl(PR_SET_NAME, "extmem-bench"); /* it was started as "exe" */
	while (i < sizeof(parts) / sizeof(*parts) &&
	       strcmp(parts[i].name, argv[2]) != 0)
		i++;
	if (i == sizeof(parts) / sizeof(*parts))
		exit(2);
	if (!parts[i].answer(argv[3], NULL, answer, sizeof(answer))) {
		fprintf(stderr, "extmem-bench: %s\n", answer);
		exit(1);
	}
	while (fgets(question, sizeof(question), stdin) != NULL) {
		question[strcspn(question, "\n")] = '\0';
		if (!parts[i].answer(argv[3], question, answer,
				     sizeof(answer))) {
			fprintf(stderr, "extmem-bench: %s\n", answer);
			exit(1);
		}
		printf("%s\n", answer);
		fflush(stdout);
	}
	exit(0);
}
