/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-directory: asks etcd for those who do not link libcurl (common/directory.h).
 *
 *	extmem-directory list URL [MS]	addresses, one a line; then "ok", or "no WORDS"
 *	extmem-directory keep URL	lines of an appliance come in, each the latest:
 *					ADDRESS, NAME, ZONE, MEMORY, FREE between tabs; "here"
 *					and "away WORDS" go out. It ends with its input, and
 *					takes the entry away.
 *
 * Floor: skin.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "directory/ask.h"
#include "directory/keep.h"
#include "directory/messages.h"

#define WORDS_MAX 512
#define LINE_MAX_SIZE 512
#define LIST_MS 4000

/* --- list ------------------------------------------------------------------- */

static int list(const struct xm_etcd_url *url, uint64_t timeout_ms)
{
	static struct xm_entry entries[XM_ENTRIES_MAX];
	char said[WORDS_MAX] = "", *body = xm_message_range(url->prefix);
	int count = -1;

	/* Each has its share of the time. */
	for (uint32_t i = 0; count < 0 && i < url->count; i++) {
		struct xm_asked a;
		struct xm_words words;
		uint32_t odd = 0;

		xm_words_begin(&words, said, sizeof(said));
		if (xm_ask_etcd(url->endpoints[i], "kv/range", body,
				xm_max(timeout_ms / url->count, 1), &a, &words)) {
			count = xm_answer_range(a.text, a.size, entries, &odd);
			if (count < 0)
				xm_words_add(&words, "its answer is not etcd's");
		}
		free(a.text);
	}
	free(body);
	for (int i = 0; i < count; i++)
		printf("%s\n", entries[i].address);
	if (count < 0)
		printf("no %s\n", said);
	else
		printf("ok\n");
	return count < 0;
}

/* --- keep ------------------------------------------------------------------- */

struct keeper {
	struct xm_keep machine;
	struct xm_etcd_url url;
	struct xm_entry entry;
	bool known; /* a line has come */
	char line[LINE_MAX_SIZE];
	size_t used;
	bool ended; /* its input has */
	char said[WORDS_MAX];
};

static bool take_field(char **line, char *to, size_t size)
{
	char *field = strsep(line, "\t");

	if (field == NULL || strlen(field) >= size)
		return false;
	strcpy(to, field);
	return true;
}

/* True: it says something else than the one before. */
static bool take_line(struct keeper *k, char *line)
{
	struct xm_entry e;
	char memory[24], left[24];

	memset(&e, 0, sizeof(e));
	if (!take_field(&line, e.address, sizeof(e.address)) ||
	    !take_field(&line, e.name, sizeof(e.name)) ||
	    !take_field(&line, e.zone, sizeof(e.zone)) ||
	    !take_field(&line, memory, sizeof(memory)) ||
	    !take_field(&line, left, sizeof(left)) || !xm_etcd_address_suits(e.address)) {
		fprintf(stderr, "extmem-directory: a line is not ADDRESS, NAME, ZONE,"
				" MEMORY, FREE between tabs\n");
		return false;
	}
	e.memory = strtoull(memory, NULL, 10);
	e.free = strtoull(left, NULL, 10);
	if (k->known && memcmp(&e, &k->entry, sizeof(e)) == 0)
		return false;
	k->entry = e;
	k->known = true;
	return true;
}

/* True: the entry has changed. */
static bool take_input(struct keeper *k)
{
	ssize_t n = read(STDIN_FILENO, k->line + k->used, sizeof(k->line) - 1 - k->used);
	bool changed = false;
	char *end;

	if (n <= 0) {
		k->ended = true;
		return false;
	}
	k->used += (size_t)n;
	k->line[k->used] = '\0';
	while ((end = strchr(k->line, '\n')) != NULL) {
		*end++ = '\0';
		changed |= take_line(k, k->line);
		k->used -= (size_t)(end - k->line);
		memmove(k->line, end, k->used + 1);
	}
	if (k->used == sizeof(k->line) - 1)
		k->used = 0; /* No line is so long. */
	return changed;
}

static char *body_of(const struct keeper *k, const struct xm_keep_effects *e)
{
	switch (e->request) {
	case XM_KEEP_GRANT:
		return xm_message_grant(XM_KEEP_TTL_S);
	case XM_KEEP_PUT:
		return xm_message_put(k->url.prefix, &k->entry, e->lease);
	default:
		return xm_message_lease(e->lease);
	}
}

static const char *const paths[] = {
	[XM_KEEP_GRANT] = "lease/grant",
	[XM_KEEP_PUT] = "kv/put",
	[XM_KEEP_RENEW] = "lease/keepalive",
	[XM_KEEP_REVOKE] = "lease/revoke",
};

/* What the answer means to the machine. */
static enum xm_keep_event_kind meaning(enum xm_keep_request request, const struct xm_asked *a,
				       struct xm_keep_event *ret)
{
	int rc = 0;

	if (request == XM_KEEP_GRANT)
		rc = xm_answer_grant(a->text, a->size, &ret->lease, &ret->ttl_s);
	else if (request == XM_KEEP_RENEW)
		rc = xm_answer_renew(a->text, a->size, &ret->ttl_s);
	if (rc != 0)
		return XM_KEEP_FAILED;
	if (request == XM_KEEP_RENEW && ret->ttl_s == 0)
		return XM_KEEP_LAPSED;
	return XM_KEEP_ANSWERED;
}

static struct xm_keep_event ask(struct keeper *k, const struct xm_keep_effects *e)
{
	struct xm_keep_event event = { .kind = XM_KEEP_FAILED };
	char *body = body_of(k, e);
	struct xm_words words;
	struct xm_asked a;

	xm_words_begin(&words, k->said, sizeof(k->said));
	if (xm_ask_etcd(k->url.endpoints[e->endpoint], paths[e->request], body,
			XM_KEEP_ANSWER_MS, &a, &words)) {
		event.kind = meaning(e->request, &a, &event);
		if (event.kind == XM_KEEP_FAILED)
			xm_words_add(&words, "its answer is not etcd's");
	} else if (a.status == 404 && e->request != XM_KEEP_GRANT &&
		   strstr(k->said, "lease not found") != NULL) {
		event.kind = XM_KEEP_LAPSED;
	}
	free(a.text);
	free(body);
	event.now_ns = xm_clock_ns();
	return event;
}

/* One event, and all requests that follow from it. */
static struct xm_keep_effects step(struct keeper *k, enum xm_keep_event_kind kind)
{
	struct xm_keep_event event = { .kind = kind, .now_ns = xm_clock_ns() };
	struct xm_keep_effects effects;

	for (;;) {
		xm_keep_step(&k->machine, &event, &effects);
		if (effects.say == XM_KEEP_HERE)
			printf("here\n");
		else if (effects.say == XM_KEEP_AWAY)
			printf("away %s\n", k->said);
		fflush(stdout);
		if (effects.request == XM_KEEP_NONE)
			return effects;
		event = ask(k, &effects);
	}
}

static int wait_ms(uint64_t wake_ns)
{
	uint64_t now_ns = xm_clock_ns();

	return wake_ns <= now_ns ? 0 : (int)((wake_ns - now_ns) / XM_MS + 1);
}

static int keep(const struct xm_etcd_url *url)
{
	static struct keeper k;
	struct xm_keep_effects effects = { .over = false };

	k.url = *url;
	xm_keep_init(&k.machine, url->count);
	while (!effects.over) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		enum xm_keep_event_kind kind = XM_KEEP_TIME;

		if (poll(&input, 1, k.known ? wait_ms(effects.wake_ns) : -1) > 0 &&
		    take_input(&k))
			kind = XM_KEEP_CHANGED;
		if (k.ended)
			kind = XM_KEEP_END;
		if (k.known || k.ended)
			effects = step(&k, kind);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char said[WORDS_MAX];
	struct xm_words words;
	struct xm_etcd_url url;
	bool lists = argc >= 3 && argc <= 4 && strcmp(argv[1], "list") == 0;
	uint64_t timeout_ms = argc == 4 ? strtoull(argv[3], NULL, 10) : LIST_MS;

	signal(SIGPIPE, SIG_IGN);
	if (!lists && (argc != 3 || strcmp(argv[1], "keep") != 0)) {
		fprintf(stderr, "usage: extmem-directory list URL [MILLISECONDS]\n"
				"       extmem-directory keep URL\n"
				"See extmem-directory(8).\n");
		return 2;
	}
	xm_words_begin(&words, said, sizeof(said));
	if (xm_etcd_url_read(argv[2], &url, &words) != 0) {
		printf("no %s\n", said);
		return 2;
	}
	if (xm_ask_begin() != 0) {
		printf("no libcurl cannot be set up\n");
		return 1;
	}
	return lists ? list(&url, xm_min(xm_max(timeout_ms, 1), 60000)) : keep(&url);
}
