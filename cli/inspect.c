/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem info` and `extmem status`: what is built in and how an appliance is
 * reached; what an appliance has and who has it.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "common/directory.h"
#include "common/options_shared.h"
#include "core/extmem.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#define LIST_COUNT 64
#define TIMEOUT_MS 5000

static void mib(uint64_t bytes, char text[32])
{
	snprintf(text, 32, "%.1f MiB", (double)bytes / XM_MIB);
}

#define CONFINED_SIZE 192 /* bytes of the sentence */

/* What the processes that move bytes have given up. */
static void confinement(uint64_t confined, char *ret, size_t size)
{
	static const struct {
		uint64_t bit;
		const char *holds, *lacks;
	} parts[] = {
		{ EXTMEM_CONFINED_TENANTS, "one for each tenant", "one for all" },
		{ EXTMEM_CONFINED_USER, "not root", "root" },
		{ EXTMEM_CONFINED_CAPABILITIES, "no capabilities", "capabilities" },
		{ EXTMEM_CONFINED_TRACING, "hidden from tracing", "can be traced" },
		{ EXTMEM_CONFINED_FILES, "no files (Landlock)", "files" },
		{ EXTMEM_CONFINED_CALLS, "few system calls (seccomp)",
		  "all system calls" },
	};
	size_t used = 0;

	snprintf(ret, size, "it does not say how it is confined");
	for (size_t i = 0; confined != 0 && i < XM_COUNT(parts) && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "%s%s",
					 i == 0 ? "" : ", ",
					 (confined & parts[i].bit) != 0
						 ? parts[i].holds : parts[i].lacks);
}

/* --- info ---------------------------------------------------------------------- */

struct info_settings {
	struct xm_option_list appliance;
};

static const struct xm_option info_options[] = {
	XM_SHARED_APPLIANCE(struct info_settings, appliance,
		"Connect to this appliance, or to all of a directory "
		"(etcd://host:2379/prefix), and show how it is "
		"reached. May be repeated."),
};

static const struct xm_option_table info_table = {
	.program = "extmem info",
	.prefix = "EXTMEM",
	.usage = "[--appliance ADDR]...",
	.about = "Shows this library, the transports it was built with and "
		 "the providers on this machine; and for an appliance the "
		 "provider, endpoint, registration and progress modes and the "
		 "paging in use, and which calls the kernel lacks.",
	.options = info_options,
	.count = XM_COUNT(info_options),
};

/* Of the appliance's own process that moves bytes. */
static void print_interface(const char *address)
{
	struct extmem_status status = { .size = sizeof(status) };
	char confined[CONFINED_SIZE];

	if (extmem_status(address, TIMEOUT_MS, &status) != 0)
		return; /* it went away since it was asked */
	confinement(status.confined, confined, sizeof(confined));
	printf("interface  %s\n", confined);
}

/* The address, and how it is reached. Of one that is away, why. */
static void print_appliance(const struct extmem_info *info)
{
	printf("\nappliance  %s%s%s%s, %s\n", info->appliance,
	       info->name[0] != '\0' ? " (" : "", info->name,
	       info->name[0] != '\0' ? ")" : "", info->state);
	if (info->reason[0] != '\0')
		printf("why        %s\n", info->reason);
	printf("transport  %s, provider %s, version %s\n", info->transport,
	       info->provider, info->version);
	printf("endpoint   %s, %u lane%s\n", info->endpoint, info->lanes,
	       info->lanes == 1 ? "" : "s");
	printf("memory     registered as %s\n", info->mr_mode);
	printf("progress   %s\n", info->progress);
	if (info->reason[0] == '\0')
		print_interface(info->appliance);
	if (info->lease_ms > 0)
		printf("lease      ends after %.1f s of silence\n",
		       (double)info->lease_ms / 1000);
}

/* What is the same for every appliance. */
static int print_client(const struct extmem_info *info)
{
	struct extmem_capabilities capabilities = {
		.size = sizeof(capabilities),
	};

	if (extmem_capabilities(&capabilities) < 0) {
		command_say("info", "%s", extmem_error());
		return COMMAND_NO;
	}
	printf("\npaging     %s: %s\n", info->paging, info->paging_reason);
	printf("kernel     %s\n", capabilities.missing[0] == '\0'
					? "every call that extmem uses"
					: capabilities.missing);
	printf("polling    %s\n", info->polling);
	return COMMAND_OK;
}

static int print_appliances(extmem *x)
{
	struct extmem_info info = { .size = sizeof(info) };
	int status = COMMAND_OK, rest;

	for (unsigned i = 0; extmem_info(x, i, &info) == 0; i++) {
		print_appliance(&info);
		if (info.reason[0] != '\0')
			status = COMMAND_NO;
	}
	rest = print_client(&info);
	return rest > status ? rest : status;
}

/* As one client of all of them, so that one that is away stops none of the others.
 * If no appliance answers, each is tried alone, for its own reason. */
static int print_links(const char *const *addresses, size_t count)
{
	static char texts[EXTMEM_APPLIANCES_MAX][160];
	const char *settings[EXTMEM_APPLIANCES_MAX + 2] = { "local=4M" };
	int status;
	extmem *x;

	if (count > EXTMEM_APPLIANCES_MAX) {
		command_say("info", "at most %d appliances at a time",
			    EXTMEM_APPLIANCES_MAX);
		return COMMAND_USAGE;
	}
	for (size_t i = 0; i < count; i++) {
		if ((size_t)snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
				     addresses[i]) >= sizeof(texts[i])) {
			command_say("info", "%s: too long", addresses[i]);
			return COMMAND_USAGE;
		}
		settings[i + 1] = texts[i];
	}
	if (extmem_open(settings, &x) == 0) {
		status = print_appliances(x);
		extmem_close(x);
		return status;
	}
	if (count == 1)
		command_say("info", "%s", extmem_error());
	for (size_t i = 0; count > 1 && i < count; i++)
		print_links(addresses + i, 1);
	return COMMAND_NO;
}

int command_info(int argc, char *argv[])
{
	struct info_settings settings;
	struct xm_options *o;
	char providers[4096];
	int status = command_options(&info_table, &settings, argc, argv, &o,
				     NULL);

	if (status < 0) {
		printf("extmem     %s\n", extmem_version());
		if (extmem_providers(providers, sizeof(providers)) >= 0)
			fputs(providers, stdout);
		status = COMMAND_OK;
		if (!command_appliances("info", &settings.appliance))
			status = COMMAND_NO;
		else if (settings.appliance.count > 0)
			status = print_links(settings.appliance.items,
					     settings.appliance.count);
	}
	xm_options_close(o);
	return status;
}

/* --- status -------------------------------------------------------------------- */

struct status_settings {
	bool json;
};

static const struct xm_option status_options[] = {
	XM_SHARED_JSON(struct status_settings, json,
		"Print one JSON object; an array of a directory."),
};

static const struct xm_option_table status_table = {
	.program = "extmem status",
	.usage = "[--json] ADDR",
	.about = "Shows the memory of the appliance at ADDR, its clients and "
		 "its regions, without becoming a client; of a directory "
		 "(etcd://HOST:PORT/PREFIX), of each that stands there.",
	.options = status_options,
	.count = XM_COUNT(status_options),
};

struct listing {
	struct extmem_status status;
	struct extmem_region_entry entries[LIST_COUNT];
	int count; /* negative: cannot be listed, see words */
	char words[256];
};

/* What stops the list does not stop the rest. */
static void list_regions(const char *address, struct listing *l)
{
	l->count = extmem_status_regions(address, TIMEOUT_MS, 0, l->entries,
					 LIST_COUNT);
	if (l->count < 0)
		snprintf(l->words, sizeof(l->words), "%s", extmem_error());
}

/* The first are those that it has borrowed from. */
static void print_lenders(const struct extmem_status *s)
{
	if (s->borrowed == 0)
		return;
	printf("borrowed     %.1f MiB, from identities", (double)s->borrowed / XM_MIB);
	for (int i = 0; i < EXTMEM_LENDERS_MAX && s->lenders[i] != 0; i++)
		printf(" %llx", (unsigned long long)s->lenders[i]);
	printf("\n");
}

static void print_status(const char *address, const struct listing *l)
{
	const struct extmem_status *s = &l->status;
	char pool[32], available[32], run[32], leased[32], quarantine[32];
	char confined[CONFINED_SIZE];

	mib(s->pool, pool);
	mib(s->free, available);
	mib(s->free_run, run);
	mib(s->leased, leased);
	mib(s->quarantined, quarantine);
	printf("appliance    %s (%s%s%s), provider %s %s%s\n", address,
	       s->name, s->zone[0] != '\0' ? ", zone " : "", s->zone,
	       s->provider, s->library, s->leaving ? ", leaving" : "");
	printf("up           %.0f s, incarnation %llx\n",
	       (double)s->uptime_ms / 1000,
	       (unsigned long long)s->incarnation);
	printf("pool         %s%s: %s leased, %s free (largest run %s), "
	       "%s in quarantine\n",
	       pool, s->filed ? " in a file on its disk"
	       : s->borrowed ? " borrowed from others" : "", leased, available, run, quarantine);
	print_lenders(s);
	if (s->goal != s->pool && s->goal != 0)
		printf("shrinks      to %.1f MiB; %.1f MiB beyond that are lent, "
		       "and asked back\n", (double)s->goal / XM_MIB,
		       (double)s->wanted / XM_MIB);
	confinement(s->confined, confined, sizeof(confined));
	printf("interface    %s\n", confined);
	printf("clients      %u of %u\n", s->clients, s->clients_max);
	printf("extents      %u of %u\n", s->extents, s->extents_max);
	printf("messages     %llu, refused %llu, malformed %llu; clients "
	       "expired %llu\n",
	       (unsigned long long)s->messages, (unsigned long long)s->refused,
	       (unsigned long long)s->malformed,
	       (unsigned long long)s->expired);
	if (l->count < 0) {
		printf("regions      cannot be listed: %s\n", l->words);
		return;
	}
	if (l->count == 0)
		printf("regions      none\n");
	else
		printf("\n%-24s %-28s %4s %12s %6s\n", "REGION", "OWNER",
		       "PART", "MIB", "EPOCH");
	for (int i = 0; i < l->count; i++)
		printf("%-24s %-28s %4u %12.1f %6llu\n",
		       l->entries[i].name[0] ? l->entries[i].name : "-",
		       l->entries[i].owner, l->entries[i].part,
		       (double)l->entries[i].size / XM_MIB,
		       (unsigned long long)l->entries[i].epoch);
	if (l->count == LIST_COUNT)
		printf("... the first %d\n", LIST_COUNT);
}

#ifdef HAVE_JANSSON
static int print_status_json(const char *address, const struct listing *l)
{
	const struct extmem_status *s = &l->status;
	json_t *root, *regions = json_array(), *lenders = json_array();
	char lender[24];

	for (int i = 0; i < l->count; i++) {
		const struct extmem_region_entry *e = &l->entries[i];

		json_array_append_new(
			regions,
			json_pack("{ss ss si sI sI sI}", "name", e->name,
				  "owner", e->owner, "part", (int)e->part,
				  "client", (json_int_t)e->client,
				  "size", (json_int_t)e->size, "epoch",
				  (json_int_t)e->epoch));
	}
	for (int i = 0; i < EXTMEM_LENDERS_MAX && s->lenders[i] != 0; i++) {
		snprintf(lender, sizeof(lender), "%llx", (unsigned long long)s->lenders[i]);
		json_array_append_new(lenders, json_string(lender));
	}
	snprintf(lender, sizeof(lender), "%llx", (unsigned long long)s->identity);
	root = json_pack(
		"{ss ss ss ss ss sI sI sI sI sI sI si si si si sI sI sI sI sb sI sI so sI sb ss sI so}",
		"address", address, "name", s->name, "zone", s->zone, "library", s->library,
		"provider", s->provider, "uptime_ms", (json_int_t)s->uptime_ms,
		"pool", (json_int_t)s->pool, "free", (json_int_t)s->free,
		"free_run", (json_int_t)s->free_run, "leased",
		(json_int_t)s->leased, "quarantined",
		(json_int_t)s->quarantined, "clients", (int)s->clients,
		"clients_max", (int)s->clients_max, "extents", (int)s->extents,
		"extents_max", (int)s->extents_max, "messages",
		(json_int_t)s->messages, "malformed", (json_int_t)s->malformed,
		"refused", (json_int_t)s->refused, "expired",
		(json_int_t)s->expired, "leaving", (int)s->leaving, "goal",
		(json_int_t)s->goal, "wanted", (json_int_t)s->wanted,
		"regions", regions, "confined", (json_int_t)s->confined,
		"pool_file", (int)(s->filed != 0), "identity", lender, "borrowed",
		(json_int_t)s->borrowed, "lenders", lenders);
	if (!root || json_dumpf(root, stdout, JSON_INDENT(2)) < 0)
		return COMMAND_NO;
	putchar('\n');
	json_decref(root);
	return COMMAND_OK;
}
#else
static int print_status_json(const char *address, const struct listing *l)
{
	(void)address;
	(void)l;
	command_say("status", "this build has no JSON; build with jansson "
			      "(Debian: libjansson-dev)");
	return COMMAND_NO;
}
#endif

/* One after the other; those of a directory as an array. */
static int status_of(const struct xm_option_list *appliances, bool json, bool several)
{
	static struct listing listing;
	int worst = COMMAND_OK, shown = 0;

	for (size_t i = 0; i < appliances->count; i++) {
		const char *address = appliances->items[i];
		int status = COMMAND_OK;

		listing.status.size = sizeof(listing.status);
		if (extmem_status(address, TIMEOUT_MS, &listing.status) < 0) {
			command_say("status", "%s", extmem_error());
			worst = COMMAND_NO;
			continue;
		}
		list_regions(address, &listing);
		if (several)
			fputs(!json ? shown > 0 ? "\n" : "" : shown > 0 ? "," : "[", stdout);
		shown++;
		if (json)
			status = print_status_json(address, &listing);
		else
			print_status(address, &listing);
		worst = status > worst ? status : worst;
	}
	if (several && json)
		puts(shown > 0 ? "]" : "[]");
	return worst;
}

int command_status(int argc, char *argv[])
{
	struct status_settings settings;
	struct xm_options *o;
	int rest, status;

	status = command_options(&status_table, &settings, argc, argv, &o,
				 &rest);
	if (status < 0 && rest + 1 != argc) {
		command_say("status", rest >= argc
					      ? "of which appliance? `extmem "
						"status ofi+tcp://host:7470`"
					      : "one appliance at a time");
		status = COMMAND_USAGE;
	}
	if (status < 0) {
		const char *const item[] = { argv[rest], NULL };
		struct xm_option_list appliances = { item, 1 };
		bool several = xm_directory_named(&appliances);

		status = COMMAND_NO;
		if (command_appliances("status", &appliances))
			status = status_of(&appliances, settings.json, several);
	}
	xm_options_close(o);
	return status;
}
