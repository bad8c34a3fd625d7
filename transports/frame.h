/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Framing: whole messages in a stream of bytes, as core/pure/channel.h has
 * them. Both directions begin with the magic "XMC1"; then each message is a
 * 4-byte little-endian size and its bytes.
 *
 *	example: the message "abc" is 03 00 00 00 61 62 63
 *
 * One buffer holds XM_FRAME_IN bytes that came and XM_FRAME_OUT that are to
 * go. A size is checked before a byte of its message is waited for, so a peer
 * never makes us keep more than two messages. Pure: no system call.
 *
 * Floor: skin of the transport.
 */
#ifndef XM_FRAME_H
#define XM_FRAME_H

#include "core/pure/channel.h"

#define XM_FRAME_HEAD 4
#define XM_FRAME_IN (2 * (XM_FRAME_HEAD + XM_MESSAGE_SIZE_MAX))
#define XM_FRAME_OUT (8 * (XM_FRAME_HEAD + XM_MESSAGE_SIZE_MAX))

struct xm_frames {
	uint8_t *buffer; /* `in`, then `out`: XM_FRAME_IN + XM_FRAME_OUT bytes */
	bool greeted;	 /* the other side's magic has come */
	size_t in_used, in_taken;
	size_t out_begin, out_end;
};

/* `buffer` stays the caller's. Our magic is put first. */
void xm_frames_init(struct xm_frames *, uint8_t *buffer);

/* Room for bytes that come: where, and how many. 0: messages are to be taken
 * first. */
size_t xm_frames_room(struct xm_frames *, uint8_t **ret);
/* So many bytes came there. -EPROTO: the magic is wrong; then all that came
 * is forgotten. */
int xm_frames_came(struct xm_frames *, size_t size);
/* The next whole message, valid until xm_frames_room(). 1: there is one; 0:
 * not yet; -EPROTO: a size of 0, or too large. */
int xm_frames_take(struct xm_frames *, const uint8_t **ret_bytes,
		   size_t *ret_size);
/* True when the stream may not end here: within the magic or a message. */
bool xm_frames_is_torn(const struct xm_frames *);

/* A message to send. -EAGAIN: no room; -EINVAL: its size. */
int xm_frames_put(struct xm_frames *, const void *bytes, size_t size);
/* Bytes that are to go: where, and how many; 0: none. */
size_t xm_frames_pending(const struct xm_frames *, const uint8_t **ret);
/* So many of them have gone. */
void xm_frames_went(struct xm_frames *, size_t size);
/* Nothing more can go. */
void xm_frames_drop(struct xm_frames *);

#endif
