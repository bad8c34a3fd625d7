/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/run/test_run_areas.sh, of libc alone: it reserves addresses, commits
 * parts of them, protects, maps over, moves and gives back. The output is the same on any
 * memory; what it has of local memory in the end goes to a file.
 *
 *	run_areas heap|replace|rights|unmap|move|advice|forks|local|random [PEAK]
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define CHECK(condition)                                                      \
	((condition) ? (void)0 : fail(#condition, __LINE__))

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static void fail(const char *condition, int line)
{
	fprintf(stderr, "run_areas:%d: %s does not hold (errno %s)\n", line,
		condition, strerror(errno));
	_exit(1);
}

/* --- touches ---------------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile int code; /* of the last SIGSEGV; 0: none */
static void *volatile where;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	code = number == SIGSEGV ? info->si_code : -1;
	where = info->si_addr;
	siglongjmp(back, 1);
}

static void watch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* What a touch meets: 0, or the code of a SIGSEGV at that very address. */
static int touch(char *at, bool write)
{
	code = 0;
	if (sigsetjmp(back, 1) == 0) {
		if (write)
			*(volatile char *)at = 'w';
		else
			(void)*(volatile char *)at;
	} else {
		CHECK(where == at);
	}
	return code;
}

static char *map(size_t size, int rights, int flags)
{
	char *p = mmap(NULL, size, rights, PRIVATE | flags, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static bool zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void fill(char *p, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t x = (i + seed) * UINT64_C(2654435761);

		memcpy(p + i, &x, sizeof(x));
	}
}

static bool is(const char *p, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t x = (i + seed) * UINT64_C(2654435761);

		if (memcmp(p + i, &x, sizeof(x)) != 0)
			return false;
	}
	return true;
}

/* --- uses --------------------------------------------------------------------------------- */

/* As Java, Go and V8 do it: far more reserved than is used, committed in pieces. */
static void use_heap(void)
{
	const size_t all = 1024 * GIB;
	char *h = map(all, PROT_NONE, MAP_NORESERVE);

	for (size_t at = 0; at < 64 * MIB; at += MIB) {
		CHECK(mprotect(h + at, MIB, RW) == 0);
		fill(h + at, MIB, (unsigned)at);
	}
	for (size_t at = 8 * GIB; at < 8 * GIB + 16 * MIB; at += 256 * 1024) {
		CHECK(mmap(h + at, 256 * 1024, RW, PRIVATE | MAP_FIXED, -1, 0) ==
		      h + at);
		fill(h + at, 64 * 1024, 1);
	}
	for (size_t at = 0; at < 64 * MIB; at += MIB)
		CHECK(is(h + at, MIB, (unsigned)at));
	/* Half of it goes, and comes again. */
	CHECK(mmap(h, 32 * MIB, PROT_NONE, PRIVATE | MAP_FIXED | MAP_NORESERVE,
		   -1, 0) == h);
	CHECK(touch(h + MIB, false) == SEGV_ACCERR);
	CHECK(mprotect(h, 32 * MIB, RW) == 0);
	CHECK(zero(h, 32 * MIB));
	CHECK(is(h + 33 * MIB, MIB, 33 * MIB));
	CHECK(munmap(h, all) == 0);
	CHECK(touch(h + 8 * GIB, false) == SEGV_MAPERR);
}

static void use_replace(void)
{
	char *p = map(8 * MIB, RW, 0), *q;

	fill(p, 8 * MIB, 5);
	CHECK(mmap(p + MIB, MIB, RW, PRIVATE | MAP_FIXED, -1, 0) == p + MIB);
	CHECK(is(p, MIB, 5) && zero(p + MIB, MIB));
	fill(p + MIB, MIB, 6);
	errno = 0;
	CHECK(mmap(p + MIB, PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0) ==
		      MAP_FAILED &&
	      errno == EEXIST);
	CHECK(munmap(p + 2 * MIB, PAGE) == 0);
	CHECK(mmap(p + 2 * MIB, PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1,
		   0) == p + 2 * MIB);
	CHECK(zero(p + 2 * MIB, PAGE) && is(p + MIB, MIB, 6));
	/* A hint that is free is heeded. */
	CHECK(munmap(p + 4 * MIB, 4 * MIB) == 0);
	q = mmap(p + 5 * MIB, MIB, RW, PRIVATE, -1, 0);
	CHECK(q == p + 5 * MIB && zero(q, MIB));
	CHECK(touch(p + 4 * MIB, true) == SEGV_MAPERR);
}

static void use_rights(void)
{
	char *p = map(4 * MIB, RW, 0);

	fill(p, 4 * MIB, 9);
	CHECK(mprotect(p + MIB, PAGE, PROT_READ) == 0);
	CHECK(touch(p + MIB + 5, false) == 0);
	CHECK(touch(p + MIB + 5, true) == SEGV_ACCERR);
	CHECK(touch(p + MIB - 1, false) == 0);
	CHECK(mprotect(p + 2 * MIB, PAGE, PROT_NONE) == 0);
	CHECK(touch(p + 2 * MIB, false) == SEGV_ACCERR);
	CHECK(mprotect(p, 4 * MIB, RW) == 0);
	CHECK(is(p, 4 * MIB, 9));
	/* Guards between buffers. */
	for (size_t at = 0; at < 4 * MIB; at += 4 * PAGE)
		CHECK(mprotect(p + at, PAGE, PROT_NONE) == 0);
	for (size_t at = 0; at < 4 * MIB; at += 64 * PAGE) {
		CHECK(touch(p + at, true) == SEGV_ACCERR);
		CHECK(touch(p + at + PAGE, false) == 0);
	}
	errno = 0;
	CHECK(munmap(p + 2 * MIB, PAGE) == 0);
	CHECK(mprotect(p + MIB, 2 * MIB, RW) == -1 && errno == ENOMEM);
	CHECK(touch(p + MIB, false) == 0 && touch(p + 2 * MIB, true) == SEGV_MAPERR);
	CHECK(mprotect(p + 1, PAGE, RW) == -1 && errno == EINVAL);
}

/* mincore(2), whose answer has no place: a page without rights, no memory at all. */
static void ask_present(char *p)
{
	char *denied = map(PAGE, PROT_NONE, 0), *volatile nowhere = (char *)PAGE;

	errno = 0;
	CHECK(mincore(p, 8 * PAGE, (unsigned char *)denied) == -1 &&
	      errno == EFAULT);
	errno = 0;
	CHECK(mincore(p, 8 * PAGE, (unsigned char *)nowhere) == -1 &&
	      errno == EFAULT);
	CHECK(munmap(denied, PAGE) == 0);
}

static void use_unmap(void)
{
	char *p = map(4 * MIB, RW, 0);

	ask_present(p);
	fill(p, 4 * MIB, 2);
	for (size_t at = PAGE; at < 4 * MIB; at += 4 * PAGE)
		CHECK(munmap(p + at, PAGE) == 0);
	for (size_t at = 0; at < 4 * MIB; at += 64 * PAGE) {
		CHECK(touch(p + at, false) == 0);
		CHECK(touch(p + at + PAGE, false) == SEGV_MAPERR);
		CHECK(touch(p + at + PAGE, true) == SEGV_MAPERR);
	}
	errno = 0;
	CHECK(msync(p, 4 * MIB, MS_ASYNC) == -1 && errno == ENOMEM);
	errno = 0;
	CHECK(madvise(p, 4 * MIB, MADV_DONTNEED) == -1 && errno == ENOMEM);
	CHECK(zero(p, PAGE) && zero(p + 2 * PAGE, 2 * PAGE));
	CHECK(munmap(p, 4 * MIB) == 0 && munmap(p, 4 * MIB) == 0);
	/* Many that come and go. */
	for (int i = 0; i < 300; i++) {
		char *q = map((size_t)(1 + i % 40) * PAGE, RW, 0);

		CHECK(zero(q, PAGE));
		memset(q, 1, (size_t)(1 + i % 40) * PAGE);
		if (i % 3 != 0)
			CHECK(munmap(q, (size_t)(1 + i % 40) * PAGE) == 0);
	}
}

static void use_move(void)
{
	char *p = map(2 * MIB, RW, 0), *q, *r;

	fill(p, 2 * MIB, 3);
	q = mremap(p, 2 * MIB, 6 * MIB, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && is(q, 2 * MIB, 3) && zero(q + 2 * MIB, 4 * MIB));
	fill(q, 6 * MIB, 4);
	CHECK(mremap(q, 6 * MIB, 3 * MIB, 0) == q && is(q, 3 * MIB, 4));
	CHECK(touch(q + 3 * MIB, false) == SEGV_MAPERR);
	r = map(8 * MIB, PROT_NONE, 0);
	CHECK(mremap(q, 3 * MIB, 3 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED,
		     r + 4 * MIB) == r + 4 * MIB);
	CHECK(is(r + 4 * MIB, 3 * MIB, 4) && touch(q, false) == SEGV_MAPERR);
	CHECK(touch(r, false) == SEGV_ACCERR);
	p = mremap(r + 4 * MIB, MIB, MIB, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(p != MAP_FAILED && is(p, MIB, 4) && zero(r + 4 * MIB, MIB));
	CHECK(touch(r + 4 * MIB, true) == 0);
	errno = 0;
	CHECK(mremap(r + 4 * MIB, 3 * MIB, 3 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED,
		     r + 5 * MIB) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(munmap(r + 5 * MIB, PAGE) == 0);
	errno = 0;
	CHECK(mremap(r + 4 * MIB, 3 * MIB, 4 * MIB, MREMAP_MAYMOVE) == MAP_FAILED &&
	      errno == EFAULT);
	/* Rights go with the pages. */
	p = map(2 * PAGE, RW, 0);
	memset(p, 'r', 2 * PAGE);
	CHECK(mprotect(p, 2 * PAGE, PROT_READ) == 0);
	q = mremap(p, 2 * PAGE, MIB, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q[PAGE] == 'r');
	CHECK(touch(q, true) == SEGV_ACCERR);
}

static void use_advice(void)
{
	char *p = map(4 * MIB, RW, 0);

	fill(p, 4 * MIB, 8);
	CHECK(madvise(p + MIB, MIB, MADV_DONTNEED) == 0);
	CHECK(is(p, MIB, 8) && zero(p + MIB, MIB));
	CHECK(mprotect(p + 3 * MIB, MIB, PROT_NONE) == 0);
	CHECK(madvise(p + 3 * MIB, MIB, MADV_DONTNEED) == 0);
	CHECK(touch(p + 3 * MIB, false) == SEGV_ACCERR);
	CHECK(mprotect(p + 3 * MIB, MIB, PROT_READ) == 0 && zero(p + 3 * MIB, MIB));
	CHECK(madvise(p, 2 * MIB, MADV_WILLNEED) == 0);
	CHECK(madvise(p, 4 * MIB, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	errno = 0;
	CHECK(madvise(p + 1, PAGE, MADV_NORMAL) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(madvise(p, PAGE, 12345) == -1 && errno == EINVAL);
	CHECK(is(p, MIB, 8));
}

/* A child's exit status, or the number of the signal that ended it + 128. */
static int child(char *p, int (*does)(char *))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(does(p));
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int sees_all(char *p)
{
	if (!is(p, MIB, 11))
		return 2;
	if (touch(p + MIB, false) != SEGV_ACCERR)
		return 3;
	if (touch(p + 2 * MIB, true) != SEGV_ACCERR || !is(p + 2 * MIB, MIB, 12))
		return 4;
	if (mprotect(p + MIB, MIB, RW) != 0 || !is(p + MIB, MIB, 13))
		return 5;
	if (touch(p + 4 * MIB, false) != SEGV_ACCERR)
		return 6;
	if (mprotect(p + 4 * MIB, MIB, RW) != 0 || !zero(p + 4 * MIB, MIB))
		return 7;
	if (touch(p + 20 * MIB, false) != SEGV_MAPERR)
		return 8;
	if (mmap(p, PAGE, RW, PRIVATE | MAP_FIXED, -1, 0) != p || !zero(p, PAGE))
		return 9;
	if (munmap(p + PAGE, PAGE) != 0 || touch(p + PAGE, true) != SEGV_MAPERR)
		return 10;
	return is(p + 2 * PAGE, PAGE, 11 + 2 * PAGE) ? 0 : 11;
}

static int grandchild_sees(char *p)
{
	int r = child(p, sees_all);

	return r != 0 ? r : is(p, MIB, 11) ? 0 : 20;
}

static int sees_parts(char *p)
{
	for (size_t at = 0; at < MIB; at += PAGE)
		if (at / PAGE % 16 == 2 ? touch(p + at, false) != SEGV_MAPERR
					: !is(p + at, PAGE, 11 + (unsigned)at))
			return 1;
	return 0;
}

static int does_not_see(char *p)
{
	return touch(p, false) == SEGV_MAPERR ? 0 : 1;
}

static int sees_zeros(char *p)
{
	return zero(p, MIB) ? 0 : 1;
}

static void use_forks(void)
{
	char *p = map(20 * MIB, PROT_NONE, MAP_NORESERVE), *q;

	CHECK(mprotect(p, 3 * MIB, RW) == 0);
	fill(p, MIB, 11);
	fill(p + 2 * MIB, MIB, 12);
	fill(p + MIB, MIB, 13);
	CHECK(mprotect(p + MIB, MIB, PROT_NONE) == 0);
	CHECK(mprotect(p + 2 * MIB, MIB, PROT_READ) == 0);
	CHECK(child(p, sees_all) == 0);
	CHECK(child(p, grandchild_sees) == 0);
	CHECK(is(p, MIB, 11) && touch(p + MIB, false) == SEGV_ACCERR);
	/* What the child reads ahead ends where nothing is mapped. */
	for (size_t at = 2 * PAGE; at < MIB; at += 16 * PAGE)
		CHECK(munmap(p + at, PAGE) == 0);
	CHECK(child(p, sees_parts) == 0);
	q = map(MIB, RW, 0);
	fill(q, MIB, 1);
	CHECK(madvise(q, MIB, MADV_DONTFORK) == 0);
	CHECK(child(q, does_not_see) == 0);
	CHECK(madvise(q, MIB, MADV_DOFORK) == 0);
	CHECK(madvise(q, MIB, MADV_WIPEONFORK) == 0);
	CHECK(child(q, sees_zeros) == 0);
	CHECK(is(q, MIB, 1));
}

/* What a child sees does not change when its parent gives the memory up. */
static void use_gone(void)
{
	char *p = map(8 * MIB, RW, 0);
	int pair[2], status;
	char byte = 0;
	pid_t pid;

	fill(p, 8 * MIB, 21);
	CHECK(pipe(pair) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(pair[1]);
		if (read(pair[0], &byte, 1) != 1)
			_exit(2);
		_exit(is(p, 8 * MIB, 21) ? 0 : 3);
	}
	CHECK(munmap(p, MIB) == 0);
	CHECK(madvise(p + MIB, MIB, MADV_DONTNEED) == 0 && zero(p + MIB, MIB));
	CHECK(mmap(p + 2 * MIB, MIB, PROT_NONE, PRIVATE | MAP_FIXED, -1, 0) ==
	      p + 2 * MIB);
	CHECK(mmap(p + 3 * MIB, MIB, RW, PRIVATE | MAP_FIXED, -1, 0) == p + 3 * MIB);
	fill(p + 3 * MIB, MIB, 22);
	CHECK(mprotect(p + 4 * MIB, MIB, PROT_NONE) == 0);
	CHECK(mprotect(p + 2 * MIB, MIB, RW) == 0 && zero(p + 2 * MIB, MIB));
	CHECK(write(pair[1], "", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(touch(p, false) == SEGV_MAPERR);
	CHECK(is(p + 3 * MIB, MIB, 22) && is(p + 5 * MIB, MIB, 21 + 5 * (unsigned)MIB));
}

/* What cannot be external, among what is. */
static void use_local(void)
{
	static const unsigned char code_42[] = { /* mov $42, %eax; ret */
		0xb8, 42, 0, 0, 0, 0xc3,
	};
	char *p = map(16 * MIB, PROT_NONE, MAP_NORESERVE), *s;
	char name[] = "/tmp/run_areas.XXXXXX";
	int (*function)(void), fd = mkstemp(name);

	CHECK(fd >= 0 && unlink(name) == 0 && write(fd, "file", 4) == 4);
	CHECK(mprotect(p, MIB, RW) == 0);
	fill(p, MIB, 14);
	memcpy(p + 8 * PAGE, code_42, sizeof(code_42));
	CHECK(mprotect(p + 8 * PAGE, PAGE, PROT_READ | PROT_EXEC) == 0);
#ifdef __x86_64__
	*(void **)&function = p + 8 * PAGE;
	CHECK(function() == 42);
#else
	(void)function;
#endif
	CHECK(touch(p + 8 * PAGE, true) == SEGV_ACCERR);
	CHECK(is(p, 8 * PAGE, 14) && is(p + 9 * PAGE, PAGE, 14 + 9 * (unsigned)PAGE));
	s = mmap(p + 2 * MIB, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	CHECK(s == p + 2 * MIB && memcmp(s, "file", 4) == 0);
	s = mmap(p + 3 * MIB, MIB, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0);
	CHECK(s == p + 3 * MIB);
	memset(s, 's', MIB);
	CHECK(pread(fd, s, 4, 0) == 4 && memcmp(s, "files", 5) == 0);
	CHECK(pwrite(fd, s + 4, 4, 0) == 4);
	/* And back: fresh, and with the rights that are asked for. */
	CHECK(mmap(p, 4 * MIB, RW, PRIVATE | MAP_FIXED, -1, 0) == p);
	CHECK(zero(p, 4 * MIB));
	fill(p, 4 * MIB, 15);
	CHECK(is(p, 4 * MIB, 15));
	CHECK(munmap(p, 16 * MIB) == 0 && touch(p + 3 * MIB, false) == SEGV_MAPERR);
	CHECK(close(fd) == 0);
}

/* --- random ------------------------------------------------------------------------------- */

#define PAGES 64

static uint32_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* One request of many kinds; what comes of it is printed. */
static void step(char *base)
{
	static const int rights[] = { PROT_NONE, PROT_READ, RW, RW };
	uint32_t page = below(PAGES), count = 1 + below(PAGES - page);
	char *at = base + page * PAGE;
	size_t size = count * PAGE;
	int r = 0, wanted = rights[below(4)];

	if (count > 12)
		size = (1 + count % 12) * PAGE;
	errno = 0;
	switch (below(6)) {
	case 0:
		r = mprotect(at, size, wanted);
		break;
	case 1:
		r = mmap(at, size, wanted, PRIVATE | MAP_FIXED, -1, 0) == at ? 0 : -1;
		break;
	case 2:
		r = munmap(at, size);
		break;
	case 3:
		r = madvise(at, size, MADV_DONTNEED);
		break;
	case 4:
		r = mremap(at, size, PAGE, 0) == at ? 0 : -1;
		break;
	default:
		break;
	}
	printf("%d %d", r, errno);
	for (uint32_t i = 0; i < PAGES; i += 1 + below(6)) {
		int met = touch(base + i * PAGE, false);

		printf(" %d", met != 0 ? -met : base[i * PAGE]);
		if (touch(base + i * PAGE, true) == 0)
			base[i * PAGE] = (char)below(100);
	}
	printf("\n");
}

static void use_random(void)
{
	for (uint32_t i = 1; i <= 30; i++) {
		char *base = map((PAGES + 2) * PAGE, PROT_NONE, MAP_NORESERVE);

		seed = i;
		for (int k = 0; k < 100; k++)
			step(base);
		CHECK(munmap(base, (PAGES + 2) * PAGE) == 0);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*use)(void);
	} uses[] = {
		{ "heap", use_heap }, { "replace", use_replace },
		{ "rights", use_rights }, { "unmap", use_unmap },
		{ "move", use_move }, { "advice", use_advice },
		{ "forks", use_forks }, { "gone", use_gone },
		{ "local", use_local }, { "random", use_random },
	};
	struct rusage usage;
	FILE *peak;

	watch_faults();
	for (size_t i = 0; argc > 1 && i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(argv[1], uses[i].name) == 0) {
			uses[i].use();
			printf("%s: well\n", argv[1]);
		}
	if (argc > 2 && getrusage(RUSAGE_SELF, &usage) == 0) {
		peak = fopen(argv[2], "w");
		CHECK(peak && fprintf(peak, "%ld\n", usage.ru_maxrss / 1024) > 0 &&
		      fclose(peak) == 0);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
