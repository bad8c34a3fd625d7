/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that moves away; see source.h.
 *
 * The guest is paused before the migration begins: QEMU lets a guest that ran go on by
 * itself when a migration fails, and only move.c may say so. What is dirty is written back
 * once before, while the guest runs, so that the pause is short.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/machine/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

#define RSH_WORDS 32
#define HOUR_MS 3600000 /* for which the memory waits under its token */
#define AGAIN_NS (200 * XM_MS)
#define PART_NS (300 * XM_SECOND) /* an appliance's lease is long over then */

/* Of each state, until it is too late; 0: for ever. */
static const uint64_t patience_s[] = {
	[SOURCE_ASKED] = 90,	[SOURCE_STREAMING] = 60, [SOURCE_PARTING] = 90,
	[SOURCE_OFFERED] = 90,	[SOURCE_SWITCHING] = 90, [SOURCE_RECLAIMING] = 0,
	[SOURCE_STAYED] = 0,	[SOURCE_MOVED] = 0,	 [SOURCE_GONE] = 0,
	[SOURCE_LOST] = 0,
};

static void note(struct leaving *l, const char *words)
{
	if (l->why[0] == '\0')
		snprintf(l->why, sizeof(l->why), "%s", words);
}

/* --- the other side ---------------------------------------------------------------------------- */

/* Words of `rsh`, the host, `extmem vm COMMAND NAME`. False: too many. */
static bool far_line(struct leaving *l, char *rsh, const char *command, const char *name,
		     const char *argv[RSH_WORDS])
{
	const char *more[] = { l->host, "extmem", "vm", command, name };
	size_t count = 0;

	for (char *word = strtok(rsh, " "); word != NULL; word = strtok(NULL, " ")) {
		if (count + 6 >= RSH_WORDS)
			return false;
		argv[count++] = word;
	}
	for (size_t i = 0; i < 5; i++)
		argv[count++] = more[i];
	argv[count] = NULL;
	return true;
}

static int far_begin(struct leaving *l, const struct guest *g)
{
	const char *argv[RSH_WORDS];
	char rsh[sizeof(l->rsh)];
	int ends[2];

	snprintf(rsh, sizeof(rsh), "%s", l->rsh);
	if (!far_line(l, rsh, "receive", g->name, argv))
		return -E2BIG;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	l->process = fork();
	if (l->process == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setpgid(0, 0);
		dup2(ends[1], 0);
		dup2(ends[1], 1);
		execvp(argv[0], (char **)(uintptr_t)argv);
		fprintf(stderr, "extmem vm: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	lines_open(&l->far, ends[0], ends[0]);
	return l->process > 0 ? 0 : -EAGAIN;
}

static void far_end(struct leaving *l)
{
	lines_close(&l->far);
	if (l->process > 0 && waitpid(l->process, NULL, WNOHANG) == 0)
		kill(l->process, SIGTERM); /* the minder reaps it */
	l->process = 0;
}

/* --- effects ------------------------------------------------------------------------------------- */

static void feed(struct leaving *, struct guest *, enum source_event);

static int stream(struct leaving *l, struct guest *g)
{
	const char *argv[RSH_WORDS];
	char rsh[sizeof(l->rsh)], uri[1024] = "exec:";
	int rc = guest_write_back(g);

	snprintf(rsh, sizeof(rsh), "%s", l->rsh);
	if (rc != 0 || !far_line(l, rsh, "stream", g->name, argv))
		return rc;
	for (size_t i = 0; argv[i] != NULL; i++) {
		size_t used = strlen(uri);

		if (strpbrk(argv[i], "'\"\\$`;&|<>()*?\n") != NULL ||
		    snprintf(uri + used, sizeof(uri) - used, "%s%s", i > 0 ? " " : "",
			     argv[i]) >= (int)(sizeof(uri) - used))
			return -EINVAL;
	}
	l->paused_ns = xm_clock_ns();
	rc = guest_do(g, "stop", NULL, NULL);
	if (rc == 0)
		rc = guest_do(g, "migrate", json_pack("{ss}", "uri", uri), NULL);
	return rc;
}

static int ask_part(struct guest *g)
{
	char command[64];

	snprintf(command, sizeof(command), "part %d", HOUR_MS);
	return guest_ask(g, command);
}

static void part(struct leaving *l, struct guest *g)
{
	uint64_t began = xm_clock_ns();

	l->part_until_ns = began + PART_NS;
	if (guest_write_back(g) != 0 || ask_part(g) != 0) {
		note(l, "its memory cannot be written back");
		feed(l, g, SOURCE_PART_FAILED);
		return;
	}
	l->flush_ms = (xm_clock_ns() - began) / XM_MS;
	l->asks = LEAVING_PARTS;
}

/* Nothing is written back again: it is all there, and what is half handed over takes no
 * more. */
static void part_again(struct leaving *l, struct guest *g)
{
	l->again_ns = 0;
	if (ask_part(g) != 0)
		feed(l, g, SOURCE_PART_FAILED); /* who serves it has ended */
}

static void reclaim(struct leaving *l, struct guest *g)
{
	char command[128];
	int rc;

	if (l->reclaim_until_ns == 0)
		l->reclaim_until_ns = l->now_ns + (uint64_t)HOUR_MS * XM_MS;
	snprintf(command, sizeof(command), "adopt %s", l->token);
	l->asks = LEAVING_RECLAIMS;
	rc = guest_ask(g, command);
	l->again_ns = rc == 0 ? 0 : l->now_ns + AGAIN_NS;
	if (rc == 0 || (rc == -EBUSY && l->now_ns <= l->reclaim_until_ns))
		return;
	note(l, "who serves its memory here does not answer");
	l->asks = LEAVING_ASKS_NOTHING;
	feed(l, g, SOURCE_RECLAIM_GONE);
}

static bool is_under_way(struct guest *g)
{
	static const char *const names[] = { "setup", "active", "pre-switchover", "device",
					     "cancelling" };
	char status[32];

	guest_migration(g, status, sizeof(status));
	for (size_t i = 0; i < XM_COUNT(names); i++)
		if (strcmp(status, names[i]) == 0)
			return true;
	return false;
}

static void resume(struct leaving *l, struct guest *g)
{
	uint64_t limit = xm_clock_ns() + 10 * XM_SECOND;
	size_t used;
	int rc;

	guest_do(g, "migrate_cancel", NULL, NULL);
	while (is_under_way(g) && xm_clock_ns() < limit)
		usleep(5000);
	while ((rc = guest_do(g, "cont", NULL, NULL)) != 0 && !g->qmp.ended &&
	       xm_clock_ns() < limit)
		usleep(50000);
	if (rc == 0)
		return;
	used = strnlen(l->why, sizeof(l->why) / 2);
	snprintf(l->why + used, sizeof(l->why) - used,
		 "; and it is here, but stays paused: %.200s", g->words);
}

static void figures(struct leaving *l, struct guest *g)
{
	json_t *answer = NULL;
	json_int_t bytes = 0;

	l->pause_ms = (xm_clock_ns() - l->paused_ns) / XM_MS;
	if (guest_do(g, "query-migrate", NULL, &answer) != 0)
		return;
	json_unpack(answer, "{s{sI}}", "ram", "transferred", &bytes);
	l->bytes = (uint64_t)bytes;
	json_decref(answer);
}

static void act(struct leaving *l, struct guest *g, unsigned effects)
{
	if ((effects & SOURCE_DO_ABORT) != 0) {
		lines_write(&l->far, json_pack("{ss}", "abort", l->why));
		far_end(l);
	}
	if ((effects & SOURCE_DO_STREAM) != 0 && stream(l, g) != 0) {
		note(l, g->words[0] != '\0' ? g->words : "the migration does not begin");
		feed(l, g, SOURCE_STREAM_FAILED);
	}
	if ((effects & SOURCE_DO_PART) != 0) {
		if (l->part_until_ns == 0)
			part(l, g);
		else
			l->again_ns = l->now_ns + AGAIN_NS;
	}
	if ((effects & SOURCE_DO_OFFER) != 0)
		lines_write(&l->far, json_pack("{ss}", "adopt", l->token));
	if ((effects & SOURCE_DO_SWITCH) != 0 &&
	    guest_do(g, "migrate-continue", json_pack("{ss}", "state", "pre-switchover"),
		     NULL) != 0) {
		note(l, g->words);
		feed(l, g, SOURCE_STREAM_FAILED);
	}
	if ((effects & SOURCE_DO_RECLAIM) != 0) {
		/* At once first, and then in a while. */
		if (l->reclaim_until_ns == 0)
			reclaim(l, g);
		else
			l->again_ns = l->now_ns + AGAIN_NS;
	}
	if ((effects & SOURCE_DO_RESUME) != 0)
		resume(l, g);
	if ((effects & SOURCE_DO_END) != 0) {
		figures(l, g);
		guest_do(g, "quit", NULL, NULL);
	}
}

static void feed(struct leaving *l, struct guest *g, enum source_event e)
{
	enum source_state before = l->machine.state;
	unsigned effects = source_step(&l->machine, e);
	uint64_t patience = patience_s[l->machine.state] * XM_SECOND;

	if (l->machine.state != before)
		l->deadline_ns = patience > 0 ? l->now_ns + patience : UINT64_MAX;
	act(l, g, effects);
	if (source_is_over(&l->machine) && l->active) {
		l->active = false;
		far_end(l);
	}
}

/* --- events ----------------------------------------------------------------------------------------- */

static void look_far(struct leaving *l, struct guest *g)
{
	json_t *said;

	while (l->active && (said = lines_read(&l->far, 0)) != NULL) {
		const char *words = json_string_value(json_object_get(said, "failed"));

		if (words != NULL)
			note(l, words);
		if (words != NULL)
			feed(l, g, SOURCE_FAR_FAILED);
		else if (json_is_true(json_object_get(said, "ready")))
			feed(l, g, SOURCE_FAR_READY);
		else if (json_is_true(json_object_get(said, "adopted")))
			feed(l, g, SOURCE_FAR_ADOPTED);
		else if (json_is_true(json_object_get(said, "runs")))
			feed(l, g, SOURCE_FAR_RUNS);
		json_decref(said);
	}
	if (l->active && l->far.ended && l->far.in >= 0) {
		lines_close(&l->far);
		note(l, "nothing is heard of the other side any more");
		feed(l, g, SOURCE_FAR_FAILED);
	}
}

static void look_migration(struct leaving *l, struct guest *g)
{
	char status[32];

	if (l->machine.state < SOURCE_STREAMING || l->machine.state > SOURCE_SWITCHING)
		return;
	guest_migration(g, status, sizeof(status));
	if (l->machine.state == SOURCE_STREAMING && strcmp(status, "pre-switchover") == 0) {
		feed(l, g, SOURCE_AT_SWITCH);
	} else if (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0) {
		note(l, "the stream between the two QEMUs has failed");
		feed(l, g, SOURCE_STREAM_FAILED);
	}
}

static void look_parting(struct leaving *l, struct guest *g, const char *answer, int error)
{
	if (error == 0 && sscanf(answer, "parted %63s", l->token) == 1) {
		feed(l, g, SOURCE_PARTED);
		return;
	}
	note(l, answer);
	if (error != EINPROGRESS) {
		feed(l, g, SOURCE_PART_FAILED);
		return;
	}
	l->asks = LEAVING_PARTS;
	feed(l, g, l->now_ns < l->part_until_ns ? SOURCE_PART_HALF : SOURCE_PART_GONE);
}

/* What became of the memory. */
static void look_memory(struct leaving *l, struct guest *g)
{
	char answer[GUEST_WORDS];
	bool parts = l->asks == LEAVING_PARTS, ok;
	int error = 0;

	if (l->asks == LEAVING_ASKS_NOTHING)
		return;
	if (l->again_ns > 0) {
		if (l->now_ns >= l->again_ns && parts)
			part_again(l, g);
		else if (l->now_ns >= l->again_ns)
			reclaim(l, g);
		return;
	}
	if (!guest_answer(g, answer, sizeof(answer)))
		return;
	l->asks = LEAVING_ASKS_NOTHING;
	ok = sscanf(answer, "failed %d", &error) != 1;
	if (parts) {
		look_parting(l, g, answer, error);
	} else if (ok) {
		feed(l, g, SOURCE_RECLAIMED);
	} else if (error == ENOENT || error == ENODATA || l->now_ns > l->reclaim_until_ns) {
		note(l, answer);
		feed(l, g, SOURCE_RECLAIM_GONE);
	} else {
		l->asks = LEAVING_RECLAIMS;
		feed(l, g, SOURCE_RECLAIM_BUSY);
	}
}

void leaving_look(struct leaving *l, struct guest *g)
{
	l->now_ns = xm_clock_ns();
	look_far(l, g);
	if (l->active)
		look_migration(l, g);
	if (l->active)
		look_memory(l, g);
	if (l->active && l->now_ns > l->deadline_ns) {
		l->deadline_ns = UINT64_MAX; /* of this state it is said once */
		note(l, "it has taken too long");
		feed(l, g, SOURCE_LATE);
	}
}

void leaving_guest_ended(struct leaving *l, struct guest *g)
{
	l->now_ns = xm_clock_ns();
	note(l, "QEMU has ended");
	feed(l, g, SOURCE_GUEST_ENDED);
}

int leaving_begin(struct leaving *l, struct guest *g, const char *host, const char *rsh)
{
	json_t *answer = NULL;
	int rc = guest_do(g, "query-status", NULL, &answer);

	memset(l, 0, sizeof(*l));
	lines_open(&l->far, -1, -1);
	l->now_ns = l->began_ns = xm_clock_ns();
	l->deadline_ns = l->now_ns + patience_s[SOURCE_ASKED] * XM_SECOND;
	snprintf(l->host, sizeof(l->host), "%s", host);
	snprintf(l->rsh, sizeof(l->rsh), "%s", rsh);
	if (rc == 0 && !json_is_true(json_object_get(answer, "running"))) {
		snprintf(g->words, sizeof(g->words), "the guest is paused: let it run first");
		rc = -EBUSY;
	}
	json_decref(answer);
	if (rc == 0 && (rc = far_begin(l, g)) != 0)
		snprintf(g->words, sizeof(g->words), "%s: %s", l->rsh, strerror(-rc));
	if (rc == 0)
		rc = lines_write(&l->far, json_pack("{si ss sI sO sO}", "extmem-vm", 1, "name",
						    g->name, "size", (json_int_t)g->size,
						    "line", g->line, "settings",
						    g->settings));
	if (rc != 0) {
		note(l, g->words);
		far_end(l);
		return rc;
	}
	l->active = true;
	return 0;
}
