/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libc functions whose system calls take names and small structs, for the case that
 * calls are not trapped: an external name or struct is replaced by a local copy, and
 * a result is copied back. These are the functions that programs call with memory
 * from large blocks; other functions fail with EFAULT there (extmem(1), LIMITS).
 */
#include "preload/shim.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>

struct name {
	char text[PATH_MAX];
};

/* A result that is copied back. Where there is no right to, the kernel says so. */
static bool is_written(void *p, size_t size)
{
	return present_needed(p, size) && rights_permit(p, size, true) == size;
}

/* A name too long for the kernel stays too long; one that may not be read is the kernel's
 * to refuse. */
static const char *local_name(const char *name, struct name *local)
{
	size_t n, may;

	if (!name || !present_needed(name, 1))
		return name;
	may = rights_permit(name, PATH_MAX, false);
	n = strnlen(name, may);
	if (n == may && may < PATH_MAX)
		return name;
	if (n == PATH_MAX) {
		memset(local->text, 'x', PATH_MAX - 1);
		local->text[PATH_MAX - 1] = '\0';
		return local->text;
	}
	memcpy(local->text, name, n);
	local->text[n] = '\0';
	return local->text;
}

/* A device of the library's own, say. */
static int opened(int fd)
{
	return shim_inside ? descriptor_keep(fd) : fd;
}

SHIM_EXPORT int open64(const char *name, int flags, ...)
{
	struct name local;
	mode_t mode = 0;
	va_list arguments;

	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return opened(shim_real()->open64(local_name(name, &local), flags,
					  mode));
}

SHIM_EXPORT int openat64(int at, const char *name, int flags, ...)
{
	struct name local;
	mode_t mode = 0;
	va_list arguments;

	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return opened(shim_real()->openat64(at, local_name(name, &local), flags,
					    mode));
}

SHIM_EXPORT int open(const char *name, int flags, ...)
	__attribute__((alias("open64")));
SHIM_EXPORT int openat(int at, const char *name, int flags, ...)
	__attribute__((alias("openat64")));

SHIM_EXPORT FILE *fopen64(const char *name, const char *mode)
{
	struct name local;

	return shim_real()->fopen64(local_name(name, &local), mode);
}

SHIM_EXPORT FILE *fopen(const char *name, const char *mode)
	__attribute__((alias("fopen64")));

SHIM_EXPORT DIR *opendir(const char *name)
{
	struct name local;

	return shim_real()->opendir(local_name(name, &local));
}

/* name and one more argument, or none */
#define NAME_CALL(call)                                                       \
	SHIM_EXPORT int call(const char *path)                                \
	{                                                                     \
		struct name local;                                            \
                                                                              \
		return shim_real()->call(local_name(path, &local));           \
	}

NAME_CALL(chdir)
NAME_CALL(rmdir)
NAME_CALL(unlink)

SHIM_EXPORT int access(const char *name, int mode)
{
	struct name local;

	return shim_real()->access(local_name(name, &local), mode);
}

SHIM_EXPORT int mkdir(const char *name, mode_t mode)
{
	struct name local;

	return shim_real()->mkdir(local_name(name, &local), mode);
}

SHIM_EXPORT int rename(const char *from, const char *to)
{
	struct name local_from, local_to;

	return shim_real()->rename(local_name(from, &local_from),
				   local_name(to, &local_to));
}

/* --- results ---------------------------------------------------------------------- */

static int stat_done(int r, struct stat *ret, const struct stat *local)
{
	if (r == 0 && ret != local)
		*ret = *local;
	return r;
}

SHIM_EXPORT int stat(const char *name, struct stat *ret)
{
	struct name local;
	struct stat s, *to = is_written(ret, sizeof(s)) ? &s : ret;

	return stat_done(shim_real()->stat(local_name(name, &local), to), ret,
			 to);
}

SHIM_EXPORT int lstat(const char *name, struct stat *ret)
{
	struct name local;
	struct stat s, *to = is_written(ret, sizeof(s)) ? &s : ret;

	return stat_done(shim_real()->lstat(local_name(name, &local), to), ret,
			 to);
}

SHIM_EXPORT int fstat(int fd, struct stat *ret)
{
	struct stat s, *to = is_written(ret, sizeof(s)) ? &s : ret;

	return stat_done(shim_real()->fstat(fd, to), ret, to);
}

SHIM_EXPORT int fstatat(int at, const char *name, struct stat *ret, int flags)
{
	struct name local;
	struct stat s, *to = is_written(ret, sizeof(s)) ? &s : ret;

	return stat_done(shim_real()->fstatat(at, local_name(name, &local), to,
					      flags),
			 ret, to);
}

/* On 64-bit machines struct stat64 is struct stat. */
SHIM_EXPORT int stat64(const char *name, struct stat64 *ret)
{
	return stat(name, (struct stat *)ret);
}

SHIM_EXPORT int lstat64(const char *name, struct stat64 *ret)
{
	return lstat(name, (struct stat *)ret);
}

SHIM_EXPORT int fstat64(int fd, struct stat64 *ret)
{
	return fstat(fd, (struct stat *)ret);
}

SHIM_EXPORT int fstatat64(int at, const char *name, struct stat64 *ret,
			  int flags)
{
	return fstatat(at, name, (struct stat *)ret, flags);
}

_Static_assert(sizeof(struct stat) == sizeof(struct stat64),
	       "64-bit machines only");

SHIM_EXPORT int statx(int at, const char *name, int flags, unsigned wanted,
		      struct statx *ret)
{
	struct name local;
	struct statx s, *to = is_written(ret, sizeof(s)) ? &s : ret;
	int r = shim_real()->statx(at, local_name(name, &local), flags, wanted,
				   to);

	if (r == 0 && to != ret)
		*ret = s;
	return r;
}

SHIM_EXPORT ssize_t readlinkat(int at, const char *name, char *ret, size_t size)
{
	struct name local, result;
	ssize_t r;

	if (!is_written(ret, size))
		return shim_real()->readlinkat(at, local_name(name, &local),
					       ret, size);
	r = shim_real()->readlinkat(at, local_name(name, &local), result.text,
				    size < PATH_MAX ? size : PATH_MAX);
	if (r > 0)
		memcpy(ret, result.text, r);
	return r;
}

SHIM_EXPORT ssize_t readlink(const char *name, char *ret, size_t size)
{
	if (!is_written(ret, size) && !present_needed(name, 1))
		return shim_real()->readlink(name, ret, size);
	return readlinkat(AT_FDCWD, name, ret, size);
}

SHIM_EXPORT char *getcwd(char *ret, size_t size)
{
	struct name result;
	char *r;

	if (!ret || !is_written(ret, size))
		return shim_real()->getcwd(ret, size);
	r = shim_real()->getcwd(result.text, size < PATH_MAX ? size : PATH_MAX);
	return r ? strcpy(ret, r) : NULL;
}

#define POLLED_MAX (1u << 20) /* more than a process has descriptors */

struct polled {
	struct pollfd *local;
	size_t size;
};

static void polled_give(void *p)
{
	const struct polled *polled = p;
	int error = errno;

	if (polled->size > 0)
		local_give(polled->local, polled->size);
	errno = error;
}

/* The kernel writes `revents` alone, and other threads may change the rest in the
 * meantime. */
SHIM_EXPORT int poll(struct pollfd *list, nfds_t count, int timeout_ms)
{
	struct pollfd few[64];
	struct polled polled = { .local = few };
	int r;

	if (count > POLLED_MAX || !is_written(list, count * sizeof(*list)))
		return shim_real()->poll(list, count, timeout_ms);
	if (count > 64) {
		polled.size = count * sizeof(*list);
		polled.local = local_take(polled.size);
	}
	if (!polled.local)
		return -1;
	memcpy(polled.local, list, count * sizeof(*list));
	pthread_cleanup_push(polled_give, &polled);
	r = shim_real()->poll(polled.local, count, timeout_ms);
	for (nfds_t i = 0; r >= 0 && i < count; i++)
		list[i].revents = polled.local[i].revents;
	pthread_cleanup_pop(1);
	return r;
}
