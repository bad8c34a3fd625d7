/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_waits.sh, of libc alone: system calls that wait,
 * on lists, masks and words that lie in memory of its own and are pushed out, while
 * other threads change what is beside them. The output is the same on any memory.
 *
 * 	run_waits USE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define BALLAST_SIZE ((size_t)12 << 20)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_waits:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

static char *ballast;

/* Pushes everything else out. */
static void push(void)
{
	for (size_t i = 0; i < BALLAST_SIZE; i += PAGE)
		ballast[i]++;
}

/* Whole pages that nothing else brings back. */
static void *place(void)
{
	char *p = malloc(3 * PAGE);

	CHECK(p);
	p = (char *)(((uintptr_t)p + PAGE) & ~(PAGE - 1));
	memset(p, 0, PAGE);
	return p;
}

/* --- a thread that waits ------------------------------------------------------------- */

static _Atomic int waiter_id;
static char *place_of_waiter;
static int pipes[2];
static pthread_t waiter;

/* It sleeps; or, on a slow machine, it will. */
static void await_sleep(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	char path[64], text[256];

	while (waiter_id == 0)
		nanosleep(&nap, NULL);
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiter_id);
	for (int i = 0; i < 2000; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		const char *state;

		close(fd);
		text[n > 0 ? n : 0] = '\0';
		state = strrchr(text, ')');
		if (state && state[2] == 'S')
			break;
		nanosleep(&nap, NULL);
	}
	push();
}

static void begin(void *(*run)(void *))
{
	place_of_waiter = place();
	waiter_id = 0;
	CHECK(pipe(pipes) == 0);
	CHECK(pthread_create(&waiter, NULL, run, NULL) == 0);
	await_sleep();
}

static void end(void)
{
	CHECK(pthread_join(waiter, NULL) == 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void wake(void)
{
	CHECK(write(pipes[1], "x", 1) == 1);
}

/* --- lists ------------------------------------------------------------------------ */

static void *polls(void *unused)
{
	struct pollfd *list = (struct pollfd *)(void *)place_of_waiter;

	(void)unused;
	list[0] = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	list[1] = (struct pollfd){ .fd = -1, .events = POLLIN };
	push();
	waiter_id = gettid();
	CHECK(poll(list, 2, -1) == 1);
	CHECK(list[0].revents == POLLIN && list[1].revents == 0);
	return NULL;
}

static void polled(void)
{
	struct pollfd *list;

	begin(polls);
	list = (struct pollfd *)(void *)place_of_waiter;
	list[1].fd = 77; /* the kernel has its own copy, and leaves ours alone */
	list[1].events = POLLOUT;
	push();
	wake();
	end();
	CHECK(list[1].fd == 77 && list[1].events == POLLOUT);
}

#define EVENTS 100

static void *epolls(void *unused)
{
	struct epoll_event *list = (struct epoll_event *)(void *)place_of_waiter,
			   *one = place();
	int fd = epoll_create1(0);

	(void)unused;
	*one = (struct epoll_event){ .events = EPOLLIN,
				     .data = { .u64 = 12345678901 } };
	push();
	CHECK(epoll_ctl(fd, EPOLL_CTL_ADD, pipes[0], one) == 0);
	push();
	waiter_id = gettid();
	CHECK(epoll_wait(fd, list, EVENTS, -1) == 1);
	CHECK(list[0].data.u64 == 12345678901 && list[0].events == EPOLLIN);
	close(fd);
	return NULL;
}

static void epolled(void)
{
	struct epoll_event *list;

	begin(epolls);
	list = (struct epoll_event *)(void *)place_of_waiter;
	for (int i = 1; i < EVENTS; i++)
		list[i].data.u64 = (uint64_t)i;
	push();
	wake();
	end();
	for (int i = 1; i < EVENTS; i++)
		CHECK(list[i].data.u64 == (uint64_t)i);
}

static void *selects(void *unused)
{
	fd_set *set = (fd_set *)(void *)place_of_waiter;
	struct timeval *time = place();

	(void)unused;
	FD_ZERO(set);
	FD_SET(pipes[0], set);
	time->tv_sec = 1000;
	push();
	waiter_id = gettid();
	CHECK(select(pipes[1], set, NULL, NULL, time) == 1);
	CHECK(FD_ISSET(pipes[0], set));
	return NULL;
}

static void selected(void)
{
	begin(selects);
	wake();
	end();
}

/* --- masks ------------------------------------------------------------------------ */

static char *away; /* what the handler touches */
static _Atomic int handled;

static void on_user(int number)
{
	(void)number;
	away[0]++; /* where it is absent: although all signals are blocked */
	handled++;
}

struct pair {
	const uint64_t *mask;
	size_t size;
};

/* All signals but one are blocked, by the kernel's calls themselves. */
static void *waits_masked(void *number)
{
	struct epoll_event *event = place();
	uint64_t *mask = place();
	struct pair *pair = place();
	int fd = epoll_create1(0);
	long r = 0;

	*mask = ~(UINT64_C(1) << (SIGUSR1 - 1));
	*pair = (struct pair){ mask, sizeof(*mask) };
	push();
	waiter_id = gettid();
	switch ((int)(intptr_t)number) {
	case 0:
		r = syscall(SYS_ppoll, NULL, 0L, NULL, mask, sizeof(*mask));
		break;
	case 1:
		r = syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, pair);
		break;
	case 2:
		r = syscall(SYS_rt_sigsuspend, mask, sizeof(*mask));
		break;
	case 3:
		r = syscall(SYS_epoll_pwait, fd, event, 1, -1, mask,
			    sizeof(*mask));
		break;
	}
	CHECK(r == -1 && errno == EINTR);
	close(fd);
	return NULL;
}

static void masked(void)
{
	struct sigaction action = { .sa_handler = on_user };
	sigset_t one;

	away = place();
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &one, NULL); /* the waiter inherits that */
	for (intptr_t i = 0; i < 4; i++) {
		waiter_id = handled = 0;
		CHECK(pthread_create(&waiter, NULL, waits_masked, (void *)i) ==
		      0);
		await_sleep();
		push();
		CHECK(pthread_kill(waiter, SIGUSR1) == 0);
		CHECK(pthread_join(waiter, NULL) == 0);
		CHECK(handled == 1);
	}
	CHECK(away[0] == 4);
}

/* --- interruptions ----------------------------------------------------------------- */

static void *reads(void *unused)
{
	(void)unused;
	waiter_id = gettid();
	CHECK(read(pipes[0], place_of_waiter, PAGE) == 1); /* begun again */
	CHECK(place_of_waiter[0] == 'x');
	return NULL;
}

static void *naps(void *unused)
{
	struct timespec *time = (struct timespec *)(void *)place_of_waiter;

	(void)unused;
	time[0].tv_sec = 1000;
	push();
	waiter_id = gettid();
	CHECK(nanosleep(&time[0], &time[1]) == -1 && errno == EINTR);
	CHECK(time[1].tv_sec > 0 && time[1].tv_sec < 1000);
	return NULL;
}

static void await_handled(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	while (handled == 0)
		nanosleep(&nap, NULL);
	handled = 0;
}

static void interrupted(void)
{
	struct sigaction action = { .sa_handler = on_user,
				    .sa_flags = SA_RESTART };

	away = place();
	sigaction(SIGUSR1, &action, NULL);
	begin(reads);
	CHECK(pthread_kill(waiter, SIGUSR1) == 0);
	await_handled();
	push();
	wake();
	end();
	begin(polls); /* EINTR whatever was asked for: it is not begun again */
	wake();
	end();
	begin(naps);
	do
		pthread_kill(waiter, SIGUSR1);
	while (pthread_tryjoin_np(waiter, NULL) != 0);
}

/* --- words ------------------------------------------------------------------------ */

static void *waits_on_word(void *unused)
{
	uint32_t *word = (uint32_t *)(void *)place_of_waiter;
	struct timespec *time = place();

	(void)unused;
	time->tv_sec = 1000;
	push();
	waiter_id = gettid();
	while (*(volatile uint32_t *)word == 0)
		CHECK(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, time,
			      NULL, 0) == 0 ||
		      errno == EAGAIN);
	return NULL;
}

struct waited {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static void *waits_on_words(void *unused)
{
	uint32_t *word = (uint32_t *)(void *)place_of_waiter, *other = place();
	struct waited list[2] = {
		{ .address = (uintptr_t)other, .flags = 2 | 128 },
		{ .address = (uintptr_t)word, .flags = 2 | 128 },
	};

	(void)unused;
	push();
	waiter_id = gettid();
	while (*(volatile uint32_t *)word == 0) {
		long r = syscall(SYS_futex_waitv, list, 2, 0, NULL, 0);

		if (r < 0 && (errno == ENOSYS || errno == EINVAL))
			break; /* older than Linux 5.16 */
		CHECK(r == 1 || errno == EAGAIN);
	}
	return NULL;
}

static void words(void)
{
	void *(*const waits[])(void *) = { waits_on_word, waits_on_words };

	for (int i = 0; i < 2; i++) {
		begin(waits[i]);
		*(_Atomic uint32_t *)(void *)place_of_waiter = 1;
		push();
		syscall(SYS_futex, place_of_waiter, FUTEX_WAKE_PRIVATE, 1,
			NULL, NULL, 0);
		end();
	}
}

/* --- messages, locks ---------------------------------------------------------------- */

static int queue;

struct message {
	long type;
	char text[100];
};

static void *receives(void *unused)
{
	struct message *m = (struct message *)(void *)place_of_waiter;

	(void)unused;
	waiter_id = gettid();
	CHECK(msgrcv(queue, m, sizeof(m->text), 0, 0) == 5);
	CHECK(m->type == 7 && strcmp(m->text, "text") == 0);
	return NULL;
}

static void messages(void)
{
	struct message *m = place(), *theirs;

	queue = msgget(IPC_PRIVATE, 0600);
	CHECK(queue >= 0);
	*m = (struct message){ .type = 7, .text = "text" };
	begin(receives);
	theirs = (struct message *)(void *)place_of_waiter;
	theirs->text[50] = 'y'; /* behind the message */
	push();
	CHECK(msgsnd(queue, m, 5, 0) == 0);
	end();
	CHECK(theirs->text[50] == 'y');
	CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
}

static int file_of_waiter;

static void *locks(void *unused)
{
	struct flock *lock = (struct flock *)(void *)place_of_waiter;

	(void)unused;
	*lock = (struct flock){ .l_type = F_WRLCK, .l_len = 1 };
	push();
	waiter_id = gettid();
	CHECK(fcntl(file_of_waiter, F_OFD_SETLKW, lock) == 0);
	return NULL;
}

static void locked(void)
{
	char path[] = "/tmp/run_waits.XXXXXX";
	struct flock *lock = place();
	int fd = mkstemp(path);

	file_of_waiter = open(path, O_RDWR);
	CHECK(fd >= 0 && file_of_waiter >= 0);
	CHECK(unlink(path) == 0);
	*lock = (struct flock){ .l_type = F_WRLCK, .l_len = 1 };
	push();
	CHECK(fcntl(fd, F_OFD_SETLKW, lock) == 0);
	begin(locks);
	lock->l_type = F_UNLCK;
	push();
	CHECK(fcntl(fd, F_OFD_SETLK, lock) == 0);
	end();
	lock->l_type = F_WRLCK;
	push();
	CHECK(fcntl(fd, F_OFD_GETLK, lock) == 0 && lock->l_type == F_WRLCK);
	close(fd);
	close(file_of_waiter);
}

/* ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(void);
} uses[] = {
	{ "polled", polled },	{ "epolled", epolled },
	{ "selected", selected }, { "masked", masked },
	{ "words", words },	{ "interrupted", interrupted },
	{ "messages", messages }, { "locked", locked },
};

int main(int argc, char **argv)
{
	ballast = malloc(BALLAST_SIZE);
	CHECK(ballast);
	memset(ballast, 0, BALLAST_SIZE);
	for (size_t i = 0; argc == 2 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(argv[1], uses[i].name) == 0) {
			uses[i].run();
			printf("%s: right\n", argv[1]);
			return 0;
		}
	fprintf(stderr, "usage: run_waits USE\n");
	return 2;
}
