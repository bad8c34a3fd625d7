/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests of the kernel to the file face; see serve.h.
 *
 * The kernel keeps pages, sizes and times of files (writeback cache) and names (they
 * change through it alone), so each is told once and for long. Every write that arrives
 * here is at the appliances when it is answered; fsync() has nothing more to do.
 *
 * lseek() for holes is not served: the kernel would ask without having written back what
 * it has, and data that it still has would pass for a hole.
 */
#include "faces/file/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faces/file/log.h"
#include "faces/file/machine.h"
#include "faces/file/serve_parts.h"
#include "faces/file/whole.h"

__thread uint8_t *face_buffer;

int face_thread_begin(extmem *x)
{
	face_buffer = aligned_alloc(4096, FACE_IO_MAX);
	if (face_buffer == NULL)
		return -ENOMEM;
	memset(face_buffer, 0, FACE_IO_MAX);
	/* Providers that need it save a copy; the others cost nothing. */
	(void)extmem_register(x, face_buffer, FACE_IO_MAX);
	return 0;
}

/* Of memory that the file has. */
static uint64_t bytes_of(const struct face_node *node)
{
	return node->whole != NULL ? face_whole_size(node->whole)
				   : node->contents.used * FACE_CHUNK;
}

void face_describe(struct face_node *node, struct stat *st)
{
	struct face_contents *c = &node->contents;

	*st = (struct stat){
		.st_ino = node->number, .st_mode = node->mode,
		.st_nlink = node->links, .st_uid = node->uid,
		.st_gid = node->gid, .st_atim = node->atime,
		.st_mtim = node->mtime, .st_ctim = node->ctime,
		.st_blksize = 4096,
	};
	if (node->target != NULL)
		st->st_size = (off_t)strlen(node->target);
	if (!S_ISREG(node->mode))
		return;
	st->st_size = (off_t)(node->whole != NULL ? face_whole_size(node->whole) : c->size);
	st->st_blocks = (blkcnt_t)(bytes_of(node) / 512);
}

/* --- what a node is -------------------------------------------------------------------------- */

static void answer_attributes(fuse_req_t req, struct face_node *node)
{
	struct stat st;

	face_lock(req);
	face_describe(node, &st);
	face_unlock(req);
	fuse_reply_attr(req, &st, FACE_FOREVER);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	answer_attributes(req, face_node_of(req, ino));
}

static void set_times(struct face_node *node, const struct stat *st, int what)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if ((what & FUSE_SET_ATTR_ATIME_NOW) != 0)
		node->atime = now;
	else if ((what & FUSE_SET_ATTR_ATIME) != 0)
		node->atime = st->st_atim;
	if ((what & FUSE_SET_ATTR_MTIME_NOW) != 0)
		node->mtime = now;
	else if ((what & FUSE_SET_ATTR_MTIME) != 0)
		node->mtime = st->st_mtim;
	node->ctime = (what & FUSE_SET_ATTR_CTIME) != 0 ? st->st_ctim : now;
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what,
		       struct fuse_file_info *fi)
{
	struct face_node *node = face_node_of(req, ino);
	int rc = 0;

	(void)fi;
	if ((what & FUSE_SET_ATTR_SIZE) != 0 && node->whole != NULL)
		rc = (uint64_t)st->st_size == face_whole_size(node->whole) ? 0 : -EPERM;
	else if ((what & FUSE_SET_ATTR_SIZE) != 0)
		rc = face_resize(&node->contents, (uint64_t)st->st_size);
	if (rc != 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	face_lock(req);
	if ((what & FUSE_SET_ATTR_MODE) != 0)
		node->mode = (node->mode & S_IFMT) | (st->st_mode & ~S_IFMT);
	if ((what & FUSE_SET_ATTR_UID) != 0)
		node->uid = st->st_uid;
	if ((what & FUSE_SET_ATTR_GID) != 0)
		node->gid = st->st_gid;
	if ((what & FUSE_SET_ATTR_SIZE) != 0)
		face_touch(node, true);
	set_times(node, st, what);
	face_unlock(req);
	answer_attributes(req, node);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct face *face = face_of(req);
	struct statvfs out = { .f_bsize = FACE_CHUNK, .f_frsize = FACE_CHUNK,
			       .f_namemax = 255 };

	(void)ino;
	pthread_mutex_lock(&face->store.lock);
	out.f_blocks = face->store.count;
	out.f_bfree = out.f_bavail = face->store.free;
	pthread_mutex_unlock(&face->store.lock);
	face_lock(req);
	out.f_files = face->tree.nodes;
	face_unlock(req);
	fuse_reply_statfs(req, &out);
}

/* --- extended attributes: how a file is kept, to be read ---------------------------------------- */

static const char attributes[] =
	"user.extmem.appliance\0user.extmem.size\0user.extmem.strategy";

static void answer_text(fuse_req_t req, const char *text, size_t length, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, length);
	else if (size < length)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, text, length);
}

static bool is_machine(fuse_req_t req, const struct face_node *node, const char *name)
{
	const struct face_machine *m = face_of(req)->machine;

	return m != NULL && m->node == node && strcmp(name, FACE_MACHINE_ATTRIBUTE) == 0;
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	int rc = -EOPNOTSUPP;

	(void)flags;
	if (is_machine(req, face_node_of(req, ino), name))
		rc = face_machine_ask(face_of(req)->machine, value, size);
	fuse_reply_err(req, -rc);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	const struct face_node *node = face_node_of(req, ino);
	const char *text = NULL;
	char number[32], outcome[FACE_MACHINE_TEXT];

	if (strcmp(name, "user.extmem.appliance") == 0)
		text = face_of(req)->appliance;
	else if (strcmp(name, "user.extmem.strategy") == 0)
		text = face_of(req)->strategy;
	if (strcmp(name, "user.extmem.size") == 0) {
		snprintf(number, sizeof(number), "%llu",
			 (unsigned long long)bytes_of(node));
		text = number;
	}
	if (is_machine(req, node, name)) {
		face_machine_answer(face_of(req)->machine, outcome);
		text = outcome;
	}
	if (text == NULL || !S_ISREG(node->mode))
		fuse_reply_err(req, ENODATA);
	else
		answer_text(req, text, strlen(text), size);
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (S_ISREG(face_node_of(req, ino)->mode))
		answer_text(req, attributes, sizeof(attributes), size);
	else
		answer_text(req, "", 0, size);
}

/* --- bytes --------------------------------------------------------------------------------- */

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->keep_cache = 1; /* nobody else writes to it */
	fuse_reply_open(req, fi);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->keep_cache = fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct face *face = face_of(req);
	struct fuse_entry_param e;
	int rc = face_serve_make(req, parent, name, S_IFREG | (mode & 07777), NULL, &e);

	fi->keep_cache = 1;
	if (rc != 0)
		fuse_reply_err(req, -rc);
	else if (fuse_reply_create(req, &e, fi) == -ENOENT)
		face_serve_forget(face, e.ino, 1);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct face_node *node = face_node_of(req, ino);
	int64_t rc;

	(void)fi;
	size = size < FACE_IO_MAX ? size : FACE_IO_MAX;
	rc = node->whole != NULL
		     ? face_whole_read(node->whole, (uint64_t)offset, face_buffer, size)
		     : face_read(&node->contents, (uint64_t)offset, face_buffer, size);
	if (rc < 0)
		fuse_reply_err(req, (int)-rc);
	else
		fuse_reply_buf(req, (char *)face_buffer, (size_t)rc);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size,
		     off_t offset, struct fuse_file_info *fi)
{
	struct face_node *node = face_node_of(req, ino);
	int rc = node->whole != NULL
			 ? face_whole_write(node->whole, (uint64_t)offset, bytes, size)
			 : face_write(&node->contents, (uint64_t)offset, bytes, size);

	(void)fi;
	if (rc != 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	face_lock(req);
	face_touch(node, true);
	face_unlock(req);
	fuse_reply_write(req, size);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	struct face_node *node = face_node_of(req, ino);

	(void)datasync;
	(void)fi;
	/* Every write was answered when it was there. */
	fuse_reply_err(req, node->whole != NULL ? -face_whole_sync(node->whole) : 0);
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
			 off_t size, struct fuse_file_info *fi)
{
	enum { KEEP_SIZE = 1, PUNCH_HOLE = 2, ZERO_RANGE = 16 };
	struct face_node *node = face_node_of(req, ino);
	struct face_contents *c = &node->contents;
	uint64_t first = (uint64_t)offset, end = first + (uint64_t)size;
	bool keeps = (mode & KEEP_SIZE) != 0;
	int rc = 0;

	(void)fi;
	if (node->whole != NULL) {
		if (!keeps && end > face_whole_size(node->whole))
			rc = -EPERM;
		else if ((mode & ~KEEP_SIZE) != 0)
			rc = (mode & ~(PUNCH_HOLE | KEEP_SIZE | ZERO_RANGE)) == 0
				     ? face_whole_zero(node->whole, first, end - first)
				     : -EOPNOTSUPP;
	} else if (mode == (PUNCH_HOLE | KEEP_SIZE)) {
		rc = face_punch(c, first, end - first);
	} else if ((mode & ~KEEP_SIZE) == 0 || (mode & ~KEEP_SIZE) == ZERO_RANGE) {
		if ((mode & ZERO_RANGE) != 0)
			rc = face_punch(c, first, end - first);
		if (rc == 0)
			rc = face_allocate(c, first, end - first, keeps ? 0 : end);
	} else {
		rc = -EOPNOTSUPP;
	}
	fuse_reply_err(req, -rc);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = conn->max_readahead = FACE_IO_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->want |= conn->capable &
		      (FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_PARALLEL_DIROPS |
		       FUSE_CAP_ASYNC_READ | FUSE_CAP_CACHE_SYMLINKS);
	/* libfuse promises these by itself: that open() truncates, and that a write
	 * takes setuid away. Both are left to the kernel, which asks by setattr(). */
	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_HANDLE_KILLPRIV);
	if ((conn->capable & FUSE_CAP_WRITEBACK_CACHE) == 0)
		face_say("this kernel has no writeback cache for FUSE: each "
			 "write waits for an appliance");
}

const struct fuse_lowlevel_ops face_operations = {
	.init = on_init,
	.lookup = face_on_lookup,
	.forget = face_on_forget,
	.forget_multi = face_on_forget_multi,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = face_on_readlink,
	.mknod = face_on_mknod,
	.mkdir = face_on_mkdir,
	.unlink = face_on_unlink,
	.rmdir = face_on_rmdir,
	.symlink = face_on_symlink,
	.rename = face_on_rename,
	.link = face_on_link,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.opendir = on_opendir,
	.readdir = face_on_readdir,
	.statfs = on_statfs,
	.setxattr = on_setxattr,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.create = on_create,
	.fallocate = on_fallocate,
};
