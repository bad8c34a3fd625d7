/* SPDX-License-Identifier: BSD-3-Clause */
/* How the file comes about; see file.h. Floor: program. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"
#include "faces/bank/file.h"

#define DEVICE "/dev/fuse"

static int refuse(const char *what, char *words, size_t words_size)
{
	int rc = -errno;
	const char *way = "";

	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		way = ": load the kernel's module fuse, or let the container have it"
		      " (--device " DEVICE ", or bwrap --dev-bind " DEVICE " " DEVICE ")";
	else if (rc == -EPERM || rc == -EACCES || rc == -ENOSPC)
		way = ": allow namespaces of users (sysctl user.max_user_namespaces,"
		      " kernel.apparmor_restrict_unprivileged_userns), and let this user"
		      " have " DEVICE;
	snprintf(words, words_size, "borrowed memory is mapped by " DEVICE ", and %s: %s%s", what,
		 strerror(-rc), way);
	return rc;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t size = (ssize_t)strlen(text);
	bool done = fd >= 0 && write(fd, text, (size_t)size) == size;

	if (fd >= 0)
		close(fd);
	return done;
}

/* A mount namespace; and where that is not ours to make, one of users first, in which we are
 * who we were. */
static bool stand_apart(void)
{
	unsigned user = geteuid(), group = getegid();
	char map[64];

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	snprintf(map, sizeof(map), "%u %u 1\n", user, user);
	if (!write_text("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "%u %u 1\n", group, group);
	return write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/gid_map", map);
}

int bank_mount(char *words, size_t words_size, int *ret_connection)
{
	char options[128];
	int fd;

	if (!stand_apart())
		return refuse("this process may not mount", words, words_size);
	/* It belongs to the namespace in which it is opened. */
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return refuse("that cannot be opened", words, words_size);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=%u,group_id=%u", fd,
		 (unsigned)geteuid(), (unsigned)getegid());
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("extmem", DEVICE, "fuse", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0)
		return refuse("that cannot be mounted", words, words_size);
	*ret_connection = fd;
	return 0;
}

int bank_open(char *words, size_t words_size, int *ret_file)
{
	struct stat ignored;
	int fd = -1;

	/* Until somebody asks, the kernel takes it for an empty file of root's, which may be
	 * nobody here; to that nobody may write. */
	if (stat(DEVICE, &ignored) == 0)
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return refuse("its file cannot be opened", words, words_size);
	(void)umount2(DEVICE, MNT_DETACH);
	*ret_file = fd;
	return 0;
}
