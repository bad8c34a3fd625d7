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

#define FOREVER 86400.0 /* seconds for which the kernel may believe what it was told */

static __thread uint8_t *buffer; /* FACE_IO_MAX bytes, of this thread */

int face_thread_begin(extmem *x)
{
	buffer = aligned_alloc(4096, FACE_IO_MAX);
	if (buffer == NULL)
		return -ENOMEM;
	memset(buffer, 0, FACE_IO_MAX);
	/* Providers that need it save a copy; the others cost nothing. */
	(void)extmem_register(x, buffer, FACE_IO_MAX);
	return 0;
}

static struct face *face_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct face_node *node_of(fuse_req_t req, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? face_of(req)->tree.root
				   : (struct face_node *)(uintptr_t)ino;
}

static void lock(fuse_req_t req)
{
	pthread_mutex_lock(&face_of(req)->tree.lock);
}

static void unlock(fuse_req_t req)
{
	pthread_mutex_unlock(&face_of(req)->tree.lock);
}

static void describe(struct face_node *node, struct stat *st)
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
	st->st_size = (off_t)c->size;
	st->st_blocks = (blkcnt_t)(c->used * (FACE_CHUNK / 512));
}

/* With the tree's lock held: the kernel knows the node from now on. */
static struct fuse_entry_param known(fuse_req_t req, struct face_node *node)
{
	struct fuse_entry_param e = { .attr_timeout = FOREVER,
				      .entry_timeout = FOREVER };

	e.ino = node == face_of(req)->tree.root ? FUSE_ROOT_ID
						: (fuse_ino_t)(uintptr_t)node;
	node->lookups++;
	describe(node, &e.attr);
	return e;
}

/* --- names --------------------------------------------------------------------------------- */

static void forget(struct face *face, fuse_ino_t ino, uint64_t count)
{
	struct face_node *node = (struct face_node *)(uintptr_t)ino;

	if (ino == FUSE_ROOT_ID)
		return;
	pthread_mutex_lock(&face->tree.lock);
	node = face_forget(&face->tree, node, count);
	pthread_mutex_unlock(&face->tree.lock);
	face_node_free(&face->tree, node);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(face_of(req), ino, count);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(face_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* A caller that was interrupted never learns of the node. */
static void answer_entry(fuse_req_t req, int rc, const struct fuse_entry_param *e)
{
	struct face *face = face_of(req);

	if (rc != 0)
		fuse_reply_err(req, -rc);
	else if (fuse_reply_entry(req, e) == -ENOENT && e->ino != 0)
		forget(face, e->ino, 1);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .entry_timeout = FOREVER }; /* there is none */
	struct face_entry *entry;

	lock(req);
	entry = face_find(&face_of(req)->tree, node_of(req, parent), name);
	if (entry != NULL)
		e = known(req, entry->node);
	unlock(req);
	answer_entry(req, 0, &e);
}

static int make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		const char *target, struct fuse_entry_param *ret)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	struct face_node *node;
	int rc;

	lock(req);
	rc = face_make(&face_of(req)->tree, node_of(req, parent), name, mode,
		       who->uid, who->gid, target, &node);
	if (rc == 0)
		*ret = known(req, node);
	unlock(req);
	return rc;
}

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		     dev_t device)
{
	struct fuse_entry_param e;

	(void)device;
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	answer_entry(req, make(req, parent, name, mode, NULL, &e), &e);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param e;

	answer_entry(req, make(req, parent, name, S_IFDIR | mode, NULL, &e), &e);
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_entry_param e;

	answer_entry(req, make(req, parent, name, S_IFLNK | 0777, target, &e), &e);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct face_node *node = node_of(req, ino);
	struct fuse_entry_param e;
	int rc;

	lock(req);
	rc = face_link(&face_of(req)->tree, node, node_of(req, parent), name);
	if (rc == 0)
		e = known(req, node);
	unlock(req);
	answer_entry(req, rc, &e);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	const char *target = node_of(req, ino)->target;

	if (target == NULL)
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_readlink(req, target);
}

static void take_away(fuse_req_t req, fuse_ino_t parent, const char *name,
		      bool is_folder)
{
	struct face_tree *tree = &face_of(req)->tree;
	struct face_node *unused = NULL;
	struct face_entry *entry;
	int rc = 0;

	lock(req);
	entry = face_find(tree, node_of(req, parent), name);
	if (entry == NULL)
		rc = ENOENT;
	else if (S_ISDIR(entry->node->mode) != is_folder)
		rc = is_folder ? ENOTDIR : EISDIR;
	else if (is_folder && !face_empty(entry->node))
		rc = ENOTEMPTY;
	if (rc == 0) {
		struct face_node *node = entry->node;

		face_unlink(tree, entry);
		unused = face_forget(tree, node, 0);
	}
	unlock(req);
	face_node_free(tree, unused);
	fuse_reply_err(req, rc);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	take_away(req, parent, name, false);
}

static void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	take_away(req, parent, name, true);
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	struct face_tree *tree = &face_of(req)->tree;
	struct face_node *unused = NULL, *folder = node_of(req, new_parent);
	struct face_entry *entry, *old;
	int rc = -ENOENT;

	if ((flags & ~1U) != 0) { /* RENAME_NOREPLACE is 1 */
		fuse_reply_err(req, EINVAL);
		return;
	}
	lock(req);
	entry = face_find(tree, node_of(req, parent), name);
	old = face_find(tree, folder, new_name);
	if (entry != NULL) {
		struct face_node *node = old != NULL ? old->node : NULL;

		rc = face_rename(tree, entry, folder, new_name, (flags & 1) == 0);
		if (rc == 0 && node != NULL)
			unused = face_forget(tree, node, 0);
	}
	unlock(req);
	face_node_free(tree, unused);
	fuse_reply_err(req, -rc);
}

/* False: it is full. */
static bool list(fuse_req_t req, size_t size, size_t *used, const char *name,
		 const struct face_node *node, uint64_t cookie)
{
	struct stat st = { .st_ino = node->number, .st_mode = node->mode };
	size_t need = fuse_add_direntry(req, (char *)buffer + *used, size - *used,
					name, &st, (off_t)cookie);

	if (need > size - *used)
		return false;
	*used += need;
	return true;
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	struct face_node *folder = node_of(req, ino);
	uint64_t after = (uint64_t)offset;
	size_t used = 0;

	(void)fi;
	size = size < FACE_IO_MAX ? size : FACE_IO_MAX;
	lock(req);
	if (after < FACE_COOKIE_SELF &&
	    list(req, size, &used, ".", folder, FACE_COOKIE_SELF))
		after = FACE_COOKIE_SELF;
	if (after == FACE_COOKIE_SELF &&
	    list(req, size, &used, "..", folder->parent, FACE_COOKIE_PARENT))
		after = FACE_COOKIE_PARENT;
	for (struct face_entry *e = face_next(folder, after);
	     after >= FACE_COOKIE_PARENT && e != NULL; e = e->next)
		if (!list(req, size, &used, e->name, e->node, e->cookie))
			break;
	unlock(req);
	fuse_reply_buf(req, (char *)buffer, used);
}

/* --- what a node is -------------------------------------------------------------------------- */

static void answer_attributes(fuse_req_t req, struct face_node *node)
{
	struct stat st;

	lock(req);
	describe(node, &st);
	unlock(req);
	fuse_reply_attr(req, &st, FOREVER);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	answer_attributes(req, node_of(req, ino));
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
	struct face_node *node = node_of(req, ino);
	int rc = 0;

	(void)fi;
	if ((what & FUSE_SET_ATTR_SIZE) != 0)
		rc = face_resize(&node->contents, (uint64_t)st->st_size);
	if (rc != 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	lock(req);
	if ((what & FUSE_SET_ATTR_MODE) != 0)
		node->mode = (node->mode & S_IFMT) | (st->st_mode & ~S_IFMT);
	if ((what & FUSE_SET_ATTR_UID) != 0)
		node->uid = st->st_uid;
	if ((what & FUSE_SET_ATTR_GID) != 0)
		node->gid = st->st_gid;
	if ((what & FUSE_SET_ATTR_SIZE) != 0)
		face_touch(node, true);
	set_times(node, st, what);
	unlock(req);
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
	lock(req);
	out.f_files = face->tree.nodes;
	unlock(req);
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

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct face_contents *c = &node_of(req, ino)->contents;
	const char *text = NULL;
	char number[32];

	if (strcmp(name, "user.extmem.appliance") == 0)
		text = face_of(req)->appliance;
	else if (strcmp(name, "user.extmem.strategy") == 0)
		text = face_of(req)->strategy;
	if (strcmp(name, "user.extmem.size") == 0) {
		snprintf(number, sizeof(number), "%llu",
			 (unsigned long long)(c->used * FACE_CHUNK));
		text = number;
	}
	if (text == NULL || !S_ISREG(node_of(req, ino)->mode))
		fuse_reply_err(req, ENODATA);
	else
		answer_text(req, text, strlen(text), size);
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (S_ISREG(node_of(req, ino)->mode))
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
	int rc = make(req, parent, name, S_IFREG | (mode & 07777), NULL, &e);

	fi->keep_cache = 1;
	if (rc != 0)
		fuse_reply_err(req, -rc);
	else if (fuse_reply_create(req, &e, fi) == -ENOENT)
		forget(face, e.ino, 1);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	int64_t rc;

	(void)fi;
	size = size < FACE_IO_MAX ? size : FACE_IO_MAX;
	rc = face_read(&node_of(req, ino)->contents, (uint64_t)offset, buffer, size);
	if (rc < 0)
		fuse_reply_err(req, (int)-rc);
	else
		fuse_reply_buf(req, (char *)buffer, (size_t)rc);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size,
		     off_t offset, struct fuse_file_info *fi)
{
	struct face_node *node = node_of(req, ino);
	int rc = face_write(&node->contents, (uint64_t)offset, bytes, size);

	(void)fi;
	if (rc != 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	lock(req);
	face_touch(node, true);
	unlock(req);
	fuse_reply_write(req, size);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0); /* every write was answered when it was there */
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
			 off_t size, struct fuse_file_info *fi)
{
	enum { KEEP_SIZE = 1, PUNCH_HOLE = 2, ZERO_RANGE = 16 };
	struct face_contents *c = &node_of(req, ino)->contents;
	uint64_t first = (uint64_t)offset, end = first + (uint64_t)size;
	bool keeps = (mode & KEEP_SIZE) != 0;
	int rc = 0;

	(void)fi;
	if (mode == (PUNCH_HOLE | KEEP_SIZE)) {
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
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.symlink = on_symlink,
	.rename = on_rename,
	.link = on_link,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.create = on_create,
	.fallocate = on_fallocate,
};
