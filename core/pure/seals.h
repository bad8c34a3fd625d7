/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of seals: which version of each sealed page is right, and its tag. A pure
 * machine; what it calls is a cipher (seal.h), which computes and decides nothing.
 *
 * Versions. Each seal takes the lane's next version, which is the nonce: lane in the top
 * 4 of 48 bits, then a counter that only rises. So no nonce comes twice under a key,
 * whatever fails, is repeated, freed, or is another region's by now. What is stored again is
 * stored as it was sealed.
 *
 * Keys. A seal is under the newest key, and opened under the one that its entry names. A new
 * key does not begin versions again. Who wants to forget the former key (core/client/renewal.c)
 * has pages that are under it sealed again, until there is none: a page of which neither
 * version is under it never comes back to it, as what is right next is one of the two, or
 * new. So pages may be looked at one after the other, while others are sealed.
 *
 * The table has 24 bytes for each page of the arena, is shared by all lanes (each uses the
 * entries of its own pages) and lazily backed. An entry means something while the pager says
 * that the page is WRITTEN; what it says of other pages is never asked. So it need not be
 * cleared, and one of zero bytes is an empty one.
 *
 * Which version is the page's?
 *
 *	pager's store	The write-back buffer keeps the bytes until all members have them, or
 *			the page is lost, and a fault on the page is served from there. The
 *			page is not read meanwhile, so the new version replaces the old one
 *			at once.
 *	explicit write	Nobody keeps the bytes. If its end is not known, members may have the
 *			former version or the new one, each of them. Both tags are kept (the
 *			former one in `formers`), and the page stays I/O-locked ("torn",
 *			pager_mend.c), until the mender has read it from one member, found which
 *			version that is, and written it to all; only then the other one is
 *			dropped. No other write begins before, so there are never three.
 *
 *	seals_seal(keep)  entry: former -> formers, new -> entry
 *	seals_settle()	  the entry is right: its former is dropped
 *	seals_restore()	  the former is right: the entry is dropped
 *
 * Errors: -EBADMSG, the bytes are of no version that is right. -EAGAIN, formers are full.
 * Threads: one at a time for each lane. Never allocates.
 *
 * Floor: ground.
 */
#ifndef XM_SEALS_H
#define XM_SEALS_H

#include "core/pure/seal.h"

/* Explicit writes under way and torn pages, of one lane. */
#define XM_SEALS_FORMERS 256

#define XM_SEALS_LANE_SHIFT 44

struct xm_seal_entry {
	uint64_t version : 48; /* 0: none */
	uint64_t key : 16;
	uint8_t tag[XM_SEAL_TAG_SIZE];
};
_Static_assert(sizeof(struct xm_seal_entry) == 24, "24 bytes a page");

struct xm_seal_former {
	uint64_t page; /* of the arena */
	struct xm_seal_entry entry;
};

struct xm_seals {
	const struct xm_seal_ops *ops;
	struct xm_seal *seal;
	struct xm_seal_entry *table; /* by the arena's pages */
	uint64_t version; /* that was used last */
	uint16_t key;	  /* the newest */
	uint32_t lane;
	uint32_t formers_count;
	struct xm_seal_former formers[XM_SEALS_FORMERS];
};

/* The table stays the caller's. */
void xm_seals_init(struct xm_seals *, const struct xm_seal_ops *,
		   struct xm_seal *, struct xm_seal_entry *table,
		   uint32_t lane);
/* The newest key from now on. */
void xm_seals_renew(struct xm_seals *, uint16_t key);
/* Is the page under another one? `locked`: its former version may still be right. */
bool xm_seals_is_old(const struct xm_seals *, uint64_t page, bool locked);
/* `page` is the arena's; at->region and at->page are set, the rest is not. `keep`: until
 * settled the former version is right, too; there must be room for it. */
void xm_seals_seal(struct xm_seals *, uint64_t page, struct xm_seal_page *at,
		   bool keep, uint8_t *bytes, size_t size);
/* Opens the page's version, and no former one. 0 or -EBADMSG. */
int xm_seals_open(struct xm_seals *, uint64_t page, struct xm_seal_page *at,
		  uint8_t *bytes, size_t size);
/* Likewise its former one. -EBADMSG also if it has none. */
int xm_seals_open_former(struct xm_seals *, uint64_t page,
			 struct xm_seal_page *at, uint8_t *bytes, size_t size);
/* Likewise what is no page of the region, and whose seal the caller keeps; at->page is what
 * no other bytes of it have. */
void xm_seals_seal_apart(struct xm_seals *, struct xm_seal_entry *ret,
			 struct xm_seal_page *at, uint8_t *bytes, size_t size);
int xm_seals_open_apart(struct xm_seals *, const struct xm_seal_entry *,
			struct xm_seal_page *at, uint8_t *bytes, size_t size);
bool xm_seals_full(const struct xm_seals *);
void xm_seals_settle(struct xm_seals *, uint64_t page);
void xm_seals_restore(struct xm_seals *, uint64_t page);
/* Drops all formers for which keep() says false: pages that have become others' or fresh. */
void xm_seals_purge(struct xm_seals *,
		    bool (*keep)(const void *context, uint64_t page),
		    const void *context);
/* Notes that the page is lost because no member has a right version of it. */
void xm_seals_tampered(struct xm_seals *, uint64_t page);
bool xm_seals_is_tampered(const struct xm_seals *, uint64_t page);

#endif
