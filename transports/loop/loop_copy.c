/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data path of "loop:": bytes move by memcpy inside read() and write(). An access is
 * done when it is posted, so nothing is ever flying, and what is concealed cannot be
 * reached a moment later.
 *
 * Floor: skin of the transport.
 */
#include <errno.h>
#include <string.h>

#include "transports/loop/loop_parts.h"

#define SCATTER_MAX 8

/* The bytes that this access may touch, or NULL. */
static uint8_t *span_find(struct xm_transport *remote, uint64_t client,
			  const struct xm_remote_mr *f, uint64_t offset,
			  uint64_t size, uint32_t right)
{
	for (uint32_t i = 0; i < XM_LOOP_EXPOSED_MAX; i++) {
		struct loop_exposure *e = &remote->exposures[i];

		if (e->client == client && e->key == f->key && f->base == 0 &&
		    (e->rights & right) != 0 && xm_span_fits(offset, size, e->size))
			return remote->pool + e->offset + offset;
	}
	return NULL;
}

static int copy_post(struct xm_transport *t, uint32_t index, const struct loop_access *a)
{
	struct loop_peer *peer = &t->peers[index];
	uint8_t *remote[SCATTER_MAX];
	int status = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		remote[i] = span_find(peer->remote, peer->client, a->remote,
				      a->offsets[i], a->size,
				      a->into ? XM_RIGHT_READ : XM_RIGHT_WRITE);
		if (!remote[i])
			status = -EACCES;
	}
	for (uint32_t i = 0; status == 0 && i < a->count; i++) {
		if (a->into)
			memcpy(a->into + i * a->size, remote[i], a->size);
		else
			memcpy(remote[i], a->from + i * a->size, a->size);
	}
	xm_loop_done(t, a->token, index, status);
	return 0;
}

static int copy_listen(struct xm_transport *t)
{
	(void)t;
	return 0;
}

static void copy_nothing(struct xm_transport *t)
{
	(void)t;
}

static void copy_as_it_is(struct xm_transport *t, uint32_t index)
{
	(void)t;
	(void)index;
}

static const struct xm_loop_path copy = {
	.scheme = "loop",
	.keys = "chosen keys",
	.progress = "auto",
	.size_max = 16 * XM_MIB,
	.depth_max = 4096,
	.scatter_max = SCATTER_MAX,
	.listen = copy_listen,
	.close = copy_nothing,
	.expose = copy_as_it_is,
	.conceal = copy_as_it_is,
	.join = copy_as_it_is,
	.leave = copy_as_it_is,
	.post = copy_post,
	.turn = copy_nothing,
};

static int copy_open(const struct xm_transport_options *options, char *words,
		     size_t words_size, struct xm_transport **ret)
{
	return xm_loop_open(&copy, options, words, words_size, ret);
}

const struct xm_transport_ops xm_loop = {
	.scheme = "loop",
	.sample = "loop:sample",
	.open = copy_open,
	XM_LOOP_OPS,
};
