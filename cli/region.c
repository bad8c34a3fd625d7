/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem region`: regions that wait for a program, made, listed, given on, shared and freed.
 * Each is one that was handed over: whoever has its token adopts it.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "common/options_shared.h"
#include "core/extmem.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#define LIST_COUNT 64 /* at one call */
#define ANSWER_MS 5000

struct region_settings {
	struct xm_option_list appliance;
	const char *name, *strategy, *to;
	uint64_t size, for_ns, extent;
	bool for_ever, durable, json;
};

static const struct xm_option options[] = {
	XM_SHARED_APPLIANCE(struct region_settings, appliance,
		"An appliance that has the region, or may be given it. May be "
		"repeated. Without it, those of the settings; see extmem(5)."),
	XM_SHARED_SIZE(struct region_settings, size,
		"create: the size of the region.", .value = "1G", .min = 1),
	{ .name = "name",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'n',
	  .help = "create, copy: its name, for people.",
	  .destination = offsetof(struct region_settings, name) },
	XM_SHARED_STRATEGY(struct region_settings, strategy,
		"Where memory goes, and how many copies of it there are. A "
		"region with copies needs it at every command."),
	{ .name = "for",
	  .kind = XM_OPTION_DURATION,
	  .value = "10m",
	  .min = XM_MS,
	  .max = 49 * 86400 * XM_SECOND,
	  .help = "create, hand-over, copy: how long the region waits to be adopted. "
		  "Then its memory is zeroed and free. share: how long readers "
		  "may come.",
	  .destination = offsetof(struct region_settings, for_ns) },
	{ .name = "for_ever",
	  .kind = XM_OPTION_FLAG,
	  .help = "It waits as long as its appliances run; readers may come as "
		  "long as it is shared.",
	  .destination = offsetof(struct region_settings, for_ever) },
	{ .name = "durable",
	  .kind = XM_OPTION_FLAG,
	  .help = "create: it outlives its appliances, which need a store "
		  "(extmemd --store), and its token is good for more than once.",
	  .destination = offsetof(struct region_settings, durable) },
	{ .name = "to",
	  .kind = XM_OPTION_TEXT,
	  .unit = "IDENTITY",
	  .help = "create, hand-over, copy: who alone may adopt it; share: who alone "
		  "may read it: a name in a certificate, or uid:N.",
	  .destination = offsetof(struct region_settings, to) },
	{ .name = "extent",
	  .kind = XM_OPTION_COUNT,
	  .max = INT64_MAX,
	  .unit = "N",
	  .help = "rm, in place of a token: the piece of memory that waits "
		  "under this number, as list shows it, at the one "
		  "--appliance. Nothing brings it back.",
	  .destination = offsetof(struct region_settings, extent) },
	XM_SHARED_JSON(struct region_settings, json,
		"Print JSON."),
};

static const struct xm_option_table table = {
	.program = "extmem region",
	.usage = "create|list|hand-over TOKEN|copy TOKEN|share TOKEN|show TOKEN|rm TOKEN|"
		 "rm --extent N [OPTION]...",
	.about = "Makes a region that waits for a program, and prints its token; "
		 "lists the regions of appliances, those that wait among them; "
		 "gives a region a new token; copies it at its appliances; lets "
		 "programs read it; or frees it. "
		 "Whoever has a token has the region: a program adopts it with "
		 "extmem_region_adopt(3), or reads what is shared with "
		 "extmem_region_open(3).",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- a client for a moment ------------------------------------------------- */

static extmem *client_open(const struct region_settings *s)
{
	char texts[EXTMEM_APPLIANCES_MAX + 1][512];
	const char *settings[EXTMEM_APPLIANCES_MAX + 2] = { NULL };
	unsigned count = 0;
	extmem *x = NULL;

	for (size_t i = 0; i < s->appliance.count &&
			   count < EXTMEM_APPLIANCES_MAX; i++) {
		snprintf(texts[count], sizeof(texts[0]), "appliance=%s",
			 s->appliance.items[i]);
		settings[count] = texts[count];
		count++;
	}
	if (s->strategy != NULL) {
		snprintf(texts[count], sizeof(texts[0]), "strategy=%s",
			 s->strategy);
		settings[count] = texts[count];
	}
	if (extmem_open(settings, &x) < 0)
		command_say("region", "%s", extmem_error());
	return x;
}

static int say_token(const struct region_settings *s, const char *token,
		     const char *name, uint64_t size)
{
#ifdef HAVE_JANSSON
	if (s->json) {
		json_t *root = json_pack("{ss ss sI}", "token", token, "name",
					 name, "size", (json_int_t)size);

		if (root == NULL || json_dumpf(root, stdout, JSON_INDENT(2)) < 0)
			return COMMAND_NO;
		putchar('\n');
		json_decref(root);
		return COMMAND_OK;
	}
#endif
	(void)s, (void)name, (void)size;
	printf("%s\n", token);
	return COMMAND_OK;
}

/* The region waits from now on, and this client knows no more of it. */
static int leave(const struct region_settings *s, extmem_region *region)
{
	struct extmem_hand_over o = {
		.size = sizeof(o),
		.ms = s->for_ever ? EXTMEM_FOR_EVER : s->for_ns / XM_MS,
		.identity = s->to,
	};
	char token[EXTMEM_TOKEN_SIZE];
	int rc;

	if (s->durable)
		rc = extmem_region_keep_durable(region, o.ms, token);
	else
		rc = extmem_region_hand_over(region, &o, token);
	if (rc < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return say_token(s, token, extmem_region_name(region),
			 extmem_region_size(region));
}

static int create(const struct region_settings *s, extmem *x)
{
	extmem_region *region;

	if (extmem_region_alloc(x, s->name, s->size, &region) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return leave(s, region);
}

static int hand_over(const struct region_settings *s, extmem *x,
		     const char *token)
{
	extmem_region *region;

	if (extmem_region_adopt(x, token, 0, &region) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return leave(s, region);
}

/* The region waits under its token again, and the copy under another one. */
static int copy(const struct region_settings *s, extmem *x, const char *token)
{
	extmem_region *region, *made;

	if (extmem_region_adopt(x, token, EXTMEM_ADOPT_KEPT, &region) < 0 ||
	    extmem_region_copy(region,
			       s->name != NULL && s->name[0] != '\0'
				       ? s->name : extmem_region_name(region),
			       &made) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return leave(s, made);
}

static int rm(extmem *x, const char *token)
{
	extmem_region *region;

	if (extmem_region_adopt(x, token, 0, &region) < 0 ||
	    extmem_region_free(region) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return COMMAND_OK;
}

/* Keeps the region until it is told to end; then it waits under its own token again. */
static int share(const struct region_settings *s, extmem *x, const char *token)
{
	struct extmem_share o = {
		.size = sizeof(o),
		.ms = s->for_ever ? EXTMEM_FOR_EVER : s->for_ns / XM_MS,
		.identity = s->to,
	};
	char readers[EXTMEM_TOKEN_SIZE];
	extmem_region *region;
	sigset_t ends;
	int signal;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (extmem_region_adopt(x, token, EXTMEM_ADOPT_KEPT, &region) < 0 ||
	    extmem_region_share(region, &o, readers) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	say_token(s, readers, extmem_region_name(region), extmem_region_size(region));
	fflush(stdout);
	sigwait(&ends, &signal);
	if (extmem_region_revoke(region) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return COMMAND_OK;
}

/* What a token for readers stands for. */
static int show(const struct region_settings *s, extmem *x, const char *token)
{
	extmem_region *region;

	if (extmem_region_open(x, token, 0, &region) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	if (s->json)
		return say_token(s, token, extmem_region_name(region),
				 extmem_region_size(region));
	printf("%s, %.1f MiB, may be read by this token\n",
	       extmem_region_name(region)[0] ? extmem_region_name(region)
					     : "a region without a name",
	       (double)extmem_region_size(region) / XM_MIB);
	return COMMAND_OK;
}

/* What nobody has the token of any more. */
static int rm_extent(const struct region_settings *s)
{
	if (s->appliance.count != 1) {
		command_say("region", "rm --extent: at which appliance? Name one "
			    "with --appliance");
		return COMMAND_USAGE;
	}
	if (extmem_orphan_free(s->appliance.items[0], s->extent, ANSWER_MS) < 0) {
		command_say("region", "%s", extmem_error());
		return COMMAND_NO;
	}
	return COMMAND_OK;
}

/* --- list ----------------------------------------------------------------- */

static void print_entry(const struct extmem_region_entry *e)
{
	char waits[40];

	snprintf(waits, sizeof(waits), "(waits: %llu)",
		 (unsigned long long)e->extent);
	printf("%-18.18s %-21.21s %9.1f  %s\n", e->name[0] ? e->name : "-",
	       e->client == 0 ? waits : e->owner,
	       (double)e->size / XM_MIB, e->appliance);
}

#ifdef HAVE_JANSSON
static void add_entry(json_t *list, const struct extmem_region_entry *e)
{
	json_array_append_new(
		list, json_pack("{ss ss ss sb sI sI si}", "name", e->name,
				"owner", e->owner, "appliance", e->appliance,
				"waits", e->client == 0, "extent",
				(json_int_t)e->extent, "size",
				(json_int_t)e->size, "part", (int)e->part));
}
#endif

static int list(const struct region_settings *s, extmem *x)
{
	static struct extmem_region_entry entries[LIST_COUNT];
	uint64_t skip = 0;
	int count;
#ifdef HAVE_JANSSON
	json_t *all = json_array();
#endif

	if (!s->json)
		printf("%-18s %-21s %9s  %s\n", "REGION", "OWNER", "MIB",
		       "APPLIANCE");
	do {
		count = extmem_region_list(x, skip, entries, LIST_COUNT);
		for (int i = 0; i < count; i++) {
#ifdef HAVE_JANSSON
			if (s->json)
				add_entry(all, &entries[i]);
#endif
			if (!s->json)
				print_entry(&entries[i]);
		}
		skip += LIST_COUNT;
	} while (count == LIST_COUNT);
	if (count < 0)
		command_say("region", "%s", extmem_error());
#ifdef HAVE_JANSSON
	if (s->json && count >= 0) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(all);
#endif
	return count < 0 ? COMMAND_NO : COMMAND_OK;
}

/* --- the command ---------------------------------------------------------- */

static int act(const struct region_settings *s, const char *what,
	       const char *token)
{
	bool wants = strcmp(what, "hand-over") == 0 || strcmp(what, "rm") == 0 ||
		     strcmp(what, "share") == 0 || strcmp(what, "show") == 0 ||
		     strcmp(what, "copy") == 0;
	int status = COMMAND_USAGE;
	extmem *x;

	if (!wants && strcmp(what, "create") != 0 && strcmp(what, "list") != 0) {
		command_say("region", "\"%s\" is none of create, list, "
			    "hand-over, copy, share, show, rm", what);
		return COMMAND_USAGE;
	}
	if (s->extent != 0 && what[0] == 'r' && token == NULL)
		return rm_extent(s);
	if (s->extent != 0) {
		command_say("region", "--extent is for rm without a token");
		return COMMAND_USAGE;
	}
	if (wants != (token != NULL)) {
		command_say("region", wants ? "%s: which region? Give its token"
					    : "%s takes no token", what);
		return COMMAND_USAGE;
	}
	if (s->durable && (strcmp(what, "create") != 0 || (s->to != NULL && s->to[0] != '\0'))) {
		command_say("region", "--durable is for create, and without --to");
		return COMMAND_USAGE;
	}
	x = client_open(s);
	if (x == NULL)
		return COMMAND_NO;
	switch (what[0]) {
	case 'c':
		status = what[1] == 'r' ? create(s, x) : copy(s, x, token);
		break;
	case 'l': status = list(s, x); break;
	case 'h': status = hand_over(s, x, token); break;
	case 'r': status = rm(x, token); break;
	case 's':
		status = what[2] == 'a' ? share(s, x, token) : show(s, x, token);
		break;
	}
	extmem_close(x);
	return status;
}

int command_region(int argc, char *argv[])
{
	static struct region_settings settings;
	const char *words[2] = { NULL, NULL };
	struct xm_options *o;
	int leading = 0, rest, status;

	while (leading < 2 && leading + 1 < argc &&
	       argv[leading + 1][0] != '-') {
		words[leading] = argv[leading + 1];
		leading++;
	}
	argv[leading] = argv[0];
	argc -= leading;
	argv += leading;
	status = command_options(&table, &settings, argc, argv, &o, &rest);
	while (status < 0 && leading < 2 && rest < argc)
		words[leading++] = argv[rest++];
#ifndef HAVE_JANSSON
	if (status < 0 && settings.json) {
		command_say("region", "--json: this build has no jansson");
		status = COMMAND_USAGE;
	}
#endif
	if (status < 0 && (words[0] == NULL || rest < argc)) {
		command_say("region", words[0] == NULL
			    ? "what? create, list, hand-over TOKEN, copy TOKEN, "
			      "share TOKEN, show TOKEN, rm TOKEN"
			    : "one region at a time");
		status = COMMAND_USAGE;
	}
	if (status < 0)
		status = act(&settings, words[0], words[1]);
	xm_options_close(o);
	return status;
}
