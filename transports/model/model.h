/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport contract over struct xm_device: both ends in one process, as of
 * transports/loop, whose names, tickets and connections these are. The device is the
 * target's; each connection has a queue of its own there, with the client as its owner.
 * Bounds besides those of loop: XM_DEVICE_RING accesses outstanding.
 */
#ifndef XM_MODEL_MODEL_H
#define XM_MODEL_MODEL_H

#include "transports/loop/loop_parts.h"
#include "transports/model/datapath.h"

/* A path of struct xm_loop_path by a device with such a data path. */
struct xm_model {
	struct xm_loop_path loop; /* first */
	const struct xm_path_ops *path;
	uint32_t wait;
};

int xm_model_listen(struct xm_transport *);
void xm_model_close(struct xm_transport *);
void xm_model_expose(struct xm_transport *, uint32_t index);
void xm_model_conceal(struct xm_transport *, uint32_t index);
void xm_model_join(struct xm_transport *, uint32_t index);
void xm_model_leave(struct xm_transport *, uint32_t index);
int xm_model_post(struct xm_transport *, uint32_t index, const struct loop_access *);
void xm_model_turn(struct xm_transport *);

/* The initialiser of a struct xm_model. */
#define XM_MODEL_PATH(name, path_ops, wait_cycles)                            \
	{                                                                     \
		.loop = {                                                     \
			.scheme = (name),                                     \
			.keys = "keys of the interface",                      \
			.progress = "in poll",                                \
			.size_max = XM_PATH_LENGTH_MAX,                       \
			.depth_max = XM_DEVICE_RING,                          \
			.scatter_max = 1,                                     \
			.listen = xm_model_listen,                            \
			.close = xm_model_close,                              \
			.expose = xm_model_expose,                            \
			.conceal = xm_model_conceal,                          \
			.join = xm_model_join,                                \
			.leave = xm_model_leave,                              \
			.post = xm_model_post,                                \
			.turn = xm_model_turn,                                \
		},                                                            \
		.path = (path_ops), .wait = (wait_cycles),                    \
	}

#endif
