/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links: an initiator's peers, and how a link of either kind ends.
 *
 * A peer of an initiator has everything of its own, from fabric to completion
 * queue. That costs a few file descriptors and buys the one property that
 * cannot be had otherwise: closing it leaves nothing behind in libfabric that
 * could still touch local memory or report a completion, for any provider.
 *
 * RDM has no connection to wait for: UP comes with the next poll, and says
 * that the peer's address is known, not that anybody is there. A dead peer
 * looks like -EAGAIN for ever; the caller's deadlines decide.
 *
 * Floor: skin of the transport.
 */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "transports/ofi/ofi.h"

uint32_t xm_ofi_link_take(struct xm_transport *t)
{
	for (uint32_t i = 0; i < t->links_max; i++) {
		struct ofi_link *link = &t->links[i];

		if (link->state != OFI_LINK_FREE)
			continue;
		memset(link, 0, sizeof(*link));
		link->first = OFI_NONE;
		link->remote = FI_ADDR_UNSPEC;
		link->cq_fd = link->eq_fd = -1;
		link->state = OFI_LINK_CONNECTING;
		t->connecting++;
		if (i >= t->links_used)
			t->links_used = i + 1;
		return i;
	}
	return OFI_NONE;
}

/* Closes what libfabric has of the link, then cancels what it had posted. */
static void link_strip(struct xm_transport *t, uint32_t index)
{
	struct ofi_link *link = &t->links[index];

	if (link->state == OFI_LINK_CONNECTING)
		t->connecting--;
	/* Tells the remote side at once; closing alone may not (verbs). */
	if (link->state == OFI_LINK_UP && link->eq && link->ep)
		fi_shutdown(link->ep, 0);
	xm_ofi_close(&link->ep);
	for (uint32_t i = 0; i < OFI_SPANS_MAX; i++)
		xm_ofi_close(&link->local_mr[i]);
	xm_ofi_wakeup_remove(t, link->cq_fd);
	xm_ofi_wakeup_remove(t, link->eq_fd);
	link->cq_fd = link->eq_fd = -1;
	xm_ofi_close(&link->cq);
	xm_ofi_close(&link->av);
	xm_ofi_close(&link->domain);
	xm_ofi_close(&link->eq);
	xm_ofi_close(&link->fabric);
	if (link->info)
		fi_freeinfo(link->info);
	link->info = NULL;
	xm_ofi_ops_cancel(t, index);
	XM_ASSERT(link->posted == 0);
	link->state = OFI_LINK_DEAD;
}

static void link_quiet(struct xm_transport *t, uint32_t index)
{
	struct ofi_link *link = &t->links[index];

	if (link->say_up || link->say_down)
		t->news--;
	link->say_up = link->say_down = false;
}

/* Without a word about it. */
void xm_ofi_link_close(struct xm_transport *t, uint32_t index)
{
	struct ofi_link *link = &t->links[index];

	if (link->state == OFI_LINK_FREE)
		return;
	if (link->state != OFI_LINK_DEAD)
		link_strip(t, index);
	link_quiet(t, index);
	link->state = OFI_LINK_FREE;
	if (t->is_target)
		xm_ofi_tenant_leave(t, link->tenant);
}

void xm_ofi_link_up(struct xm_transport *t, uint32_t index)
{
	struct ofi_link *link = &t->links[index];

	if (link->state != OFI_LINK_CONNECTING)
		return;
	link->state = OFI_LINK_UP;
	link->say_up = true;
	t->connecting--;
	t->news++;
}

void xm_ofi_link_down(struct xm_transport *t, uint32_t index, int status)
{
	struct ofi_link *link = &t->links[index];
	bool joined = link->state == OFI_LINK_UP;

	if (link->state == OFI_LINK_FREE || link->state == OFI_LINK_DEAD)
		return;
	if (t->is_target && !joined) {
		xm_ofi_link_close(t, index);
		return;
	}
	link_strip(t, index);
	if (!link->say_up)
		t->news++;
	link->say_down = true;
	link->status = status;
}

int xm_ofi_link_news(struct xm_transport *t, struct xm_transport_event *ret,
		     int count)
{
	int n = 0;

	for (uint32_t i = 0; i < t->links_used && t->news; i++) {
		struct ofi_link *link = &t->links[i];

		if (link->say_up && n < count) {
			ret[n++] = (struct xm_transport_event){
				.kind = t->is_target ? XM_TRANSPORT_JOINED
						  : XM_TRANSPORT_UP,
				.peer = i,
				.client = link->client,
			};
			link->say_up = false;
			if (!link->say_down)
				t->news--;
		}
		if (link->say_down && n < count) {
			ret[n++] = (struct xm_transport_event){
				.kind = t->is_target ? XM_TRANSPORT_LEFT
						  : XM_TRANSPORT_DOWN,
				.status = link->status,
				.peer = i,
				.client = link->client,
			};
			link_quiet(t, i);
			if (t->is_target)
				xm_ofi_link_close(t, i);
		}
	}
	return n;
}

/* Local memory of one link, where the provider wants it registered. */
static int link_enlist(struct xm_transport *t, struct ofi_link *link,
		       uint32_t span)
{
	int error = fi_mr_reg(link->domain, t->initiator.spans[span].memory,
			      t->initiator.spans[span].size, FI_READ | FI_WRITE, 0, 0, 0,
			      &link->local_mr[span], NULL);

	if (error) {
		link->local_mr[span] = NULL;
		return xm_ofi_fail(t, xm_ofi_errno(error),
				   "registering %zu bytes of local memory: %s",
				   t->initiator.spans[span].size,
				   xm_ofi_error_words(error));
	}
	return 0;
}

int xm_ofi_register_memory(struct xm_transport *t, void *memory, size_t size)
{
	uint32_t span;
	int error = 0;

	for (span = 0; span < OFI_SPANS_MAX; span++)
		if (!t->initiator.spans[span].memory)
			break;
	if (span == OFI_SPANS_MAX)
		return xm_ofi_fail(t, -ENOSPC, "more than %d spans registered",
				   OFI_SPANS_MAX);
	if (!memory || size == 0)
		return xm_ofi_fail(t, -EINVAL, "an empty span");
	t->initiator.spans[span] = (struct ofi_span){ memory, size };
	for (uint32_t i = 0; i < t->links_used && !error; i++) {
		struct ofi_link *link = &t->links[i];

		if (link->info &&
		    (link->info->domain_attr->mr_mode & FI_MR_LOCAL))
			error = link_enlist(t, link, span);
	}
	if (error)
		xm_ofi_deregister_memory(t, memory, size);
	return error;
}

void xm_ofi_deregister_memory(struct xm_transport *t, void *memory, size_t size)
{
	for (uint32_t span = 0; span < OFI_SPANS_MAX; span++) {
		if (t->initiator.spans[span].memory != memory ||
		    t->initiator.spans[span].size != size)
			continue;
		for (uint32_t i = 0; i < t->links_used; i++)
			xm_ofi_close(&t->links[i].local_mr[span]);
		t->initiator.spans[span] = (struct ofi_span){ NULL, 0 };
		return;
	}
}

/* The call that failed, and libfabric's own word for it. */
static int failed(struct xm_transport *t, const char *call, int error)
{
	return xm_ofi_fail(t, xm_ofi_errno(error), "%s: %s: %s", t->provider,
			   call, xm_ofi_error_words(error));
}

static int link_open_rdm(struct xm_transport *t, struct ofi_link *link,
			 const char *name)
{
	struct fi_av_attr attr = { .type = FI_AV_UNSPEC, .count = 1 };
	const void *address = t->scheme->inet ? link->info->dest_addr : name;
	int error = fi_av_open(link->domain, &attr, &link->av, NULL);

	if (error)
		return failed(t, "fi_av_open", error);
	error = fi_ep_bind(link->ep, &link->av->fid, 0);
	if (!error)
		error = xm_ofi_enable(link->ep);
	if (error)
		return failed(t, "fi_enable", error);
	error = fi_av_insert(link->av, address, 1, &link->remote, 0, NULL);
	if (error != 1)
		return failed(t, "fi_av_insert",
			      error < 0 ? error : -FI_EINVAL);
	return 0;
}

static int link_open_msg(struct xm_transport *t, struct ofi_link *link,
			 const uint8_t *ticket)
{
	int error = xm_ofi_eq_open(t, link->fabric, &link->eq, &link->eq_fd);

	if (error)
		return error;
	xm_ofi_wakeup_add(t, link->eq_fd, 0);
	error = fi_ep_bind(link->ep, &link->eq->fid, 0);
	if (!error)
		error = fi_enable(link->ep);
	if (error)
		return failed(t, "fi_enable", error);
	/* Nobody ever sends. But the provider's pool of requests grows now,
	 * not with the first read, which may be on the path of a fault, in a
	 * thread that holds the lock of malloc. */
	if (!(link->info->domain_attr->mr_mode & FI_MR_LOCAL)) {
		error = (int)fi_recv(link->ep, link->unused,
				     sizeof(link->unused), NULL,
				     FI_ADDR_UNSPEC, NULL);
		if (error)
			return failed(t, "fi_recv", error);
	}
	error = fi_connect(link->ep, link->info->dest_addr, ticket,
			   XM_TICKET_SIZE);
	return error ? failed(t, "fi_connect", error) : 0;
}

static int link_open(struct xm_transport *t, struct ofi_link *link,
		     const struct xm_locator *locator, const uint8_t *ticket)
{
	struct ofi_locator to;
	int error = xm_ofi_locator_read(t, locator, &to);

	if (error)
		return error;
	error = xm_ofi_info_to(t, to.host, to.service, &link->info);
	if (error)
		return error;
	link->info->tx_attr->size = xm_max(link->info->tx_attr->size, t->initiator.depth);
	error = fi_fabric(link->info->fabric_attr, &link->fabric, NULL);
	if (error)
		return failed(t, "fi_fabric", error);
	error = fi_domain(link->fabric, link->info, &link->domain, NULL);
	if (error)
		return failed(t, "fi_domain", error);
	/* Never overrun: all operations, the receive, one to spare. */
	error = xm_ofi_cq_open(t, link->domain, t->initiator.depth + 2, &link->cq,
			       &link->cq_fd);
	if (error)
		return error;
	link->mute = xm_ofi_mute(t, link->cq_fd);
	xm_ofi_wakeup_add(t, link->cq_fd, 0);
	error = fi_endpoint(link->domain, link->info, &link->ep, NULL);
	if (!error)
		error = fi_ep_bind(link->ep, &link->cq->fid,
				   FI_TRANSMIT | FI_RECV);
	if (error)
		return failed(t, "fi_endpoint", error);
	if (link->info->domain_attr->mr_mode & FI_MR_LOCAL) {
		for (uint32_t i = 0; i < OFI_SPANS_MAX && !error; i++)
			if (t->initiator.spans[i].memory)
				error = link_enlist(t, link, i);
		if (error)
			return error;
	}
	return t->scheme->type == FI_EP_MSG ? link_open_msg(t, link, ticket)
					    : link_open_rdm(t, link, to.host);
}

int xm_ofi_connect(struct xm_transport *t, const struct xm_locator *locator,
		   const uint8_t *ticket, uint32_t *ret)
{
	struct ofi_handlers handlers;
	uint32_t index;
	int error;

	if (t->is_target)
		return xm_ofi_fail(t, -EINVAL, "a target does not connect");
	index = xm_ofi_link_take(t);
	if (index == OFI_NONE)
		return xm_ofi_fail(t, -ENOSPC, "more than %u peers",
				   t->links_max);
	xm_ofi_handlers_keep(&handlers);
	error = link_open(t, &t->links[index], locator, ticket);
	xm_ofi_handlers_restore(&handlers);
	if (error) {
		xm_ofi_link_close(t, index);
		return error;
	}
	if (t->scheme->type != FI_EP_MSG)
		xm_ofi_link_up(t, index);
	*ret = index;
	return 0;
}

void xm_ofi_disconnect(struct xm_transport *t, uint32_t peer)
{
	if (!t->is_target && peer < t->links_used)
		xm_ofi_link_close(t, peer);
}

/* Which link an event of the target's one event queue is about. */
static uint32_t link_of(struct xm_transport *t, fid_t fid)
{
	for (uint32_t i = 0; i < t->links_used; i++)
		if (t->links[i].ep && &t->links[i].ep->fid == fid)
			return i;
	return OFI_NONE;
}

/* Reads an event queue empty; `link` is whose it is, or OFI_NONE. */
void xm_ofi_eq_read(struct xm_transport *t, struct fid_eq *eq, uint32_t link)
{
	uint64_t until_ns = link == OFI_NONE ? xm_clock_ns() + OFI_EQ_NS : XM_NEVER;

	/* At a data port each event may be a stranger's, for whom the provider waits up to 5 ms:
	 * clients that are there come between. */
	for (int i = 0; i < 64 && (i == 0 || until_ns == XM_NEVER ||
				   xm_clock_ns() < until_ns); i++) {
		union {
			struct fi_eq_cm_entry entry;
			char space[sizeof(struct fi_eq_cm_entry) + 256];
		} u;
		struct fi_eq_err_entry error;
		uint32_t event, about;
		ssize_t got = fi_eq_read(eq, &event, &u, sizeof(u), 0);

		if (got == -FI_EAVAIL) {
			memset(&error, 0, sizeof(error));
			if (fi_eq_readerr(eq, &error, 0) < 0)
				return;
			about = link != OFI_NONE ? link : link_of(t, error.fid);
			if (about != OFI_NONE)
				xm_ofi_link_down(t, about,
						 xm_ofi_errno(error.err));
		} else if (got < (ssize_t)sizeof(u.entry)) {
			return;
		} else if (event == FI_CONNREQ) {
			xm_ofi_request(t, u.entry.info, u.entry.data,
				       (size_t)got - sizeof(u.entry));
		} else {
			about = link != OFI_NONE ? link
						 : link_of(t, u.entry.fid);
			if (about != OFI_NONE && event == FI_CONNECTED)
				xm_ofi_link_up(t, about);
			else if (about != OFI_NONE && event == FI_SHUTDOWN)
				xm_ofi_link_down(t, about, -ENOTCONN);
		}
		/* The link, and its queue, may be gone by now. */
		if (link != OFI_NONE && t->links[link].eq != eq)
			return;
	}
}
