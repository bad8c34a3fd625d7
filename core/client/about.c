/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is going on: statistics, information about appliances, lists. See
 * client.h for the locks.
 */
#include "config.h"

#include "core/client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/pure/channel.h"
#include "core/engine/control.h"

int xm_give_sized(const char *call, void *ret, const void *from, uint64_t size)
{
	uint64_t room;

	memcpy(&room, ret, sizeof(room));
	if (room < sizeof(room) || room > 1u << 20)
		return xm_fail(-EINVAL, "%s: set the struct's size first",
			       call);
	memcpy((char *)ret + sizeof(room), (const char *)from + sizeof(room),
	       xm_min(room, size) - sizeof(room));
	return 0;
}

/* --- statistics ------------------------------------------------------------------- */

static void add_lane(struct lane *lane, struct extmem_stats *s)
{
	const struct xm_pager_counters *p = &lane->engine.pager.counters;
	const struct xm_engine_counters *e = &lane->engine.counters;
	uint64_t fixed = lane->staging_size;

	s->faults += p->faults;
	s->faults_write += p->faults_write;
	s->misses += p->misses;
	s->zero_fills += p->zero_fills;
	s->pages_read += p->pages_read;
	s->pages_written += p->pages_written;
	s->bytes_read += e->bytes_read;
	s->bytes_written += e->bytes_written;
	s->evictions += p->evictions;
	s->prefetched += p->prefetched;
	s->prefetched_wasted += p->prefetched_wasted;
	s->reads += e->reads;
	s->writes += e->writes;
	s->local_now += fixed + lane->engine.pager.frames_used * XM_PAGE;
	s->local_peak += fixed + p->frames_peak * XM_PAGE;
	for (uint32_t i = 0; i < lane->engine.peers_count; i++) {
		uint64_t up = lane->engine.peers[i].path.times_up;

		s->reconnects += up > 1 ? up - 1 : 0;
	}
	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		s->latency[i] += lane->latency[i];
}

int extmem_stats(extmem *x, struct extmem_stats *ret)
{
	struct extmem_stats s = { .local_limit = x->local_limit,
				  .page_size = XM_PAGE };
	int rc = xm_usable("extmem_stats");

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < x->lanes_count; i++) {
		struct os_signals old;

		xm_lane_lock(&x->lanes[i], &old);
		add_lane(&x->lanes[i], &s);
		xm_lane_unlock(&x->lanes[i], &old);
	}
	s.pages_lost = atomic_load(&x->lost_pages);
	os_mutex_take(&x->control_lock);
	for (uint32_t i = 0; i < x->keeper.control.count; i++)
		s.messages += x->keeper.control.peers[i].session.sent;
	os_mutex_give(&x->control_lock);
	os_mutex_take(&x->regions_lock);
	XM_LIST_EACH (link, &x->regions) {
		extmem_region *region = XM_CONTAINER(link, extmem_region, link);

		s.regions++;
		s.region_bytes += region->size;
		os_mutex_take(&region->lock);
		s.slabs += region->slabs_count;
		s.objects += region->heap.objects - xm_caches_count(region);
		os_mutex_give(&region->lock);
	}
	os_mutex_give(&x->regions_lock);
	return xm_give_sized("extmem_stats", ret, &s, sizeof(s));
}

int extmem_local(extmem *x, uint64_t size)
{
	struct os_signals old;
	int rc = xm_usable("extmem_local");

	if (rc != 0)
		return rc;
	if (size > xm_max(x->settings.local, x->settings.local_max))
		return xm_fail(-EINVAL, "extmem_local: %llu bytes: local_max "
			       "was %llu when the client was opened",
			       (unsigned long long)size,
			       (unsigned long long)x->settings.local_max);
	xm_lanes_lock(x, &old);
	if (size > x->local_limit) {
		uint64_t more = (size - x->settings.local) / XM_PAGE /
				x->lanes_count;

		for (uint32_t i = 0; i < x->lanes_count; i++) {
			struct xm_pager *p = &x->lanes[i].engine.pager;

			xm_pager_raise(p, x->lanes[i].frames_first +
						  (uint32_t)more);
		}
		x->local_limit = size;
	}
	xm_lanes_unlock(x, &old);
	return 0;
}

uint64_t extmem_latency_ns(const struct extmem_stats *s, unsigned permille)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		total += s->latency[i];
	for (unsigned i = 0; i < EXTMEM_LATENCY_BUCKETS; i++) {
		seen += s->latency[i];
		if (seen * 1000 < total * permille || seen == 0)
			continue;
		/* The bucket's upper end. */
		if (i < 16)
			return i;
		return (uint64_t)(16 + i % 16 + 1) << (i / 16 - 1);
	}
	return 0;
}

const char *extmem_lost(const extmem *x)
{
	return atomic_load(&x->lost_said) == 2 ? x->lost_words : "";
}

/* --- appliances --------------------------------------------------------------------- */

static const char *state_name(const struct xm_session *session)
{
	switch (session->state) {
	case XM_SESSION_AWAY:
	case XM_SESSION_CONNECTING: return "away";
	case XM_SESSION_GREETING: return "greeting";
	case XM_SESSION_READY: return "ready";
	}
	return "?";
}

int extmem_info(extmem *x, unsigned index, struct extmem_info *ret)
{
	static const char *const polling[] = { "adaptive", "busy", "block" };
	struct extmem_info info = { .lanes = x->lanes_count };
	const struct xm_transport_limits *limits;
	const struct xm_session *session;
	int rc = xm_usable("extmem_info");

	if (rc != 0)
		return rc;
	if (index >= x->keeper.control.count)
		return xm_fail(-ERANGE, "extmem_info: there are %u appliances",
			       x->keeper.control.count);
	limits = &x->lanes[0].engine.peers[index].limits;
	session = &x->keeper.control.peers[index].session;
	snprintf(info.appliance, sizeof(info.appliance), "%s",
		 xm_address_of(x, index));
	snprintf(info.transport, sizeof(info.transport), "%s",
		 limits->transport);
	snprintf(info.provider, sizeof(info.provider), "%s",
		 limits->provider);
	snprintf(info.version, sizeof(info.version), "%s", limits->version);
	snprintf(info.endpoint, sizeof(info.endpoint), "%s",
		 limits->endpoint);
	snprintf(info.mr_mode, sizeof(info.mr_mode), "%s", limits->mr_mode);
	snprintf(info.progress, sizeof(info.progress), "%s",
		 limits->progress);
	snprintf(info.paging, sizeof(info.paging), "%s",
		 xm_uffd_ops(x->mapper)->name);
	snprintf(info.paging_reason, sizeof(info.paging_reason), "%s",
		 xm_uffd_reason(x->mapper));
	snprintf(info.polling, sizeof(info.polling), "%s",
		 polling[x->settings.polling]);
	os_mutex_take(&x->control_lock);
	snprintf(info.name, sizeof(info.name), "%s", session->welcome.name);
	snprintf(info.state, sizeof(info.state), "%s", state_name(session));
	info.lease_ms = session->welcome.lease_ms;
	os_mutex_give(&x->control_lock);
	return xm_give_sized("extmem_info", ret, &info, sizeof(info));
}

int extmem_leases(extmem *x, struct extmem_lease *ret, unsigned count)
{
	unsigned n = 0;
	int rc = xm_usable("extmem_leases");

	if (rc != 0)
		return rc;
	os_mutex_take(&x->control_lock);
	for (uint32_t i = 0; i < x->keeper.control.count && n < count; i++) {
		const struct xm_session *session =
			&x->keeper.control.peers[i].session;
		const struct xm_hello *hello = &session->hello;

		if (hello->client == 0)
			continue;
		memset(&ret[n], 0, sizeof(ret[n]));
		snprintf(ret[n].appliance, sizeof(ret[n].appliance), "%s",
			 xm_address_of(x, i));
		ret[n].client = hello->client;
		ret[n].incarnation = session->welcome.incarnation;
		memcpy(ret[n].secret, hello->secret, sizeof(ret[n].secret));
		n++;
	}
	os_mutex_give(&x->control_lock);
	return (int)n;
}

int extmem_region_list(extmem *x, uint64_t skip,
		       struct extmem_region_entry *ret, size_t count)
{
	uint64_t deadline_ns = os_now_ns() + x->settings.timeout_ns;
	size_t got = 0;
	int rc = xm_usable("extmem_region_list");

	if (rc != 0)
		return rc;
	for (uint32_t a = 0; a < x->keeper.control.count; a++) {
		struct xm_message list = { .kind = XM_LIST };

		do {
			struct waiter waiter;
			char words[256];

			rc = xm_ask(x, a, &list, deadline_ns, &waiter);
			if (rc != 0) {
				xm_ask_words(x, &waiter, words,
					     sizeof(words));
				return xm_fail(rc, "extmem_region_list: %s",
					       words);
			}
			got = xm_list_entries(&waiter.message.u.listed,
					   xm_address_of(x, a), &skip, ret,
					   got, count);
			list.u.list.cursor =
				waiter.message.u.listed.cursor;
		} while (list.u.list.cursor != 0 && got < count);
	}
	return (int)got;
}

/* --- without any appliance --------------------------------------------------------- */

int extmem_providers(char *ret, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		const struct xm_transport_ops *ops = xm_transports[i];
		struct xm_transport_options o = { .address = NULL };
		struct xm_transport_limits limits;
		struct xm_transport *transport;
		char address[64], words[256] = "", line[512];
		bool named = strstr(ops->scheme, "shm") != NULL;
		size_t length;

		snprintf(address, sizeof(address), "%s%s", ops->scheme,
			 strcmp(ops->scheme, "loop") == 0 ? ":probe"
			 : named ? "://probe" : "://127.0.0.1:0");
		o.address = address;
		if (ops->open(&o, words, sizeof(words), &transport) == 0) {
			ops->limits(transport, &limits);
			snprintf(line, sizeof(line), "%-12s %s %s, %s, "
				 "mr %s, progress %s\n", ops->scheme,
				 limits.provider, limits.version,
				 limits.endpoint, limits.mr_mode,
				 limits.progress);
			ops->close(transport);
		} else {
			snprintf(line, sizeof(line), "%-12s - %s\n",
				 ops->scheme, words);
		}
		length = strlen(line);
		if (used < size)
			snprintf(ret + used, size - used, "%s", line);
		used += length;
	}
	return (int)used;
}

int extmem_capabilities(struct extmem_capabilities *ret)
{
	struct extmem_capabilities capabilities = { .size = 0 };
	struct xm_uffd_capabilities found;

	xm_uffd_probe(&found);
	capabilities.device = found.device;
	capabilities.full = found.full;
	capabilities.user = found.user;
	capabilities.sigbus = found.sigbus;
	capabilities.protects = found.protects;
	capabilities.poisons = found.poisons;
	capabilities.moves = found.moves;
	capabilities.error = found.error;
	capabilities.drops_many = found.drops_many;
	memcpy(capabilities.missing, found.missing, sizeof(found.missing));
	return xm_give_sized("extmem_capabilities", ret, &capabilities, sizeof(capabilities));
}
