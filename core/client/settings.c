/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings of a client; see settings.h. */
#include "config.h"

#include "core/client/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/directory.h"
#include "common/spin.h"
#include "core/client/error.h"
#include "core/engine/control.h"
#include "core/engine/keeper.h"
#include "core/extmem.h"
#include "core/pure/pager.h"

_Static_assert(XM_APPLIANCES_MAX == EXTMEM_APPLIANCES_MAX,
	       "the tables have room for as many as extmem.h promises");

#define DIRECTORY_PATIENCE (5 * XM_SECOND)
#define LOCAL_MAX (8192 * XM_GIB) /* frames are counted in 32 bits */

static const struct xm_option options[] = {
	{ .name = "appliance", .kind = XM_OPTION_LIST, .unit = "ADDR",
	  .help = "Address of an appliance: ofi+tcp://host:7470, "
		  "ofi+shm://name; or a directory of them in etcd: "
		  "etcd://host:2379/prefix. May be repeated.",
	  .destination = offsetof(struct xm_client_settings, appliance) },
	{ .name = "local", .kind = XM_OPTION_SIZE, .value = "64M",
	  .min = XM_MIB,
	  .help = "Limit of local memory: cached pages and buffers.",
	  .destination = offsetof(struct xm_client_settings, local) },
	{ .name = "local_max", .kind = XM_OPTION_SIZE, .value = "0",
	  .help = "Limit up to which extmem_local() may raise local; 0: "
		  "it may not. Costs addresses, and tables for the part "
		  "that is used.",
	  .destination = offsetof(struct xm_client_settings, local_max) },
	{ .name = "timeout", .kind = XM_OPTION_DURATION, .value = "30s",
	  .min = XM_MS,
	  .help = "How long a call may wait.",
	  .destination = offsetof(struct xm_client_settings, timeout_ns) },
	{ .name = "loss_timeout", .kind = XM_OPTION_DURATION,
	  .value = "10s", .min = 10 * XM_MS,
	  .help = "How long a page may be unreachable before it is "
		  "lost; at most 1 s if nobody listens at its "
		  "appliance's address.",
	  .destination = offsetof(struct xm_client_settings, loss_timeout_ns) },
	{ .name = "paging", .kind = XM_OPTION_CHOICE, .value = "auto",
	  .choices = "auto|inline|thread",
	  .help = "Who serves a page fault: the faulting thread "
		  "(inline) or a thread of the library (thread), which "
		  "with privilege serves the kernel's faults too.",
	  .destination = offsetof(struct xm_client_settings, paging) },
	{ .name = "polling", .kind = XM_OPTION_CHOICE, .value = "adaptive",
	  .choices = XM_POLLING_CHOICES,
	  .help = "How threads wait for the network: adaptive polls as "
		  "long as an answer is likely to come soon, then "
		  "sleeps; busy never sleeps; block always sleeps.",
	  .destination = offsetof(struct xm_client_settings, polling) },
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = XM_LANES_MAX,
	  .help = "Connections to each appliance. Each lane has its own "
		  "lock, and its share of the pages and of local "
		  "memory.",
	  .destination = offsetof(struct xm_client_settings, lanes) },
	{ .name = "prefetch", .kind = XM_OPTION_COUNT, .value = "64",
	  .min = 1, .max = XM_PAGER_WINDOW_MAX,
	  .help = "Limit of pages read ahead at once.",
	  .destination = offsetof(struct xm_client_settings, prefetch) },
	{ .name = "reclaim", .kind = XM_OPTION_CHOICE, .value = "2q",
	  .choices = "clock|2q",
	  .help = "Which pages leave local memory first. clock: the "
		  "oldest, with a second chance. 2q: pages that were "
		  "used once, before pages that came back.",
	  .destination = offsetof(struct xm_client_settings, reclaim) },
	{ .name = "fingerprints", .kind = XM_OPTION_CHOICE, .value = "auto",
	  .choices = "no|auto",
	  .help = "Whether a page that was written is compared, by fingerprints "
		  "of 128 bits, with what it was, and not sent if it is the "
		  "same. auto: where pages are often the same.",
	  .destination = offsetof(struct xm_client_settings, fingerprints) },
	{ .name = "arena", .kind = XM_OPTION_SIZE, .value = "1T",
	  .min = 64 * XM_MIB,
	  .help = "Limit of addresses reserved for mappings. Costs no "
		  "memory.",
	  .destination = offsetof(struct xm_client_settings, arena) },
	{ .name = "mapper", .kind = XM_OPTION_TEXT,
	  .help = "What makes pages appear in the address space: userfaultfd, "
		  "which is the only one built in.",
	  .destination = offsetof(struct xm_client_settings, mapper) },
	{ .name = "provider", .kind = XM_OPTION_TEXT,
	  .help = "The libfabric provider to use instead of the "
		  "scheme's own.",
	  .destination = offsetof(struct xm_client_settings, provider) },
	{ .name = "strategy", .kind = XM_OPTION_TEXT, .unit = "TEXT",
	  .help = "How many appliances have each byte, over how many a region "
		  "is spread, and which of them: \"mirror 2, rank free\". "
		  "Without it, the first appliance that has room.",
	  .destination = offsetof(struct xm_client_settings, strategy) },
	{ .name = "strategy", .kind = XM_OPTION_NAMED, .hidden = true,
	  .help = "strategy.NAME: a strategy that is stored under a name.",
	  .destination = offsetof(struct xm_client_settings, strategies) },
	{ .name = "seal", .kind = XM_OPTION_CHOICE, .value = "no",
	  .choices = "no|asked|all",
	  .help = "Which regions are sealed: encrypted and authenticated before "
		  "they leave this process, so that an appliance can neither "
		  "read nor change them. asked: those that ask for it.",
	  .destination = offsetof(struct xm_client_settings, seal) },
	{ .name = "seal_key", .kind = XM_OPTION_TEXT, .unit = "KEY",
	  .help = "What the keys of seals are derived from: file:PATH, "
		  "environment:NAME or credential:NAME. Without it, from random "
		  "bytes.",
	  .destination = offsetof(struct xm_client_settings, seal_key) },
	{ .name = "name", .kind = XM_OPTION_TEXT,
	  .help = "Name of this client in lists of the appliances.",
	  .destination = offsetof(struct xm_client_settings, name) },
	{ .name = "auth", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "Credential file of this client, of `extmem auth add`. With "
		  "it, appliances reached over a network must show theirs, and "
		  "control messages are encrypted.",
	  .destination = offsetof(struct xm_client_settings, auth) },
	{ .name = "insecure_plaintext", .kind = XM_OPTION_FLAG,
	  .help = "Without credentials, connect to other machines all the same: "
		  "whoever is on the network between can read everything, and "
		  "be the appliance.",
	  .destination = offsetof(struct xm_client_settings, insecure_plaintext) },
	{ .name = "config", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "A file with settings, one NAME = VALUE in a line.",
	  .destination = offsetof(struct xm_client_settings, config) },
};

const struct xm_option_table xm_client_options = {
	.program = "extmem",
	.prefix = "EXTMEM",
	.options = options,
	.count = XM_COUNT(options),
};

static int check(const struct xm_client_settings *s)
{
	if (s->appliance.count == 0)
		return xm_fail(-EINVAL, "extmem_open: no appliance is named: "
			       "give appliance=ofi+tcp://HOST:PORT, or set "
			       "EXTMEM_APPLIANCE");
	if (s->appliance.count > XM_APPLIANCES_MAX)
		return xm_fail(-EINVAL, "extmem_open: %zu appliances: at most "
			       "%d", s->appliance.count, XM_APPLIANCES_MAX);
	if (s->local / s->lanes < XM_MIB)
		return xm_fail(-EINVAL, "extmem_open: local=%llu is less than "
			       "1 MiB for each of %llu lanes",
			       (unsigned long long)s->local,
			       (unsigned long long)s->lanes);
	if (s->local_max > LOCAL_MAX)
		return xm_fail(-EINVAL, "extmem_open: local_max=%llu: at most "
			       "%llu", (unsigned long long)s->local_max,
			       (unsigned long long)LOCAL_MAX);
	return 0;
}

int xm_client_settings_load(const char *call, const char *const settings[],
			    struct xm_client_settings *ret,
			    struct xm_options **ret_options)
{
	int rc = xm_options_open(&xm_client_options, ret, ret_options);

	if (rc != 0)
		return xm_fail(rc, "%s: out of memory", call);
	rc = xm_options_read_environment(*ret_options, environ);
	if (rc == 0)
		rc = xm_options_read_settings(*ret_options, settings);
	/* A file ranks below both, whenever it is read. */
	if (rc == 0 && ret->config[0] != '\0')
		rc = xm_options_read_file(*ret_options, ret->config);
	if (rc != 0)
		return xm_fail(rc, "%s: %s", call,
			       xm_options_words(*ret_options));
	return 0;
}

/* What was found is given again as settings: those rank above all others, and the options
 * keep the texts. */
static int load_found(const char *call, const char *const settings[],
		      const struct xm_directory_list *found,
		      struct xm_client_settings *ret, struct xm_options **ret_options)
{
	static const char name[] = "appliance=";
	char (*texts)[sizeof(name) + XM_ETCD_ADDRESS_SIZE];
	size_t given = 0, count = 0;
	const char **all;
	int rc = -ENOMEM;

	while (settings != NULL && settings[given] != NULL)
		given++;
	all = calloc(given + found->list.count + 1, sizeof(*all));
	texts = calloc(found->list.count, sizeof(*texts));
	for (size_t i = 0; all != NULL && i < given; i++)
		if (strncmp(settings[i], name, strlen(name)) != 0)
			all[count++] = settings[i];
	for (size_t i = 0; all != NULL && texts != NULL && i < found->list.count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%s%s", name, found->items[i]);
		all[count++] = texts[i];
	}
	if (all != NULL && texts != NULL) {
		xm_options_close(*ret_options);
		*ret_options = NULL;
		rc = xm_client_settings_load(call, all, ret, ret_options);
	} else {
		xm_fail(rc, "%s: out of memory", call);
	}
	free(all);
	free(texts);
	return rc;
}

int xm_client_settings_resolve(const char *call, const char *const settings[],
			       struct xm_client_settings *ret,
			       struct xm_options **ret_options)
{
	struct xm_directory_list *found;
	char words[XM_DIRECTORY_WORDS];
	int rc;

	if (!xm_directory_named(&ret->appliance))
		return 0;
	found = malloc(sizeof(*found));
	if (found == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	rc = xm_directory_expand(&ret->appliance,
				 xm_min(ret->timeout_ns, DIRECTORY_PATIENCE) / XM_MS, found,
				 words, sizeof(words));
	rc = rc == 0 ? load_found(call, settings, found, ret, ret_options)
		     : xm_fail(rc, "%s: %s", call, words);
	free(found);
	return rc;
}

int xm_client_settings_read(const char *const settings[],
			    struct xm_client_settings *ret,
			    struct xm_options **ret_options)
{
	int rc = xm_client_settings_load("extmem_open", settings, ret,
					 ret_options);

	if (rc == 0)
		rc = xm_client_settings_resolve("extmem_open", settings, ret, ret_options);
	return rc != 0 ? rc : check(ret);
}
