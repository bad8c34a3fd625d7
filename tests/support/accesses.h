/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses for a data path (transports/model/datapath.h), as a client might send them that
 * means harm: with keys that are dead, wrong, or another's, without the right, beyond the
 * span, of no length or too much, with sums that wrap around. About half of them are allowed.
 */
#ifndef XM_TESTS_ACCESSES_H
#define XM_TESTS_ACCESSES_H

#include "common/rand.h"
#include "transports/model/datapath.h"

#define ACCESSES_KEYS 64
#define ACCESSES_POOL ((size_t)256 * 1024)
#define ACCESSES_BYTES ((size_t)16 * 1024) /* of the longest that is allowed */

/* Draws ACCESSES_KEYS entries: some dead, spans of 0 to ACCESSES_BYTES bytes anywhere in
 * the pool. Entry i is that of key[i].key % XM_PATH_KEYS; no two are the same. */
void accesses_keys(struct xm_rand *, struct xm_path_key *ret);
/* Draws one; `wire` is not set. */
void accesses_draw(struct xm_rand *, const struct xm_path_key *keys, struct xm_path_access *ret);
/* What must become of it, by arithmetic of 128 bits over the whole list. */
enum xm_path_status accesses_answer(const struct xm_path_key *keys, const struct xm_path_access *,
				    const struct xm_path_key **ret_key);
/* What an access takes that ends so, with a memory that waits so long for each word. */
uint64_t accesses_cycles(enum xm_path_status, uint64_t at, uint64_t length, uint32_t wait);

#endif
