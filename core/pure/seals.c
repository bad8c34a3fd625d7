/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of seals; see seals.h. */
#include "core/pure/seals.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

#define TAMPERED UINT16_MAX /* the key of an entry that has no version */

void xm_seals_init(struct xm_seals *s, const struct xm_seal_ops *ops,
		   struct xm_seal *seal, struct xm_seal_entry *table,
		   uint32_t lane)
{
	XM_ASSERT(lane < UINT32_C(1) << (48 - XM_SEALS_LANE_SHIFT));
	s->ops = ops;
	s->seal = seal;
	s->table = table;
	s->lane = lane;
	s->version = (uint64_t)lane << XM_SEALS_LANE_SHIFT;
	if (XM_PLANTED(seal_lanes_share))
		s->version = 0;
	s->key = 0;
	s->formers_count = 0;
}

void xm_seals_renew(struct xm_seals *s, uint16_t key)
{
	XM_ASSERT(key < TAMPERED);
	if (s->lane == 0 || !XM_PLANTED(seal_renews_first_lane))
		s->key = key;
}

/* --- formers ------------------------------------------------------------------ */

static const struct xm_seal_former *find_former(const struct xm_seals *s,
						uint64_t page)
{
	for (uint32_t i = 0; i < s->formers_count; i++) {
		if (s->formers[i].page == page)
			return &s->formers[i];
	}
	return NULL;
}

static struct xm_seal_former *former_of(struct xm_seals *s, uint64_t page)
{
	const struct xm_seal_former *found = find_former(s, page);

	return found == NULL ? NULL : &s->formers[found - s->formers];
}

static bool is_old(const struct xm_seals *s, const struct xm_seal_entry *entry)
{
	return entry->version != 0 && entry->key != s->key;
}

bool xm_seals_is_old(const struct xm_seals *s, uint64_t page, bool locked)
{
	const struct xm_seal_former *former;

	if (is_old(s, &s->table[page]))
		return true;
	/* Of a page that is not locked it is of no use any more. */
	if (!locked || XM_PLANTED(seal_renewal_former))
		return false;
	former = find_former(s, page);
	return former != NULL && is_old(s, &former->entry);
}

bool xm_seals_full(const struct xm_seals *s)
{
	return s->formers_count == XM_SEALS_FORMERS;
}

void xm_seals_settle(struct xm_seals *s, uint64_t page)
{
	struct xm_seal_former *former = former_of(s, page);

	if (former != NULL)
		*former = s->formers[--s->formers_count];
}

void xm_seals_restore(struct xm_seals *s, uint64_t page)
{
	struct xm_seal_former *former = former_of(s, page);

	if (former == NULL)
		return;
	if (!XM_PLANTED(seal_former_lost))
		s->table[page] = former->entry;
	xm_seals_settle(s, page);
}

void xm_seals_purge(struct xm_seals *s,
		    bool (*keep)(const void *context, uint64_t page),
		    const void *context)
{
	for (uint32_t i = s->formers_count; i > 0; i--) {
		if (!keep(context, s->formers[i - 1].page))
			s->formers[i - 1] = s->formers[--s->formers_count];
	}
}

static void keep_former(struct xm_seals *s, uint64_t page)
{
	struct xm_seal_former *former = former_of(s, page);

	/* What one of before says is of no use: the page was fresh since. */
	if (former == NULL) {
		XM_ASSERT(!xm_seals_full(s));
		former = &s->formers[s->formers_count++];
	}
	former->page = page;
	former->entry = s->table[page];
}

/* --- sealing ------------------------------------------------------------------ */

static uint64_t version_next(struct xm_seals *s)
{
	if (!XM_PLANTED(seal_version_kept) ||
	    (s->version & ((UINT64_C(1) << XM_SEALS_LANE_SHIFT) - 1)) == 0)
		s->version++;
	XM_ASSERT(s->version >> XM_SEALS_LANE_SHIFT == s->lane ||
		  XM_PLANTED(seal_lanes_share));
	return s->version;
}

void xm_seals_seal_apart(struct xm_seals *s, struct xm_seal_entry *entry,
			 struct xm_seal_page *at, uint8_t *bytes, size_t size)
{
	entry->version = at->version = version_next(s);
	entry->key = at->key = s->key;
	at->lane = s->lane;
	s->ops->seal(s->seal, at, bytes, size, entry->tag);
}

void xm_seals_seal(struct xm_seals *s, uint64_t page, struct xm_seal_page *at,
		   bool keep, uint8_t *bytes, size_t size)
{
	if (keep && !XM_PLANTED(seal_former_dropped))
		keep_former(s, page);
	xm_seals_seal_apart(s, &s->table[page], at, bytes, size);
}

int xm_seals_open_apart(struct xm_seals *s, const struct xm_seal_entry *entry,
			struct xm_seal_page *at, uint8_t *bytes, size_t size)
{
	if (entry->version == 0)
		return -EBADMSG;
	at->version = entry->version;
	at->key = XM_PLANTED(seal_key_newest) ? s->key : entry->key;
	at->lane = s->lane;
	return s->ops->open(s->seal, at, bytes, size, entry->tag);
}

int xm_seals_open(struct xm_seals *s, uint64_t page, struct xm_seal_page *at,
		  uint8_t *bytes, size_t size)
{
	return xm_seals_open_apart(s, &s->table[page], at, bytes, size);
}

int xm_seals_open_former(struct xm_seals *s, uint64_t page,
			 struct xm_seal_page *at, uint8_t *bytes, size_t size)
{
	const struct xm_seal_former *former = former_of(s, page);

	return former == NULL ? -EBADMSG
			      : xm_seals_open_apart(s, &former->entry, at, bytes,
						    size);
}

/* --- what was tampered with ---------------------------------------------------- */

void xm_seals_tampered(struct xm_seals *s, uint64_t page)
{
	xm_seals_settle(s, page);
	s->table[page].version = 0;
	s->table[page].key = TAMPERED;
}

bool xm_seals_is_tampered(const struct xm_seals *s, uint64_t page)
{
	return s->table[page].version == 0 && s->table[page].key == TAMPERED;
}
