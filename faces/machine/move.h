/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINES: how a guest moves to another machine while its memory stays where it is. Pure:
 * no clock, no file; the effects are source.c's and target.c's.
 *
 * Who may run the guest is who owns the region of its memory, and nobody else:
 *
 *	the region is		who may run	who may get it
 *	the source's		the source	nobody
 *	waiting under a token	nobody		either
 *	the target's, and kept	nobody		the source, by the token, when the target
 *	under the token				has ended
 *	the target's alone	the target	nobody
 *
 * An appliance decides each of these steps, once: so no message that is late, lost or
 * never sent makes both run, and while neither runs the source can ask for the region
 * until it has it, or hears that it is gone for good. The target has the guest's devices
 * before it makes the region its own (COMMIT).
 */
#ifndef XM_MACHINE_MOVE_H
#define XM_MACHINE_MOVE_H

#include <stdbool.h>

/* --- where the guest is ---------------------------------------------------------------- */

enum source_state {
	SOURCE_ASKED,	   /* the other side makes itself ready; the guest runs */
	SOURCE_STREAMING,  /* the guest is paused, QEMU speaks with the other one */
	SOURCE_PARTING,	   /* its memory is being handed over */
	SOURCE_OFFERED,	   /* the other side has the token */
	SOURCE_SWITCHING,  /* ... and the memory; the devices are on their way */
	SOURCE_RECLAIMING, /* something failed: whose is the memory? */
	SOURCE_STAYED,	   /* the guest runs here */
	SOURCE_MOVED,	   /* the guest is the other side's, and never runs here again */
	SOURCE_GONE,	   /* it never runs here again; nobody knows whether it does there */
	SOURCE_LOST	   /* the guest has ended here, and was not moved */
};

enum source_event {
	SOURCE_FAR_READY,
	SOURCE_FAR_ADOPTED,
	SOURCE_FAR_RUNS,
	SOURCE_FAR_FAILED, /* it says so, or nothing is heard of it any more */
	SOURCE_AT_SWITCH,  /* QEMU waits for its memory to be handed over */
	SOURCE_STREAM_FAILED,
	SOURCE_PARTED,
	SOURCE_PART_FAILED, /* the memory is still here */
	SOURCE_PART_HALF,   /* an appliance does not say whose its part is */
	SOURCE_PART_GONE,   /* ... and has not for so long that it never will */
	SOURCE_RECLAIMED,
	SOURCE_RECLAIM_BUSY, /* somebody else has it, or nobody answers */
	SOURCE_RECLAIM_GONE, /* it will never be here again */
	SOURCE_LATE,	     /* this has taken too long */
	SOURCE_GUEST_ENDED
};

enum source_effect {
	SOURCE_DO_STREAM = 1,  /* pause the guest; begin the migration, which waits before
				* it switches over */
	SOURCE_DO_PART = 2,    /* write back, hand over; again after HALF, in a while */
	SOURCE_DO_OFFER = 4,   /* tell the other side the token */
	SOURCE_DO_SWITCH = 8,  /* let the migration go on */
	SOURCE_DO_ABORT = 16,  /* tell the other side that it is over */
	SOURCE_DO_RECLAIM = 32, /* adopt by the token; again after BUSY, in a while */
	SOURCE_DO_RESUME = 64, /* end the migration; the guest runs */
	SOURCE_DO_END = 128    /* end QEMU */
};

struct source {
	enum source_state state;
	bool doomed; /* it failed while the memory was being handed over */
	bool half;   /* an appliance did not say whose its part is */
	bool dead;   /* the guest has ended */
};

/* Returns the effects, or'ed. What comes when it is not waited for changes nothing. */
unsigned source_step(struct source *, enum source_event);
/* The guest is paused: whatever happens, the machine must come to an end. */
bool source_is_over(const struct source *);

/* --- where it goes ------------------------------------------------------------------------ */

enum target_state {
	TARGET_STARTING, /* QEMU is started, and waits for a guest */
	TARGET_READY,
	TARGET_ADOPTING,
	TARGET_HELD, /* the memory is here, and waits for the source if this side ends */
	TARGET_COMMITTING,
	TARGET_CONTINUING, /* the memory is this side's alone, the guest still paused */
	TARGET_RUNS,
	TARGET_RETURNED /* there is no guest here */
};

enum target_event {
	TARGET_STARTED,
	TARGET_TOKEN, /* the source says which */
	TARGET_ADOPTED,
	TARGET_ADOPT_FAILED,
	TARGET_LOADED, /* QEMU has the devices */
	TARGET_COMMITTED,
	TARGET_COMMIT_FAILED, /* nobody knows whether it was done */
	TARGET_COMMIT_LOST,   /* the memory is not here any more */
	TARGET_CONTINUED,
	TARGET_CONTINUE_FAILED,
	TARGET_ABORTED,	      /* the source says so, or is gone */
	TARGET_LATE,
	TARGET_GUEST_ENDED /* QEMU has ended, or could not load the guest */
};

enum target_effect {
	TARGET_DO_READY = 1,
	TARGET_DO_CLAIM = 2, /* adopt, kept under the token */
	TARGET_DO_ADOPTED = 4,
	TARGET_DO_COMMIT = 8, /* no token stands for the memory; again, after FAILED */
	TARGET_DO_RUN = 16, /* again after FAILED, in a while */
	TARGET_DO_TELL = 32, /* the source: it runs */
	TARGET_DO_RETURN = 64 /* end QEMU and the client, and tell the source */
};

struct target {
	enum target_state state;
	bool doomed; /* it is over, and the memory is being adopted */
};

unsigned target_step(struct target *, enum target_event);

#endif
