/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names of the file face: folders, files, symbolic links, in local memory. A node is
 * what a name leads to; several names may lead to one file. A node lives as long as it
 * has a name or the kernel knows it (`lookups`).
 *
 * Everything here is called with the tree's lock held, except where a function says
 * otherwise; it is the caller's to take, since most requests do several things under it.
 */
#ifndef XM_FACE_TREE_H
#define XM_FACE_TREE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "faces/file/store.h"

struct face_entry;
struct face_whole;

struct face_node {
	uint64_t number;  /* st_ino */
	uint64_t lookups; /* that the kernel has not forgotten */
	mode_t mode;
	nlink_t links; /* names; of a folder also those of its folders, and itself */
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime, ctime;
	struct face_contents contents; /* of a file; with a lock of its own */
	struct face_whole *whole;      /* of a file that is a region of its own */
	char *target;		       /* of a symbolic link */
	/* Of a folder. */
	struct face_node *parent;
	struct face_entry *first, *last;
};

/* A name in a folder. */
struct face_entry {
	struct face_node *folder, *node;
	struct face_entry *next, *previous; /* in the folder, by cookie */
	struct face_entry *other;	    /* in the bucket */
	uint64_t cookie; /* where readdir() goes on: rises with each new name */
	char name[];
};

#define FACE_COOKIE_SELF 1   /* of "." */
#define FACE_COOKIE_PARENT 2 /* of ".."; names have greater ones */

struct face_tree {
	pthread_mutex_t lock;
	struct face_node *root;
	struct face_entry **buckets;
	uint64_t numbers, cookies, nodes;
	struct face_store *store;
};

/* -ENOMEM. */
int face_tree_open(struct face_tree *, struct face_store *);

/* NULL: there is none. */
struct face_entry *face_find(struct face_tree *, struct face_node *folder,
			     const char *name);
/* The first name of the folder after this cookie, or NULL. */
struct face_entry *face_next(struct face_node *folder, uint64_t cookie);
bool face_empty(const struct face_node *folder);

/* A node with a name in the folder. -EEXIST, -ENAMETOOLONG, -ENOMEM, -ENOENT: the folder
 * has been removed. */
int face_make(struct face_tree *, struct face_node *folder, const char *name,
	      mode_t, uid_t, gid_t, const char *target, struct face_node **ret);
/* Another name of a node that is no folder. */
int face_link(struct face_tree *, struct face_node *, struct face_node *folder,
	      const char *name);
/* Takes the name away. Its node is freed by face_forget(). */
void face_unlink(struct face_tree *, struct face_entry *);
/* -EEXIST: the new name is there, and is to stay. -ENOTEMPTY, -EISDIR, -ENOTDIR,
 * -EINVAL: a folder would go into itself. */
int face_rename(struct face_tree *, struct face_entry *, struct face_node *folder,
		const char *name, bool replace);

/* The kernel has forgotten `count` lookups, or a name was taken away (0). Returns the node
 * when nobody has it any more: the caller gives the lock back and calls
 * face_node_free(). */
struct face_node *face_forget(struct face_tree *, struct face_node *, uint64_t count);
/* Without the lock: it gives the file's memory back. */
void face_node_free(struct face_tree *, struct face_node *);

void face_touch(struct face_node *, bool modified);

#endif
