/* SPDX-License-Identifier: BSD-3-Clause */
/* What a recorded program would cost; see foresee.h. */
#include "advise/foresee.h"

#include <string.h>

#define BOUNCE_PAGES 16 /* of each lane, for explicit access */
#define FRAMES_LEAST 16

struct replay_link foresee_link(uint64_t trip_ns, uint32_t copies)
{
	return (struct replay_link){
		.fault_ns = 3000,
		.trip_ns = trip_ns,
		.page_ns = 1100,
		.store_ns = 2200,
		.copies = copies,
	};
}

/* As a client of one lane divides it; of a sample, as many frames as it is of all. */
static void share_out(const struct recording *r, uint64_t local,
		      struct xm_pager_options *ret)
{
	*ret = (struct xm_pager_options){ .pages_max = xm_max(r->pages, 1),
					  .reclaim = XM_RECLAIM_2Q };
	xm_pager_share_out(ret, local / XM_PAGE, BOUNCE_PAGES,
			   XM_PAGER_WINDOW_MAX);
	ret->frames_max = (uint32_t)xm_max(ret->frames_max / recording_scale(r),
					   FRAMES_LEAST);
	ret->pins_max = ret->frames_max / 2;
}

const char *foresee(const struct recording *r, uint64_t local,
		    const struct replay_link *link, struct foreseen *ret,
		    uint64_t *ret_misses_by)
{
	uint64_t scale = recording_scale(r), between = recording_between_ns(r);
	struct replay_link here = *link;
	struct xm_pager_options o;
	struct replay_figures f;
	struct replay *replay;
	const char *wrong = NULL;

	local = xm_max(local, FORESEE_LOCAL_LEAST);
	share_out(r, local, &o);
	here.hit_ns = r->touches > 0 ? between / scale / r->touches : 0;
	replay = replay_open(&o, &here);
	if (replay == NULL)
		return "there is no memory to play it back";
	if (ret_misses_by != NULL)
		memset(ret_misses_by, 0, XM_RECORD_STACKS * sizeof(*ret_misses_by));
	for (uint64_t i = 0; i < r->count && wrong == NULL; i++) {
		const struct xm_record_touch t = r->list[i];
		uint64_t waits;

		if (t.kind == XM_RECORD_FRESH) {
			wrong = replay_fresh(replay, t.page, t.page + t.value);
			continue;
		}
		wrong = replay_touch(replay, t.page, t.kind == XM_RECORD_WRITE,
				     &waits);
		if (ret_misses_by != NULL)
			ret_misses_by[t.value] += waits * scale;
	}
	replay_figures(replay, &f);
	replay_close(replay);
	*ret = (struct foreseen){
		.local = local,
		.misses = f.waits * scale,
		.pages_read = f.pages_read * scale,
		.pages_written = f.pages_written * scale,
		.seconds = (double)(f.took_ns * scale +
				    recording_compute_ns(r) - between) / 1e9,
	};
	return wrong;
}
