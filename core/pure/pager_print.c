/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pager's fingerprints: a page that was made writable and has not changed need not be
 * stored. Programs write a byte and put the old one back, write what is there already, or
 * only read what was made writable by prediction (pager_predict.c).
 *
 *	INSTALL or UNPROTECT, print	the owner takes a fingerprint of the page's bytes
 *					before a store can reach them, and says PRINTED
 *	PROTECT, COPY, compare		it takes one of the copy, and says COMPARED
 *	STORE, compare			it stores those that have changed
 *
 * What holds, so that an unchanged page is left out rightly:
 *
 *	- A fingerprint is that of the bytes which the remote memory holds, or will when the
 *	  store of the page that is under way has ended; until then no other is begun.
 *	- Only dirty pages have one. It goes with the frame, and with any store of the page.
 *	- A page of which a member lacks something (STALE) is stored whatever it holds, and so
 *	  is one that stays writable.
 *
 * A fingerprint takes some 0.4 us, twice for each page; a store that is spared saves some
 * 4 us. So it pays where one page in five is unchanged. Each comparison is noted: for the
 * page's block of 256 pages, +4 or -1, and for all pages lately, +1 or -1. The sum decides,
 * where what is true of all counts an eighth. It is 0 at first, and then, or where pages
 * change, a single page is tried every so often: after 32 pages, and after twice as many
 * each time, up to 512; after 32 again when one is found unchanged.
 *
 * Example: a program changes all that it touches: of 10,000 pages 22 are tried. Then it only
 * reads. The pages that are tried next are found unchanged when they leave; three of one
 * block suffice, and all pages of this block are tried. That soon makes up for what is true
 * of all, and then those of new blocks are tried, too.
 *
 * Blocks share counters as those of predictions do.
 *
 * Floor: ground.
 */
#include "core/pure/pager_parts.h"

#define BLOCK_SHIFT 8
#define BLOCK_LEAST (-8)
#define BLOCK_MOST 7
#define BLOCK_UNCHANGED 4
#define LATELY_LEAST (-16)
#define LATELY_MOST 80
#define LATELY_SHARE 8
#define EVERY_LEAST 32
#define EVERY_MOST 512

static int8_t *block_of(struct xm_pager *p, uint64_t page)
{
	return &p->print_blocks[(page >> BLOCK_SHIFT) % XM_PAGER_PREDICTIONS];
}

static int within(int value, int least, int most)
{
	if (value < least)
		return least;
	return value > most ? most : value;
}

static void learn(struct xm_pager *p, uint64_t page, bool changed)
{
	int8_t *block = block_of(p, page);

	*block = (int8_t)within(*block + (changed ? -1 : BLOCK_UNCHANGED),
				BLOCK_LEAST, BLOCK_MOST);
	p->print_lately = within(p->print_lately + (changed ? -1 : 1),
				 LATELY_LEAST, LATELY_MOST);
	if (!changed) {
		p->print_every = EVERY_LEAST;
		p->print_rest = (uint32_t)xm_min(p->print_rest, EVERY_LEAST);
	}
}

void xm_pager_prints_init(struct xm_pager *p)
{
	p->print_every = p->print_rest = EVERY_LEAST;
}

/* Is it time to try one, where pages change? */
static bool probe(struct xm_pager *p, uint32_t count)
{
	if (p->print_rest > count) {
		p->print_rest -= count;
		return false;
	}
	p->print_every = (uint32_t)xm_min(2 * p->print_every, EVERY_MOST);
	p->print_rest = p->print_every;
	return true;
}

uint8_t xm_pager_prints_wanted(struct xm_pager *p, uint64_t page, uint32_t count)
{
	uint8_t run = 0;

	if (!p->options.prints)
		return 0;
	if (*block_of(p, page) + p->print_lately / LATELY_SHARE <= 0) {
		if (!probe(p, count))
			return 0;
		count = 1;
	}
	while (run < count && flagged(&p->pages[page + run], FLAG_WRITTEN))
		run++;
	return run;
}

void xm_pager_on_printed(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t index = p->pages[ev->page].frame;

	XM_ASSERT(p->options.prints);
	XM_ASSERT(p->pages[ev->page].state == XM_PAGE_DIRTY);
	p->prints[index] = *ev->print;
	p->frames[index].printed = true;
}

void xm_pager_unprint(struct xm_pager *p, uint64_t page)
{
	XM_ASSERT(present(&p->pages[page]));
	p->frames[p->pages[page].frame].printed = false;
}

bool xm_pager_is_printed(const struct xm_pager *p, uint64_t page)
{
	const struct xm_page *entry = &p->pages[page];

	return p->frames[entry->frame].printed &&
	       !flagged(entry, FLAG_LOST) &&
	       (!flagged(entry, FLAG_STALE) || XM_PLANTED(print_hides_stale));
}

void xm_pager_print_leaves(struct xm_pager *p, uint64_t page,
			   struct xm_writeback_buffer *buffer,
			   enum store_purpose purpose)
{
	uint32_t index = p->pages[page].frame;

	buffer->printed = p->options.prints && purpose != STORE_PINNED &&
			  xm_pager_is_printed(p, page);
	if (buffer->printed)
		buffer->print = p->prints[index];
	if (purpose != STORE_FLUSH || !XM_PLANTED(print_outlives_flush))
		p->frames[index].printed = false;
}

const struct xm_print *xm_pager_staged_print(const struct xm_pager *p,
					     uint32_t staging_index)
{
	const struct xm_writeback_buffer *buffer =
		&p->writeback_buffers[staging_index - writeback_base(p)];

	return buffer->printed ? &buffer->print : NULL;
}

void xm_pager_on_compared(struct xm_pager *p, const struct xm_pager_event *ev)
{
	uint32_t index = ev->staging_index - writeback_base(p);
	struct xm_writeback_buffer *buffer = &p->writeback_buffers[index];

	XM_ASSERT(ev->staging_index >= writeback_base(p));
	XM_ASSERT(index < p->options.writeback_buffers && buffer->printed);
	learn(p, buffer->page, ev->changed);
	p->counters.compared++;
	buffer->printed = false;
	if (ev->changed)
		return;
	trace(p, XM_TRACE_PAGER_UNCHANGED, buffer->page, 0, 0);
	p->counters.unchanged++;
	flag_clear(&p->pages[buffer->page], FLAG_STORING);
	if (XM_PLANTED(print_hides_stale))
		flag_clear(&p->pages[buffer->page], FLAG_STALE);
	xm_pager_writeback_free(p, index);
}
