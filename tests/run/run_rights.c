/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_rights.sh, of libc alone: pages whose rights it takes
 * and gives back by mprotect(2), touched without the right by itself, by its threads and by
 * system calls. The output is the same on any memory.
 *
 *	run_rights guards|barrier|calls|large|storm|children
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_rights:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

static char *map(size_t size)
{
	char *p = mmap(NULL, size, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void protect(char *at, size_t size, int rights)
{
	CHECK(mprotect(at, size, rights) == 0);
}

/* --- touches that may be denied ---------------------------- */

static _Thread_local sigjmp_buf back;
static _Thread_local volatile sig_atomic_t touching;
static _Thread_local char *volatile denied_at;

static void on_denied(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (!touching || info->si_code != SEGV_ACCERR) {
		signal(number, SIG_DFL);
		return;
	}
	denied_at = info->si_addr;
	siglongjmp(back, 1);
}

static void denials_begin(void)
{
	struct sigaction action = { .sa_sigaction = on_denied,
				    .sa_flags = SA_SIGINFO };

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

/* False: denied, at this address. */
static bool store(char *at, char value)
{
	if (sigsetjmp(back, 1) == 0) {
		touching = 1;
		*(volatile char *)at = value;
		touching = 0;
		return true;
	}
	touching = 0;
	CHECK(denied_at == at);
	return false;
}

static bool load(const char *at, char *ret)
{
	if (sigsetjmp(back, 1) == 0) {
		touching = 1;
		*ret = *(const volatile char *)at;
		touching = 0;
		return true;
	}
	touching = 0;
	CHECK(denied_at == at);
	return false;
}

/* --- guards ---------------------------- */

static void guards(void)
{
	enum { COUNT = 1000, PAGES = 4 };
	char *block[COUNT], got;

	denials_begin();
	for (int i = 0; i < COUNT; i++) {
		block[i] = map(PAGES * PAGE);
		memset(block[i], i, PAGES * PAGE);
		protect(block[i] + (PAGES - 1) * PAGE, PAGE, PROT_NONE);
	}
	for (int i = 0; i < COUNT; i++) {
		char *end = block[i] + (PAGES - 1) * PAGE;

		CHECK(end[-1] == (char)i && store(end - 1, 7));
		CHECK(!store(end, 1) && !load(end + 9, &got));
		protect(end, PAGE, PROT_READ);
		CHECK(load(end + 9, &got) && got == (char)i && !store(end, 1));
		CHECK(munmap(block[i], PAGES * PAGE) == 0);
	}
	puts("guards hold");
}

/* --- barrier ---------------------------- */

static volatile sig_atomic_t barriers;

static void on_barrier(int number, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)number;
	(void)context;
	barriers++;
	if (mprotect(page, PAGE, READ_WRITE) != 0)
		_exit(2);
}

static void barrier(void)
{
	const size_t size = 12 * MIB;
	struct sigaction action = { .sa_sigaction = on_barrier,
				    .sa_flags = SA_SIGINFO };
	char *p = map(size);

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	for (size_t i = 0; i < size; i += PAGE)
		memset(p + i, (int)(i / PAGE % 100), PAGE);
	for (int turn = 0; turn < 3; turn++) {
		protect(p, size, PROT_READ);
		barriers = 0;
		for (size_t i = 0; i < size; i += PAGE) {
			p[i + 1] = (char)(p[i + 1] + 1);
			p[i + 2] = (char)(p[i + 2] + 1);
		}
		CHECK((size_t)barriers == size / PAGE);
	}
	for (size_t i = 0; i < size; i += PAGE) {
		CHECK(p[i] == (char)(i / PAGE % 100) && p[i + 1] == p[i] + 3);
		CHECK(memcmp(p + i + 3, p + i + 4, PAGE - 4) == 0);
	}
	puts("each page had its barrier, each time");
}

/* --- system calls ---------------------------- */

static void is_refused(ssize_t r)
{
	CHECK(r == -1 && errno == EFAULT);
}

static void calls_with(char *p, size_t size)
{
	struct iovec into = { p, size }, two[2] = { { p - PAGE, 8 }, { p, 8 } };
	int ends[2], zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct stat status;

	CHECK(zero >= 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	protect(p, size, PROT_READ);
	is_refused(read(zero, p, size));
	is_refused(pread(zero, p, size, 0));
	is_refused(readv(zero, &into, 1));
	CHECK(write(ends[0], p, 100) == 100);
	is_refused(recv(ends[1], p, 100, MSG_PEEK));
	CHECK(p[0] == 'x' && p[size - 1] == 'x');
	protect(p, size, PROT_NONE);
	is_refused(read(zero, p, size));
	is_refused(write(ends[0], p, 100));
	is_refused(send(ends[0], p, 100, 0));
	is_refused(writev(ends[0], two, 2));
	is_refused(stat(p, &status));
	is_refused(open(p, O_RDONLY));
	is_refused(fstat(zero, (struct stat *)(void *)p));
	protect(p, size, READ_WRITE);
	CHECK(p[0] == 'x' && p[size - 1] == 'x');
	CHECK(recv(ends[1], p, 100, 0) == 100);
	CHECK(read(zero, p, size) == (ssize_t)size && p[size - 1] == 0);
	close(zero);
	close(ends[0]);
	close(ends[1]);
}

static void calls(void)
{
	char *p = map(MIB);

	for (size_t size = PAGE; size < MIB; size *= 8) {
		memset(p, 'x', MIB);
		calls_with(p + PAGE, size);
	}
	puts("calls are refused as touches are");
}

/* --- large ranges ---------------------------- */

static void large(void)
{
	const size_t size = 64 * MIB;
	char *p = map(size), got;

	denials_begin();
	for (size_t i = 0; i < size; i += 16 * PAGE)
		memset(p + i, (int)(i / PAGE % 121), PAGE);
	protect(p, size, PROT_NONE);
	for (size_t i = 0; i < size; i += 97 * PAGE)
		CHECK(!load(p + i, &got));
	/* Every second page of a part, which is more than the kernel has mappings. */
	for (size_t i = 0; i < size / 2; i += 2 * PAGE)
		protect(p + i, PAGE, i % (4 * PAGE) == 0 ? PROT_READ : READ_WRITE);
	for (size_t i = 0; i < size / 2; i += PAGE) {
		bool some = i % (2 * PAGE) == 0;

		CHECK(load(p + i, &got) == some);
		if (some)
			CHECK(got == (i % (16 * PAGE) == 0 ? (char)(i / PAGE % 121) : 0));
	}
	protect(p, size, READ_WRITE);
	for (size_t i = 0; i < size; i += 16 * PAGE)
		CHECK(p[i] == (char)(i / PAGE % 121) && p[i + PAGE] == 0);
	puts("large ranges have their rights, and their bytes");
}

/* --- storm ---------------------------- */

#define THREADS 4
#define OWN 200 /* pages of each thread; with THREADS more than is local */
#define TURNS 6000

static char *arena;
static atomic_uint shared_denied;

static unsigned next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* One turn in the pages of the calling thread, whose rights and bytes it knows. */
static void turn_own(char *own, int *rights, char *value, unsigned *random)
{
	unsigned page = next_random(random) % OWN, count = 1 + next_random(random) % 20;
	static const int all[] = { PROT_NONE, PROT_READ, READ_WRITE };
	char *at = own + page * PAGE + next_random(random) % PAGE, got;

	if (next_random(random) % 4 == 0) {
		int now = all[next_random(random) % 3];

		count = count < OWN - page ? count : OWN - page;
		protect(own + page * PAGE, count * PAGE, now);
		while (count-- > 0)
			rights[page + count] = now;
		return;
	}
	CHECK(load(at, &got) == (rights[page] != PROT_NONE));
	CHECK(rights[page] == PROT_NONE || got == value[page]);
	if (rights[page] == READ_WRITE)
		memset(own + page * PAGE, ++value[page], PAGE);
	else
		CHECK(!store(at, 1));
}

/* Of pages whose rights another thread changes: each has its number, or is denied. */
static void turn_shared(unsigned *random)
{
	unsigned page = next_random(random) % OWN;
	char *at = arena + THREADS * OWN * PAGE + page * PAGE, got;

	if (!load(at, &got))
		atomic_fetch_add(&shared_denied, 1);
	else
		CHECK(got == (char)page);
	if (!store(at + 1, (char)page))
		atomic_fetch_add(&shared_denied, 1);
}

static void *storm_run(void *argument)
{
	unsigned index = (unsigned)(uintptr_t)argument, random = index + 1;
	char *own = arena + index * OWN * PAGE, *shared = arena + THREADS * OWN * PAGE;
	int rights[OWN];
	char value[OWN];

	for (int i = 0; i < OWN; i++) {
		rights[i] = READ_WRITE;
		value[i] = 0;
	}
	for (int i = 0; i < TURNS; i++) {
		turn_own(own, rights, value, &random);
		turn_shared(&random);
		if (index == 0 && i % 3 == 0)
			protect(shared + random % OWN * PAGE, PAGE,
				random % 2 == 0 ? PROT_NONE : READ_WRITE);
		if (index == 1 && i % 3 == 0)
			protect(shared, OWN * PAGE,
				random % 2 == 0 ? PROT_READ : READ_WRITE);
	}
	protect(own, OWN * PAGE, READ_WRITE);
	for (int i = 0; i < OWN; i++) {
		CHECK(own[i * PAGE] == value[i]);
		CHECK(memcmp(own + i * PAGE, own + i * PAGE + 1, PAGE - 1) == 0);
	}
	return NULL;
}

static void storm(void)
{
	pthread_t threads[THREADS];
	char *shared;

	denials_begin();
	arena = map((THREADS + 1) * OWN * PAGE);
	shared = arena + THREADS * OWN * PAGE;
	for (int i = 0; i < OWN; i++)
		shared[i * PAGE] = (char)i;
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, storm_run, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(atomic_load(&shared_denied) > 0);
	puts("each thread found the rights and the bytes that it had left");
}

/* --- children ---------------------------- */

static void child_looks(char *p)
{
	char got;

	CHECK(!load(p, &got) && !store(p + PAGE, 1));
	CHECK(load(p + PAGE, &got) && got == 2);
	CHECK(store(p + 2 * PAGE, 9));
	protect(p, 2 * PAGE, READ_WRITE);
	CHECK(load(p, &got) && got == 1 && store(p + PAGE, 8));
	_exit(0);
}

static void children(void)
{
	char *p = map(8 * MIB), got;
	int status;

	denials_begin();
	for (size_t i = 0; i < 8 * MIB; i += PAGE)
		memset(p + i, (int)(i / PAGE + 1), PAGE);
	protect(p, PAGE, PROT_NONE);
	protect(p + PAGE, PAGE, PROT_READ);
	for (int turn = 0; turn < 3; turn++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0)
			child_looks(p);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	CHECK(!load(p, &got) && !store(p + PAGE, 1) && p[2 * PAGE] == 3);
	protect(p, 2 * PAGE, READ_WRITE);
	CHECK(p[0] == 1 && p[PAGE] == 2);
	puts("children have the rights and the bytes of their parent, and their own");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*use)(void);
	} uses[] = {
		{ "guards", guards }, { "barrier", barrier }, { "calls", calls },
		{ "large", large }, { "storm", storm }, { "children", children },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(argv[1], uses[i].name) == 0) {
			uses[i].use();
			return 0;
		}
	return 2;
}
