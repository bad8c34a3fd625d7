/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheme of an address: what stands before its first colon, "ofi+tcp" in
 * "ofi+tcp://host:7470". It selects a transport and a kind of channel among those
 * that were built in.
 *
 * Floor: ground. No state; any thread.
 */
#ifndef XM_SCHEME_H
#define XM_SCHEME_H

#include "core/pure/channel.h"
#include "core/pure/transport.h"

/* Whether the address has this scheme. */
bool xm_scheme_is(const char *address, const char *scheme);
/* What was built in for it; or NULL. */
const struct xm_transport_ops *xm_scheme_transport(const char *address);
const struct xm_channel_ops *xm_scheme_channel(const char *address);

#endif
