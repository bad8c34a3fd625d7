/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of the durable store's world, and its laws; see store.h. */
#include "sim/store.h"

#include <errno.h>
#include <string.h>

#include "sim/counts.h"
#include "sim/disk.h"
#include "sim/notes.h"
#include "sim/world.h"

#define STATES 24    /* of one thing, from the last commit on */
#define EXTENTS 4096 /* in one run */
#define MEMORY (256 * XM_KIB)
#define FORGED (UINT64_C(1) << 31) /* of a page's value */

/* What a thing was at the last commit, and what it has been since. */
struct past {
	uint64_t values[STATES];
	uint32_t count;
};

/* Values are numbers of extents and of their ties: extent << 32 | tie; 0: unused. */
struct slot {
	struct past past;
	uint32_t first, count; /* of the extent that it has now */
};

struct extent {
	uint32_t first, count;
	struct past pages[KEPT_SIZE_MAX];
	/* Two pages that were put together since the last commit, which state of theirs
	 * that was, and whether they were found in it, or in a later one. */
	struct {
		bool there;
		uint32_t page[2], state[2];
		bool found[2], unclear;
	} pair;
};

static struct {
	struct xm_store store;
	struct xm_store_options options;
	_Alignas(16) uint8_t memory[MEMORY];
	uint8_t pool[KEPT_PAGES][XM_STORE_BLOCK];
	struct slot slots[KEPT_SLOTS];
	struct extent extents[EXTENTS];
	uint32_t number, value;
	bool failed, rotten, over;
} k;

static void law(bool held, const char *words, uint64_t a, uint64_t b)
{
	sim_counts.laws_asked++;
	if (!held)
		world_broken("store", "%s: %llu, %llu", words,
			     (unsigned long long)a, (unsigned long long)b);
}

static void step_ends(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	world_note(what, a, b, c);
	sim_counts.operations++;
}

static uint64_t now_of(const struct past *p)
{
	return p->values[p->count - 1];
}

static void past_add(struct past *p, uint64_t value)
{
	XM_ASSERT(p->count < STATES);
	p->values[p->count++] = value;
}

static bool past_has(const struct past *p, uint64_t value)
{
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->values[i] == value)
			return true;
	}
	return false;
}

static void past_set(struct past *p, uint64_t value)
{
	p->values[0] = value;
	p->count = 1;
}

static struct extent *extent_of(uint32_t slot)
{
	uint64_t value = now_of(&k.slots[slot].past);

	return value == 0 ? NULL : &k.extents[value >> 32];
}

/* --- pages ---------------------------------------------------------------- */

/* All words are the value, or it is a batch that was never written. */
static void fill(uint8_t *page, uint64_t value)
{
	struct xm_store_batch batch = {
		.generation = value >> 32, .sequence = UINT64_C(1) << 40, .count = 1,
	};

	if ((value & FORGED) == 0) {
		for (uint32_t at = 0; at < XM_STORE_BLOCK; at += sizeof(value))
			memcpy(page + at, &value, sizeof(value));
		return;
	}
	memset(page, 0, XM_STORE_BLOCK);
	memcpy(page + XM_STORE_BLOCK - sizeof(value), &value, sizeof(value));
	xm_store_head_seal(page, &batch);
}

/* UINT64_MAX: it is torn. */
static uint64_t value_of(const uint8_t *page)
{
	uint8_t whole[XM_STORE_BLOCK];
	uint64_t value;

	memcpy(&value, page + XM_STORE_BLOCK - sizeof(value), sizeof(value));
	fill(whole, value);
	return memcmp(whole, page, XM_STORE_BLOCK) == 0 ? value : UINT64_MAX;
}

/* --- after a crash -------------------------------------------------------- */

/* True: the run goes on from here. */
static bool reopen(void)
{
	char words[XM_WORDS_SIZE] = "";
	int rc;

	memset(k.memory, 0, sizeof(k.memory));
	rc = xm_store_open(&k.store, &k.options, &disk_ops, NULL, k.memory, words);
	if (rc == 0)
		return true;
	if (disk_is_off() || disk_has_failed()) {
		/* Recovery is cut off, too. */
		disk_on(disk_is_off());
		return reopen();
	}
	if (!k.rotten)
		world_broken("store", "after a crash it does not open: %s", words);
	k.over = true;
	step_ends("store.refused: for what has rotted", 0, 0, 0);
	return false;
}

/* A page of a pair was found as this. A value that it had before and after says nothing. */
static void pair_look(struct extent *e, uint32_t page, uint64_t value)
{
	for (uint32_t i = 0; i < 2 && e->pair.there; i++) {
		bool before = false, after = false;

		if (e->pair.page[i] != page)
			continue;
		for (uint32_t at = 0; at < e->pages[page].count; at++) {
			if (e->pages[page].values[at] == value)
				*(at < e->pair.state[i] ? &before : &after) = true;
		}
		e->pair.unclear |= before && after;
		e->pair.found[i] = after;
	}
}

static void check_page(uint32_t slot, struct extent *e, uint32_t i)
{
	uint8_t page[XM_STORE_BLOCK];
	uint64_t bad, value;
	int rc = xm_store_get(&k.store, slot, e->first + i, 1, page, &bad);

	if (rc != 0) {
		law(k.rotten, "a page that was durable is damaged", slot, i);
		k.over = true;
		return;
	}
	value = value_of(page);
	law(value != UINT64_MAX, "a page is whole", slot, i);
	law(past_has(&e->pages[i], value),
	    "a page has what was durable, or what came later", slot, i);
	pair_look(e, i, value);
	past_set(&e->pages[i], value);
	memcpy(k.pool[e->first + i], page, XM_STORE_BLOCK);
}

static void check_slot(uint32_t slot, uint64_t *taken)
{
	struct slot *s = &k.slots[slot];
	struct xm_store_entry entry;
	uint64_t value = 0;
	struct extent *e;

	if (xm_store_entry(&k.store, slot, &entry))
		value = entry.epoch;
	law(past_has(&s->past, value),
	    "a slot has what was durable, or what came later", slot, value);
	past_set(&s->past, value);
	if (value == 0)
		return;
	e = &k.extents[value >> 32];
	law(entry.offset == e->first * UINT64_C(4096) &&
		    entry.size == e->count * UINT64_C(4096),
	    "an entry is whole", slot, value);
	for (uint32_t i = 0; i < e->count && !k.over; i++) {
		law((*taken >> (e->first + i) & 1) == 0,
		    "two extents have no byte in common", slot, i);
		*taken |= UINT64_C(1) << (e->first + i);
		check_page(slot, e, i);
	}
	if (e->pair.there && !e->pair.unclear && !k.over)
		law(e->pair.found[0] == e->pair.found[1],
		    "what was put together is durable together", slot, 0);
	memset(&e->pair, 0, sizeof(e->pair));
}

/* A batch that has rotted cannot be told from one that was cut off, if none is behind it: so
 * the first of several rots, or something after all is in its place. True: the run is over,
 * as it was found out. */
static bool rots(void)
{
	if (k.store.sequence - k.store.begin.sequence > 1 && !k.failed) {
		k.rotten = true;
		disk_rot_at(XM_STORE_JOURNAL, XM_STORE_FIRST / XM_STORE_SECTOR);
		return !reopen();
	}
	if (!reopen())
		return true;
	disk_on(true);
	k.rotten = disk_rot();
	return !reopen();
}

void kept_restart(bool power, bool rot)
{
	uint64_t taken = 0;

	disk_on(power || rot || disk_is_off());
	step_ends("store.restart: the power was cut: {power}", power, rot, 0);
	if (rot ? rots() : !reopen())
		return;
	k.failed = false;
	for (uint32_t i = 0; i < KEPT_SLOTS && !k.over; i++)
		check_slot(i, &taken);
}

/* --- steps ---------------------------------------------------------------- */

void kept_open(uint32_t batch_max, uint32_t journal_blocks)
{
	memset(k.slots, 0, sizeof(k.slots));
	memset(k.pool, 0, sizeof(k.pool));
	memset(k.extents, 0, (k.number + 1) * sizeof(k.extents[0]));
	k.number = k.value = 0;
	k.failed = k.rotten = k.over = false;
	for (uint32_t i = 0; i < KEPT_SLOTS; i++)
		past_set(&k.slots[i].past, 0);
	k.options = (struct xm_store_options){
		.pages = KEPT_PAGES, .slots = KEPT_SLOTS, .batch_max = batch_max,
		.journal_size = xm_store_journal_min(batch_max) +
				journal_blocks * XM_STORE_BLOCK,
	};
	XM_ASSERT(xm_store_memory_size(&k.options) <= sizeof(k.memory));
	disk_open();
	reopen();
}

/* What a call returned: an error is the disk's. */
static void returned(int rc)
{
	if (rc == 0)
		return;
	law(k.failed || disk_is_off() || disk_has_failed(),
	    "a call fails when the disk does", (uint64_t)(int64_t)rc, 0);
	k.failed = true;
	step_ends("store.failed: with {status}", (uint64_t)(int64_t)rc, 0, 0);
}

/* Room for one more state of everything. */
static bool has_room(const struct past *p)
{
	return p->count < STATES;
}

static int tell(uint32_t slot, uint64_t value, bool fresh)
{
	const struct extent *e = &k.extents[value >> 32];
	struct xm_store_entry entry = {
		.offset = e->first * UINT64_C(4096),
		.size = e->count * UINT64_C(4096), .epoch = value,
	};

	past_add(&k.slots[slot].past, value);
	return xm_store_keep(&k.store, slot, &entry, fresh);
}

bool kept_keep(uint32_t slot, uint32_t first, uint32_t count)
{
	struct extent *e;

	if (now_of(&k.slots[slot].past) != 0 || k.number + 1 == EXTENTS ||
	    first + count > KEPT_PAGES || !has_room(&k.slots[slot].past))
		return false;
	for (uint32_t i = 0; i < KEPT_SLOTS; i++) {
		const struct extent *o = extent_of(i);

		if (o != NULL && o->first < first + count &&
		    first < o->first + o->count)
			return false;
	}
	e = &k.extents[++k.number];
	e->first = first;
	e->count = count;
	for (uint32_t i = 0; i < count; i++)
		past_set(&e->pages[i], 0);
	memset(k.pool[first], 0, count * sizeof(k.pool[0]));
	step_ends("store.keep: slot {slot}: pages from {first} on, {count}", slot,
		  first, count);
	returned(tell(slot, (uint64_t)k.number << 32 | 1, true));
	return true;
}

void kept_tie(uint32_t slot)
{
	uint64_t value = now_of(&k.slots[slot].past);

	if (value == 0 || !has_room(&k.slots[slot].past))
		return;
	step_ends("store.tie: slot {slot}", slot, 0, 0);
	returned(tell(slot, value + 1, false));
}

void kept_forget(uint32_t slot)
{
	if (now_of(&k.slots[slot].past) == 0 || !has_room(&k.slots[slot].past))
		return;
	step_ends("store.forget: slot {slot}", slot, 0, 0);
	past_add(&k.slots[slot].past, 0);
	returned(xm_store_forget(&k.store, slot));
}

void kept_write(uint32_t slot, uint32_t page, bool forged, bool back)
{
	const struct extent *e = extent_of(slot);
	uint64_t value = ++k.value;

	if (e == NULL || page >= e->count)
		return;
	if (forged)
		value |= FORGED | (k.store.begin.generation + 1) << 32;
	if (back)
		value = e->pages[page].values[0];
	fill(k.pool[e->first + page], value);
	step_ends("store.write: slot {slot}, its page {page}: {value}", slot, page,
		  value);
}

void kept_put(uint32_t slot, uint32_t first, uint32_t count)
{
	struct extent *e = extent_of(slot);

	if (e == NULL || first >= e->count)
		return;
	count = (uint32_t)xm_min(count, e->count - first);
	for (uint32_t i = first; i < first + count; i++) {
		if (!has_room(&e->pages[i]))
			return;
	}
	for (uint32_t i = first; i < first + count; i++)
		past_add(&e->pages[i], value_of(k.pool[e->first + i]));
	step_ends("store.put: slot {slot}, its pages from {first} on, {count}", slot,
		  first, count);
	returned(xm_store_put(&k.store, slot, e->first + first, count,
			      k.pool[e->first + first]));
}

void kept_put_pair(uint32_t slot, uint32_t a, uint32_t b)
{
	struct extent *e = extent_of(slot);
	uint32_t page[2] = { a, b };
	int rc;

	if (e == NULL || a >= e->count || b >= e->count || a == b ||
	    k.options.batch_max < 2 || e->pair.there ||
	    !has_room(&e->pages[a]) || !has_room(&e->pages[b]))
		return;
	e->pair.there = true;
	rc = xm_store_together(&k.store, 2);
	step_ends("store.pair: slot {slot}, its pages {a} and {b}", slot, a, b);
	for (uint32_t i = 0; i < 2; i++) {
		kept_write(slot, page[i], false, false);
		e->pair.page[i] = page[i];
		e->pair.state[i] = e->pages[page[i]].count;
		past_add(&e->pages[page[i]], value_of(k.pool[e->first + page[i]]));
		if (rc == 0)
			rc = xm_store_put(&k.store, slot, e->first + page[i], 1,
					  k.pool[e->first + page[i]]);
	}
	returned(rc);
}

void kept_commit(void)
{
	int rc = xm_store_commit(&k.store);

	if (rc == 0)
		law(!k.failed, "a store that failed acknowledges nothing", 0, 0);
	returned(rc);
	if (rc != 0)
		return;
	step_ends("store.commit: {batches} batches", k.store.counters.batches, 0, 0);
	for (uint32_t i = 0; i < KEPT_SLOTS; i++) {
		struct extent *e = extent_of(i);

		past_set(&k.slots[i].past, now_of(&k.slots[i].past));
		if (e != NULL)
			e->pair.there = false;
		for (uint32_t j = 0; e != NULL && j < e->count; j++)
			past_set(&e->pages[j], now_of(&e->pages[j]));
	}
}

bool kept_is_kept(uint32_t slot, uint32_t *ret_count)
{
	const struct extent *e = extent_of(slot);

	*ret_count = e == NULL ? 0 : e->count;
	return e != NULL;
}

bool kept_is_down(void)
{
	return k.failed || disk_is_off();
}

bool kept_is_over(void)
{
	return k.over;
}
