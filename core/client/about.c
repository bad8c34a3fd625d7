/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is going on: statistics, information about appliances, lists. See
 * client.h for the locks.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/entry.h"
#include "core/client/error.h"
#include "core/client/objects.h"
#include "core/engine/control.h"
#include "core/pure/channel.h"

/* --- statistics ------------------------------------------------------------------- */

static void add_lane(struct xm_lane *lane, struct extmem_stats *s)
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
	s->pages_compared += p->compared;
	s->pages_unchanged += p->unchanged;
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
		s->latency[i] += lane->latency.counts[i];
	s->bad_tags += e->bad_tags;
	s->tampered += e->tampered;
	s->waited_ns += lane->latency.sum_ns;
	s->returned_ns += lane->returned_ns;
	xm_returns_project(&lane->engine.pager.returns,
			   lane->engine.pager.options.frames_max, s->returned);
}

static void add_shape(extmem *x, struct extmem_stats *s)
{
	struct xm_volume_shape shape;
	struct os_signals old;

	xm_lane_lock(&x->lanes.lane[0], &old);
	xm_volume_shape(&x->volume, &shape);
	xm_lane_unlock(&x->lanes.lane[0], &old);
	s->segments = shape.segments;
	s->stripes = shape.columns;
	s->copies = shape.copies;
}

/* What lies at appliances that drain, or is asked back by others. A client of one appliance cannot move it. */
static void add_leaving(extmem *x, struct extmem_stats *s)
{
	struct os_signals old;
	uint32_t leaving, wants;

	os_mutex_take(&x->ask.lock);
	leaving = xm_keeper_leaving(&x->ask.keeper);
	wants = xm_keeper_wants(&x->ask.keeper) & ~leaving;
	os_mutex_give(&x->ask.lock);
	if ((leaving | wants) == 0)
		return;
	xm_lane_lock(&x->lanes.lane[0], &old);
	s->leaving_bytes = xm_volume_bytes_at(&x->volume, leaving) +
			   xm_volume_bytes_wanted(&x->volume, wants);
	xm_lane_unlock(&x->lanes.lane[0], &old);
	s->stranded_bytes = s->leaving_bytes;
}

/* Only of a client that may have mirrors or move. */
static void add_mirrors(extmem *x, struct extmem_stats *s)
{
	const struct xm_keeper_tally *t = &x->ask.keeper.views.tally;
	struct xm_volume_census census;
	struct os_signals old;

	if (x->settings.members_max <= 1)
		return;
	xm_lane_lock(&x->lanes.lane[0], &old);
	xm_volume_members(&x->volume, &census);
	xm_lane_unlock(&x->lanes.lane[0], &old);
	s->members = census.members[XM_MEMBER_IN];
	s->members_missing = census.members[XM_MEMBER_FILLING] +
			     census.members[XM_MEMBER_OUT] +
			     census.members[XM_MEMBER_LOST];
	os_mutex_take(&x->ask.lock);
	s->failovers = t->failovers;
	s->failover_ns_max = t->failover_most_ns;
	s->mended_bytes = t->mended;
	s->degraded_ms = t->degraded_ns / XM_MS;
	s->view = x->ask.keeper.views.view.record.number;
	s->mending_bytes = t->mends.left;
	s->mending_ms = xm_progress_ms(&t->mends);
	s->moved_bytes = t->moved;
	s->stranded_bytes = xm_min(t->stranded, s->leaving_bytes);
	if (s->members + s->members_missing > 0)
		s->unspared_bytes = t->unspared;
	os_mutex_give(&x->ask.lock);
}

int extmem_stats(extmem *x, struct extmem_stats *ret)
{
	struct extmem_stats s = { .local_limit = x->lanes.local_limit,
				  .page_size = XM_PAGE };
	int rc = xm_usable("extmem_stats");

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < x->lanes.count; i++) {
		struct os_signals old;

		xm_lane_lock(&x->lanes.lane[i], &old);
		add_lane(&x->lanes.lane[i], &s);
		xm_lane_unlock(&x->lanes.lane[i], &old);
	}
	add_shape(x, &s);
	add_leaving(x, &s);
	add_mirrors(x, &s);
	s.pages_lost = atomic_load(&x->lost.pages);
	os_mutex_take(&x->ask.lock);
	for (uint32_t i = 0; i < x->ask.keeper.control.count; i++)
		s.messages += x->ask.keeper.control.peers[i].session.sent;
	os_mutex_give(&x->ask.lock);
	xm_line_take(&x->regions.lock);
	XM_LIST_EACH (link, &x->regions.list) {
		extmem_region *region = XM_CONTAINER(link, extmem_region, link);

		if (region->is_table)
			continue;
		s.regions++;
		s.region_bytes += xm_region_memory(region);
		os_mutex_take(&region->lock);
		s.slabs += region->slabs_count;
		s.objects += region->heap.objects - xm_caches_count(region);
		os_mutex_give(&region->lock);
	}
	xm_line_give(&x->regions.lock);
	return xm_sized_copy("extmem_stats", ret, &s, sizeof(s));
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
	xm_lanes_lock(&x->lanes, &old);
	if (size > x->lanes.local_limit) {
		uint64_t more = (size - x->settings.local) / XM_PAGE /
				x->lanes.count;

		for (uint32_t i = 0; i < x->lanes.count; i++) {
			struct xm_pager *p = &x->lanes.lane[i].engine.pager;

			xm_pager_raise(p, x->lanes.lane[i].frames_first +
						  (uint32_t)more);
		}
		x->lanes.local_limit = size;
	}
	xm_lanes_unlock(&x->lanes, &old);
	return 0;
}

/* --- appliances --------------------------------------------------------------------- */

static const char *state_name(const struct xm_session *session)
{
	switch (session->state) {
	case XM_SESSION_AWAY:
	case XM_SESSION_CONNECTING: return "away";
	case XM_SESSION_GREETING: return "greeting";
	case XM_SESSION_READY: return session->leaving ? "leaving" : "ready";
	}
	return "?";
}

int extmem_info(extmem *x, unsigned index, struct extmem_info *ret)
{
	static const char *const polling[] = { "adaptive", "busy", "block" };
	struct extmem_info info = { .lanes = x->lanes.count };
	char words[XM_AWAY_WORDS];
	const struct xm_transport_limits *limits;
	const struct xm_session *session;
	uint32_t count;
	int rc = xm_usable("extmem_info");

	if (rc != 0)
		return rc;
	count = atomic_load(&x->ask.count);
	if (index >= count)
		return xm_fail(-ERANGE, "extmem_info: there are %u appliances",
			       count);
	limits = &x->lanes.lane[0].engine.peers[index].limits;
	session = &x->ask.keeper.control.peers[index].session;
	snprintf(info.appliance, sizeof(info.appliance), "%s",
		 xm_ask_address(&x->ask, index));
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
		 x->arena.limits.paging);
	snprintf(info.paging_reason, sizeof(info.paging_reason), "%s",
		 x->arena.limits.reason);
	info.kernel_touches = x->arena.limits.kernel_touches;
	snprintf(info.polling, sizeof(info.polling), "%s",
		 polling[x->settings.polling]);
	os_mutex_take(&x->ask.lock);
	snprintf(info.name, sizeof(info.name), "%s", session->welcome.name);
	snprintf(info.state, sizeof(info.state), "%s", state_name(session));
	info.lease_ms = session->welcome.lease_ms;
	os_mutex_give(&x->ask.lock);
	if (!xm_ask_is_ready(&x->ask, index)) {
		xm_ask_why_away(&x->ask, index, words, sizeof(words));
		snprintf(info.reason, sizeof(info.reason), "%s", words);
	}
	return xm_sized_copy("extmem_info", ret, &info, sizeof(info));
}

int extmem_leases(extmem *x, struct extmem_lease *ret, unsigned count)
{
	unsigned n = 0;
	int rc = xm_usable("extmem_leases");

	if (rc != 0)
		return rc;
	os_mutex_take(&x->ask.lock);
	for (uint32_t i = 0; i < x->ask.keeper.control.count && n < count; i++) {
		const struct xm_session *session =
			&x->ask.keeper.control.peers[i].session;
		const struct xm_hello *hello = &session->hello;

		if (hello->client == 0)
			continue;
		memset(&ret[n], 0, sizeof(ret[n]));
		snprintf(ret[n].appliance, sizeof(ret[n].appliance), "%s",
			 xm_ask_address(&x->ask, i));
		ret[n].client = hello->client;
		ret[n].incarnation = session->welcome.incarnation;
		memcpy(ret[n].secret, hello->secret, sizeof(ret[n].secret));
		n++;
	}
	os_mutex_give(&x->ask.lock);
	return (int)n;
}

/* What has been listed so far. */
struct listing {
	uint64_t skip; /* entries that are still to be skipped */
	struct extmem_region_entry *entries;
	size_t got, count;
};

/* The segments of one appliance. If it has not answered by the deadline, `words` says
 * why. */
static int list_appliance(extmem *x, uint32_t appliance, uint64_t deadline_ns,
			  struct listing *l, char *words, size_t words_size)
{
	struct xm_message list = { .kind = XM_LIST };
	int rc;

	do {
		struct xm_request request;

		rc = xm_ask(&x->ask, appliance, &list, deadline_ns, &request);
		if (rc != 0) {
			xm_ask_explain(&x->ask, &request, words, words_size);
			return rc;
		}
		l->got = xm_list_entries(&request.message.u.listed,
					 xm_ask_address(&x->ask, appliance),
					 &l->skip, l->entries, l->got,
					 l->count);
		list.u.list.cursor = request.message.u.listed.cursor;
	} while (list.u.list.cursor != 0 && l->got < l->count);
	return 0;
}

int extmem_region_list(extmem *x, uint64_t skip,
		       struct extmem_region_entry *ret, size_t count)
{
	struct listing l = { .skip = skip, .entries = ret, .count = count };
	uint64_t now_ns = os_now_ns();
	uint64_t deadline_ns = now_ns + x->settings.timeout_ns;
	char words[XM_AWAY_WORDS], first_words[XM_AWAY_WORDS] = "";
	uint32_t appliances, ready = 0, answered = 0;
	int rc = xm_usable("extmem_region_list"), first_rc = 0;

	if (rc != 0)
		return rc;
	appliances = atomic_load(&x->ask.count);
	for (uint32_t a = 0; a < appliances; a++)
		ready += xm_ask_is_ready(&x->ask, a);
	for (uint32_t a = 0; a < appliances; a++) {
		if (ready > 0 && !xm_ask_is_ready(&x->ask, a))
			continue;
		/* Each has its share of what is left of the time, so that one that
		 * does not answer leaves some to the others. */
		now_ns = xm_min(os_now_ns(), deadline_ns);
		rc = list_appliance(x, a, now_ns + (deadline_ns - now_ns) /
						   (appliances - a),
				    &l, words, sizeof(words));
		answered += rc == 0;
		if (rc != 0 && first_rc == 0) {
			first_rc = rc;
			snprintf(first_words, sizeof(first_words), "%s", words);
		}
		if (l.got == count && answered > 0)
			break;
	}
	if (answered == 0)
		return xm_fail(first_rc, "extmem_region_list: %s", first_words);
	return (int)l.got;
}

/* --- without any appliance --------------------------------------------------------- */

int extmem_providers(char *ret, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		const struct xm_transport_ops *ops = xm_transports[i];
		struct xm_transport_options o = { .address = ops->sample };
		struct xm_transport_limits limits;
		struct xm_transport *transport;
		char words[256] = "", line[512];
		size_t length;

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
	struct xm_mapper_capabilities found;

	xm_mappers[0]->probe(&found);
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
	return xm_sized_copy("extmem_capabilities", ret, &capabilities,
			     sizeof(capabilities));
}
