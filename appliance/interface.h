/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface process: it opens the transport, registers the banks, moves
 * bytes, and does what the control process commands over a socket pair. It
 * decides nothing. It goes on moving bytes while the control process is
 * stopped, and ends when that ends.
 *
 * It is executed anew, not only forked: nothing that the control process has
 * in memory or open (secrets, listening sockets, other banks) is in it. What
 * it may see is handed over through the socket: its settings and the
 * descriptors of its banks. Besides, a fabric of libfabric does not survive a
 * fork.
 *
 *	interface.c	   the control process's side
 *	interface_main.c   the process itself
 *
 * Floor: skin.
 */
#ifndef XM_INTERFACE_H
#define XM_INTERFACE_H

#include <sys/types.h>

#include "appliance/confine.h"
#include "appliance/pool.h"
#include "appliance/target.h"
#include "common/base.h"
#include "common/spin.h"
#include "core/pure/transport.h"

/* The first argument of extmemd that makes it an interface process. */
#define XM_INTERFACE_FLAG "--interface-process"

struct xm_interface_options {
	const struct xm_transport_ops *ops;
	const char *program; /* as in xm_child */
	const char *address;
	const char *provider; /* or NULL */
	uint16_t data_port;    /* as in xm_transport_options */
	const char *advertise; /* likewise; or NULL */
	const struct xm_pool *pool;
	uint32_t clients_max;
	uint32_t spans_max; /* of owners and readers together */
	enum xm_polling polling;
	bool confine; /* give up what is not needed, once it listens */
};

struct xm_interface {
	pid_t pid;
	int fd; /* of the socket pair; readable: poll() */
	char confined[XM_CONFINED_SIZE]; /* what holds; "": nothing was to */
	uint32_t confines; /* the same, XM_CONFINED_ */
};

/* Starts the process, and waits until its transport listens or has failed, a
 * minute at most. 0, or -errno and a sentence. */
int xm_interface_start(const struct xm_interface_options *, char *words,
		       size_t words_size, struct xm_interface *ret,
		       struct xm_transport_limits *ret_limits,
		       struct xm_locator *ret_locator);
/* The same in two halves, for one who cannot wait: it begins, and has started, or -EAGAIN:
 * not yet. What began ends by xm_interface_stop(), unless begin() failed. */
int xm_interface_begin(const struct xm_interface_options *, char *words,
		       size_t words_size, struct xm_interface *ret);
int xm_interface_started(struct xm_interface *, char *words, size_t words_size,
			 struct xm_transport_limits *ret_limits,
			 struct xm_locator *ret_locator);
/* As in xm_link_ops, of this one. */
int xm_interface_command(struct xm_interface *, const struct xm_command *);
int xm_interface_next_report(struct xm_interface *, struct xm_report *ret);
/* Lets it end by itself, then, after a second, by force. */
void xm_interface_stop(struct xm_interface *);

/* What main() of extmemd does in the interface process: never returns where
 * the process was started by xm_interface_start(). Else the exit status. */
int xm_interface_main(void);

#endif
