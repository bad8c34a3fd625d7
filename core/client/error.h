/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a public call fails: it returns -errno, and leaves a message for people
 * that extmem_error() returns on the same thread until the next failure.
 *
 * The message names the call, the thing, and the way out. It is made here, at
 * the edge of the library, and nowhere below.
 *
 * Any thread may call these at any time; no lock is taken.
 */
#ifndef XM_ERROR_H
#define XM_ERROR_H

#include <stdatomic.h>

#include "common/base.h"

/* Sets this thread's message, of at most 511 bytes, and returns `rc`. */
int xm_fail(int rc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* This thread's message without the call with which it begins, if it begins with that:
 * for another message of the same call. */
const char *xm_why_not(const char *call);

/* True in a child of fork(), once xm_forks_watch() was called in the parent:
 * nothing of a client can be used there, since its threads and connections
 * belong to the parent. */
extern atomic_bool xm_forked;
void xm_forks_watch(void);

int xm_unusable(const char *call);
/* 0, or -ECHILD with its message. Each public call that touches a client begins
 * with this. */
static inline int xm_usable(const char *call)
{
	return atomic_load_explicit(&xm_forked, memory_order_relaxed)
		       ? xm_unusable(call) : 0;
}

/*
 * Copies a struct to the caller. Its first member is its size in bytes, as the
 * caller knows it: a program built against an older extmem.h has a shorter
 * struct, of which only that part is filled in. `size` is the size of *from.
 * 0; -EINVAL: the caller has not set the size.
 */
int xm_sized_copy(const char *call, void *ret, const void *from, uint64_t size);

#endif
