/* SPDX-License-Identifier: BSD-3-Clause */
/* See rig.h. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/rig.h"

struct world w;
const uint8_t ticket[XM_TICKET_SIZE] = "a good ticket 1";

int far_call(const struct command *c)
{
	struct pollfd fd = { w.fd, POLLIN, 0 };

	if (w.loop) {
		far_obey(&w.here, c, &w.answer);
		return w.answer.error;
	}
	if (send(w.fd, c, sizeof(*c), 0) != (ssize_t)sizeof(*c) ||
	    poll(&fd, 1, (int)(DEADLINE_NS / XM_MS)) != 1 ||
	    recv(w.fd, &w.answer, sizeof(w.answer), 0) !=
		    (ssize_t)sizeof(w.answer))
		return -EPIPE;
	return w.answer.error;
}

int far_do(enum verb verb)
{
	return far_call(&(struct command){ .verb = verb });
}

void near_poll(struct near_side *local)
{
	struct xm_transport_event events[16];
	int n = local->t ? w.ops->poll(local->t, events, 16) : 0;

	for (int i = 0; i < n; i++) {
		struct xm_transport_event *e = &events[i];

		switch (e->kind) {
		case XM_TRANSPORT_DONE:
			CU_ASSERT_FATAL(e->token < TOKENS_MAX);
			local->done[e->token]++;
			local->status[e->token] = e->status;
			local->finished++;
			break;
		case XM_TRANSPORT_UP:
			local->up[e->peer]++;
			break;
		case XM_TRANSPORT_DOWN:
			local->down[e->peer]++;
			local->down_status[e->peer] = e->status;
			break;
		default:
			CU_FAIL("a target's event at an initiator");
		}
	}
}

void pump(void)
{
	near_poll(&w.local);
	near_poll(&w.other);
	if (w.loop)
		far_poll(&w.here);
	else
		sched_yield();
}

void pump_for(uint64_t ns)
{
	uint64_t end = xm_clock_ns() + ns;

	while (xm_clock_ns() < end)
		pump();
}

int near_open(struct near_side *local, const char *provider,
		     char *words)
{
	char address[64];
	struct xm_transport_options options = { .address = address,
						.provider = provider };

	memset(local, 0, sizeof(*local));
	address_make(w.ops->scheme, address, sizeof(address));
	return w.ops->open(&options, words, 256, &local->t);
}

int expose_for(uint32_t rights, uint64_t client, uint64_t offset,
		      uint64_t size, uint64_t key, struct xm_remote_mr *ret)
{
	int error = far_call(&(struct command){ .verb = EXPOSE,
						.client = client,
						.offset = offset,
						.size = size,
						.rights = rights,
						.key = key });

	if (!error)
		*ret = w.answer.remote;
	return error;
}

int expose(uint64_t client, uint64_t offset, uint64_t size,
		  uint64_t key, struct xm_remote_mr *ret)
{
	return expose_for(XM_RIGHTS_ALL, client, offset, size, key, ret);
}

int admit_on(uint64_t client, uint32_t lane, const uint8_t *bytes)
{
	struct command c = { .verb = ADMIT, .client = client, .lane = lane };

	memcpy(c.ticket, bytes, XM_TICKET_SIZE);
	return far_call(&c);
}

int admit(uint64_t client, const uint8_t *bytes)
{
	static uint32_t lane;

	return admit_on(client, ++lane, bytes);
}

bool world_open(void)
{
	struct command open = { .verb = OPEN };
	char words[256];

	memset(&w, 0, sizeof(w));
	w.ops = ops_find(CU_get_current_suite()->pName);
	w.loop = ops_one_process(w.ops);
	w.fd = w.loop ? -1 : nursery_ask();
	memset(far_pool, 0x11, 2 * XM_MIB);
	snprintf(open.scheme, sizeof(open.scheme), "%s", w.ops->scheme);
	words[0] = '\0';
	if (far_call(&open) || near_open(&w.local, NULL, words)) {
		printf("(%s: far: %s %s; near: %s) ", open.scheme,
		       strerror(-w.answer.error), w.answer.words, words);
		CU_FAIL("the transport does not open");
		return false;
	}
	w.pid = w.answer.pid;
	w.locator = w.answer.locator;
	w.ops->limits(w.local.t, &w.limits);
	return true;
}

void world_close(void)
{
	if (w.local.t)
		w.ops->close(w.local.t);
	if (w.other.t)
		w.ops->close(w.other.t);
	far_do(CLOSE);
	if (w.fd >= 0)
		close(w.fd);
	memset(&w, 0, sizeof(w));
	w.fd = -1;
}

bool near_connect(struct near_side *local, const uint8_t *bytes,
			 uint32_t *ret)
{
	if (w.ops->connect(local->t, &w.locator, bytes, ret))
		return false;
	PUMP_UNTIL(local->up[*ret] || local->down[*ret]);
	return local->up[*ret] && !local->down[*ret];
}

bool world_ready(uint64_t span)
{
	if (!world_open())
		return false;
	if (admit(1, ticket) || expose(1, 4096, span, KEY, &w.remote) ||
	    !near_connect(&w.local, ticket, &w.peer)) {
		CU_FAIL("no connection");
		world_close();
		return false;
	}
	return true;
}

int post(struct near_side *local, uint32_t peer,
		const struct xm_remote_mr *remote, bool write, uint64_t offset,
		void *bytes, size_t size, uint64_t token)
{
	uint64_t end = xm_clock_ns() + DEADLINE_NS;
	int error;

	do {
		error = write ? w.ops->write(local->t, peer, remote, offset, bytes,
					     size, token)
			      : w.ops->read(local->t, peer, remote, offset, bytes,
					    size, token);
		if (error == -EAGAIN)
			pump();
	} while (error == -EAGAIN && xm_clock_ns() < end);
	return error;
}

int move(bool write, uint64_t offset, void *bytes, size_t size)
{
	int error;

	w.local.done[0] = 0;
	error = post(&w.local, w.peer, &w.remote, write, offset, bytes, size, 0);
	if (error)
		return error;
	PUMP_UNTIL(w.local.done[0]);
	return w.local.done[0] ? w.local.status[0] : -ETIMEDOUT;
}

int move_refused(struct near_side *local, uint32_t peer,
			const struct xm_remote_mr *remote, bool write, uint64_t offset,
			void *bytes, size_t size)
{
	int error;

	local->done[1] = 0;
	error = post(local, peer, remote, write, offset, bytes, size, 1);
	if (error)
		return error;
	if (!w.limits.reports_death) {
		for (uint64_t end = xm_clock_ns() + XM_SECOND / 2;
		     !local->done[1] && xm_clock_ns() < end;)
			pump();
		if (!local->done[1]) {
			w.ops->disconnect(local->t, peer);
			local->down[peer]++;
		}
	}
	PUMP_UNTIL(local->done[1]);
	return local->done[1] ? local->status[1] : -ETIMEDOUT;
}

bool filled(const uint8_t *bytes, uint8_t with, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != with)
			return false;
	return true;
}
