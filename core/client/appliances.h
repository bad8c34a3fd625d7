/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The appliances of a client: connecting to them when it is opened.
 *
 * Each gets a session on the control channel of its scheme, and a transport on
 * every lane. On the thread that opens the client.
 */
#ifndef XM_APPLIANCES_H
#define XM_APPLIANCES_H

#include "core/extmem.h"

/* Adds those that the settings name. 0, or -errno with a message. */
int xm_appliances_open(extmem *);
/* With the background thread running: waits until each appliance is ready, or one
 * attempt to reach it has failed, which takes 5 s at most. 0: at least one is
 * ready; the background thread goes on connecting to the others. -errno with a
 * message: none is, and this is why the first is not. */
int xm_appliances_wait(extmem *);

#endif
