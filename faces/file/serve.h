/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests of the kernel to the file face, as libfuse's low-level operations. */
#ifndef XM_FACE_SERVE_H
#define XM_FACE_SERVE_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

#include "faces/file/tree.h"

#define FACE_IO_MAX (1U << 20) /* bytes of one request */

struct face_machine;

struct face {
	struct face_machine *machine; /* NULL: the folder is not a machine's */
	struct face_tree tree;
	struct face_store store;
	/* What extended attributes say of every file. */
	const char *appliance, *strategy;
};

/* Their userdata is a struct face. */
extern const struct fuse_lowlevel_ops face_operations;

/* To be called by each thread that will serve, before it does: it allocates what the
 * thread needs. -ENOMEM. */
int face_thread_begin(extmem *);

#endif
