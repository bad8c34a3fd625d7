/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of the file face. One region is divided into chunks of 4 KiB; a file has a
 * table of those that are its own, in leaves of 1024 (4 MiB of the file). What no chunk is
 * there for is a hole, and reads as zero.
 *
 * A free chunk is fresh (extmem_region_fresh()), so a new one reads as zero. In a file
 * what lies in a chunk behind the file's end is zero.
 *
 * A write whose appliance has gone is done in another chunk, where it covers all that the
 * file has in the old one. If there is none the chunk is lost: it reads as -EIO until it
 * is written again. So is one whose write has timed out, and may still arrive.
 *
 * Memory of this process is allocated when a file gets a leaf; so here a file that was
 * given its size and its chunks (face_allocate()) is read and written without. libfuse
 * allocates for each request nevertheless.
 *
 * Any thread. Results are 0 or -errno; of those that mean that memory is out of reach the
 * log has a sentence. Offsets and sizes are below 2^63.
 */
#ifndef XM_FACE_STORE_H
#define XM_FACE_STORE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "core/extmem.h"

#define FACE_CHUNK ((uint64_t)4096) /* a page: what is freed can be discarded */
#define FACE_LEAF ((uint64_t)1024)

struct face_store {
	extmem_region *region;
	pthread_mutex_t lock;
	uint64_t *used;	/* a bit for each chunk */
	uint64_t *stuck; /* and of those that are nobody's, but cannot be discarded now */
	uint64_t count;	 /* of chunks, less than 2^32 */
	uint64_t free;	 /* neither used nor reserved */
	uint64_t stuck_count;
	uint64_t next; /* where the next search begins, so that files lie in runs */
};

struct face_contents {
	struct face_store *store;
	/* Held for writing while the table changes or ranges become zero, for reading
	 * while bytes move. */
	pthread_rwlock_t lock;
	uint32_t **leaves; /* number of the chunk + 1; 0: a hole. NULL: all are */
	uint64_t room;	   /* leaves that the table has room for */
	/* Changed with the lock held for writing; anybody may look. */
	_Atomic uint64_t size;
	_Atomic uint64_t used; /* chunks that it has */
};

/* The region must be tracked. NULL: there is no room for bytes. -ENOMEM. */
int face_store_open(struct face_store *, extmem_region *);
void face_store_close(struct face_store *);

void face_contents_begin(struct face_contents *, struct face_store *);
void face_contents_end(struct face_contents *);

/* Returns how many bytes there were, at most `size`. */
int64_t face_read(struct face_contents *, uint64_t offset, void *buffer, size_t size);
/* After -EIO any part of it may have been done, and the file reaches to its end.
 * -ENOSPC, -ENOMEM, -EFBIG: nothing was. */
int face_write(struct face_contents *, uint64_t offset, const void *buffer,
	       size_t size);
/* What is added reads as zero. -EFBIG. */
int face_resize(struct face_contents *, uint64_t size);
/* Chunks for the range, so that writes there find room. The size becomes at least
 * `size_min`. */
int face_allocate(struct face_contents *, uint64_t offset, uint64_t size,
		  uint64_t size_min);
/* The range reads as zero; whole chunks of it are free again. */
int face_punch(struct face_contents *, uint64_t offset, uint64_t size);

#endif
