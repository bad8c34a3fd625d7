/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena; see arena.h. */
#include "core/client/arena.h"

#include <errno.h>

#include "core/client/error.h"
#include "core/skin/os.h"

int xm_arena_open(struct xm_arena *a, const struct xm_client_settings *s,
		  struct xm_volume *volume)
{
	struct xm_mapper_options o = {
		.pages = 1,
		.page_size = XM_PAGE,
		.paging = (enum xm_paging)s->paging,
	};
	char words[256] = "";
	int rc;

	while (o.pages * XM_PAGE * 2 <= s->arena)
		o.pages *= 2;
	a->ops = xm_mappers[0];
	rc = a->ops->open(&o, words, sizeof(words), &a->mapper);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s", words);
	a->ops->limits(a->mapper, &a->limits);
	a->base = a->limits.base;
	a->size = a->limits.pages * XM_PAGE;
	a->spans_memory_size = xm_extent_memory_size(2 * XM_REGIONS_MAX);
	a->spans_memory = os_memory_take(a->spans_memory_size);
	a->volume_memory =
		os_memory_take(xm_volume_memory_size(XM_SEGMENTS_MAX));
	if (a->spans_memory == NULL || a->volume_memory == NULL)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	xm_extent_init(&a->spans, a->size, XM_SPAN_GRANULE,
		       2 * XM_REGIONS_MAX, a->spans_memory);
	xm_volume_init(volume, XM_SEGMENTS_MAX, XM_PAGE, a->volume_memory);
	return 0;
}

void xm_arena_close(struct xm_arena *a)
{
	if (a->mapper != NULL)
		a->ops->close(a->mapper);
	os_memory_give(a->spans_memory, a->spans_memory_size);
	os_memory_give(a->volume_memory,
		       xm_volume_memory_size(XM_SEGMENTS_MAX));
}
