/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the processes that stay with guests of this machine (minder.h), each at the socket
 * "control" of its guest's folder. What comes of it is said; each returns an exit status. */
#ifndef XM_MACHINE_ASKER_H
#define XM_MACHINE_ASKER_H

#include <stdbool.h>
#include <sys/un.h>

/* Of a guest of this name, be it here or not. As guest_folder(). */
int asker_address(const char *name, struct sockaddr_un *ret);

/* Moves the guest. 3: it is not here any more, and nobody knows whether it runs there. */
int asker_move(const char *name, const char *host, const char *rsh);
/* Lets a guest go on that is paused. */
int asker_resume(const char *name);
/* The guests that are here, one in a line, or as JSON. */
int asker_list(bool json);

#endif
