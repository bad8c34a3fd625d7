/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport's target in a process of its own, driven by commands; see
 * far_side.c. One struct command in, one struct answer out.
 */
#ifndef XM_TESTS_FAR_SIDE_H
#define XM_TESTS_FAR_SIDE_H

#include <sys/types.h>

#include "core/pure/transport.h"

#define FAR_POOL_SIZE (48 * XM_MIB)
#define FAR_SPANS_MAX 4100

enum verb { OPEN, ADMIT, RETRACT, EXPOSE, CONCEAL, CONCEAL_FILL, EXPEL, PAUSE, RESUME,
	    ASK, CLOSE };

struct command {
	enum verb verb;
	char scheme[16];
	bool anywhere;
	uint32_t lane;
	uint64_t client, offset, size, key;
	uint32_t rights;
	uint8_t ticket[XM_TICKET_SIZE];
	struct xm_remote_mr remote;
	uint8_t fill;
};

struct answer {
	int error;
	pid_t pid;
	struct xm_locator locator;
	struct xm_remote_mr remote;
	uint32_t joined, left, moved;
	bool tells;
	char words[256];
};

struct far_side {
	const struct xm_transport_ops *ops;
	struct xm_transport *t;
	bool paused;
	uint32_t joined, left, moved;
};

extern uint8_t *far_pool; /* shared with every remote side */

/* All that can be tested; NULL behind the last. */
const struct xm_transport_ops *ops_at(unsigned index);
const struct xm_transport_ops *ops_find(const char *scheme);
/* Its two ends are in one process. */
bool ops_one_process(const struct xm_transport_ops *);
void address_make(const char *scheme, char *ret, size_t size);

/* The remote side itself, for a transport whose ends share a process. */
void far_obey(struct far_side *, const struct command *, struct answer *ret);
void far_poll(struct far_side *);

/* Maps the pool and forks the nursery: first of all in main(). */
bool nursery_start(void);
/* A new remote side's socket, or -1. Closing it ends the remote side. */
int nursery_ask(void);

#endif
