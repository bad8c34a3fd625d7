/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that arrives: what move.h decides is done to QEMU and its memory; the other side
 * is at standard input and output. */
#ifndef XM_MACHINE_TARGET_H
#define XM_MACHINE_TARGET_H

#include "faces/machine/guest.h"
#include "faces/machine/move.h"

struct arriving {
	struct target machine;
	bool active;
	struct lines near;
	char token[64];
	enum { ARRIVING_ASKS_NOTHING, ARRIVING_CLAIMS, ARRIVING_OWNS } asks;
	uint64_t now_ns, deadline_ns, again_ns;
};

/* Takes the near side over, and starts QEMU for the guest. */
void arriving_begin(struct arriving *, struct guest *, int in, int out);
/* To be called every few milliseconds, until it is not active. */
void arriving_look(struct arriving *, struct guest *);
/* QEMU has ended. */
void arriving_guest_ended(struct arriving *, struct guest *);
/* Copies standard input to the QEMU that waits under this name. The exit status. */
int arriving_stream(const char *name);

#endif
