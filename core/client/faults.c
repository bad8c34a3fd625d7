/* SPDX-License-Identifier: BSD-3-Clause */
/* How faults reach a client; see faults.h. */
#include "core/client/faults.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"

/* --- threads that must not touch ------------------------------------------------------ */

/* The lane whose lock this thread holds; the number of lanes: none. */
static uint32_t lane_held(const extmem *x, int thread)
{
	uint32_t lane = 0;

	while (lane < x->lanes.count &&
	       os_lock_owner(&x->lanes.lane[lane].lock) != thread)
		lane++;
	return lane;
}

/* Serving a fault takes the lock of the page's lane, and may need the background
 * thread. So a thread of the library's own, and a thread that holds that lock, must
 * not touch mapped memory: it would wait for itself for ever, and everybody else for
 * it. Nothing that the library does on such a thread may read memory of the program's:
 * not its environment, nor anything else that a library we call might look at. This
 * ends the program in words where that is broken. */
static void check_thread(const extmem *x, uint64_t page, int thread, bool ours)
{
	char text[400], holds[48] = "";
	uint32_t lane;

	if (thread == 0)
		return;
	lane = lane_held(x, thread);
	if (lane < x->lanes.count)
		snprintf(holds, sizeof(holds), " that holds lane %u",
			 (unsigned)lane);
	else if (!ours)
		return;
	snprintf(text, sizeof(text), "extmem: %s, %d,%s touched external "
		 "memory, at %p: it would wait for itself for ever. A library "
		 "that extmem calls, a function given to extmem_watch(), or "
		 "extmem itself reads memory of the program's there; please "
		 "report it\n",
		 ours ? "a thread of extmem's own" : "a thread", thread, holds,
		 (const void *)(x->arena.base + page * XM_PAGE));
	os_end_in_words(text);
}

/* --- inline: on the thread that touched the page --------------------------------------- */

static enum xm_touched serve(void *context, uint64_t page, bool write)
{
	extmem *x = context;

	check_thread(x, page, os_thread_id(), os_thread_is_ours());
	switch (xm_serve(x, page, write)) {
	case XM_VERDICT_DONE: return XM_TOUCHED_SERVED;
	case XM_VERDICT_DENIED: return XM_TOUCHED_DENIED;
	default: return XM_TOUCHED_LOST;
	}
}

static bool holds_lock(const void *context)
{
	const extmem *x = context;

	return lane_held(x, os_thread_id()) < x->lanes.count;
}

static const char *loss(const void *context)
{
	return extmem_lost(context);
}

/* --- thread: a reader of faults ---------------------------------------------------------- */

#define PENDING_MAX 256

struct pending {
	extmem *client;
	struct xm_serving faults[PENDING_MAX];
	int count;
};

/* Tries each fault once; true when any is served. */
static bool serve_pending(extmem *x, struct pending *p)
{
	const struct xm_mapper_ops *ops = x->arena.ops;
	bool any = false;

	for (int i = 0; i < p->count;) {
		uint64_t page = p->faults[i].page;
		enum xm_verdict verdict = xm_serve_once(x, &p->faults[i]);

		if (verdict == XM_VERDICT_WAIT) {
			i++;
			continue;
		}
		/* No thread is left asleep: the page is there, or poisoned. Where nobody
		 * can be denied, extmem_protect() refuses; but a page of a sparse region
		 * may have no memory. */
		if (verdict == XM_VERDICT_DONE)
			ops->wake(x->arena.mapper, page, 1);
		else
			ops->poison(x->arena.mapper, page, 1);
		p->faults[i] = p->faults[--p->count];
		any = true;
	}
	return any;
}

/* Takes faults from the mapper, and checks who has touched; returns their number. With
 * the faults' lock, so that a fault is either taken by this call or not there yet. */
static int take_faults(extmem *x, struct xm_fault *ret, int room)
{
	int got = x->arena.ops->faults(x->arena.mapper, ret,
				       (int)xm_min(room, XM_FAULTS_READ_MAX));

	for (int i = 0; i < got; i++) {
		int thread = ret[i].thread;

		check_thread(x, ret[i].page, thread,
			     thread == atomic_load(&x->ask.thread.id) ||
				     thread == atomic_load(&x->faults.thread.id));
	}
	return got;
}

static void pending_add(struct pending *p, const struct xm_fault *faults,
			int count)
{
	for (int i = 0; i < count; i++)
		p->faults[p->count++] = (struct xm_serving){
			.page = faults[i].page,
			.write = faults[i].write,
		};
}

/* Takes the faults that have come since; returns their number. */
static int read_faults(extmem *x, struct pending *p)
{
	struct xm_faults *f = &x->faults;
	struct xm_fault faults[XM_FAULTS_READ_MAX];
	int before = p->count;

	atomic_fetch_add(&f->reads, 1);
	os_lock_take(&f->lock);
	if (f->found_count <= PENDING_MAX - p->count) {
		pending_add(p, f->found, f->found_count);
		f->found_count = 0;
	}
	pending_add(p, faults, take_faults(x, faults, PENDING_MAX - p->count));
	os_lock_give(&f->lock);
	return p->count - before;
}

/* The holder of the lock that this thread waits for may itself have touched external
 * memory: then it waits for this thread, which must read its fault to say so. */
static void look_meanwhile(void *context)
{
	struct pending *p = context;

	read_faults(p->client, p);
}

/* While there is no fault, no completion is waited for: even polling=busy sleeps after
 * this time. */
#define IDLE_MAX (10 * XM_MS)

/* How long the thread sleeps at most, so that it hears of its end. */
#define SLEEP_MAX (100 * XM_MS)

/* Between two faults the thread polls for the next as the lanes do for completions, and
 * then sleeps on the mapper's descriptor; while faults are being served, on both. */
static void *fault_run(void *argument)
{
	extmem *x = argument;
	struct pending pending = { .client = x };
	struct xm_wait wait = { .deadline_ns = XM_NEVER };
	struct xm_spin spin;
	uint64_t idle_ns = os_now_ns();
	bool slept = false;
	struct pollfd fd = { .fd = x->arena.limits.descriptor,
			     .events = POLLIN };

	os_lock_meanwhile(look_meanwhile, &pending);
	xm_spin_init(&spin, (enum xm_polling)x->settings.polling);
	while (!atomic_load(&x->faults.stopping)) {
		uint32_t seen[XM_LANES_MAX];
		int got;

		xm_lanes_seen(&x->lanes, seen);
		got = read_faults(x, &pending);
		if (got > 0 && pending.count == got)
			xm_spin_learn(&spin, os_now_ns() - idle_ns, slept);
		if (serve_pending(x, &pending) || got > 0) {
			wait.since_ns = 0;
			idle_ns = os_now_ns();
			slept = false;
		} else if (pending.count > 0) {
			xm_lanes_wait(&x->lanes, seen, fd.fd, &wait);
		} else if (os_now_ns() - idle_ns >=
			   xm_min(xm_spin_ns(&spin), IDLE_MAX)) {
			os_sleep_on(&fd, 1, NULL, 0, SLEEP_MAX);
			slept = true;
		} else {
			os_look_again(0, false, 0);
		}
	}
	return NULL;
}

/* --- who watches the reader ---------------------------------------------------------------- */

/* If a fault is there for so long and the thread does not read it, the thread is stopped,
 * or it waits for a touch of its own. */
#define STUCK_NS XM_SECOND

static bool fault_is_there(const extmem *x)
{
	struct pollfd fd = { .fd = x->arena.limits.descriptor,
			     .events = POLLIN };

	os_sleep_on(&fd, 1, NULL, 0, 0);
	return fd.revents != 0;
}

/* What it takes in place of a thread that was merely stopped, that thread finds in
 * `found`: after it has been woken by the fault, it reads. */
void xm_faults_look(void *client)
{
	extmem *x = client;
	struct xm_faults *f = &x->faults;
	uint64_t reads = atomic_load(&f->reads), now_ns;

	if (reads == 0)
		return; /* there is no such thread, or not yet */
	now_ns = os_now_ns();
	if (reads != f->reads_seen || !fault_is_there(x)) {
		f->reads_seen = reads;
		f->seen_ns = now_ns;
		return;
	}
	if (now_ns - f->seen_ns < STUCK_NS)
		return;
	os_lock_take(&f->lock);
	f->found_count += take_faults(x, f->found + f->found_count,
				      XM_FAULTS_READ_MAX - f->found_count);
	os_lock_give(&f->lock);
}

/* --- either ----------------------------------------------------------------------------- */

int xm_faults_begin(extmem *x, char *words, size_t words_size)
{
	const struct xm_fault_handler handler = {
		.context = x,
		.serve = serve,
		.holds_lock = holds_lock,
		.loss = loss,
	};
	struct xm_faults *f = &x->faults;
	int rc = x->arena.ops->begin(x->arena.mapper, &handler, words,
				     words_size);

	if (rc != 0)
		return rc;
	f->threaded = x->arena.limits.descriptor >= 0;
	if (f->threaded)
		rc = os_thread_start(&f->thread, fault_run, x);
	if (rc != 0) {
		snprintf(words, words_size, "no thread: %s", strerror(-rc));
		x->arena.ops->end(x->arena.mapper);
		return rc;
	}
	f->begun = true;
	return 0;
}

void xm_faults_end(extmem *x)
{
	struct xm_faults *f = &x->faults;

	if (!f->begun)
		return;
	if (f->threaded) {
		atomic_store(&f->stopping, true);
		os_thread_join(&f->thread);
	}
	x->arena.ops->end(x->arena.mapper);
	f->begun = false;
}
