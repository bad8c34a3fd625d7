/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What transports within one process share: names, tickets, connections, events. How
 * bytes move between the two ends is a struct xm_loop_path, of which there is one for
 * each scheme. Included by loop's files, and by transports/model and rtl, which are
 * other paths of the same transport.
 *
 *	loop.c		open, initiator, polling
 *	loop_peer.c	connections
 *	loop_target.c	listen, admit, expose
 *	loop_copy.c	the path of "loop:": memcpy
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

/* One read or write: `count` pieces of `size` bytes, into or from local memory one
 * behind the other. */
struct loop_access {
	const struct xm_remote_mr *remote;
	const uint64_t *offsets;
	uint32_t count;
	uint8_t *into;	     /* NULL: it is a write */
	const uint8_t *from; /* NULL: it is a read */
	size_t size;
	uint64_t token;
};

/* How bytes move, and how keys are checked. All but listen() and close() are called
 * with the lock held; every function is required. */
struct xm_loop_path {
	const char *scheme, *keys, *progress;
	uint64_t size_max;
	uint32_t depth_max, scatter_max;
	/* A target has its pool. -errno, with words by xm_loop_fail(). */
	int (*listen)(struct xm_transport *);
	/* Of each instance; its connections are closed. */
	void (*close)(struct xm_transport *);
	/* exposures[index] of a target begins to hold; its key may be changed. */
	void (*expose)(struct xm_transport *, uint32_t index);
	/* It has ceased to: nothing touches those bytes from now on. */
	void (*conceal)(struct xm_transport *, uint32_t index);
	/* An initiator's connection begins. */
	void (*join)(struct xm_transport *, uint32_t index);
	/* It ends. What is flying there becomes done, whatever its status, and local
	 * memory is not touched any more. */
	void (*leave)(struct xm_transport *, uint32_t index);
	/* Begins an access that fits the limits: 0, and it is done or flying. */
	int (*post)(struct xm_transport *, uint32_t index, const struct loop_access *);
	/* In each poll(): whatever flies may go on. */
	void (*turn)(struct xm_transport *);
};

struct xm_transport {
	const struct xm_loop_path *path;
	void *device; /* the path's own; of a target */
	struct xm_transport *next; /* in the xm_loop_registry */
	char name[XM_LOOP_NAME_SIZE];
	char words[256];
	bool target, listening;
	int event_fd;
	struct loop_peer peers[XM_LOOP_PEERS_MAX];
	struct loop_done *done; /* a ring of depth */
	uint32_t depth, done_first, done_count;
	uint32_t flying; /* taken, and not done */
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
struct xm_transport *xm_loop_find(const struct xm_loop_path *, const char *name);
/* An access ends; there is room, as depth bounds what flies and what is done. */
void xm_loop_done(struct xm_transport *, uint64_t token, uint32_t peer, int status);

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

/* --- the rest of the contract, in loop.c -------------------------------------- */

int xm_loop_open(const struct xm_loop_path *, const struct xm_transport_options *,
		 char *words, size_t words_size, struct xm_transport **ret);
void xm_loop_close(struct xm_transport *);
void xm_loop_limits(struct xm_transport *, struct xm_transport_limits *ret);
const char *xm_loop_last_error(struct xm_transport *);
int xm_loop_connect(struct xm_transport *, const struct xm_locator *, const uint8_t *ticket,
		    uint32_t *ret);
void xm_loop_disconnect(struct xm_transport *, uint32_t peer);
int xm_loop_register_memory(struct xm_transport *, void *memory, size_t size);
void xm_loop_deregister_memory(struct xm_transport *, void *memory, size_t size);
int xm_loop_read(struct xm_transport *, uint32_t peer, const struct xm_remote_mr *,
		 uint64_t offset, void *local, size_t size, uint64_t token);
int xm_loop_write(struct xm_transport *, uint32_t peer, const struct xm_remote_mr *,
		  uint64_t offset, const void *local, size_t size, uint64_t token);
int xm_loop_scatter(struct xm_transport *, uint32_t peer, const struct xm_remote_mr *,
		    const uint64_t *offsets, uint32_t count, const void *local,
		    size_t piece, uint64_t token);
int xm_loop_poll(struct xm_transport *, struct xm_transport_event *ret, int count);
int xm_loop_arm(struct xm_transport *);
void xm_loop_wait(struct xm_transport *, int fd, uint64_t timeout_ns);

/* The contract's functions but for open(), which chooses the path. */
#define XM_LOOP_OPS                                                                \
	.close = xm_loop_close, .limits = xm_loop_limits,                          \
	.last_error = xm_loop_last_error, .connect = xm_loop_connect,              \
	.disconnect = xm_loop_disconnect,                                          \
	.register_memory = xm_loop_register_memory,                                \
	.deregister_memory = xm_loop_deregister_memory, .read = xm_loop_read,      \
	.write = xm_loop_write, .scatter = xm_loop_scatter,                        \
	.listen = xm_loop_listen, .admit = xm_loop_admit,                          \
	.retract = xm_loop_retract, .expel = xm_loop_expel,                        \
	.expose = xm_loop_expose, .conceal = xm_loop_conceal,                      \
	.poll = xm_loop_poll, .arm = xm_loop_arm, .wait = xm_loop_wait

#endif
