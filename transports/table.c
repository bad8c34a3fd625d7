/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transports and channels that were built in, in the order in which
 * `extmem info` shows them. core declares the two tables; this room knows
 * what is in them.
 */
#include "core/pure/channel.h"
#include "transports/stream.h"
#include "core/pure/transport.h"

extern const struct xm_transport_ops xm_loop;
extern const struct xm_transport_ops xm_ofi_tcp;
extern const struct xm_transport_ops xm_ofi_verbs;
extern const struct xm_transport_ops xm_ofi_shm;
extern const struct xm_transport_ops xm_ofi_net;
extern const struct xm_transport_ops xm_ofi_rxm;
extern const struct xm_transport_ops xm_ofi_sockets;

extern const struct xm_channel_ops xm_loop_channel;

const struct xm_transport_ops *const xm_transports[] = {
	&xm_ofi_tcp,
	&xm_ofi_verbs,
	&xm_ofi_shm,
	&xm_ofi_net,
	&xm_ofi_rxm,
	&xm_ofi_sockets,
	&xm_loop,
	NULL,
};

const struct xm_channel_ops *const xm_channels[] = {
	&xm_stream_tcp,
	&xm_stream_verbs,
	&xm_stream_shm,
	&xm_stream_net,
	&xm_stream_rxm,
	&xm_stream_sockets,
	&xm_loop_channel,
	NULL,
};
