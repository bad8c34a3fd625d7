/* SPDX-License-Identifier: BSD-3-Clause */
/* See accesses.h. */
#include "core/pure/transport.h"
#include "tests/support/accesses.h"

void accesses_keys(struct xm_rand *r, struct xm_path_key *ret)
{
	for (uint32_t i = 0; i < ACCESSES_KEYS; i++) {
		uint64_t size = xm_rand_below(r, 8) == 0 ? xm_rand_below(r, 20)
							 : xm_rand_below(r, ACCESSES_BYTES + 1);

		ret[i] = (struct xm_path_key){
			.owner = 1 + xm_rand_below(r, 3),
			.key = xm_rand_next(r) << XM_PATH_KEYS_LOG2 |
			       (i * 61 + 7) % XM_PATH_KEYS,
			.base = xm_rand_below(r, ACCESSES_POOL - size + 1),
			.size = size,
			.rights = (uint32_t)xm_rand_below(r, 4),
		};
	}
}

static uint64_t offset_draw(struct xm_rand *r, uint64_t size)
{
	switch (xm_rand_below(r, 12)) {
	case 0:
		return 0;
	case 1:
		return size;
	case 2:
		return size + 1;
	case 3:
		return size - 1; /* of 0: the last there is */
	case 4:
		return UINT64_MAX - xm_rand_below(r, 200);
	case 5:
		return UINT64_C(1) << (32 + xm_rand_below(r, 32));
	default:
		return xm_rand_below(r, size + 1);
	}
}

static uint64_t length_draw(struct xm_rand *r, uint64_t size, uint64_t offset)
{
	switch (xm_rand_below(r, 16)) {
	case 0:
		return 0;
	case 1:
		return size - offset + 1;
	case 2:
		return XM_PATH_LENGTH_MAX + xm_rand_below(r, 2);
	case 3:
		return UINT64_MAX - xm_rand_below(r, 200);
	case 4:
		return 0 - offset + xm_rand_below(r, 8); /* ends behind 0 again */
	case 5:
		return (UINT64_C(1) << (32 + xm_rand_below(r, 32))) + 1 + xm_rand_below(r, 64);
	case 6:
	case 7:
		return size - offset;
	case 8:
	case 9:
	case 10:
		return 1 + xm_rand_below(r, 24);
	default:
		return 1 + xm_rand_below(r, offset < size ? size - offset : 64);
	}
}

void accesses_draw(struct xm_rand *r, const struct xm_path_key *keys, struct xm_path_access *ret)
{
	const struct xm_path_key *k = &keys[xm_rand_below(r, ACCESSES_KEYS)];

	*ret = (struct xm_path_access){ .write = xm_rand_below(r, 2) == 0,
					.owner = k->owner, .key = k->key };
	switch (xm_rand_below(r, 16)) {
	case 0:
		ret->key ^= UINT64_C(1) << (XM_PATH_KEYS_LOG2 +
					    xm_rand_below(r, 64 - XM_PATH_KEYS_LOG2));
		break;
	case 1:
		ret->key = xm_rand_next(r); /* most likely of no entry */
		break;
	case 2:
		ret->owner ^= UINT64_C(1) << xm_rand_below(r, 64);
		break;
	default:
		break;
	}
	ret->offset = offset_draw(r, k->size);
	ret->length = length_draw(r, k->size, ret->offset);
}

enum xm_path_status accesses_answer(const struct xm_path_key *keys, const struct xm_path_access *a,
				    const struct xm_path_key **ret_key)
{
	const struct xm_path_key *k = NULL;

	for (uint32_t i = 0; i < ACCESSES_KEYS; i++) {
		if (keys[i].key == a->key && keys[i].owner == a->owner && keys[i].rights != 0)
			k = &keys[i];
	}
	if (a->length == 0 || a->length > XM_PATH_LENGTH_MAX)
		return XM_PATH_NO_LENGTH;
	if (k == NULL)
		return XM_PATH_NO_KEY;
	if ((unsigned __int128)a->offset + a->length > k->size)
		return XM_PATH_NO_BOUNDS;
	if ((k->rights & (a->write ? XM_RIGHT_WRITE : XM_RIGHT_READ)) == 0)
		return XM_PATH_NO_RIGHT;
	*ret_key = k;
	return XM_PATH_DONE;
}

uint64_t accesses_cycles(enum xm_path_status status, uint64_t at, uint64_t length, uint32_t wait)
{
	uint64_t checked = XM_PATH_CYCLES_CHECKED + XM_PATH_CYCLES_ENDED;

	if (status != XM_PATH_DONE)
		return checked;
	return checked + (length + 7) / 8 + ((at + length + 7) / 8 - at / 8) * (1 + wait);
}
