/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's requests that are about names; see serve.h. */
#include <errno.h>
#include <string.h>

#include "faces/file/serve_parts.h"
#include "faces/file/whole.h"

/* With the tree's lock held: the kernel knows the node from now on. */
static struct fuse_entry_param known(fuse_req_t req, struct face_node *node)
{
	struct fuse_entry_param e = { .attr_timeout = FACE_FOREVER,
				      .entry_timeout = FACE_FOREVER };

	e.ino = node == face_of(req)->tree.root ? FUSE_ROOT_ID
						: (fuse_ino_t)(uintptr_t)node;
	node->lookups++;
	face_describe(node, &e.attr);
	return e;
}

/* --- names --------------------------------------------------------------------------------- */

void face_serve_forget(struct face *face, fuse_ino_t ino, uint64_t count)
{
	struct face_node *node = (struct face_node *)(uintptr_t)ino;

	if (ino == FUSE_ROOT_ID)
		return;
	pthread_mutex_lock(&face->tree.lock);
	node = face_forget(&face->tree, node, count);
	pthread_mutex_unlock(&face->tree.lock);
	face_node_free(&face->tree, node);
}

void face_on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	face_serve_forget(face_of(req), ino, count);
	fuse_reply_none(req);
}

void face_on_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		face_serve_forget(face_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* A caller that was interrupted never learns of the node. */
static void answer_entry(fuse_req_t req, int rc, const struct fuse_entry_param *e)
{
	struct face *face = face_of(req);

	if (rc != 0)
		fuse_reply_err(req, -rc);
	else if (fuse_reply_entry(req, e) == -ENOENT && e->ino != 0)
		face_serve_forget(face, e->ino, 1);
}

void face_on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .entry_timeout = FACE_FOREVER }; /* there is none */
	struct face_entry *entry;

	face_lock(req);
	entry = face_find(&face_of(req)->tree, face_node_of(req, parent), name);
	if (entry != NULL)
		e = known(req, entry->node);
	face_unlock(req);
	answer_entry(req, 0, &e);
}

int face_serve_make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		const char *target, struct fuse_entry_param *ret)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	struct face_node *node;
	int rc;

	face_lock(req);
	rc = face_make(&face_of(req)->tree, face_node_of(req, parent), name, mode,
		       who->uid, who->gid, target, &node);
	if (rc == 0)
		*ret = known(req, node);
	face_unlock(req);
	return rc;
}

void face_on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		     dev_t device)
{
	struct fuse_entry_param e;

	(void)device;
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	answer_entry(req, face_serve_make(req, parent, name, mode, NULL, &e), &e);
}

void face_on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param e;

	answer_entry(req, face_serve_make(req, parent, name, S_IFDIR | mode, NULL, &e), &e);
}

void face_on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_entry_param e;

	answer_entry(req, face_serve_make(req, parent, name, S_IFLNK | 0777, target, &e), &e);
}

void face_on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct face_node *node = face_node_of(req, ino);
	struct fuse_entry_param e;
	int rc;

	face_lock(req);
	rc = node->whole != NULL ? -EPERM
				 : face_link(&face_of(req)->tree, node,
					     face_node_of(req, parent), name);
	if (rc == 0)
		e = known(req, node);
	face_unlock(req);
	answer_entry(req, rc, &e);
}

void face_on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	const char *target = face_node_of(req, ino)->target;

	if (target == NULL)
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_readlink(req, target);
}

/* The region of such a file is told that it ends, which may wait for an appliance: without
 * the lock. The node stays meanwhile. Returns an errno. */
static int whole_ends(fuse_req_t req, struct face_node *node)
{
	int rc;

	node->lookups++;
	face_unlock(req);
	rc = face_whole_remove(node->whole);
	face_lock(req);
	return -rc;
}

static void take_away(fuse_req_t req, fuse_ino_t parent, const char *name,
		      bool is_folder)
{
	struct face_tree *tree = &face_of(req)->tree;
	struct face_node *unused = NULL;
	struct face_entry *entry;
	int rc = 0;

	face_lock(req);
	entry = face_find(tree, face_node_of(req, parent), name);
	if (entry == NULL)
		rc = ENOENT;
	else if (S_ISDIR(entry->node->mode) != is_folder)
		rc = is_folder ? ENOTDIR : EISDIR;
	else if (is_folder && !face_empty(entry->node))
		rc = ENOTEMPTY;
	if (rc == 0) {
		struct face_node *node = entry->node;
		uint64_t held = node->whole != NULL;

		if (held > 0) {
			rc = whole_ends(req, node);
			entry = face_find(tree, face_node_of(req, parent), name);
		}
		if (rc == 0 && entry != NULL && entry->node == node)
			face_unlink(tree, entry);
		unused = face_forget(tree, node, held);
	}
	face_unlock(req);
	face_node_free(tree, unused);
	fuse_reply_err(req, rc);
}

void face_on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	take_away(req, parent, name, false);
}

void face_on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	take_away(req, parent, name, true);
}

/* What is a region of its own is renamed on this machine, too, where it has a name: in its
 * folder, and over no other file. */
static int rename_whole(struct face_tree *tree, const struct face_entry *entry,
			const struct face_entry *old, const struct face_node *folder,
			const char *name)
{
	if (old != NULL && old->node->whole != NULL)
		return -EPERM;
	if (entry->node->whole == NULL)
		return 0;
	if (folder != tree->root)
		return -EPERM;
	return old != NULL ? -EEXIST : face_whole_rename(entry->node->whole, name);
}

void face_on_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	struct face_tree *tree = &face_of(req)->tree;
	struct face_node *unused = NULL, *folder = face_node_of(req, new_parent);
	struct face_entry *entry, *old;
	int rc = -ENOENT;

	if ((flags & ~1U) != 0) { /* RENAME_NOREPLACE is 1 */
		fuse_reply_err(req, EINVAL);
		return;
	}
	face_lock(req);
	entry = face_find(tree, face_node_of(req, parent), name);
	old = face_find(tree, folder, new_name);
	if (entry != NULL) {
		struct face_node *node = old != NULL ? old->node : NULL;

		rc = rename_whole(tree, entry, old, folder, new_name);
		if (rc == 0)
			rc = face_rename(tree, entry, folder, new_name, (flags & 1) == 0);
		if (rc == 0 && node != NULL)
			unused = face_forget(tree, node, 0);
	}
	face_unlock(req);
	face_node_free(tree, unused);
	fuse_reply_err(req, -rc);
}

/* False: it is full. */
static bool list(fuse_req_t req, size_t size, size_t *used, const char *name,
		 const struct face_node *node, uint64_t cookie)
{
	struct stat st = { .st_ino = node->number, .st_mode = node->mode };
	size_t need = fuse_add_direntry(req, (char *)face_buffer + *used, size - *used,
					name, &st, (off_t)cookie);

	if (need > size - *used)
		return false;
	*used += need;
	return true;
}

void face_on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	struct face_node *folder = face_node_of(req, ino);
	uint64_t after = (uint64_t)offset;
	size_t used = 0;

	(void)fi;
	size = size < FACE_IO_MAX ? size : FACE_IO_MAX;
	face_lock(req);
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
	face_unlock(req);
	fuse_reply_buf(req, (char *)face_buffer, used);
}
