/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ordinary program for tests/run/test_run.sh: it knows nothing of extmem. Each
 * way of using memory checks itself against a shadow (a generator that can be
 * asked again for any byte) and prints what it did, the same on any memory.
 *
 *	run_program malloc|map|io|stdio|socket|threads|signals [MIB]
 *	run_program fork-touch|fork-exec|touch-forever|too-much|waits|computes [MIB]
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_program:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	exit(1);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* The shadow: byte `at` of stream `seed`. */
static unsigned char byte_of(uint64_t seed, size_t at)
{
	return (unsigned char)(mix(seed * 1000003 + (at >> 3)) >>
			       (at & 7) * 8);
}

static void fill(void *p, uint64_t seed, size_t from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)p)[i] = byte_of(seed, from + i);
}

static bool holds(const void *p, uint64_t seed, size_t from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)p)[i] != byte_of(seed, from + i))
			return false;
	return true;
}

static bool is_zero(const void *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)p)[i] != 0)
			return false;
	return true;
}

/* --- memory ------------------------------------------------------------------- */

static void use_malloc(size_t mib)
{
	enum { COUNT = 12 };
	unsigned char *block[COUNT] = { 0 };
	size_t size[COUNT] = { 0 };
	volatile size_t n = SIZE_MAX / 2 + 1; /* beyond any memory */
	uint64_t seed[COUNT] = { 0 };
	void *p;

	for (uint64_t step = 0; step < 60; step++) {
		unsigned i = mix(step) % COUNT;
		size_t want = mix(step + 7) % (mib * MIB / COUNT) + 1;
		size_t keep = size[i] < want ? size[i] : want;

		if (mix(step + 3) % 4 == 0) {
			free(block[i]);
			block[i] = calloc(want, 1);
			CHECK(block[i] && is_zero(block[i], want));
		} else {
			block[i] = realloc(block[i], want);
			CHECK(block[i] &&
			      holds(block[i], seed[i], 0, keep));
		}
		CHECK(malloc_usable_size(block[i]) >= want);
		size[i] = want;
		seed[i] = step + 100;
		fill(block[i], seed[i], 0, want);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		CHECK(holds(block[i], seed[i], 0, size[i]));
		free(block[i]);
	}
	for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 4) {
		CHECK(posix_memalign(&p, alignment, 3 * MIB + 5) == 0);
		CHECK((uintptr_t)p % alignment == 0);
		fill(p, alignment, 0, 3 * MIB + 5);
		CHECK(holds(p, alignment, 0, 3 * MIB + 5));
		free(p);
	}
	p = aligned_alloc(65536, 4 * MIB);
	CHECK(p && (uintptr_t)p % 65536 == 0);
	free(p);
	p = reallocarray(NULL, 3, MIB);
	CHECK(p);
	/* cppcheck-suppress leakReturnValNotUsed */
	CHECK(!reallocarray(p, n, 3) && errno == ENOMEM);
	free(p);
	/* cppcheck-suppress leakReturnValNotUsed */
	CHECK(!calloc(n, 2) && errno == ENOMEM);
	printf("malloc: %d blocks, as they should be\n", COUNT);
}

static void use_map(size_t mib)
{
	const int rights = PROT_READ | PROT_WRITE,
		  flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t size = mib * MIB / 2;
	char *p = mmap(NULL, size, rights, flags, -1, 0), *q;

	CHECK(p != MAP_FAILED && is_zero(p, size));
	fill(p, 1, 0, size);
	CHECK(madvise(p + MIB, MIB, MADV_DONTNEED) == 0);
	CHECK(is_zero(p + MIB, MIB));
	CHECK(holds(p, 1, 0, MIB) && holds(p + 2 * MIB, 1, 2 * MIB, MIB));
	fill(p + MIB, 1, MIB, MIB);
	CHECK(madvise(p, size, MADV_SEQUENTIAL) == 0);
	CHECK(madvise(p, size, MADV_WILLNEED) == 0);
	CHECK(madvise(p, size, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	CHECK(holds(p, 1, 0, size));
	q = mremap(p, size, size + 3 * MIB, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && holds(q, 1, 0, size));
	CHECK(is_zero(q + size, 3 * MIB));
	p = mremap(q, size + 3 * MIB, size, 0);
	CHECK(p == q && holds(p, 1, 0, size));
	/* As allocators align: the ends go, then a hole, then the rest. */
	CHECK(munmap(p, 3 * 4096) == 0);
	CHECK(munmap(p + size - 4096, 4096) == 0);
	CHECK(munmap(p + MIB, MIB) == 0);
	CHECK(holds(p + 3 * 4096, 1, 3 * 4096, MIB - 3 * 4096));
	CHECK(holds(p + 2 * MIB, 1, 2 * MIB, size - 2 * MIB - 4096));
	CHECK(munmap(p, size) == 0);
	CHECK(munmap((void *)((uintptr_t)p + 1), 4096) < 0 && errno == EINVAL);
	for (int i = 0; i < 20; i++) { /* what is reused is zero again */
		p = mmap(NULL, size, rights, flags, -1, 0);
		CHECK(p != MAP_FAILED && is_zero(p, size));
		memset(p, 0xa5, size);
		CHECK(munmap(p, size) == 0);
	}
	printf("map: %zu MiB, as it should be\n", size / MIB);
}

/* --- system calls ---------------------------------------------------------------- */

static int temporary(void)
{
	char name[] = "/tmp/extmem-run-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	unlink(name);
	return fd;
}

static void use_io(size_t mib)
{
	static const size_t sizes[] = { 1,     7,	 4095,	    4096,
					4097,  65537,	 1048575,   1048577,
					3 * MIB + 11 };
	size_t size = mib * MIB;
	char *p = malloc(size), *q = malloc(size);
	int fd = temporary(), pipes[2];
	struct iovec iov[5];
	struct stat *status;
	size_t at = 13;

	CHECK(p && q);
	fill(p, 5, 0, size);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];

		CHECK(lseek(fd, 0, SEEK_SET) == 0);
		CHECK(write(fd, p + at, n) == (ssize_t)n);
		CHECK(pread(fd, q + at + 1, n, 0) == (ssize_t)n);
		CHECK(holds(q + at + 1, 5, at, n));
		CHECK(pwrite(fd, q + at + 1, n, 100) == (ssize_t)n);
		CHECK(lseek(fd, 100, SEEK_SET) == 100);
		CHECK(read(fd, q, n) == (ssize_t)n);
		CHECK(holds(q, 5, at, n));
		at += n / 2 + 1;
	}
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd, p, size) == (ssize_t)size);
	memset(q, 0, size);
	CHECK(pread(fd, q, size, 0) == (ssize_t)size);
	CHECK(holds(q, 5, 0, size));
	CHECK(pread(fd, q, size, (off_t)size - 10) == 10);
	for (int i = 0; i < 5; i++)
		iov[i] = (struct iovec){ q + i * 70001, 60000 + i };
	CHECK(preadv(fd, iov, 5, 1) == 300010);
	CHECK(holds(q, 5, 1, 60000) &&
	      holds(q + 4 * 70001, 5, 1 + 240006, 60004));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(writev(fd, iov, 5) == 300010 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(readv(fd, iov, 5) == 300010 && holds(q, 5, 1, 60000));
	CHECK(pipe(pipes) == 0);
	CHECK(write(pipes[1], p + 777, 3000) == 3000);
	CHECK(read(pipes[0], q + 4000, 100000) == 3000);
	CHECK(holds(q + 4000, 5, 777, 3000));
	CHECK(getrandom(q, 200, 0) == 200);
	CHECK(read(-1, q, 10) < 0 && errno == EBADF);
	status = (struct stat *)(q + 2 * MIB);
	strcpy(q, "/proc/self/status");
	CHECK(stat(q, status) == 0 && S_ISREG(status->st_mode));
	CHECK(open(q, O_RDONLY) >= 0 && access(q, R_OK) == 0);
	CHECK(getcwd(q, 4096) == q && q[0] == '/');
	free(p);
	free(q);
	printf("io: %zu MiB, as it should be\n", mib);
}

static void use_stdio(size_t mib)
{
	size_t size = mib * MIB;
	char *p = malloc(size), *q = malloc(size), *line = NULL;
	size_t room = 0;
	FILE *file = fdopen(temporary(), "w+");

	CHECK(p && q && file);
	fill(p, 9, 0, size);
	CHECK(fwrite(p + 3, 1, size - 3, file) == size - 3);
	rewind(file);
	CHECK(fread(q, 1, size - 3, file) == size - 3);
	CHECK(holds(q, 9, 3, size - 3));
	CHECK(fread(q, 1, 100, file) == 0 && feof(file));
	rewind(file);
	CHECK(fread(q, 1000, 2100, file) == 2100 && holds(q, 9, 3, 2100000));
	rewind(file);
	CHECK(setvbuf(file, q, _IOFBF, 65536) == 0);
	memset(p, 'x', size);
	p[3 * MIB] = '\0';
	CHECK(fputs(p, file) >= 0 && fputs("\n", file) >= 0);
	rewind(file);
	CHECK(getline(&line, &room, file) == (ssize_t)(3 * MIB + 1));
	CHECK(line[0] == 'x' && line[3 * MIB - 1] == 'x');
	free(line);
	fclose(file);
	free(p);
	free(q);
	printf("stdio: %zu MiB, as it should be\n", mib);
}

static void use_socket(size_t mib)
{
	size_t size = mib * MIB, got = 0;
	char *p = malloc(size), *q = malloc(size);
	struct iovec iov[2];
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	int pair[2];

	CHECK(p && q && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	fill(p, 3, 0, size);
	CHECK(send(pair[0], p + 5, 60001, 0) == 60001);
	CHECK(recv(pair[1], q + 9, 100000, 0) == 60001);
	CHECK(holds(q + 9, 3, 5, 60001));
	iov[0] = (struct iovec){ p + MIB, 1000 };
	iov[1] = (struct iovec){ p + 2 * MIB + 1, 50000 };
	CHECK(sendmsg(pair[0], &message, 0) == 51000);
	iov[0] = (struct iovec){ q + MIB, 999 };
	iov[1] = (struct iovec){ q + 2 * MIB, 60000 };
	CHECK(recvmsg(pair[1], &message, 0) == 51000);
	CHECK(holds(q + MIB, 3, MIB, 999));
	CHECK(holds(q + 2 * MIB + 1, 3, 2 * MIB + 1, 50000));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	if (fork() == 0) { /* its data, not memory, is shared */
		char *r = malloc(100000);

		close(pair[0]);
		for (;;) {
			ssize_t n = read(pair[1], r, 100000);

			if (n <= 0 || write(pair[1], r, n) != n)
				_exit(n < 0);
		}
	}
	close(pair[1]);
	for (size_t at = 0; at < 2 * MIB; at += 65536) {
		CHECK(write(pair[0], p + at, 65536) == 65536);
		for (got = 0; got < 65536;) {
			ssize_t n = recv(pair[0], q + at + got, 65536 - got, 0);

			CHECK(n > 0);
			got += n;
		}
	}
	CHECK(holds(q, 3, 0, 2 * MIB));
	close(pair[0]);
	wait(NULL);
	free(p);
	free(q);
	printf("socket: as it should be\n");
}

/* --- threads and signals -------------------------------------------------------- */

enum { THREADS = 8 };
static char *shared_block;
static size_t shared_size;

static void *thread_work(void *argument)
{
	uint64_t me = (uintptr_t)argument;
	size_t part = shared_size / THREADS;
	char *mine = shared_block + me * part, *own;

	for (int round = 0; round < 3; round++) {
		own = malloc(3 * MIB);
		CHECK(own);
		fill(own, me + 50, 0, 3 * MIB);
		fill(mine, me + round, 0, part);
		CHECK(holds(mine, me + round, 0, part));
		CHECK(holds(own, me + 50, 0, 3 * MIB));
		free(own);
	}
	return NULL;
}

static void use_threads(size_t mib)
{
	pthread_t threads[THREADS];

	shared_size = mib * MIB / 2;
	shared_block = malloc(shared_size);
	CHECK(shared_block);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, thread_work,
				     (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	free(shared_block);
	printf("threads: %d, as they should be\n", THREADS);
}

/* Each takes what the others' growing has just made room for. */
static void *thread_grow(void *argument)
{
	enum { BLOCKS = 64 };
	size_t size = shared_size / THREADS / BLOCKS;
	char *blocks[BLOCKS];

	(void)argument;
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(size);
		CHECK(blocks[i]);
		blocks[i][size - 1] = (char)i;
	}
	for (int i = 0; i < BLOCKS; i++) {
		CHECK(blocks[i][size - 1] == (char)i);
		free(blocks[i]);
	}
	return NULL;
}

static void use_growth(size_t mib)
{
	pthread_t threads[THREADS];

	shared_size = mib * MIB;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, thread_grow, NULL) ==
		      0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("growth: as it should be\n");
}

static volatile sig_atomic_t bus_count, usr_count;

static void on_bus(int number)
{
	(void)number;
	bus_count++;
}

static char *usr_memory;

static void on_usr(int number)
{
	(void)number;
	usr_count += usr_memory[5 * MIB] + 1; /* touched in the handler */
}

static void use_signals(size_t mib)
{
	struct sigaction action = { .sa_handler = on_bus }, before;
	sigset_t all;
	char *p = calloc(mib, MIB);

	CHECK(p);
	CHECK(sigaction(SIGBUS, &action, &before) == 0);
	CHECK(before.sa_handler == SIG_DFL);
	sigfillset(&all);
	CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
	fill(p, 4, 0, mib * MIB); /* faults with everything blocked */
	CHECK(holds(p, 4, 0, mib * MIB));
	CHECK(sigprocmask(SIG_UNBLOCK, &all, NULL) == 0);
	CHECK(raise(SIGBUS) == 0 && bus_count == 1);
	CHECK(signal(SIGBUS, SIG_DFL) == on_bus);
	CHECK(sigaction(SIGBUS, NULL, &before) == 0 &&
	      before.sa_handler == SIG_DFL);
	usr_memory = calloc(8, MIB);
	CHECK(usr_memory);
	action = (struct sigaction){ .sa_handler = on_usr };
	sigfillset(&action.sa_mask);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(raise(SIGUSR1) == 0 && usr_count == 1);
	free(p);
	printf("signals: as they should be\n");
}

/* --- what has no good end --------------------------------------------------------- */

static void use_fork_exec(size_t mib)
{
	char *p = malloc(mib * MIB);
	int status;

	CHECK(p);
	fill(p, 6, 0, mib * MIB);
	fflush(stdout);
	CHECK(system("echo from a child; env | grep -c -e EXTMEM_RUN "
		     "-e extmem-run") >= 0);
	if (fork() == 0) {
		char *own = malloc(8 * MIB); /* local there */

		CHECK(own);
		memset(own, 1, 8 * MIB);
		free(own);
		free(p);
		_exit(7);
	}
	CHECK(wait(&status) > 0 && WIFEXITED(status) &&
	      WEXITSTATUS(status) == 7);
	CHECK(holds(p, 6, 0, mib * MIB));
	/* cppcheck-suppress doubleFree */
	free(p);
	printf("fork-exec: as it should be\n");
}

static void use_fork_touch(size_t mib)
{
	char *p = malloc(mib * MIB);
	int status;
	pid_t pid;

	CHECK(p);
	memset(p, 1, mib * MIB);
	pid = fork();
	if (pid == 0)
		_exit(p[MIB] == 1 ? 0 : 9); /* 9: silent zeros */
	if (pid < 0) {
		printf("fork-touch: no child: %s\n", strerror(errno));
		return;
	}
	CHECK(wait(&status) > 0);
	if (WIFSIGNALED(status))
		printf("fork-touch: child ended by signal %d\n",
		       WTERMSIG(status));
	else
		printf("fork-touch: child ended with %d\n",
		       WEXITSTATUS(status));
}

static void touch_forever(size_t mib)
{
	size_t size = mib * MIB;
	char *p = malloc(size);
	volatile uint64_t sum = 0;

	CHECK(p);
	memset(p, 1, size);
	printf("touching\n");
	fflush(stdout);
	for (uint64_t i = 0;; i++)
		sum = sum + *(volatile char *)(p + mix(i) % size);
}

/* For two seconds: pages here and there, or one page. */
static void a_while(size_t size, size_t reach, const char *name)
{
	char *p = malloc(size);
	volatile uint64_t sum = 0;
	struct timespec begun, now;

	CHECK(p);
	memset(p, 1, size);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (uint64_t i = 0;; i++) {
		sum = sum + *(volatile char *)(p + mix(i) % reach);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= begun.tv_sec + 2 &&
		    now.tv_nsec >= begun.tv_nsec)
			break;
	}
	free(p);
	printf("%s: as it should be\n", name);
}

static void use_waits(size_t mib)
{
	a_while(mib * MIB, mib * MIB, "waits");
}

static void use_computes(size_t mib)
{
	a_while(mib * MIB, 1000, "computes");
}

/* As often, and the same pages, in each run. */
static void use_jumps(size_t mib)
{
	size_t pages = mib * MIB / 4096, sum = 0;
	char *p = malloc(pages * 4096);
	uint64_t x = 1;

	memset(p, 1, pages * 4096);
	for (size_t i = 0; i < 5 * pages; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		sum += (size_t)p[(x >> 33) % pages * 4096];
	}
	printf("jumps: %s\n", sum == 5 * pages ? "as it should be" : "WRONG");
	free(p);
}

static void use_too_much(size_t mib)
{
	void *p = malloc(mib * MIB);

	if (p)
		memset(p, 1, mib * MIB);
	printf("too-much: %s\n", p ? "given" : strerror(errno));
	free(p);
	/* Asked once more: what is said does not repeat the reason. */
	p = malloc(mib * MIB);
	printf("once more: %s\n", p ? "given" : strerror(errno));
	free(p);
}

static const struct {
	const char *name;
	void (*use)(size_t mib);
} uses[] = {
	{ "malloc", use_malloc },	  { "map", use_map },
	{ "io", use_io },		  { "stdio", use_stdio },
	{ "socket", use_socket },	  { "threads", use_threads },
	{ "growth", use_growth },	  { "signals", use_signals },
	{ "fork-exec", use_fork_exec },	  { "fork-touch", use_fork_touch },
	{ "touch-forever", touch_forever }, { "too-much", use_too_much },
	{ "waits", use_waits },		  { "computes", use_computes },
	{ "jumps", use_jumps },
};

int main(int argc, char *argv[])
{
	size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 32;

	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].name, argv[1]) == 0) {
			uses[i].use(mib);
			return 0;
		}
	fprintf(stderr, "usage: run_program USE [MIB]\n");
	return 2;
}
