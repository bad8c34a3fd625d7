/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explicit reads and writes, at once and asynchronous, and the memory that is
 * registered for them. What is moved, and how, is transfer.c's; see client.h for
 * the locks.
 *
 * The caller's buffer goes to the transport as it is, except when it lies in
 * mapped external memory, or the transport wants registered memory and it is not
 * registered; then its bytes go by bounce pages.
 *
 * Asynchronous transfers are driven by who starts them, and by who polls. One
 * whose pieces are under way is left alone until one of these ends, which may
 * be heard of on any thread: that calls for it (async_called). One that is stuck
 * is looked at again by later polls, in turn.
 */
#include "core/client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/error.h"
#include "core/client/range.h"

/* Asynchronous transfers that have not been collected. */
#define ASYNC_MAX 4096
/* Of those that are stuck, tried in one poll. */
#define TRIES 64

/* --- registered memory ----------------------------------------------------------- */

bool xm_is_registered(struct xm_registered *r, const void *memory, size_t size)
{
	uintptr_t at = (uintptr_t)memory;
	bool found = false;

	os_mutex_take(&r->lock);
	for (uint32_t i = 0; i < r->count && !found; i++) {
		uintptr_t base = (uintptr_t)r->spans[i].memory;

		found = at >= base &&
			xm_span_fits(at - base, size, r->spans[i].size);
	}
	os_mutex_give(&r->lock);
	return found;
}

/* In the transports of all lanes, or none. */
static int register_memory(extmem *x, void *memory, size_t size, bool on,
		  char *words, size_t words_size)
{
	int rc = 0;

	for (uint32_t i = 0; i < x->lanes.count && rc == 0; i++) {
		struct xm_lane *lane = &x->lanes.lane[i];
		struct os_signals old;

		xm_lane_lock(lane, &old);
		for (uint32_t k = 0; k < lane->engine.peers_count && rc == 0;
		     k++) {
			struct xm_lane_peer *peer = &lane->engine.peers[k];

			if (!on) {
				peer->ops->deregister_memory(peer->transport, memory,
						  size);
				continue;
			}
			rc = peer->ops->register_memory(peer->transport, memory, size);
			if (rc != 0)
				snprintf(words, words_size, "%s",
					 peer->ops->words(peer->transport));
		}
		xm_lane_unlock(lane, &old);
	}
	return rc;
}

static bool overlaps(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return (uintptr_t)a < (uintptr_t)b + b_size &&
	       (uintptr_t)b < (uintptr_t)a + a_size;
}

/* With registered_lock held. */
static int register_span(extmem *x, void *memory, size_t size)
{
	char words[256] = "";
	int rc;

	for (uint32_t i = 0; i < x->registered.count; i++) {
		const struct xm_registered_span *other =
			&x->registered.spans[i];

		if (overlaps(memory, size, other->memory, other->size))
			return xm_fail(-EEXIST, "extmem_register: part of it "
				       "is registered already");
	}
	if (x->registered.count == XM_REGISTERED_MAX)
		return xm_fail(-ENOSPC, "extmem_register: %d spans are "
			       "registered, which is the limit: register "
			       "larger ones", XM_REGISTERED_MAX);
	rc = register_memory(x, memory, size, true, words, sizeof(words));
	if (rc != 0) {
		register_memory(x, memory, size, false, NULL, 0);
		return xm_fail(rc, "extmem_register: %s", words);
	}
	x->registered.spans[x->registered.count++] =
		(struct xm_registered_span){ memory, size };
	return 0;
}

int extmem_register(extmem *x, void *memory, size_t size)
{
	int rc = xm_usable("extmem_register");

	if (rc != 0)
		return rc;
	if (memory == NULL || size == 0 ||
	    (uintptr_t)memory > UINTPTR_MAX - size)
		return xm_fail(-EINVAL, "extmem_register: nothing to "
			       "register: %zu bytes", size);
	if (xm_arena_overlaps(&x->arena, memory, size))
		return xm_fail(-EINVAL, "extmem_register: external memory is "
			       "not the program's own");
	os_mutex_take(&x->registered.lock);
	rc = register_span(x, memory, size);
	os_mutex_give(&x->registered.lock);
	return rc;
}

int extmem_deregister(extmem *x, void *memory, size_t size)
{
	uint32_t i = 0;
	int rc = xm_usable("extmem_deregister");

	if (rc != 0)
		return rc;
	os_mutex_take(&x->registered.lock);
	while (i < x->registered.count && (x->registered.spans[i].memory != memory ||
				     x->registered.spans[i].size != size))
		i++;
	if (i == x->registered.count) {
		rc = xm_fail(-EINVAL, "extmem_deregister: %zu bytes at %p were "
			     "not registered so", size, memory);
	} else if (xm_async_has(&x->async, memory, size)) {
		rc = xm_fail(-EBUSY, "extmem_deregister: an asynchronous call "
			     "has it: poll");
	} else {
		register_memory(x, memory, size, false, NULL, 0);
		x->registered.spans[i] = x->registered.spans[--x->registered.count];
	}
	os_mutex_give(&x->registered.lock);
	return rc;
}

/* --- at once -------------------------------------------------------------------------- */

static int check(const extmem_region *region, const char *call,
		 const struct extmem_iov *iov, size_t count)
{
	int rc = xm_usable(call);

	for (size_t i = 0; i < count && rc == 0; i++) {
		if (!xm_span_fits(iov[i].offset, iov[i].size, region->size))
			rc = xm_fail(-ERANGE, "%s: [%llu, +%zu) is outside the "
				     "region of %llu bytes", call,
				     (unsigned long long)iov[i].offset,
				     iov[i].size,
				     (unsigned long long)region->size);
	}
	return rc;
}

/* Its bytes have to go by bounce pages. */
static bool needs_bounce(extmem *x, const struct extmem_iov *iov)
{
	return iov->size > 0 &&
	       (xm_arena_overlaps(&x->arena, iov->buffer, iov->size) ||
		(x->registered.needed &&
		 !xm_is_registered(&x->registered, iov->buffer, iov->size)));
}

static int move(extmem_region *region, const char *call, bool write,
		const struct extmem_iov *iov, size_t count)
{
	extmem *x = region->client;
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	int rc = check(region, call, iov, count);

	for (size_t i = 0, next; i < count && rc == 0; i = next) {
		struct xm_transfer t = { .bounced = needs_bounce(x, &iov[i]) };

		/* Those that go the same way go together. */
		for (next = i + 1; next < count; next++) {
			if (needs_bounce(x, &iov[next]) != t.bounced)
				break;
		}
		rc = xm_transfer_begin(&t, region, write, iov + i, next - i,
				       deadline_ns);
		if (rc == 0)
			rc = xm_transfer_run(&t);
		if (rc != 0)
			xm_fail(rc, "%s: [%llu, +%zu)%s of region %s: %s", call,
				(unsigned long long)iov[i].offset, iov[i].size,
				next - i > 1 ? " and more" : "", region->name,
				xm_why(rc));
	}
	return rc;
}

int extmem_read(extmem_region *region, uint64_t offset, void *buffer,
		size_t size)
{
	struct extmem_iov iov = { offset, buffer, size };

	return move(region, "extmem_read", false, &iov, 1);
}

int extmem_write(extmem_region *region, uint64_t offset, const void *buffer,
		 size_t size)
{
	struct extmem_iov iov = { offset, (void *)(uintptr_t)buffer, size };

	return move(region, "extmem_write", true, &iov, 1);
}

int extmem_readv(extmem_region *region, const struct extmem_iov *iov,
		 size_t count)
{
	return move(region, "extmem_readv", false, iov, count);
}

int extmem_writev(extmem_region *region, const struct extmem_iov *iov,
		  size_t count)
{
	return move(region, "extmem_writev", true, iov, count);
}

/* --- asynchronous --------------------------------------------------------------------------- */

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

		lent = t->lent && overlaps(memory, size, t->span.buffer,
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
	/* Who gave us its last piece may still be about to look at it. */
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
	int rc = check(region, call, &span, 1);

	if (rc != 0)
		return rc;
	if (size == 0)
		return xm_fail(-EINVAL, "%s: nothing to do: size 0", call);
	if (needs_bounce(x, &span))
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
