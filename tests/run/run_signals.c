/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_signals.sh, of libc alone: handlers of signals
 * that arrive at any moment, jumps out of them, and masks and handlers set in all
 * the ways that libc has, here and in children of fork(). The output is the same on
 * any memory.
 *
 * 	run_signals handler|jump|actions|masks|timer|children|forks
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* Old programs have no other. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define SIZE (12 * MIB)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_signals:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

static char *memory, *ballast;
static int null_fd;

static void fill(void)
{
	for (size_t i = 0; i < SIZE; i += sizeof(uint64_t)) {
		uint64_t x = i * UINT64_C(2654435761);

		memcpy(memory + i, &x, sizeof(x));
	}
}

static bool is_whole(void)
{
	for (size_t i = 0; i < SIZE; i += sizeof(uint64_t)) {
		uint64_t x = i * UINT64_C(2654435761);

		if (memcmp(memory + i, &x, sizeof(x)) != 0)
			return false;
	}
	return true;
}

/* So that nothing of `memory` is here. */
static void push(void)
{
	for (size_t i = 0; i < 2 * SIZE; i += PAGE)
		ballast[i]++;
}

/* A handler winds the clock again as it ends: one that came in fixed intervals would,
 * on a machine that needs longer for it, leave no time to anything else. */
static long period_us;

static void wind(void)
{
	struct itimerval t = { .it_value = { 0, period_us } };

	CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void every(long us)
{
	period_us = us;
	wind();
}

static void install(int number, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };

	CHECK(sigaction(number, &a, NULL) == 0);
}

/* --- at any moment --------------------------------------------------------------- */

static volatile sig_atomic_t hits, failures;

static void on_write(int number)
{
	static size_t at;
	int error = errno;

	(void)number;
	at = (at + 17 * PAGE) % (SIZE - 300000);
	hits++;
	failures += write(null_fd, memory + at, 200000) != 200000;
	failures += write(null_fd, memory + at, 100) != 100;
	wind();
	errno = error;
}

static void use_handler(void)
{
	int fd = open("/dev/zero", O_RDONLY);

	install(SIGALRM, on_write, SA_RESTART);
	every(900);
	for (size_t at = 0; hits < 1500; at = (at + 256 * 1024) % SIZE) {
		CHECK(write(null_fd, memory + at, 256 * 1024) == 256 * 1024);
		CHECK(read(fd, ballast + at, 256 * 1024) > 0);
	}
	every(0);
	CHECK(failures == 0);
	printf("handler: calls in calls\n");
}

static sigjmp_buf jump;
static volatile sig_atomic_t jumps, armed;

static void on_jump(int number)
{
	(void)number;
	wind();
	if (!armed)
		return;
	armed = 0;
	jumps++;
	siglongjmp(jump, 1);
}

/* From a pipe that nobody writes to, too: what is pinned there must not stay so
 * for ever. */
static void use_jump(void)
{
	volatile size_t at = 0;
	volatile int blocked = 0;
	int pipes[2];

	CHECK(pipe(pipes) == 0);
	install(SIGALRM, on_jump, 0);
	every(700);
	while (jumps < 1500) {
		if (sigsetjmp(jump, 1) != 0)
			continue;
		armed = 1;
		for (;;) {
			CHECK(write(null_fd, memory + at, 256 * 1024) ==
			      256 * 1024);
			at = (at + 256 * 1024) % SIZE;
		}
	}
	while (blocked < 100) {
		if (sigsetjmp(jump, 1) == 0) {
			armed = 1;
			CHECK(read(pipes[0], memory, 500000) < 0);
		}
		blocked++;
	}
	armed = 0;
	every(0);
	push();
	CHECK(write(null_fd, memory, SIZE) == (ssize_t)SIZE);
	printf("jump: out of calls\n");
}

/* --- what is asked for is what is told ---------------------------------------------- */

static volatile sig_atomic_t last, last_value;

static void on_plain(int number)
{
	last = number;
}

static void on_info(int number, siginfo_t *info, void *context)
{
	(void)context;
	last = number;
	last_value = info->si_value.sival_int;
}

static void use_actions(void)
{
	struct sigaction a = { .sa_sigaction = on_info,
			       .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction before;

	sigaddset(&a.sa_mask, SIGUSR2);
	CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
	CHECK(before.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGUSR1, &a, &before) == 0);
	CHECK(before.sa_handler == SIG_DFL);
	CHECK(sigqueue(getpid(), SIGUSR1,
		       (union sigval){ .sival_int = 77 }) == 0);
	CHECK(last == SIGUSR1 && last_value == 77);
	CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
	CHECK(before.sa_sigaction == on_info &&
	      sigismember(&before.sa_mask, SIGUSR2) == 1);
	CHECK(signal(SIGUSR1, on_plain) != SIG_ERR);
	CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
	CHECK(before.sa_handler == on_plain &&
	      (before.sa_flags & SA_SIGINFO) == 0 &&
	      (before.sa_flags & SA_RESTART) != 0);
	CHECK(siginterrupt(SIGUSR1, 1) == 0);
	CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
	CHECK(before.sa_handler == on_plain &&
	      (before.sa_flags & SA_RESTART) == 0);
	install(SIGUSR1, on_plain, (int)SA_RESETHAND);
	CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
	CHECK((before.sa_flags & SA_RESETHAND) != 0);
	last = 0;
	raise(SIGUSR1);
	CHECK(last == SIGUSR1);
	CHECK(sigaction(SIGUSR1, NULL, &before) == 0);
	CHECK(before.sa_handler == SIG_DFL);
	CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL && raise(SIGUSR1) == 0);
	CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
	CHECK(signal(SIGKILL, on_plain) == SIG_ERR && errno == EINVAL);
	CHECK(signal(SIGBUS, on_plain) == SIG_DFL);
	push();
	CHECK(is_whole());
	raise(SIGBUS);
	CHECK(last == SIGBUS);
	printf("actions: as they were given\n");
}

/* --- masks --------------------------------------------------------------------------- */

static ucontext_t there, back;
static char coroutine_stack[1 << 16];
static bool result;

static void coroutine(void)
{
	result = is_whole();
}

static void *look(void *unused)
{
	(void)unused;
	return is_whole() ? memory : NULL;
}

static void look_on_thread(const pthread_attr_t *attributes)
{
	pthread_t thread;
	void *r;

	push();
	CHECK(pthread_create(&thread, attributes, look, NULL) == 0);
	CHECK(pthread_join(thread, &r) == 0 && r == memory);
}

static void use_masks(void)
{
	uint64_t words = UINT64_MAX;
	pthread_attr_t attributes;
	sigset_t all;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	CHECK(pthread_attr_setsigmask_np(&attributes, &all) == 0);
	look_on_thread(&attributes);
	CHECK(getcontext(&there) == 0);
	there.uc_stack.ss_sp = coroutine_stack;
	there.uc_stack.ss_size = sizeof(coroutine_stack);
	there.uc_link = &back;
	there.uc_sigmask = all;
	makecontext(&there, coroutine, 0);
	push();
	CHECK(swapcontext(&back, &there) == 0);
	CHECK(result);
	CHECK(sigignore(SIGBUS) == 0);
	sigblock(~0);
	push();
	CHECK(is_whole());
	sigsetmask(~0);
	push();
	CHECK(is_whole());
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &words, NULL, 8) == 0);
	push();
	CHECK(is_whole());
	look_on_thread(NULL);
	printf("masks: all are blocked, and all is there\n");
}

static volatile sig_atomic_t fired;

static void on_timer(union sigval value)
{
	CHECK(value.sival_int == 5);
	CHECK(is_whole());
	fired = 1;
}

static void use_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD,
				  .sigev_value.sival_int = 5,
				  .sigev_notify_function = on_timer };
	struct itimerspec soon = { .it_value = { 0, 1000000 } };
	timer_t timer;

	push();
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
	while (!fired)
		usleep(1000);
	printf("timer: on a thread of libc's\n");
}

/* --- children -------------------------------------------------------------------------- */

static void end_by(int number)
{
	_exit(50 + number);
}

static void child(int how)
{
	pthread_attr_t attributes;
	sigset_t all;

	sigfillset(&all);
	switch (how) {
	case 0: CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0); break;
	case 1:
		for (int i = 1; i < NSIG; i++)
			signal(i, SIG_DFL);
		break;
	case 2: signal(SIGBUS, end_by); break;
	case 3:
		pthread_sigmask(SIG_BLOCK, &all, NULL);
		look_on_thread(NULL);
		break;
	case 4:
		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, 16384);
		look_on_thread(&attributes);
		break;
	}
	CHECK(is_whole());
	_exit(0);
}

static void use_children(void)
{
	int status;

	for (int how = 0; how < 5; how++) {
		pid_t pid;

		push();
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child(how);
		CHECK(waitpid(pid, &status, 0) == pid);
		if (status != 0)
			fprintf(stderr, "run_signals: child %d: %#x\n", how,
				(unsigned)status);
		CHECK(status == 0);
	}
	CHECK(is_whole());
	printf("children: the same in each\n");
}

static void on_fork(int number)
{
	int error = errno;
	pid_t pid = fork();

	(void)number;
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	hits++;
	wind();
	errno = error;
}

static void use_forks(void)
{
	install(SIGALRM, on_fork, SA_RESTART);
	every(3000);
	while (hits < 150) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			while (waitpid(pid, NULL, 0) < 0)
				CHECK(errno == EINTR);
	}
	every(0);
	CHECK(is_whole());
	printf("forks: one in another\n");
}

static const struct {
	const char *name;
	void (*use)(void);
} uses[] = {
	{ "handler", use_handler },   { "jump", use_jump },
	{ "actions", use_actions },   { "masks", use_masks },
	{ "timer", use_timer },	      { "children", use_children },
	{ "forks", use_forks },
};

int main(int argc, char *argv[])
{
	memory = malloc(SIZE);
	ballast = malloc(2 * SIZE);
	null_fd = open("/dev/null", O_WRONLY);
	CHECK(memory && ballast && null_fd >= 0);
	fill();
	push();
	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].name, argv[1]) == 0) {
			uses[i].use();
			CHECK(is_whole());
			fflush(stdout);
			return 0;
		}
	fprintf(stderr, "usage: run_signals USE\n");
	return 2;
}
