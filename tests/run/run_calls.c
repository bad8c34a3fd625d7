/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_calls.sh, of libc alone: libc's functions that
 * pass memory to the kernel. Before each call a large block is walked over, so that
 * all that the kernel is given has left local memory. The output is the same on
 * any memory.
 *
 * 	run_calls all|threads|stacks|cancel|descriptors [MIB]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_calls:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

static char *ballast;
static size_t ballast_size;

/* Pushes everything else out. */
static void push(void)
{
	for (size_t i = 0; i < ballast_size; i += PAGE)
		ballast[i]++;
}

/* A page of its own, so that nothing else brings it back. */
static void *place(size_t size)
{
	char *p = malloc(size + 2 * PAGE);

	CHECK(p);
	p = (char *)(((uintptr_t)p + PAGE) & ~(PAGE - 1));
	memset(p, 0, size);
	return p;
}

static char *text(const char *from)
{
	return strcpy(place(strlen(from) + 1), from);
}

static char folder[64];

static char *in_folder(const char *name)
{
	char *p = place(256);

	sprintf(p, "%s/%s", folder, name);
	return p;
}

/* --- files ----------------------------------------------------------------------- */

/* Above 60 lines because each call stands beside its check, in the order of a program's. */
static void names_and_structs(void)
{
	char *name = in_folder("file"), *other = in_folder("other"),
	     *link_name = in_folder("link"), *target = place(300),
	     *where = place(4096);
	struct stat *status = place(sizeof(*status));
	struct statfs *system = place(sizeof(*system));
	struct statx *x = place(sizeof(*x));
	struct timespec *times = place(2 * sizeof(*times));
	struct iovec *iov = place(2 * sizeof(*iov));
	off_t *offset = place(sizeof(*offset));
	char *bytes = place(64);
	struct dirent *entry;
	int fd, other_fd, count = 0;
	DIR *dir;

	push();
	fd = open(name, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	strcpy(bytes, "what is written");
	push();
	CHECK(write(fd, bytes, 16) == 16);
	push();
	CHECK(syscall(SYS_pwrite64, fd, bytes, 16, 16) == 16);
	memset(bytes, 0, 64);
	push();
	CHECK(syscall(SYS_pread64, fd, bytes, 16, 16) == 16);
	CHECK(strcmp(bytes, "what is written") == 0);
	iov[0] = (struct iovec){ bytes, 8 };
	iov[1] = (struct iovec){ place(64), 8 };
	push();
	CHECK(preadv2(fd, iov, 2, 0, 0) == 16);
	CHECK(memcmp(iov[1].iov_base, "written", 8) == 0);
	push();
	CHECK(stat(name, status) == 0 && status->st_size == 32);
	push();
	CHECK(fstat(fd, status) == 0 && status->st_size == 32);
	push();
	CHECK(statx(AT_FDCWD, name, 0, STATX_SIZE, x) == 0 &&
	      x->stx_size == 32);
	push();
	CHECK(statfs(name, system) == 0 && system->f_bsize > 0);
	times[0].tv_sec = times[1].tv_sec = 1000000000;
	push();
	CHECK(utimensat(AT_FDCWD, name, times, 0) == 0);
	CHECK(stat(name, status) == 0 && status->st_mtime == 1000000000);
	push();
	CHECK(symlink(name, link_name) == 0);
	push();
	CHECK(readlink(link_name, target, 300) == (ssize_t)strlen(name));
	CHECK(strcmp(target, name) == 0);
	push();
	CHECK(rename(name, other) == 0 && access(other, R_OK) == 0);
	other_fd = open(in_folder("copy"), O_RDWR | O_CREAT, 0600);
	*offset = 16;
	push();
	CHECK(sendfile(other_fd, fd, offset, 16) == 16 && *offset == 32);
	push();
	CHECK(truncate(other, 8) == 0);
	push();
	CHECK(chmod(other, 0640) == 0 && chdir(folder) == 0);
	push();
	CHECK(getcwd(where, 4096) == where);
	CHECK(strstr(where, "run_calls"));
	dir = opendir(folder);
	CHECK(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	CHECK(closedir(dir) == 0 && count == 3);
	push();
	count = (int)syscall(SYS_getdents64,
			     open(folder, O_RDONLY | O_DIRECTORY), where, 4096);
	CHECK(count > 0);
	push();
	CHECK(setxattr(other, "user.name", bytes, 8, 0) == 0 ||
	      errno == ENOTSUP || errno == EOPNOTSUPP);
	push();
	CHECK(unlink(other) == 0 && unlink(link_name) == 0 &&
	      unlink("copy") == 0);
	CHECK(chdir("/") == 0);
	close(fd);
	close(other_fd);
	printf("files: names, structs and bytes\n");
}

/* --- sockets and waiting ------------------------------------------------------------ */

/* Above 60 lines because each call stands beside its check, in the order of a program's. */
static void sockets(void)
{
	struct sockaddr_un *address = place(sizeof(*address)),
			   *from = place(sizeof(*from));
	socklen_t *size = place(sizeof(*size));
	int *option = place(sizeof(int)), *pair = place(2 * sizeof(int)), fd,
	    listener, connected, accepted;
	struct msghdr *message = place(sizeof(*message));
	struct iovec *iov = place(sizeof(*iov));
	char *control = place(64), *bytes = place(64);
	struct mmsghdr *list = place(2 * sizeof(*list));
	struct cmsghdr *c;

	address->sun_family = AF_UNIX;
	sprintf(address->sun_path, "%s/socket", folder);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	push();
	CHECK(bind(listener, (struct sockaddr *)address, sizeof(*address)) == 0);
	CHECK(listen(listener, 4) == 0);
	connected = socket(AF_UNIX, SOCK_STREAM, 0);
	push();
	CHECK(connect(connected, (struct sockaddr *)address,
		      sizeof(*address)) == 0);
	*size = sizeof(*from);
	push();
	accepted = accept(listener, (struct sockaddr *)from, size);
	CHECK(accepted >= 0);
	*size = sizeof(*from);
	push();
	CHECK(getsockname(listener, (struct sockaddr *)from, size) == 0);
	CHECK(strcmp(from->sun_path, address->sun_path) == 0);
	*size = sizeof(int);
	push();
	CHECK(getsockopt(accepted, SOL_SOCKET, SO_TYPE, option, size) == 0 &&
	      *option == SOCK_STREAM);
	*option = 1;
	push();
	CHECK(setsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, option,
			 sizeof(int)) == 0);

	/* A descriptor along with a byte. */
	*bytes = 'x';
	*iov = (struct iovec){ bytes, 1 };
	message->msg_iov = iov;
	message->msg_iovlen = 1;
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(sizeof(int));
	c = CMSG_FIRSTHDR(message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	push();
	CHECK(sendmsg(connected, message, 0) == 1);
	*bytes = 0;
	memset(control, 0, 64);
	message->msg_controllen = 64;
	push();
	CHECK(recvmsg(accepted, message, 0) == 1 && *bytes == 'x');
	c = CMSG_FIRSTHDR(message);
	CHECK(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	CHECK(fcntl(fd, F_GETFD) >= 0);

	push();
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	for (int i = 0; i < 2; i++) {
		list[i].msg_hdr.msg_iov = place(sizeof(struct iovec));
		list[i].msg_hdr.msg_iov[0] =
			(struct iovec){ text(i ? "two" : "one"), 4 };
		list[i].msg_hdr.msg_iovlen = 1;
	}
	push();
	CHECK(sendmmsg(pair[0], list, 2, 0) == 2);
	for (int i = 0; i < 2; i++)
		memset(list[i].msg_hdr.msg_iov[0].iov_base, 0, 4);
	push();
	CHECK(recvmmsg(pair[1], list, 2, 0, NULL) == 2);
	CHECK(strcmp(list[1].msg_hdr.msg_iov[0].iov_base, "two") == 0);
	CHECK(list[1].msg_len == 4);
	printf("sockets: addresses, options, messages\n");
}

static void waiting(void)
{
	int *pipes = place(2 * sizeof(int)), *number = place(sizeof(int)),
	    epoll;
	struct epoll_event *events = place(4 * sizeof(*events));
	struct pollfd *polled = place(sizeof(*polled));
	struct timeval *little = place(sizeof(*little));
	struct timespec *rest = place(sizeof(*rest)),
			*nap = place(sizeof(*nap));
	struct itimerspec *timer = place(sizeof(*timer));
	uint64_t *count = place(sizeof(*count));
	fd_set *set = place(sizeof(*set));
	int fd;

	push();
	CHECK(pipe(pipes) == 0 && write(pipes[1], "abc", 3) == 3);
	push();
	CHECK(ioctl(pipes[0], FIONREAD, number) == 0 && *number == 3);
	polled->fd = pipes[0];
	polled->events = POLLIN;
	push();
	CHECK(poll(polled, 1, 1000) == 1 && polled->revents == POLLIN);
	rest->tv_sec = 1;
	polled->revents = 0;
	push();
	CHECK(ppoll(polled, 1, rest, NULL) == 1 && polled->revents == POLLIN);
	FD_ZERO(set);
	FD_SET(pipes[0], set);
	little->tv_sec = 1;
	push();
	CHECK(select(pipes[0] + 1, set, NULL, NULL, little) == 1);
	CHECK(FD_ISSET(pipes[0], set));
	epoll = epoll_create1(0);
	events->events = EPOLLIN;
	events->data.u64 = 77;
	push();
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], events) == 0);
	memset(events, 0, 4 * sizeof(*events));
	push();
	CHECK(epoll_wait(epoll, events, 4, 1000) == 1);
	CHECK(events->data.u64 == 77 && (events->events & EPOLLIN));
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	timer->it_value.tv_nsec = 1000000;
	push();
	CHECK(timerfd_settime(fd, 0, timer, NULL) == 0);
	push();
	CHECK(read(fd, count, sizeof(*count)) == sizeof(*count) && *count >= 1);
	nap->tv_nsec = 1000;
	push();
	CHECK(nanosleep(nap, rest) == 0);
	push();
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, nap, rest) == 0);
	push();
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, rest) == 0 &&
	      rest->tv_sec + rest->tv_nsec > 0);
	close(fd);
	close(epoll);
	printf("waiting: poll, select, epoll, timers\n");
}

/* --- processes ----------------------------------------------------------------------- */

/* Above 60 lines because each call stands beside its check, in the order of a program's. */
static void processes(void)
{
	struct utsname *name = place(sizeof(*name));
	struct sysinfo *info = place(sizeof(*info));
	struct rusage *usage = place(sizeof(*usage));
	struct rlimit *limit = place(sizeof(*limit));
	int *status = place(sizeof(int));
	cpu_set_t *set = place(sizeof(*set));
	gid_t *groups = place(1024 * sizeof(*groups));
	pid_t pid, *spawned = place(sizeof(*spawned));
	char **argv = place(4 * sizeof(*argv)),
	     **environment = place(2 * sizeof(*environment)),
	     *line = place(100);
	posix_spawn_file_actions_t *actions = place(sizeof(*actions));
	FILE *pipe;

	push();
	CHECK(uname(name) == 0 && strcmp(name->sysname, "Linux") == 0);
	push();
	CHECK(sysinfo(info) == 0 && info->totalram > 0);
	push();
	CHECK(getrusage(RUSAGE_SELF, usage) == 0);
	push();
	CHECK(getrlimit(RLIMIT_NOFILE, limit) == 0 && limit->rlim_cur > 0);
	push();
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(*set), set) > 0);
	push();
	CHECK(getgroups(1024, groups) >= 0);

	argv[0] = text("sh");
	argv[1] = text("-c");
	argv[2] = text("echo \"spawned $WHO\"; exit 5");
	environment[0] = text("WHO=here");
	fflush(stdout);
	push();
	CHECK(posix_spawn_file_actions_init(actions) == 0);
	push();
	CHECK(posix_spawn(spawned, text("/bin/sh"), actions, NULL, argv,
			  environment) == 0);
	push();
	CHECK(waitpid(*spawned, status, 0) == *spawned &&
	      WEXITSTATUS(*status) == 5);
	push();
	CHECK(WEXITSTATUS(system(text("exit 6"))) == 6);
	push();
	pipe = popen(text("echo piped"), text("r"));
	CHECK(pipe && fgets(line, 100, pipe) && strcmp(line, "piped\n") == 0);
	CHECK(pclose(pipe) == 0);
	push();
	pid = vfork();
	if (pid == 0) {
		execve("/bin/sh", argv, environment);
		_exit(9);
	}
	CHECK(waitpid(pid, status, 0) == pid && WEXITSTATUS(*status) == 5);
	pid = fork();
	if (pid == 0) {
		argv[2] = text("exit 8");
		push();
		execvp(argv[0], argv);
		_exit(9);
	}
	push();
	CHECK(wait4(pid, status, 0, usage) == pid && WEXITSTATUS(*status) == 8);
	printf("processes: spawn, exec, wait\n");
}

/* --- signals --------------------------------------------------------------------------- */

static volatile sig_atomic_t seen;
static sigjmp_buf *jump;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	seen = number == SIGUSR1 && info->si_code == SI_TKILL ? 1 : 2;
}

static void on_alarm(int number)
{
	(void)number;
	siglongjmp(*jump, 7);
}

static void signals(void)
{
	struct sigaction *action = place(sizeof(*action)),
			 *before = place(sizeof(*before));
	sigset_t *set = place(sizeof(*set)), *old = place(sizeof(*old));
	siginfo_t *info = place(sizeof(*info));
	struct timespec *timeout = place(sizeof(*timeout));
	struct itimerval *timer = place(sizeof(*timer));
	int *pipes = place(2 * sizeof(int));
	char *byte = place(16);

	action->sa_sigaction = on_signal;
	action->sa_flags = SA_SIGINFO;
	push();
	CHECK(sigaction(SIGUSR1, action, before) == 0);
	CHECK(raise(SIGUSR1) == 0 && seen == 1);
	sigfillset(set);
	push();
	CHECK(sigprocmask(SIG_BLOCK, set, old) == 0);
	push(); /* with everything blocked */
	CHECK(raise(SIGUSR2) == 0);
	sigemptyset(set);
	sigaddset(set, SIGUSR2);
	timeout->tv_sec = 1;
	push();
	CHECK(sigtimedwait(set, info, timeout) == SIGUSR2 &&
	      info->si_signo == SIGUSR2);
	push();
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, 8) == 0);
	CHECK(sigprocmask(SIG_BLOCK, NULL, set) == 0);
	CHECK(!sigismember(set, SIGUSR1));

	/* Out of a call that waits, by longjmp. */
	jump = place(sizeof(*jump));
	CHECK(pipe(pipes) == 0);
	action = place(sizeof(*action));
	action->sa_handler = on_alarm;
	CHECK(sigaction(SIGALRM, action, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		if (sigsetjmp(*jump, 1) == 0) {
			timer->it_value.tv_usec = 2000;
			push();
			CHECK(setitimer(ITIMER_REAL, timer, NULL) == 0);
			push();
			read(pipes[0], byte, 16);
			fail("the alarm came", __LINE__);
		}
	}
	push();
	CHECK(write(pipes[1], byte, 16) == 16 &&
	      read(pipes[0], byte, 16) == 16);
	/* System V's way of setting a handler, and the other. */
	CHECK(sysv_signal(SIGBUS, on_alarm) == SIG_DFL);
	push();
	CHECK(sysv_signal(SIGBUS, SIG_DFL) == on_alarm);
	CHECK(signal(SIGSYS, on_alarm) == SIG_DFL);
	push();
	CHECK(signal(SIGSYS, SIG_DFL) == on_alarm);
	printf("signals: handlers, masks, jumps\n");
}

/* --- threads --------------------------------------------------------------------------- */

struct shared {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_barrier_t barrier;
	pthread_rwlock_t rw;
	sem_t semaphore;
	uint64_t turns;
};

static struct shared *shared;

enum { THREADS = 16, TURNS = 200 };

static void *take_turns(void *argument)
{
	uint64_t me = (uintptr_t)argument;

	pthread_barrier_wait(&shared->barrier);
	for (int i = 0; i < TURNS; i++) {
		pthread_mutex_lock(&shared->lock);
		while (shared->turns % THREADS != me)
			pthread_cond_wait(&shared->changed, &shared->lock);
		shared->turns++;
		pthread_cond_broadcast(&shared->changed);
		pthread_mutex_unlock(&shared->lock);
		if (i % 50 == 0 && me == 0)
			push();
		pthread_rwlock_rdlock(&shared->rw);
		pthread_rwlock_unlock(&shared->rw);
		sem_post(&shared->semaphore);
		sem_wait(&shared->semaphore);
	}
	return (void *)(uintptr_t)me;
}

/* Locks and waits whose words are external. */
static void threads(void)
{
	pthread_t *list = place(THREADS * sizeof(*list));
	void **result = place(sizeof(*result));

	shared = place(sizeof(*shared));
	pthread_mutex_init(&shared->lock, NULL);
	pthread_cond_init(&shared->changed, NULL);
	pthread_barrier_init(&shared->barrier, NULL, THREADS);
	pthread_rwlock_init(&shared->rw, NULL);
	sem_init(&shared->semaphore, 0, 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&list[i], NULL, take_turns, (void *)i) ==
		      0);
	for (uintptr_t i = 0; i < THREADS; i++) {
		CHECK(pthread_join(list[i], result) == 0);
		CHECK(*result == (void *)i);
	}
	CHECK(shared->turns == THREADS * TURNS);
	printf("threads: locks, conditions, barriers\n");
}

/* --- stacks ------------------------------------------------------------------------------ */

static ucontext_t *here, *there;
static int steps;

/* A coroutine on external memory: its own stack may be away. */
static void coroutine(void)
{
	volatile char deep[20 * PAGE];

	for (int i = 0; i < 10; i++) {
		for (size_t at = 0; at < sizeof(deep); at += PAGE)
			deep[at] = (char)i;
		steps++;
		swapcontext(there, here);
		for (size_t at = 0; at < sizeof(deep); at += PAGE)
			CHECK(deep[at] == (char)i);
	}
}

static void *on_own_stack(void *p)
{
	volatile char deep[8 * PAGE];

	for (size_t at = 0; at < sizeof(deep); at += PAGE)
		deep[at] = 1;
	push();
	return (void *)((uintptr_t)p + (uintptr_t)deep[0]);
}

static void on_stack_signal(int number)
{
	volatile char deep[PAGE];

	deep[0] = (char)number;
	push(); /* faults in a handler on an alternate stack */
	seen = deep[0];
}

static void stacks(void)
{
	size_t size = 64 * PAGE;
	char *stack = place(size);
	stack_t *alternate = place(sizeof(*alternate)),
		*before = place(sizeof(*before));
	struct sigaction action = { .sa_handler = on_stack_signal,
				    .sa_flags = SA_ONSTACK };
	pthread_attr_t *attributes = place(sizeof(*attributes));
	pthread_t thread;
	void *result;

	here = place(sizeof(*here));
	there = place(sizeof(*there));
	CHECK(getcontext(there) == 0);
	there->uc_stack.ss_sp = stack;
	there->uc_stack.ss_size = size;
	there->uc_link = here;
	makecontext(there, coroutine, 0);
	for (int i = 0; i < 10; i++) {
		push();
		CHECK(swapcontext(here, there) == 0);
	}
	CHECK(steps == 10);

	alternate->ss_sp = place(2 * PAGE);
	alternate->ss_size = 2 * PAGE;
	push();
	CHECK(sigaltstack(alternate, before) == 0);
	CHECK((before->ss_flags & SS_DISABLE) != 0);
	push();
	CHECK(sigaltstack(NULL, before) == 0);
	CHECK(before->ss_sp == alternate->ss_sp &&
	      before->ss_size == alternate->ss_size);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	push();
	CHECK(raise(SIGUSR1) == 0 && seen == SIGUSR1);

	CHECK(pthread_attr_init(attributes) == 0);
	CHECK(pthread_attr_setstack(attributes, place(128 * PAGE),
				    128 * PAGE) == 0);
	push();
	CHECK(pthread_create(&thread, attributes, on_own_stack, (void *)6) ==
	      0);
	CHECK(pthread_join(thread, &result) == 0 && result == (void *)7);
	CHECK(pthread_attr_setstacksize(attributes, 16384) == 0);
	printf("stacks: coroutines, alternate ones, of threads\n");
}

/* --- cancellation ------------------------------------------------------------------------- */

static int waited_for[2];

static void *wait_for_ever(void *size)
{
	char *p = malloc((uintptr_t)size);

	CHECK(p);
	read(waited_for[0], p, (uintptr_t)size);
	return NULL;
}

static void *touch_for_ever(void *unused)
{
	(void)unused;
	for (;;) {
		push();
		pthread_testcancel();
	}
	return NULL;
}

static void cancel(void)
{
	const uintptr_t sizes[] = { 100, 3 * MIB };
	pthread_t thread;
	void *result;

	CHECK(pipe(waited_for) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK(pthread_create(&thread, NULL, wait_for_ever,
				     (void *)sizes[i]) == 0);
		usleep(20000);
		CHECK(pthread_cancel(thread) == 0);
		CHECK(pthread_join(thread, &result) == 0 &&
		      result == PTHREAD_CANCELED);
	}
	for (int i = 0; i < 3; i++) {
		CHECK(pthread_create(&thread, NULL, touch_for_ever, NULL) == 0);
		usleep(5000);
		CHECK(pthread_cancel(thread) == 0);
		CHECK(pthread_join(thread, &result) == 0 &&
		      result == PTHREAD_CANCELED);
	}
	push();
	printf("cancel: threads that wait, and that fault\n");
}

/* --- descriptors ---------------------------------------------------------------------------- */

/* A program may count on the numbers, and close what it does not know. */
static void descriptors(void)
{
	int first;

	closefrom(3);
	first = open("/dev/null", O_RDONLY);
	CHECK(first == 3);
	for (int i = 0; i < 20; i++)
		CHECK(dup(first) == first + 1 + i);
	push();
	for (int i = 3; i < 1024; i++)
		close(i);
	push();
	closefrom(3);
	push();
	CHECK(open("/dev/null", O_RDONLY) == 3);
	for (int i = 4; i < 30; i++)
		CHECK(dup2(3, i) == i);
	push();
	for (size_t i = 0; i < ballast_size; i += PAGE)
		CHECK(ballast[i] == ballast[0]);
	printf("descriptors: in their places\n");
}

static void all(void)
{
	strcpy(folder, "/tmp/run_calls.XXXXXX");
	CHECK(mkdtemp(folder));
	names_and_structs();
	sockets();
	waiting();
	processes();
	signals();
	CHECK(unlink(in_folder("socket")) == 0 && rmdir(folder) == 0);
}

static const struct {
	const char *name;
	void (*use)(void);
} uses[] = {
	{ "all", all },	      { "threads", threads },
	{ "stacks", stacks }, { "cancel", cancel },
	{ "descriptors", descriptors },
};

int main(int argc, char *argv[])
{
	size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 8;

	ballast_size = mib * MIB;
	ballast = malloc(ballast_size);
	CHECK(ballast);
	memset(ballast, 0, ballast_size);
	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].name, argv[1]) == 0) {
			uses[i].use();
			return 0;
		}
	fprintf(stderr, "usage: run_calls USE [MIB]\n");
	return 2;
}
