/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of an authority, each whole or not there; see authority_parts.h. */
#include "cli/authority_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int authority_say(char words[AUTHORITY_WORDS], int rc, const char *what,
		  const char *why)
{
	snprintf(words, AUTHORITY_WORDS, "%.200s: %.200s", what,
		 why != NULL ? why : strerror(-rc));
	return rc;
}

void authority_path(const char *folder, const char *name, const char *end,
		    char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s%s", folder, name, end);
}

int authority_lock(const char *folder, char words[AUTHORITY_WORDS])
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return authority_say(words, -errno, folder, errno == ENOENT
			? "no authority is there: extmem auth init" : NULL);
	while (flock(fd, LOCK_EX) != 0) {
		int rc = -errno;

		if (rc == -EINTR)
			continue;
		close(fd);
		return authority_say(words, rc, folder, NULL);
	}
	return fd;
}

int authority_draft_open(struct authority_draft *d, const char *folder,
			 const char *name, const char *end, mode_t mode)
{
	int fd;

	d->folder = folder;
	authority_path(folder, name, end, d->path);
	snprintf(d->beside, sizeof(d->beside), "%s.new", d->path);
	(void)unlink(d->beside);
	fd = open(d->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	d->file = fd < 0 ? NULL : fdopen(fd, "w");
	return d->file == NULL ? -errno : 0;
}

/* So that names, too, are on the disk. */
static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0 && errno != EINVAL)
		rc = -errno;
	close(fd);
	return rc;
}

int authority_draft_close(struct authority_draft *d, bool good)
{
	int rc = good ? 0 : -EIO;

	if (rc == 0 && (fflush(d->file) != 0 || fsync(fileno(d->file)) != 0))
		rc = -errno;
	fclose(d->file);
	if (rc == 0 && rename(d->beside, d->path) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlink(d->beside);
	return rc == 0 ? sync_folder(d->folder) : rc;
}
