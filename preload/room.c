/* SPDX-License-Identifier: BSD-3-Clause */
/* How much memory this machine, and the cgroups of this process, have to spare. */
#include "preload/fork.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* A file of the kernel's, as text; its size, or -1. */
static ssize_t read_text(const char *path, char *ret, size_t size)
{
	long fd = shim_raw(SYS_openat, AT_FDCWD, (long)path,
			   O_RDONLY | O_CLOEXEC, 0, 0, 0);
	long n = -1;

	if (fd < 0)
		return -1;
	n = shim_raw(SYS_read, fd, (long)ret, (long)size - 1, 0, 0, 0);
	shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
	ret[n < 0 ? 0 : n] = '\0';
	return n;
}

static uint64_t number_after(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

/* Bytes that a cgroup may still use. Inactive pages of files count as free,
 * since the kernel drops them under pressure. */
static uint64_t cgroup_room(const char *folder)
{
	char path[600], text[2048];
	uint64_t most, used;

	snprintf(path, sizeof(path), "%s/memory.max", folder);
	if (read_text(path, text, sizeof(text)) <= 0 || text[0] == 'm')
		return UINT64_MAX;
	most = strtoull(text, NULL, 10);
	snprintf(path, sizeof(path), "%s/memory.current", folder);
	if (read_text(path, text, sizeof(text)) <= 0)
		return UINT64_MAX;
	used = strtoull(text, NULL, 10);
	snprintf(path, sizeof(path), "%s/memory.stat", folder);
	if (read_text(path, text, sizeof(text)) > 0) {
		uint64_t files = number_after(text, "\ninactive_file ");

		used = used > files ? used - files : 0;
	}
	return most > used ? most - used : 0;
}

/* Bytes that this machine, and the cgroups that this process is in, have to
 * spare. */
uint64_t room_here(void)
{
	static const char root[] = "/sys/fs/cgroup";
	char text[2048], folder[512], *slash;
	const char *own;
	uint64_t room, least = 0;

	if (read_text("/proc/meminfo", text, sizeof(text)) <= 0)
		return 0;
	least = number_after(text, "MemAvailable:") << 10;
	if (read_text("/proc/self/cgroup", text, sizeof(text)) <= 0)
		return least;
	own = strstr(text, "0::/");
	if (!own)
		return least;
	snprintf(folder, sizeof(folder), "%s%.*s", root,
		 (int)strcspn(own + 3, "\n"), own + 3);
	while ((slash = strrchr(folder, '/')) != NULL &&
	       strlen(folder) >= sizeof(root) - 1) {
		room = cgroup_room(folder);
		if (room < least)
			least = room;
		*slash = '\0';
	}
	return least;
}
