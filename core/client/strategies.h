/* SPDX-License-Identifier: BSD-3-Clause */
/* The strategies of a client and of its regions: from settings to strategy.h. */
#ifndef XM_STRATEGIES_H
#define XM_STRATEGIES_H

#include "common/options.h"
#include "core/client/region.h"
#include "core/pure/strategy.h"

/* Before the lanes are opened: x->strategy, from the settings, and members_max. 0, or
 * -errno with a message. xm_strategies_close() in either case. */
int xm_strategies_open(extmem *);
void xm_strategies_close(extmem *);
/* A strategy for one region, from a text or a name; allocated by os_alloc(). -EINVAL,
 * -ENOMEM, with a message that begins with the call. */
int xm_strategy_of_text(extmem *, const char *call, const char *text,
			struct xm_strategy **ret);
/* The same for whoever has no client: `list` has the stored ones, "NAME=text". */
int xm_strategy_read(const char *call, const struct xm_option_list *list,
		     const char *text, struct xm_strategy *ret);
/* The size of a region rounded up to what can be allocated under the strategy (or
 * NULL). -EINVAL: less than a row of stripes, or too large. */
int xm_strategy_size(const char *call, const struct xm_strategy *,
		     uint64_t granule, uint64_t *size);

#endif
