/* SPDX-License-Identifier: BSD-3-Clause */
/* ledgers.c: has the keeper take ledgers (core/pure/ledger.h). */
#ifndef XM_LEDGERS_H
#define XM_LEDGERS_H

#include "core/extmem.h"

/* With regions.lock held. From now on each appliance of the client is asked for one;
 * waits until those that answer have. Returns which have, a bit each. */
uint32_t xm_ledgers_take(extmem *);

#endif
