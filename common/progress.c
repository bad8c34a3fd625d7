/* SPDX-License-Identifier: BSD-3-Clause */
/* How long something will take; see progress.h. */
#include "common/progress.h"

#define LEAST (100 * XM_MS) /* of time, to measure a rate */

void xm_progress_look(struct xm_progress *p, uint64_t left, uint64_t now_ns)
{
	if (p->left == 0 || left > p->left) {
		p->began_left = left;
		p->began_ns = now_ns;
	}
	p->left = left;
	p->seen_ns = now_ns;
}

uint64_t xm_progress_ms(const struct xm_progress *p)
{
	uint64_t passed_ns = p->seen_ns - p->began_ns;
	uint64_t done = p->began_left - p->left;

	if (p->left == 0 || done == 0 || passed_ns < LEAST)
		return 0;
	return (uint64_t)((double)p->left / (double)done * (double)passed_ns /
			  (double)XM_MS) + 1;
}

void xm_progress_words(struct xm_words *w, uint64_t left, uint64_t ms)
{
	uint64_t seconds = (ms + 999) / 1000;

	xm_words_bytes(w, left);
	xm_words_add(w, " left");
	if (ms == 0)
		return;
	xm_words_add(w, ", about ");
	if (seconds < 120) {
		xm_words_number(w, seconds);
		xm_words_add(w, " s");
	} else if (seconds < 120 * 60) {
		xm_words_number(w, seconds / 60);
		xm_words_add(w, " min");
	} else {
		xm_words_number(w, seconds / 3600);
		xm_words_add(w, " h");
	}
}
