/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance inside its client's own process, at "loop:NAME": the same
 * service and target as extmemd's, on one thread, over the loop transport. For
 * a program that wants to see what all of it costs without a network. Its
 * memory ends with the process, and is not protected from the client, so this
 * is no way to lend memory.
 *
 * Floor: skin.
 */
#ifndef XM_INSIDE_H
#define XM_INSIDE_H

#include <stddef.h>
#include <stdint.h>

struct xm_inside;

/* Lends `size` bytes, rounded up to 64 KiB. `address`: "loop:NAME".
 * -EADDRINUSE, -ENOMEM; words, at least 256 bytes, says why. */
int xm_inside_start(const char *address, uint64_t size, char *words,
		    size_t words_size, struct xm_inside **ret);
/* Its clients are to be closed before. NULL is ignored. */
void xm_inside_stop(struct xm_inside *);

#endif
