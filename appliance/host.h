/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn of the control process. It hands channel events and the interface's
 * reports to the service machine (service.h) and carries the machine's effects
 * out. It makes no system call: all it needs of the world are the operations of
 * the channel and of xm_link_ops. So the same turn runs in extmemd, in tests and
 * in the simulator.
 *
 * A turn is bounded: it takes at most EVENTS_MAX messages and as many reports,
 * zeroes one piece, and gives one to the host. So when a client frees 64 GiB, another client's answer
 * waits for one piece, not for all of it.
 *
 * Each interface has a queue of its own, so that one that hangs keeps no other tenant
 * waiting.
 *
 * A peer that does not read is dropped: its queue is full when it is answered.
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

/* What the turn needs besides the channel: the interface process, the pool, and
 * randomness. */
struct xm_link_ops {
	/* To the interface of that place (service.h): 0, or -EAGAIN: not now. */
	int (*command)(void *link, uint32_t place, const struct xm_command *);
	/* One report at a time, and whose: 1, or 0: none. */
	int (*poll)(void *link, uint32_t *ret_place, struct xm_report *ret);
	/* Clears bytes of the pool, without giving its pages away. 0; -EAGAIN: that was
	 * begun, and it is to be asked for again until it is done. */
	int (*zero)(void *link, uint64_t offset, uint64_t size);
	/* Copies bytes from one place of the pool to another; returns when they are
	 * there. */
	void (*copy)(void *link, uint64_t from, uint64_t to, uint64_t size);
	/* Gives bytes that nobody can reach to the host: they read as zero, and take no
	 * memory. */
	void (*release)(void *link, uint64_t offset, uint64_t size);
	/* Takes such bytes again. 0; -ENOMEM: the host has none to spare. */
	int (*take)(void *link, uint64_t offset, uint64_t size);
	/* Fills with fresh bytes that nobody can guess. */
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

/* Where what is durable goes; before the first turn, with options.durable. */
void xm_host_set_store(struct xm_host *, const struct xm_store_link_ops *, void *link);
/* No new leases; clients are told that they have `ms`. */
void xm_host_drain(struct xm_host *, uint64_t now_ns, uint32_t ms);
void xm_host_stay(struct xm_host *, uint64_t now_ns);
bool xm_host_is_drained(const struct xm_host *);
uint64_t xm_host_held(const struct xm_host *); /* see xm_service_held() */
/* The pool is to be so large: service.h says how. */
void xm_host_resize(struct xm_host *, uint64_t now_ns, uint64_t size);
/* Who the tenants are from now on; it is copied. */
void xm_host_set_tenants(struct xm_host *, uint64_t now_ns, const struct xm_tenants *);
uint64_t xm_host_goal(const struct xm_host *); /* how large it is to be now */
/* The interface process of this place has ended, and none of its reports will come any
 * more; there is another one, at this locator, which takes commands. */
void xm_host_interface_lost(struct xm_host *, uint64_t now_ns, uint32_t place);
void xm_host_interface_back(struct xm_host *, uint64_t now_ns, uint32_t place,
			    const struct xm_locator *);
/* Whose memory the pool is from now on; it is copied. */
void xm_host_set_lineage(struct xm_host *, uint64_t now_ns, const struct xm_lineage *);
void xm_host_reload(struct xm_host *, uint64_t now_ns, uint32_t lease_ms);

/* For tests, the simulator and the log. */
struct xm_service *xm_host_service(struct xm_host *);

#endif
