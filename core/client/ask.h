/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking appliances: the background thread that owns a client's control
 * channels, and the queue of requests that other threads have for it.
 *
 * Only the background thread touches a channel. Any other thread puts a request,
 * which is on its stack, into the queue, wakes the background thread, and sleeps
 * until the answer is in the request. The same thread takes the keeper's turns
 * (keeper.h): leases kept alive, tickets fetched, losses told to every lane.
 *
 * `lock` protects all members but `adding`, `stopping`, `wakeup`, `thread`, `runs` and
 * what keeper.h says of lanes. It may be held for long, and never in a handler;
 * no lane's lock is taken under it.
 */
#ifndef XM_ASK_H
#define XM_ASK_H

#include <stdatomic.h>

#include "common/base.h"
#include "core/client/lane.h"
#include "core/client/settings.h"
#include "core/engine/keeper.h"
#include "core/skin/os.h"

/* Lives on the stack of the thread that waits for the answer. */
struct xm_request {
	struct xm_request *next;
	uint32_t appliance;
	uint64_t deadline_ns;
	bool done;
	int status;
	/* Of the appliance, when the answer came. Before, of what names an extent: under which
	 * the extent was taken; if that has ended they are not sent, as the number may be
	 * another's: a FREE has succeeded, others are -ESTALE. */
	uint32_t lease;
	struct xm_message message; /* the request; then the answer, or kind 0 */
};

struct xm_ask {
	/* Held by a thread that adds an appliance, while it looks up the address and
	 * opens transports. Taken before any other lock. */
	struct os_mutex adding;
	struct os_mutex lock;
	struct os_cond changed; /* an answer has come, or `tried` has changed */
	struct xm_request *queue; /* oldest first */
	struct xm_keeper keeper;
	/* Appliances: keeper.control.count, for threads without the lock. It never
	 * falls, and whoever reads it may use the addresses of so many. */
	_Atomic uint32_t count;
	bool tried[XM_APPLIANCES_MAX]; /* ready or away has been heard */
	/* Its extents come in granules that this client cannot use. */
	bool unusable[XM_APPLIANCES_MAX];
	/* The largest granule of the appliances that have been ready. Regions are
	 * multiples of it, since one may have extents at several. Read by any
	 * thread. */
	_Atomic uint64_t granule;
	struct xm_lanes *lanes;
	struct os_thread thread;
	/* What the thread does besides, at each turn and while it waits for a lock. */
	void (*look)(void *context);
	void *look_context;
	bool runs;
	atomic_bool stopping;
	int wakeup; /* descriptor that wakes the background thread */
};

/* From zeros: everything but the thread. 0, or -errno; close it in either
 * case. */
int xm_ask_open(struct xm_ask *, struct xm_lanes *);
/* Starts the background thread, once the appliances of the settings have been added. It
 * calls `look` now and then. */
int xm_ask_start(struct xm_ask *, const struct xm_client_settings *,
		 void (*look)(void *context), void *context);
/* Ends it, if it runs. Its last act is to say BYE: appliances take back what
 * this client still has. */
void xm_ask_stop(struct xm_ask *);
/* Closes the channels. */
void xm_ask_close(struct xm_ask *);

/* Has the background thread take a turn now. Any thread. */
void xm_ask_wake(struct xm_ask *);
/* Sends a request and waits for its answer, at most until the deadline;
 * `ret->status` is returned. */
int xm_ask(struct xm_ask *, uint32_t appliance, const struct xm_message *,
	   uint64_t deadline_ns, struct xm_request *ret);
/* Likewise several at the same time, whose appliance, deadline_ns and message the caller
 * has set. Returns when all of them are answered. */
void xm_ask_several(struct xm_ask *, struct xm_request *, uint32_t count);
/* Likewise one, without waiting: the caller keeps the request until it is done. */
void xm_ask_post(struct xm_ask *, struct xm_request *);
bool xm_ask_is_done(struct xm_ask *, const struct xm_request *);
/* A message about an answer that was no: what the appliance said, or what the
 * status means there. */
void xm_ask_explain(const struct xm_ask *, const struct xm_request *,
		    char *words, size_t words_size);
/* Whether its session is open now, and it can be asked for memory. */
bool xm_ask_is_ready(struct xm_ask *, uint32_t appliance);
/* Of one that is not: the status that says why, never 0, and words that begin with
 * its address. */
#define XM_AWAY_WORDS (XM_WORDS_MORE + XM_ADDRESS_SIZE + 64)
int xm_ask_why_away(struct xm_ask *, uint32_t appliance, char *words,
		    size_t words_size);

/* Constant once the appliance was added. */
static inline const char *xm_ask_address(const struct xm_ask *ask,
					 uint32_t appliance)
{
	return ask->keeper.control.peers[appliance].address;
}

#endif
