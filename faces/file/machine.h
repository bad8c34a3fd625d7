/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a machine that moves, as extmem-vm asks for it: by an extended attribute of
 * the file "memory", to which it writes what is to be done and from which it reads what
 * became of that ("busy": nothing yet). It is done on a thread of its own, since the
 * kernel may wait for the request that asked, and asks the threads that serve for pages.
 *
 *	part MS		parted TOKEN	the region was handed over, for MS
 *	adopt TOKEN	held		it is here, and the token is used up
 *	claim TOKEN	held		it is here, and waits under the token when this ends
 *	own		own		it waits under no token any more
 *
 * or "failed ERRNO WORDS". Before the first: "ready".
 */
#ifndef XM_FACE_MACHINE_H
#define XM_FACE_MACHINE_H

#include "faces/file/serve.h"
#include "faces/file/whole.h"

#define FACE_MACHINE_ATTRIBUTE "user.extmem.machine"
#define FACE_MACHINE_TEXT 512

struct face_machine {
	struct face_whole *whole; /* NULL: there is none */
	struct face_node *node;
	extmem *x;
	struct fuse_session *session;
	pthread_mutex_t lock;
	pthread_cond_t asked;
	bool busy;
	char command[FACE_MACHINE_TEXT], outcome[FACE_MACHINE_TEXT];
};

/* Begins its thread. */
int face_machine_begin(struct face_machine *);
/* The attribute's value. -EBUSY: it is at work. -EINVAL. */
int face_machine_ask(struct face_machine *, const char *text, size_t size);
void face_machine_answer(struct face_machine *, char ret[FACE_MACHINE_TEXT]);

#endif
