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
/* The kernel closes its connections and streams. */
void fabric_process_died(struct process *);
/* Faults of links, which work from node to node in one direction, or at one node.
 * A blocked link delivers nothing until it is unblocked. */
void fabric_block(uint32_t from, uint32_t to, bool blocked);
void fabric_clog(uint32_t node, uint64_t until_ns);
void fabric_slow(uint32_t node, uint64_t until_ns);
/* Ends every transport connection between two nodes. */
void fabric_break(uint32_t a, uint32_t b);
/* Until then one of node a's transports, which is one lane's, and node b do not reach each
 * other; `choice` says which. False: it has none. */
bool fabric_cut_lane(uint32_t a, uint32_t b, uint64_t choice, uint64_t until_ns);
void fabric_join_lanes(void); /* at once */
/* Ends every control stream between them; half: node b is not told. */
void fabric_hang_up(uint32_t a, uint32_t b, bool half);
/* From which node this peer of the listener at a node is; UINT32_MAX: there is none. */
uint32_t fabric_peer_node(uint32_t node, uint32_t peer);
void fabric_clear(void); /* ends all faults of links */
/* Where in the pool begins what this key opens. False: it is not valid. */
bool fabric_key(uint32_t appliance, uint64_t key, uint64_t *ret_offset);

struct fabric_counts {
	uint64_t reads, writes, bytes_read, bytes_written; /* ever accepted */
	uint32_t flying; /* accepted, their completions not yet polled */
};

/* Adds the counts of a transport to a sum. */
void fabric_count(const struct xm_transport *, struct fabric_counts *sum);

/* Laws about an interface's connections and keys; see oracle_key(). */
void fabric_ask(uint32_t appliance);

/* Law: a ticket is good once, and for as long as it lasts. */
void law_tickets(uint32_t appliance);

/* Does poll() have something at the transport whose arm() returned this? */
bool fabric_readable(int door);

#endif
