/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's write prediction: is a page that is read now going to be written soon?
 *
 * A page that is read and then written causes two faults, unless the first one
 * installs it writable; but a page installed writable must be stored when it leaves,
 * written to or not. So the pager predicts, by block of 256 pages, from what became
 * of pages that it installed for reading: each one written adds 2 to its block's
 * counter, each one that leaves unwritten subtracts 2. The counter goes from 0 to 15;
 * from 8 on pages of the block are installed writable. So four pages written in a
 * block are enough, and one that leaves unwritten after these ends it.
 *
 * One of eight predicted writes is not believed, so that the counter still learns.
 *
 * Blocks share XM_PAGER_PREDICTIONS counters by their number: with 1,024 of them, pages
 * that are 262,144 pages (1 GiB) apart share one.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

#define PREDICTION_SHIFT 8
#define PREDICTION_TOP 15
#define PREDICTION_STEP 2
#define PREDICTION_PROBE 8

static uint8_t *counter_of(struct xm_pager *p, uint64_t page)
{
	return &p->write_predictions[(page >> PREDICTION_SHIFT) %
				     XM_PAGER_PREDICTIONS];
}

void xm_pager_learn_write(struct xm_pager *p, uint64_t page, bool written)
{
	uint8_t *counter = counter_of(p, page);

	if (written)
		*counter = (uint8_t)xm_min(*counter + PREDICTION_STEP,
					   PREDICTION_TOP);
	else
		*counter -= (uint8_t)xm_min(*counter, PREDICTION_STEP);
}

bool xm_pager_write_predicted(struct xm_pager *p, uint64_t page)
{
	return *counter_of(p, page) > PREDICTION_TOP / 2 &&
	       ++p->predictions % PREDICTION_PROBE != 0;
}
