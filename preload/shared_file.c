/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of figures, as `extmem run` and the shim make it; see shared.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/shared.h"

#define TRIES 8

/* Two processes may have one number, each in a namespace of its own, and one
 * folder: so the name has a number by chance, too. */
static int open_new(char *ret_name, size_t size)
{
	uint32_t chance = 0;
	int fd = -1;

	for (int i = 0; i < TRIES && fd < 0; i++) {
		if (getrandom(&chance, sizeof(chance), 0) < 0)
			break;
		snprintf(ret_name, size, RUN_FOLDER "/" RUN_FILE_PREFIX
			 "%u.%d.%08x", (unsigned)getuid(), (int)getpid(),
			 (unsigned)chance);
		fd = open(ret_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd < 0 ? -errno : fd;
}

int run_shared_make(char *ret_name, size_t size)
{
	int fd = open_new(ret_name, size), error;

	if (fd < 0) {
		ret_name[0] = '\0';
		return fd;
	}
	/* Locked before it has its size: until then `extmem top` leaves it alone. */
	error = flock(fd, LOCK_SH) < 0 ? errno : 0;
	/* A page for which there is no room later would be SIGBUS. */
	if (error == 0)
		error = posix_fallocate(fd, 0, sizeof(struct run_file));
	if (error == 0)
		return fd;
	unlink(ret_name);
	close(fd);
	ret_name[0] = '\0';
	return -error;
}

uint64_t run_shared_space(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) < 0 ? 0
						      : (uint64_t)status.st_ino;
}
