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
	void *deriving, *place[XM_EPOCHS];
};

#define NONE UINT64_MAX

struct xm_seal {
	const struct xm_cipher_kind *kind;
	uint32_t lanes;
	size_t size; /* of all this memory */
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

/* The place that has the key of the version's epoch from now on. */
static void *place_for(struct xm_seal *s, const struct xm_seal_page *at)
{
	struct keys *keys = &s->keys[at->lane];
	uint64_t epoch = at->version >> XM_EPOCH_SHIFT;
	unsigned i = epoch % XM_EPOCHS;

	if (keys->epoch[i] != epoch) {
		uint8_t key[XM_KEY_SIZE], from[XM_NONCE_SIZE] = "EPOC";

		put(from + 4, epoch, 8);
		derive(s->kind, keys->deriving, from, key);
		s->kind->set(keys->place[i], key);
		explicit_bzero(key, sizeof(key));
		keys->epoch[i] = epoch;
	}
	return keys->place[i];
}

static void name(const struct xm_seal_page *at, size_t size,
		 uint8_t nonce[XM_NONCE_SIZE], uint8_t data[XM_DATA_SIZE])
{
	memset(nonce, 0, XM_NONCE_SIZE);
	put(nonce + 4, at->version, 8);
	memset(data, 0, XM_DATA_SIZE);
	memcpy(data, "XMS1", 4);
	memcpy(data + 4, at->region.bytes, XM_REGION_ID_SIZE);
	put(data + 20, at->page, 8);
	put(data + 28, at->version, 8);
	put(data + 36, at->key, 2);
	put(data + 38, size, 2);
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

static bool lanes_open(struct xm_seal *s, uint8_t *memory,
		       const uint8_t key[XM_KEY_SIZE],
		       const uint8_t salt[XM_NONCE_SIZE])
{
	uint8_t master[XM_KEY_SIZE];

	for (uint32_t i = 0; i < s->lanes; i++) {
		if (!lane_open(s, &s->keys[i], memory))
			return false;
		memory += (1 + XM_EPOCHS) * s->kind->place_size;
	}
	memcpy(master, key, sizeof(master));
	if (salt != NULL) {
		s->kind->set(s->keys[0].deriving, key);
		derive(s->kind, s->keys[0].deriving, salt, master);
	}
	for (uint32_t i = 0; i < s->lanes; i++)
		s->kind->set(s->keys[i].deriving, master);
	explicit_bzero(master, sizeof(master));
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
