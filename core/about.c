/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is going on: statistics, information about appliances, lists. See
 * client.h for the locks.
 */
#include "config.h"

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "control.h"

/* A struct whose first member is its size may be an older, shorter one: what
 * it has room for is filled in. */
static int give_sized(const char *call, void *ret, const void *from,
		      uint64_t size)
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
	uint64_t fixed = lane->stage_size;

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
	return give_sized("extmem_stats", ret, &s, sizeof(s));
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
	return give_sized("extmem_info", ret, &info, sizeof(info));
}

static void entry_of(const struct xm_list_entry *from, const char *appliance,
		     struct extmem_region_entry *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", from->region);
	snprintf(ret->owner, sizeof(ret->owner), "%s", from->owner);
	snprintf(ret->appliance, sizeof(ret->appliance), "%s", appliance);
	ret->client = from->client;
	ret->extent = from->extent;
	ret->size = from->size;
	ret->epoch = from->epoch;
}

/* Takes what one answer holds: skips, fills. */
static size_t take_entries(const struct xm_listed *listed,
			   const char *appliance, uint64_t *skip,
			   struct extmem_region_entry *ret, size_t got,
			   size_t count)
{
	for (uint32_t i = 0; i < listed->count && got < count; i++) {
		if (*skip > 0)
			(*skip)--;
		else
			entry_of(&listed->entries[i], appliance, &ret[got++]);
	}
	return got;
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
			got = take_entries(&waiter.message.u.listed,
					   xm_address_of(x, a), &skip, ret,
					   got, count);
			list.u.list.cursor =
				waiter.message.u.listed.cursor;
		} while (list.u.list.cursor != 0 && got < count);
	}
	return (int)got;
}

/* --- without being a client ------------------------------------------------------------ */

/* One question to one appliance, as an observer. */
struct question {
	const struct xm_channel_ops *ops;
	struct xm_channel *channel;
	struct xm_control control;
	char address[XM_ADDRESS_SIZE];
	bool answered, failed;
	int status;
	struct xm_message answer;
};

static void question_report(void *owner, const struct xm_control_report *report)
{
	struct question *q = owner;

	switch (report->kind) {
	case XM_CONTROL_ANSWER:
		q->answered = true;
		q->status = report->status;
		if (report->message != NULL)
			q->answer = *report->message;
		break;
	case XM_CONTROL_AWAY:
		q->failed = true;
		q->status = report->status;
		break;
	case XM_CONTROL_READY:
	case XM_CONTROL_LOST:
		break;
	}
}

static int question_open(struct question *q, const char *call,
			 const char *address, uint32_t timeout_ms)
{
	struct xm_channel_options o = { .address = address, .peers_max = 1 };
	struct xm_hello hello = { .flags = XM_HELLO_OBSERVER };
	size_t length = strcspn(address, ":");
	char words[256] = "";
	int rc;

	for (unsigned i = 0; xm_channels[i] != NULL; i++) {
		if (strlen(xm_channels[i]->scheme) == length &&
		    strncmp(xm_channels[i]->scheme, address, length) == 0)
			q->ops = xm_channels[i];
	}
	if (q->ops == NULL || address[length] == '\0' ||
	    strlen(address) >= XM_ADDRESS_SIZE)
		return xm_fail(-EINVAL, "%s: %s: no such transport: an address "
			       "is like ofi+tcp://host:7470", call, address);
	rc = q->ops->open(&o, words, sizeof(words), &q->channel);
	if (rc != 0)
		return xm_fail(rc, "%s: %s: %s", call, address, words);
	snprintf(q->address, sizeof(q->address), "%s", address);
	snprintf(hello.name, sizeof(hello.name), "observer");
	snprintf(hello.transport, sizeof(hello.transport), "%.*s",
		 (int)length, address);
	snprintf(hello.library, sizeof(hello.library), "extmem %s",
		 PACKAGE_VERSION);
	xm_control_init(&q->control, question_report, q);
	xm_control_add(&q->control, address, q->ops, q->channel, &hello,
		       timeout_ms * XM_MS);
	return 0;
}

static int question_ask(struct question *q, const char *call,
			const struct xm_message *message, uint32_t timeout_ms)
{
	uint64_t deadline_ns = os_now_ns() + timeout_ms * XM_MS;
	char words[256];

	q->answered = q->failed = false;
	xm_control_request(&q->control, 0, message, 0, deadline_ns,
			   os_now_ns());
	while (!q->answered && !q->failed) {
		xm_control_turn(&q->control, os_now_ns());
		if (!q->answered && !q->failed)
			q->ops->wait(q->channel, -1, 5 * XM_MS);
	}
	if (q->status == 0)
		return 0;
	xm_channel_explain(q->address, q->status, false, words,
			   sizeof(words));
	return xm_fail(q->status, "%s: %s", call, words);
}

static void question_close(struct question *q)
{
	if (q->channel != NULL) {
		xm_control_end(&q->control, os_now_ns());
		q->ops->close(q->channel);
	}
	os_free(q);
}

int extmem_status(const char *appliance, uint32_t timeout_ms,
		  struct extmem_status *ret)
{
	struct question *q = os_alloc(sizeof(*q));
	struct xm_message message = { .kind = XM_STATUS };
	struct extmem_status status = { .size = 0 };
	const struct xm_state *s;
	int rc;

	if (q == NULL)
		return xm_fail(-ENOMEM, "extmem_status: out of memory");
	rc = question_open(q, "extmem_status", appliance, timeout_ms);
	if (rc == 0)
		rc = question_ask(q, "extmem_status", &message, timeout_ms);
	if (rc == 0) {
		s = &q->answer.u.state;
		memcpy(status.name, s->name, sizeof(status.name));
		memcpy(status.provider, s->provider, sizeof(status.provider));
		memcpy(status.library, s->library, sizeof(status.library));
		status.incarnation = s->incarnation;
		status.uptime_ms = s->uptime_ms;
		status.pool = s->pool;
		status.free = s->free;
		status.free_run = s->free_run;
		status.leased = s->leased;
		status.quarantined = s->quarantined;
		status.clients = s->clients;
		status.clients_max = s->clients_max;
		status.extents = s->extents;
		status.extents_max = s->extents_max;
		status.messages = s->messages;
		status.malformed = s->malformed;
		status.refused = s->refused;
		status.expired = s->expired;
		status.leaving = s->leaving;
		rc = give_sized("extmem_status", ret, &status,
				sizeof(status));
	}
	question_close(q);
	return rc;
}

int extmem_status_regions(const char *appliance, uint32_t timeout_ms,
			  uint64_t skip, struct extmem_region_entry *ret,
			  size_t count)
{
	struct question *q = os_alloc(sizeof(*q));
	struct xm_message message = { .kind = XM_LIST };
	size_t got = 0;
	int rc;

	if (q == NULL)
		return xm_fail(-ENOMEM, "extmem_status: out of memory");
	rc = question_open(q, "extmem_status", appliance, timeout_ms);
	while (rc == 0 && got < count) {
		rc = question_ask(q, "extmem_status", &message, timeout_ms);
		if (rc != 0)
			break;
		got = take_entries(&q->answer.u.listed, appliance, &skip, ret,
				   got, count);
		message.u.list.cursor = q->answer.u.listed.cursor;
		if (message.u.list.cursor == 0)
			break;
	}
	question_close(q);
	return rc != 0 ? rc : (int)got;
}

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

int extmem_means(struct extmem_means *ret)
{
	struct extmem_means means = { .size = 0 };
	struct xm_uffd_means found;

	xm_uffd_probe(&found);
	means.device = found.device;
	means.full = found.full;
	means.user = found.user;
	means.sigbus = found.sigbus;
	means.protects = found.protects;
	means.poisons = found.poisons;
	means.moves = found.moves;
	means.error = found.error;
	return give_sized("extmem_means", ret, &means, sizeof(means));
}
