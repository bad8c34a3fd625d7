/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the calls cost that a kernel may lack, beside what is done instead, on
 * this machine. Prints a line for each way, with the median in nanoseconds a
 * page and its ratio to the first way of its group; "-" where the kernel lacks
 * the call. docs/KERNELS.md has the table.
 *
 *	costs
 *
 * Groups: to drop 16 and 64 pages that lie apart (eviction), and to make a lost
 * page a SIGBUS, where a thread serves faults.
 *
 * Calls of the kernel alone: nothing of extmem is used or measured.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#define FEATURE_POISON (UINT64_C(1) << 14)
struct poison_args { /* struct uffdio_poison of Linux 6.6 */
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define IOCTL_POISON _IOWR(UFFDIO, 0x08, struct poison_args)

#define PAGE 4096
#define ROUNDS 200
#define PAGES_MAX 64

struct bench {
	uint8_t *memory; /* 2 * PAGES_MAX pages, registered */
	int fd, self, file;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint8_t *apart(const struct bench *b, size_t i)
{
	return b->memory + 2 * i * PAGE;
}

/* --- ways -------------------------------------------------------------------- */

static bool drop_each(const struct bench *b, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		if (madvise(apart(b, i), PAGE, MADV_DONTNEED) != 0)
			return false;
	return true;
}

static bool drop_many(const struct bench *b, size_t pages)
{
	struct iovec parts[PAGES_MAX];

	for (size_t i = 0; i < pages; i++)
		parts[i] = (struct iovec){ apart(b, i), PAGE };
	return syscall(SYS_process_madvise, b->self, parts, pages,
		       MADV_DONTNEED, 0) == (long)(pages * PAGE);
}

/* The least that one call can cost: half of these pages are not there. */
static bool drop_span(const struct bench *b, size_t pages)
{
	return madvise(b->memory, 2 * pages * PAGE, MADV_DONTNEED) == 0;
}

static bool poison_ioctl(const struct bench *b, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		struct poison_args args = {
			.range = { (uintptr_t)apart(b, i), PAGE },
		};

		if (ioctl(b->fd, IOCTL_POISON, &args) != 0)
			return false;
	}
	return true;
}

static bool poison_mapping(const struct bench *b, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		if (mmap(apart(b, i), PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, b->file,
			 (off_t)(2 * i * PAGE)) == MAP_FAILED)
			return false;
	return true;
}

/* --- measuring ------------------------------------------------------------------ */

static bool bench_open(struct bench *b)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = FEATURE_POISON };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* user mode */);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0) {
		close(fd);
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1);
		api = (struct uffdio_api){ .api = UFFD_API };
		if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0)
			return false;
	}
	b->fd = fd;
	b->self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	b->file = memfd_create("costs", MFD_CLOEXEC);
	return fd >= 0 && b->file >= 0;
}

/* Fresh memory: the pages that lie apart are there, or all are absent. */
static bool fresh(struct bench *b, bool present)
{
	size_t size = 2 * PAGES_MAX * PAGE;
	struct uffdio_register range = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	void *memory = b->memory;

	if (memory != NULL)
		munmap(memory, size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	madvise(memory, size, MADV_NOHUGEPAGE);
	b->memory = memory;
	for (size_t i = 0; present && i < PAGES_MAX; i++)
		memset(apart(b, i), 1, PAGE);
	range.range.start = (uintptr_t)memory;
	range.range.len = size;
	return present || ioctl(b->fd, UFFDIO_REGISTER, &range) == 0;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct bench *b, bool present, size_t pages,
		     bool (*way)(const struct bench *, size_t))
{
	static double took[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		double began;

		if (!fresh(b, present))
			return NAN;
		began = now_ns();
		if (!way(b, pages))
			return NAN;
		took[i] = (now_ns() - began) / (double)pages;
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_size);
	return took[ROUNDS / 2];
}

static void print(const char *name, double ns, double first)
{
	if (isnan(ns))
		printf("%-52s %8s\n", name, "-");
	else
		printf("%-52s %8.0f %6.2f\n", name, ns, ns / first);
}

int main(void)
{
	static const size_t many[] = { 16, 64 };
	struct bench b = { .memory = NULL };
	double first;

	if (!bench_open(&b)) {
		printf("no userfaultfd here\n");
		return 77;
	}
	printf("%-52s %8s %6s\n", "", "ns/page", "ratio");
	for (size_t i = 0; i < 2; i++) {
		size_t pages = many[i];
		char name[80];

		snprintf(name, sizeof(name), "drop %zu pages: madvise() for each",
			 pages);
		first = median(&b, true, pages, drop_each);
		print(name, first, first);
		snprintf(name, sizeof(name), "drop %zu pages: process_madvise()",
			 pages);
		print(name, median(&b, true, pages, drop_many), first);
		snprintf(name, sizeof(name), "drop %zu pages: madvise() of their "
			 "span", pages);
		print(name, median(&b, true, pages, drop_span), first);
	}
	first = median(&b, false, PAGES_MAX, poison_mapping);
	print("a lost page: a mapping of its own", first, first);
	print("a lost page: UFFDIO_POISON",
	      median(&b, false, PAGES_MAX, poison_ioctl), first);
	printf("1 passed, 0 failed\n");
	return 0;
}
