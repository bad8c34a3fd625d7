/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that is a region of its own; see whole.h.
 *
 * The region is never discarded: an appliance does not know what is fresh here, and would
 * show old bytes to the next process. So zeros are written.
 *
 * Of a write that failed nobody knows whether it has arrived, or will, and the kernel has
 * forgotten the bytes: its pages are `unsure`, and read as an error until they are written
 * again, never as what was there before.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/file/whole.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"
#include "common/clock.h"
#include "common/options.h"
#include "faces/file/log.h"
#include "faces/file/tree.h"

#define WORDS 1024
#define ZEROS ((uint64_t)65536)
#define PAGE XM_PAGE
#define HALF_NS (20 * XM_SECOND)

enum state {
	AWAITS,	  /* there is no region yet */
	ARRIVES,  /* there is; what the kernel has is of before */
	HELD,
	PARTED	  /* it was handed over */
};

struct face_whole {
	/* Held for reading while bytes move, for writing while the region changes. */
	pthread_rwlock_t lock;
	enum state state;
	extmem_region *region; /* NULL: none */
	uint64_t size;
	bool durable;
	bool half; /* of it an appliance has not said whose it is */
	char path[PATH_MAX]; /* of the file that has its token; "": there is none */
	uint64_t *unsure; /* a bit a page, while the lock is held in either way */
	uint64_t unsure_count;
	bool overrun; /* somebody has written behind the end */
};

/* --- the beginning -------------------------------------------------------------------------- */

/* NAME=SIZE; what does not end in a size is all name. False: no memory. */
static bool name_and_size(const char *text, char **ret_name, uint64_t *ret_size)
{
	const char *sign = strrchr(text, '=');

	*ret_size = 0;
	if (sign == NULL || xm_parse_size(sign + 1, ret_size) < 0) {
		*ret_name = strdup(text);
		return *ret_name != NULL;
	}
	*ret_name = strndup(text, (size_t)(sign - text));
	return *ret_name != NULL;
}

static const char *last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL ? slash + 1 : name;
}

static struct face_whole *whole_new(void)
{
	struct face_whole *w = calloc(1, sizeof(*w));

	if (w != NULL)
		pthread_rwlock_init(&w->lock, NULL);
	return w;
}

/* The table is as good as free until something fails. */
static int whole_has(struct face_whole *w, uint64_t size)
{
	w->size = size;
	w->unsure = calloc(size / PAGE / 64 + 1, sizeof(*w->unsure));
	return w->unsure != NULL ? 0 : -ENOMEM;
}

static int whole_open(extmem *x, const struct face_kept *kept, uint64_t size,
		      struct face_whole **ret)
{
	const struct extmem_request request = {
		.size = sizeof(request), .region_size = size,
		.name = last_part(kept->region), .flags = EXTMEM_TRACKED,
	};
	struct face_whole *w = whole_new();
	char words[WORDS] = "", path[PATH_MAX];
	int rc = w != NULL ? 0 : -ENOMEM;

	if (rc == 0)
		rc = face_kept_open(x, kept, &request, &w->region, words, sizeof(words));
	/* The process leaves its directory. */
	if (rc == 0 && kept->region[0] != '\0' &&
	    (rc = face_kept_path(kept->region, path)) == 0 &&
	    realpath(path, w->path) == NULL)
		rc = -errno;
	if (rc == 0)
		rc = whole_has(w, extmem_region_size(w->region));
	if (rc != 0) {
		face_say("%s%s%s", kept->region, kept->region[0] != '\0' ? ": " : "",
			 words[0] != '\0' ? words : strerror(-rc));
		free(w);
		return rc;
	}
	w->state = HELD;
	w->durable = kept->durable;
	*ret = w;
	return 0;
}

static const char *name_of(const struct face_kept *kept, const struct face_whole *w)
{
	const char *name = kept->region[0] != '\0' ? last_part(kept->region)
						   : extmem_region_name(w->region);

	return name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
	       strcmp(name, "..") == 0 ? "region" : name;
}

int face_whole_add(struct face_tree *tree, extmem *x, const struct face_kept *kept)
{
	struct face_kept named = *kept;
	struct face_node *node;
	struct face_whole *w = NULL;
	uint64_t size;
	char *name;
	int rc;

	if (!name_and_size(kept->region, &name, &size))
		return -ENOMEM;
	named.region = name;
	rc = whole_open(x, &named, size, &w);
	if (rc == 0) {
		rc = face_make(tree, tree->root, name_of(&named, w), S_IFREG | 0600,
			       getuid(), getgid(), NULL, &node);
		if (rc == -EEXIST)
			face_say("two files would be named %s", name_of(&named, w));
		else if (rc != 0)
			face_say("%s: %s", name_of(&named, w), strerror(-rc));
		else
			node->whole = w;
	}
	free(name);
	return rc;
}

void face_whole_close(struct face_whole *w)
{
	if (w == NULL)
		return;
	face_complain(extmem_region_free(w->region));
	pthread_rwlock_destroy(&w->lock);
	free(w->unsure);
	free(w);
}

/* --- what failed ------------------------------------------------------------------------------- */

static void set_unsure(struct face_whole *w, uint64_t page, bool is)
{
	uint64_t bit = UINT64_C(1) << page % 64, was;

	was = is ? __atomic_fetch_or(&w->unsure[page / 64], bit, __ATOMIC_SEQ_CST)
		 : __atomic_fetch_and(&w->unsure[page / 64], ~bit, __ATOMIC_SEQ_CST);
	if (((was & bit) != 0) == is)
		return;
	__atomic_add_fetch(&w->unsure_count, is ? 1 : UINT64_MAX, __ATOMIC_SEQ_CST);
}

static bool is_unsure(const struct face_whole *w, uint64_t offset, uint64_t end)
{
	if (__atomic_load_n(&w->unsure_count, __ATOMIC_SEQ_CST) == 0)
		return false;
	for (uint64_t page = offset / PAGE; page * PAGE < end; page++)
		if ((__atomic_load_n(&w->unsure[page / 64], __ATOMIC_SEQ_CST) >>
			     page % 64 & 1) != 0)
			return true;
	return false;
}

/* Of a page of which other bytes stay nobody would know them after this. */
static bool cuts_unsure(const struct face_whole *w, uint64_t offset, uint64_t end)
{
	return (offset % PAGE != 0 && is_unsure(w, offset, offset + 1)) ||
	       (end % PAGE != 0 && is_unsure(w, end - 1, end));
}

static void note_written(struct face_whole *w, uint64_t offset, uint64_t end, bool arrived)
{
	if (arrived && __atomic_load_n(&w->unsure_count, __ATOMIC_SEQ_CST) == 0)
		return;
	for (uint64_t page = offset / PAGE; page * PAGE < end; page++)
		set_unsure(w, page, !arrived);
}

/* --- bytes ----------------------------------------------------------------------------------- */

uint64_t face_whole_size(const struct face_whole *w)
{
	return w->size;
}

int64_t face_whole_read(struct face_whole *w, uint64_t offset, void *buffer, size_t size)
{
	int rc;

	if (offset >= w->size) /* the kernel would make zeros of what it could not write */
		return __atomic_load_n(&w->overrun, __ATOMIC_SEQ_CST) ? -EIO : 0;
	if (size > w->size - offset)
		size = (size_t)(w->size - offset);
	pthread_rwlock_rdlock(&w->lock);
	if (w->state == AWAITS)
		memset(buffer, 0, size);
	rc = w->state == AWAITS	  ? 0
	     : w->state == PARTED || is_unsure(w, offset, offset + size)
		     ? -EIO
		     : extmem_read(w->region, offset, buffer, size);
	rc = face_complain(rc);
	pthread_rwlock_unlock(&w->lock);
	return rc == 0 ? (int64_t)size : rc;
}

/* With the lock held. */
static int write_held(struct face_whole *w, uint64_t offset, const void *buffer, size_t size)
{
	uint64_t end = offset + size;
	int rc;

	if (cuts_unsure(w, offset, end))
		return -EIO;
	rc = extmem_write(w->region, offset, buffer, size);
	note_written(w, offset, end, rc == 0);
	return rc;
}

int face_whole_write(struct face_whole *w, uint64_t offset, const void *buffer,
		     size_t size)
{
	size_t fits = offset >= w->size ? 0
		      : size > w->size - offset ? (size_t)(w->size - offset) : size;
	int rc;

	pthread_rwlock_rdlock(&w->lock);
	rc = w->state == PARTED ? -EIO
	     : w->state == HELD && fits > 0 ? write_held(w, offset, buffer, fits)
					    : 0;
	rc = face_complain(rc);
	pthread_rwlock_unlock(&w->lock);
	if (rc != 0 || fits == size)
		return rc;
	__atomic_store_n(&w->overrun, true, __ATOMIC_SEQ_CST);
	return -EFBIG;
}

int face_whole_zero(struct face_whole *w, uint64_t offset, uint64_t size)
{
	static const uint8_t zeros[ZEROS];
	int rc = 0;

	if (offset >= w->size)
		return 0;
	if (size > w->size - offset)
		size = w->size - offset;
	for (uint64_t part; rc == 0 && size > 0; offset += part, size -= part) {
		part = size < ZEROS ? size : ZEROS;
		rc = face_whole_write(w, offset, zeros, (size_t)part);
	}
	return rc;
}

int face_whole_sync(struct face_whole *w)
{
	/* A write was answered when the appliances had it in their memory. */
	return w->durable ? face_complain(extmem_sync_level(w->region, 0, 0,
							    EXTMEM_DURABLE))
			  : 0;
}

/* --- its name ---------------------------------------------------------------------------------- */

int face_whole_rename(struct face_whole *w, const char *name)
{
	return w->path[0] == '\0' ? -EPERM : face_kept_rename(w->path, name);
}

int face_whole_remove(struct face_whole *w)
{
	int rc = w->region != NULL ? face_kept_end(w->region, w->path) : -EBUSY;

	if (rc == 0)
		w->path[0] = '\0';
	return face_complain(rc);
}

/* --- the memory of a machine ----------------------------------------------------------------- */

int face_whole_machine(struct face_tree *tree, extmem *x, uint64_t size, bool awaits,
		       struct face_whole **ret, struct face_node **ret_node)
{
	const struct extmem_request request = {
		.size = sizeof(request), .region_size = size, .name = "machine",
		.flags = EXTMEM_TRACKED,
	};
	struct face_whole *w = whole_new();
	int rc = w == NULL ? -ENOMEM : 0;

	if (rc == 0 && !awaits && (rc = extmem_region_request(x, &request, &w->region)) != 0)
		face_say("%s", extmem_error());
	if (rc == 0)
		rc = whole_has(w, awaits ? size : extmem_region_size(w->region));
	if (rc == 0)
		rc = face_make(tree, tree->root, "memory", S_IFREG | 0600, getuid(),
			       getgid(), NULL, ret_node);
	if (rc != 0)
		return rc;
	w->state = awaits ? AWAITS : HELD;
	(*ret_node)->whole = *ret = w;
	return 0;
}

int face_whole_part(struct face_whole *w, uint64_t ms, char ret_token[EXTMEM_TOKEN_SIZE])
{
	const struct extmem_hand_over options = { .size = sizeof(options), .ms = ms };
	uint64_t until = xm_clock_ns() + HALF_NS;
	int rc;

	pthread_rwlock_wrlock(&w->lock);
	/* The other side would not know which pages it lacks. */
	if (w->state != HELD || (w->unsure_count > 0 && !w->half)) {
		rc = w->state != HELD ? -EBUSY : -EIO;
		pthread_rwlock_unlock(&w->lock);
		return rc;
	}
	/* While an appliance does not answer it is neither here nor there; and whatever fails
	 * from then on, it is not here again. */
	for (;;) {
		rc = extmem_region_hand_over(w->region, &options, ret_token);
		w->half = w->half || rc == -EINPROGRESS;
		if (rc == 0 || !w->half || xm_clock_ns() >= until)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 10 * XM_MS }, NULL);
	}
	if (rc != 0 && w->half)
		rc = -EINPROGRESS;
	if (rc == 0) {
		extmem_region_free(w->region);
		w->region = NULL;
		w->state = PARTED;
	}
	pthread_rwlock_unlock(&w->lock);
	return rc;
}

int face_whole_adopt(struct face_whole *w, extmem *x, const char *token, bool kept)
{
	extmem_region *region = NULL;
	int rc;

	pthread_rwlock_wrlock(&w->lock);
	if (w->state == ARRIVES) { /* it is here, and has not begun */
		pthread_rwlock_unlock(&w->lock);
		return 0;
	}
	rc = w->region != NULL ? -EBUSY
			       : extmem_region_adopt(x, token,
						     kept ? EXTMEM_ADOPT_KEPT : 0,
						     &region);
	if (rc == 0 && extmem_region_size(region) != w->size)
		rc = -EINVAL;
	if (rc == 0) {
		w->region = region;
		w->state = ARRIVES;
	}
	pthread_rwlock_unlock(&w->lock);
	return rc;
}

void face_whole_begin(struct face_whole *w)
{
	pthread_rwlock_wrlock(&w->lock);
	w->state = HELD;
	pthread_rwlock_unlock(&w->lock);
}

int face_whole_own(struct face_whole *w)
{
	int rc;

	pthread_rwlock_rdlock(&w->lock);
	rc = w->region != NULL ? extmem_region_keep(w->region, 0, NULL) : -ESTALE;
	pthread_rwlock_unlock(&w->lock);
	return rc;
}
