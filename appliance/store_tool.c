/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem store`, which executes extmemd under this name: what is in a durable store, and is
 * it as it was written? It opens the store as the daemon does, so what a crash has left in
 * the journal comes into its place first.
 *
 * Floor: skin.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/disk.h"
#include "appliance/storage.h"
#include "common/options.h"
#include "core/pure/label.h"

#define NO 1
#define USAGE 2
#define PIECE (XM_MIB / XM_STORE_BLOCK) /* pages that are read at once */

struct tool {
	const char *path;
	struct xm_disk disk;
	struct xm_store store;
	uint8_t bytes[PIECE * XM_STORE_BLOCK];
};

static int say(const struct tool *t, const char *words)
{
	fprintf(stderr, "extmem store: %s: %s\n", t->path, words);
	return NO;
}

static int open_store(struct tool *t)
{
	struct xm_store_options o;
	char words[512] = "";
	void *memory;
	int rc = xm_disk_open(t->path, false, words, sizeof(words), &t->disk);

	if (rc == 0)
		rc = xm_disk_sizes(&t->disk, &o, words, sizeof(words));
	if (rc != 0)
		return say(t, words);
	memory = calloc(1, xm_store_memory_size(&o));
	if (memory == NULL)
		return say(t, "out of memory");
	rc = xm_store_open(&t->store, &o, &xm_disk_files, &t->disk, memory, words);
	return rc == 0 ? 0 : say(t, words);
}

static void print_entry(uint32_t slot, const struct xm_store_entry *e)
{
	char token[XM_TOKEN_TEXT_SIZE];

	xm_token_print(e->token, token);
	printf("%6" PRIu32 "  %-20.20s %10.1f  %s\n", slot,
	       e->region[0] != '\0' ? e->region : "-", (double)e->size / XM_MIB,
	       token);
}

/* Returns how many pages are damaged, and names them. */
static uint64_t check_entry(struct tool *t, uint32_t slot,
			    const struct xm_store_entry *e)
{
	uint64_t first = e->offset / XM_STORE_BLOCK, pages = e->size / XM_STORE_BLOCK;
	uint64_t damaged = 0, bad;

	for (uint64_t at = 0; at < pages;) {
		uint64_t count = xm_min(PIECE, pages - at);
		int rc = xm_store_get(&t->store, slot, first + at, count, t->bytes,
				      &bad);

		if (rc == 0) {
			at += count;
			continue;
		}
		damaged++;
		if (rc != -EUCLEAN) {
			printf("extent %" PRIu32 ", region %s: %s\n", slot, e->region,
			       strerror(-rc));
			break;
		}
		at = bad - first + 1;
		printf("extent %" PRIu32 ", region %s: page %" PRIu64
		       " is damaged\n", slot, e->region, at - 1);
	}
	return damaged;
}

static int act(struct tool *t, bool checks)
{
	uint64_t damaged = 0, size = 0;
	struct xm_store_entry e;
	uint32_t count = 0;

	if (!checks)
		printf("%6s  %-20s %10s  %s\n", "EXTENT", "REGION", "MIB", "TOKEN");
	for (uint32_t i = 0; i < t->store.options.slots; i++) {
		if (!xm_store_entry(&t->store, i, &e))
			continue;
		count++;
		size += e.size;
		if (checks)
			damaged += check_entry(t, i, &e);
		else
			print_entry(i, &e);
	}
	if (checks)
		printf("%" PRIu32 " extents, %.1f MiB, %" PRIu64 " batches were in "
		       "the journal: %s\n", count, (double)size / XM_MIB,
		       t->store.counters.replayed,
		       damaged == 0 ? "all is well" : "DAMAGED");
	return damaged == 0 ? 0 : NO;
}

static const struct xm_option_table table = {
	.program = "extmem store",
	.usage = "check|show DIR",
	.about = "check reads all that is durable in DIR, the folder of extmemd "
		 "--store, and says what is damaged; show lists it, with the tokens. "
		 "No extmemd may run on it.",
};

/* 0 and the words of the command, or the exit status and 1. */
static int read_command(struct xm_options *o, int argc, char **argv, char **words)
{
	int at, r = xm_options_read_flags(o, argc, argv, &at);

	if (r == XM_OPTIONS_HELP)
		xm_options_print_help(&table, stdout);
	if (r == XM_OPTIONS_VERSION)
		printf("extmem %s\n", PACKAGE_VERSION);
	if (r == XM_OPTIONS_HELP || r == XM_OPTIONS_VERSION)
		return 1;
	if (r < 0) {
		fprintf(stderr, "extmem store: %s\n", xm_options_words(o));
		return USAGE + 1;
	}
	words[0] = argv[at];
	words[1] = at < argc ? argv[at + 1] : NULL;
	if (argc - at == 2 && (strcmp(words[0], "check") == 0 || strcmp(words[0], "show") == 0))
		return 0;
	fprintf(stderr, "extmem store: give check or show, and the folder of a store; see "
			"--help\n");
	return USAGE + 1;
}

int xm_store_tool(int argc, char **argv)
{
	static struct tool t;
	struct xm_options *options;
	char *words[2];
	int status;

	if (xm_options_open(&table, NULL, &options) != 0) {
		fprintf(stderr, "extmem store: out of memory\n");
		return NO;
	}
	status = read_command(options, argc, argv, words);
	xm_options_close(options);
	if (status != 0)
		return status - 1;
	t.path = words[1];
	status = open_store(&t);
	if (status == 0)
		status = act(&t, words[0][0] == 'c');
	xm_disk_close(&t.disk);
	free(t.store.sums); /* where all of its memory begins */
	return status;
}
