/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cursor passes the fields of a message in order: it puts each into bytes, or gets it out
 * of them. So the two forms of a message cannot drift apart. A cursor that ran out of bytes,
 * or met something that is not allowed, is `bad` from then on; getting from it gives zeros
 * and moves nothing.
 *
 * Whole numbers are little-endian. What has a length begins with its 2 bytes.
 *
 * Floor: ground. Threads: one for each cursor.
 */
#ifndef XM_WIRE_CURSOR_H
#define XM_WIRE_CURSOR_H

#include "common/base.h"

struct xm_cursor {
	uint8_t *put;	    /* encoding: where to, else NULL */
	const uint8_t *get; /* decoding: where from, else NULL */
	size_t at, size;
	bool bad;
};

/* A whole number of `size` bytes: the value that was put, or got. */
uint64_t xm_pass_integer(struct xm_cursor *, unsigned size, uint64_t value);
void xm_pass_u16(struct xm_cursor *, uint16_t *);
void xm_pass_u32(struct xm_cursor *, uint32_t *);
void xm_pass_u64(struct xm_cursor *, uint64_t *);
void xm_pass_i32(struct xm_cursor *, int32_t *);

/* A length of `size`, neither more nor less, and the bytes. */
void xm_pass_bytes(struct xm_cursor *, uint8_t *bytes, uint16_t size);
/* A length up to `most`, and the bytes. */
void xm_pass_some(struct xm_cursor *, uint8_t *bytes, uint16_t *size, uint16_t most);
/* A length, and printable UTF-8. `size` counts the NUL that ends it in memory and is not on
 * the wire. What is put and is not printable becomes '?'; what is got and is not is `bad`. */
void xm_pass_text(struct xm_cursor *, char *text, size_t size);

#endif
