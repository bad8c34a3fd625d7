/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface of an appliance as a driver sees it: registers, a memory of keys, queues
 * of descriptors in host memory with a doorbell each, queues of completions, a counter of
 * cycles. The bytes move in a data path (datapath.h), of which it has one.
 *
 * A model, not a product. It models what a driver may do and what the interface then
 * does, in which order, for how many cycles. It does not model a link: a descriptor is
 * read, and payload taken and given, at the initiator's memory, as if the link were a
 * bus. Nor interrupts (a driver polls the completions), several accesses at once, errors
 * of memory, or a clock that runs by itself: cycles pass in xm_device_clock(), and none
 * while there is nothing to do. So the same calls give the same cycles, everywhere.
 *
 * Registers are of 64 bits, numbered from 0; the others read as zero and ignore writes.
 *
 *	ID		reads XM_DEVICE_ID
 *	CYCLES		cycles that have passed
 *	ENDED, REFUSED	descriptors that have ended; those of them with a status but 0
 *	BYTES		that have moved
 *	KEY_OWNER, _VALUE, _BASE, _SIZE	an entry in the making
 *	KEY_RIGHTS	a write puts it into the key memory, at the low bits of KEY_VALUE
 *	FENCE		reads 1 while the access under way is of the entry that was
 *			written last: the bytes of a dead key are safe when it reads 0
 *	BUSY		reads 1 + the queue whose descriptor is under way, or 0
 *
 * and for queue q, at XM_DEVICE_QUEUE(q, ...):
 *
 *	OWNER		whose accesses they are, for the check of keys; 0: it is off, and
 *			begins no descriptor. A write begins the queue anew, empty.
 *	SUBMIT		address of XM_DEVICE_RING descriptors
 *	COMPLETE	address of as many completions
 *	DOORBELL	descriptors that were ever put there: number n lies at place
 *			n % XM_DEVICE_RING. More than the ring holds, or fewer than
 *			before: the write is ignored.
 *	HEAD		reads how many have ended; their completions lie at the same places
 *
 * The access under way when its queue is turned off goes on to its end. Queues are served
 * in turns, one descriptor each.
 *
 * Cycles, besides those of the path: XM_DEVICE_CYCLES_FETCH for a descriptor (its words,
 * one a cycle) and XM_DEVICE_CYCLES_REPORT for a completion. A write to a register, and
 * so a key, costs none.
 */
#ifndef XM_MODEL_DEVICE_H
#define XM_MODEL_DEVICE_H

#include "transports/model/datapath.h"

#define XM_DEVICE_ID UINT64_C(0x3176656d74786578)
#define XM_DEVICE_QUEUES 64
#define XM_DEVICE_RING 128
#define XM_DEVICE_CYCLES_FETCH 6
#define XM_DEVICE_CYCLES_REPORT 2

enum xm_device_register {
	XM_DEVICE_REG_ID,
	XM_DEVICE_REG_CYCLES,
	XM_DEVICE_REG_ENDED,
	XM_DEVICE_REG_REFUSED,
	XM_DEVICE_REG_BYTES,
	XM_DEVICE_REG_KEY_OWNER,
	XM_DEVICE_REG_KEY_VALUE,
	XM_DEVICE_REG_KEY_BASE,
	XM_DEVICE_REG_KEY_SIZE,
	XM_DEVICE_REG_KEY_RIGHTS,
	XM_DEVICE_REG_FENCE,
	XM_DEVICE_REG_BUSY,
	XM_DEVICE_REG_QUEUES, /* the first of them */
};

enum xm_device_queue_register {
	XM_DEVICE_QUEUE_OWNER,
	XM_DEVICE_QUEUE_SUBMIT,
	XM_DEVICE_QUEUE_COMPLETE,
	XM_DEVICE_QUEUE_DOORBELL,
	XM_DEVICE_QUEUE_HEAD,
	XM_DEVICE_QUEUE_REGISTERS,
};

#define XM_DEVICE_QUEUE(q, which)                                             \
	(XM_DEVICE_REG_QUEUES + (q) * XM_DEVICE_QUEUE_REGISTERS +             \
	 XM_DEVICE_QUEUE_##which)

/* As they lie in host memory: 48 and 16 bytes. */
struct xm_device_descriptor {
	uint64_t write; /* 0: a read */
	uint64_t key, offset, length;
	uint64_t wire; /* address of the payload */
	uint64_t token;
};

struct xm_device_completion {
	uint64_t token;
	uint32_t status; /* enum xm_path_status */
	uint32_t cycles; /* from its fetch to here */
};

struct xm_device_queue {
	uint64_t owner;
	struct xm_device_descriptor *submit;
	struct xm_device_completion *complete;
	uint64_t doorbell, begun, head;
	uint64_t life; /* of the queue: what began in an earlier one leaves no trace */
};

struct xm_device {
	const struct xm_path_ops *path_ops;
	void *path;
	struct xm_path_key key; /* in the making, or written last */
	struct xm_device_queue queues[XM_DEVICE_QUEUES];
	uint32_t turn;
	uint64_t cycles, ended, refused, bytes;
	/* the descriptor under way */
	enum { XM_DEVICE_IDLE, XM_DEVICE_FETCH, XM_DEVICE_PATH, XM_DEVICE_REPORT } state;
	uint32_t queue;
	uint64_t life, owed, since;
	struct xm_device_descriptor descriptor;
	uint64_t owner;
	enum xm_path_status status;
};

/* The path is the caller's, and outlives the device. */
void xm_device_init(struct xm_device *, const struct xm_path_ops *, void *path);
uint64_t xm_device_get(const struct xm_device *, uint32_t number);
void xm_device_set(struct xm_device *, uint32_t number, uint64_t value);
/* Lets at most so many cycles pass: fewer where there is nothing to do. Returns how
 * many. */
uint64_t xm_device_clock(struct xm_device *, uint64_t cycles);

#endif
