/* SPDX-License-Identifier: BSD-3-Clause */
/* The background thread, and requests to it; see ask.h. */
#include "core/client/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/moving.h"
#include "core/pure/channel.h"

/* Threads wait for what is cloned. */
#define PATIENCE_CLONES (100 * XM_US)

/* --- what the keeper is given ------------------------------------------------- */

/* The background thread has all signals blocked from its start. */
static void lane_lock(void *owner, uint32_t lane)
{
	struct xm_ask *ask = owner;

	if (lane == XM_KEEPER_CONTROL)
		os_mutex_take(&ask->lock);
	else
		os_lock_take(&ask->lanes->lane[lane].lock);
}

static void lane_unlock(void *owner, uint32_t lane)
{
	struct xm_ask *ask = owner;

	if (lane == XM_KEEPER_CONTROL)
		os_mutex_give(&ask->lock);
	else
		xm_lane_give(&ask->lanes->lane[lane]);
}

/* With the lock held: it may have been away until now, or be another one. */
static void on_ready(struct xm_ask *ask, uint32_t appliance)
{
	uint64_t granule = ask->keeper.control.peers[appliance]
				   .session.welcome.granule;

	ask->unusable[appliance] = !xm_is_power_of_two(granule) ||
				   granule < XM_PAGE || granule > XM_GIB;
	if (!ask->unusable[appliance])
		ask->granule = xm_max(ask->granule, granule);
}

/* With the lock held. The token of an answer is the request's address. */
static void request_report(void *owner, const struct xm_control_report *report)
{
	struct xm_ask *ask = owner;

	if (report->kind == XM_CONTROL_ANSWER) {
		struct xm_request *request =
			(struct xm_request *)(uintptr_t)report->token;

		request->status = report->status;
		request->lease = ask->keeper.peers[report->appliance].lease;
		if (report->message != NULL)
			request->message = *report->message;
		else
			request->message.kind = 0;
		request->done = true;
	} else {
		if (report->kind == XM_CONTROL_READY)
			on_ready(ask, report->appliance);
		ask->tried[report->appliance] = true;
	}
	os_cond_wake_all(&ask->changed);
}

/* --- the background thread ------------------------------------------------------ */

/* Does it name an extent of a lease that has ended? */
static bool is_too_late(const struct xm_ask *ask, const struct xm_request *r)
{
	return xm_message_names_extent(&r->message) &&
	       r->lease != ask->keeper.peers[r->appliance].lease;
}

/* With the lock held. */
static void pass_on_requests(struct xm_ask *ask, uint64_t now_ns)
{
	while (ask->queue != NULL) {
		struct xm_request *request = ask->queue;

		ask->queue = request->next;
		if (is_too_late(ask, request)) {
			request->status = request->message.kind == XM_FREE
						  ? 0 : -ESTALE;
			request->message.kind = 0;
			request->done = true;
			os_cond_wake_all(&ask->changed);
			continue;
		}
		xm_control_request(&ask->keeper.control, request->appliance,
				   &request->message,
				   (uint64_t)(uintptr_t)request,
				   request->deadline_ns, now_ns);
	}
}

static void *background_run(void *argument)
{
	struct xm_ask *ask = argument;
	struct xm_control *control = &ask->keeper.control;

	os_lock_meanwhile(ask->look, ask->look_context);
	while (!atomic_load(&ask->stopping)) {
		uint64_t patience;
		bool several, clones;

		ask->look(ask->look_context);
		clones = xm_clones_turn(XM_CONTAINER(ask, extmem, ask));
		os_mutex_take(&ask->lock);
		pass_on_requests(ask, os_now_ns());
		several = control->channels_count > 1;
		os_mutex_give(&ask->lock);
		xm_keeper_turn(&ask->keeper, os_now_ns());
		patience = xm_keeper_patience_ns(&ask->keeper);
		/* The thread can sleep on one channel only: with more of them
		 * it looks at the others every 10 ms. */
		if (clones)
			patience = xm_min(patience, PATIENCE_CLONES);
		if (several)
			patience = xm_min(patience, 10 * XM_MS);
		if (patience > 0)
			control->ops[0]->wait(control->channels[0], ask->wakeup,
					      patience);
		os_kick_drain(ask->wakeup);
	}
	os_mutex_take(&ask->lock);
	pass_on_requests(ask, os_now_ns());
	xm_control_end(control, os_now_ns());
	os_mutex_give(&ask->lock);
	return NULL;
}

int xm_ask_open(struct xm_ask *ask, struct xm_lanes *lanes)
{
	xm_keeper_init(&ask->keeper);
	ask->keeper.control.trace = os_trace();
	os_mutex_open(&ask->adding);
	os_mutex_open(&ask->lock);
	os_cond_open(&ask->changed);
	ask->lanes = lanes;
	ask->wakeup = os_kick_open();
	return ask->wakeup < 0 ? ask->wakeup : 0;
}

static bool region_track(void *owner, const struct xm_region_id *id)
{
	return xm_moving_track(XM_CONTAINER(owner, extmem, ask), id);
}

static int region_tie(void *owner, const struct xm_vacancy *at,
		      uint64_t extent, struct xm_message *ret)
{
	return xm_keeping_tie(XM_CONTAINER(owner, extmem, ask), at, extent, ret);
}

static void region_name(void *owner, const struct xm_region_id *id,
			char ret[XM_NAME_SIZE])
{
	xm_moving_name(XM_CONTAINER(owner, extmem, ask), id, ret);
}

int xm_ask_start(struct xm_ask *ask, const struct xm_client_settings *s,
		 void (*look)(void *context), void *context)
{
	struct xm_keeper *k = &ask->keeper;
	int rc;

	ask->look = look;
	ask->look_context = context;
	k->lanes_count = ask->lanes->count;
	for (uint32_t i = 0; i < k->lanes_count; i++)
		k->lanes[i] = &ask->lanes->lane[i].engine;
	k->lock = lane_lock;
	k->unlock = lane_unlock;
	k->report = request_report;
	k->owner = ask;
	k->track = region_track;
	k->tie = region_tie;
	k->name = region_name;
	k->ticket_timeout_ns = xm_min(s->loss_timeout_ns, XM_PATH_ATTEMPT);
	rc = os_thread_start(&ask->thread, background_run, ask);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: no thread: %s",
			       strerror(-rc));
	ask->runs = true;
	return 0;
}

void xm_ask_stop(struct xm_ask *ask)
{
	atomic_store(&ask->stopping, true);
	if (!ask->runs)
		return;
	xm_ask_wake(ask);
	os_thread_join(&ask->thread);
}

void xm_ask_close(struct xm_ask *ask)
{
	struct xm_control *control = &ask->keeper.control;

	for (uint32_t i = 0; i < control->channels_count; i++)
		control->ops[i]->close(control->channels[i]);
	os_kick_close(ask->wakeup);
	os_mutex_close(&ask->adding);
	os_mutex_close(&ask->lock);
	os_cond_close(&ask->changed);
}

/* --- other threads -------------------------------------------------------------- */

void xm_ask_wake(struct xm_ask *ask)
{
	os_kick(ask->wakeup);
}

/* With the lock held. */
static void queue(struct xm_ask *ask, struct xm_request *requests, uint32_t count)
{
	struct xm_request **last = &ask->queue;

	while (*last != NULL)
		last = &(*last)->next;
	for (uint32_t i = 0; i < count; i++) {
		requests[i].next = NULL;
		requests[i].done = false;
		*last = &requests[i];
		last = &requests[i].next;
	}
	xm_ask_wake(ask);
}

void xm_ask_post(struct xm_ask *ask, struct xm_request *request)
{
	os_mutex_take(&ask->lock);
	queue(ask, request, 1);
	os_mutex_give(&ask->lock);
}

bool xm_ask_is_done(struct xm_ask *ask, const struct xm_request *request)
{
	bool done;

	os_mutex_take(&ask->lock);
	done = request->done;
	os_mutex_give(&ask->lock);
	return done;
}

void xm_ask_several(struct xm_ask *ask, struct xm_request *requests,
		    uint32_t count)
{
	os_mutex_take(&ask->lock);
	queue(ask, requests, count);
	/* Each is answered by its deadline: the session sees to that. */
	for (uint32_t i = 0; i < count; i++) {
		while (!requests[i].done)
			os_cond_wait(&ask->changed, &ask->lock);
	}
	os_mutex_give(&ask->lock);
}

int xm_ask(struct xm_ask *ask, uint32_t appliance,
	   const struct xm_message *message, uint64_t deadline_ns,
	   struct xm_request *ret)
{
	ret->appliance = appliance;
	ret->deadline_ns = deadline_ns;
	ret->message = *message;
	xm_ask_several(ask, ret, 1);
	return ret->status;
}

void xm_ask_explain(const struct xm_ask *ask, const struct xm_request *request,
		    char *words, size_t words_size)
{
	const char *address = xm_ask_address(ask, request->appliance);

	if (request->message.kind == XM_REFUSED)
		snprintf(words, words_size, "appliance %s: %s", address,
			 request->message.u.refused.words);
	else if (request->status == -ETIMEDOUT)
		snprintf(words, words_size, "appliance %s: its control process "
			 "did not answer within the timeout; data still "
			 "moves if its interface is up", address);
	else
		xm_channel_explain(address, request->status, true, words,
				   words_size);
}

bool xm_ask_is_ready(struct xm_ask *ask, uint32_t appliance)
{
	bool ready;

	os_mutex_take(&ask->lock);
	ready = ask->keeper.peers[appliance].ready &&
		!ask->unusable[appliance];
	os_mutex_give(&ask->lock);
	return ready;
}

int xm_ask_why_away(struct xm_ask *ask, uint32_t appliance, char *words,
		    size_t words_size)
{
	const struct xm_keeper_peer *peer = &ask->keeper.peers[appliance];
	const char *address = xm_ask_address(ask, appliance);
	int rc;

	os_mutex_take(&ask->lock);
	rc = peer->status;
	if (ask->unusable[appliance]) {
		rc = -EPROTO;
		snprintf(words, words_size, "%s: its granule of %llu bytes is "
			 "not one this client can use", address,
			 (unsigned long long)ask->keeper.control
				 .peers[appliance].session.welcome.granule);
	} else if (peer->words[0] != '\0') {
		snprintf(words, words_size, "%s: %s", address, peer->words);
	} else {
		xm_channel_explain(address, rc, false, words, words_size);
	}
	os_mutex_give(&ask->lock);
	return rc != 0 ? rc : -ENOTCONN;
}
