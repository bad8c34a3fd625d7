/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem_watch(): a function of the program's that is called before pages become
 * writable. The engine calls it (engine_effects.c), on every mapper, since only
 * the engine makes pages writable.
 */
#include <errno.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/pure/plant.h"

int extmem_watch(extmem *x, const struct extmem_watch *watch)
{
	struct os_signals old;
	int rc = xm_usable("extmem_watch");

	if (rc != 0)
		return rc;
	if (watch != NULL && watch->size != sizeof(*watch))
		return xm_fail(-EINVAL, "extmem_watch: a struct of %llu bytes: "
			       "set its size",
			       (unsigned long long)watch->size);
	xm_lanes_lock(&x->lanes, &old);
	if (watch != NULL)
		x->watch = (struct xm_engine_watch){
			.change = watch->change,
			.changed = watch->changed,
			.context = watch->context,
			.base = x->arena.base,
		};
	for (uint32_t i = 0; i < (XM_PLANTED(watch_first_lane)
					   ? 1 : x->lanes.count); i++)
		xm_engine_watch(&x->lanes.lane[i].engine,
				watch != NULL ? &x->watch : NULL);
	xm_lanes_unlock(&x->lanes, &old);
	return 0;
}
