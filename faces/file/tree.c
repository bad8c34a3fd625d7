/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of the file face; see tree.h. */
#include "faces/file/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "faces/file/whole.h"

#define BUCKETS (1U << 16)

static struct face_entry **bucket_of(struct face_tree *tree,
				     const struct face_node *folder,
				     const char *name)
{
	uint64_t hash = folder->number * UINT64_C(0x9e3779b97f4a7c15);

	/* FNV-1a. */
	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return &tree->buckets[(hash ^ hash >> 32) % BUCKETS];
}

void face_touch(struct face_node *node, bool modified)
{
	clock_gettime(CLOCK_REALTIME, &node->ctime);
	if (modified)
		node->mtime = node->ctime;
}

static struct face_node *node_new(struct face_tree *tree, mode_t mode, uid_t uid,
				  gid_t gid, const char *target)
{
	struct face_node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		return NULL;
	if (target != NULL && (node->target = strdup(target)) == NULL) {
		free(node);
		return NULL;
	}
	node->number = ++tree->numbers;
	node->mode = mode;
	node->uid = uid;
	node->gid = gid;
	face_contents_begin(&node->contents, tree->store);
	face_touch(node, true);
	node->atime = node->mtime;
	tree->nodes++;
	return node;
}

int face_tree_open(struct face_tree *tree, struct face_store *store)
{
	memset(tree, 0, sizeof(*tree));
	pthread_mutex_init(&tree->lock, NULL);
	tree->store = store;
	tree->cookies = FACE_COOKIE_PARENT;
	tree->buckets = calloc(BUCKETS, sizeof(struct face_entry *));
	tree->root = node_new(tree, S_IFDIR | 0755, 0, 0, NULL);
	if (tree->buckets == NULL || tree->root == NULL)
		return -ENOMEM;
	tree->root->links = 2;
	tree->root->parent = tree->root;
	return 0;
}

struct face_entry *face_find(struct face_tree *tree, struct face_node *folder,
			     const char *name)
{
	struct face_entry *entry = *bucket_of(tree, folder, name);

	while (entry != NULL &&
	       (entry->folder != folder || strcmp(entry->name, name) != 0))
		entry = entry->other;
	return entry;
}

struct face_entry *face_next(struct face_node *folder, uint64_t cookie)
{
	struct face_entry *entry = folder->first;

	while (entry != NULL && entry->cookie <= cookie)
		entry = entry->next;
	return entry;
}

bool face_empty(const struct face_node *folder)
{
	return folder->first == NULL;
}

/* --- names ------------------------------------------------------------------------------- */

static void entry_hang(struct face_tree *tree, struct face_entry *entry)
{
	struct face_node *folder = entry->folder;
	struct face_entry **bucket = bucket_of(tree, folder, entry->name);

	entry->other = *bucket;
	*bucket = entry;
	entry->cookie = ++tree->cookies;
	entry->next = NULL;
	entry->previous = folder->last;
	*(folder->last != NULL ? &folder->last->next : &folder->first) = entry;
	folder->last = entry;
	face_touch(folder, true);
}

static void entry_unhang(struct face_tree *tree, struct face_entry *entry)
{
	struct face_node *folder = entry->folder;
	struct face_entry **at = bucket_of(tree, folder, entry->name);

	while (*at != entry)
		at = &(*at)->other;
	*at = entry->other;
	*(entry->previous != NULL ? &entry->previous->next : &folder->first) =
		entry->next;
	*(entry->next != NULL ? &entry->next->previous : &folder->last) =
		entry->previous;
	face_touch(folder, true);
}

static int entry_new(struct face_node *folder, struct face_node *node,
		     const char *name, struct face_entry **ret)
{
	size_t size = strlen(name) + 1;
	struct face_entry *entry;

	if (size > NAME_MAX + 1)
		return -ENAMETOOLONG;
	if (folder->links == 0)
		return -ENOENT;
	entry = malloc(sizeof(*entry) + size);
	if (entry == NULL)
		return -ENOMEM;
	entry->folder = folder;
	entry->node = node;
	memcpy(entry->name, name, size);
	*ret = entry;
	return 0;
}

int face_make(struct face_tree *tree, struct face_node *folder, const char *name,
	      mode_t mode, uid_t uid, gid_t gid, const char *target,
	      struct face_node **ret)
{
	struct face_entry *entry;
	int rc;

	if (face_find(tree, folder, name) != NULL)
		return -EEXIST;
	rc = entry_new(folder, NULL, name, &entry);
	if (rc != 0)
		return rc;
	if ((folder->mode & S_ISGID) != 0) {
		gid = folder->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	entry->node = node_new(tree, mode, uid, gid, target);
	if (entry->node == NULL) {
		free(entry);
		return -ENOMEM;
	}
	entry->node->links = 1;
	if (S_ISDIR(mode)) {
		entry->node->links = 2;
		entry->node->parent = folder;
		folder->links++;
	}
	entry_hang(tree, entry);
	*ret = entry->node;
	return 0;
}

int face_link(struct face_tree *tree, struct face_node *node,
	      struct face_node *folder, const char *name)
{
	struct face_entry *entry;
	int rc;

	if (face_find(tree, folder, name) != NULL)
		return -EEXIST;
	rc = entry_new(folder, node, name, &entry);
	if (rc != 0)
		return rc;
	node->links++;
	face_touch(node, false);
	entry_hang(tree, entry);
	return 0;
}

void face_unlink(struct face_tree *tree, struct face_entry *entry)
{
	struct face_node *node = entry->node;

	entry_unhang(tree, entry);
	if (S_ISDIR(node->mode)) {
		node->links = 0;
		entry->folder->links--;
	} else {
		node->links--;
	}
	face_touch(node, false);
	free(entry);
}

/* What may not be renamed onto what. */
static int rename_permitted(const struct face_entry *entry,
			    const struct face_entry *old,
			    const struct face_node *folder, bool replace)
{
	bool is_folder = S_ISDIR(entry->node->mode);

	if (is_folder)
		for (const struct face_node *up = folder;; up = up->parent) {
			if (up == entry->node)
				return -EINVAL;
			if (up == up->parent)
				break;
		}
	if (old == NULL)
		return 0;
	if (!replace)
		return -EEXIST;
	if (is_folder && !S_ISDIR(old->node->mode))
		return -ENOTDIR;
	if (!is_folder && S_ISDIR(old->node->mode))
		return -EISDIR;
	return is_folder && !face_empty(old->node) ? -ENOTEMPTY : 0;
}

int face_rename(struct face_tree *tree, struct face_entry *entry,
		struct face_node *folder, const char *name, bool replace)
{
	struct face_entry *old = face_find(tree, folder, name), *fresh;
	struct face_node *node = entry->node;
	int rc = rename_permitted(entry, old, folder, replace);

	if (rc != 0 || (old != NULL && old->node == node))
		return rc; /* two names of one file both stay */
	rc = entry_new(folder, node, name, &fresh);
	if (rc != 0)
		return rc;
	if (old != NULL)
		face_unlink(tree, old);
	entry_unhang(tree, entry);
	if (S_ISDIR(node->mode)) {
		entry->folder->links--;
		folder->links++;
		node->parent = folder;
	}
	free(entry);
	entry_hang(tree, fresh);
	face_touch(node, false);
	return 0;
}

/* --- the end of a node ---------------------------------------------------------------------- */

struct face_node *face_forget(struct face_tree *tree, struct face_node *node,
			      uint64_t count)
{
	node->lookups -= count < node->lookups ? count : node->lookups;
	if (node->links > 0 || node->lookups > 0)
		return NULL;
	tree->nodes--;
	return node;
}

void face_node_free(struct face_tree *tree, struct face_node *node)
{
	(void)tree;
	if (node == NULL)
		return;
	face_contents_end(&node->contents);
	face_whole_close(node->whole);
	free(node->target);
	free(node);
}
