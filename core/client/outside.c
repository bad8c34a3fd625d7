/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be asked of an appliance, and told it, by a process that has no client
 * there: one question on a stream of its own.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/ask.h"
#include "core/client/entry.h"
#include "core/client/error.h"
#include "core/client/settings.h"
#include "core/engine/control.h"
#include "core/pure/channel.h"
#include "core/pure/scheme.h"
#include "core/skin/os.h"

/* --- entries of lists ---------------------------------------------------------------- */

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
	ret->part = from->member;
}

size_t xm_list_entries(const struct xm_listed *listed, const char *appliance,
		       uint64_t *skip, struct extmem_region_entry *ret,
		       size_t got, size_t count)
{
	for (uint32_t i = 0; i < listed->count && got < count; i++) {
		if (*skip > 0)
			(*skip)--;
		else
			entry_of(&listed->entries[i], appliance, &ret[got++]);
	}
	return got;
}

/* --- a question -------------------------------------------------------------------------- */

struct question {
	const struct xm_channel_ops *ops;
	struct xm_channel *channel;
	struct xm_control control;
	char address[XM_ADDRESS_SIZE];
	bool ready, answered, failed;
	int status;
	struct xm_message answer;
	char words[XM_WORDS_MORE]; /* of AWAY, or "" */
	struct xm_client_settings settings; /* its credentials */
	struct xm_options *options;
};

/* The appliance's own words, where it refused. */
static void question_note(struct question *q, const struct xm_message *message)
{
	if (message != NULL && message->kind == XM_REFUSED)
		snprintf(q->words, sizeof(q->words), "%s",
			 message->u.refused.words);
}

static void question_report(void *owner, const struct xm_control_report *report)
{
	struct question *q = owner;

	switch (report->kind) {
	case XM_CONTROL_ANSWER:
		q->answered = true;
		q->status = report->status;
		if (report->message != NULL)
			q->answer = *report->message;
		question_note(q, report->message);
		break;
	case XM_CONTROL_AWAY:
		q->failed = true;
		q->status = report->status;
		if (report->words != NULL)
			snprintf(q->words, sizeof(q->words), "%s",
				 report->words);
		question_note(q, report->message);
		break;
	case XM_CONTROL_READY:
		q->ready = true;
		break;
	case XM_CONTROL_REVOKED:
	case XM_CONTROL_WANTED: /* of whoever's lease this is */
		break;
	case XM_CONTROL_LOST:
	case XM_CONTROL_LEAVING:
		q->failed = true;
		q->status = -ESTALE;
		break;
	}
}

/* As an observer, or as the client that has this lease. */
static int question_open(struct question *q, const char *call,
			 const char *address, const struct extmem_lease *lease,
			 uint32_t timeout_ms)
{
	struct xm_channel_options o = { .address = address, .peers_max = 1 };
	struct xm_hello hello = { .flags = XM_HELLO_OBSERVER };
	size_t length = strcspn(address, ":");
	char words[512] = "";
	int rc;

	q->ops = xm_scheme_channel(address);
	if (q->ops == NULL || strlen(address) >= XM_ADDRESS_SIZE)
		return xm_fail(-EINVAL, "%s: %s: no such transport: an address "
			       "is like ofi+tcp://host:7470", call, address);
	rc = xm_client_settings_load(call, NULL, &q->settings, &q->options);
	if (rc != 0)
		return rc;
	o.auth = q->settings.auth;
	o.insecure_plaintext = q->settings.insecure_plaintext;
	rc = q->ops->open(&o, words, sizeof(words), &q->channel);
	if (rc != 0)
		return xm_fail(rc, "%s: %s: %s", call, address, words);
	snprintf(q->address, sizeof(q->address), "%s", address);
	snprintf(hello.name, sizeof(hello.name), "observer");
	if (lease != NULL) {
		hello.flags = 0;
		hello.client = lease->client;
		memcpy(hello.secret, lease->secret, sizeof(hello.secret));
	}
	snprintf(hello.transport, sizeof(hello.transport), "%.*s",
		 (int)length, address);
	snprintf(hello.library, sizeof(hello.library), "extmem %s",
		 PACKAGE_VERSION);
	q->ops->resolve(q->channel, address); /* connect() reports a failure */
	xm_control_init(&q->control, question_report, q);
	xm_control_add(&q->control, address, q->ops, q->channel, &hello,
		       timeout_ms * XM_MS);
	if (lease != NULL)
		q->control.peers[0].session.welcome.incarnation =
			lease->incarnation;
	return 0;
}

static void question_why(const struct question *q, char *words,
			 size_t words_size)
{
	if (q->words[0] != '\0')
		snprintf(words, words_size, "%s: %s", q->address, q->words);
	else
		xm_channel_explain(q->address, q->status, false, words,
				   words_size);
}

static int question_ask(struct question *q, const char *call,
			const struct xm_message *message, uint32_t timeout_ms)
{
	uint64_t deadline_ns = os_now_ns() + timeout_ms * XM_MS;
	char words[XM_AWAY_WORDS];

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
	question_why(q, words, sizeof(words));
	return xm_fail(q->status, "%s: %s", call, words);
}

static void question_close(struct question *q)
{
	if (q->channel != NULL) {
		xm_control_end(&q->control, os_now_ns());
		q->ops->close(q->channel);
	}
	if (q->options != NULL)
		xm_options_close(q->options);
	os_free(q);
}

static void figures_read(const struct xm_figures *f, struct extmem_status *ret)
{
	ret->incarnation = xm_figures_get(f, XM_FIGURE_INCARNATION);
	ret->uptime_ms = xm_figures_get(f, XM_FIGURE_UPTIME_MS);
	ret->pool = xm_figures_get(f, XM_FIGURE_POOL);
	ret->free = xm_figures_get(f, XM_FIGURE_FREE);
	ret->free_run = xm_figures_get(f, XM_FIGURE_FREE_RUN);
	ret->leased = xm_figures_get(f, XM_FIGURE_LEASED);
	ret->quarantined = xm_figures_get(f, XM_FIGURE_QUARANTINED);
	ret->clients =
		(uint32_t)xm_figures_get(f, XM_FIGURE_CLIENTS);
	ret->clients_max =
		(uint32_t)xm_figures_get(f, XM_FIGURE_CLIENTS_MAX);
	ret->extents =
		(uint32_t)xm_figures_get(f, XM_FIGURE_EXTENTS);
	ret->extents_max =
		(uint32_t)xm_figures_get(f, XM_FIGURE_EXTENTS_MAX);
	ret->messages = xm_figures_get(f, XM_FIGURE_MESSAGES);
	ret->malformed = xm_figures_get(f, XM_FIGURE_MALFORMED);
	ret->refused = xm_figures_get(f, XM_FIGURE_REFUSED);
	ret->expired = xm_figures_get(f, XM_FIGURE_EXPIRED);
	ret->leaving =
		(uint32_t)xm_figures_get(f, XM_FIGURE_LEAVING);
	ret->load = (uint32_t)xm_figures_get(f, XM_FIGURE_LOAD);
	ret->goal = xm_figures_get(f, XM_FIGURE_GOAL);
	ret->wanted = xm_figures_get(f, XM_FIGURE_WANTED);
	ret->confined = xm_figures_get(f, XM_FIGURE_CONFINED);
	ret->filed = xm_figures_get(f, XM_FIGURE_FILED);
	ret->borrowed = xm_figures_get(f, XM_FIGURE_BORROWED);
	ret->identity = xm_figures_get(f, XM_FIGURE_IDENTITY);
	for (unsigned i = 0; i < XM_LENDERS_MAX; i++)
		ret->lenders[i] = xm_figures_get(f, (enum xm_figure)(XM_FIGURE_LENDER + i));
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
	rc = question_open(q, "extmem_status", appliance, NULL, timeout_ms);
	if (rc == 0)
		rc = question_ask(q, "extmem_status", &message, timeout_ms);
	if (rc == 0) {
		s = &q->answer.u.state;
		memcpy(status.name, s->name, sizeof(status.name));
		memcpy(status.provider, s->provider, sizeof(status.provider));
		memcpy(status.library, s->library, sizeof(status.library));
		memcpy(status.zone, s->zone, sizeof(status.zone));
		figures_read(&s->figures, &status);
		rc = xm_sized_copy("extmem_status", ret, &status,
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
	rc = question_open(q, "extmem_status", appliance, NULL, timeout_ms);
	while (rc == 0 && got < count) {
		rc = question_ask(q, "extmem_status", &message, timeout_ms);
		if (rc != 0)
			break;
		got = xm_list_entries(&q->answer.u.listed, appliance, &skip, ret,
				   got, count);
		message.u.list.cursor = q->answer.u.listed.cursor;
		if (message.u.list.cursor == 0)
			break;
	}
	question_close(q);
	return rc != 0 ? rc : (int)got;
}

/* Sends this message with the incarnation that answers now, which is its first field. */
static int tell(const char *call, const char *appliance,
		struct xm_message *message, uint32_t timeout_ms)
{
	struct question *q = os_alloc(sizeof(*q));
	struct xm_message status = { .kind = XM_STATUS };
	uint64_t incarnation;
	int rc;

	if (q == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	rc = question_open(q, call, appliance, NULL, timeout_ms);
	if (rc == 0)
		rc = question_ask(q, call, &status, timeout_ms);
	if (rc == 0) {
		incarnation = xm_figures_get(&q->answer.u.state.figures,
					     XM_FIGURE_INCARNATION);
		if (message->kind == XM_DRAIN)
			message->u.drain.incarnation = incarnation;
		else
			message->u.resize.incarnation = incarnation;
		rc = question_ask(q, call, message, timeout_ms);
	}
	question_close(q);
	return rc;
}

int extmem_drain(const char *appliance, uint32_t on, uint32_t timeout_ms)
{
	struct xm_message message = { .kind = XM_DRAIN };

	message.u.drain.on = on;
	return tell("extmem_drain", appliance, &message, timeout_ms);
}

int extmem_shrink(const char *appliance, uint64_t size, uint32_t timeout_ms)
{
	struct xm_message message = { .kind = XM_RESIZE };

	message.u.resize.size = size;
	return tell("extmem_shrink", appliance, &message, timeout_ms);
}

int extmem_orphan_free(const char *appliance, uint64_t extent, uint32_t timeout_ms)
{
	static const char call[] = "extmem_orphan_free";
	struct question *q = os_alloc(sizeof(*q));
	struct xm_message status = { .kind = XM_STATUS };
	struct xm_message message = { .kind = XM_FREE };
	int rc;

	if (q == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	message.u.free.extent = extent;
	rc = question_open(q, call, appliance, NULL, timeout_ms);
	/* FREE does not wait for the stream, as other requests do. */
	if (rc == 0)
		rc = question_ask(q, call, &status, timeout_ms);
	if (rc == 0)
		rc = question_ask(q, call, &message, timeout_ms);
	question_close(q);
	return rc;
}

/* --- the end of a lease --------------------------------------------------------------------- */

int extmem_lease_end(const struct extmem_lease *lease, uint32_t timeout_ms)
{
	uint64_t deadline_ns = os_now_ns() + timeout_ms * XM_MS;
	struct question *q;
	char words[XM_AWAY_WORDS];
	int rc;

	if (memchr(lease->appliance, '\0', sizeof(lease->appliance)) == NULL ||
	    lease->client == 0)
		return xm_fail(-EINVAL, "extmem_lease_end: that is no lease");
	q = os_alloc(sizeof(*q));
	if (q == NULL)
		return xm_fail(-ENOMEM, "extmem_lease_end: out of memory");
	rc = question_open(q, "extmem_lease_end", lease->appliance, lease,
			   timeout_ms);
	while (rc == 0 && !q->ready && !q->failed) {
		xm_control_turn(&q->control, os_now_ns());
		if (q->ready || q->failed)
			break;
		if (os_now_ns() >= deadline_ns) {
			q->failed = true;
			q->status = -ETIMEDOUT;
			break;
		}
		q->ops->wait(q->channel, -1, 5 * XM_MS);
	}
	if (rc == 0 && q->failed) {
		question_why(q, words, sizeof(words));
		rc = xm_fail(q->status, "extmem_lease_end: %s",
			     q->status == -ESTALE
				     ? "it has ended already, or was not"
				       " made with this certificate"
				     : words);
	}
	question_close(q); /* which says BYE, if it is ready */
	return rc;
}
