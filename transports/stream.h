/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel (core/pure/channel.h) over TCP and over unix sockets: one
 * implementation, one set of operations per scheme. See stream.c.
 */
#ifndef XM_STREAM_H
#define XM_STREAM_H

#include "core/pure/channel.h"

extern const struct xm_channel_ops xm_stream_tcp;     /* ofi+tcp */
extern const struct xm_channel_ops xm_stream_verbs;   /* ofi+verbs */
extern const struct xm_channel_ops xm_stream_net;     /* ofi+net */
extern const struct xm_channel_ops xm_stream_rxm;     /* ofi+rxm */
extern const struct xm_channel_ops xm_stream_sockets; /* ofi+sockets */
extern const struct xm_channel_ops xm_stream_shm;     /* ofi+shm */

#endif
