/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_forks.sh, of libc alone: a child of fork() gives the
 * kernel memory that its parent had, each time a page that the child has not touched yet;
 * by libc's functions, and by an instruction of its own. The output is the same on any
 * memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define SIZE ((size_t)12 << 20)

static char *memory;
static size_t used;

/* A page that was not asked for before, nor were its neighbours. */
static void *page(void)
{
	used += 3 * PAGE;
	if (used + 4 * PAGE > SIZE)
		_exit(2);
	return memory + used;
}

static void say(const char *call, long r)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s: %s\n", call,
			 r < 0 ? strerror(errno) : "right");

	if (write(1, line, (size_t)n) != n)
		_exit(2);
}

#define SAY(call) say(#call, (long)(call))

static long raw(long number, long a, const volatile void *b, long c,
		const volatile void *d, const volatile void *e)
{
#ifdef __x86_64__
	register const volatile void *r10 __asm__("r10") = d;
	register const volatile void *r8 __asm__("r8") = e;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	if (r >= 0 || r < -4095)
		return r;
	errno = (int)-r;
	return -1;
#else
	return syscall(number, a, b, c, d, e);
#endif
}

static void bytes(void)
{
	struct iovec *list = page(), local[2] = { { page(), 9000 }, { page(), 9 } };
	FILE *file = tmpfile();
	int ends[2], fd = file ? fileno(file) : -1;

	if (fd < 0 || pipe(ends) < 0)
		_exit(2);
	list[0] = (struct iovec){ page(), 100 };
	list[1] = (struct iovec){ page(), 50 };
	SAY(write(ends[1], page(), 100));
	SAY(read(ends[0], page(), 100));
	SAY(raw(SYS_write, ends[1], page(), 100, NULL, NULL));
	SAY(raw(SYS_read, ends[0], page(), 100, NULL, NULL));
	SAY(pwrite(fd, page(), 12000, 0));
	SAY(pread(fd, page(), 12000, 0));
	SAY(writev(ends[1], list, 2));
	SAY(readv(ends[0], list, 2));
	SAY(writev(ends[1], local, 2));
	SAY(readv(ends[0], local, 2));
	SAY(raw(SYS_writev, ends[1], list, 2, NULL, NULL));
	SAY(raw(SYS_readv, ends[0], list, 2, NULL, NULL));
	SAY(ioctl(ends[0], FIONREAD, page()));
	SAY(getrandom(page(), 100, 0));
	SAY(pipe(page()));
}

static void names(void)
{
	char *name = strcpy(page(), "/");

	SAY(stat(name, page()));
	SAY(raw(SYS_newfstatat, AT_FDCWD, name, (long)page(), NULL, NULL));
	SAY(open(name, O_RDONLY));
	SAY(chdir(strcpy(page(), "/")));
	SAY(getcwd(page(), PAGE) ? 0 : -1);
	SAY(readlink("/proc/self/exe", page(), 100));
	SAY(statfs("/", page()));
	SAY(uname(page()));
	SAY(gethostname(page(), 100));
}

static void sockets(void)
{
	struct msghdr *message = page();
	struct iovec *list = page();
	socklen_t *size = page();
	int pair[2], *on = page();

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		_exit(2);
	SAY(send(pair[0], page(), 100, 0));
	SAY(recv(pair[1], page(), 100, 0));
	list[0] = (struct iovec){ page(), 100 };
	*message = (struct msghdr){ .msg_iov = list, .msg_iovlen = 1 };
	SAY(sendmsg(pair[0], message, 0));
	message->msg_control = page();
	message->msg_controllen = 100;
	SAY(recvmsg(pair[1], message, 0));
	*size = sizeof(int);
	SAY(getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, page(), size));
	*on = 1;
	SAY(setsockopt(pair[0], SOL_SOCKET, SO_REUSEADDR, on, sizeof(*on)));
	*size = 100;
	SAY(getsockname(pair[0], page(), size));
}

static void waits(void)
{
	struct timespec *nap = page();
	struct pollfd *polled = page();
	struct epoll_event *event = page();
	int ends[2], fd = epoll_create1(0), *word = page();

	if (pipe(ends) < 0)
		_exit(2);
	*nap = (struct timespec){ .tv_nsec = 1000 };
	SAY(nanosleep(nap, page()));
	*polled = (struct pollfd){ .fd = ends[1], .events = POLLOUT };
	SAY(poll(polled, 1, 10));
	SAY(raw(SYS_ppoll, (long)polled, (void *)1, (long)nap, NULL, NULL));
	event->events = EPOLLOUT;
	SAY(epoll_ctl(fd, EPOLL_CTL_ADD, ends[1], event));
	SAY(epoll_wait(fd, page(), 10, 10));
	*word = 5;
	SAY(syscall(SYS_futex, word, 0, 6, NULL, NULL, 0));
	SAY(clock_getres(CLOCK_BOOTTIME, page()));
	SAY(getitimer(ITIMER_REAL, page()));
}

static void processes(void)
{
	char **argv = page();
	pid_t pid;
	int status;

	SAY(sigprocmask(SIG_BLOCK, memset(page(), 0, 128), page()));
	SAY(sigprocmask(SIG_BLOCK, NULL, page()));
	SAY(raw(SYS_rt_sigprocmask, SIG_BLOCK, page(), (long)page(), (void *)8,
		NULL));
	SAY(sigpending(page()));
	SAY(sigaction(SIGUSR2, NULL, page()));
	SAY(getrusage(RUSAGE_SELF, page()));
	SAY(getrlimit(RLIMIT_NOFILE, page()));
	SAY(getgroups(100, page()));
	pid = fork();
	if (pid == 0)
		_exit(0);
	SAY(pid < 0 ? -1 : waitpid(pid, page(), 0) - pid);
	argv[0] = strcpy(page(), "true");
	argv[1] = NULL;
	pid = fork();
	if (pid == 0) {
		execv(strcpy(page(), "/bin/true"), argv);
		_exit(9);
	}
	SAY(waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1);
}

int main(void)
{
	int status = 0;
	pid_t pid;

	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 2;
	for (size_t i = 0; i < SIZE; i += PAGE)
		memory[i + PAGE - 1] = 1;
	pid = fork();
	if (pid == 0) {
		bytes();
		names();
		sockets();
		waits();
		processes();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}
