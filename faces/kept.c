/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The region of a face; see kept.h.
 *
 * At no time does a crash of this process leave bytes to which no token leads: a new region
 * is kept for a minute, its token is written down, and only then is it kept for ever; one
 * that is adopted is kept under its token from the beginning.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRANULE 65536
#define MINUTE_MS 60000

/* --- the file ----------------------------------------------------------------------------- */

/* The folder of tokens is made, if it is not there. */
static int folder_of(char ret[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int length;

	if (state != NULL && state[0] == '/')
		length = snprintf(ret, PATH_MAX, "%s/extmem", state);
	else if (geteuid() == 0)
		length = snprintf(ret, PATH_MAX, "/var/lib/extmem");
	else if (home != NULL && home[0] == '/')
		length = snprintf(ret, PATH_MAX, "%s/.local/state/extmem", home);
	else
		return -ENOENT;
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	for (char *at = ret + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(ret, 0755);
		*at = '/';
	}
	return mkdir(ret, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

int face_kept_path(const char *name, char ret[PATH_MAX])
{
	char folder[PATH_MAX];
	int rc;

	if (strchr(name, '/') != NULL)
		return snprintf(ret, PATH_MAX, "%s", name) < PATH_MAX
			       ? 0
			       : -ENAMETOOLONG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	rc = folder_of(folder);
	if (rc == 0 && snprintf(ret, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
		rc = -ENAMETOOLONG;
	return rc;
}

/* -ENOENT: there is none. */
static int token_read(const char *path, char ret[EXTMEM_TOKEN_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = read(fd, ret, EXTMEM_TOKEN_SIZE - 1);
	rc = size < 0 ? -errno : 0;
	close(fd);
	ret[size > 0 ? size : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return rc;
}

static int line_write(int fd, const char *token)
{
	char line[EXTMEM_TOKEN_SIZE + 1];
	int size = snprintf(line, sizeof(line), "%s\n", token);

	errno = EIO;
	if (write(fd, line, (size_t)size) != size || fsync(fd) != 0)
		return -errno;
	return 0;
}

/* All of it or nothing. -EEXIST: somebody else was faster. */
static int token_write(const char *path, const char *token)
{
	char draft[PATH_MAX + 16];
	int fd, rc;

	snprintf(draft, sizeof(draft), "%s.%ld", path, (long)getpid());
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = line_write(fd, token);
	close(fd);
	if (rc == 0 && link(draft, path) != 0)
		rc = -errno;
	unlink(draft);
	return rc;
}

/* --- the region --------------------------------------------------------------------------- */

struct opening {
	extmem *x;
	const struct extmem_request *request;
	char path[PATH_MAX]; /* "": there is no file */
	char *words;
	size_t size;
	bool durable;
};

static int fail(const struct opening *o, int rc)
{
	snprintf(o->words, o->size, "%s", extmem_error());
	return rc;
}

static int fail_file(const struct opening *o, int rc)
{
	snprintf(o->words, o->size, "%s: %s", o->path, strerror(-rc));
	return rc;
}

/* Frees nothing of a region that is kept: it waits from the client's end on. */
static int fits(const struct opening *o, const extmem_region *region)
{
	uint64_t asked = o->request->region_size;
	uint64_t size = extmem_region_size(region);

	if (asked == 0 || (asked <= size && size - asked < GRANULE))
		return 0;
	snprintf(o->words, o->size, "the region has %llu bytes, not %llu: leave the "
		 "size out", (unsigned long long)size, (unsigned long long)asked);
	return -EINVAL;
}

static int keep(const struct opening *o, extmem_region *region, uint64_t ms,
		char *ret_token)
{
	return o->durable ? extmem_region_keep_durable(region, ms, ret_token)
			  : extmem_region_keep(region, ms, ret_token);
}

static int adopt(const struct opening *o, const char *token, extmem_region **ret)
{
	extmem_region *region;
	int rc = extmem_region_adopt(o->x, token, EXTMEM_ADOPT_KEPT, &region);

	if (rc == -EBUSY) {
		snprintf(o->words, o->size, "the region is in use: whoever serves it "
			 "now must end first (%s)", extmem_error());
	} else if (rc != 0 && o->path[0] != '\0') {
		snprintf(o->words, o->size, "%s (its token is in %s; if its memory is "
			 "gone, remove that file)", extmem_error(), o->path);
	} else if (rc != 0) {
		fail(o, rc);
	}
	if (rc != 0)
		return rc;
	if (keep(o, region, EXTMEM_FOR_EVER, NULL) != 0)
		return fail(o, -EIO);
	rc = fits(o, region);
	if (rc == 0)
		*ret = region;
	return rc;
}

/* -EEXIST: another process has made it meanwhile. */
static int make(const struct opening *o, extmem_region **ret)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *region;
	int rc;

	if (o->request->region_size == 0) {
		snprintf(o->words, o->size, "there is no %s yet: with a size it is "
			 "made", o->path);
		return -ENOENT;
	}
	rc = extmem_region_request(o->x, o->request, &region);
	if (rc != 0)
		return fail(o, rc);
	rc = keep(o, region, MINUTE_MS, token);
	if (rc != 0)
		return fail(o, rc);
	rc = token_write(o->path, token);
	if (rc != 0)
		fail_file(o, rc);
	else if ((rc = keep(o, region, EXTMEM_FOR_EVER, NULL)) != 0)
		fail(o, rc);
	else
		*ret = region;
	if (rc != 0)
		extmem_region_free(region);
	return rc;
}

static int open_named(struct opening *o, const char *name, extmem_region **ret)
{
	char token[EXTMEM_TOKEN_SIZE];
	int rc = face_kept_path(name, o->path);

	if (rc != 0) {
		snprintf(o->words, o->size, "region %s: %s", name, strerror(-rc));
		return rc;
	}
	rc = token_read(o->path, token);
	if (rc == -ENOENT) {
		rc = make(o, ret);
		if (rc != -EEXIST)
			return rc;
		rc = token_read(o->path, token);
	}
	return rc != 0 ? fail_file(o, rc) : adopt(o, token, ret);
}

int face_kept_open(extmem *x, const struct face_kept *kept,
		   const struct extmem_request *request, extmem_region **ret,
		   char *words, size_t size)
{
	struct opening o = {
		.x = x, .request = request, .words = words, .size = size,
		.durable = kept->durable,
	};

	if (kept->region[0] != '\0')
		return open_named(&o, kept->region, ret);
	if (kept->token[0] != '\0')
		return adopt(&o, kept->token, ret);
	return extmem_region_request(x, request, ret) == 0 ? 0 : fail(&o, -EIO);
}

int face_kept_rename(char path[PATH_MAX], const char *name)
{
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
	char to[PATH_MAX];

	if (snprintf(to, sizeof(to), "%.*s%s", folder, path, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
		return -errno;
	memcpy(path, to, strlen(to) + 1);
	return 0;
}

/* The token goes last: a file without memory is said to be one. */
int face_kept_end(extmem_region *region, const char *path)
{
	int rc = extmem_region_keep(region, 0, NULL);

	if (rc == 0 && path[0] != '\0')
		unlink(path);
	return rc;
}
