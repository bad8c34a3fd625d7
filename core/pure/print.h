/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of fingerprints: 128 bits that stand for the bytes of a page, so that a page
 * which was made writable and has not changed need not be stored (pager_print.c).
 *
 * A fingerprint is no proof. With an implementation whose values are those of a random
 * function, a page that has changed is taken for unchanged, and its change lost, once in
 * 2^128 comparisons: at a million of them a second, once in 10^25 years. An implementation
 * mixes in a secret of its process, so that whoever chooses the bytes cannot look for two
 * pages with one fingerprint.
 *
 * Threads and locks: take() is called with the page's lane locked, on any thread, in a
 * signal handler too. It allocates nothing, takes no lock and makes no system call; calls
 * for two lanes overlap.
 *
 * Ownership: the struct xm_printer is the implementation's, and outlives the engines.
 *
 * Floor: ground.
 */
#ifndef XM_PRINT_H
#define XM_PRINT_H

#include "common/base.h"

struct xm_print {
	uint64_t words[2];
};

struct xm_printer;

struct xm_print_ops {
	const char *name; /* "xxh3" */
	void (*take)(const struct xm_printer *, const void *bytes, size_t size,
		     struct xm_print *ret);
};

/* Both NULL: no fingerprints are taken. */
struct xm_printing {
	const struct xm_print_ops *ops;
	struct xm_printer *printer;
};

static inline bool xm_prints_equal(const struct xm_print *a,
				   const struct xm_print *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

#endif
