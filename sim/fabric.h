/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated fabric: transports (fabric.c, fabric_flight.c) and control streams
 * (streams.c) over links (links.c), and the faults that can be injected there. */
#ifndef XM_SIM_FABRIC_H
#define XM_SIM_FABRIC_H

#include "common/base.h"
#include "core/pure/channel.h"
#include "core/pure/transport.h"

struct process;

void fabric_open(void);
void fabric_close(void);
extern const struct xm_transport_ops fabric_transport;
extern const struct xm_channel_ops fabric_channel;
/* The kernel of the process's host hangs up for it. */
void fabric_process_died(struct process *);
/* From node to node, this way only. */
void fabric_block(uint32_t from, uint32_t to, bool blocked);
void fabric_clog(uint32_t node, uint64_t until_ns);
void fabric_slow(uint32_t node, uint64_t until_ns);
/* Every connection between two nodes ends, as by a router's whim. */
void fabric_break(uint32_t a, uint32_t b);
/* The same for control streams; if half, node b never hears of it. */
void fabric_hang_up(uint32_t a, uint32_t b, bool half);
void fabric_clear(void);
/* Where in the pool a live key's span begins. */
bool fabric_key(const struct process *interface, uint64_t key,
		uint64_t *ret_offset);

struct fabric_counts {
	uint64_t reads, writes, bytes_read, bytes_written; /* ever accepted */
	uint32_t flying; /* accepted, and their ends not yet polled */
};

/* Adds what a transport was asked to do. */
void fabric_count(const struct xm_transport *, struct fabric_counts *sum);

/* Asks of an interface's connections and keys; see oracle_key(). */
void fabric_ask(uint32_t appliance);

/* Has poll() something, at the transport whose arm() gave this? */
bool fabric_readable(int door);

#endif
