/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance of our own, for one run: extmemd on this machine's loopback.
 */
#ifndef EXTMEM_DAEMON_H
#define EXTMEM_DAEMON_H

#include "common/spawn.h"

struct daemon {
	struct xm_spawned process;
};

/* Half of the memory that is free here, at most 2 GiB. */
uint64_t daemon_size_default(void);
/* Starts it with that much memory and waits until it is ready. 0; -EINTR, and
 * the appliance is stopped: cancel_fd became readable before it was ready; any
 * other -errno: it did not come up, and stderr says why. It ends with this
 * process at the latest. */
int daemon_start(struct daemon *, uint64_t size, int cancel_fd);
/* Asks it to end, and makes it end after five seconds. */
void daemon_stop(struct daemon *);

#endif
