/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells the service manager how the daemon is, as sd_notify(3) does, without
 * libsystemd: one datagram to the unix socket that $NOTIFY_SOCKET names.
 * Does nothing where the variable is not set.
 *
 * Floor: skin.
 */
#ifndef XM_NOTIFY_H
#define XM_NOTIFY_H

/* `state` as in sd_notify(3): "READY=1", "STOPPING=1", "WATCHDOG=1". */
void xm_notify(const char *state);

#endif
