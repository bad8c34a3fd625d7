/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the engine seals and opens the pages of sealed segments; see seals.h. */
#include "core/engine/engine_parts.h"

#include <errno.h>
#include <string.h>

#include "core/pure/plant.h"

/* --- stores ------------------------------------------------------------------- */

void xm_engine_seal(struct xm_engine *e, uint64_t page, uint64_t count,
		    uint8_t *bytes)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;

	for (uint64_t i = 0; i < count && !XM_PLANTED(seal_plain_store); i++) {
		if (xm_volume_sealed_page(&e->io, page + i, &at))
			xm_seals_seal(&e->seals, page + i, &at, false,
				      bytes + i * size, size);
	}
}

static bool is_locked(const void *context, uint64_t page)
{
	return xm_pager_is_locked(context, page);
}

/* Formers of pages that became fresh or lost meanwhile take no room. */
static bool has_room(struct xm_engine *e, uint64_t count)
{
	if (e->seals.formers_count + count > XM_SEALS_FORMERS)
		xm_seals_purge(&e->seals, is_locked, &e->pager);
	return e->seals.formers_count + count <= XM_SEALS_FORMERS;
}

int xm_engine_seal_write(struct xm_engine *e, uint64_t page, uint64_t count,
			 uint8_t *bytes)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;

	if (!has_room(e, count))
		return -EAGAIN;
	for (uint64_t i = 0; i < count && !XM_PLANTED(seal_plain_write); i++) {
		if (xm_volume_sealed_page(&e->io, page + i, &at))
			xm_seals_seal(&e->seals, page + i, &at,
				      xm_pager_is_written(&e->pager, page + i),
				      bytes + i * size, size);
	}
	return 0;
}

void xm_engine_unseal_write(struct xm_engine *e, uint64_t page, uint64_t count,
			    uint8_t *bytes)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;

	for (uint64_t i = 0; i < count; i++) {
		int rc = 0;

		if (xm_volume_sealed_page(&e->io, page + i, &at))
			rc = xm_seals_open(&e->seals, page + i, &at,
					   bytes + i * size, size);
		/* These bytes have not left the client. */
		XM_ASSERT(rc == 0 || XM_PLANTED(seal_plain_write));
		xm_seals_restore(&e->seals, page + i);
		e->seals.version -= XM_PLANTED(seal_version_back);
	}
}

void xm_engine_unlocked(struct xm_engine *e, uint64_t page, uint64_t limit)
{
	for (; page < limit && e->seals.formers_count > 0; page++) {
		if (!xm_pager_is_torn(&e->pager, page))
			xm_seals_settle(&e->seals, page);
	}
}

/* --- reads -------------------------------------------------------------------- */

int xm_engine_open_read(struct xm_engine *e, const struct xm_operation *op,
			uint64_t *ret_bad)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < op->count; i++) {
		/* A fetch may bring pages along that are present, and whose
		 * stores are under way. */
		if (op->kind == XM_OPERATION_FETCH &&
		    !XM_PLANTED(seal_brought_opened) &&
		    !xm_pager_fetches(&e->pager, op->staging_index,
				      op->page + i))
			continue;
		if (!xm_volume_sealed_page(&e->io, op->page + i, &at))
			return -ESTALE;
		rc = xm_seals_open(&e->seals, op->page + i, &at,
				   op->local + i * size, size);
		*ret_bad = op->page + i;
		if (XM_PLANTED(seal_tag_ignored))
			rc = 0;
	}
	return rc;
}

const uint8_t *xm_engine_open_copy(struct xm_engine *e, uint64_t page,
				   const uint8_t *bytes)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;
	int rc = 0;

	memcpy(e->scratch, bytes, size);
	if (xm_volume_sealed_page(&e->io, page, &at) &&
	    !XM_PLANTED(seal_rescue_sealed) && !XM_PLANTED(seal_plain_store))
		rc = xm_seals_open(&e->seals, page, &at, e->scratch, size);
	XM_ASSERT(rc == 0); /* nor have these */
	return e->scratch;
}

bool xm_engine_is_sealed(struct xm_engine *e, uint64_t page)
{
	struct xm_seal_page at;

	return e->sealing && xm_volume_sealed_page(&e->io, page, &at);
}

/* --- tags that are wrong ------------------------------------------------------- */

bool xm_engine_is_right(struct xm_engine *e, uint64_t page, const uint8_t *bytes,
			bool *ret_former)
{
	uint64_t size = e->options.page_size;
	struct xm_seal_page at;

	*ret_former = false;
	if (!xm_volume_sealed_page(&e->io, page, &at))
		return true;
	memcpy(e->scratch, bytes, size);
	if (xm_seals_open(&e->seals, page, &at, e->scratch, size) == 0)
		return true;
	memcpy(e->scratch, bytes, size);
	*ret_former = xm_seals_open_former(&e->seals, page, &at, e->scratch,
					   size) == 0;
	e->counters.bad_tags += !*ret_former;
	return *ret_former;
}

void xm_engine_doubt(struct xm_engine *e, uint64_t page)
{
	struct xm_pager_event ev = { .kind = XM_PAGER_TEAR, .page = page };

	e->counters.bad_tags++;
	note(e, XM_TRACE_ENGINE_BAD_TAG, page, 0, 0, 0);
	if (!XM_PLANTED(seal_bad_kept))
		xm_engine_event(e, &ev);
}

void xm_engine_tampered(struct xm_engine *e, uint64_t page)
{
	struct xm_pager_event ev = {
		.kind = XM_PAGER_LOST, .page = page, .limit = page + 1,
	};

	e->counters.tampered++;
	note(e, XM_TRACE_ENGINE_TAMPERED, page, 0, 0, 0);
	xm_seals_tampered(&e->seals, page);
	xm_engine_event(e, &ev);
}

bool xm_engine_is_old(const struct xm_engine *e, uint64_t page)
{
	return e->sealing && xm_pager_is_kept(&e->pager, page) &&
	       xm_seals_is_old(&e->seals, page,
			       xm_pager_is_locked(&e->pager, page));
}

bool xm_engine_is_tampered(const struct xm_engine *e, uint64_t page)
{
	return e->sealing && xm_seals_is_tampered(&e->seals, page);
}
