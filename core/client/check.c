/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be asked about strategies by a process that has no client. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/entry.h"
#include "core/client/error.h"
#include "core/client/settings.h"
#include "core/client/strategies.h"
#include "core/pure/plan.h"
#include "core/skin/os.h"

/* Of extmemd, which no question without a client tells. */
#define GRANULE (64 * XM_KIB)
#define PATIENCE_MS 5000

/* --- stored strategies ------------------------------------------------------ */

static void write_strategy(const struct xm_strategy *s, char *text, size_t size)
{
	struct xm_words w;

	xm_words_begin(&w, text, size);
	xm_strategy_write(s, &w);
}

int extmem_strategy_read(const char *const settings[], const char *strategy,
			 struct extmem_strategy *ret)
{
	static const char call[] = "extmem_strategy_read";
	struct extmem_strategy found = { .size = 0 };
	struct xm_client_settings s;
	struct xm_options *options = NULL;
	bool none = false;
	struct xm_strategy *parsed = os_alloc(sizeof(*parsed));
	int rc = parsed == NULL ? xm_fail(-ENOMEM, "%s: out of memory", call)
				: xm_client_settings_load(call, settings, &s,
							  &options);

	if (rc == 0 && strategy == NULL) {
		strategy = s.strategy;
		none = s.strategy[0] == '\0';
	}
	if (rc == 0 && !none)
		rc = xm_strategy_read(call, &s.strategies, strategy, parsed);
	if (rc == 0 && !none)
		write_strategy(parsed, found.text, sizeof(found.text));
	if (rc == 0)
		rc = xm_sized_copy(call, ret, &found, sizeof(found));
	xm_options_close(options);
	os_free(parsed);
	return rc;
}

int extmem_strategy_list(const char *const settings[], size_t skip,
			 struct extmem_strategy *ret, size_t count)
{
	struct xm_client_settings s;
	struct xm_options *options = NULL;
	size_t got = 0;
	int rc = xm_client_settings_load("extmem_strategy_list", settings, &s,
					 &options);

	for (size_t i = skip; rc == 0 && i < s.strategies.count && got < count;
	     i++) {
		const char *item = s.strategies.items[i];
		size_t size = strcspn(item, "=");

		memset(&ret[got], 0, sizeof(ret[got]));
		ret[got].size = sizeof(ret[got]);
		snprintf(ret[got].name, sizeof(ret[got].name), "%.*s",
			 (int)size, item);
		snprintf(ret[got].text, sizeof(ret[got].text), "%s",
			 item + size + 1);
		got++;
	}
	xm_options_close(options);
	return rc != 0 ? rc : (int)got;
}

/* --- where a region would go ------------------------------------------------ */

/* What a check needs, all in one. */
struct check {
	struct xm_client_settings settings;
	struct xm_strategy strategy;
	struct xm_plan_offer offers[XM_APPLIANCES_MAX];
	uint32_t count;
	struct xm_plan plan;
	struct extmem_plan result;
};

/* One after the other: each may take its time. */
static void ask_all(struct check *c)
{
	uint64_t timeout_ms = xm_min(c->settings.timeout_ns / XM_MS,
				     PATIENCE_MS);

	c->count = (uint32_t)c->settings.appliance.count;
	for (uint32_t a = 0; a < c->count; a++) {
		struct extmem_status status = { .size = sizeof(status) };
		struct xm_plan_offer *offer = &c->offers[a];

		offer->address = c->settings.appliance.items[a];
		xm_host_of(offer->address, offer->host);
		if (extmem_status(offer->address, (uint32_t)timeout_ms,
				  &status) != 0)
			continue;
		offer->ready = true;
		offer->leaving = status.leaving != 0;
		offer->incarnation = status.incarnation;
		offer->free = status.free;
		offer->free_run = status.free_run;
		offer->soon = status.quarantined;
		offer->load = status.load;
		memcpy(offer->name, status.name, sizeof(offer->name));
		memcpy(offer->zone, status.zone, sizeof(offer->zone));
	}
}

static void result_appliances(struct check *c)
{
	struct extmem_plan *r = &c->result;

	r->appliances_count = c->count;
	for (uint32_t a = 0; a < c->count; a++) {
		struct extmem_plan_appliance *to = &r->appliances[a];
		const struct xm_plan_offer *from = &c->offers[a];
		struct xm_words w;

		snprintf(to->address, sizeof(to->address), "%s", from->address);
		memcpy(to->name, from->name, sizeof(to->name));
		memcpy(to->zone, from->zone, sizeof(to->zone));
		to->free = from->free;
		to->load = from->load;
		xm_words_begin(&w, to->reason, sizeof(to->reason));
		xm_plan_why(&c->plan, c->offers, a, &w);
	}
}

static void result_runs(struct check *c)
{
	const struct xm_strategy_choice *choice =
		&c->strategy.choices[c->plan.choice];
	struct extmem_plan *r = &c->result;
	struct xm_words w;

	r->choice = c->plan.choice;
	r->columns = choice->columns;
	r->copies = choice->mirrors;
	r->unit = choice->unit;
	xm_words_begin(&w, r->text, sizeof(r->text));
	xm_strategy_write_choice(choice, &w);
	r->runs_count = c->plan.runs_count;
	for (uint32_t i = 0; i < r->runs_count; i++) {
		const struct xm_plan_run *from = &c->plan.runs[i];

		r->runs[i].size = from->size;
		for (uint32_t k = 0; k < r->columns * r->copies; k++) {
			uint32_t a = from->appliances[k];

			r->runs[i].appliances[k] = (uint8_t)a;
			r->appliances[a].bytes += from->size / r->columns;
		}
	}
}

static int check(struct check *c, const char *strategy, uint64_t size)
{
	static const char call[] = "extmem_strategy_check";
	struct extmem_plan *r = &c->result;
	struct xm_words w;
	int rc;

	if (c->settings.appliance.count == 0 ||
	    c->settings.appliance.count > XM_APPLIANCES_MAX)
		return xm_fail(-EINVAL, "%s: %zu appliances: from 1 to %d",
			       call, c->settings.appliance.count,
			       XM_APPLIANCES_MAX);
	rc = xm_strategy_read(call, &c->settings.strategies,
			      strategy != NULL ? strategy
					       : c->settings.strategy,
			      &c->strategy);
	if (rc == 0)
		rc = xm_strategy_size(call, &c->strategy, GRANULE, &size);
	if (rc != 0)
		return rc;
	ask_all(c);
	r->region_size = size;
	r->status = xm_plan_make(&c->strategy, c->offers, c->count, size,
				 GRANULE, 0, &c->plan);
	xm_words_begin(&w, r->words, sizeof(r->words));
	if (r->status != 0)
		xm_plan_explain(&c->strategy, c->offers, c->count, size,
				GRANULE, &c->plan, r->status, &w);
	result_appliances(c);
	result_runs(c);
	return 0;
}

int extmem_strategy_check(const char *const settings[], const char *strategy,
			  uint64_t size, struct extmem_plan *ret)
{
	static const char call[] = "extmem_strategy_check";
	struct xm_options *options = NULL;
	struct check *c = os_alloc(sizeof(*c));
	int rc;

	if (c == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	rc = xm_client_settings_load(call, settings, &c->settings, &options);
	if (rc == 0)
		rc = xm_client_settings_resolve(call, settings, &c->settings, &options);
	if (rc == 0)
		rc = check(c, strategy, size);
	if (rc == 0)
		rc = xm_sized_copy(call, ret, &c->result, sizeof(c->result));
	xm_options_close(options);
	os_free(c);
	return rc;
}
