/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool that the kernel pages to a file on a disk; see pool.h.
 *
 * The path names an empty file that is locked, so that a second daemon is refused and no
 * file of somebody else's is ever written to. The bytes lie beside it in a file that has no
 * name from the beginning: whatever ends the daemon, or the machine, gives its blocks back,
 * and nobody finds there what clients had stored.
 *
 * All blocks are allocated before memory is promised, and none is given back but by
 * xm_pool_release(): so the disk cannot be full later. What is allocated and was not
 * written yet reads as zero, and so does what FALLOC_FL_ZERO_RANGE has put back into
 * that state, without a transfer.
 *
 * An error of the disk. When it reads, who touches the page gets SIGBUS, and a system call
 * -EFAULT, with which a provider ends the connection, again and again. When it writes, the
 * kernel drops what the page was to become, and would read what it was before: so each turn
 * of the interface process looks whether a write has failed since the last one. With SIGBUS
 * and a failed write the process ends in words, and with it the daemon.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "appliance/pool.h"
#include "common/words.h"
#include "core/skin/os.h"

#define OVERLAY_MAGIC 0x794c7630 /* OVERLAYFS_SUPER_MAGIC, of Linux 4.17 and later */

static int refuse(const char *path, const char *what, int rc, char *words,
		  size_t words_size)
{
	snprintf(words, words_size, "pool file %s %s: %s", path, what, strerror(-rc));
	return rc;
}

/* --- the file that has the name --------------------------------------------------- */

static int look_at(int fd, const char *path, char *words, size_t words_size)
{
	struct statfs system;
	struct stat status;

	if (fstat(fd, &status) != 0 || fstatfs(fd, &system) != 0)
		return refuse(path, "cannot be looked at", -errno, words, words_size);
	if (!S_ISREG(status.st_mode) || status.st_size != 0) {
		snprintf(words, words_size, "pool file %s is there already, and %s:"
			 " name a file that is not there yet", path,
			 S_ISREG(status.st_mode) ? "is not empty" : "is no file");
		return -EEXIST;
	}
	if (system.f_type == OVERLAY_MAGIC) {
		snprintf(words, words_size, "pool file %s lies on overlayfs, which does"
			 " not tell of errors of its disk: name a file on a volume",
			 path);
		return -ENOTSUP;
	}
	if (system.f_type == TMPFS_MAGIC)
		snprintf(words, words_size, "pool file %s lies on tmpfs, so in this"
			 " machine's memory and swap: name a file on a disk", path);
	return 0;
}

static int take_name(const char *path, char *words, size_t words_size, int *ret)
{
	/* (Non-blocking: it may be a pipe.) */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      0600);
	int rc = fd < 0 ? -errno : 0;

	if (rc != 0)
		return refuse(path, "cannot be opened", rc, words, words_size);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = -errno;
		if (rc == -EWOULDBLOCK)
			snprintf(words, words_size, "pool file %s: another process has"
				 " it open (an extmemd?): name a file for each", path);
		else
			refuse(path, "cannot be locked", rc, words, words_size);
	} else {
		rc = look_at(fd, path, words, words_size);
	}
	if (rc != 0) {
		close(fd);
		return rc;
	}
	*ret = fd;
	return 0;
}

/* --- the file that has the bytes -------------------------------------------------- */

static int make_nameless(const char *path, int *ret)
{
	char *name = NULL;
	int fd, rc = 0;

	if (asprintf(&name, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(name, O_CLOEXEC); /* of mode 0600 */
	if (fd < 0 || unlink(name) != 0)
		rc = -errno;
	free(name);
	if (rc == 0)
		*ret = fd;
	else if (fd >= 0)
		close(fd);
	return rc;
}

static int refuse_full(int fd, const char *path, uint64_t size, char *words,
		       size_t words_size)
{
	struct statvfs disk;

	if (fstatvfs(fd, &disk) != 0)
		memset(&disk, 0, sizeof(disk));
	snprintf(words, words_size, "pool file %s: %" PRIu64 " MiB of disk are needed, and"
		 " %" PRIu64 " MiB are free where it lies: make room, or lend less"
		 " memory", path, size / XM_MIB,
		 (uint64_t)disk.f_bavail * disk.f_frsize / XM_MIB);
	return -ENOSPC;
}

static int allocate(int fd, const char *path, uint64_t size, char *words,
		    size_t words_size)
{
	int rc;

	signal(SIGXFSZ, SIG_IGN); /* beyond ulimit -f: EFBIG */
	do
		rc = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : -errno;
	while (rc == -EINTR);
	if (rc == -ENOSPC || rc == -EDQUOT)
		return refuse_full(fd, path, size, words, words_size);
	if (rc == -EOPNOTSUPP) {
		snprintf(words, words_size, "pool file %s lies on a file system that"
			 " takes no room in advance: name a file on another, such"
			 " as ext4 or xfs", path);
		return rc;
	}
	if (rc != 0)
		refuse(path, "cannot be as large as the pool", rc, words, words_size);
	return rc;
}

int xm_pool_file_open(const char *path, uint64_t size, char *words,
		      size_t words_size, struct xm_pool *ret)
{
	struct xm_pool pool = {
		.size = size, .bank_size = size, .filed = true, .lock = -1,
		.page = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	int rc;

	if (!os_page_fits(words, words_size))
		return -ENOTSUP;
	words[0] = '\0';
	rc = take_name(path, words, words_size, &pool.lock);
	if (rc != 0)
		return rc;
	rc = make_nameless(path, &pool.banks[0]);
	if (rc != 0)
		refuse(path, "cannot have another beside it", rc, words, words_size);
	else
		pool.banks_count = 1;
	if (rc == 0)
		rc = allocate(pool.banks[0], path, size, words, words_size);
	if (rc == 0)
		rc = xm_pool_map(&pool, words, words_size);
	if (rc != 0) {
		xm_pool_close(&pool);
		return rc;
	}
	*ret = pool;
	return 0;
}

int xm_pool_borrowed_open(int file, uint64_t size, char *words, size_t words_size,
			  struct xm_pool *ret)
{
	struct xm_pool pool = {
		.size = size, .bank_size = size, .filed = true, .borrowed = true,
		.lock = -1, .page = (uint64_t)sysconf(_SC_PAGESIZE),
		.banks = { file }, .banks_count = 1,
	};
	int rc = os_page_fits(words, words_size) ? xm_pool_map(&pool, words, words_size)
						 : -ENOTSUP;

	if (rc != 0)
		xm_pool_close(&pool);
	else
		*ret = pool;
	return rc;
}

int xm_pool_zero(struct xm_pool *p, uint64_t offset, uint64_t size)
{
	int rc = -EOPNOTSUPP;

	while (p->filed) {
		/* What is borrowed is to be fresh again, and not sent as zeros. */
		rc = fallocate(p->banks[0], FALLOC_FL_KEEP_SIZE |
			       (p->borrowed ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
			       (off_t)offset, (off_t)size) == 0 ? 0 : -errno;
		if (rc != -EINTR)
			break;
	}
	if (rc != -EOPNOTSUPP || p->borrowed)
		return rc;
	memset(p->base + offset, 0, size);
	return 0;
}

/* --- errors of the disk ------------------------------------------------------------ */

/* Nothing but write() and _exit() here: whatever was under way is cut off. */
static _Noreturn void end(const char *what)
{
	char text[256];
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	xm_words_add(&words, "extmemd: ");
	xm_words_add(&words, what);
	xm_words_add(&words, " of the pool file: its disk has failed, as the kernel's log"
			     " says. What clients stored is lost; begin with a pool file"
			     " on another disk\n");
	if (write(STDERR_FILENO, text, words.used) < 0)
		_exit(2); /* nobody can be told */
	_exit(1);
}

static void on_lost(int number)
{
	static const char text[] = "extmemd: what was borrowed can be read no more\n";

	(void)number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void on_bus_error(int number)
{
	(void)number;
	end("a page cannot be read, or has no room,");
}

void xm_pool_file_guard(const struct xm_pool *p)
{
	if (p->filed)
		signal(SIGBUS, p->borrowed ? on_lost : on_bus_error);
}

void xm_pool_file_look(const struct xm_pool *p)
{
	/* It waits for writes of what lies beyond the file's end, which are none, and
	 * tells of any that has failed. */
	if (p->filed && !p->borrowed && sync_file_range(p->banks[0], (off_t)p->size, 1,
					SYNC_FILE_RANGE_WAIT_BEFORE) != 0)
		end("a page could not be written to the blocks");
}
