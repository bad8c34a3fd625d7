/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See answers.h. Lists are in the order of a number that each item keeps, and a cursor is
 * the number of the last item that was given: so a list whose items come and go between
 * two pages gives none twice and leaves none out that was there all the time.
 */
#include "gateway/answers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"
#include "common/clock.h"

#define JSON_TYPE "application/json"

void gateway_answer_json(struct gateway_answer *a, unsigned status, json_t *root)
{
	free(a->text);
	a->text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9))
		       : NULL;
	json_decref(root);
	a->status = a->text ? status : 500;
	a->size = a->text ? strlen(a->text) : 0;
	a->type = JSON_TYPE;
	a->fixed = "{\"error\":{\"code\":\"out_of_memory\",\"message\":"
		   "\"out of memory\",\"hint\":\"\"}}";
}

void gateway_answer_error(struct gateway_answer *a, unsigned status,
			  const char *code, const char *hint,
			  const char *format, ...)
{
	char message[2 * GATEWAY_WORDS_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	for (char *c = message; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	gateway_answer_json(a, status,
			    json_pack("{s{ssssss}}", "error", "code", code,
				      "message", message, "hint", hint));
}

int gateway_find(const struct gateway_model *m, const char *id, size_t length)
{
	for (unsigned i = 0; i < m->appliances_count; i++)
		if (strlen(m->appliances[i].id) == length &&
		    memcmp(m->appliances[i].id, id, length) == 0)
			return (int)i;
	return -1;
}

/* --- items ------------------------------------------------------------------------------- */

#define I(VALUE) (json_int_t)(VALUE)

static json_t *figures_json(const struct extmem_status *s)
{
	char incarnation[20];

	snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, s->incarnation);
	return json_pack(
		"{ss ss ss ss sf sI sI sI sI sI sI sI sI sI sI sI sI sI sb}",
		"zone", s->zone, "provider", s->provider,
		"library", s->library, "incarnation", incarnation,
		"uptime_seconds", (double)s->uptime_ms / 1000, "pool_bytes",
		I(s->pool), "free_bytes", I(s->free), "free_run_bytes",
		I(s->free_run), "lent_bytes", I(s->leased), "quarantined_bytes",
		I(s->quarantined), "clients", I(s->clients), "clients_limit",
		I(s->clients_max), "extents", I(s->extents), "extents_limit",
		I(s->extents_max), "messages", I(s->messages), "refused",
		I(s->refused), "malformed", I(s->malformed), "expired",
		I(s->expired), "pool_file", s->filed != 0);
}

static const char *state_of(const struct gateway_appliance *a)
{
	if (!a->asked)
		return "unknown";
	if (!a->up)
		return "away";
	return a->status.leaving ? "draining" : "up";
}

static json_t *appliance_json(const struct gateway_appliance *a)
{
	uint64_t now_ns = xm_clock_ns();
	double ago = a->asked && now_ns > a->asked_ns
			     ? (double)(now_ns - a->asked_ns) / 1e9
			     : 0;

	return json_pack("{ss ss ss ss ss sf so*}", "id", a->id, "address",
			 a->address, "name", a->status.name, "state", state_of(a), "reason", a->words,
			 "asked_seconds_ago", ago, "figures",
			 a->up ? figures_json(&a->status) : NULL);
}

static json_t *extent_json(const struct gateway_appliance *a,
			   const struct extmem_region_entry *e)
{
	return json_pack("{ss ss ss sI sI sI sI sI}", "appliance", a->id, "name",
			 e->name, "owner", e->owner, "client", I(e->client),
			 "extent", I(e->extent), "part", I(e->part), "bytes",
			 I(e->size), "epoch", I(e->epoch));
}

static json_t *memory_json(const struct gateway_client *c)
{
	const struct extmem_stats *s = &c->stats;

	return json_pack("{sI sI sI sI sI sI sI}", "external_bytes",
			 I(c->external), "region_bytes", I(s->region_bytes),
			 "local_bytes", I(s->local_now), "local_limit_bytes",
			 I(s->local_limit), "rest_bytes", I(c->rest),
			 "leaving_bytes", I(s->leaving_bytes), "stranded_bytes",
			 I(s->stranded_bytes));
}

static json_t *copies_json(const struct extmem_stats *s)
{
	return json_pack("{sI sI sI sI sI sI sf sI sI sI}", "copies",
			 I(s->copies), "stripes", I(s->stripes), "members",
			 I(s->members), "members_missing", I(s->members_missing),
			 "view", I(s->view), "mending_bytes",
			 I(s->mending_bytes), "mending_seconds",
			 (double)s->mending_ms / 1000, "mended_bytes",
			 I(s->mended_bytes), "moved_bytes", I(s->moved_bytes),
			 "failovers", I(s->failovers));
}

static json_t *faults_json(const struct gateway_client *c)
{
	const struct extmem_stats *s = &c->stats;

	return json_pack("{sI sI sI sI sI sI sf sf sf sf sf}", "faults",
			 I(s->faults), "misses", I(s->misses), "fresh_pages",
			 I(s->zero_fills), "read_bytes", I(s->bytes_read),
			 "written_bytes", I(s->bytes_written), "lost_pages",
			 I(s->pages_lost), "faults_per_second", c->faults_s,
			 "read_bytes_per_second", c->read_s,
			 "written_bytes_per_second", c->written_s,
			 "median_seconds", (double)extmem_latency_ns(s, 500) / 1e9,
			 "p99_seconds", (double)extmem_latency_ns(s, 990) / 1e9);
}

static json_t *client_json(const struct gateway_client *c)
{
	return json_pack("{sI ss ss ss ss so so so}", "pid", I(c->pid), "user",
			 c->user, "program", c->program, "appliance",
			 c->appliance, "lost", c->lost, "memory",
			 memory_json(c), "copies", copies_json(&c->stats),
			 "faults", faults_json(c));
}

/* --- lists ------------------------------------------------------------------------------- */

/* A page of a list: what is after `place` in `list`, up to `limit` items. */
struct page {
	json_t *items;
	unsigned limit;
	unsigned list; /* the cursor: which list, */
	uint64_t place; /* and after which number of it */
	bool begins;	/* there is no cursor */
	bool more;
};

static int page_begin(struct page *p, const struct gateway_query *q)
{
	char rest;

	memset(p, 0, sizeof(*p));
	p->limit = GATEWAY_PAGE_DEFAULT;
	p->begins = q->cursor == NULL;
	if (q->limit && (strlen(q->limit) > 4 || q->limit[0] < '1' || q->limit[0] > '9' ||
	     sscanf(q->limit, "%u%c", &p->limit, &rest) != 1 ||
	     p->limit > GATEWAY_PAGE_MAX))
		return -EINVAL;
	if (q->cursor && (strlen(q->cursor) > 24 ||
	     sscanf(q->cursor, "%3u.%" SCNx64 "%c", &p->list, &p->place, &rest) != 2))
		return -EINVAL;
	p->items = json_array();
	return p->items ? 0 : -ENOMEM;
}

/* Is this item on the page? Then its place is noted. */
static bool page_takes(struct page *p, unsigned list, uint64_t place)
{
	if (!p->begins && (list < p->list || (list == p->list && place <= p->place)))
		return false;
	if (json_array_size(p->items) >= p->limit) {
		p->more = true;
		return false;
	}
	p->begins = false;
	p->list = list;
	p->place = place;
	return true;
}

static json_t *page_end(struct page *p, bool truncated)
{
	char next[32];

	snprintf(next, sizeof(next), "%u.%" PRIx64, p->list, p->place);
	return json_pack("{so ss? sb}", "items", p->items, "next",
			 p->more ? next : NULL, "truncated", truncated);
}

static json_t *appliances_json(const struct gateway_model *m, struct page *p)
{
	for (unsigned i = 0; i < m->appliances_count; i++)
		if (page_takes(p, 0, i))
			json_array_append_new(p->items,
					      appliance_json(&m->appliances[i]));
	return page_end(p, false);
}

static bool extents_json(const struct gateway_model *m, struct page *p, unsigned i)
{
	const struct gateway_appliance *a = &m->appliances[i];

	for (unsigned e = 0; e < a->extents_count; e++)
		if (page_takes(p, i, a->extents[e].extent))
			json_array_append_new(p->items,
					      extent_json(a, &a->extents[e]));
	return a->extents_more;
}

static json_t *regions_json(const struct gateway_model *m, struct page *p)
{
	bool truncated = false;

	for (unsigned i = 0; i < m->appliances_count; i++)
		truncated |= extents_json(m, p, i);
	return page_end(p, truncated);
}

/* By the number of their file, which they keep. */
static json_t *clients_json(const struct gateway_model *m, struct page *p)
{
	uint64_t last = 0;
	bool any = false;

	for (unsigned round = 0; round < m->clients_count; round++) {
		const struct gateway_client *next = NULL;

		for (unsigned i = 0; i < m->clients_count; i++)
			if ((!any || m->clients[i].file > last) &&
			    (!next || m->clients[i].file < next->file))
				next = &m->clients[i];
		if (!next)
			break;
		any = true;
		last = next->file;
		if (page_takes(p, 0, last))
			json_array_append_new(p->items, client_json(next));
	}
	return page_end(p, m->clients_count == GATEWAY_CLIENTS_MAX);
}

static json_t *history_json(const struct gateway_model *m)
{
	uint64_t first = m->moments > GATEWAY_HISTORY_MAX
				 ? m->moments - GATEWAY_HISTORY_MAX
				 : 0;
	uint64_t now_ns = xm_clock_ns();
	json_t *samples = json_array();

	for (uint64_t i = first; i < m->moments; i++) {
		const struct gateway_moment *at =
			&m->history[i % GATEWAY_HISTORY_MAX];

		json_array_append_new(
			samples,
			json_pack("{sf sf sf sf sI sI sI sI}", "seconds_ago",
				  (double)(now_ns - at->time_ns) / 1e9,
				  "faults_per_second", at->faults_s,
				  "read_bytes_per_second", at->read_s,
				  "written_bytes_per_second", at->written_s,
				  "lent_bytes", I(at->lent), "mending_bytes",
				  I(at->mending), "appliances_up", I(at->up),
				  "clients", I(at->clients)));
	}
	return json_pack("{sf so}", "interval_seconds",
			 (double)m->interval_ns / 1e9, "samples", samples);
}

static json_t *root_json(const struct gateway_model *m)
{
	return json_pack("{ss ss si si sb}", "version", extmem_version(), "api",
			 "/v1/openapi.json", "appliances",
			 (int)m->appliances_count, "clients",
			 (int)m->clients_count, "hidden_clients", m->hidden > 0);
}

static json_t *list_json(const struct gateway_model *m,
			 const struct gateway_route *route, struct page *p, int index)
{
	switch (route->thing) {
	case GATEWAY_APPLIANCES:
		return appliances_json(m, p);
	case GATEWAY_CLIENTS:
		return clients_json(m, p);
	default:
		if (index < 0)
			return regions_json(m, p);
		return page_end(p, extents_json(m, p, (unsigned)index));
	}
}

void gateway_answer_model(struct gateway_answer *a, const struct gateway_model *m,
			  const struct gateway_route *route,
			  const struct gateway_query *q)
{
	const char *id = route->id ? route->id : q->appliance;
	size_t length = route->id ? route->id_length : id ? strlen(id) : 0;
	int index = -1;
	struct page page;

	if (id && (index = gateway_find(m, id, length)) < 0) {
		gateway_answer_error(a, 404, "no_such_appliance",
				     "GET /v1/appliances lists them",
				     "no appliance here has the id %.*s",
				     (int)xm_min(length, 128), id);
		return;
	}
	if (route->thing == GATEWAY_APPLIANCE) {
		gateway_answer_json(a, 200, appliance_json(&m->appliances[index]));
	} else if (route->thing == GATEWAY_ROOT) {
		gateway_answer_json(a, 200, root_json(m));
	} else if (route->thing == GATEWAY_HISTORY) {
		gateway_answer_json(a, 200, history_json(m));
	} else if (page_begin(&page, q) < 0) {
		gateway_answer_error(a, 400, "bad_page",
				     "limit is 1 to 1000; cursor is `next` of the "
				     "page before",
				     "the limit or the cursor cannot be read");
	} else {
		gateway_answer_json(a, 200, list_json(m, route, &page, index));
	}
}

/* --- health ------------------------------------------------------------------------------ */

void gateway_answer_health(struct gateway_answer *a, const struct gateway_model *m,
			   bool ready, uint64_t now_ns)
{
	uint64_t patience_ns = 3 * m->interval_ns + 30 * XM_SECOND;
	unsigned asked = 0, up = 0;

	for (unsigned i = 0; i < m->appliances_count; i++) {
		asked += m->appliances[i].asked;
		up += m->appliances[i].up;
	}
	a->status = 200;
	a->type = "text/plain";
	a->fixed = "ok\n";
	if (now_ns > m->turned_ns + patience_ns && m->turned_ns > 0) {
		a->status = 503;
		a->fixed = "the watch makes no progress\n";
	} else if (ready && asked < m->appliances_count) {
		a->status = 503;
		a->fixed = "not every appliance has been asked yet\n";
	} else if (ready && up == 0 && m->appliances_count > 0) {
		a->status = 503;
		a->fixed = "no appliance answers\n";
	}
	a->size = strlen(a->fixed);
}
