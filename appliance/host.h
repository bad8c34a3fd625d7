/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control process's turn: channel events and the interface's reports go
 * into the service machine, its effects go out. No system calls here; what a
 * turn needs of the world are the channel's operations and the five of
 * xm_link_ops, so the same turn runs in extmemd, in tests and in the
 * simulator.
 *
 * A turn is bounded: EVENTS_MAX messages, as many reports, one piece of
 * zeroing. So giving back a large extent delays nobody's answer by more than
 * one piece takes.
 *
 * A peer whose queue is full when we answer does not read: it is dropped.
 *
 * Floor: first.
 */
#ifndef XM_HOST_H
#define XM_HOST_H

#include "common/base.h"
#include "core/pure/channel.h"
#include "appliance/service.h"
#include "appliance/target.h"

#define XM_GRANULE (64 * XM_KIB) /* extents of real appliances are multiples */

/* The way to the interface process, and the few other doors. */
struct xm_link_ops {
	/* 0, or -EAGAIN: not now. */
	int (*command)(void *link, const struct xm_command *);
	/* One report at a time: 1, or 0: none. */
	int (*poll)(void *link, struct xm_report *ret);
	/* Clears bytes of the pool, without giving its pages away. */
	void (*zero)(void *link, uint64_t offset, uint64_t size);
	/* Fresh bytes that nobody can guess. */
	void (*draw)(void *link, uint8_t *bytes, size_t size);
	void (*log)(void *link, enum xm_level, const char *words);
};

struct xm_host;

/* Bytes of memory for a service with these options. */
size_t xm_host_size(const struct xm_service_options *);
struct xm_host *xm_host_init(const struct xm_service_options *,
			     const struct xm_channel_ops *,
			     struct xm_channel *, const struct xm_link_ops *,
			     void *link, void *memory, uint64_t now_ns);
/* Returns the time by which the next turn must come; now_ns: at once, there
 * is more to do. */
uint64_t xm_host_turn(struct xm_host *, uint64_t now_ns);

/* No new leases; clients are told that they have `ms`. */
void xm_host_drain(struct xm_host *, uint64_t now_ns, uint32_t ms);
bool xm_host_is_drained(const struct xm_host *);
void xm_host_reload(struct xm_host *, uint64_t now_ns, uint32_t lease_ms);

/* For tests, the simulator and the log. */
struct xm_service *xm_host_service(struct xm_host *);

#endif
