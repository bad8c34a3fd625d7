/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers and queues of an appliance's interface; device.h says what it models.
 * No clock, no heap, no call but to its data path.
 *
 * Bound: a step of clock() looks at XM_DEVICE_QUEUES queues, and each descriptor takes
 * XM_DEVICE_CYCLES_FETCH + path + XM_DEVICE_CYCLES_REPORT cycles.
 */
#include <string.h>

#include "transports/model/device.h"

void xm_device_init(struct xm_device *d, const struct xm_path_ops *ops, void *path)
{
	memset(d, 0, sizeof(*d));
	d->path_ops = ops;
	d->path = path;
}

/* --- registers ------------------------------------------------------------ */

static uint64_t queue_get(const struct xm_device_queue *q, uint32_t which)
{
	switch ((enum xm_device_queue_register)which) {
	case XM_DEVICE_QUEUE_OWNER:
		return q->owner;
	case XM_DEVICE_QUEUE_SUBMIT:
		return (uintptr_t)q->submit;
	case XM_DEVICE_QUEUE_COMPLETE:
		return (uintptr_t)q->complete;
	case XM_DEVICE_QUEUE_DOORBELL:
		return q->doorbell;
	case XM_DEVICE_QUEUE_HEAD:
		return q->head;
	case XM_DEVICE_QUEUE_REGISTERS:
		break;
	}
	return 0;
}

static bool fence(const struct xm_device *d)
{
	return d->state == XM_DEVICE_PATH &&
	       d->descriptor.key % XM_PATH_KEYS == d->key.key % XM_PATH_KEYS;
}

uint64_t xm_device_get(const struct xm_device *d, uint32_t number)
{
	uint32_t queue = (number - XM_DEVICE_REG_QUEUES) / XM_DEVICE_QUEUE_REGISTERS;

	if (number >= XM_DEVICE_REG_QUEUES)
		return queue < XM_DEVICE_QUEUES
			       ? queue_get(&d->queues[queue],
					   (number - XM_DEVICE_REG_QUEUES) %
						   XM_DEVICE_QUEUE_REGISTERS)
			       : 0;
	switch ((enum xm_device_register)number) {
	case XM_DEVICE_REG_ID:
		return XM_DEVICE_ID;
	case XM_DEVICE_REG_CYCLES:
		return d->cycles;
	case XM_DEVICE_REG_ENDED:
		return d->ended;
	case XM_DEVICE_REG_REFUSED:
		return d->refused;
	case XM_DEVICE_REG_BYTES:
		return d->bytes;
	case XM_DEVICE_REG_FENCE:
		return fence(d);
	case XM_DEVICE_REG_BUSY:
		return d->state == XM_DEVICE_IDLE ? 0 : 1 + d->queue;
	default:
		return 0;
	}
}

static void queue_set(struct xm_device_queue *q, uint32_t which, uint64_t value)
{
	switch ((enum xm_device_queue_register)which) {
	case XM_DEVICE_QUEUE_OWNER:
		q->owner = value;
		q->doorbell = q->begun = q->head = 0;
		q->life++;
		break;
	case XM_DEVICE_QUEUE_SUBMIT:
		q->submit = (struct xm_device_descriptor *)(uintptr_t)value;
		break;
	case XM_DEVICE_QUEUE_COMPLETE:
		q->complete = (struct xm_device_completion *)(uintptr_t)value;
		break;
	case XM_DEVICE_QUEUE_DOORBELL:
		if (value >= q->doorbell && value - q->head <= XM_DEVICE_RING)
			q->doorbell = value;
		break;
	case XM_DEVICE_QUEUE_HEAD:
	case XM_DEVICE_QUEUE_REGISTERS:
		break;
	}
}

void xm_device_set(struct xm_device *d, uint32_t number, uint64_t value)
{
	uint32_t queue = (number - XM_DEVICE_REG_QUEUES) / XM_DEVICE_QUEUE_REGISTERS;

	if (number >= XM_DEVICE_REG_QUEUES) {
		if (queue < XM_DEVICE_QUEUES)
			queue_set(&d->queues[queue],
				  (number - XM_DEVICE_REG_QUEUES) % XM_DEVICE_QUEUE_REGISTERS,
				  value);
		return;
	}
	switch ((enum xm_device_register)number) {
	case XM_DEVICE_REG_KEY_OWNER:
		d->key.owner = value;
		break;
	case XM_DEVICE_REG_KEY_VALUE:
		d->key.key = value;
		break;
	case XM_DEVICE_REG_KEY_BASE:
		d->key.base = value;
		break;
	case XM_DEVICE_REG_KEY_SIZE:
		d->key.size = value;
		break;
	case XM_DEVICE_REG_KEY_RIGHTS:
		d->key.rights = (uint32_t)value;
		d->path_ops->key(d->path, (uint32_t)(d->key.key % XM_PATH_KEYS), &d->key);
		break;
	default:
		break;
	}
}

/* --- descriptors ---------------------------------------------------------- */

/* The next queue in turn that has one. */
static bool choose(struct xm_device *d)
{
	for (uint32_t i = 0; i < XM_DEVICE_QUEUES; i++) {
		uint32_t queue = (d->turn + i) % XM_DEVICE_QUEUES;
		const struct xm_device_queue *q = &d->queues[queue];

		if (q->owner == 0 || q->begun == q->doorbell)
			continue;
		d->queue = queue;
		d->turn = (queue + 1) % XM_DEVICE_QUEUES;
		return true;
	}
	return false;
}

static void fetch(struct xm_device *d)
{
	struct xm_device_queue *q = &d->queues[d->queue];

	d->descriptor = q->submit[q->begun++ % XM_DEVICE_RING];
	d->owner = q->owner;
	d->life = q->life;
	d->since = d->cycles;
	d->owed = XM_DEVICE_CYCLES_FETCH;
	d->state = XM_DEVICE_FETCH;
}

static void begin(struct xm_device *d)
{
	const struct xm_device_descriptor *from = &d->descriptor;

	d->path_ops->begin(d->path, &(struct xm_path_access){
		.write = from->write != 0, .owner = d->owner, .key = from->key,
		.offset = from->offset, .length = from->length,
		.wire = (uint8_t *)(uintptr_t)from->wire,
	});
	d->state = XM_DEVICE_PATH;
}

static void report(struct xm_device *d)
{
	struct xm_device_queue *q = &d->queues[d->queue];

	d->ended++;
	d->refused += d->status != XM_PATH_DONE;
	d->bytes += d->status == XM_PATH_DONE ? d->descriptor.length : 0;
	d->state = XM_DEVICE_IDLE;
	if (q->life != d->life)
		return;
	q->complete[q->head++ % XM_DEVICE_RING] = (struct xm_device_completion){
		.token = d->descriptor.token, .status = d->status,
		.cycles = (uint32_t)(d->cycles - d->since),
	};
}

/* What is owed is paid: false, cycles do not suffice. */
static bool pay(struct xm_device *d, uint64_t end)
{
	uint64_t paid = xm_min(d->owed, end - d->cycles);

	d->owed -= paid;
	d->cycles += paid;
	return d->owed == 0;
}

static bool move(struct xm_device *d, uint64_t end)
{
	bool ended;

	d->cycles += d->path_ops->clock(d->path, end - d->cycles, &ended, &d->status);
	return ended;
}

uint64_t xm_device_clock(struct xm_device *d, uint64_t cycles)
{
	uint64_t began = d->cycles, end = began + cycles;

	for (;;) {
		switch (d->state) {
		case XM_DEVICE_IDLE:
			if (d->cycles == end || !choose(d))
				return d->cycles - began;
			fetch(d);
			break;
		case XM_DEVICE_FETCH:
			if (!pay(d, end))
				return cycles;
			begin(d);
			break;
		case XM_DEVICE_PATH:
			if (!move(d, end))
				return cycles;
			d->owed = XM_DEVICE_CYCLES_REPORT;
			d->state = XM_DEVICE_REPORT;
			break;
		case XM_DEVICE_REPORT:
			if (!pay(d, end))
				return cycles;
			report(d);
			break;
		}
	}
}
