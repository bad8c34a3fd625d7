/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is lost, and to whom, in words: of each member of the segment what has become of it.
 *
 *	extmem: the page at 0x7f0000000000 is lost, and all that lay with it of
 *	0x7f0000000000 to 0x7f0000800000 (8.0 MiB): appliance ofi+tcp://a:7470 does not
 *	hold our memory any more (it was restarted, or our lease ended); appliance
 *	ofi+tcp://b:7470 lacks what was written since it was left out
 */
#ifndef XM_LOST_H
#define XM_LOST_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/extmem.h"

/* Pages that could not be had. Any thread, no lock. */
struct xm_lost {
	char words[1024]; /* of the first; valid once said == 2 */
	atomic_int said; /* 0 no, 1 being written, 2 written */
	atomic_uint_least64_t pages;
};

/* With the lane locked: a page is lost. Counts it; the first becomes the message
 * of extmem_lost(). In a signal handler, too. */
void xm_lost_note(extmem *, uint64_t page);
/* Why an access to these pages has failed with this status: who has them not, or else as
 * xm_why() says. */
void xm_lost_why(extmem *, int rc, uint64_t page, uint64_t limit, char *words,
		 size_t size);

#endif
