/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork(): what the files of its two sides share.
 *
 * fork.c	around the call
 * clone.c	forks that libc calls no handlers for
 * snapshots.c	pages as they were (parent)
 * spill.c	those that local memory has no room for (parent)
 * deferred.c	memory that is freed while a child can see it (parent)
 * broker.c	the thread that answers what children ask for (parent)
 * child.c	faults in a child
 * room.c	what local memory there is for them
 *
 * The kernel's copy on write gives a child the pages that were present when it
 * was made. Pages that were absent it asks the parent's broker for, over a
 * socket of its own. By the end of that connection the parent knows that the
 * child has ended or called exec(). Snapshots are numbered; before the parent
 * changes a page for the first time after a snapshot, the page is saved
 * (core/pure/snapshot.h).
 */
#ifndef EXTMEM_FORK_H
#define EXTMEM_FORK_H

#include "core/pure/snapshot.h"
#include "preload/shim.h"

#define FORK_REGIONS_MAX 64
#define FORK_WINDOW 32 /* pages in one answer, most */
#define FORK_BUFFER_SIZE (FORK_WINDOW * SHIM_PAGE)

enum fork_kind {
	FORK_PAGES = 1, /* region, page, count: into the buffer, please */
	FORK_BUFFER,	/* with a descriptor: the memory for answers */
	FORK_ATTACH,	/* with a descriptor: a child of this child */
};

struct fork_request {
	uint32_t kind;
	uint32_t region;
	uint64_t page;
	uint32_t count;
};

struct fork_answer {
	int32_t status; /* 0 or a negative errno */
	uint32_t count; /* pages in the buffer */
};

/* --- fork.c ------------------------------------------------------------------------------ */

/* Before the call; after it in each process. All signals are blocked between. */
void fork_prepare(void);
void fork_in_parent(void);
void fork_in_child(void);
/* True: there is to be no child; words were said. */
bool fork_refused(void);
/* Begins now what a first fork would begin. */
void fork_get_ready(void);

/* --- snapshots.c ------------------------------------------------------------------------- */

/* The machine, until it is unlocked. On a thread of the program only between
 * shim_enter() and shim_leave(): a handler that faults would want the lock. */
struct xm_snapshot *snapshots_lock(void);
void snapshots_unlock(void);
/* The library reports changes from now on. 0 or -errno. */
int snapshots_watch(void);
/* Before a fork: tables for all regions. False: there is no memory. */
bool snapshots_prepare(void);
/* A snapshot begins, with one reader. Nothing becomes writable, and the
 * machine is locked, until one of the next two. False: it does not begin. */
bool snapshots_begin(uint32_t *ret_number);
void snapshots_forked(void); /* in the parent */
void snapshots_in_child(void);
void snapshots_reader(uint32_t number, bool begins);
/* The region and the page that this address lies in; false: in no region. */
bool snapshots_find_page(uintptr_t address, uint32_t *ret_region,
			 uint64_t *ret_page);
/* Copies the page as it was at the snapshot; false: it cannot be had. On the
 * broker's thread, as is the next one. */
bool snapshots_page(uint32_t region, uint64_t page, uint32_t number,
		    void *ret);
/* Frees what no child that lives can ask for. */
void snapshots_sweep(void);
uint64_t snapshots_runs(void); /* of freed pages that are kept */
bool snapshots_crowded(void);  /* frames are to be spilled */

/* --- spill.c: on the broker's thread ------------------------------------------------------ */

/* Moves some saved pages out of local memory, if there are too many. True:
 * there are more. */
bool spill_some(void);
bool spill_read(uint64_t place, void *ret);
void spill_end(void); /* nothing is there any more */
/* True: a spill has failed, and none is tried until spill_retry(). Any thread. */
bool spill_failed(void);
void spill_retry(void);

/* --- deferred.c --------------------------------------------------------------------------- */

/* Frees what was kept and no child sees. On the broker's thread. */
void deferred_give_back(void);

/* --- broker.c ------------------------------------------------------------------------ */

/* 0 or -errno. */
int broker_start(void);
/* From now on this is a child's end of a connection. */
void broker_add(int fd, uint32_t snapshot);
bool broker_is_here(void); /* this thread is the broker */
/* Called for a touch of a lost page, on any thread. If it is the broker's, jumps
 * out of the touch: only this answer fails. */
void broker_lost(void);
/* Waits until no child needs this process any more. `flushes`: writes stdio's
 * streams first. `status`: what the process is to end with; -1: what exit(3) was
 * given. */
void broker_linger(bool flushes, int status);
/* True: broker_linger() has waited, and the process is to end with
 * *ret_status. */
bool broker_lingered(int *ret_status);
/* In a child: there is no broker here. */
void broker_forked(void);

/* --- child.c ------------------------------------------------------------------------- */

/* The process is a child of fork() with a broker at the other end of `fd`. */
void child_begin(int fd);
/* Without one: external memory is absent. */
void child_absent(void);
/* Begins now what a first fault would begin. */
void child_get_ready(void);
/* Before and after a fork of its own: the connection for its child, or -1. */
int child_prepare(void);
void child_again(int fd);
void child_lock(void);
void child_unlock(void);

/* --- room.c -------------------------------------------------------------------------- */

/* Bytes that this machine, and the cgroups that this process is in, have to spare. */
uint64_t room_here(void);

/* --- child.c, broker.c --------------------------------------------------------------- */

/* One message, with a descriptor or without (-1). 0 or -errno. */
int fork_send(int fd, const void *message, size_t size, int descriptor);
/* Bytes, 0 at the end; *ret_descriptor is -1 if there was none. */
ssize_t fork_receive(int fd, void *message, size_t size, int *ret_descriptor);

#endif
