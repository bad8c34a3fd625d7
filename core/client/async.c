/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous transfers; see async.h.
 *
 * They are driven by the thread that starts them, and by threads that poll. One
 * whose pieces are under way is left alone until one of these ends, which any
 * thread may hear of: it calls for the transfer (xm_async_call()). One that is
 * stuck is looked at again by later polls, in turn.
 */
#include "core/client/async.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/access.h"
#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/sharing.h"
#include "core/client/range.h"

/* Asynchronous transfers that have not been collected. */
#define ASYNC_MAX 4096
/* Of those that are stuck, tried in one poll. */
#define TRIES 64

int xm_async_open(struct xm_async *a)
{
	a->memory = os_memory_take(ASYNC_MAX * sizeof(struct xm_transfer));
	if (a->memory == NULL)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	a->stuck.last = &a->stuck.first;
	a->done.last = &a->done.first;
	return 0;
}

void xm_async_close(struct xm_async *a)
{
	os_memory_give(a->memory, ASYNC_MAX * sizeof(struct xm_transfer));
}

static void queue_put(struct xm_transfer_queue *queue, struct xm_transfer *t)
{
	t->next = NULL;
	*queue->last = t;
	queue->last = &t->next;
}

static struct xm_transfer *queue_take(struct xm_transfer_queue *queue)
{
	struct xm_transfer *t = queue->first;

	if (t == NULL)
		return NULL;
	queue->first = t->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return t;
}

static struct xm_transfer *async_take(extmem *x, const struct extmem_iov *span)
{
	struct xm_transfer *t;

	os_lock_take(&x->async.lock);
	t = x->async.free;
	if (t != NULL)
		x->async.free = t->next;
	else if (x->async.used < ASYNC_MAX)
		t = &x->async.memory[x->async.used++];
	if (t != NULL) {
		memset(t, 0, sizeof(*t));
		t->async = t->lent = true;
		t->span = *span;
	}
	os_lock_give(&x->async.lock);
	return t;
}

/* With async_lock held. */
static void async_give(extmem *x, struct xm_transfer *t)
{
	t->lent = false;
	t->next = x->async.free;
	x->async.free = t;
}

bool xm_async_has(struct xm_async *a, const void *memory, size_t size)
{
	bool lent = false;

	os_lock_take(&a->lock);
	for (uint32_t i = 0; i < a->used && !lent; i++) {
		const struct xm_transfer *t = &a->memory[i];

		lent = t->lent && xm_memory_overlaps(memory, size,
						     t->span.buffer,
						     t->span.size);
	}
	os_lock_give(&a->lock);
	return lent;
}

void xm_async_call(struct xm_async *a, struct xm_transfer *t)
{
	struct xm_transfer *first = atomic_load(&a->called);

	do
		t->next = first;
	while (!atomic_compare_exchange_weak(&a->called, &first, t));
}

static void async_put(extmem *x, struct xm_transfer_queue *queue,
		      struct xm_transfer *t)
{
	os_lock_take(&x->async.lock);
	if (queue == &x->async.done)
		t->lent = false;
	queue_put(queue, t);
	os_lock_give(&x->async.lock);
}

/* Until it waits for its pieces, is stuck, or has ended. */
static void drive(extmem *x, struct xm_transfer *t)
{
	atomic_store(&t->state, XM_TRANSFER_DRIVEN);
	for (;;) {
		enum xm_transfer_progress progress = xm_transfer_step(t);
		unsigned state = XM_TRANSFER_DRIVEN;

		if (progress == XM_TRANSFER_ENDED)
			break;
		if (progress == XM_TRANSFER_STUCK) {
			xm_transfer_give_up(t, os_now_ns());
			if (t->status != 0)
				continue;
			xm_transfer_calm(t);
			/* It is looked at again in any case. */
			atomic_store(&t->state, XM_TRANSFER_CALLED);
			async_put(x, &x->async.stuck, t);
			return;
		}
		xm_transfer_calm(t);
		if (atomic_compare_exchange_strong(&t->state, &state,
						   XM_TRANSFER_IDLE))
			return;
		atomic_store(&t->state, XM_TRANSFER_DRIVEN);
	}
	/* The thread that ended its last piece may still read the transfer. */
	for (unsigned turn = 0; atomic_load(&t->callers) > 0; turn++)
		xm_rest(turn);
	xm_transfer_end(t);
	async_put(x, &x->async.done, t);
}

void xm_async_turn(extmem *x)
{
	struct xm_transfer *t, *next, *stuck = NULL;
	struct os_signals old;

	for (uint32_t i = 0; i < x->lanes.count; i++) {
		xm_lane_lock(&x->lanes.lane[i], &old);
		xm_lane_turn(&x->lanes.lane[i]);
		xm_lane_unlock(&x->lanes.lane[i], &old);
	}
	for (t = atomic_exchange(&x->async.called, NULL); t != NULL; t = next) {
		next = t->next;
		drive(x, t);
	}
	os_lock_take(&x->async.lock);
	for (unsigned i = 0; i < TRIES; i++) {
		t = queue_take(&x->async.stuck);
		if (t == NULL)
			break;
		t->next = stuck;
		stuck = t;
	}
	os_lock_give(&x->async.lock);
	for (t = stuck; t != NULL; t = next) {
		next = t->next;
		drive(x, t);
	}
}

static int start(extmem_region *region, const char *call, bool write,
		 uint64_t offset, void *buffer, size_t size, void *context)
{
	extmem *x = region->client;
	struct extmem_iov span = { offset, buffer, size };
	struct xm_transfer *t;
	int rc = xm_access_check(region, call, &span, 1);

	if (rc == 0 && write)
		rc = xm_region_writable(region, call);
	if (rc != 0)
		return rc;
	if (size == 0)
		return xm_fail(-EINVAL, "%s: nothing to do: size 0", call);
	if (xm_access_bounces(x, &span))
		return xm_fail(-EINVAL, "%s: this buffer needs a copy: %s", call,
			       xm_arena_overlaps(&x->arena, buffer, size)
				       ? "use the plain calls"
				       : "register it, by extmem_register()");
	t = async_take(x, &span);
	if (t == NULL)
		return xm_fail(-EAGAIN, "%s: %d operations are under way: poll",
			       call, ASYNC_MAX);
	t->context = context;
	rc = xm_transfer_begin(t, region, write, &t->span, 1,
			       os_now_ns() + x->settings.timeout_ns);
	if (rc != 0) {
		os_lock_take(&x->async.lock);
		async_give(x, t);
		os_lock_give(&x->async.lock);
		return xm_fail(rc, "%s: %s", call, xm_why(rc));
	}
	drive(x, t);
	return 0;
}

int extmem_read_start(extmem_region *region, uint64_t offset, void *buffer,
		      size_t size, void *context)
{
	return start(region, "extmem_read_start", false, offset, buffer, size,
		     context);
}

int extmem_write_start(extmem_region *region, uint64_t offset,
		       const void *buffer, size_t size, void *context)
{
	return start(region, "extmem_write_start", true, offset,
		     (void *)(uintptr_t)buffer, size, context);
}

int extmem_poll(extmem *x, struct extmem_completion *ret, size_t count)
{
	struct xm_transfer *t;
	size_t got = 0;
	int rc = xm_usable("extmem_poll");

	if (rc != 0)
		return rc;
	xm_async_turn(x);
	os_lock_take(&x->async.lock);
	while (got < count && (t = queue_take(&x->async.done)) != NULL) {
		ret[got].context = t->context;
		ret[got].status = t->status;
		got++;
		async_give(x, t);
	}
	os_lock_give(&x->async.lock);
	return (int)got;
}

int extmem_wait(extmem *x, struct extmem_completion *ret, size_t count,
		uint32_t timeout_ms)
{
	struct xm_wait wait = {
		.deadline_ns = os_now_ns() + timeout_ms * XM_MS,
	};
	uint32_t seen[XM_LANES_MAX];

	for (;;) {
		int got;

		xm_lanes_seen(&x->lanes, seen);
		got = extmem_poll(x, ret, count);
		if (got != 0)
			return got;
		if (os_now_ns() >= wait.deadline_ns)
			return 0;
		xm_lanes_wait(&x->lanes, seen, -1, &wait);
	}
}
