/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The appliances of a client: those of its settings, and those that are added while
 * it is open (extmem_appliance_add()).
 *
 * Each gets a session on the control channel of its scheme, and a transport on
 * every lane. All of it is opened on the thread that opens the client or adds the
 * appliance, and is then handed over: a transport under its lane's lock, the session
 * under ask.lock. An appliance is never removed, so that its index stays valid.
 */
#ifndef XM_APPLIANCES_H
#define XM_APPLIANCES_H

#include "core/extmem.h"

/* Checks that the addresses of the settings have transports. 0, or -ENOSYS with a
 * message. */
int xm_appliances_check(const extmem *);
/* Adds the appliances that the settings name. 0, or -errno with a message. */
int xm_appliances_open(extmem *);
/* With the background thread running: waits until each appliance is ready, or one
 * attempt to reach it has failed, which takes 5 s at most. 0: at least one is
 * ready; the background thread goes on connecting to the others. -errno with a
 * message: none is, and this is why the first is not. */
int xm_appliances_wait(extmem *);

#endif
