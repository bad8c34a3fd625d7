/* SPDX-License-Identifier: BSD-3-Clause */
/* What the fabric's files share: what is under way between two transports
 * (fabric_flight.c), what a target has (fabric_target.c), faults (fabric_faults.c), and the
 * contract on top of it (fabric.c). */
#ifndef XM_FABRIC_PARTS_H
#define XM_FABRIC_PARTS_H

#include "sim/fabric.h"
#include "sim/shape.h"
#include "sim/world.h"

#define PEERS 64

struct operation;

#define SCATTER_MAX 8

struct connection {
	struct connection *next_all;
	struct connection *next_open; /* see fabric_ask() */
	struct xm_transport *initiator, *target; /* NULL: that side is gone */
	const struct xm_transport *home;	 /* who made it */
	uint32_t from, to;			 /* nodes */
	uint32_t peer;
	uint64_t client, serial;
	uint32_t lane;
	uint64_t busy_ns; /* see cost.h */
	bool up, down; /* as the initiator has been told */
	bool joined, left; /* as the target has */
};

struct operation {
	struct operation *next, **link; /* outstanding of its transport */
	struct operation *next_all, **link_all;
	unsigned holders; /* its initiator, and what is to come of it at the target */
	struct connection *connection;
	struct xm_transport *initiator;
	bool write, cancelled, done;
	struct xm_remote_mr remote;
	uint64_t offsets[SCATTER_MAX]; /* of its pieces */
	uint32_t count;		       /* of those */
	uint64_t piece;		       /* bytes of each */
	uint64_t size, token;
	uint8_t *local;
	uint8_t *bytes; /* a copy under way */
	uint64_t ends_ns; /* not before; see cost.h */
	int status;
};

struct queued {
	struct xm_transport_event event;
	bool write; /* DONE: what is, and how much */
	uint64_t size;
	struct queued *next;
};

struct exposed {
	uint64_t client, key, offset, size;
	uint32_t rights;
	bool concealed; /* and still alive, if the provider does not revoke */
	uint64_t serial; /* then: connections before this one still know it */
};

struct ticket {
	uint64_t client;
	uint32_t lane;
	uint8_t bytes[XM_TICKET_SIZE];
};

/* A ticket that was admitted, and what the law remembers of it. */
struct past {
	uint8_t bytes[XM_TICKET_SIZE];
	bool used;
	uint64_t interface_ns, control_ns; /* their time awake then */
};

#define PASTS 64

struct token {
	uint8_t bytes[XM_TICKET_SIZE];
};

struct arrival {
	struct arrival *next;
	struct operation *operation;
};

struct xm_transport {
	struct xm_transport *next_all; /* of those that are open, or that are not */
	struct process *process;
	uint32_t incarnation, node, flying;
	struct fabric_counts counts;
	bool open, target;
	uint64_t uid;
	struct connection *peers[PEERS];
	uint64_t cut_ns[SIM_NODES]; /* until then nothing passes between it and a node */
	struct operation *operations;
	struct queued *first, **last;
	struct {
		const uint8_t *memory;
		size_t size;
	} spans[XM_SPANS_MAX];
	/* target */
	uint8_t *pool; /* its part of it, which begins at: */
	uint64_t base;
	size_t pool_size;
	struct exposed *exposed;
	size_t exposed_count;
	struct ticket *tickets;
	size_t tickets_count;
	/* Keys and tickets that it ever had, of which none may come again. */
	struct token *tokens;
	size_t tokens_count;
	struct past pasts[PASTS]; /* a ring */
	uint64_t pasts_count;
	struct arrival *inbox, **inbox_last;
	struct interface *interface; /* or NULL */
};

struct fabric {
	struct xm_transport *transports, *ended;
	struct xm_transport *targets[WORLD_PROCESSES]; /* of interface processes */
	struct xm_transport **doors; /* by uid; NULL: it has ended */
	uint64_t doors_max;
	struct connection *connections;
	struct operation *operations;
	uint64_t uid, serial;
};

extern struct fabric fabric;

/* --- fabric_target.c: the target's half of the contract ------------------------- */

int fabric_listen(struct xm_transport *, void *pool, size_t pool_size,
		  struct xm_locator *ret);
int fabric_admit(struct xm_transport *, uint64_t client, uint32_t lane,
		 const uint8_t ticket[XM_TICKET_SIZE]);
int fabric_retract(struct xm_transport *, uint64_t client,
		   const uint8_t ticket[XM_TICKET_SIZE]);
void fabric_expel(struct xm_transport *, uint64_t client);
int fabric_expose(struct xm_transport *, uint64_t client, uint64_t offset, uint64_t size,
		  uint32_t rights, uint64_t key, struct xm_remote_mr *ret);
void fabric_conceal(struct xm_transport *, uint64_t client, const struct xm_remote_mr *);
/* What this key opens to the client; NULL: nothing. */
struct exposed *fabric_key_find(struct xm_transport *, uint64_t client,
				const struct xm_remote_mr *);
/* Do all pieces of it lie in the span, with the right to that? */
bool fabric_fits(const struct operation *, const struct exposed *);
/* Reads or writes what fits; returns how long the interface took. */
uint64_t fabric_carry(struct xm_transport *, const struct operation *, const struct exposed *,
		      uint8_t *bytes);
/* The model of an interface refuses what does not fit; of a write in pieces others may
 * have been done. */
void fabric_refuses(struct xm_transport *, const struct operation *, const struct exposed *);

/* A ticket was admitted, or used. */
void fabric_ticket(struct xm_transport *, const uint8_t *bytes, bool used);

struct knock {
	struct connection *connection;
	uint64_t uid;
	uint8_t ticket[XM_TICKET_SIZE];
};

/* Begins an operation of `count` pieces: what read, write and scatter return. */
int fabric_post(struct xm_transport *, uint32_t peer, bool write,
		const struct xm_remote_mr *, const uint64_t *offsets, uint32_t count,
		void *local, size_t piece, uint64_t token);
/* Frees all that are left. */
void fabric_operations_close(void);
/* The target does what has arrived. */
void fabric_execute(struct xm_transport *, struct operation *);
/* All that a connection's initiator waits for ends now. */
void fabric_cancel(struct connection *);
/* The initiator is told that its connection is gone; or the target ends it. */
void fabric_reset(struct connection *);
void fabric_target_close(struct connection *);
/* Does what it carries wait, on the way there or back? */
bool fabric_waits(const struct connection *, bool back);
/* By this provider, this time. */
bool fabric_death_is_told(void);
/* Events: the initiator's end arrives; it asks to be let in (a struct knock). */
void fabric_arrive_close(void *connection, uint64_t number);
void fabric_arrive_knock(void *knock, uint64_t number);

#endif
