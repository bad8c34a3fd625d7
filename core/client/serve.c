/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving faults; see serve.h.
 *
 * The life of an inline fault: the kernel sends SIGBUS to the thread that
 * touched the page; on_sigbus() (sigbus.c) finds the client; xm_serve() locks
 * the lane, sends the fault to the pager (which posts the read, then makes
 * room), and waits (wait.c) until the pager says that the page is there. Nothing
 * is allocated, no other thread is woken.
 */
#include "core/client/serve.h"

#include "core/client/client.h"

/* --- one fault -------------------------------------------------------------- */

/* With the lane locked. */
static enum xm_verdict serve_step(struct xm_lane *lane, struct xm_serving *f)
{
	const uint64_t *returned = &lane->engine.pager.counters.returned;
	uint64_t before = *returned;
	enum xm_verdict verdict;

	if (!f->again)
		f->since_ns = xm_engine_clock(&lane->engine);
	verdict = xm_engine_fault(&lane->engine, f->page, f->write, f->again,
				  f->since_ns);
	f->returned |= *returned != before;
	f->again = true;
	return verdict;
}

static void served(extmem *x, struct xm_lane *lane, const struct xm_serving *f,
		   enum xm_verdict verdict)
{
	uint64_t took_ns;

	if (verdict == XM_VERDICT_DONE) {
		took_ns = os_now_ns() - f->began_ns;
		xm_latency_add(&lane->latency, took_ns);
		lane->returned_ns += f->returned ? took_ns : 0;
	} else if (verdict == XM_VERDICT_LOST) {
		xm_lost_note(x, f->page);
	}
}

enum xm_verdict xm_serve_once(extmem *x, struct xm_serving *f)
{
	struct xm_lane *lane = xm_lane_at(&x->lanes, f->page);
	enum xm_verdict verdict;

	/* Before the lock: waiting for it is waiting for the page. */
	if (!f->again)
		f->began_ns = os_now_ns();
	os_lock_take(&lane->lock);
	verdict = serve_step(lane, f);
	if (verdict == XM_VERDICT_WAIT) {
		xm_lane_turn(lane);
		verdict = serve_step(lane, f);
	}
	served(x, lane, f, verdict);
	xm_lane_give(lane);
	return verdict;
}

enum xm_verdict xm_serve(extmem *x, uint64_t page, bool write)
{
	struct xm_serving fault = { .page = page, .write = write,
			       .began_ns = os_now_ns() };
	struct xm_wait wait = { .deadline_ns = XM_NEVER,
				.since_ns = fault.began_ns };
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);
	enum xm_verdict verdict;

	os_lock_take(&lane->lock);
	verdict = serve_step(lane, &fault);
	while (verdict == XM_VERDICT_WAIT) {
		xm_lane_wait(lane, &wait);
		verdict = serve_step(lane, &fault);
	}
	served(x, lane, &fault, verdict);
	xm_lane_give(lane);
	return verdict;
}
