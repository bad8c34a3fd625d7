/* SPDX-License-Identifier: BSD-3-Clause */
/* The appliances of a client; see appliances.h. */
#include "config.h"

#include "core/client/appliances.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/pure/channel.h"
#include "core/pure/scheme.h"

/* --- connecting ------------------------------------------------------------- */

static int no_scheme(const char *call, const char *address)
{
	char known[256] = "";

	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s",
			 i > 0 ? ", " : "", xm_transports[i]->scheme);
	}
	return xm_fail(-ENOSYS, "%s: %s: no such transport: built in are %s",
		       call, address, known);
}

static void hello_of(const extmem *x, const char *address,
		     struct xm_hello *ret)
{
	const char *colon = strchr(address, ':');
	char host[40] = "?";

	memset(ret, 0, sizeof(*ret));
	gethostname(host, sizeof(host) - 1);
	if (x->settings.name[0] != '\0')
		snprintf(ret->name, sizeof(ret->name), "%s",
			 x->settings.name);
	else
		snprintf(ret->name, sizeof(ret->name), "%s:%d %.12s", host,
			 (int)getpid(), program_invocation_short_name);
	snprintf(ret->transport, sizeof(ret->transport), "%.*s",
		 (int)(colon - address), address);
	snprintf(ret->library, sizeof(ret->library), "extmem %s",
		 PACKAGE_VERSION);
}

/* What is opened for an appliance before it is added. */
struct newcomer {
	const char *call; /* the function that adds it, for messages */
	const char *address;
	const struct xm_transport_ops *transport_ops;
	const struct xm_channel_ops *channel_ops;
	struct xm_transport *transports[XM_LANES_MAX]; /* one for each lane */
	uint32_t transports_count;
	struct xm_channel *channel;
	bool channel_is_new; /* else other appliances have it, too */
	bool may_be_away;    /* a host whose name is not found is no error */
	bool is_unknown;     /* the name was not found */
};

static void newcomer_close(struct newcomer *n)
{
	for (uint32_t i = 0; i < n->transports_count; i++)
		n->transport_ops->close(n->transports[i]);
	if (n->channel_is_new)
		n->channel_ops->close(n->channel);
}

/* The open channel of this kind, or a new one. */
static int newcomer_channel(const extmem *x, struct newcomer *n)
{
	const struct xm_control *control = &x->ask.keeper.control;
	struct xm_channel_options o = {
		.address = n->address, .peers_max = XM_APPLIANCES_MAX,
		.auth = x->settings.auth,
		.insecure_plaintext = x->settings.insecure_plaintext,
	};
	char words[512] = "";
	int rc;

	for (uint32_t i = 0; i < control->channels_count; i++) {
		if (control->ops[i] == n->channel_ops) {
			n->channel = control->channels[i];
			return 0;
		}
	}
	rc = n->channel_ops->open(&o, words, sizeof(words), &n->channel);
	if (rc != 0)
		return xm_fail(rc, "%s: %s: %s", n->call, n->address, words);
	n->channel_is_new = true;
	return 0;
}

/* A window is fetched by one read. */
static int window_check(const struct newcomer *n,
			const struct xm_transport_limits *limits,
			const struct xm_pager_options *p)
{
	if (limits->size_max >= p->window_max * XM_PAGE)
		return 0;
	return xm_fail(-EINVAL, "%s: %s: provider %s moves at most %llu bytes "
		       "at once: set prefetch=%llu or less", n->call,
		       n->address, limits->provider,
		       (unsigned long long)limits->size_max,
		       (unsigned long long)(limits->size_max / XM_PAGE));
}

static int newcomer_transport(const extmem *x, const struct xm_lane *lane,
			      struct newcomer *n)
{
	const struct xm_pager_options *p = &lane->engine.options.pager;
	const struct xm_transport_ops *ops = n->transport_ops;
	char no_host[64];
	struct xm_transport_options o = {
		.address = n->is_unknown ? no_host : n->address,
		.provider = x->settings.provider[0] != '\0'
				    ? x->settings.provider : NULL,
		.depth = p->fetch_buffers + p->writeback_buffers + XM_LANE_DEPTH,
	};
	struct xm_transport_limits limits;
	struct xm_transport *transport;
	char words[256] = "";
	int rc;

	snprintf(no_host, sizeof(no_host), "%s://", ops->scheme);
	rc = ops->open(&o, words, sizeof(words), &transport);
	if (rc != 0)
		return xm_fail(rc, "%s: %s: %s", n->call, n->address, words);
	n->transports[n->transports_count++] = transport;
	ops->limits(transport, &limits);
	rc = window_check(n, &limits, p);
	if (rc != 0)
		return rc;
	rc = ops->register_memory(transport, lane->staging, lane->staging_size);
	if (rc != 0)
		return xm_fail(rc, "%s: %s: %s", n->call, n->address,
			       ops->last_error(transport));
	return 0;
}

/* An appliance that may be away and whose name is not found stays in the list: its
 * transports are opened without a host, and connect() of the channel goes on to return
 * the error, so they never get a peer. */
static int newcomer_resolve(struct newcomer *n)
{
	char words[XM_AWAY_WORDS];
	int rc = n->channel_ops->resolve(n->channel, n->address);

	n->is_unknown = rc != 0 && rc != -EINVAL && rc != -ENOMEM &&
			n->may_be_away;
	if (rc == 0 || n->is_unknown)
		return 0;
	xm_channel_explain(n->address, rc, false, words, sizeof(words));
	return xm_fail(rc, "%s: %s", n->call, words);
}

/* The channel looks the address up before a transport does: the channel's errors are
 * those of extmem.h. Close the newcomer if this fails. */
static int newcomer_open(const extmem *x, struct newcomer *n)
{
	int rc;

	n->transport_ops = xm_scheme_transport(n->address);
	n->channel_ops = xm_scheme_channel(n->address);
	if (n->transport_ops == NULL || n->channel_ops == NULL)
		return no_scheme(n->call, n->address);
	if (strlen(n->address) >= XM_ADDRESS_SIZE)
		return xm_fail(-EINVAL, "%s: an address of more than %d "
			       "characters", n->call, XM_ADDRESS_SIZE - 1);
	rc = newcomer_channel(x, n);
	if (rc == 0)
		rc = newcomer_resolve(n);
	for (uint32_t i = 0; rc == 0 && i < x->lanes.count; i++)
		rc = newcomer_transport(x, &x->lanes.lane[i], n);
	return rc;
}

/* With all lanes locked, or none in use yet. From here on the transports are theirs. */
static void lanes_add(extmem *x, const struct newcomer *n)
{
	struct xm_transport_limits limits;

	n->transport_ops->limits(n->transports[0], &limits);
	if (limits.registers)
		atomic_store(&x->registered.needed, true);
	for (uint32_t i = 0; i < x->lanes.count; i++)
		xm_engine_add(&x->lanes.lane[i].engine, n->transport_ops,
			      n->transports[i]);
}

/* With ask.lock held, or no background thread yet; the lanes have it already, as
 * keeper.h says. Returns its index. */
static uint32_t control_add(extmem *x, const struct newcomer *n)
{
	struct xm_hello hello;
	uint32_t index;

	hello_of(x, n->address, &hello);
	index = xm_control_add(&x->ask.keeper.control, n->address,
			       n->channel_ops, n->channel, &hello,
			       xm_min(x->settings.timeout_ns, 5 * XM_SECOND));
	atomic_store(&x->ask.count, index + 1);
	return index;
}

/* --- the appliances of the settings --------------------------------------------- */

static int appliance_open(extmem *x, const char *address)
{
	struct newcomer n = { .call = "extmem_open", .address = address,
			      .may_be_away = true };
	int rc = newcomer_open(x, &n);

	if (rc != 0) {
		newcomer_close(&n);
		return rc;
	}
	lanes_add(x, &n);
	control_add(x, &n);
	return 0;
}

int xm_appliances_check(const extmem *x)
{
	const struct xm_option_list *addresses = &x->settings.appliance;

	for (size_t i = 0; i < addresses->count; i++) {
		const char *address = addresses->items[i];

		if (xm_scheme_transport(address) == NULL ||
		    xm_scheme_channel(address) == NULL)
			return no_scheme("extmem_open", address);
	}
	return 0;
}

int xm_appliances_open(extmem *x)
{
	const struct xm_option_list *addresses = &x->settings.appliance;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < addresses->count; i++)
		rc = appliance_open(x, addresses->items[i]);
	return rc;
}

/* With the lock held. One attempt has its own deadline in the session. True: it is
 * ready. */
static bool appliance_wait(struct xm_ask *ask, uint32_t index)
{
	while (!ask->tried[index])
		os_cond_wait(&ask->changed, &ask->lock);
	return ask->keeper.peers[index].ready && !ask->unusable[index];
}

int xm_appliances_wait(extmem *x)
{
	struct xm_ask *ask = &x->ask;
	uint32_t count = atomic_load(&ask->count), ready = 0;
	char words[XM_AWAY_WORDS];
	int rc;

	os_mutex_take(&ask->lock);
	for (uint32_t i = 0; i < count; i++)
		ready += appliance_wait(ask, i);
	os_mutex_give(&ask->lock);
	if (ready > 0)
		return 0;
	rc = xm_ask_why_away(ask, 0, words, sizeof(words));
	return xm_fail(rc, "extmem_open: %s", words);
}

/* --- one more -------------------------------------------------------------------- */

/* With `adding` held: nothing else changes the list. */
static int may_join(const extmem *x, const struct newcomer *n)
{
	const struct xm_control *control = &x->ask.keeper.control;

	for (uint32_t i = 0; i < control->count; i++) {
		if (strcmp(control->peers[i].address, n->address) == 0)
			return xm_fail(-EEXIST, "%s: %s is an appliance of "
				       "this client already", n->call,
				       n->address);
	}
	if (control->count == XM_APPLIANCES_MAX)
		return xm_fail(-ENOSPC, "%s: the client has %d appliances, "
			       "which is the limit", n->call,
			       XM_APPLIANCES_MAX);
	return 0;
}

/* With registered.lock held: the spans that other transports know already. */
static int newcomer_register(const extmem *x, const struct newcomer *n)
{
	const struct xm_registered *r = &x->registered;

	for (uint32_t i = 0; i < n->transports_count; i++) {
		struct xm_transport *t = n->transports[i];

		for (uint32_t k = 0; k < r->count; k++) {
			int rc = n->transport_ops->register_memory(
				t, r->spans[k].memory, r->spans[k].size);

			if (rc != 0)
				return xm_fail(rc, "%s: %s: registered memory: "
					       "%s", n->call, n->address,
					       n->transport_ops->last_error(t));
		}
	}
	return 0;
}

/* Threads that wait in a lane have not armed the new transport: they are woken. */
static uint32_t newcomer_join(extmem *x, const struct newcomer *n)
{
	struct os_signals old;
	uint32_t index;

	xm_lanes_lock(&x->lanes, &old);
	lanes_add(x, n);
	for (uint32_t i = 0; i < x->lanes.count; i++)
		xm_lane_tell(&x->lanes.lane[i]);
	xm_lanes_unlock(&x->lanes, &old);
	os_mutex_take(&x->ask.lock);
	index = control_add(x, n);
	os_mutex_give(&x->ask.lock);
	return index;
}

/* With `adding` held. */
static int appliance_add(extmem *x, struct newcomer *n, uint32_t *ret_index)
{
	int rc = newcomer_open(x, n);

	if (rc == 0) {
		os_mutex_take(&x->registered.lock);
		rc = newcomer_register(x, n);
		if (rc == 0)
			*ret_index = newcomer_join(x, n);
		os_mutex_give(&x->registered.lock);
	}
	if (rc != 0)
		newcomer_close(n);
	return rc;
}

int extmem_appliance_add(extmem *x, const char *address)
{
	struct newcomer n = { .call = "extmem_appliance_add",
			      .address = address };
	uint32_t index;
	int rc = xm_usable(n.call);

	if (rc != 0)
		return rc;
	if (address == NULL)
		return xm_fail(-EINVAL, "%s: no address", n.call);
	os_mutex_take(&x->ask.adding);
	rc = may_join(x, &n);
	if (rc == 0)
		rc = appliance_add(x, &n, &index);
	os_mutex_give(&x->ask.adding);
	if (rc != 0)
		return rc;
	xm_ask_wake(&x->ask);
	os_mutex_take(&x->ask.lock);
	appliance_wait(&x->ask, index);
	os_mutex_give(&x->ask.lock);
	return (int)index;
}
