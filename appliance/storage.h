/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store process: it alone has the files of the durable store (disk.h) open. It is a
 * process of its own because a sync takes as long as the disk likes: meanwhile the control
 * process answers, and the interface moves bytes. It reads what becomes durable from the
 * pool, which it maps for reading alone once it has put back what was there before.
 *
 *	storage.c	the control process's side
 *	store_main.c	the process itself
 *
 * Commands that wait while it syncs are done together, and one sync makes all of them durable
 * (group commit).
 *
 * Floor: skin.
 */
#ifndef XM_STORAGE_H
#define XM_STORAGE_H

#include <sys/types.h>

#include "appliance/confine.h"
#include "appliance/pool.h"
#include "appliance/store_link.h"

/* The first argument of extmemd that makes it a store process. */
#define XM_STORAGE_FLAG "--store-process"

struct xm_storage {
	pid_t pid; /* 0: there is none */
	int fd;	   /* of the socket pair; readable: poll() */
	bool gone; /* it has ended, and that was not reported yet */
	char confined[XM_CONFINED_SIZE]; /* what holds; "": nothing was to */
};

/* What recovery has found, and how far it is. */
struct xm_storage_watch {
	void (*progress)(void *context, uint64_t done, uint64_t size);
	/* An extent whose bytes are in the pool again. 0, or -errno: it cannot be. */
	int (*entry)(void *context, uint32_t slot, const struct xm_store_entry *);
	/* These bytes of it are not there. Likewise. */
	int (*damaged)(void *context, uint32_t slot, uint64_t offset, uint64_t size);
	void *context;
};

/* Starts the process, and returns when all that is durable is in the pool again. `confine`:
 * see confine.h. 0, or -errno and a sentence. */
int xm_storage_start(const char *path, const struct xm_pool *, uint32_t slots,
		     bool confine, const struct xm_storage_watch *, char *words,
		     size_t words_size, struct xm_storage *ret);
/* The process has ended: says so by a report. */
void xm_storage_ended(struct xm_storage *);
void xm_storage_stop(struct xm_storage *);
extern const struct xm_store_link_ops xm_storage_link;

/* argv[0] by which main() is `extmem store`; store_tool.c. */
#define XM_STORE_TOOL "extmem-store"
int xm_store_tool(int argc, char **argv);

/* What main() of extmemd does in the store process. */
int xm_storage_main(void);

#endif
