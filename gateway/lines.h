/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open connections, and how long each may go on. A connection has `patience_ns` for
 * each request, from its beginning, or from the end of the request before, to the end of
 * the answer: so one that sends or reads a byte a second does not stay. If there are more
 * than `limit`, the one that has waited longest gives way, unless its answer is being
 * made. Any thread.
 */
#ifndef EXTMEM_GATEWAY_LINES_H
#define EXTMEM_GATEWAY_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct gateway_lines;
struct gateway_line;

struct gateway_lines *gateway_lines_open(unsigned limit, uint64_t patience_ns);
void gateway_lines_close(struct gateway_lines *);

/* NULL: no memory; the connection is then not watched. */
struct gateway_line *gateway_line_begin(struct gateway_lines *, int fd,
					uint64_t now_ns);
/* Before the descriptor is closed. */
void gateway_line_end(struct gateway_lines *, struct gateway_line *);
/* An answer is being made: no time is counted. */
void gateway_line_busy(struct gateway_lines *, struct gateway_line *);
/* A request has ended, or its answer is made: the time begins anew. */
void gateway_line_renew(struct gateway_lines *, struct gateway_line *,
			uint64_t now_ns);
/* Shuts those down whose time is up. How many. */
unsigned gateway_lines_cut(struct gateway_lines *, uint64_t now_ns);
/* How many there are; *ret_cut: ever cut. */
unsigned gateway_lines_count(struct gateway_lines *, uint64_t *ret_cut);

#endif
