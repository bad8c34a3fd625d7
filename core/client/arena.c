/* SPDX-License-Identifier: BSD-3-Clause */
/* The arena; see arena.h. */
#include "core/client/arena.h"

#include <errno.h>
#include <string.h>

#include "core/client/error.h"
#include "core/skin/os.h"

/* The mapper of this name, which may be followed by ":" and its address; "": the first. */
static const struct xm_mapper_ops *mapper_named(const char *setting)
{
	size_t length = strcspn(setting, ":");

	if (setting[0] == '\0')
		return xm_mappers[0];
	for (unsigned i = 0; xm_mappers[i] != NULL; i++) {
		if (strlen(xm_mappers[i]->name) == length &&
		    memcmp(xm_mappers[i]->name, setting, length) == 0)
			return xm_mappers[i];
	}
	return NULL;
}

int xm_arena_open(struct xm_arena *a, const struct xm_client_settings *s,
		  struct xm_volume *volume)
{
	struct xm_mapper_options o = {
		.pages = 1,
		.page_size = XM_PAGE,
		.paging = (enum xm_paging)s->paging,
	};
	const char *address = strchr(s->mapper, ':');
	char words[256] = "";
	int rc;

	while (o.pages * XM_PAGE * 2 <= s->arena)
		o.pages *= 2;
	o.address = address != NULL ? address + 1 : "";
	a->ops = mapper_named(s->mapper);
	if (a->ops == NULL)
		return xm_fail(-EINVAL, "extmem_open: mapper=%s: there is no "
			       "such mapper here; the default is %s",
			       s->mapper, xm_mappers[0]->name);
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
