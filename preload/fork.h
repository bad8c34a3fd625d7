/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork(): what the three sides of it share.
 *
 * fork.c	around the call, and the pages as they were (parent)
 * broker.c	the thread that tells children what they ask for (parent)
 * child.c	faults in a child
 *
 * A child has the pages that were present when it was made, by the kernel's
 * own copy on write. Those that were away it asks the parent's broker for, over
 * a socket of its own, which is also how the parent knows that it lives and
 * has not exec'ed. A snapshot is numbered by an epoch; before the parent can
 * change a page for the first time since the last epoch, the page is saved.
 */
#ifndef EXTMEM_FORK_H
#define EXTMEM_FORK_H

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

/* --- fork.c: the parent's past ------------------------------------------------------- */

/* Copies the page as it was at the epoch; false: it cannot be had. On the
 * broker's thread. */
bool fork_page_at(uint32_t region, uint64_t page, uint32_t epoch, void *ret);
/* A snapshot has one reader more, or less. */
void fork_reader(uint32_t epoch, int more);
/* Moves saved pages out of local memory, if there are too many. True: there
 * are more. */
bool fork_spill(void);
/* Lets go of what no child that lives can ask for. Both on the broker's
 * thread. */
void fork_sweep(void);

/* --- broker.c ------------------------------------------------------------------------ */

/* 0 or -errno. */
int broker_start(void);
/* From now on this is a child's end of a connection. */
void broker_add(int fd, uint32_t epoch);
bool broker_is_here(void); /* this thread is the broker */
/* Where a page that is lost makes the broker go on. */
void broker_lost(void);
/* Until no child needs this process any more; streams are written first, or
 * not. The status is -1 where only exit(3) knows it. */
void broker_linger(bool flushes, int status);
/* True: it has been waited for so, and this is the process's status. */
bool broker_lingered(int *ret_status);
/* In a child: there is no broker here. */
void broker_forked(void);
unsigned broker_connections(void);

/* --- child.c ------------------------------------------------------------------------- */

/* The process is a child of fork() with a broker at the other end of `fd`. */
void child_begin(int fd);
/* Without one: external memory is absent. */
void child_absent(void);
/* Before and after a fork of its own: the connection for its child, or -1. */
int child_prepare(void);
void child_again(int fd);
void child_lock(void);
void child_unlock(void);

/* One message, with a descriptor or without (-1). 0 or -errno. */
int fork_send(int fd, const void *message, size_t size, int descriptor);
/* Bytes, 0 at the end; *ret_descriptor is -1 if there was none. */
ssize_t fork_receive(int fd, void *message, size_t size, int *ret_descriptor);

#endif
