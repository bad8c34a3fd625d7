/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_forks.sh, of libc alone, that forks: children
 * compare what the parent had, byte by byte, while the parent goes on changing it.
 * The output is the same on any memory.
 *
 * 	run_forks snapshot|nested|many|exec|pool|write|orphan|steps|
 * 		keep|clone|much|linger [MIB]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_forks:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* A page says which it is and of which version, at both ends. */
static void put(char *p, size_t page, uint64_t version)
{
	uint64_t x = mix(page * 1000003 + version);

	memcpy(p + page * PAGE, &x, sizeof(x));
	memcpy(p + page * PAGE + PAGE - sizeof(x), &x, sizeof(x));
}

static bool is(const char *p, size_t page, uint64_t version)
{
	uint64_t x = mix(page * 1000003 + version);

	return memcmp(p + page * PAGE, &x, sizeof(x)) == 0 &&
	       memcmp(p + page * PAGE + PAGE - sizeof(x), &x, sizeof(x)) == 0;
}

static void put_all(char *p, size_t pages, uint64_t version)
{
	for (size_t i = 0; i < pages; i++)
		put(p, i, version);
}

/* Both ways, so that it runs ahead of what is changed, and behind it. */
static void check_all(const char *p, size_t pages, uint64_t version)
{
	for (size_t i = 0; i < pages; i++)
		CHECK(is(p, i, version));
	for (size_t i = pages; i > 0; i--)
		CHECK(is(p, i - 1, version));
}

static void reap(int count)
{
	int status;

	while (count-- > 0) {
		CHECK(wait(&status) > 0);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

static pid_t child(void (*work)(char *, size_t, uint64_t), char *p,
		   size_t pages, uint64_t version)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		work(p, pages, version);
		_exit(0);
	}
	return pid;
}

static void just_check(char *p, size_t pages, uint64_t version)
{
	check_all(p, pages, version);
}

/* --- uses ------------------------------------------------------------------------ */

static void use_snapshot(char *p, size_t pages)
{
	put_all(p, pages, 1);
	child(just_check, p, pages, 1);
	/* At once, and all of it; then more than once. */
	put_all(p, pages, 2);
	for (uint64_t i = 0; i < 3 * pages; i++)
		put(p, mix(i) % pages, 3);
	put_all(p, pages, 4);
	check_all(p, pages, 4);
	reap(1);
	check_all(p, pages, 4);
	printf("snapshot: the child saw what was\n");
}

static void grandchild(char *p, size_t pages, uint64_t version)
{
	for (size_t i = 0; i < pages; i++)
		CHECK(is(p, i, i % 16 ? version : version + 100));
	for (size_t i = 0; i < pages; i++)
		put(p, i % 64, version + 300); /* of its own */
}

static void generation(char *p, size_t pages, uint64_t version)
{
	for (size_t i = 0; i < pages; i += 16)
		put(p, i, version + 100);
	child(grandchild, p, pages, version);
	for (size_t i = 0; i < pages; i += 16)
		put(p, i, version + 200);
	for (size_t i = 0; i < pages; i++)
		CHECK(is(p, i, i % 16 ? version : version + 200));
	reap(1);
}

static void use_nested(char *p, size_t pages)
{
	put_all(p, pages, 1);
	child(generation, p, pages, 1);
	child(generation, p, pages, 1);
	put_all(p, pages, 2);
	reap(2);
	check_all(p, pages, 2);
	printf("nested: so did the child's child\n");
}

/* Each of another time; all at once. */
static void use_many(char *p, size_t pages)
{
	enum { CHILDREN = 12 };

	put_all(p, pages, 1);
	for (uint64_t i = 1; i <= CHILDREN; i++) {
		child(just_check, p, pages, i);
		put_all(p, pages, i + 1);
	}
	check_all(p, pages, CHILDREN + 1);
	reap(CHILDREN);
	printf("many: each saw its own time\n");
}

static void use_exec(char *p, size_t pages)
{
	char word[] = "true", *argv[] = { word, NULL };

	put_all(p, pages, 1);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			execvp("true", argv);
			_exit(9);
		}
		put(p, (size_t)i, 2);
	}
	reap(20);
	for (int i = 0; i < 20; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			execvp("true", argv);
			_exit(9);
		}
		CHECK(pid > 0);
	}
	reap(20);
	for (int i = 0; i < 5; i++)
		CHECK(system("exit 0") == 0);
	for (size_t i = 0; i < pages; i++)
		CHECK(is(p, i, i < 20 ? 2 : 1));
	printf("exec: children that exec\n");
}

static char *pool_memory;
static size_t pool_pages;
static volatile bool pool_stop;

static void *pool_writer(void *argument)
{
	uint64_t version = 10, me = (uintptr_t)argument;

	while (!pool_stop) {
		version++;
		for (size_t i = me; i < pool_pages / 2; i += 4)
			put(pool_memory, i, version);
	}
	return NULL;
}

static void whole_pages(char *p, size_t pages, uint64_t version)
{
	uint64_t a, b;

	(void)version;
	/* Somebody may have been in the middle of one page each. */
	for (size_t i = 0, torn = 0; i < pages / 2; i++) {
		memcpy(&a, p + i * PAGE, sizeof(a));
		memcpy(&b, p + i * PAGE + PAGE - sizeof(b), sizeof(b));
		torn += a != b;
		CHECK(torn <= 4 && a != 0);
	}
	for (size_t i = pages / 2; i < pages; i++)
		CHECK(is(p, i, 1));
}

/* Threads write all the while. */
static void use_pool(char *p, size_t pages)
{
	pthread_t threads[4];

	put_all(p, pages, 1);
	pool_memory = p;
	pool_pages = pages;
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, pool_writer,
				     (void *)i) == 0);
	for (int i = 0; i < 6; i++) {
		child(whole_pages, p, pages, 1);
		usleep(20000);
	}
	reap(6);
	pool_stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("pool: while others wrote\n");
}

/* The child's own stores, allocations and frees. */
static void child_writes(char *p, size_t pages, uint64_t version)
{
	char *more;

	for (size_t i = 0; i < pages; i += 8)
		put(p, i, version + 1);
	for (size_t i = 0; i < pages; i++)
		CHECK(is(p, i, i % 8 ? version : version + 1));
	more = realloc(p, (pages + 64) * PAGE);
	CHECK(more);
	for (size_t i = 0; i < pages; i++)
		CHECK(is(more, i, i % 8 ? version : version + 1));
	free(more);
}

static void use_write(char *p, size_t pages)
{
	char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	CHECK(map != MAP_FAILED);
	put_all(p, pages, 1);
	put_all(map, 64, 1);
	child(child_writes, p, pages, 1);
	pid = child(just_check, map, 64, 1);
	CHECK(pid > 0);
	/* What the parent lets go of, its children keep. */
	CHECK(madvise(map, 32 * PAGE, MADV_DONTNEED) == 0);
	for (size_t i = 0; i < 32 * PAGE; i += 512)
		CHECK(map[i] == 0);
	CHECK(munmap(map, 64 * PAGE) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		CHECK(madvise(p, pages * PAGE, MADV_DONTNEED) == 0 ||
		      errno == EINVAL);
		_exit(0);
	}
	CHECK(is(p, 0, 1));
	reap(3);
	check_all(p, pages, 1);
	printf("write: children's stores are their own\n");
}

/* The parent ends first; what the child needs must be there all the same. */
static void use_orphan(char *p, size_t pages)
{
	int pipes[2];
	pid_t parent;
	char byte;

	CHECK(pipe(pipes) == 0);
	put_all(p, pages, 1);
	fflush(stdout);
	parent = fork();
	CHECK(parent >= 0);
	if (parent == 0) {
		/* Until the other end is closed: the parent has ended, or does
		 * nothing more of its own. */
		close(pipes[1]);
		CHECK(read(pipes[0], &byte, 1) == 0);
		check_all(p, pages, 1);
		printf("orphan: it had all of it\n");
		fflush(stdout);
		_exit(0);
	}
	exit(0);
}

/* Small things, as a program makes them, and a child in between. */
static void use_steps(char *p, size_t pages)
{
	enum { COUNT = 4000 };
	static char *text[COUNT];

	put_all(p, pages, 1);
	for (int i = 0; i < COUNT; i++) {
		text[i] = malloc(40 + (size_t)i % 200);
		CHECK(text[i]);
		sprintf(text[i], "text %d of round 0", i);
	}
	for (int round = 1; round <= 3; round++) {
		pid_t pid;

		fflush(stdout);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			char want[64];

			for (int i = 0; i < COUNT; i++) {
				sprintf(want, "text %d of round %d", i,
					round - 1);
				CHECK(strcmp(text[i], want) == 0);
				free(text[i]);
				text[i] = strdup(want);
			}
			_exit(0);
		}
		for (int i = 0; i < COUNT; i++) {
			free(text[i]);
			text[i] = malloc(40 + (size_t)(i + round) % 200);
			sprintf(text[i], "text %d of round %d", i, round);
		}
	}
	reap(3);
	check_all(p, pages, 1);
	printf("steps: three children, three rounds\n");
}

static size_t resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	size_t kib = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %zu", &kib) == 1)
			break;
	fclose(f);
	CHECK(kib > 0);
	return kib;
}

/* A child that lives long; beside it its parent goes on as ever: what only
 * children that have ended could have seen goes, and what is freed returns. */
static void use_keep(char *p, size_t pages)
{
	size_t before = 0;
	int pipes[2];
	char byte;
	pid_t pid;

	CHECK(pipe(pipes) == 0);
	put_all(p, pages, 1);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(pipes[1]);
		CHECK(read(pipes[0], &byte, 1) == 0);
		check_all(p, pages, 1);
		_exit(0);
	}
	close(pipes[0]);
	for (uint64_t i = 2; i < 50; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			_exit(0);
		CHECK(waitpid(pid, NULL, 0) == pid);
		put_all(p, pages, i);
		if (i == 10)
			before = resident_kib();
	}
	CHECK(resident_kib() < before + 32 * 1024);
	for (uint64_t i = 1; i < 40; i++) {
		char *q = malloc(pages * PAGE);

		CHECK(q);
		put_all(q, pages, i);
		free(q);
	}
	close(pipes[1]);
	reap(1);
	check_all(p, pages, 49);
	printf("keep: one child lives long\n");
}

static char *cloned_memory;
static size_t cloned_pages;

static int cloned(void *unused)
{
	(void)unused;
	check_all(cloned_memory, cloned_pages, 1);
	return 0;
}

static int shared(void *unused)
{
	(void)unused;
	_exit(0);
}

/* Children that are not made by fork(). */
static void use_clone(char *p, size_t pages)
{
	char *stack = malloc(MIB);
	pid_t pid;

	CHECK(stack);
	cloned_memory = p;
	cloned_pages = pages;
	put_all(p, pages, 1);
	fflush(stdout);
	pid = _Fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(cloned(NULL));
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(cloned(NULL));
	CHECK(clone(cloned, stack + MIB, SIGCHLD, NULL) > 0);
	put_all(p, pages, 2); /* the stack is not here any more */
	CHECK(clone(shared, stack + MIB, SIGCHLD | CLONE_VM | CLONE_VFORK,
		    NULL) > 0);
	reap(4);
	check_all(p, pages, 2);
	printf("clone: children of other calls\n");
}

/* A child that writes to all it has, which is much. */
static void use_much(char *p, size_t pages)
{
	pid_t pid;

	put_all(p, pages, 1);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		put_all(p, pages, 2);
		check_all(p, pages, 2);
		_exit(0);
	}
	reap(1);
	check_all(p, pages, 1);
	printf("much: all of it was written to\n");
}

static _Atomic uint64_t *ticks;

static void *tick(void *unused)
{
	(void)unused;
	for (;;) {
		atomic_fetch_add(ticks, 1);
		usleep(1000);
	}
	return NULL;
}

/* The parent ends, and with it its threads, though its child needs what it
 * had. */
static void use_linger(char *p, size_t pages)
{
	pthread_t thread;
	uint64_t before;
	int pipes[2];
	char byte;
	pid_t pid;

	ticks = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(ticks != MAP_FAILED && pipe(pipes) == 0);
	put_all(p, pages, 1);
	CHECK(pthread_create(&thread, NULL, tick, NULL) == 0);
	while (atomic_load(ticks) < 10)
		usleep(1000);
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid > 0)
		exit(0);
	close(pipes[1]);
	CHECK(read(pipes[0], &byte, 1) == 0);
	before = atomic_load(ticks);
	usleep(200000);
	CHECK(atomic_load(ticks) == before);
	check_all(p, pages, 1);
	printf("linger: nobody runs there\n");
	fflush(stdout);
	_exit(0);
}

/* A child in a namespace of numbers that its parent has begun, after which no thread
 * could be. It has its parent's number; what it executes runs plain all the same. */
static void use_number(char *p, size_t pages)
{
	pid_t pid;

	put_all(p, pages, 1);
	CHECK(getpid() == 1 && unshare(CLONE_NEWPID) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(getpid() == 1);
		check_all(p, pages, 1);
		execlp("sh", "sh", "-c", "echo \"number: ${LD_PRELOAD-plain}\"",
		       NULL);
		_exit(1);
	}
	reap(1);
}

static const struct {
	const char *name;
	void (*use)(char *p, size_t pages);
} uses[] = {
	{ "snapshot", use_snapshot }, { "nested", use_nested },
	{ "many", use_many },	      { "exec", use_exec },
	{ "pool", use_pool },	      { "write", use_write },
	{ "orphan", use_orphan },     { "steps", use_steps },
	{ "keep", use_keep },	      { "clone", use_clone },
	{ "much", use_much },	      { "linger", use_linger },
	{ "number", use_number },
};

int main(int argc, char *argv[])
{
	size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 16;
	size_t pages = mib * MIB / PAGE;
	char *p = malloc(pages * PAGE);

	CHECK(p);
	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(uses[i].name, argv[1]) == 0) {
			uses[i].use(p, pages);
			return 0;
		}
	fprintf(stderr, "usage: run_forks USE [MIB]\n");
	return 2;
}
