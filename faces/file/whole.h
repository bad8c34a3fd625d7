/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that is a region of its own, all of it, and outlives the folder: under a name of
 * this machine's, or under a token (faces/kept.h). Its size is the region's and stays.
 *
 * Any thread. Results are 0 or -errno; of those that mean that memory is out of reach the
 * log has a sentence.
 */
#ifndef XM_FACE_WHOLE_H
#define XM_FACE_WHOLE_H

#include "faces/kept.h"

struct face_whole;
struct face_tree;
struct face_node;

/* Adds such a file to the folder that is the tree's root. Of `kept` one is given: `region`
 * may be NAME=SIZE, which is made if it is not there. The file has the name's last part, or
 * the region's name. Before the folder is served. Otherwise it was said why not. */
int face_whole_add(struct face_tree *, extmem *, const struct face_kept *kept);
/* The region stays, unless face_whole_remove() was there before. NULL is ignored. */
void face_whole_close(struct face_whole *);

uint64_t face_whole_size(const struct face_whole *);
/* Returns how many bytes there were, at most `size`. -EIO: nobody knows what is there, as a
 * write of it has failed; until it is written again. */
int64_t face_whole_read(struct face_whole *, uint64_t offset, void *buffer, size_t size);
/* -EFBIG: not all of it lies in the region; what does was written. -EIO also: it is a part
 * of a page whose other bytes nobody knows. */
int face_whole_write(struct face_whole *, uint64_t offset, const void *buffer,
		     size_t size);
/* The range, as far as it lies in the region, reads as zero. */
int face_whole_zero(struct face_whole *, uint64_t offset, uint64_t size);
/* What was written is on the appliances' disks, if it is durable. */
int face_whole_sync(struct face_whole *);
/* Another name on this machine, too. -EEXIST: it is taken. -EPERM: it has none. */
int face_whole_rename(struct face_whole *, const char *name);
/* Nothing leads to the region any more: it ends with the file. */
int face_whole_remove(struct face_whole *);

/* --- the memory of a machine that moves: faces/file/machine.h ------------------------------ */

/* A file "memory" of this size, which is a region, not kept; or none yet (`awaits`): then it
 * reads as zero, and what is written there is forgotten. */
int face_whole_machine(struct face_tree *, extmem *, uint64_t size, bool awaits,
		       struct face_whole **ret, struct face_node **ret_node);
/* Hands the region over, for `ms`: reads and writes are -EIO from then on. -EIO: a write has
 * failed, and nobody knows what is there. -EINPROGRESS: for 20 s an appliance has not said
 * whose its part is; the next call goes on, and the region is of no use before. */
int face_whole_part(struct face_whole *, uint64_t ms, char ret_token[EXTMEM_TOKEN_SIZE]);
/* Has the region of a token, kept under it if `kept`. What is written is forgotten still,
 * until face_whole_begin(), before which the caller has the kernel forget its pages;
 * a second call before that does nothing.
 * -EINVAL: it is of another size; it waits under its token again, if it is kept. */
int face_whole_adopt(struct face_whole *, extmem *, const char *token, bool kept);
void face_whole_begin(struct face_whole *);
/* No token stands for the region any more. */
int face_whole_own(struct face_whole *);

#endif
