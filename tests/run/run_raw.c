/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_raw.sh, of libc alone: system calls that libc's
 * functions do not make. They are made by number with syscall(2) and by an
 * instruction of its own; they take descriptors and pages away, and the kernel reads
 * some of their memory after the call has returned. The output is the same on any
 * memory.
 *
 * 	run_raw USE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_raw:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

#define BALLAST_SIZE (12 * MIB)
static char *ballast;

/* Pushes everything else out. */
static void push(void)
{
	for (size_t i = 0; i < BALLAST_SIZE; i += PAGE)
		ballast[i]++;
}

/* Whole pages that nothing else brings back. */
static void *place(size_t size)
{
	char *p = malloc(size + 2 * PAGE);

	CHECK(p);
	p = (char *)(((uintptr_t)p + PAGE) & ~(PAGE - 1));
	memset(p, 0, size);
	return p;
}

static uint64_t word(size_t i, unsigned seed)
{
	return i * 2654435761u + seed;
}

static void fill(void *memory, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size / 8; i++)
		((uint64_t *)memory)[i] = word(i, seed);
}

static bool is_filled(const void *memory, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size / 8; i++)
		if (((const uint64_t *)memory)[i] != word(i, seed))
			return false;
	return true;
}

/* By an instruction that is not libc's; where there is none here, libc's. */
static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
#else
	long r = syscall(number, a, b, c, d, e, f);

	return r < 0 ? -errno : r;
#endif
}

/* --- descriptors ------------------------------------------------------------------ */

enum { DESCRIPTORS_MAX = 20000 };

static void closed(void)
{
	size_t size = 8 * MIB;
	char *kept = place(size);
	posix_spawn_file_actions_t actions;
	char *argv[] = { (char *)"true", NULL }, *none[] = { NULL };
	pid_t pid;
	int null, status;

	fill(kept, size, 1);
	push();
	CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0 || errno == ENOSYS);
	push();
	CHECK(is_filled(kept, size, 1));
	kernel(SYS_close_range, 3, ~0u, 0, 0, 0, 0);
	push();
	CHECK(is_filled(kept, size, 1));
	for (int i = 3; i < DESCRIPTORS_MAX; i++)
		syscall(SYS_close, i);
	push();
	CHECK(is_filled(kept, size, 1));
	for (int i = 3; i < DESCRIPTORS_MAX; i++)
		kernel(SYS_close, i, 0, 0, 0, 0, 0);
	push();
	CHECK(is_filled(kept, size, 1));
	null = open("/dev/null", O_RDWR);
	CHECK(null == 3);
	for (int i = 4; i < DESCRIPTORS_MAX; i++)
		syscall(SYS_dup3, null, i, 0);
	push();
	CHECK(is_filled(kept, size, 1));
	for (int i = 4; i < DESCRIPTORS_MAX; i++)
		kernel(SYS_dup3, null, i, 0, 0, 0, 0);
	push();
	CHECK(is_filled(kept, size, 1));
	closefrom(4);
	push();
	CHECK(is_filled(kept, size, 1));

	/* A child of libc's own making has nobody to ask. */
	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_addclosefrom_np(&actions, 3) == 0);
	CHECK(posix_spawnp(&pid, "true", &actions, NULL, argv, none) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	printf("closed: what was ours\n");
}

/* A program that this one turns into closes whatever it likes, and has its
 * external memory elsewhere, also with an environment in which nobody says
 * so. */
static void turned(void)
{
	char *none[] = { NULL };
	char *argv[] = { (char *)"sh", (char *)"-c",
			 (char *)"exec 3>&- 9>&-; ulimit -n; echo turned", NULL };

	fflush(stdout);
	execve("/bin/sh", argv, none);
	fail("execve", __LINE__);
}

/* --- pages ------------------------------------------------------------------------ */

typedef long caller(long, long, long, long, long, long, long);

static long by_libc(long number, long a, long b, long c, long d, long e, long f)
{
	long r = syscall(number, a, b, c, d, e, f);

	return r < 0 ? -errno : r;
}

static void places_by(caller *call)
{
	const int rights = PROT_READ | PROT_WRITE,
		  flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t size = 2 * MIB;
	char *p = mmap(NULL, size, rights, flags, -1, 0), *q;

	CHECK(p != MAP_FAILED);
	fill(p, size, 2);
	push();
	q = (char *)call(SYS_mremap, (long)p, (long)size, 2 * (long)size,
			 MREMAP_MAYMOVE, 0, 0);
	CHECK((uintptr_t)q < (uintptr_t)-4096);
	CHECK(is_filled(q, size, 2) && q[size] == 0 && q[2 * size - 1] == 0);
	push();
	CHECK(is_filled(q, size, 2));
	CHECK(call(SYS_madvise, (long)q, (long)PAGE, MADV_DONTNEED, 0, 0, 0) ==
	      0);
	CHECK(q[0] == 0 && *(uint64_t *)(q + PAGE) == word(PAGE / 8, 2));
	q[0] = 7;
	push();
	CHECK(q[0] == 7 && q[1] == 0);
	CHECK((char *)call(SYS_mmap, (long)q, (long)size, rights,
			   flags | MAP_FIXED, -1, 0) == q);
	CHECK(q[0] == 0 && q[size - 1] == 0);
	fill(q, size, 3);
	push();
	CHECK(is_filled(q, size, 3));
	CHECK(call(SYS_munmap, (long)(q + size), (long)size, 0, 0, 0, 0) == 0);
	p = place(4 * MIB);
	fill(p, 4 * MIB, 4);
	push();
	CHECK(is_filled(q, size, 3) && is_filled(p, 4 * MIB, 4));
	/* Refused or done: what was there is there. */
	call(SYS_mprotect, (long)q, (long)size, PROT_NONE, 0, 0, 0);
	call(SYS_mprotect, (long)q, (long)size, rights, 0, 0, 0);
	push();
	CHECK(is_filled(q, size, 3));
	call(SYS_pkey_mprotect, (long)q, (long)size, PROT_NONE, -1, 0, 0);
	call(SYS_pkey_mprotect, (long)q, (long)size, rights, -1, 0, 0);
	push();
	CHECK(is_filled(q, size, 3));
	call(SYS_mlock, (long)q, (long)size, 0, 0, 0, 0);
	call(SYS_mlock2, (long)q, (long)size, 1, 0, 0, 0);
	push();
	CHECK(is_filled(q, size, 3));
	call(SYS_munlock, (long)q, (long)size, 0, 0, 0, 0);
	CHECK(munmap(q, size) == 0);
}

static void places(void)
{
	char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	places_by(by_libc);
	places_by(kernel);
	fill(p, MIB, 5);
	CHECK(madvise(p, 5000, MADV_DONTNEED) == 0);
	CHECK(p[0] == 0 && p[PAGE] == 0 &&
	      *(uint64_t *)(p + 2 * PAGE) == word(2 * PAGE / 8, 5));
	CHECK(madvise(p + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
	CHECK(madvise(p, SIZE_MAX - 5, MADV_DONTNEED) == -1);
	CHECK(munmap(p, SIZE_MAX / 2) == -1 && errno == EINVAL);
	CHECK(mremap(p, SIZE_MAX - 2 * PAGE, PAGE, 0) == MAP_FAILED);
	CHECK(*(uint64_t *)(p + 2 * PAGE) == word(2 * PAGE / 8, 5));
	printf("places: by number\n");
}

/* What is refused is said, and not each time. */
static void refused(void)
{
	char *p = place(MIB);
	struct rusage usage;

	for (int i = 0; i < 2000; i++)
		CHECK(mlock(p, PAGE) == -1 && errno == ENOMEM);
	for (int i = 0; i < 3; i++)
		CHECK(mlockall(MCL_CURRENT | (i ? MCL_FUTURE : 0)) == -1);
	CHECK(syscall(SYS_mlockall, MCL_CURRENT) == -1);
	CHECK(mlock2(p, PAGE, 0) == -1 && mlock2(p, PAGE, 1) == -1);
	getrusage(RUSAGE_SELF, &usage);
	CHECK(usage.ru_maxrss < 256 << 10);
	printf("refused\n");
}

/* The kernel would touch memory by itself. */
static void nosys(void)
{
	char *p = place(256);
	unsigned long *context = place(sizeof(*context));

	CHECK(syscall(425, 8, p) == -1 && errno == ENOSYS);
	CHECK(syscall(SYS_io_setup, 8, context) == -1 && errno == ENOSYS);
	printf("nosys\n");
}

/* --- sizes ------------------------------------------------------------------------ */

static void sizes(void)
{
	const size_t list[] = { SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX - 8191,
				SIZE_MAX - 8192, SIZE_MAX - MIB, SIZE_MAX / 2,
				SIZE_MAX / 2 - 4096, (size_t)1 << 48 };
	void *p;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		volatile size_t n = list[i];

		CHECK(!malloc(n) && !calloc(n, 1) && !calloc(n / 2, 3));
		CHECK(!realloc(NULL, n) && !valloc(n));
		p = malloc(MIB);
		CHECK(p && !realloc(p, n));
		free(p);
		CHECK(!reallocarray(NULL, n / 8, 9));
		CHECK(!aligned_alloc(PAGE, n & ~(PAGE - 1)));
		CHECK(posix_memalign(&p, 2 * MIB, n) == ENOMEM);
		CHECK(mmap(NULL, n, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	}
	CHECK(posix_memalign(&p, (size_t)1 << 62, 16) == ENOMEM);
	printf("sizes: too large\n");
}

/* --- files ------------------------------------------------------------------------ */

enum { WRITERS = 4, RECORDS = 12 };

static const char *file_name;
static size_t record_size;
static int shared_fd;

static void *append(void *argument)
{
	long me = (long)argument;
	char *p = malloc(record_size);
	size_t third = record_size / 3;
	struct iovec iov[3];
	int fd = shared_fd >= 0 ? shared_fd
				: open(file_name, O_WRONLY | O_APPEND);

	CHECK(p && fd >= 0);
	memset(p, 'a' + (int)me, record_size);
	for (int i = 0; i < 3; i++)
		iov[i] = (struct iovec){ p + i * third,
					 i < 2 ? third
					       : record_size - 2 * third };
	for (int i = 0; i < RECORDS; i++)
		CHECK((i % 2 ? writev(fd, iov, 3)
			     : write(fd, p, record_size)) ==
		      (ssize_t)record_size);
	if (shared_fd < 0)
		close(fd);
	free(p);
	return NULL;
}

static void append_records(size_t size, bool shared)
{
	char name[] = "/tmp/run_raw.XXXXXX", *p = malloc(size);
	pthread_t threads[WRITERS];
	int fd = mkstemp(name), count = 0;

	CHECK(fd >= 0);
	file_name = name;
	record_size = size;
	shared_fd = shared ? fd : -1;
	for (long i = 0; i < WRITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, append, (void *)i) ==
		      0);
	for (int i = 0; i < WRITERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	while (pread(fd, p, size, (off_t)(count * size)) == (ssize_t)size) {
		count++;
		CHECK(memcmp(p, p + 1, size - 1) == 0);
	}
	CHECK(count == WRITERS * RECORDS);
	close(fd);
	unlink(name);
	free(p);
}

static void appended(void)
{
	append_records(150000, false);
	append_records(MIB, false);
	append_records(1200000, false);
	append_records(MIB, true);
	printf("appended: whole\n");
}

/* --- sockets ------------------------------------------------------------------------ */

static void connect_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), room = 4 * (int)MIB;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(listener, (struct sockaddr *)&address, size) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	pair[1] = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	CHECK(connect(pair[0], (struct sockaddr *)&address, size) == 0);
	close(pair[1]);
	pair[1] = accept(listener, NULL, NULL);
	CHECK(pair[1] >= 0);
	close(listener);
}

static void *send_much(void *argument)
{
	char *p = place(2 * MIB);

	fill(p, 2 * MIB, 6);
	CHECK(send(*(int *)argument, p, 2 * MIB, 0) == (ssize_t)(2 * MIB));
	return NULL;
}

/* How much can wait in this socket to be peeked at: it is what the system allows
 * (net.core.rmem_max), and half of it is the kernel's own, at least. */
static size_t peekable(int fd)
{
	int room = 0;
	socklen_t size = sizeof(room);

	CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &size) == 0);
	return (size_t)room / 4;
}

static void peeked(void)
{
	size_t size = 900 << 10, more;
	char *p = place(2 * MIB);
	pthread_t thread;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(pthread_create(&thread, NULL, send_much, &pair[0]) == 0);
	push();
	/* A part, from the first byte on. */
	more = (size_t)recv(pair[1], p, size, MSG_PEEK | MSG_WAITALL);
	CHECK(more > 0 && more <= size && is_filled(p, more, 6));
	push();
	CHECK(recv(pair[1], p, 2 * MIB, MSG_WAITALL) == (ssize_t)(2 * MIB));
	CHECK(is_filled(p, 2 * MIB, 6));
	CHECK(pthread_join(thread, NULL) == 0);
	close(pair[0]);
	close(pair[1]);

	connect_pair(pair);
	size = peekable(pair[1]) < size ? peekable(pair[1]) : size;
	CHECK(pthread_create(&thread, NULL, send_much, &pair[0]) == 0);
	memset(p, 0, 2 * MIB);
	push();
	CHECK(recv(pair[1], p, size, MSG_PEEK | MSG_WAITALL) == (ssize_t)size);
	CHECK(is_filled(p, size, 6));
	CHECK(recv(pair[1], p, 2 * MIB, MSG_WAITALL) == (ssize_t)(2 * MIB));
	CHECK(is_filled(p, 2 * MIB, 6));
	CHECK(pthread_join(thread, NULL) == 0);
	printf("peeked: from the first byte on\n");
}

/* Completions are ranges of the calls' numbers. */
static void await_completions(int fd, unsigned count)
{
	unsigned seen = 0;

	while (seen < count) {
		char control[128];
		struct msghdr message = { .msg_control = control,
					  .msg_controllen = sizeof(control) };
		struct pollfd polled = { .fd = fd };
		struct sock_extended_err *error;

		CHECK(poll(&polled, 1, 20000) == 1);
		if (recvmsg(fd, &message, MSG_ERRQUEUE) < 0)
			continue;
		CHECK(CMSG_FIRSTHDR(&message));
		error = (struct sock_extended_err *)(void *)CMSG_DATA(
			CMSG_FIRSTHDR(&message));
		CHECK(error->ee_origin == SO_EE_ORIGIN_ZEROCOPY);
		seen += error->ee_data - error->ee_info + 1;
	}
	CHECK(seen == count);
}

static void lent(void)
{
	enum { MESSAGES = 40 };
	const size_t size = 32768;
	char *p[MESSAGES], *q = place(size);
	int pair[2], one = 1;

	connect_pair(pair);
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_ZEROCOPY, &one,
			 sizeof(one)) == 0);
	for (unsigned i = 0; i < MESSAGES; i++)
		fill(p[i] = place(size), size, i * 1000);
	push();
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct iovec iov = { p[i], size };
		const struct msghdr message = { .msg_iov = &iov,
						.msg_iovlen = 1 };

		CHECK((i % 2 ? sendmsg(pair[0], &message, MSG_ZEROCOPY)
			     : send(pair[0], p[i], size, MSG_ZEROCOPY)) ==
		      (ssize_t)size);
	}
	push();
	for (unsigned i = 0; i < MESSAGES; i++) {
		CHECK(recv(pair[1], q, size, MSG_WAITALL) == (ssize_t)size);
		CHECK(is_filled(q, size, i * 1000));
	}
	await_completions(pair[0], MESSAGES);
	printf("lent: as they were sent\n");
}

/* --- lists and newer calls -------------------------------------------------------------- */

static void lists(void)
{
	const size_t size = 32768;
	char *p = place(size), *q = place(size), local[4096];
	struct iovec iov = { p, size }, to = { q, size },
		     part = { local, sizeof(local) }, from = { p + PAGE, PAGE };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct ifconf interfaces = { .ifc_len = 4096 };
	int pipes[2], pair[2], fd;
	char name[] = "/tmp/run_raw.XXXXXX";

	fill(p, size, 7);
	CHECK(pipe(pipes) == 0);
	push();
	CHECK(vmsplice(pipes[1], &iov, 1, 0) == (ssize_t)size);
	push();
	CHECK(vmsplice(pipes[0], &to, 1, 0) == (ssize_t)size);
	CHECK(is_filled(q, size, 7));
	CHECK(vmsplice(pipes[0], &to, 1, SPLICE_F_NONBLOCK) == -1 &&
	      errno == EAGAIN);
	fd = mkstemp(name);
	CHECK(fd >= 0 && unlink(name) == 0);
	push();
	CHECK(syscall(SYS_writev, fd, &iov, 1) == (long)size);
	memset(q, 0, size);
	push();
	CHECK(syscall(SYS_preadv, fd, &to, 1, 0, 0) == (long)size);
	CHECK(is_filled(q, size, 7));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	push();
	CHECK(syscall(SYS_sendmsg, pair[0], &message, 0) == (long)size);
	memset(q, 0, size);
	message.msg_iov = &to;
	push();
	CHECK(syscall(SYS_recvmsg, pair[1], &message, MSG_WAITALL) ==
	      (long)size);
	CHECK(is_filled(q, size, 7));

	push();
	CHECK(process_vm_readv(getpid(), &part, 1, &from, 1, 0) ==
	      (ssize_t)PAGE);
	CHECK(memcmp(local, p + PAGE, PAGE) == 0);
	memset(local, 9, sizeof(local));
	push();
	CHECK(syscall(SYS_process_vm_writev, getpid(), &part, 1, &from, 1, 0) ==
	      (long)PAGE);
	CHECK(memcmp(local, p + PAGE, PAGE) == 0);

	interfaces.ifc_buf = place(4096);
	push();
	CHECK(ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFCONF, &interfaces) ==
	      0);
	printf("lists: on the stack\n");
}

/* Not everywhere; but EFAULT is never the answer. */
static void newer(void)
{
	char *name = strcpy(place(64), "/tmp"), *path = place(64),
	     **argv = place(3 * sizeof(*argv));
	uint64_t *set = place(16), *clone = place(88), *range = place(16),
		 *counts = place(64);
	siginfo_t *info = place(sizeof(*info));
	struct iovec *iov = place(sizeof(*iov));
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0), status;
	pid_t pid;

#define KNOWN(call) CHECK((push(), (call)) >= 0 || errno != EFAULT)
	KNOWN(syscall(452, AT_FDCWD, strcpy(path, "/dev/none"), 0600, 0));
	set[0] = 1;
	KNOWN(syscall(444, set, 8, 0));
	range[1] = PAGE;
	KNOWN(syscall(451, 0, range, counts, 0));
	info->si_signo = 0;
	info->si_code = SI_QUEUE;
	KNOWN(syscall(SYS_pidfd_send_signal, self, 0, info, 0));
	KNOWN(syscall(428, AT_FDCWD, name, 0));
	KNOWN(syscall(430, strcpy(path, "tmpfs"), 0));
	iov->iov_base = place(PAGE);
	iov->iov_len = PAGE;
	KNOWN(syscall(440, self, iov, 1, 20, 0));
	clone[4] = SIGCHLD;
	push();
	pid = (pid_t)kernel(435, (long)clone, 88, 0, 0, 0, 0);
	if (pid == 0)
		kernel(SYS_exit_group, 3, 0, 0, 0, 0, 0);
	CHECK(pid != -EFAULT);
	if (pid > 0)
		CHECK(waitpid(pid, &status, 0) == pid &&
		      WEXITSTATUS(status) == 3);
	strcpy(path, "/bin/sh");
	argv[0] = path;
	argv[1] = strcpy(place(8), "-n");
	pid = vfork();
	if (pid == 0) {
		execveat(AT_FDCWD, path, argv, argv + 2, 0);
		_exit(9);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	printf("newer: known\n");
}

/* A register that a call does not use holds anything, and while all signals are
 * blocked, as they are for a moment in pthread_create() and fork(), nobody can serve
 * a call for its sake. */
static void blocked(void)
{
	static uint32_t word, other;
	const uint64_t all = UINT64_MAX;
	const long at = (long)&word, p = (long)place(PAGE);
	uint64_t before;

	CHECK(kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before,
		     8, p, p) == 0);
	CHECK(kernel(SYS_futex, at, FUTEX_WAKE_PRIVATE, 1, p, p, p) == 0);
	CHECK(kernel(SYS_futex, at, FUTEX_WAIT_PRIVATE, 1, 0, p, p) == -EAGAIN);
	CHECK(kernel(SYS_futex, at, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1,
		     0, p, -1) == -EAGAIN);
	CHECK(kernel(SYS_futex, at, FUTEX_REQUEUE, 1, 1, (long)&other, p) == 0);
	CHECK(kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8, 0,
		     0) == 0);
#define SERVED(result, ...)                                                   \
	CHECK((push(), kernel(SYS_futex, __VA_ARGS__)) == (result))
	SERVED(-ETIMEDOUT, at, FUTEX_WAIT, 0, p, 0, 0);
	SERVED(-ETIMEDOUT, at, FUTEX_WAIT_BITSET_PRIVATE, 0, p, 0, -1);
	SERVED(0, at, FUTEX_REQUEUE_PRIVATE, 1, 1, p, 0);
	SERVED(0, at, FUTEX_CMP_REQUEUE, 1, 1, p, 0);
	SERVED(0, at, FUTEX_WAKE_OP, 1, 1, p, 0);
	SERVED(0, p, FUTEX_WAKE, 1, 0, 0, 0);
	SERVED(0, at, FUTEX_LOCK_PI, 0, p, 0, 0);
	CHECK(kernel(SYS_futex, at, FUTEX_UNLOCK_PI, 0, 0, 0, 0) == 0);
	CHECK((push(), kernel(SYS_futex, at, 13, 0, p, 0, 0)) != -EFAULT);
	printf("blocked: waits and wakes\n");
}

/* Threads that end one by one: the last one ends the process. */
static void *leaves(void *unused)
{
	(void)unused;
	usleep(20000);
	printf("left: by the last\n");
	return NULL;
}

static void left(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, leaves, NULL) == 0);
	pthread_exit(NULL);
}

/* The first by number, the others by libc; some while others begin. */
static void *leaves_more(void *n)
{
	pthread_t thread;

	if ((intptr_t)n > 0)
		CHECK(pthread_create(&thread, NULL, leaves_more,
				     (void *)((intptr_t)n - 1)) == 0);
	else
		printf("left: one by one\n");
	fflush(stdout); /* libc does not know how the first one has ended */
	return NULL;
}

static void left_by_number(void)
{
	pthread_t thread;

	for (int i = 0; i < 10; i++)
		CHECK(pthread_create(&thread, NULL, leaves_more,
				     (void *)(intptr_t)i) == 0);
	syscall(SYS_exit, 0);
}

static void left_alone(void)
{
	printf("left: alone\n");
	fflush(stdout);
	syscall(SYS_exit, 0);
}

static const struct {
	const char *name;
	void (*use)(void);
} uses[] = {
	{ "closed", closed },   { "turned", turned }, { "places", places },
	{ "refused", refused }, { "nosys", nosys },   { "sizes", sizes },
	{ "appended", appended }, { "peeked", peeked }, { "lent", lent },
	{ "lists", lists },	{ "newer", newer },	{ "blocked", blocked },
	{ "left-by-number", left_by_number }, { "left", left },	{ "left-alone", left_alone },
};

int main(int argc, char *argv[])
{
	ballast = malloc(BALLAST_SIZE);
	CHECK(ballast);
	memset(ballast, 0, BALLAST_SIZE);
	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].name, argv[1]) == 0) {
			uses[i].use();
			return 0;
		}
	fprintf(stderr, "usage: run_raw USE\n");
	return 2;
}
