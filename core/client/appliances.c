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

static int no_scheme(const char *address)
{
	char known[256] = "";

	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s",
			 i > 0 ? ", " : "", xm_transports[i]->scheme);
	}
	return xm_fail(-ENOSYS, "extmem_open: %s: no such transport: "
		       "built in are %s", address, known);
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

/* The open channel of this kind, or a new one. */
static int channel_for(extmem *x, const char *address,
		       const struct xm_channel_ops *ops,
		       struct xm_channel **ret)
{
	struct xm_control *control = &x->ask.keeper.control;
	struct xm_channel_options o = {
		.address = address, .peers_max = XM_APPLIANCES_MAX,
	};
	char words[256] = "";
	int rc;

	for (uint32_t i = 0; i < control->channels_count; i++) {
		if (control->ops[i] == ops) {
			*ret = control->channels[i];
			return 0;
		}
	}
	rc = ops->open(&o, words, sizeof(words), ret);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s: %s", address, words);
	return 0;
}

/* A window is fetched by one read. */
static int window_check(const struct xm_transport_ops *ops,
			struct xm_transport *transport,
			const struct xm_pager_options *p, const char *address)
{
	struct xm_transport_limits limits;

	ops->limits(transport, &limits);
	if (limits.size_max >= p->window_max * XM_PAGE)
		return 0;
	return xm_fail(-EINVAL, "extmem_open: %s: provider %s moves at most "
		       "%llu bytes at once: set prefetch=%llu or less",
		       address, limits.provider,
		       (unsigned long long)limits.size_max,
		       (unsigned long long)(limits.size_max / XM_PAGE));
}

static int lane_connect(extmem *x, struct xm_lane *lane, const char *address,
			const struct xm_transport_ops *ops)
{
	const struct xm_pager_options *p = &lane->engine.options.pager;
	struct xm_transport_options o = {
		.address = address,
		.provider = x->settings.provider[0] != '\0'
				    ? x->settings.provider : NULL,
		.depth = p->fetch_buffers + p->writeback_buffers + XM_LANE_DEPTH,
	};
	struct xm_transport_limits limits;
	struct xm_transport *transport;
	char words[256] = "";
	int rc = ops->open(&o, words, sizeof(words), &transport);

	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s: %s", address, words);
	rc = window_check(ops, transport, p, address);
	if (rc != 0) {
		ops->close(transport);
		return rc;
	}
	rc = ops->register_memory(transport, lane->staging, lane->staging_size);
	if (rc != 0) {
		xm_fail(rc, "extmem_open: %s: %s", address,
			ops->last_error(transport));
		ops->close(transport);
		return rc;
	}
	xm_engine_add(&lane->engine, ops, transport);
	ops->limits(transport, &limits);
	x->registered.needed |= limits.registers;
	return 0;
}

static int appliance_open(extmem *x, const char *address)
{
	const struct xm_transport_ops *transport = xm_scheme_transport(address);
	const struct xm_channel_ops *ops = xm_scheme_channel(address);
	struct xm_channel *channel;
	struct xm_hello hello;
	int rc;

	if (transport == NULL || ops == NULL)
		return no_scheme(address);
	if (strlen(address) >= XM_ADDRESS_SIZE)
		return xm_fail(-EINVAL, "extmem_open: an address of more than "
			       "%d characters", XM_ADDRESS_SIZE - 1);
	rc = channel_for(x, address, ops, &channel);
	if (rc != 0)
		return rc;
	hello_of(x, address, &hello);
	xm_control_add(&x->ask.keeper.control, address, ops, channel, &hello,
		       xm_min(x->settings.timeout_ns, 5 * XM_SECOND));
	for (uint32_t i = 0; i < x->lanes.count; i++) {
		rc = lane_connect(x, &x->lanes.lane[i], address, transport);
		if (rc != 0)
			return rc;
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

/* --- waiting for them -------------------------------------------------------- */

int xm_appliances_wait(extmem *x)
{
	struct xm_ask *ask = &x->ask;
	uint32_t count = ask->keeper.control.count, ready = 0;
	char words[XM_AWAY_WORDS];
	int rc;

	os_mutex_take(&ask->lock);
	for (uint32_t i = 0; i < count; i++) {
		/* One attempt has its own deadline in the session. */
		while (!ask->tried[i])
			os_cond_wait(&ask->changed, &ask->lock);
		ready += ask->keeper.peers[i].ready && !ask->unusable[i];
	}
	os_mutex_give(&ask->lock);
	if (ready > 0)
		return 0;
	rc = xm_ask_why_away(ask, 0, words, sizeof(words));
	return xm_fail(rc, "extmem_open: %s", words);
}
