/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that moves away: what move.h decides is done to QEMU, its memory, and the other
 * side, which is another extmem-vm at the end of a pipe. */
#ifndef XM_MACHINE_SOURCE_H
#define XM_MACHINE_SOURCE_H

#include "faces/machine/guest.h"
#include "faces/machine/move.h"

struct leaving {
	struct source machine;
	bool active;
	struct lines far;
	pid_t process; /* who reaches the other side */
	char host[256], rsh[256], token[64];
	char why[GUEST_WORDS]; /* it did not move */
	enum { LEAVING_ASKS_NOTHING, LEAVING_PARTS, LEAVING_RECLAIMS } asks;
	uint64_t now_ns, deadline_ns, again_ns, part_until_ns, reclaim_until_ns;
	uint64_t began_ns, paused_ns;
	uint64_t pause_ms, flush_ms, bytes; /* as far as they are known */
};

/* Begins a move to `host`, which `rsh` reaches: words, to which those of a command are
 * added. -errno, with words in `why`: the guest is as it was. */
int leaving_begin(struct leaving *, struct guest *, const char *host, const char *rsh);
/* To be called every few milliseconds, until it is not active. */
void leaving_look(struct leaving *, struct guest *);
/* QEMU has ended. */
void leaving_guest_ended(struct leaving *, struct guest *);

#endif
