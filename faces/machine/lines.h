/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON objects, one a line, over a descriptor: to QEMU, to the other side, to who asked. */
#ifndef XM_MACHINE_LINES_H
#define XM_MACHINE_LINES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define LINES_MAX 65536

struct lines {
	int in, out; /* -1: closed; may be the same */
	size_t used;
	bool ended; /* nothing more will come */
	char buffer[LINES_MAX];
};

void lines_open(struct lines *, int in, int out);
/* Closes both. */
void lines_close(struct lines *);
/* The next object, to be given up with json_decref(). NULL: none has come within `ms`, or
 * none will (`ended`): the line is not JSON, is too long, or the other end has closed. */
json_t *lines_read(struct lines *, int ms);
/* Takes the object over. A peer that does not read for two seconds is gone (`ended`).
 * -EPIPE, -ENOMEM. */
int lines_write(struct lines *, json_t *);

#endif
