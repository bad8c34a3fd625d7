/* SPDX-License-Identifier: BSD-3-Clause */
/* See acts.h. */
#include "gateway/acts_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"

#define STRATEGIES_MAX 256

/* --- errors ------------------------------------------------------------------------------- */

void acts_error(struct gateway_answer *a, int rc)
{
	switch (rc) {
	case -ETIMEDOUT:
		gateway_answer_error(a, 504, "appliance_timeout",
				     "the act may or may not have been carried "
				     "out; it can be repeated", "%s",
				     extmem_error());
		return;
	case -ESTALE:
		gateway_answer_error(a, 409, "appliance_restarted",
				     "it has lost what it had lent; repeat the "
				     "act if it is still wanted", "%s",
				     extmem_error());
		return;
	case -EINVAL:
	case -ENODEV:
		gateway_answer_error(a, 422, "bad_request",
				     "POST /v1/strategies/check says what could be met",
				     "%s", extmem_error());
		return;
	case -ENOENT:
	case -ENODATA:
	case -EBUSY:
		gateway_answer_error(a, 404, "no_such_region",
				     "a token is good once, in its time", "%s",
				     extmem_error());
		return;
	case -ENOSPC:
		gateway_answer_error(a, 507, "no_room",
				     "free memory, or add an appliance", "%s",
				     extmem_error());
		return;
	case -EPERM:
	case -ENOTSUP:
		gateway_answer_error(a, 501, "not_here",
				     "`extmem doctor` says what this machine allows",
				     "%s", extmem_error());
		return;
	case -EACCES:
	case -ENOKEY:
	case -EKEYEXPIRED:
	case -EKEYREVOKED:
	case -EKEYREJECTED:
		gateway_answer_error(a, 502, "credentials",
				     "start the gateway with --auth and a "
				     "credential file that the appliance trusts",
				     "%s", extmem_error());
		return;
	case -ENOMEM:
		gateway_answer_error(a, 500, "out_of_memory", "", "%s",
				     extmem_error());
		return;
	default:
		gateway_answer_error(a, 502, "appliance_away",
				     "is it running, and can this machine reach "
				     "it?", "%s", extmem_error());
	}
}

/* --- drain ---------------------------------------------------------------------------------- */

struct target {
	int index;
	char address[GATEWAY_ID_SIZE], id[GATEWAY_ID_SIZE];
};

/* Whom the path names. False: nobody, as the answer says. */
static bool find_target(const struct gateway_acts *acts, const struct gateway_route *route,
			struct target *ret, struct gateway_answer *a)
{
	const struct gateway_model *m = gateway_watch_take(acts->watch);

	ret->index = gateway_find(m, route->id, route->id_length);
	if (ret->index >= 0) {
		memcpy(ret->address, m->appliances[ret->index].address,
		       sizeof(ret->address));
		memcpy(ret->id, m->appliances[ret->index].id, sizeof(ret->id));
	}
	gateway_watch_give(acts->watch);
	if (ret->index < 0)
		gateway_answer_error(a, 404, "no_such_appliance",
				     "GET /v1/appliances lists them",
				     "no appliance here has the id %.*s",
				     (int)xm_min(route->id_length, 128), route->id);
	return ret->index >= 0;
}

static void drain(const struct gateway_acts *acts, const struct gateway_route *route,
		  struct gateway_answer *a)
{
	bool on = route->method == GATEWAY_PUT;
	struct target t;
	int rc;

	if (!find_target(acts, route, &t, a))
		return;
	rc = extmem_drain(t.address, on, GATEWAY_ASK_TIMEOUT_MS);
	if (rc < 0) {
		acts_error(a, rc);
		return;
	}
	gateway_watch_hurry(acts->watch, (unsigned)t.index);
	gateway_answer_json(a, 200,
			    json_pack("{ss sb}", "appliance", t.id, "draining", on));
}

/* --- shrink --------------------------------------------------------------------------------- */

static void shrink_to(const struct gateway_acts *acts, const struct target *t,
		      json_int_t bytes, struct gateway_answer *a)
{
	int rc = extmem_shrink(t->address, (uint64_t)bytes, GATEWAY_ASK_TIMEOUT_MS);

	if (rc == -EINVAL)
		gateway_answer_error(a, 422, "bad_size",
				     "it grows up to what it began with",
				     "%s", extmem_error());
	else if (rc < 0)
		acts_error(a, rc);
	else
		gateway_answer_json(a, 200, json_pack("{ss sI}", "appliance", t->id,
						      "goal_bytes", bytes));
	if (rc == 0)
		gateway_watch_hurry(acts->watch, (unsigned)t->index);
}

static void shrink(const struct gateway_acts *acts, const struct gateway_route *route,
		   const char *body, size_t body_size, struct gateway_answer *a)
{
	json_error_t where;
	json_t *root = json_loadb(body, body_size, JSON_REJECT_DUPLICATES, &where);
	json_int_t bytes = 0;
	struct target t;

	if (!root || json_unpack_ex(root, &where, JSON_STRICT, "{s:I}", "bytes",
				    &bytes) < 0)
		gateway_answer_error(a, 400, "bad_body", "send {\"bytes\": 1073741824}",
				     "%s", where.text);
	else if (bytes < 0)
		gateway_answer_error(a, 422, "bad_size", "bytes is 0 or more",
				     "nothing is smaller than nothing");
	else if (find_target(acts, route, &t, a))
		shrink_to(acts, &t, bytes, a);
	json_decref(root);
}

/* --- strategies ----------------------------------------------------------------------------- */

void acts_settings_add(struct acts_settings *s, const char *name, const char *value)
{
	snprintf(s->texts[s->count], sizeof(s->texts[0]), "%s=%s", name, value);
	s->list[s->count] = s->texts[s->count];
	s->count++;
	s->list[s->count] = NULL;
}

void acts_settings_begin(struct acts_settings *s, const struct gateway_acts *acts)
{
	s->count = 0;
	s->list[0] = NULL;
	if (acts->client_config[0] != '\0')
		acts_settings_add(s, "config", acts->client_config);
}

unsigned acts_settings_appliances(struct acts_settings *s,
				  const struct gateway_acts *acts)
{
	const struct gateway_model *m = gateway_watch_take(acts->watch);
	unsigned count = 0;

	for (unsigned i = 0; i < m->appliances_count &&
			     count < EXTMEM_APPLIANCES_MAX; i++) {
		if (!m->appliances[i].up)
			continue;
		acts_settings_add(s, "appliance", m->appliances[i].address);
		count++;
	}
	gateway_watch_give(acts->watch);
	return count;
}

static void strategies(const struct gateway_acts *acts, struct gateway_answer *a)
{
	struct extmem_strategy *list = calloc(STRATEGIES_MAX, sizeof(*list));
	json_t *items = json_array();
	struct acts_settings settings;
	int count = -ENOMEM;

	acts_settings_begin(&settings, acts);
	if (list)
		count = extmem_strategy_list(settings.list, 0, list,
					     STRATEGIES_MAX);
	for (int i = 0; i < count; i++)
		json_array_append_new(items,
				      json_pack("{ss ss}", "name", list[i].name,
						"text", list[i].text));
	if (count < 0)
		gateway_answer_error(a, 500, "settings",
				     "mend the file of --client-config", "%s",
				     list ? extmem_error() : "out of memory");
	else
		gateway_answer_json(a, 200,
				    json_pack("{sO sn sb}", "items", items,
					      "next", "truncated",
					      count == STRATEGIES_MAX));
	json_decref(items);
	free(list);
}

static json_t *runs_json(const struct extmem_plan *p)
{
	json_t *runs = json_array();

	for (unsigned i = 0; i < p->runs_count; i++) {
		json_t *columns = json_array();

		for (unsigned c = 0; c < p->columns; c++) {
			json_t *copies = json_array();

			for (unsigned k = 0; k < p->copies; k++) {
				uint8_t at = p->runs[i].appliances[c * p->copies + k];

				json_array_append_new(
					copies,
					json_string(p->appliances[at].address));
			}
			json_array_append_new(columns, copies);
		}
		json_array_append_new(runs,
				      json_pack("{sI so}", "bytes",
						(json_int_t)p->runs[i].size,
						"columns", columns));
	}
	return runs;
}

static json_t *plan_json(const struct extmem_plan *p)
{
	json_t *appliances = json_array();

	for (unsigned i = 0; i < p->appliances_count; i++) {
		const struct extmem_plan_appliance *at = &p->appliances[i];
		char id[GATEWAY_ID_SIZE];

		gateway_id(at->address, id);
		json_array_append_new(
			appliances,
			json_pack("{ss ss ss sI sI ss}", "appliance", id, "name",
				  at->name, "zone", at->zone, "free_bytes",
				  (json_int_t)at->free, "bytes",
				  (json_int_t)at->bytes, "reason", at->reason));
	}
	return json_pack("{sb ss ss sI sI sI sI so so}", "met", p->status == 0,
			 "strategy", p->text, "reason", p->words, "bytes",
			 (json_int_t)p->region_size, "unit_bytes",
			 (json_int_t)p->unit, "stripes", (json_int_t)p->columns,
			 "copies", (json_int_t)p->copies, "runs", runs_json(p),
			 "appliances", appliances);
}

/* With the settings, and `text` and `size` of a body that is right. */
static void plan(struct acts_settings *settings, const char *text, uint64_t size,
		 struct gateway_answer *a)
{
	struct extmem_plan *p = calloc(1, sizeof(*p));
	int rc = -ENOMEM;

	if (p) {
		p->size = sizeof(*p);
		rc = extmem_strategy_check(settings->list, text, size, p);
	}
	if (rc == -EINVAL)
		gateway_answer_error(a, 422, "bad_strategy",
				     "extmem(5) has the language", "%s",
				     extmem_error());
	else if (rc < 0)
		acts_error(a, rc);
	else
		gateway_answer_json(a, 200, plan_json(p));
	free(p);
}

static void check(const struct gateway_acts *acts, const char *body,
		  size_t body_size, struct gateway_answer *a)
{
	json_error_t where;
	json_t *root = json_loadb(body, body_size, JSON_REJECT_DUPLICATES, &where);
	const char *text = NULL;
	json_int_t bytes = 0;
	struct acts_settings settings;

	acts_settings_begin(&settings, acts);
	if (!root || json_unpack_ex(root, &where, JSON_STRICT, "{s:s, s:I}",
				    "strategy", &text, "bytes", &bytes) < 0)
		gateway_answer_error(a, 400, "bad_body",
				     "send {\"strategy\": \"mirror 2\", "
				     "\"bytes\": 1073741824}", "%s", where.text);
	else if (bytes <= 0)
		gateway_answer_error(a, 422, "bad_size", "bytes is 1 or more",
				     "a region has a size");
	else if (strlen(text) >= sizeof(((struct extmem_strategy *)0)->text))
		gateway_answer_error(a, 422, "bad_strategy",
				     "extmem(5) has the language",
				     "the strategy has more than 1023 bytes");
	else if (acts_settings_appliances(&settings, acts) == 0)
		gateway_answer_error(a, 503, "appliances_away",
				     "GET /v1/appliances says why",
				     "no appliance answers");
	else
		plan(&settings, text, (uint64_t)bytes, a);
	json_decref(root);
}

void gateway_act(const struct gateway_acts *acts, const struct gateway_route *route,
		 const char *key, const char *body, size_t body_size,
		 struct gateway_answer *ret)
{
	switch (route->thing) {
	case GATEWAY_DRAIN:
		drain(acts, route, ret);
		break;
	case GATEWAY_POOL:
		shrink(acts, route, body, body_size, ret);
		break;
	case GATEWAY_REGIONS:
		acts_make(acts, key, body, body_size, ret);
		break;
	case GATEWAY_FREES:
		acts_free(acts, body, body_size, ret);
		break;
	case GATEWAY_STRATEGIES:
		strategies(acts, ret);
		break;
	default:
		check(acts, body, body_size, ret);
	}
}
