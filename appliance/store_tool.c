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
#include <unistd.h>

#include "appliance/disk.h"
#include "appliance/storage.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/options_shared.h"
#include "common/progress.h"
#include "core/pure/label.h"

#define NO 1
#define USAGE 2
#define PIECE (XM_MIB / XM_STORE_BLOCK) /* pages that are read at once */

struct tool_settings {
	bool json;
};

struct tool {
	struct tool_settings settings;
	const char *path;
	struct xm_disk disk;
	struct xm_store store;
	uint64_t read, damaged; /* pages */
	struct xm_progress progress;
	uint64_t say_ns;
	bool terminal;
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

/* --- show ----------------------------------------------------------------- */

/* A name has no control characters. */
static void print_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void show_entry(const struct tool *t, uint32_t slot,
		       const struct xm_store_entry *e, bool first)
{
	char token[XM_TOKEN_TEXT_SIZE];

	xm_token_print(e->token, token);
	if (!t->settings.json) {
		printf("%6" PRIu32 "  %-20.20s %10.1f  %s\n", slot,
		       e->region[0] != '\0' ? e->region : "-",
		       (double)e->size / XM_MIB, token);
		return;
	}
	printf("%s\n  {\"extent\": %" PRIu32 ", \"region\": ", first ? "" : ",", slot);
	print_text(e->region);
	printf(", \"size\": %" PRIu64 ", \"token\": \"%s\"}", e->size, token);
}

static int show(const struct tool *t)
{
	struct xm_store_entry e;
	bool first = true;

	if (t->settings.json)
		printf("[");
	else
		printf("%6s  %-20s %10s  %s\n", "EXTENT", "REGION", "MIB", "TOKEN");
	for (uint32_t i = 0; i < t->store.options.slots; i++) {
		if (!xm_store_entry(&t->store, i, &e))
			continue;
		show_entry(t, i, &e, first);
		first = false;
	}
	if (t->settings.json)
		printf("\n]\n");
	return 0;
}

/* --- check, scrub --------------------------------------------------------- */

/* The extent whose page it is. False: nobody's. */
static bool owner_of(const struct tool *t, uint64_t page, uint32_t *ret_slot,
		     struct xm_store_entry *ret)
{
	for (uint32_t i = 0; i < t->store.options.slots; i++) {
		if (xm_store_entry(&t->store, i, ret) &&
		    t->store.sums[page].sequence >= ret->born &&
		    page - ret->offset / XM_STORE_BLOCK <
			    ret->size / XM_STORE_BLOCK) {
			*ret_slot = i;
			return true;
		}
	}
	return false;
}

/* What was an earlier owner's is harmless, but tells of the disk. */
static void found(struct tool *t, uint64_t page)
{
	struct xm_store_entry e;
	uint32_t slot;

	t->damaged++;
	if (t->settings.json && t->damaged > 1)
		printf(",");
	if (!owner_of(t, page, &slot, &e)) {
		printf(t->settings.json ? "\n  {\"page\": %" PRIu64 "}"
					: "page %" PRIu64 " of the image, which is "
					  "nobody's, is damaged\n", page);
		return;
	}
	page -= e.offset / XM_STORE_BLOCK;
	if (!t->settings.json) {
		printf("extent %" PRIu32 ", region %s: page %" PRIu64
		       " is damaged\n", slot, e.region, page);
		return;
	}
	printf("\n  {\"extent\": %" PRIu32 ", \"region\": ", slot);
	print_text(e.region);
	printf(", \"page\": %" PRIu64 "}", page);
}

static void show_progress(struct tool *t, uint64_t left)
{
	uint64_t now_ns = xm_clock_ns();
	char text[64];
	struct xm_words words;

	if (!t->terminal || now_ns < t->say_ns)
		return;
	t->say_ns = now_ns + XM_SECOND / 4;
	xm_progress_look(&t->progress, left, now_ns);
	xm_words_begin(&words, text, sizeof(text));
	xm_progress_words(&words, left, xm_progress_ms(&t->progress));
	fprintf(stderr, "\r%-60s", text);
}

/* Pages [first, first + count), and `after` them others. False: they cannot be read. */
static bool read_pages(struct tool *t, uint64_t since, uint64_t first, uint64_t count,
		       uint64_t after)
{
	for (uint64_t at = 0; at < count;) {
		uint64_t piece = xm_min(PIECE, count - at), bad = 0;
		int rc = xm_store_scrub(&t->store, since, first + at, piece,
					t->bytes, &bad);

		if (rc != 0 && rc != -EUCLEAN) {
			say(t, strerror(-rc));
			return false;
		}
		if (rc != 0)
			found(t, bad);
		at = rc == 0 ? at + piece : bad - first + 1;
		show_progress(t, (count - at + after) * XM_STORE_BLOCK);
	}
	t->read += count;
	return true;
}

static bool check_entries(struct tool *t, uint64_t pages)
{
	struct xm_store_entry e;
	bool readable = true;

	for (uint32_t i = 0; i < t->store.options.slots && readable; i++) {
		if (!xm_store_entry(&t->store, i, &e))
			continue;
		pages -= e.size / XM_STORE_BLOCK;
		readable = read_pages(t, e.born, e.offset / XM_STORE_BLOCK,
				      e.size / XM_STORE_BLOCK, pages);
	}
	return readable;
}

static int check(struct tool *t, bool all)
{
	struct xm_store_entry e;
	uint64_t pages = 0;
	uint32_t extents = 0;
	bool readable;

	for (uint32_t i = 0; i < t->store.options.slots; i++) {
		if (!xm_store_entry(&t->store, i, &e))
			continue;
		extents++;
		pages += e.size / XM_STORE_BLOCK;
	}
	if (t->settings.json)
		printf("{\"extents\": %" PRIu32 ", \"bytes\": %" PRIu64
		       ", \"replayed\": %" PRIu64 ", \"damaged\": [", extents,
		       pages * XM_STORE_BLOCK, t->store.counters.replayed);
	readable = all ? read_pages(t, 1, 0, t->store.options.pages, 0)
		       : check_entries(t, pages);
	if (t->terminal)
		fprintf(stderr, "\r%-60s\r", "");
	if (t->settings.json)
		printf("], \"read\": %" PRIu64 ", \"readable\": %s}\n",
		       t->read * XM_STORE_BLOCK, readable ? "true" : "false");
	else
		printf("%" PRIu32 " extents, %.1f MiB, %" PRIu64 " batches were in the "
		       "journal, %.1f MiB read: %s\n", extents,
		       (double)(pages * XM_STORE_BLOCK) / XM_MIB,
		       t->store.counters.replayed,
		       (double)(t->read * XM_STORE_BLOCK) / XM_MIB,
		       t->damaged == 0 && readable ? "all is well" : "DAMAGED");
	return t->damaged == 0 && readable ? 0 : NO;
}

/* --- the command ---------------------------------------------------------- */

static const struct xm_option options[] = {
	XM_SHARED_JSON(struct tool_settings, json, "Print JSON."),
};

static const struct xm_option_table table = {
	.program = "extmem store",
	.usage = "check|scrub|show DIR [--json]",
	.about = "check reads all that is durable in DIR, the folder of extmemd "
		 "--store, and names what is damaged; scrub reads the rest of it, too, "
		 "so that a disk is found out before anybody loses by it; show lists "
		 "what is durable, with the tokens. No extmemd may run on it.",
	.options = options,
	.count = XM_COUNT(options),
};

static bool is_command(const char *word)
{
	return strcmp(word, "check") == 0 || strcmp(word, "scrub") == 0 ||
	       strcmp(word, "show") == 0;
}

/* 0 and the words of the command, or the exit status and 1. Options stand before the words,
 * between them, or behind them. */
static int read_command(struct xm_options *o, int argc, char **argv, char **words)
{
	int at = 0, count = 0, r;

	words[0] = words[1] = NULL;
	do {
		argc -= at;
		argv += at;
		r = xm_options_read_flags(o, argc, argv, &at);
		if (r == 0 && at < argc && count < 2)
			words[count] = argv[at];
		count += r == 0 && at < argc;
	} while (r == 0 && at < argc);
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
	if (count == 2 && is_command(words[0]))
		return 0;
	fprintf(stderr, "extmem store: give check, scrub or show, and the folder of a "
			"store; see --help\n");
	return USAGE + 1;
}

int xm_store_tool(int argc, char **argv)
{
	static struct tool t;
	struct xm_options *o;
	char *words[2];
	int status;

	if (xm_options_open(&table, &t.settings, &o) != 0) {
		fprintf(stderr, "extmem store: out of memory\n");
		return NO;
	}
	status = read_command(o, argc, argv, words);
	xm_options_close(o);
	if (status != 0)
		return status - 1;
	t.path = words[1];
	t.terminal = isatty(STDERR_FILENO) != 0;
	status = open_store(&t);
	if (status == 0)
		status = strcmp(words[0], "show") == 0
				 ? show(&t)
				 : check(&t, words[0][0] == 's');
	xm_disk_close(&t.disk);
	free(t.store.sums); /* where all of its memory begins */
	return status;
}
