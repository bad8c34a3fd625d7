/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and pages; see cipher_parts.h. */
#include "core/skin/cipher_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/skin/cipher.h"
#include "core/skin/os.h"

/* A lane's, used under its lock. */
struct keys {
	uint64_t epoch[XM_EPOCHS]; /* of which the place has the key; or NONE */
	uint16_t of[XM_EPOCHS];	   /* and of which master */
	uint16_t derives;	   /* which master `deriving` has */
	void *deriving, *place[XM_EPOCHS];
};

#define NONE UINT64_MAX

_Static_assert(XM_SALT_SIZE == XM_NONCE_SIZE, "a salt is a nonce");

struct xm_seal {
	const struct xm_cipher_kind *kind;
	uint32_t lanes;
	size_t size; /* of all this memory */
	bool salted;
	uint8_t source[XM_KEY_SIZE]; /* of which masters are derived */
	/* Masters, by the numbers that pages name; the first was ours from the beginning.
	 * Pages of one that is added are there only when its number was given. */
	uint32_t masters_count;
	uint16_t own; /* the number of ours */
	uint8_t masters[XM_CIPHER_KEYS][XM_KEY_SIZE];
	uint8_t salts[XM_CIPHER_KEYS][XM_SALT_SIZE];
	struct keys keys[XM_CIPHER_LANES];
};

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void derive(const struct xm_cipher_kind *kind, void *place,
		   const uint8_t from[XM_NONCE_SIZE], uint8_t ret[XM_KEY_SIZE])
{
	uint8_t tag[XM_SEAL_TAG_SIZE];

	memset(ret, 0, XM_KEY_SIZE);
	kind->seal(place, from, NULL, 0, ret, XM_KEY_SIZE, tag);
}

static void derive_from(struct xm_seal *s, struct keys *keys, uint16_t master)
{
	if (keys->derives != master)
		s->kind->set(keys->deriving, s->masters[master]);
	keys->derives = master;
}

/* The place that has the key of the version's epoch from now on. */
static void *place_for(struct xm_seal *s, const struct xm_seal_page *at)
{
	struct keys *keys = &s->keys[at->lane];
	uint64_t epoch = at->version >> XM_EPOCH_SHIFT;
	unsigned i = epoch % XM_EPOCHS;

	XM_ASSERT(at->key < s->masters_count);
	if (keys->epoch[i] != epoch || keys->of[i] != at->key) {
		uint8_t key[XM_KEY_SIZE], from[XM_NONCE_SIZE] = "EPOC";

		put(from + 4, epoch, 8);
		derive_from(s, keys, at->key);
		derive(s->kind, keys->deriving, from, key);
		s->kind->set(keys->place[i], key);
		explicit_bzero(key, sizeof(key));
		keys->epoch[i] = epoch;
		keys->of[i] = at->key;
	}
	return keys->place[i];
}

static void name(const struct xm_seal_page *at, size_t size,
		 uint8_t nonce[XM_NONCE_SIZE], uint8_t data[XM_DATA_SIZE])
{
	memset(nonce, 0, XM_NONCE_SIZE);
	put(nonce + 4, at->version, 8);
	memset(data, 0, XM_DATA_SIZE);
	memcpy(data, "XMS2", 4);
	memcpy(data + 4, at->region.bytes, XM_REGION_ID_SIZE);
	put(data + 20, at->page, 8);
	put(data + 28, at->version, 8);
	put(data + 36, size, 2);
}

static void page_seal(struct xm_seal *s, const struct xm_seal_page *at,
		      uint8_t *bytes, size_t size,
		      uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	uint8_t nonce[XM_NONCE_SIZE], data[XM_DATA_SIZE];

	name(at, size, nonce, data);
	s->kind->seal(place_for(s, at), nonce, data, sizeof(data), bytes, size,
		      ret_tag);
}

static int page_open(struct xm_seal *s, const struct xm_seal_page *at,
		     uint8_t *bytes, size_t size,
		     const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	uint8_t nonce[XM_NONCE_SIZE], data[XM_DATA_SIZE];

	name(at, size, nonce, data);
	if (s->kind->unseal(place_for(s, at), nonce, data, sizeof(data), bytes,
			    size, tag))
		return 0;
	memset(bytes, 0, size);
	return -EBADMSG;
}

static const struct xm_seal_ops ops = {
	.name = "aes-256-gcm", .seal = page_seal, .open = page_open,
};

/* --- opening -------------------------------------------------------------------- */

/* Each lane's places, in the order in which they lie behind the struct. */
static bool lane_open(struct xm_seal *s, struct keys *keys, uint8_t *memory)
{
	keys->deriving = memory;
	if (!s->kind->open(keys->deriving)) {
		keys->deriving = NULL;
		return false;
	}
	for (unsigned i = 0; i < XM_EPOCHS; i++) {
		memory += s->kind->place_size;
		if (!s->kind->open(memory))
			return false;
		keys->place[i] = memory;
		keys->epoch[i] = NONE;
	}
	return true;
}

/* With lane 0, which then derives from the source. */
static void master_add(struct xm_seal *s, const uint8_t salt[XM_SALT_SIZE])
{
	struct keys *keys = &s->keys[0];

	s->kind->set(keys->deriving, s->source);
	derive(s->kind, keys->deriving, salt, s->masters[s->masters_count]);
	memcpy(s->salts[s->masters_count++], salt, XM_SALT_SIZE);
	keys->derives = UINT16_MAX;
}

/* Of what is sealed from now on. */
static void own_add(struct xm_seal *s, const uint8_t key[XM_KEY_SIZE],
		    const uint8_t salt[XM_SALT_SIZE])
{
	s->own = (uint16_t)s->masters_count;
	memcpy(s->source, key, sizeof(s->source));
	s->salted = salt != NULL;
	if (s->salted)
		master_add(s, salt);
	else
		memcpy(s->masters[s->masters_count++], key, XM_KEY_SIZE);
}

static bool lanes_open(struct xm_seal *s, uint8_t *memory,
		       const uint8_t key[XM_KEY_SIZE],
		       const uint8_t salt[XM_NONCE_SIZE])
{
	for (uint32_t i = 0; i < s->lanes; i++) {
		if (!lane_open(s, &s->keys[i], memory))
			return false;
		memory += (1 + XM_EPOCHS) * s->kind->place_size;
	}
	own_add(s, key, salt);
	for (uint32_t i = 0; i < s->lanes; i++) {
		s->keys[i].derives = UINT16_MAX;
		derive_from(s, &s->keys[i], 0);
	}
	return true;
}

int xm_cipher_keys_open(const struct xm_cipher_kind *kind, uint32_t lanes,
			const uint8_t key[XM_KEY_SIZE],
			const uint8_t salt[XM_NONCE_SIZE],
			const struct xm_seal_ops **ret_ops, struct xm_seal **ret)
{
	size_t head = xm_align_up(sizeof(struct xm_seal), 64);
	size_t size = head + lanes * (1 + XM_EPOCHS) * kind->place_size;
	struct xm_seal *s = os_memory_take(size);

	XM_ASSERT(lanes <= XM_CIPHER_LANES && kind->place_size % 64 == 0);
	if (s == NULL)
		return -ENOMEM;
	/* In no core, no swap, and no child. As far as that is to be had. */
	madvise(s, size, MADV_DONTDUMP);
	madvise(s, size, MADV_WIPEONFORK);
	mlock(s, size);
	s->kind = kind;
	s->lanes = lanes;
	s->size = size;
	if (!lanes_open(s, (uint8_t *)s + head, key, salt)) {
		xm_cipher_close(s);
		return -ENOMEM;
	}
	*ret_ops = &ops;
	*ret = s;
	return 0;
}

int xm_cipher_salt(const struct xm_seal *s, uint8_t ret[XM_SALT_SIZE])
{
	if (!s->salted)
		return -ENOKEY;
	memcpy(ret, s->salts[s->own], XM_SALT_SIZE);
	return 0;
}

int xm_cipher_key(struct xm_seal *s, const uint8_t salt[XM_SALT_SIZE], uint16_t *ret)
{
	if (!s->salted)
		return -ENOKEY;
	for (uint32_t i = 0; i < s->masters_count; i++) {
		if (memcmp(s->salts[i], salt, XM_SALT_SIZE) == 0) {
			*ret = (uint16_t)i;
			return 0;
		}
	}
	if (s->masters_count == XM_CIPHER_KEYS)
		return -ENOSPC;
	*ret = (uint16_t)s->masters_count;
	master_add(s, salt);
	return 0;
}

int xm_cipher_renew(struct xm_seal *s, const struct xm_cipher_source *source,
		    uint16_t *ret)
{
	uint8_t salt[XM_SALT_SIZE];

	if (s->masters_count == XM_CIPHER_KEYS)
		return -ENOSPC;
	os_random(salt, sizeof(salt));
	own_add(s, source->key, source->salted ? salt : NULL);
	*ret = s->own;
	return 0;
}

void xm_cipher_forget(struct xm_seal *s, uint16_t number, uint32_t lane)
{
	static const uint8_t zeros[XM_KEY_SIZE];
	struct keys *keys = &s->keys[lane];

	XM_ASSERT(number < s->masters_count && number != s->own);
	if (keys->derives == number) {
		s->kind->set(keys->deriving, zeros);
		keys->derives = UINT16_MAX;
	}
	for (unsigned i = 0; i < XM_EPOCHS; i++) {
		if (keys->epoch[i] == NONE || keys->of[i] != number)
			continue;
		s->kind->set(keys->place[i], zeros);
		keys->epoch[i] = NONE;
	}
	if (lane + 1 < s->lanes)
		return;
	explicit_bzero(s->masters[number], XM_KEY_SIZE);
	memset(s->salts[number], 0, XM_SALT_SIZE);
}

void xm_cipher_close(struct xm_seal *s)
{
	size_t size;

	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->lanes; i++) {
		if (s->keys[i].deriving != NULL)
			s->kind->close(s->keys[i].deriving);
		for (unsigned k = 0; k < XM_EPOCHS; k++) {
			if (s->keys[i].place[k] != NULL)
				s->kind->close(s->keys[i].place[k]);
		}
	}
	size = s->size;
	explicit_bzero(s, size);
	os_memory_give(s, size);
}
