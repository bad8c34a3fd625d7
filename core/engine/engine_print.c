/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the engine takes fingerprints of pages, and compares them; see pager_print.c. */
#include "core/engine/engine_parts.h"

static void take(const struct xm_engine *e, const uint8_t *bytes,
		 struct xm_print *ret)
{
	e->options.print_ops->take(e->options.printer, bytes,
				   e->options.page_size, ret);
}

/* The pager has no effects for either. */
static void tell(struct xm_engine *e, struct xm_pager_event *ev)
{
	ev->now_ns = e->clock_ns;
	xm_pager_step(&e->pager, ev, &e->nested);
	XM_ASSERT(e->nested.count == 0);
}

void xm_engine_print(struct xm_engine *e, uint64_t page, uint64_t count,
		     const uint8_t *bytes)
{
	for (uint64_t i = 0; i < count; i++) {
		struct xm_print print;

		take(e, bytes + i * e->options.page_size, &print);
		tell(e, &(struct xm_pager_event){ .kind = XM_PAGER_PRINTED,
						  .page = page + i,
						  .print = &print });
	}
}

void xm_engine_print_mapped(struct xm_engine *e, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		e->options.mapper_ops->copy(e->options.mapper, page + i, 1,
					    e->scratch);
		xm_engine_print(e, page + i, 1, e->scratch);
	}
}

void xm_engine_compare(struct xm_engine *e, uint32_t staging_index)
{
	const struct xm_print *before =
		xm_pager_staged_print(&e->pager, staging_index);
	struct xm_print now;

	if (before == NULL)
		return;
	take(e, e->options.staging + staging_index * e->options.page_size, &now);
	tell(e, &(struct xm_pager_event){ .kind = XM_PAGER_COMPARED,
					  .staging_index = staging_index,
					  .changed = !xm_prints_equal(before, &now) });
}
