/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the engine share; included from nowhere else.
 *
 * engine.c	    events, turns, paths, losses
 * engine_post.c    operations: posted as the volume says, and their ends
 * engine_effects.c  the pager's effects
 * engine_print.c    fingerprints: which pages have not changed
 * engine_mend.c    what members lack is copied to them
 * engine_seal.c    seals and opens pages, where segments are sealed
 *
 * Floor: first.
 */
#ifndef XM_ENGINE_PARTS_H
#define XM_ENGINE_PARTS_H

#include "core/engine/engine.h"

#define XM_NO_OPERATION UINT32_MAX

static inline void note(const struct xm_engine *e, enum xm_trace_id id,
			uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	xm_trace_put(e->options.trace, e->clock_ns, id, a, b, c, d);
}

/* How many operations can be under way, and writes to several members. */
uint32_t xm_operations_max(const struct xm_engine_options *);
uint32_t xm_efforts_max(const struct xm_engine_options *);

/* Posts what the volume answered to a read or write: 0, and its end will be
 * reported; or -errno, and nothing of it is under way. */
int xm_engine_issue(struct xm_engine *, const struct xm_move *,
		    const struct xm_volume_posts *);
/* What was held for want of room is posted, as far as there is some. */
void xm_engine_held_go_on(struct xm_engine *);
/* Reports the end of the request to which this operation belongs, if that has
 * ended with it. Posts nothing, and carries out no effect. */
void xm_engine_operation_ended(struct xm_engine *, struct xm_operation *,
			       int status);
/* The pager hears that its request has failed at once. This happens while
 * effects are carried out. */
void xm_engine_not_posted(struct xm_engine *, const struct xm_move *,
			  int status);
/* The effects of the pager's last step. */
void xm_engine_carry_out(struct xm_engine *);

/* --- engine_print.c: only called if pager.prints ------------------------------- */

/* These pages are about to become writable; `bytes` are what the remote memory holds of
 * them. */
void xm_engine_print(struct xm_engine *, uint64_t page, uint64_t count,
		     const uint8_t *bytes);
/* The same, and the bytes are in the pages. */
void xm_engine_print_mapped(struct xm_engine *, uint64_t page, uint64_t count);
/* The pager hears whether this copy differs from its fingerprint, if it has one. */
void xm_engine_compare(struct xm_engine *, uint32_t staging_index);

/* --- engine_mend.c: only called if members_max > 1, or e->sealing --------------- */

/* One step, in each turn. */
void xm_engine_mend(struct xm_engine *);
/* An operation of this slot has ended. */
void xm_engine_mend_ended(struct xm_engine *, uint32_t slot, int status);

/* --- engine_seal.c: only called if e->sealing ---------------------------------- */

/* For the pager's stores: seals those of these pages that lie in sealed segments, in
 * place. */
void xm_engine_seal(struct xm_engine *, uint64_t page, uint64_t count,
		    uint8_t *bytes);
/* For an explicit write. 0; -EAGAIN: too many of them have not been settled. */
int xm_engine_seal_write(struct xm_engine *, uint64_t page, uint64_t count,
			 uint8_t *bytes);
/* Undoes xm_engine_seal_write(), in place, for a write that was not posted. */
void xm_engine_unseal_write(struct xm_engine *, uint64_t page, uint64_t count,
			    uint8_t *bytes);
/* Opens what a read has brought, in place. 0; -ESTALE: the segment is gone; -EBADMSG, and
 * page *ret_bad is the first that is wrong. */
int xm_engine_open_read(struct xm_engine *, const struct xm_operation *,
			uint64_t *ret_bad);
/* The page as it was before xm_engine_seal(); `bytes`, a write-back buffer, stay
 * sealed. Valid until the next call. */
const uint8_t *xm_engine_open_copy(struct xm_engine *, uint64_t page,
				   const uint8_t *bytes);
/* Are these sealed bytes a right version of the page? They stay. *ret_former: it is the
 * former one. */
bool xm_engine_is_right(struct xm_engine *, uint64_t page, const uint8_t *bytes,
			bool *ret_former);
bool xm_engine_is_sealed(struct xm_engine *, uint64_t page);
/* A read brought wrong bytes of it: the mender looks for right ones. */
void xm_engine_doubt(struct xm_engine *, uint64_t page);
/* No member has right bytes of the page: it is lost. */
void xm_engine_tampered(struct xm_engine *, uint64_t page);
/* Explicit writes of these pages have ended: where that is known, their seals are
 * settled. */
void xm_engine_unlocked(struct xm_engine *, uint64_t page, uint64_t limit);

#endif
