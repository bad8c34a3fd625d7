/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files about regions that change hands share (handover.c, adopt.c). All calls
 * are made with regions.lock held, of the call whose deadline regions.deadline_ns is.
 */
#ifndef XM_HANDING_H
#define XM_HANDING_H

#include "core/client/region.h"
#include "core/pure/label.h"
#include "core/pure/backing.h"

/* An extent that is parted with or was claimed. */
struct xm_handed {
	uint64_t page; /* of the arena, by which the volume finds its segment; or 0 */
	uint32_t k;    /* which of its members */
	struct xm_extent_at at;
	uint64_t size;
	struct xm_region_id id;
	char name[XM_NAME_SIZE];
	struct xm_place_label label;
	bool told; /* OFFER was sent: it may be an orphan */
};

struct xm_handed_list {
	uint32_t count, max;
	struct xm_handed *list;
};

/* NULL: no memory. Zeros. */
struct xm_handed *xm_handed_add(struct xm_handed_list *);
void xm_handed_end(struct xm_handed_list *);

/* Sends OFFER, or GRANT, again and again until it is answered, or time is over. 0, or -errno with
 * words. */
int xm_offer_extent(extmem *, enum xm_message_kind, const struct xm_handed *,
		    const uint8_t *token, uint32_t flags, uint32_t ms, const char *identity,
		    char *words, size_t words_size);
/* Returns to the token what was claimed by it at the appliance of this member. If it is not
 * told in time, the session tells it. */
int xm_return_claimed(extmem *, const struct xm_extent_at *, const uint8_t *token);
/* Claims all that waits at one appliance, behind what the list has; or (`kind` XM_OPEN) may
 * read all that is shared there. 0, -ENOENT for nothing, or -errno with words; the list has
 * what was claimed before. */
int xm_claim_all(extmem *, uint32_t appliance, enum xm_message_kind kind,
		 const uint8_t *token, struct xm_handed_list *, char *words,
		 size_t words_size);
/* All of the region's extents that are IN, with labels. `hold`: none of them is replaced from
 * now on, until xm_handed_release(). 0, or -errno. */
int xm_handed_collect(extmem_region *, bool hold, struct xm_handed_list *);
void xm_handed_release(extmem_region *);
/* From now on no copy of it is replaced or moves, though one that lacks bytes is given them;
 * or again. */
void xm_handed_fix(extmem_region *, bool fixed);
/* Where bytes were discarded, their appliances get the zeros that they read as. */
int xm_handed_zero(extmem_region *);
/* -ENOTSUP, in words: it is sparse, or sealed. */
int xm_handed_check(const extmem_region *, const char *call);

/* What the label of each of this segment's members says, but for copies. */
void xm_handed_label(const extmem_region *, const struct xm_backing *,
		     struct xm_place_label *ret);

/* Ties the region's token to each of its extents, or none. 0, or -errno in words. */
int xm_region_relabel(extmem_region *, char *words, size_t words_size);

/* Takes the region's segments out of the volume; nobody is told. */
void xm_segments_drop(extmem_region *);

#endif
