/* SPDX-License-Identifier: BSD-3-Clause */
/* See interface.h. The driver of struct xm_device: one queue, one descriptor at a time, as
 * the fabric's own accesses happen at one instant each; what they took is added to the
 * time of the answer. */
#include <stdlib.h>

#include "core/pure/plant.h"
#include "sim/interface.h"
#include "sim/notes.h"
#include "sim/plan.h"
#include "sim/shape.h"
#include "transports/model/device.h"

#define CYCLE_NS 4 /* 250 MHz */
#define QUEUE 0

struct interface {
	struct xm_device device;
	struct xm_device_descriptor submit[XM_DEVICE_RING];
	struct xm_device_completion complete[XM_DEVICE_RING];
	uint64_t posted, client;
	bool taken[XM_PATH_KEYS]; /* entries of the key memory */
	uint32_t next;
};

static void queue_begin(struct interface *x, uint64_t client)
{
	xm_device_set(&x->device, XM_DEVICE_QUEUE(QUEUE, OWNER), client);
	x->client = client;
	x->posted = 0;
}

struct interface *interface_open(uint8_t *pool, uint64_t size)
{
	struct interface *x;
	void *path;

	if (!sim_plan.model || !sim_shape.drawn)
		return NULL;
	x = calloc(1, sizeof(*x));
	path = xm_path_model.open(pool, size, 0, 0);
	XM_ASSERT(x != NULL && path != NULL);
	xm_device_init(&x->device, &xm_path_model, path);
	xm_device_set(&x->device, XM_DEVICE_QUEUE(QUEUE, SUBMIT), (uintptr_t)x->submit);
	xm_device_set(&x->device, XM_DEVICE_QUEUE(QUEUE, COMPLETE), (uintptr_t)x->complete);
	return x;
}

void interface_close(struct interface *x)
{
	if (x != NULL)
		xm_path_model.close(x->device.path);
	free(x);
}

uint64_t interface_expose(struct interface *x, uint64_t client, uint64_t key, uint64_t offset,
			  uint64_t size, uint32_t rights)
{
	while (x->taken[x->next % XM_PATH_KEYS])
		x->next++;
	x->next %= XM_PATH_KEYS;
	x->taken[x->next] = true;
	key = (key & ~(uint64_t)(XM_PATH_KEYS - 1)) | x->next++;
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_OWNER, client);
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_VALUE, key);
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_BASE, offset);
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_SIZE, size);
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_RIGHTS, rights);
	return key;
}

void interface_conceal(struct interface *x, uint64_t key)
{
	x->taken[key % XM_PATH_KEYS] = false;
	if (XM_PLANTED(interface_key_lives))
		return;
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_VALUE, key);
	xm_device_set(&x->device, XM_DEVICE_REG_KEY_RIGHTS, 0);
}

uint64_t interface_access(struct interface *x, const struct interface_access *a)
{
	uint64_t began = xm_device_get(&x->device, XM_DEVICE_REG_CYCLES);
	enum xm_path_status status;
	uint32_t place;

	if (x->client != a->client)
		queue_begin(x, a->client);
	place = x->posted++ % XM_DEVICE_RING;
	x->submit[place] = (struct xm_device_descriptor){
		.write = a->write, .key = a->key, .offset = a->offset, .length = a->size,
		.wire = (uintptr_t)a->bytes, .token = x->posted,
	};
	xm_device_set(&x->device, XM_DEVICE_QUEUE(QUEUE, DOORBELL), x->posted);
	while (xm_device_get(&x->device, XM_DEVICE_QUEUE(QUEUE, HEAD)) < x->posted) {
		if (xm_device_clock(&x->device, XM_MIB) == 0)
			world_broken("liveness", "the interface has stopped");
	}
	if (x->complete[place].token != x->posted)
		world_broken("bounds", "the interface ends another access than was begun");
	status = (enum xm_path_status)x->complete[place].status;
	if ((status == XM_PATH_DONE) != a->allowed)
		world_broken("isolation", "the interface %s an access that is %s: status %d",
			     status == XM_PATH_DONE ? "allows" : "refuses",
			     a->allowed ? "allowed" : "refused", (int)status);
	return (xm_device_get(&x->device, XM_DEVICE_REG_CYCLES) - began) * CYCLE_NS;
}
