/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The toy cipher and its laws; see seals.h. Each word of a page is mixed with the key, the
 * version and its place; the tag is a keyed sum of the page's name and of what comes out.
 * It is no cipher, but a wrong bit gives a wrong tag, but once in 2^64 times.
 */
#include "sim/seals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pure/pager_parts.h" /* the flags of a page */
#include "core/skin/cipher.h"
#include "sim/counts.h"
#include "sim/fibers.h"
#include "sim/notes.h"
#include "sim/plan.h"
#include "sim/programs.h"
#include "sim/world.h"

/* Of a toy the salt is the key. */
struct xm_seal {
	uint32_t count;
	uint32_t own; /* the first, before a renewal */
	uint64_t keys[XM_CIPHER_KEYS];
	uint32_t forgotten[XM_CIPHER_KEYS]; /* by these lanes */
};

/* The key that a page is under. */
static uint64_t key_of(const struct xm_seal *s, const struct xm_seal_page *at)
{
	if ((s->forgotten[at->key] >> at->lane & 1) != 0)
		world_broken("renewal", "page %llu of a client is under key %u, "
			     "which lane %u has forgotten",
			     (unsigned long long)at->page, at->key, at->lane);
	return s->keys[at->key];
}

#define WORDS_OF(size) ((size) / sizeof(uint64_t))

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* --- the set of all nonces ------------------------------------------------------- */

struct nonce {
	uint64_t key, version; /* key 0: none */
};

static struct {
	struct nonce *list;
	size_t count, room; /* a power of two */
} nonces;

static struct nonce *nonce_place(uint64_t key, uint64_t version)
{
	size_t i = mix(key ^ mix(version)) & (nonces.room - 1);

	while (nonces.list[i].key != 0 && (nonces.list[i].key != key ||
					   nonces.list[i].version != version))
		i = (i + 1) & (nonces.room - 1);
	return &nonces.list[i];
}

static void nonces_grow(void)
{
	struct nonce *old = nonces.list;
	size_t room = nonces.room;

	nonces.room = room == 0 ? 1024 : 2 * room;
	nonces.list = calloc(nonces.room, sizeof(*nonces.list));
	XM_ASSERT(nonces.list != NULL);
	for (size_t i = 0; i < room; i++) {
		if (old[i].key != 0)
			*nonce_place(old[i].key, old[i].version) = old[i];
	}
	free(old);
}

static void nonce_use(uint64_t key, uint64_t version)
{
	struct nonce *place;

	if (2 * nonces.count >= nonces.room)
		nonces_grow();
	place = nonce_place(key, version);
	sim_counts.laws_asked++;
	if (place->key != 0)
		world_broken("nonce", "version %llu was sealed twice under one "
			     "key", (unsigned long long)version);
	place->key = key;
	place->version = version;
	nonces.count++;
}

/* --- the cipher -------------------------------------------------------------------- */

static void change(uint64_t key, const struct xm_seal_page *at,
		   uint8_t *bytes, size_t size)
{
	uint64_t *words = (uint64_t *)(void *)bytes;
	uint64_t from = mix(key ^ mix(at->version));

	for (size_t i = 0; i < WORDS_OF(size); i++)
		words[i] ^= mix(from + i);
}

static void tag_make(uint64_t key, const struct xm_seal_page *at,
		     const uint8_t *bytes, size_t size,
		     uint8_t ret[XM_SEAL_TAG_SIZE])
{
	const uint64_t *words = (const uint64_t *)(const void *)bytes;
	uint64_t name[2], sum[2];

	memcpy(name, at->region.bytes, sizeof(name));
	sum[0] = mix(key + at->page) ^ name[0];
	sum[1] = mix(key ^ at->version) ^ name[1];
	for (size_t i = 0; i < WORDS_OF(size); i++)
		sum[0] = (sum[0] ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + i;
	sum[1] = mix(sum[0] ^ sum[1]);
	memcpy(ret, sum, sizeof(sum));
}

static void toy_seal(struct xm_seal *s, const struct xm_seal_page *at,
		     uint8_t *bytes, size_t size,
		     uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	uint64_t key = key_of(s, at);

	nonce_use(key, at->version);
	change(key, at, bytes, size);
	tag_make(key, at, bytes, size, ret_tag);
}

static int toy_open(struct xm_seal *s, const struct xm_seal_page *at,
		    uint8_t *bytes, size_t size,
		    const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	uint8_t right[XM_SEAL_TAG_SIZE];
	uint64_t key = key_of(s, at);

	tag_make(key, at, bytes, size, right);
	if (memcmp(tag, right, sizeof(right)) != 0)
		return -EBADMSG;
	change(key, at, bytes, size);
	return 0;
}

static const struct xm_seal_ops toy_ops = {
	.name = "toy", .seal = toy_seal, .open = toy_open,
};

int xm_cipher_open(const char *key, uint32_t lanes,
		   const struct xm_seal_ops **ret_ops, struct xm_seal **ret,
		   char *words, size_t words_size)
{
	struct xm_seal *s = os_alloc(sizeof(*s));

	(void)key;
	(void)lanes;
	if (s == NULL) {
		snprintf(words, words_size, "out of memory");
		return -ENOMEM;
	}
	memset(s, 0, sizeof(*s));
	s->count = 1;
	s->keys[0] = xm_rand_next(world_rand(WORLD_SEALS)) | 1;
	*ret_ops = &toy_ops;
	*ret = s;
	return 0;
}

int xm_cipher_salt(const struct xm_seal *s, uint8_t ret[XM_SALT_SIZE])
{
	memset(ret, 0, XM_SALT_SIZE);
	memcpy(ret, &s->keys[s->own], sizeof(s->keys[0]));
	return 0;
}

int xm_cipher_source(const char *key, struct xm_cipher_source *ret, char *words,
		     size_t words_size)
{
	(void)key;
	(void)words;
	(void)words_size;
	memset(ret, 0, sizeof(*ret));
	return 0;
}

int xm_cipher_renew(struct xm_seal *s, const struct xm_cipher_source *source,
		    uint16_t *ret)
{
	(void)source;
	if (s->count == XM_CIPHER_KEYS)
		return -ENOSPC;
	s->own = s->count++;
	s->keys[s->own] = xm_rand_next(world_rand(WORLD_SEALS)) | 1;
	*ret = (uint16_t)s->own;
	return 0;
}

void xm_cipher_forget(struct xm_seal *s, uint16_t number, uint32_t lane)
{
	s->forgotten[number] |= UINT32_C(1) << lane;
}

int xm_cipher_key(struct xm_seal *s, const uint8_t salt[XM_SALT_SIZE], uint16_t *ret)
{
	uint64_t key;

	memcpy(&key, salt, sizeof(key));
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->keys[i] != key || s->forgotten[i] != 0)
			continue;
		*ret = (uint16_t)i;
		return 0;
	}
	if (s->count == XM_CIPHER_KEYS)
		return -ENOSPC;
	*ret = (uint16_t)s->count;
	s->keys[s->count++] = key;
	return 0;
}

struct xm_seals *seals_any(struct xm_seals *ret, uint8_t (*salts)[12], uint32_t count,
			   uint16_t *ret_keys)
{
	static struct xm_seal any;

	any.count = 0;
	for (uint32_t i = 0; i < count; i++)
		XM_ASSERT(xm_cipher_key(&any, salts[i], &ret_keys[i]) == 0);
	xm_seals_init(ret, &toy_ops, &any, NULL, 0);
	return ret;
}

void xm_cipher_close(struct xm_seal *s)
{
	os_free(s);
}

/* --- the shape ------------------------------------------------------------------------ */

void seals_open(void)
{
	if (nonces.count > 0)
		memset(nonces.list, 0, nonces.room * sizeof(*nonces.list));
	nonces.count = 0;
}

/* From numbers of their own, so that all else is drawn as without them. */
void seals_draw(struct sim_shape *s)
{
	static const uint32_t every_ms[] = { 0, 0, 20, 100, 500 };
	struct xm_rand *r = world_rand(WORLD_SEALS);
	bool sealed = xm_rand_below(r, 3) == 0;
	uint32_t lies_ms = every_ms[xm_rand_below(r, XM_COUNT(every_ms))];

	if (sim_plan.plain || sim_plan.unsealed || !sealed)
		return;
	s->sealed = true;
	/* What lies is no mere pause. */
	s->lies_ms = s->pauses || s->weather_ms == 0 ? 0 : lies_ms;
}

bool seals_renews(void)
{
	return sim_shape.sealed && xm_rand_below(world_rand(WORLD_SEALS), 3) == 0;
}

/* --- laws ------------------------------------------------------------------------------ */

enum seals_look seals_look(extmem *x, uint64_t page, const uint8_t *bytes,
			   const uint8_t *plain, const uint8_t **ret)
{
	static _Alignas(8) uint8_t image[XM_PAGE];
	static const uint8_t zeros[XM_PAGE];
	struct xm_lane *lane = xm_lane_at(&x->lanes, page);
	const struct xm_page *entry = &lane->engine.pager.pages[page];
	const struct xm_seal_entry *seal;
	struct xm_seal_page at;

	if (x->sealing.ops->plain ||
	    !xm_volume_sealed_page(&lane->engine.io, page, &at))
		return SEALS_PLAIN;
	if ((entry->flags & FLAG_STORING) != 0 ||
	    (entry->flags & FLAG_WRITTEN) == 0 ||
	    entry->state == XM_PAGE_IO_LOCKED)
		return SEALS_BUSY;
	/* A lie of zeros can meet a page of zeros. */
	if (plain != NULL && memcmp(plain, bytes, XM_PAGE) == 0 &&
	    (sim_shape.lies_ms == 0 || memcmp(plain, zeros, XM_PAGE) != 0))
		world_broken("seal", "page %llu of a client lies at an appliance "
			     "as it is", (unsigned long long)page);
	seal = &x->sealing.table[page];
	if (seal->version == 0)
		return SEALS_WRONG; /* it was tampered with, and is lost */
	at.version = seal->version;
	at.key = seal->key;
	at.lane = lane->engine.seals.lane;
	memcpy(image, bytes, XM_PAGE);
	*ret = image;
	return toy_open(x->sealing.seal, &at, image, XM_PAGE, seal->tag) == 0
		       ? SEALS_RIGHT
		       : SEALS_WRONG;
}

void law_seals(uint32_t client)
{
	extmem *x = program_client(client);

	for (uint32_t l = 0; x != NULL && l < x->lanes.count; l++) {
		const struct xm_engine_counters *c =
			&x->lanes.lane[l].engine.counters;

		sim_counts.laws_asked++;
		if (c->bad_tags > 0 && sim_shape.lies_ms == 0)
			world_broken("seal", "client %u met a tag that is wrong, "
				     "and nobody has lied", client);
		if (c->tampered > 0 && sim_shape.survives)
			world_broken("survival", "client %u lost a page that was "
				     "tampered with, and only appliances %#x have "
				     "lied", client, sim_shape.victims);
	}
}
