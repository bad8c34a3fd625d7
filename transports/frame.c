/* SPDX-License-Identifier: BSD-3-Clause */
/* See frame.h. */
#include <errno.h>
#include <string.h>

#include "transports/frame.h"

#define MAGIC "XMC1"
#define MAGIC_SIZE 4

static uint8_t *out_of(const struct xm_frames *f)
{
	return f->buffer + XM_FRAME_IN;
}

void xm_frames_init(struct xm_frames *f, uint8_t *buffer)
{
	memset(f, 0, sizeof(*f));
	f->buffer = buffer;
	memcpy(out_of(f), MAGIC, MAGIC_SIZE);
	f->out_end = MAGIC_SIZE;
}

/* --- what comes ----------------------------------------------------------- */

size_t xm_frames_room(struct xm_frames *f, uint8_t **ret)
{
	if (f->in_taken > 0) {
		f->in_used -= f->in_taken;
		memmove(f->buffer, f->buffer + f->in_taken, f->in_used);
		f->in_taken = 0;
	}
	*ret = f->buffer + f->in_used;
	return XM_FRAME_IN - f->in_used;
}

int xm_frames_came(struct xm_frames *f, size_t size)
{
	XM_ASSERT(size <= XM_FRAME_IN - f->in_used);
	f->in_used += size;
	if (f->greeted)
		return 0;
	if (memcmp(f->buffer, MAGIC, xm_min(f->in_used, MAGIC_SIZE)) != 0) {
		f->in_used = 0;
		return -EPROTO;
	}
	if (f->in_used >= MAGIC_SIZE) {
		f->greeted = true;
		f->in_taken = MAGIC_SIZE;
	}
	return 0;
}

/* As xm_frames_take(), without taking it. */
static int look(const struct xm_frames *f, size_t *ret_size)
{
	const uint8_t *b = f->buffer + f->in_taken;
	size_t used = f->in_used - f->in_taken;
	size_t size;

	if (used < XM_FRAME_HEAD)
		return 0;
	size = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 |
	       (size_t)b[3] << 24;
	if (size == 0 || size > XM_MESSAGE_SIZE_MAX)
		return -EPROTO;
	if (used < XM_FRAME_HEAD + size)
		return 0;
	*ret_size = size;
	return 1;
}

int xm_frames_take(struct xm_frames *f, const uint8_t **ret_bytes,
		   size_t *ret_size)
{
	int rc = f->greeted ? look(f, ret_size) : 0;

	if (rc == 1) {
		*ret_bytes = f->buffer + f->in_taken + XM_FRAME_HEAD;
		f->in_taken += XM_FRAME_HEAD + *ret_size;
	}
	return rc;
}

bool xm_frames_is_torn(const struct xm_frames *f)
{
	size_t size;

	return f->in_used > f->in_taken && look(f, &size) == 0;
}

/* --- what goes ------------------------------------------------------------ */

int xm_frames_put(struct xm_frames *f, const void *bytes, size_t size)
{
	uint8_t *at;

	if (size == 0 || size > XM_MESSAGE_SIZE_MAX)
		return -EINVAL;
	if (f->out_end + XM_FRAME_HEAD + size > XM_FRAME_OUT &&
	    f->out_begin > 0) {
		f->out_end -= f->out_begin;
		memmove(out_of(f), out_of(f) + f->out_begin, f->out_end);
		f->out_begin = 0;
	}
	if (f->out_end + XM_FRAME_HEAD + size > XM_FRAME_OUT)
		return -EAGAIN;
	at = out_of(f) + f->out_end;
	at[0] = (uint8_t)size;
	at[1] = (uint8_t)(size >> 8);
	at[2] = 0;
	at[3] = 0;
	memcpy(at + XM_FRAME_HEAD, bytes, size);
	f->out_end += XM_FRAME_HEAD + size;
	return 0;
}

size_t xm_frames_pending(const struct xm_frames *f, const uint8_t **ret)
{
	*ret = out_of(f) + f->out_begin;
	return f->out_end - f->out_begin;
}

void xm_frames_went(struct xm_frames *f, size_t size)
{
	XM_ASSERT(size <= f->out_end - f->out_begin);
	f->out_begin += size;
	if (f->out_begin == f->out_end)
		f->out_begin = f->out_end = 0;
}

void xm_frames_drop(struct xm_frames *f)
{
	f->out_begin = f->out_end = 0;
}
