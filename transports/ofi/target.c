/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The target: who may come in, and what they may touch.
 *
 * Over FI_EP_MSG the ticket arrives with the connection request and is looked
 * up before anything is accepted: a stranger gets no endpoint, and the
 * provider's parser never sees its requests. A client's connections live in a
 * domain of its own, its tenant, and so do its registrations. A tenant is
 * made by the first admit() or expose(), and ends when nothing of it is left.
 *
 * Over RDM there is no admission: one domain, one endpoint, and the 64-bit
 * keys are all that stands between clients. limits.admits says so.
 *
 * What is registered is a view of the pool (pool_view.c), which conceal() pulls
 * away; a view stays reserved until its client's connections are gone (over
 * RDM: until RETIRED_MAX others were retired after it). Where the pool cannot
 * be viewed twice, conceal() drops the client's connections instead, and over
 * RDM, where there are none, limits.revokes turns false with listen().
 *
 * Floor: skin of the transport.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "transports/ofi/ofi.h"

#define TENANT_CQ_SIZE 128
#define RETIRED_MAX 1024 /* views of one tenant kept reserved */

static int failed(struct xm_transport *t, const char *call, int error)
{
	return xm_ofi_fail(t, xm_ofi_errno(error), "%s: %s: %s", t->provider,
			   call, xm_ofi_error_words(error));
}

static bool over_msg(const struct xm_transport *t)
{
	return t->scheme->type == FI_EP_MSG;
}

/* --- tenants ------------------------------------------------------------ */

static uint32_t tenant_find(struct xm_transport *t, uint64_t client)
{
	if (!over_msg(t))
		return 0;
	for (uint32_t i = 0; i < t->target.tenants_used; i++)
		if (t->target.tenants[i].client == client)
			return i;
	return OFI_NONE;
}

static int tenant_open(struct xm_transport *t, uint64_t client, uint32_t *ret)
{
	struct ofi_tenant *tenant;
	uint32_t i;
	int error;

	for (i = 0; i < t->target.tenants_max && t->target.tenants[i].client; i++)
		;
	if (i == t->target.tenants_max)
		return xm_ofi_fail(t, -ENOSPC, "more than %u clients",
				   t->target.tenants_max);
	tenant = &t->target.tenants[i];
	memset(tenant, 0, sizeof(*tenant));
	tenant->cq_fd = -1;
	error = fi_domain(t->target.fabric, t->info, &tenant->domain, NULL);
	if (error)
		return failed(t, "fi_domain", error);
	error = xm_ofi_cq_open(t, tenant->domain, TENANT_CQ_SIZE, &tenant->cq,
			       &tenant->cq_fd);
	if (error) {
		fi_close(&tenant->domain->fid);
		return error;
	}
	tenant->client = client;
	xm_ofi_wakeup_add(t, tenant->cq_fd, i);
	if (i >= t->target.tenants_used)
		t->target.tenants_used = i + 1;
	*ret = i;
	return 0;
}

static int tenant_have(struct xm_transport *t, uint64_t client, uint32_t *ret)
{
	uint32_t i = tenant_find(t, client);

	if (i == OFI_NONE)
		return tenant_open(t, client, ret);
	*ret = i;
	return 0;
}

static void exposure_free(struct xm_transport *t, struct ofi_exposure *e)
{
	XM_ASSERT(e->retired);
	t->target.tenants[e->tenant].retired--;
	xm_ofi_view_close(&e->view);
	e->client = 0;
	e->retired = false;
}

static bool tickets_of(struct xm_transport *t, uint64_t client)
{
	for (uint32_t i = 0; i < t->target.tickets_max; i++)
		if (t->target.tickets[i].client == client)
			return true;
	return false;
}

/* Lets go of what only the tenant's connections kept, and of the tenant
 * itself once nothing of it is left. */
static void tenant_settle(struct xm_transport *t, uint32_t index)
{
	struct ofi_tenant *tenant = &t->target.tenants[index];

	if (!over_msg(t) || tenant->client == 0 || tenant->links)
		return;
	for (uint32_t i = 0; tenant->retired && i < t->target.exposures_used; i++) {
		struct ofi_exposure *e = &t->target.exposures[i];

		if (e->client && e->retired && e->tenant == index)
			exposure_free(t, e);
	}
	if (tenant->exposures || tickets_of(t, tenant->client))
		return;
	xm_ofi_tenant_forget_unarmed(t, index);
	xm_ofi_wakeup_remove(t, tenant->cq_fd);
	fi_close(&tenant->cq->fid);
	fi_close(&tenant->domain->fid);
	memset(tenant, 0, sizeof(*tenant));
}

void xm_ofi_tenant_leave(struct xm_transport *t, uint32_t index)
{
	XM_ASSERT(t->target.tenants[index].links > 0);
	t->target.tenants[index].links--;
	tenant_settle(t, index);
}

/* --- admission ---------------------------------------------------------- */

int xm_ofi_admit(struct xm_transport *t, uint64_t client, uint32_t lane,
		 const uint8_t *ticket)
{
	uint32_t tenant;
	int error;

	if (!t->target.pool || client == 0)
		return xm_ofi_fail(t, -EINVAL, "admit: not listening, or no "
					      "client");
	if (!over_msg(t))
		return 0;
	for (uint32_t i = 0; i < t->target.tickets_max; i++) {
		if (t->target.tickets[i].client)
			continue;
		error = tenant_have(t, client, &tenant);
		if (error)
			return error;
		t->target.tickets[i].client = client;
		t->target.tickets[i].lane = lane;
		memcpy(t->target.tickets[i].bytes, ticket, XM_TICKET_SIZE);
		return 0;
	}
	return xm_ofi_fail(t, -ENOSPC, "more than %u tickets not used yet",
			   t->target.tickets_max);
}

/* Whose ticket this is, or 0; used up by asking. Looks at every byte of
 * every ticket whatever it finds: its time tells a guesser nothing. */
static uint64_t ticket_use(struct xm_transport *t, const uint8_t *data,
			   size_t size, uint32_t *ret_lane)
{
	uint32_t found = OFI_NONE;
	uint64_t client;

	if (size < XM_TICKET_SIZE)
		return 0;
	for (uint32_t i = 0; i < t->target.tickets_max; i++) {
		unsigned difference = t->target.tickets[i].client == 0;

		for (size_t j = 0; j < XM_TICKET_SIZE; j++)
			difference |= t->target.tickets[i].bytes[j] ^ data[j];
		if (!difference)
			found = i;
	}
	if (found == OFI_NONE)
		return 0;
	client = t->target.tickets[found].client;
	*ret_lane = t->target.tickets[found].lane;
	memset(&t->target.tickets[found], 0, sizeof(t->target.tickets[found]));
	return client;
}

/* Ends what the client had on the lane of this new link. */
static void lane_drop(struct xm_transport *t, uint32_t by)
{
	for (uint32_t i = 0; i < t->links_used; i++)
		if (i != by && t->links[i].state != OFI_LINK_FREE &&
		    t->links[i].client == t->links[by].client &&
		    t->links[i].lane == t->links[by].lane)
			xm_ofi_link_down(t, i, -ECANCELED);
}

/* Takes the request over: accepts it into its client's tenant, or rejects. */
void xm_ofi_request(struct xm_transport *t, struct fi_info *info,
		    const void *data, size_t size)
{
	uint32_t lane = 0, tenant, index;
	uint64_t client = ticket_use(t, data, size, &lane);
	struct ofi_link *link;
	int error;

	tenant = client ? tenant_find(t, client) : OFI_NONE;
	/* What is left of the lane's earlier connection must not happen after
	 * anything that comes on this one. Its ticket keeps no tenant any
	 * more, so a link of the new one is taken before. */
	index = tenant == OFI_NONE ? OFI_NONE : xm_ofi_link_take(t);
	if (index == OFI_NONE) {
		fi_reject(t->target.pep, info->handle, NULL, 0);
		fi_freeinfo(info);
		return;
	}
	link = &t->links[index];
	link->client = client;
	link->lane = lane;
	link->tenant = tenant;
	t->target.tenants[tenant].links++;
	lane_drop(t, index);
	error = fi_endpoint(t->target.tenants[tenant].domain, info, &link->ep, NULL);
	if (error) {
		link->ep = NULL;
		fi_reject(t->target.pep, info->handle, NULL, 0);
	} else {
		error = fi_ep_bind(link->ep, &t->target.eq->fid, 0);
		if (!error)
			error = fi_ep_bind(link->ep,
					   &t->target.tenants[tenant].cq->fid,
					   FI_TRANSMIT | FI_RECV);
		if (!error)
			error = fi_enable(link->ep);
		if (!error)
			error = fi_accept(link->ep, NULL, 0);
		link->peer = error ? 0 : xm_ofi_peer_number(t, link->ep);
	}
	fi_freeinfo(info);
	if (error)
		xm_ofi_link_close(t, index);
}

static void client_drop(struct xm_transport *t, uint64_t client)
{
	for (uint32_t i = 0; i < t->links_used; i++)
		if (t->links[i].state != OFI_LINK_FREE &&
		    t->links[i].client == client)
			xm_ofi_link_down(t, i, -ECANCELED);
}

/* --- exposures ---------------------------------------------------------- */

int xm_ofi_expose(struct xm_transport *t, uint64_t client, uint64_t offset,
		  uint64_t size, uint32_t rights, uint64_t key,
		  struct xm_remote_mr *ret)
{
	uint64_t access = ((rights & XM_RIGHT_READ) ? FI_REMOTE_READ : 0) |
			  ((rights & XM_RIGHT_WRITE) ? FI_REMOTE_WRITE : 0);
	struct ofi_exposure *e = NULL;
	struct ofi_tenant *tenant;
	uint32_t index, i;
	void *memory;
	int error;

	if (!t->target.pool || client == 0 || size == 0 ||
	    !xm_span_fits(offset, size, t->target.pool_size))
		return xm_ofi_fail(t, -EINVAL, "expose: outside the pool");
	if (rights == 0 || (rights & ~XM_RIGHTS_ALL) != 0)
		return xm_ofi_fail(t, -EINVAL, "expose: no such rights");
	if (rights != XM_RIGHTS_ALL && !t->scheme->revokes)
		return xm_ofi_fail(t, -EOPNOTSUPP, "expose: this provider lets"
				   " whoever can read also write");
	for (i = 0; i < t->target.exposures_max && t->target.exposures[i].client; i++)
		;
	if (i == t->target.exposures_max)
		return xm_ofi_fail(t, -ENOSPC, "more than %u spans exposed",
				   t->target.exposures_max);
	e = &t->target.exposures[i];
	error = tenant_have(t, client, &index);
	if (error)
		return error;
	tenant = &t->target.tenants[index];
	memset(e, 0, sizeof(*e));
	if (xm_ofi_view_open(t->target.pool, t->target.bank_size, offset, size, &e->view,
			     &memory))
		memory = t->target.pool + offset;
	error = fi_mr_reg(tenant->domain, memory, size, access, 0, key, 0,
			  &e->mr, NULL);
	if (!error && (t->info->domain_attr->mr_mode & FI_MR_ENDPOINT)) {
		error = t->target.rdm_ep ? fi_mr_bind(e->mr, &t->target.rdm_ep->fid, 0) : 0;
		if (!error)
			error = fi_mr_enable(e->mr);
		if (error)
			fi_close(&e->mr->fid);
	}
	if (error) {
		xm_ofi_view_close(&e->view);
		tenant_settle(t, index);
		return failed(t, "fi_mr_reg", error);
	}
	if (i >= t->target.exposures_used)
		t->target.exposures_used = i + 1;
	e->client = client;
	e->tenant = index;
	tenant->exposures++;
	e->remote.key = fi_mr_key(e->mr);
	e->remote.base = t->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR
			      ? (uint64_t)(uintptr_t)memory
			      : 0;
	*ret = e->remote;
	return 0;
}

/* Makes room among a tenant's retired views. Over RDM there is no connection
 * whose end would, so the oldest (lowest slot) has to go. */
static void retired_limit(struct xm_transport *t, uint32_t index)
{
	if (t->target.tenants[index].retired < RETIRED_MAX)
		return;
	if (over_msg(t)) {
		client_drop(t, t->target.tenants[index].client);
		return;
	}
	for (uint32_t i = 0; i < t->target.exposures_used; i++) {
		if (t->target.exposures[i].client && t->target.exposures[i].retired) {
			exposure_free(t, &t->target.exposures[i]);
			return;
		}
	}
}

static void exposure_retire(struct xm_transport *t, struct ofi_exposure *e)
{
	uint32_t tenant = e->tenant;

	fi_close(&e->mr->fid);
	e->mr = NULL;
	e->retired = true;
	t->target.tenants[tenant].exposures--;
	t->target.tenants[tenant].retired++;
	if (!e->view.base || xm_ofi_view_retire(&e->view))
		client_drop(t, e->client);
	else
		retired_limit(t, tenant);
	tenant_settle(t, tenant);
}

void xm_ofi_conceal(struct xm_transport *t, uint64_t client,
		    const struct xm_remote_mr *remote)
{
	for (uint32_t i = 0; i < t->target.exposures_used; i++) {
		struct ofi_exposure *e = &t->target.exposures[i];

		if (e->client == client && !e->retired &&
		    e->remote.key == remote->key && e->remote.base == remote->base) {
			exposure_retire(t, e);
			return;
		}
	}
}

int xm_ofi_retract(struct xm_transport *t, uint64_t client,
		   const uint8_t ticket[XM_TICKET_SIZE])
{
	uint32_t tenant = tenant_find(t, client);

	if (client == 0 || !over_msg(t) || tenant == OFI_NONE)
		return -ENOENT;
	for (uint32_t i = 0; i < t->target.tickets_max; i++) {
		struct ofi_ticket *mine = &t->target.tickets[i];

		if (mine->client != client ||
		    memcmp(mine->bytes, ticket, XM_TICKET_SIZE) != 0)
			continue;
		memset(mine, 0, sizeof(*mine));
		tenant_settle(t, tenant);
		return 0;
	}
	return -ENOENT;
}

void xm_ofi_expel(struct xm_transport *t, uint64_t client)
{
	uint32_t tenant;

	if (client == 0 || !t->is_target)
		return;
	tenant = tenant_find(t, client);
	if (over_msg(t))
		client_drop(t, client);
	for (uint32_t i = 0; i < t->target.tickets_max; i++)
		if (t->target.tickets[i].client == client)
			memset(&t->target.tickets[i], 0, sizeof(t->target.tickets[i]));
	for (uint32_t i = 0; i < t->target.exposures_used; i++)
		if (t->target.exposures[i].client == client &&
		    !t->target.exposures[i].retired)
			exposure_retire(t, &t->target.exposures[i]);
	if (tenant != OFI_NONE)
		tenant_settle(t, tenant);
}

/* --- listening ---------------------------------------------------------- */

/* 1.17's tcp reads a connection request with blocking calls: a stranger who
 * sends its header and not the rest would stop the whole interface. Accepted
 * sockets inherit a receive timeout from their listener, which is ours to be
 * found by its name: libfabric has no call for it. Best effort. */
static void listener_guard(fid_t fid)
{
	struct timeval limit = { .tv_usec = 5000 };
	int silent_s = 5;
	struct sockaddr_storage ours, name;
	size_t size = sizeof(ours);
	struct dirent *entry;
	DIR *dir;

	memset(&ours, 0, sizeof(ours));
	if (fi_getname(fid, &ours, &size))
		return;
	dir = opendir("/proc/self/fd");
	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name), listens = 0;
		socklen_t one = sizeof(listens), length = sizeof(name);

		memset(&name, 0, sizeof(name));
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &one) ||
		    !listens ||
		    getsockname(fd, (struct sockaddr *)&name, &length) ||
		    length != size || memcmp(&name, &ours, length))
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		/* Who says nothing is the kernel's to keep for that long. */
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent_s,
			   sizeof(silent_s));
	}
	if (dir)
		closedir(dir);
}

static int listen_msg(struct xm_transport *t, struct xm_locator *ret)
{
	int error = xm_ofi_eq_open(t, t->target.fabric, &t->target.eq, &t->target.eq_fd);

	if (error)
		return error;
	xm_ofi_wakeup_add(t, t->target.eq_fd, DOOR_OF_EQ);
	error = fi_passive_ep(t->target.fabric, t->info, &t->target.pep, NULL);
	if (error) {
		t->target.pep = NULL;
		return failed(t, "fi_passive_ep", error);
	}
	error = fi_pep_bind(t->target.pep, &t->target.eq->fid, 0);
	if (!error)
		error = fi_listen(t->target.pep);
	if (error)
		return failed(t, "fi_listen", error);
	listener_guard(&t->target.pep->fid);
	error = xm_ofi_strangers_begin(t);
	if (error)
		return xm_ofi_fail(t, error, "no memory for a table of connections");
	return xm_ofi_locator_make(t, &t->target.pep->fid, ret);
}

/* Of what others have read and written here: reading it makes progress as
 * reading the queue does, and tells whether there was any. Not everywhere. */
static void counter_open(struct xm_transport *t, struct fid_domain *domain)
{
	struct fi_cntr_attr attr = { .events = FI_CNTR_EVENTS_COMP,
				     .wait_obj = FI_WAIT_NONE };

	if (!t->scheme->counts)
		return;
	if (fi_cntr_open(domain, &attr, &t->target.rdm_cntr, NULL)) {
		t->target.rdm_cntr = NULL;
		return;
	}
	if (fi_ep_bind(t->target.rdm_ep, &t->target.rdm_cntr->fid,
		       FI_REMOTE_READ | FI_REMOTE_WRITE)) {
		fi_close(&t->target.rdm_cntr->fid);
		t->target.rdm_cntr = NULL;
	}
}

static int listen_rdm(struct xm_transport *t, struct xm_locator *ret)
{
	struct fi_av_attr attr = { .type = FI_AV_UNSPEC };
	struct ofi_tenant *tenant;
	uint32_t index;
	int error = tenant_open(t, UINT64_MAX, &index);

	if (error)
		return error;
	tenant = &t->target.tenants[index];
	error = fi_endpoint(tenant->domain, t->info, &t->target.rdm_ep, NULL);
	if (error) {
		t->target.rdm_ep = NULL;
		return failed(t, "fi_endpoint", error);
	}
	error = fi_av_open(tenant->domain, &attr, &t->target.rdm_av, NULL);
	if (error) {
		t->target.rdm_av = NULL;
		return failed(t, "fi_av_open", error);
	}
	error = fi_ep_bind(t->target.rdm_ep, &t->target.rdm_av->fid, 0);
	if (!error)
		error = fi_ep_bind(t->target.rdm_ep, &tenant->cq->fid,
				   FI_TRANSMIT | FI_RECV);
	counter_open(t, tenant->domain);
	if (!error)
		error = xm_ofi_enable(t->target.rdm_ep);
	if (error)
		return failed(t, "fi_enable", error);
	if (t->scheme->inet)
		listener_guard(&t->target.rdm_ep->fid);
	return xm_ofi_locator_make(t, &t->target.rdm_ep->fid, ret);
}

int xm_ofi_listen(struct xm_transport *t, void *pool, size_t pool_size,
		  struct xm_locator *ret)
{
	struct ofi_view probe = { NULL, 0 };
	struct ofi_handlers handlers;
	void *ignored;
	int error;

	if (!t->is_target || t->target.pool || !pool || pool_size == 0)
		return xm_ofi_fail(t, -EINVAL, "listen: not a target, no pool, "
					      "or the second time");
	xm_ofi_handlers_keep(&handlers);
	error = fi_fabric(t->info->fabric_attr, &t->target.fabric, NULL);
	if (error)
		error = failed(t, "fi_fabric", error);
	else
		error = over_msg(t) ? listen_msg(t, ret) : listen_rdm(t, ret);
	xm_ofi_handlers_restore(&handlers);
	if (error) {
		xm_ofi_target_close(t);
		return error;
	}
	t->target.pool = pool;
	t->target.pool_size = pool_size;
	if (xm_ofi_view_open(pool, t->target.bank_size, 0, 1, &probe, &ignored))
		t->target.viewless = true;
	xm_ofi_view_close(&probe);
	return 0;
}

void xm_ofi_target_close(struct xm_transport *t)
{
	if (!t->is_target)
		return;
	for (uint32_t i = 0; i < t->links_used; i++)
		xm_ofi_link_close(t, i);
	xm_ofi_close(&t->target.rdm_ep);
	xm_ofi_close(&t->target.rdm_cntr);
	for (uint32_t i = 0; i < t->target.exposures_used; i++) {
		if (t->target.exposures[i].client == 0)
			continue;
		xm_ofi_close(&t->target.exposures[i].mr);
		xm_ofi_view_close(&t->target.exposures[i].view);
	}
	xm_ofi_close(&t->target.rdm_av);
	for (uint32_t i = 0; i < t->target.tenants_used; i++) {
		xm_ofi_close(&t->target.tenants[i].cq);
		xm_ofi_close(&t->target.tenants[i].domain);
	}
	t->target.exposures_used = t->target.tenants_used = 0;
	xm_ofi_close(&t->target.pep);
	xm_ofi_close(&t->target.eq);
	xm_ofi_close(&t->target.fabric);
	xm_ofi_strangers_end(t);
}
