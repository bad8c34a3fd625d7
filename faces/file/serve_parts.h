/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that serve the kernel's requests share: serve.c and serve_names.c. */
#ifndef XM_FACE_SERVE_PARTS_H
#define XM_FACE_SERVE_PARTS_H

#include "faces/file/serve.h"

#define FACE_FOREVER 86400.0 /* seconds for which the kernel may believe what it was told */

/* FACE_IO_MAX bytes, of this thread. */
extern __thread uint8_t *face_buffer;

static inline struct face *face_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct face_node *face_node_of(fuse_req_t req, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? face_of(req)->tree.root
				   : (struct face_node *)(uintptr_t)ino;
}

static inline void face_lock(fuse_req_t req)
{
	pthread_mutex_lock(&face_of(req)->tree.lock);
}

static inline void face_unlock(fuse_req_t req)
{
	pthread_mutex_unlock(&face_of(req)->tree.lock);
}

/* What stat() says of it. With the tree's lock held. */
void face_describe(struct face_node *, struct stat *ret);
/* A new node with a name, of whom asks, which the kernel knows from now on. */
int face_serve_make(fuse_req_t, fuse_ino_t parent, const char *name, mode_t,
		    const char *target, struct fuse_entry_param *ret);
/* The kernel has forgotten so many lookups. */
void face_serve_forget(struct face *, fuse_ino_t, uint64_t count);

/* The requests that are about names. */
void face_on_lookup(fuse_req_t, fuse_ino_t parent, const char *name);
void face_on_forget(fuse_req_t, fuse_ino_t, uint64_t count);
void face_on_forget_multi(fuse_req_t, size_t count, struct fuse_forget_data *);
void face_on_mknod(fuse_req_t, fuse_ino_t parent, const char *name, mode_t, dev_t);
void face_on_mkdir(fuse_req_t, fuse_ino_t parent, const char *name, mode_t);
void face_on_symlink(fuse_req_t, const char *target, fuse_ino_t parent,
		     const char *name);
void face_on_link(fuse_req_t, fuse_ino_t, fuse_ino_t parent, const char *name);
void face_on_readlink(fuse_req_t, fuse_ino_t);
void face_on_unlink(fuse_req_t, fuse_ino_t parent, const char *name);
void face_on_rmdir(fuse_req_t, fuse_ino_t parent, const char *name);
void face_on_rename(fuse_req_t, fuse_ino_t parent, const char *name,
		    fuse_ino_t new_parent, const char *new_name, unsigned flags);
void face_on_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);

#endif
