/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls that are served by a function each, by their names. Most are
 * the functions that stand in front of libc's: they know external memory, and
 * return -1 and errno.
 */
#include "preload/call.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>

static long result_of(long r)
{
	return r < 0 ? -errno : r;
}

/* --- calls that move data ------------------------------------------------------------ */

CALL_SERVE(read)
{
	return result_of(read((int)a[0], (void *)a[1], a[2]));
}

CALL_SERVE(write)
{
	return result_of(write((int)a[0], (const void *)a[1], a[2]));
}

CALL_SERVE(pread64)
{
	return result_of(pread64((int)a[0], (void *)a[1], a[2], a[3]));
}

CALL_SERVE(pwrite64)
{
	return result_of(pwrite64((int)a[0], (const void *)a[1], a[2], a[3]));
}

CALL_SERVE(readv)
{
	return result_of(readv((int)a[0], (const struct iovec *)a[1], (int)a[2]));
}

CALL_SERVE(writev)
{
	return result_of(writev((int)a[0], (const struct iovec *)a[1], (int)a[2]));
}

CALL_SERVE(preadv)
{
	return result_of(preadv64((int)a[0], (const struct iovec *)a[1],
				   (int)a[2], a[3]));
}

CALL_SERVE(pwritev)
{
	return result_of(pwritev64((int)a[0], (const struct iovec *)a[1],
				    (int)a[2], a[3]));
}

CALL_SERVE(preadv2)
{
	return result_of(preadv64v2((int)a[0], (const struct iovec *)a[1],
				     (int)a[2], a[3], (int)a[5]));
}

CALL_SERVE(pwritev2)
{
	return result_of(pwritev64v2((int)a[0], (const struct iovec *)a[1],
				      (int)a[2], a[3], (int)a[5]));
}

CALL_SERVE(vmsplice)
{
	return result_of(vmsplice((int)a[0], (const struct iovec *)a[1], a[2],
				   (unsigned)a[3]));
}

CALL_SERVE(recvfrom)
{
	return result_of(recvfrom((int)a[0], (void *)a[1], a[2], (int)a[3],
				   (struct sockaddr *)a[4],
				   (socklen_t *)a[5]));
}

CALL_SERVE(sendto)
{
	return result_of(sendto((int)a[0], (const void *)a[1], a[2], (int)a[3],
				 (const struct sockaddr *)a[4],
				 (socklen_t)a[5]));
}

CALL_SERVE(recvmsg)
{
	return result_of(recvmsg((int)a[0], (struct msghdr *)a[1], (int)a[2]));
}

CALL_SERVE(sendmsg)
{
	return result_of(sendmsg((int)a[0], (const struct msghdr *)a[1],
				  (int)a[2]));
}

CALL_SERVE(recvmmsg)
{
	return result_of(recvmmsg((int)a[0], (struct mmsghdr *)a[1],
				   (unsigned)a[2], (int)a[3],
				   (struct timespec *)a[4]));
}

CALL_SERVE(sendmmsg)
{
	return result_of(sendmmsg((int)a[0], (struct mmsghdr *)a[1],
				   (unsigned)a[2], (int)a[3]));
}

CALL_SERVE(getrandom)
{
	return result_of(getrandom((void *)a[0], a[1], (unsigned)a[2]));
}

CALL_SERVE(process_vm_readv)
{
	return result_of(process_vm_readv(
		(pid_t)a[0], (const struct iovec *)a[1], (unsigned long)a[2],
		(const struct iovec *)a[3], (unsigned long)a[4],
		(unsigned long)a[5]));
}

CALL_SERVE(process_vm_writev)
{
	return result_of(process_vm_writev(
		(pid_t)a[0], (const struct iovec *)a[1], (unsigned long)a[2],
		(const struct iovec *)a[3], (unsigned long)a[4],
		(unsigned long)a[5]));
}

/* --- calls that take pages or descriptors away ------------------------------------------ */

CALL_SERVE(mmap)
{
	return result_of((long)mmap((void *)a[0], a[1], (int)a[2], (int)a[3],
				     (int)a[4], a[5]));
}

CALL_SERVE(munmap)
{
	return result_of(munmap((void *)a[0], a[1]));
}

CALL_SERVE(mremap)
{
	return result_of((long)mremap((void *)a[0], a[1], a[2], (int)a[3],
				       (void *)a[4]));
}

CALL_SERVE(madvise)
{
	return result_of(madvise((void *)a[0], a[1], (int)a[2]));
}

CALL_SERVE(mprotect)
{
	return result_of(mprotect((void *)a[0], a[1], (int)a[2]));
}

CALL_SERVE(mincore)
{
	return result_of(mincore((void *)a[0], a[1], (unsigned char *)a[2]));
}

CALL_SERVE(pkey_mprotect)
{
	return result_of(pkey_mprotect((void *)a[0], a[1], (int)a[2],
					(int)a[3]));
}

CALL_SERVE(mlock)
{
	return result_of(mlock((void *)a[0], a[1]));
}

CALL_SERVE(mlock2)
{
	return result_of(mlock2((void *)a[0], a[1], (unsigned)a[2]));
}

CALL_SERVE(mlockall)
{
	return result_of(mlockall((int)a[0]));
}

CALL_SERVE(close)
{
	return result_of(close((int)a[0]));
}

CALL_SERVE(dup2)
{
	return result_of(dup2((int)a[0], (int)a[1]));
}

CALL_SERVE(dup3)
{
	return result_of(dup3((int)a[0], (int)a[1], (int)a[2]));
}

CALL_SERVE(close_range)
{
	return result_of(close_range((unsigned)a[0], (unsigned)a[1],
				      (int)a[2]));
}

/* Over what is there. */
CALL_SERVE(shmat)
{
	return map_touches((void *)a[1], 1)
		       ? -EINVAL
		       : shim_raw(SYS_shmat, a[0], a[1], a[2], 0, 0, 0);
}

/* Of this process, as madvise(2) is. */
CALL_SERVE(process_madvise)
{
	const struct iovec *iov = (const struct iovec *)a[1];
	long done = 0;

	for (long i = 0; i < a[2]; i++) {
		struct iovec v = iov[i];
		long r;

		if (map_touches(v.iov_base, v.iov_len))
			r = madvise(v.iov_base, v.iov_len, (int)a[3]) < 0
				    ? -errno
				    : (long)v.iov_len;
		else
			r = shim_raw(SYS_process_madvise, a[0],
				     (long)&v, 1, a[3], a[4],
				     0);
		if (r < 0)
			return done > 0 ? done : r;
		done += r;
	}
	return done;
}

/* --- others ------------------------------------------------------------------------------ */

/* Only what is like fork(2) can be made from here: a thread's first instruction
 * would be in our frame, on another stack. libc has clone(2) for that case. */
CALL_SERVE(clone3)
{
	uint64_t local[16] = { 0 };
	size_t size = (size_t)a[1];

	if (size > sizeof(local))
		return -E2BIG;
	memcpy(local, (const void *)a[0], size);
	if ((local[0] & (CLONE_VM | CLONE_VFORK)) != 0 || local[5] != 0)
		return -ENOSYS;
	return shim_raw(SYS_clone3, (long)local, (long)size, 0, 0, 0, 0);
}

CALL_SERVE(execve)
{
	return result_of(execve((const char *)a[0], (char *const *)a[1],
				 (char *const *)a[2]));
}

CALL_SERVE(execveat)
{
	return result_of(execveat((int)a[0], (const char *)a[1],
				   (char *const *)a[2], (char *const *)a[3],
				   (int)a[4]));
}

CALL_SERVE(sigaltstack)
{
	return result_of(sigaltstack((const stack_t *)a[0], (stack_t *)a[1]));
}

CALL_SERVE(ioctl)
{
	if ((unsigned long)a[1] == SIOCGIFCONF)
		return result_of(ioctl((int)a[0], SIOCGIFCONF, (void *)a[2]));
	return call_by_pins(SYS_ioctl, a);
}
