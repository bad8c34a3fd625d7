/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lock that is given in the order in which it was asked for, for calls that hold it while
 * they wait for an appliance: their deadlines count from before they stand in line, so
 * those ahead of a call end before it has to. A mutex may let a later call pass.
 */
#ifndef XM_LINE_H
#define XM_LINE_H

#include "core/skin/os.h"

/* From zeros. */
struct xm_line {
	struct os_mutex lock; /* of the numbers; held for a moment */
	struct os_cond moved;
	uint64_t last, served; /* who came last, and whose turn it is */
};

static inline void xm_line_open(struct xm_line *l)
{
	os_mutex_open(&l->lock);
	os_cond_open(&l->moved);
}

static inline void xm_line_close(struct xm_line *l)
{
	os_mutex_close(&l->lock);
	os_cond_close(&l->moved);
}

static inline void xm_line_take(struct xm_line *l)
{
	uint64_t mine;

	os_mutex_take(&l->lock);
	mine = l->last++;
	while (l->served != mine)
		os_cond_wait(&l->moved, &l->lock);
	os_mutex_give(&l->lock);
}

static inline void xm_line_give(struct xm_line *l)
{
	os_mutex_take(&l->lock);
	l->served++;
	os_cond_wake_all(&l->moved);
	os_mutex_give(&l->lock);
}

#endif
