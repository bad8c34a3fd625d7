/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data path in C; datapath.h says what it does and what that costs. Its steps are those
 * of the Verilog, its cycles are counted, not played: between two calls of clock() it has
 * moved the words that fit into the cycles that were given.
 *
 * Bound: an access of n bytes ends within 4 + (n / 8 + 2) * (2 + wait) cycles.
 */
#include <stdlib.h>
#include <string.h>

#include "common/rand.h"
#include "core/pure/transport.h"
#include "transports/model/datapath.h"

#define WORD 8

struct path {
	uint8_t *pool;
	uint64_t pool_size;
	uint32_t wait;
	uint64_t jitter;
	bool jitters;
	struct xm_path_access access;
	enum xm_path_status status;
	uint64_t at, left; /* of the pool, of the access */
	uint64_t words;	   /* of the pool, still to be touched */
	uint64_t owed;	   /* cycles of what was begun and is not paid yet */
	bool ends;	   /* when that is paid */
	struct xm_path_key keys[XM_PATH_KEYS];
};

static void *path_open(uint8_t *pool, uint64_t size, uint32_t wait, uint64_t jitter)
{
	struct path *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	XM_ASSERT(((uintptr_t)pool | size) % WORD == 0);
	p->pool = pool;
	p->pool_size = size;
	p->wait = wait;
	p->jitter = jitter;
	p->jitters = jitter != 0;
	return p;
}

static void path_close(void *path)
{
	free(path);
}

static void path_key(void *path, uint32_t index, const struct xm_path_key *key)
{
	struct path *p = path;

	XM_ASSERT(index < XM_PATH_KEYS);
	XM_ASSERT(key->rights == 0 ||
		  (xm_span_fits(key->base, key->size, p->pool_size) &&
		   key->key % XM_PATH_KEYS == index));
	p->keys[index] = *key;
}

static enum xm_path_status check(const struct path *p)
{
	const struct xm_path_access *a = &p->access;
	const struct xm_path_key *k = &p->keys[a->key % XM_PATH_KEYS];

	if (a->length == 0 || a->length > XM_PATH_LENGTH_MAX)
		return XM_PATH_NO_LENGTH;
	if (k->rights == 0 || k->key != a->key || k->owner != a->owner)
		return XM_PATH_NO_KEY;
	if (a->offset > k->size || a->length > k->size - a->offset)
		return XM_PATH_NO_BOUNDS;
	if ((k->rights & (a->write ? XM_RIGHT_WRITE : XM_RIGHT_READ)) == 0)
		return XM_PATH_NO_RIGHT;
	return XM_PATH_DONE;
}

static void path_begin(void *path, const struct xm_path_access *access)
{
	struct path *p = path;

	p->access = *access;
	p->status = check(p);
	p->owed = XM_PATH_CYCLES_CHECKED;
	p->left = p->words = 0;
	p->ends = false;
	if (p->status != XM_PATH_DONE)
		return;
	p->at = p->keys[access->key % XM_PATH_KEYS].base + access->offset;
	p->left = access->length;
	p->words = (p->at % WORD + p->left + WORD - 1) / WORD;
}

static uint64_t word_cost(struct path *p)
{
	if (!p->jitters)
		return 1 + p->wait;
	return 1 + xm_rand_mix(&p->jitter) % (p->wait + 1);
}

/* One word of the wire, and one of the pool; with the last one what is left of those. */
static void word_move(struct path *p)
{
	uint64_t size = xm_min(p->left, WORD);
	uint64_t words = p->left == size ? p->words : 1;
	uint8_t *at = p->pool + p->at;

	if (p->access.write)
		memcpy(at, p->access.wire, size);
	else
		memcpy(p->access.wire, at, size);
	p->access.wire += size;
	p->at += size;
	p->left -= size;
	p->words -= words;
	p->owed += 1;
	for (uint64_t i = 0; i < words; i++)
		p->owed += word_cost(p);
}

static uint64_t path_clock(void *path, uint64_t cycles, bool *ret_ended,
			   enum xm_path_status *ret_status)
{
	struct path *p = path;
	uint64_t passed = 0;

	for (;;) {
		uint64_t pays = xm_min(p->owed, cycles - passed);

		p->owed -= pays;
		passed += pays;
		if (p->owed > 0)
			break;
		if (p->ends) {
			*ret_ended = true;
			*ret_status = p->status;
			return passed;
		}
		if (p->left > 0) {
			word_move(p);
		} else {
			p->owed = XM_PATH_CYCLES_ENDED;
			p->ends = true;
		}
	}
	*ret_ended = false;
	return passed;
}

const struct xm_path_ops xm_path_model = {
	.open = path_open,
	.close = path_close,
	.key = path_key,
	.begin = path_begin,
	.clock = path_clock,
};
