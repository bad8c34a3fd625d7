/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver of the interface's model: makes spans into keys, accesses into descriptors,
 * completions into events. Cycles pass when either end polls, CYCLES_EACH at a time, and
 * until an access has ended where the contract asks for that: of a key that is concealed,
 * and of a queue that is turned off.
 *
 * It has no link, as its device has none, and no thread: both ends are one process, and
 * the lock of transports/loop is held throughout.
 *
 * Floor: skin of the transport.
 */
#include <errno.h>
#include <stdlib.h>

#include "transports/model/device.h"
#include "transports/model/model.h"

#define CYCLES_EACH 8192

_Static_assert(XM_DEVICE_QUEUES >= XM_LOOP_PEERS_MAX, "a connection has a queue");
_Static_assert(XM_PATH_KEYS >= XM_LOOP_EXPOSED_MAX, "a span has an entry");

struct queue {
	struct xm_device_descriptor submit[XM_DEVICE_RING];
	struct xm_device_completion complete[XM_DEVICE_RING];
	uint64_t posted, taken;
};

struct device {
	struct xm_device registers;
	struct queue queues[XM_DEVICE_QUEUES];
};

static const struct xm_model *model_of(const struct xm_transport *t)
{
	return (const struct xm_model *)t->path;
}

/* --- the target: pool and keys ----------------------------------------------- */

int xm_model_listen(struct xm_transport *t)
{
	const struct xm_model *m = model_of(t);
	struct device *d = t->device;
	void *path;

	if (d != NULL)
		return 0; /* the name was in use before */
	if (((uintptr_t)t->pool | t->pool_size) % 8 != 0)
		return xm_loop_fail(t, -EINVAL, "the pool is not one of words of 8 bytes");
	d = calloc(1, sizeof(*d));
	path = d != NULL ? m->path->open(t->pool, t->pool_size, m->wait, 0) : NULL;
	if (path == NULL) {
		free(d);
		return xm_loop_fail(t, -ENOMEM, "no memory for the interface");
	}
	xm_device_init(&d->registers, m->path, path);
	t->device = d;
	return 0;
}

void xm_model_close(struct xm_transport *t)
{
	struct device *d = t->device;

	if (d == NULL)
		return;
	d->registers.path_ops->close(d->registers.path);
	free(d);
}

static void key_write(struct xm_device *d, const struct loop_exposure *e, uint32_t rights)
{
	xm_device_set(d, XM_DEVICE_REG_KEY_OWNER, e->client);
	xm_device_set(d, XM_DEVICE_REG_KEY_VALUE, e->key);
	xm_device_set(d, XM_DEVICE_REG_KEY_BASE, e->offset);
	xm_device_set(d, XM_DEVICE_REG_KEY_SIZE, e->size);
	xm_device_set(d, XM_DEVICE_REG_KEY_RIGHTS, rights);
}

/* The low bits of a key are its entry's number. */
void xm_model_expose(struct xm_transport *t, uint32_t index)
{
	struct device *d = t->device;
	struct loop_exposure *e = &t->exposures[index];

	e->key = (e->key & ~(uint64_t)(XM_PATH_KEYS - 1)) | index;
	key_write(&d->registers, e, e->rights);
}

void xm_model_conceal(struct xm_transport *t, uint32_t index)
{
	struct device *d = t->device;

	key_write(&d->registers, &t->exposures[index], 0);
	while (xm_device_get(&d->registers, XM_DEVICE_REG_FENCE) != 0)
		xm_device_clock(&d->registers, CYCLES_EACH);
}

/* --- queues: one for each connection ------------------------------------------ */

static struct device *device_of(const struct xm_transport *t, uint32_t index)
{
	return t->peers[index].remote->device;
}

void xm_model_join(struct xm_transport *t, uint32_t index)
{
	struct device *d = device_of(t, index);
	uint32_t number = t->peers[index].remote_index;
	struct queue *q = &d->queues[number];

	q->posted = q->taken = 0;
	xm_device_set(&d->registers, XM_DEVICE_QUEUE(number, SUBMIT), (uintptr_t)q->submit);
	xm_device_set(&d->registers, XM_DEVICE_QUEUE(number, COMPLETE),
		      (uintptr_t)q->complete);
	xm_device_set(&d->registers, XM_DEVICE_QUEUE(number, OWNER), t->peers[index].client);
}

/* Descriptors that have not ended never will, but for the one under way. */
void xm_model_leave(struct xm_transport *t, uint32_t index)
{
	struct device *d = device_of(t, index);
	uint32_t number = t->peers[index].remote_index;
	struct queue *q = &d->queues[number];

	xm_device_set(&d->registers, XM_DEVICE_QUEUE(number, OWNER), 0);
	while (xm_device_get(&d->registers, XM_DEVICE_REG_BUSY) == 1 + number)
		xm_device_clock(&d->registers, CYCLES_EACH);
	for (; q->taken < q->posted; q->taken++) {
		t->flying--;
		xm_loop_done(t, q->submit[q->taken % XM_DEVICE_RING].token, index,
			     -ECANCELED);
	}
}

int xm_model_post(struct xm_transport *t, uint32_t index, const struct loop_access *a)
{
	struct device *d = device_of(t, index);
	uint32_t number = t->peers[index].remote_index;
	struct queue *q = &d->queues[number];

	if (q->posted - q->taken == XM_DEVICE_RING)
		return -EAGAIN;
	q->submit[q->posted++ % XM_DEVICE_RING] = (struct xm_device_descriptor){
		.write = a->into == NULL,
		.key = a->remote->key,
		.offset = a->remote->base + a->offsets[0],
		.length = a->size,
		.wire = (uintptr_t)(a->into != NULL ? a->into : a->from),
		.token = a->token,
	};
	t->flying++;
	xm_device_set(&d->registers, XM_DEVICE_QUEUE(number, DOORBELL), q->posted);
	return 0;
}

static void completions_take(struct xm_transport *t, uint32_t index)
{
	struct device *d = device_of(t, index);
	uint32_t number = t->peers[index].remote_index;
	struct queue *q = &d->queues[number];
	uint64_t head = xm_device_get(&d->registers, XM_DEVICE_QUEUE(number, HEAD));

	for (; q->taken < head; q->taken++) {
		const struct xm_device_completion *c =
			&q->complete[q->taken % XM_DEVICE_RING];

		t->flying--;
		xm_loop_done(t, c->token, index, c->status == XM_PATH_DONE ? 0 : -EACCES);
	}
}

/* Either end's poll() turns the clock: an interface needs no processor's help, and so
 * no target that polls. */
void xm_model_turn(struct xm_transport *t)
{
	struct device *own = t->device;

	if (own != NULL)
		xm_device_clock(&own->registers, CYCLES_EACH);
	for (uint32_t i = 0; !t->target && t->flying > 0 && i < XM_LOOP_PEERS_MAX; i++) {
		if (t->peers[i].state != PEER_UP || t->peers[i].remote == NULL)
			continue;
		xm_device_clock(&device_of(t, i)->registers, CYCLES_EACH);
		completions_take(t, i);
	}
}

static const struct xm_model model = XM_MODEL_PATH("model", &xm_path_model, 0);

static int model_open(const struct xm_transport_options *options, char *words,
		      size_t words_size, struct xm_transport **ret)
{
	return xm_loop_open(&model.loop, options, words, words_size, ret);
}

const struct xm_transport_ops xm_model = {
	.scheme = "model",
	.sample = "model:sample",
	.open = model_open,
	XM_LOOP_OPS,
};
