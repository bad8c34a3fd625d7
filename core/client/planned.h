/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for regions that have a strategy, as plan.h decides from offers (offers.h). */
#ifndef XM_PLANNED_H
#define XM_PLANNED_H

#include "core/client/region.h"

/* As the client is opened: can the appliances that answer meet its strategy, if it has
 * one? Whether they have room now is not asked. -ENODEV with a message. */
int xm_planned_check(extmem *);

#endif
