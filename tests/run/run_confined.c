/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_confined.sh, of libc alone: it confines itself by
 * seccomp(2), goes on with memory that has been pushed out, and is as confined as it
 * asked to be. The output is the same on any memory.
 *
 * 	run_confined USE
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define SIZE ((size_t)24 << 20)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "run_confined:%d: %s does not hold"
			 " (errno %d)\n", line, condition, errno);

	(void)!write(2, text, (size_t)n);
	syscall(SYS_exit_group, 1);
}

static void say(const char *words)
{
	CHECK(write(1, words, strlen(words)) == (ssize_t)strlen(words));
}

static char *memory;

static void take(void)
{
	memory = malloc(SIZE);
	CHECK(memory);
	for (size_t i = 0; i < SIZE; i++)
		memory[i] = (char)(i * 31 + i / PAGE);
}

/* Every page of it, most of which are away; stores too. */
static bool holds(char times)
{
	for (size_t i = 0; i < SIZE; i += PAGE / 2) {
		if (memory[i] != (char)(i * 31 + i / PAGE + (size_t)times))
			return false;
		memory[i]++;
	}
	return true;
}

/* --- filters ------------------------------------------------------------------------ */

#define NUMBER                                                                 \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define IF(number, answer)                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),                     \
		BPF_STMT(BPF_RET | BPF_K, answer)
#define ELSE(answer) BPF_STMT(BPF_RET | BPF_K, answer)
#define ALLOW SECCOMP_RET_ALLOW
#define FILTER(name, ...)                                                      \
	static struct sock_filter name##_list[] = { NUMBER, __VA_ARGS__ };     \
	static const struct sock_fprog name = {                                \
		sizeof(name##_list) / sizeof(name##_list[0]), name##_list      \
	}

FILTER(only_writes, IF(SYS_write, ALLOW), IF(SYS_exit_group, ALLOW),
       ELSE(SECCOMP_RET_KILL_PROCESS));
FILTER(no_parent, IF(SYS_getppid, SECCOMP_RET_ERRNO | EPERM), ELSE(ALLOW));
FILTER(trap_parent, IF(SYS_getppid, SECCOMP_RET_TRAP | 7), ELSE(ALLOW));
/* What a program that has begun has no need of. */
FILTER(closed_world, IF(SYS_openat, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_socket, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_connect, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_sendmsg, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_sendto, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_ioctl, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_process_madvise, SECCOMP_RET_KILL_PROCESS),
       IF(SYS_execve, SECCOMP_RET_KILL_PROCESS), ELSE(ALLOW));

static void confine(const struct sock_fprog *filter, bool by_prctl,
		    unsigned flags)
{
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	CHECK((by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter)
			: syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags,
				  filter)) == 0);
}

/* --- uses ------------------------------------------------------------------------------ */

static void touches(void)
{
	take();
	confine(&only_writes, true, 0);
	CHECK(holds(0) && holds(1));
	say("touches: right\n");
	/* A call whose memory has been pushed out. */
	CHECK(write(1, strcpy(memory + SIZE / 2, "served\n"), 7) == 7);
}

static void external_filter(void)
{
	struct sock_fprog *filter = malloc(PAGE);
	struct sock_filter *list = malloc(sizeof(only_writes_list));

	memcpy(list, only_writes_list, sizeof(only_writes_list));
	*filter = (struct sock_fprog){ only_writes.len, list };
	take();
	confine(filter, false, 0);
	CHECK(holds(0));
	say("a filter in the memory itself: right\n");
}

static void strict(void)
{
	take();
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0);
	CHECK(holds(0));
	say("strict: right\n");
	syscall(SYS_exit, 0);
}

static void grows(void)
{
	char *more[64];

	take();
	confine(&closed_world, false, 0);
	for (int i = 0; i < 64; i++) {
		more[i] = malloc((size_t)1 << 19);
		CHECK(more[i]);
		memset(more[i], i, (size_t)1 << 19);
	}
	CHECK(holds(0));
	for (int i = 0; i < 64; i++) {
		CHECK(more[i][12345] == i);
		free(more[i]);
	}
	say("grows: right\n");
}

/* What it is ended by, in a child, for a call that its filter forbids. */
static int ended_by(void (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		call();
		syscall(SYS_exit_group, 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int pair[2];

static void opens(void)
{
	(void)!syscall(SYS_openat, -100, "/dev/null", 0);
}

static void sends(void)
{
	struct msghdr message = { 0 };

	sendmsg(pair[0], &message, 0);
}

static void asks(void)
{
	syscall(SYS_ioctl, 0, 0, 0);
}

static void nothing(void)
{
	CHECK(memory[SIZE / 2] == (char)(SIZE / 2 * 31 + SIZE / 2 / PAGE));
}

static void stays(void)
{
	take();
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	confine(&closed_world, true, 0);
	CHECK(ended_by(opens) == SIGSYS);
	CHECK(ended_by(sends) == SIGSYS);
	CHECK(ended_by(asks) == SIGSYS);
	CHECK(holds(0));
	say("stays confined: right\n");
}

static void forks(void)
{
	take();
	confine(&no_parent, true, 0);
	CHECK(ended_by(nothing) == 0);
	CHECK(holds(0));
	say("forks: right\n");
}

/* What is in a stream's buffer is written although a child is there still. */
static void leaves(void)
{
	take();
	confine(&no_parent, true, 0);
	if (fork() == 0) {
		usleep(300000);
		nothing();
		_exit(0);
	}
	printf("leaves: right\n");
	exit(0);
}

static _Atomic int trapped_mark;

static void on_trapped(int number, siginfo_t *info, void *machine)
{
	(void)number;
	trapped_mark = info->si_errno;
	memory[SIZE / 3]++; /* absent, where it can be */
#ifdef __x86_64__
	((ucontext_t *)machine)->uc_mcontext.gregs[REG_RAX] = 4242;
#else
	(void)machine;
#endif
}

static void traps(void)
{
	struct sigaction action = { .sa_sigaction = on_trapped,
				    .sa_flags = SA_SIGINFO };
	char before;

	take();
	before = memory[SIZE / 3];
	CHECK(sigaction(SIGSYS, &action, NULL) == 0);
	confine(&trap_parent, true, 0);
	memset(memory, 0, SIZE / 4);
	CHECK(syscall(SYS_getppid) == 4242);
	CHECK(trapped_mark == 7 && memory[SIZE / 3] == (char)(before + 1));
	say("traps: right\n");
}

/* --- threads ------------------------------------------------------------------------ */

#define THREADS 4

static _Atomic int begun, may_go;

static void *waits(void *unused)
{
	(void)unused;
	begun++;
	while (!may_go)
		usleep(1000);
	errno = 0;
	CHECK(syscall(SYS_getppid) == -1 && errno == EPERM);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2);
	for (size_t i = 0; i < SIZE; i += PAGE)
		CHECK(memory[i + 1] ==
		      (char)((i + 1) * 31 + (i + 1) / PAGE));
	return NULL;
}

static void threads(void)
{
	pthread_t thread[THREADS];

	take();
	for (int i = 0; i < THREADS - 1; i++)
		CHECK(pthread_create(&thread[i], NULL, waits, NULL) == 0);
	while (begun < THREADS - 1)
		usleep(1000);
	confine(&no_parent, false, SECCOMP_FILTER_FLAG_TSYNC);
	/* One that begins later has it by its parent. */
	CHECK(pthread_create(&thread[THREADS - 1], NULL, waits, NULL) == 0);
	may_go = 1;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(syscall(SYS_getppid) == -1 && errno == EPERM);
	say("threads: right\n");
}

/* It is the kernel's to say what is no filter. */
static void wrong(void)
{
	static struct sock_filter none[1];
	struct sock_fprog empty = { 0, none }, bad = { 1, none };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 &&
	      errno == EFAULT);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &empty) == -1 &&
	      errno == EINVAL);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &bad) == -1 &&
	      errno == EINVAL);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	say("wrong: right\n");
}

/* ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(void);
} uses[] = {
	{ "touches", touches }, { "external", external_filter },
	{ "strict", strict },	{ "grows", grows },
	{ "stays", stays },	{ "forks", forks },
	{ "traps", traps },	{ "threads", threads },
	{ "leaves", leaves },	{ "wrong", wrong },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(argv[1], uses[i].name) == 0) {
			uses[i].run();
			syscall(SYS_exit_group, 0);
		}
	fprintf(stderr, "usage: run_confined USE\n");
	return 2;
}
