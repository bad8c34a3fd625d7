/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The communication interface: a process of its own that opens the transport,
 * polls it, and does what the control process commands over a socket pair. It
 * decides nothing and holds no client's secret. It goes on moving bytes while
 * the control process is stopped, and ends when that ends.
 *
 * It is forked before libfabric is opened anywhere, because a fabric does not
 * survive a fork.
 *
 * Floor: skin.
 */
#ifndef XM_INTERFACE_H
#define XM_INTERFACE_H

#include <sys/types.h>

#include "common/base.h"
#include "common/spin.h"
#include "appliance/target.h"
#include "core/pure/transport.h"

struct xm_interface_options {
	const struct xm_transport_ops *ops;
	const char *address;
	const char *provider; /* or NULL */
	void *pool;
	uint64_t pool_size;
	uint32_t clients_max;
	enum xm_polling polling;
	void (*forget)(void *context); /* in the child: close what is yours */
	void *context;
};

struct xm_interface {
	pid_t pid;
	int fd; /* of the socket pair; readable: poll() */
};

/* Forks, and waits until the transport listens or has failed. In the child
 * this never returns. */
int xm_interface_start(const struct xm_interface_options *, char *words,
		       size_t words_size, struct xm_interface *ret,
		       struct xm_transport_limits *ret_limits,
		       struct xm_locator *ret_locator);
/* As in xm_link_ops. */
int xm_interface_command(struct xm_interface *, const struct xm_command *);
int xm_interface_poll(struct xm_interface *, struct xm_report *ret);
/* Lets it end by itself, then, after a second, by force. */
void xm_interface_stop(struct xm_interface *);

#endif
