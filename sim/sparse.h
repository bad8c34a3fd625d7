/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large memory that reads as zero and is mostly never touched: an appliance's
 * pool, a client's arena. A writer marks the pages that it is about to write. Only
 * these are cleared when the memory is given back, and it is kept for the next
 * run. So a run pays for what it touches: neither for a memset() of all of it nor
 * for the kernel's page faults.
 */
#ifndef XM_SPARSE_H
#define XM_SPARSE_H

#include "common/base.h"

struct sparse {
	struct sparse *next;
	uint8_t *bytes;
	size_t size;
	uint64_t *marks;  /* a bit for each page that may not be zero */
	uint64_t *stamps; /* when each page changed last, by sparse_now() */
};

/* All zero. Never NULL. */
struct sparse *sparse_take(size_t size);
void sparse_give(struct sparse *);
/* To be called before [offset, + size) is written. */
void sparse_mark(struct sparse *, size_t offset, size_t size);
/* It reads as zero again. */
void sparse_clear(struct sparse *, size_t offset, size_t size);

/* The number of changes (marks and clears) so far, of all such memory. So if
 * sparse_changed(s, offset) <= n, where n is an earlier sparse_now(), then the page
 * of that byte has not changed since. */
uint64_t sparse_now(void);
uint64_t sparse_changed(const struct sparse *, size_t offset);

#endif
