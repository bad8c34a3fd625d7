/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of small forms that others have written: appliances, other clients, users, disks.
 *
 *	fuzz_forms [-n MUTATIONS] [-s SEED] FILE...	see driver.h
 *
 * The first byte of an input says which: a letter of `forms` below. What is promised of each:
 * any bytes end in what the form can mean, or in a refusal, and then nothing was written;
 * what was read and is written again is the same bytes, where there is one way to write it.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/store_form.h"
#include "common/options.h"
#include "core/pure/label.h"
#include "core/pure/ledger.h"
#include "core/pure/tree.h"
#include "tests/fuzz/driver.h"
#include "transports/frame.h"
#include "transports/ofi/locator.h"

/* --- of appliances ------------------------------------------------------------- */

static bool is_word(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return length > 0 && length < size;
}

static void locator(const uint8_t *bytes, size_t size)
{
	struct xm_locator l = { .size = (uint32_t)size };
	struct ofi_locator o, untouched;

	memcpy(l.bytes, bytes, size < sizeof(l.bytes) ? size : sizeof(l.bytes));
	memset(&o, 0xa5, sizeof(o));
	memset(&untouched, 0xa5, sizeof(untouched));
	if (!ofi_locator_parse(&l, &o)) {
		XM_ASSERT(memcmp(&o, &untouched, sizeof(o)) == 0);
		return;
	}
	XM_ASSERT(is_word(o.provider, sizeof(o.provider)));
	XM_ASSERT(is_word(o.type, sizeof(o.type)));
	XM_ASSERT(is_word(o.host, sizeof(o.host)));
	XM_ASSERT(is_word(o.service, sizeof(o.service)));
	XM_ASSERT(o.major <= 9999 && o.minor <= 9999);
}

static void ledger(const uint8_t *bytes, size_t size)
{
	uint8_t slots[XM_LEDGER_SIZE] = { 0 }, again[XM_LEDGER_SLOT];
	struct xm_ledger l;

	memcpy(slots, bytes, size < sizeof(slots) ? size : sizeof(slots));
	if (!xm_ledger_decode(slots, &l))
		return;
	xm_ledger_encode(&l, again);
	XM_ASSERT(memcmp(again + 16, slots + 16, 48) == 0 ||
		  memcmp(again + 16, slots + XM_LEDGER_SLOT + 16, 48) == 0);
}

/* A cipher that opens what begins with an even byte: as if an appliance could forge it. */
static int open_half(struct xm_seal *s, const struct xm_seal_page *at, uint8_t *bytes,
		     size_t size, const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	(void)s;
	(void)at;
	(void)tag;
	XM_ASSERT(size == XM_PAGE);
	return bytes[0] % 2 == 0 ? 0 : -1;
}

static void seal_none(struct xm_seal *s, const struct xm_seal_page *at, uint8_t *bytes,
		      size_t size, uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	(void)s;
	(void)at;
	(void)bytes;
	(void)size;
	memset(ret_tag, 0, XM_SEAL_TAG_SIZE);
}

#define ROWS 400 /* two levels */
#define TREE_PAGES 5

/* The root page, and of the others what is left; the page of the salts is real. */
static void tree(const uint8_t *bytes, size_t size)
{
	static const struct xm_seal_ops ops = { .name = "half", .seal = seal_none,
						.open = open_half };
	static _Alignas(8) uint8_t pages[TREE_PAGES * XM_PAGE];
	static struct xm_seals seals;
	static struct xm_tree t;
	struct xm_region_id id = { { 1 } };
	struct xm_seal_entry e;

	XM_ASSERT(xm_tree_pages(ROWS) <= TREE_PAGES);
	memset(pages, 0, sizeof(pages));
	xm_tree_init(&t, &id, 0, ROWS, pages);
	for (uint64_t i = 0; i < size && i < sizeof(pages); i++)
		pages[t.pages * XM_PAGE - 1 - i] = bytes[size - 1 - i];
	xm_seals_init(&seals, &ops, NULL, NULL, 0);
	if (xm_tree_read_root(&t) != 0 || xm_tree_open(&t, &seals, NULL, 0) != 0)
		return;
	for (uint64_t row = 0; row < ROWS; row++) {
		xm_tree_get(&t, row, &e);
		XM_ASSERT(e.key == 0);
	}
}

/* --- of other clients ------------------------------------------------------------- */

static void label(const uint8_t *bytes, size_t size)
{
	struct xm_label l = { .size = (uint16_t)(size < XM_LABEL_SIZE ? size
								      : XM_LABEL_SIZE) };
	struct xm_label again;
	struct xm_place_label p;

	memcpy(l.bytes, bytes, l.size);
	if (!xm_label_decode(&l, &p))
		return;
	XM_ASSERT(p.column < p.columns && p.copy < p.copies);
	xm_label_encode(&p, &again);
	XM_ASSERT(again.size <= l.size &&
		  memcmp(again.bytes, l.bytes, again.size) == 0);
}

/* Messages of a stream, which comes in two pieces. */
static void frames(const uint8_t *bytes, size_t size)
{
	static uint8_t buffer[XM_FRAME_IN + XM_FRAME_OUT];
	size_t half = size == 0 ? 0 : bytes[0] % size, at = 0;
	struct xm_frames f;

	xm_frames_init(&f, buffer);
	while (at < size) {
		size_t stop = at < half ? half : size, got;
		const uint8_t *message;
		uint8_t *room;
		size_t most = xm_frames_room(&f, &room);

		XM_ASSERT(most > 0);
		most = most < stop - at ? most : stop - at;
		memcpy(room, bytes + at, most);
		at += most;
		if (xm_frames_came(&f, most) != 0)
			return;
		for (int rc; (rc = xm_frames_take(&f, &message, &got)) != 0;) {
			if (rc < 0)
				return;
			XM_ASSERT(got > 0 && got <= XM_MESSAGE_SIZE_MAX);
			XM_ASSERT(message >= buffer &&
				  message + got <= buffer + XM_FRAME_IN);
		}
		(void)xm_frames_is_torn(&f);
	}
}

/* --- of users ---------------------------------------------------------------------- */

static void token(const uint8_t *bytes, size_t size)
{
	uint8_t read[XM_TOKEN_SIZE], again[XM_TOKEN_SIZE];
	char *text = malloc(size + 1), printed[XM_TOKEN_TEXT_SIZE];

	XM_ASSERT(text != NULL);
	memcpy(text, bytes, size);
	text[size] = '\0';
	if (xm_token_parse(text, read)) {
		xm_token_print(read, printed);
		XM_ASSERT(xm_token_parse(printed, again));
		XM_ASSERT(memcmp(read, again, sizeof(read)) == 0);
	}
	free(text);
}

static void number(const uint8_t *bytes, size_t size)
{
	uint64_t untouched = UINT64_C(0xa5a5a5a5a5a5a5a5);
	int (*const parse[])(const char *, uint64_t *) = {
		xm_parse_size, xm_parse_duration, xm_parse_count,
	};
	char *text = malloc(size + 1);

	XM_ASSERT(text != NULL);
	memcpy(text, bytes, size);
	text[size] = '\0';
	for (unsigned i = 0; i < XM_COUNT(parse); i++) {
		uint64_t value = untouched;

		if (parse[i](text, &value) != 0)
			XM_ASSERT(value == untouched);
		else
			XM_ASSERT(text[0] != '\0' && text[0] != '-');
	}
	free(text);
}

/* --- of disks ---------------------------------------------------------------------- */

static void store(const uint8_t *bytes, size_t size)
{
	static uint8_t block[XM_STORE_BLOCK];
	struct xm_store_sum sums[XM_SUMS_SECTOR];
	struct xm_store_entry entry;
	struct xm_store_begin begin;
	struct xm_store_batch batch;
	uint64_t blocks;
	uint8_t *head;

	memset(block, 0, sizeof(block));
	memcpy(block, bytes, size < sizeof(block) ? size : sizeof(block));
	(void)xm_store_begin_decode(block, &begin);
	(void)xm_store_sums_decode(block, 1, sums, XM_COUNT(sums));
	if (xm_store_entry_decode(block, 1, &entry))
		XM_ASSERT(memchr(entry.region, 0, sizeof(entry.region)) != NULL);
	blocks = xm_store_head_blocks(xm_store_head_count(block));
	if (blocks > 64)
		return; /* store_open.c reads no head that is longer than a journal */
	head = calloc(blocks, XM_STORE_BLOCK);
	XM_ASSERT(head != NULL);
	memcpy(head, block, sizeof(block));
	(void)xm_store_head_decode(head, &batch);
	free(head);
}

static const struct {
	char letter;
	void (*try)(const uint8_t *, size_t);
} forms[] = {
	{ 'A', locator }, { 'F', frames }, { 'L', label }, { 'N', number },
	{ 'R', ledger }, { 'S', store }, { 'T', token }, { 'Z', tree },
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	for (unsigned i = 0; size > 0 && i < XM_COUNT(forms); i++)
		if ((char)bytes[0] == forms[i].letter)
			forms[i].try(bytes + 1, size - 1);
	return 0;
}

#ifndef XM_LIBFUZZER

void fuzz_mend(uint8_t *bytes, size_t size)
{
	if (size > 0)
		bytes[0] = (uint8_t)forms[size % XM_COUNT(forms)].letter;
}

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv);
}

#endif
