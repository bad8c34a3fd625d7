/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel's calls under a fault cost, each by itself: for a prediction,
 * which adds them up as the library makes them (link.h). A part of the yardstick
 * in floor.c, so without the library. Floor: skin.
 */
#include "bench/costs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/bench.h"

enum { PAGES = 4096, MANY = 16, ROUNDS = PAGES / MANY };

struct costs_run {
	int descriptor, self;
	char *memory, *source;
};

/* The n-th place for so many pages, far from the one before. */
static char *place(const struct costs_run *r, size_t n, size_t pages)
{
	return r->memory + n * 1021 % (PAGES / pages) * pages * BENCH_PAGE;
}

static bool install(const struct costs_run *r, char *at, size_t pages)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)at,
				    .src = (uintptr_t)r->source,
				    .len = pages * BENCH_PAGE };

	return ioctl(r->descriptor, UFFDIO_COPY, &copy) == 0;
}

static bool zero(const struct costs_run *r, char *at, size_t pages)
{
	struct uffdio_zeropage zeros = {
		.range = { (uintptr_t)at, pages * BENCH_PAGE },
	};

	return ioctl(r->descriptor, UFFDIO_ZEROPAGE, &zeros) == 0;
}

static bool protect(const struct costs_run *r, char *at, size_t pages)
{
	struct uffdio_writeprotect change = {
		.range = { (uintptr_t)at, pages * BENCH_PAGE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(r->descriptor, UFFDIO_WRITEPROTECT, &change) == 0;
}

static bool unprotect(const struct costs_run *r, char *at, size_t pages)
{
	struct uffdio_writeprotect change = {
		.range = { (uintptr_t)at, pages * BENCH_PAGE },
	};

	return ioctl(r->descriptor, UFFDIO_WRITEPROTECT, &change) == 0;
}

/* Pages that lie apart are dropped by one call where the kernel has it. */
static bool drop(const struct costs_run *r, char *at, size_t pages)
{
	struct iovec parts[MANY];

	for (size_t i = 0; i < pages; i++)
		parts[i] = (struct iovec){ at + i * BENCH_PAGE, BENCH_PAGE };
#ifdef SYS_process_madvise
	if (r->self >= 0 &&
	    syscall(SYS_process_madvise, r->self, parts, pages, MADV_DONTNEED,
		    0) == (long)(pages * BENCH_PAGE))
		return true;
#endif
	for (size_t i = 0; i < pages; i++) {
		if (madvise(parts[i].iov_base, BENCH_PAGE, MADV_DONTNEED) != 0)
			return false;
	}
	return true;
}

static bool copy_out(const struct costs_run *r, char *at, size_t pages)
{
	memcpy(r->source, at, pages * BENCH_PAGE);
	return true;
}

/* The median of a call on so many pages; NAN when one fails. */
static double measure(const struct costs_run *r,
		      bool (*call)(const struct costs_run *, char *, size_t),
		      size_t pages)
{
	static double took[PAGES];
	size_t count = PAGES / pages;

	for (size_t n = 0; n < count; n++) {
		char *at = place(r, n, pages);
		double began = bench_now_us();

		if (!call(r, at, pages))
			return NAN;
		took[n] = bench_now_us() - began;
	}
	return bench_permille(took, count, 500);
}

/* One page, and each of a call's beyond it. */
static void measure_both(const struct costs_run *r,
			 bool (*call)(const struct costs_run *, char *, size_t),
			 bool (*before)(const struct costs_run *, char *,
					size_t),
			 double *ret_one, double *ret_more)
{
	measure(r, before, 1);
	*ret_one = measure(r, call, 1);
	measure(r, before, 1);
	*ret_more = fmax(0, (measure(r, call, MANY) - *ret_one) / (MANY - 1));
}

/* Pages leave and come in turns, as they do when memory is full: what comes finds
 * the frames of what has just left. */
static void measure_turns(const struct costs_run *r, size_t pages,
			  double *ret_drop, double *ret_install)
{
	static double left[PAGES], came[PAGES];
	size_t count = PAGES / pages;

	for (size_t n = 0; n < count; n++) {
		char *at = place(r, n, pages);
		double began = bench_now_us(), between;

		*ret_drop = *ret_install = NAN;
		if (!drop(r, at, pages))
			return;
		between = bench_now_us();
		if (!install(r, at, pages))
			return;
		left[n] = between - began;
		came[n] = bench_now_us() - between;
	}
	*ret_drop = bench_permille(left, count, 500);
	*ret_install = bench_permille(came, count, 500);
}

static bool get_ready(struct costs_run *r)
{
	const size_t length = (size_t)PAGES * BENCH_PAGE;
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS |
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register registration = {
		.mode = UFFDIO_REGISTER_MODE_MISSING |
			UFFDIO_REGISTER_MODE_WP,
	};

	r->descriptor = (int)syscall(SYS_userfaultfd,
				     O_CLOEXEC | O_NONBLOCK |
					     UFFD_USER_MODE_ONLY);
#ifdef SYS_pidfd_open
	r->self = (int)syscall(SYS_pidfd_open, getpid(), 0);
#else
	r->self = -1;
#endif
	r->memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r->source = mmap(NULL, MANY * BENCH_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	registration.range.start = (uintptr_t)r->memory;
	registration.range.len = length;
	return r->descriptor >= 0 && r->memory != MAP_FAILED &&
	       r->source != MAP_FAILED &&
	       madvise(r->memory, length, MADV_NOHUGEPAGE) == 0 &&
	       ioctl(r->descriptor, UFFDIO_API, &api) == 0 &&
	       ioctl(r->descriptor, UFFDIO_REGISTER, &registration) == 0;
}

static void put_away(struct costs_run *r)
{
	munmap(r->memory, (size_t)PAGES * BENCH_PAGE);
	munmap(r->source, MANY * BENCH_PAGE);
	close(r->descriptor);
	if (r->self >= 0)
		close(r->self);
}

bool costs_measure(struct costs *ret)
{
	struct costs_run r;
	double undone, undone_more, left_many, came_many;

	if (!get_ready(&r))
		return false;
	memset(r.source, 1, MANY * BENCH_PAGE);
	/* Page tables are there from the second round on, as they are in use. */
	measure(&r, install, MANY);
	measure_turns(&r, 1, &ret->drop, &ret->install);
	measure_turns(&r, MANY, &left_many, &came_many);
	ret->drop_more = fmax(0, (left_many - ret->drop) / (MANY - 1));
	ret->install_more = fmax(0, (came_many - ret->install) / (MANY - 1));
	ret->copy = measure(&r, copy_out, 1);
	measure_both(&r, protect, unprotect, &ret->protect, &ret->protect_more);
	measure_both(&r, unprotect, protect, &undone, &undone_more);
	ret->protect = (ret->protect + undone) / 2;
	ret->protect_more = (ret->protect_more + undone_more) / 2;
	measure(&r, drop, MANY);
	ret->zero = measure(&r, zero, 1);
	put_away(&r);
	return !isnan(ret->install + ret->copy + ret->protect +
		      ret->drop + ret->zero);
}
