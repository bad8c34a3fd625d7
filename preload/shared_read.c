/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of figures, as `extmem top` and extmem-gateway read them; see shared.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/shared.h"

/* Whole, not half of one time and half of another. Read, not mapped: whose file
 * it is may shorten it at any moment. */
static bool copy(int fd, struct run_shared *ret)
{
	uint32_t after;

	for (int tries = 0; tries < 1000; tries++) {
		if (pread(fd, ret, sizeof(*ret), 0) != sizeof(*ret) ||
		    pread(fd, &after, sizeof(after),
			  offsetof(struct run_shared, generation)) !=
			    sizeof(after))
			return false;
		if (after % 2 == 0 && after == atomic_load(&ret->generation))
			return true;
	}
	return false;
}

/* Where the program's number is one of another namespace the lock alone says it: here
 * that number is another process's, or nobody's. */
static bool is_kept(int fd, const struct run_shared *s)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return false;
	return s->pid == 0 || s->pid_space != run_shared_space() ||
	       kill((pid_t)s->pid, 0) == 0 || errno == EPERM;
}

/* Others' words are shown on our terminal. */
static void make_plain(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static bool read_client(int fd, struct run_client *ret, bool *ret_kept)
{
	struct run_shared *s = &ret->at;
	struct stat status;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_size != sizeof(struct run_file) || !copy(fd, s))
		return false;
	*ret_kept = is_kept(fd, s);
	ret->uid = status.st_uid;
	ret->file = status.st_ino;
	make_plain(s->program, sizeof(s->program));
	make_plain(s->lost, sizeof(s->lost));
	make_plain(s->appliances[0].appliance,
		   sizeof(s->appliances[0].appliance));
	return s->magic == RUN_MAGIC && *ret_kept &&
	       atomic_load(&s->state) == RUN_ATTACHED;
}

/* 1: *ret is filled. */
static unsigned look_at(const char *name, struct run_client *ret,
			unsigned *hidden)
{
	char path[sizeof(RUN_FOLDER) + 256];
	bool kept = true, is;
	int fd;

	snprintf(path, sizeof(path), RUN_FOLDER "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		*hidden += errno == EACCES;
		return 0;
	}
	is = read_client(fd, ret, &kept);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (!kept)
		unlink(path);
	close(fd);
	return is;
}

unsigned run_clients_read(struct run_client *ret, unsigned count,
			  unsigned *ret_hidden)
{
	DIR *folder = opendir(RUN_FOLDER);
	struct dirent *entry;
	unsigned got = 0;

	*ret_hidden = 0;
	while (folder && got < count && (entry = readdir(folder)) != NULL)
		if (strncmp(entry->d_name, RUN_FILE_PREFIX,
			    strlen(RUN_FILE_PREFIX)) == 0)
			got += look_at(entry->d_name, &ret[got], ret_hidden);
	if (folder)
		closedir(folder);
	return got;
}
