/* SPDX-License-Identifier: BSD-3-Clause */
/* The order in which a region is cloned; see cloning.h. Floor: ground. */
#include "core/pure/cloning.h"

#include <string.h>

enum { CHUNK_WAITS, CHUNK_BUSY, CHUNK_DONE };

#define LOOK (100 * XM_MS) /* the owner looks more often, if it runs */
#define CHUNKS UINT64_C(64) /* of a region for which chunks need not be the largest */

static uint64_t chunk_of(uint64_t count)
{
	uint64_t chunk = XM_CLONING_CHUNK_MIN;

	while (chunk < XM_CLONING_CHUNK_MAX && chunk * CHUNKS < count)
		chunk *= 2;
	return chunk;
}

size_t xm_cloning_memory_size(uint64_t count)
{
	return count / chunk_of(count) + 1;
}

void xm_cloning_init(struct xm_cloning *c, uint64_t from, uint64_t to,
		     uint64_t count, void *memory)
{
	XM_ASSERT(count > 0);
	memset(c, 0, sizeof(*c));
	c->from = from;
	c->to = to;
	c->count = count;
	c->chunk = chunk_of(count);
	c->chunks = c->left = (uint32_t)((count + c->chunk - 1) / c->chunk);
	c->wanted = c->chunks;
	c->states = memory;
}

bool xm_cloning_wants(struct xm_cloning *c, uint64_t page)
{
	uint64_t at = page - c->from < c->count ? page - c->from : page - c->to;

	if (at >= c->count)
		return false;
	c->wanted = (uint32_t)(at / c->chunk);
	return true;
}

bool xm_cloning_next(struct xm_cloning *c, uint32_t *ret_chunk)
{
	uint32_t chunk = c->wanted;

	c->wanted = c->chunks;
	if (chunk == c->chunks || c->states[chunk] != CHUNK_WAITS) {
		while (c->next < c->chunks && c->states[c->next] != CHUNK_WAITS)
			c->next++;
		chunk = c->next;
	}
	if (chunk == c->chunks)
		return false;
	c->states[chunk] = CHUNK_BUSY;
	*ret_chunk = chunk;
	return true;
}

void xm_cloning_done(struct xm_cloning *c, uint32_t chunk)
{
	XM_ASSERT(c->states[chunk] == CHUNK_BUSY);
	c->states[chunk] = CHUNK_DONE;
	c->left--;
}

bool xm_cloning_is_stuck(struct xm_cloning *c, uint64_t now_ns, uint64_t most_ns)
{
	if (c->left != c->left_seen)
		c->still_ns = 0;
	else
		c->still_ns += xm_min(now_ns - c->seen_ns, LOOK);
	c->left_seen = c->left;
	c->seen_ns = now_ns;
	return c->still_ns >= most_ns;
}

uint64_t xm_cloning_chunk(const struct xm_cloning *c, uint32_t chunk,
			  uint64_t *ret_count)
{
	uint64_t first = chunk * c->chunk;

	*ret_count = xm_min(c->chunk, c->count - first);
	return first;
}
