/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the loop transport share; included from nowhere else.
 *
 *	loop.c		open, initiator, polling
 *	loop_peer.c	connections
 *	loop_target.c	listen, admit, expose
 *
 * One lock guards the registry and every instance. Floor: skin of the transport.
 */
#ifndef XM_LOOP_PARTS_H
#define XM_LOOP_PARTS_H

#include <pthread.h>

#include "core/pure/transport.h"

#define XM_LOOP_PEERS_MAX 64
#define XM_LOOP_EXPOSED_MAX 4096
#define XM_LOOP_TICKETS_MAX 256
#define XM_LOOP_NAME_SIZE 64

enum loop_peer_state { PEER_FREE, PEER_UP, PEER_DEAD };

/* One end of a connection. An initiator's index is its peer number. */
struct loop_peer {
	enum loop_peer_state state;
	struct xm_transport *remote; /* NULL once the other end is gone */
	uint32_t remote_index;
	uint64_t client;
	uint32_t lane;
	bool say_up, say_down;
	int status;
};

struct loop_done {
	uint64_t token;
	uint32_t peer; /* or XM_LOOP_PEERS_MAX: its peer is gone */
	int status;
};

struct loop_ticket {
	uint64_t client; /* 0: free */
	uint32_t lane;
	uint8_t bytes[XM_TICKET_SIZE];
};

struct loop_exposure {
	uint64_t client; /* 0: free */
	uint64_t offset, size;
	uint32_t rights;
	uint64_t key;
};

struct xm_transport {
	struct xm_transport *next; /* in the xm_loop_registry */
	char name[XM_LOOP_NAME_SIZE];
	char words[256];
	bool target, listening;
	int event_fd;
	struct loop_peer peers[XM_LOOP_PEERS_MAX];
	struct loop_done *done; /* a ring of depth */
	uint32_t depth, done_first, done_count;
	uint8_t *pool;
	uint64_t pool_size;
	struct loop_ticket tickets[XM_LOOP_TICKETS_MAX];
	struct loop_exposure *exposures;
	bool armed; /* somebody sleeps on event_fd, perhaps */
};

extern pthread_mutex_t xm_loop_lock;
extern struct xm_transport *xm_loop_registry; /* listening, by their `next` */

/* Keeps the sentence for last_error(); returns `error`. */
int xm_loop_fail(struct xm_transport *, int error, const char *words);
/* Ends the sleep of somebody who waits for this instance. */
void xm_loop_wake(struct xm_transport *);
struct xm_transport *xm_loop_find(const char *name);

/* --- loop_peer.c, with the lock held ---------------------------------------- */

/* A free place, or XM_LOOP_PEERS_MAX. */
uint32_t xm_loop_peer_claim(struct xm_transport *);
/* Lets it in at `remote`, or down. */
void xm_loop_peer_connect(struct xm_transport *t, uint32_t index,
			 const char *name, const uint8_t *ticket);
/* Ends a connection at both ends; what is outstanding there is canceled. */
void xm_loop_peer_close(struct xm_transport *, uint32_t index);
void xm_loop_client_drop(struct xm_transport *, uint64_t client);

/* --- loop_target.c ---------------------------------------------------------- */

int xm_loop_listen(struct xm_transport *, void *pool, size_t pool_size,
		   struct xm_locator *ret);
int xm_loop_admit(struct xm_transport *, uint64_t client, uint32_t lane,
		  const uint8_t *ticket);
int xm_loop_retract(struct xm_transport *, uint64_t client,
		    const uint8_t *ticket);
void xm_loop_expel(struct xm_transport *, uint64_t client);
int xm_loop_expose(struct xm_transport *, uint64_t client, uint64_t offset,
		   uint64_t size, uint32_t rights, uint64_t key,
		   struct xm_remote_mr *ret);
void xm_loop_conceal(struct xm_transport *, uint64_t client,
		     const struct xm_remote_mr *);

#endif
