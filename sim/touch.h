/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads and stores in the world: what a processor would do. See mapper.c. */
#ifndef XM_TOUCH_H
#define XM_TOUCH_H

#include "core/client/client.h"

/* Makes the page accessible as a load or store would, or says why it cannot. No other
 * fiber runs between its return and the caller's next wait. */
enum xm_touched touch_page(extmem *, uint64_t page, bool write);
/* What the mapper has there. */
void touch_state(extmem *, uint64_t page, bool *ret_here, bool *ret_open);
/* When its contents changed last, by sparse_now(), while it cannot be stored to. */
uint64_t touch_changed(const extmem *, uint64_t page);
/* How many pages are there. */
uint64_t touch_count(const extmem *);

#endif
