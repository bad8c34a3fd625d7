/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes of the daemon that are executed anew from its own file, and see nothing but what
 * they are handed through a socket: a setup, and the descriptors of the pool's banks.
 *
 * Floor: skin.
 */
#ifndef XM_CHILD_H
#define XM_CHILD_H

#include <sys/types.h>

#include "appliance/pool.h"

#define XM_CHILD_FD 3 /* of the socket, in the child */

struct xm_child {
	const char *program; /* the file; NULL: our own, /proc/self/exe */
	const char *name; /* argv[0] */
	const char *flag; /* argv[1], by which main() knows what it is */
	const void *setup;
	size_t setup_size;
	const struct xm_pool *pool;
	/* Sent by the child in the place of its first message, if it cannot be executed:
	 * the status may be seen, but not what it is. */
	const void *failure;
	size_t failure_size;
};

/* 0, or -errno. -EPIPE: it has said why it ended. */
int xm_child_start(const struct xm_child *, pid_t *ret_pid, int *ret_fd);
/* In the child: takes the setup, and the banks, which xm_pool_map() maps. -EPROTO: this was
 * started by somebody else. */
int xm_child_receive(void *ret_setup, size_t setup_size, struct xm_pool *ret);
/* Lets it end by itself when it sees that the socket is closed, then, after so long, by
 * force. */
void xm_child_stop(pid_t pid, int fd, int patience_ms);

#endif
