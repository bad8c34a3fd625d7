/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of buffers (struct iovec[]) of which some may be external, for the
 * calls in vector.c, msghdr.c and other_process.c.
 *
 * A `whole` is what the kernel is given for a list in one call: a local buffer
 * with all of its bytes, or, if it is too large for the thread's bounce buffer,
 * a local copy of the list with every external buffer pinned. Between
 * whole_begin() and whole_end() the program's list must stay as it is.
 */
#ifndef EXTMEM_VECTOR_H
#define EXTMEM_VECTOR_H

#include "preload/shim.h"

#define VECTOR_MAX 1024 /* buffers in a list; the kernel's own limit */

struct list {
	const struct iovec *iov;
	int count;
	size_t size; /* of all buffers, in bytes */
	bool fills;  /* the kernel writes to them */
};

struct whole {
	struct list list;
	struct bounce bounce;
	char *local;	   /* the bounce buffer, or taken for this call */
	bool taken;
	bool lent; /* the kernel keeps the bytes after the call (zerocopy) */
	struct iovec iov[2];
	struct iovec *pinned_iov; /* local copy of the list, all of it pinned */
	int count;
};

/* True when the list or any buffer in it is external, and the kernel cannot
 * touch absent pages by itself. */
bool list_needed(const struct iovec *, long count);
/* 0, or -1 with errno EINVAL: the sizes add up to too much. */
int list_open(const struct iovec *, long count, bool fills, struct list *ret);

/* With w->list and w->lent set. 0, or -1 with errno ENOMEM. */
int whole_begin(struct whole *w);
/* What the kernel is given; w->count entries. */
struct iovec *whole_iov(struct whole *w);
/* The kernel has written so many bytes: they go to the program's buffers. */
void whole_filled(struct whole *w, ssize_t size);
void whole_end(void *w);

#endif
