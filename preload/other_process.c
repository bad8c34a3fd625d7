/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process_vm_readv(2) and process_vm_writev(2): two lists of buffers, one here
 * and one in another process. External memory in a list of ours is moved by
 * way of a local copy (vector.c). If the other process is this one, both lists
 * may be external, and the bytes are copied here, a piece at a time.
 */
#include "preload/vector.h"

#include <sys/syscall.h>

/* How far a list has been worked through. */
struct place {
	const struct iovec *iov;
	unsigned long count;
	size_t at; /* in the first */
};

static struct iovec place_next(struct place *p)
{
	while (p->count > 0 && p->at == p->iov->iov_len) {
		p->iov++;
		p->count--;
		p->at = 0;
	}
	if (p->count == 0)
		return (struct iovec){ NULL, 0 };
	return (struct iovec){ (char *)p->iov->iov_base + p->at,
			       p->iov->iov_len - p->at };
}

/* A piece from or to `there`: what is external is touched here, so that it is
 * faulted in; the rest is left to the kernel, which answers for bad addresses. */
static long copy_in_part(bool writes, void *local, struct iovec there)
{
	struct iovec here = { local, there.iov_len };

	if (!block_contains(there.iov_base, there.iov_len))
		return shim_raw(writes ? SYS_process_vm_writev
				       : SYS_process_vm_readv,
				getpid(), (long)&here, 1, (long)&there, 1, 0);
	if (writes)
		memcpy(there.iov_base, local, there.iov_len);
	else
		memcpy(local, there.iov_base, there.iov_len);
	return (long)there.iov_len;
}

static ssize_t copy_own(struct place from, struct place to)
{
	char part[4096];
	ssize_t done = 0;

	for (;;) {
		struct iovec f = place_next(&from), t = place_next(&to);
		long r;

		if (f.iov_len > sizeof(part))
			f.iov_len = sizeof(part);
		if (t.iov_len > f.iov_len)
			t.iov_len = f.iov_len;
		if (t.iov_len == 0)
			return done;
		f.iov_len = t.iov_len;
		r = copy_in_part(false, part, f);
		if (r > 0) {
			t.iov_len = (size_t)r;
			r = copy_in_part(true, part, t);
		}
		if (r <= 0) {
			errno = r < 0 ? (int)-r : EFAULT;
			return done > 0 ? done : -1;
		}
		done += r;
		from.at += (size_t)r;
		to.at += (size_t)r;
	}
}

static ssize_t other_move(bool writes, pid_t pid, const struct iovec *iov,
			  unsigned long count, const struct iovec *there,
			  unsigned long there_count, unsigned long flags)
{
	struct place here = { iov, count, 0 }, remote = { there, there_count, 0 };
	struct iovec *names = NULL;
	const size_t size = there_count * sizeof(*names);
	struct whole w = { .lent = false };
	ssize_t r;

	if (pid == getpid() && flags == 0)
		return writes ? copy_own(here, remote) : copy_own(remote, here);
	if (list_open(iov, (long)count, !writes, &w.list) < 0 ||
	    !(names = local_take(size)))
		return -1;
	memcpy(names, there, size);
	if (whole_begin(&w) < 0) {
		local_give(names, size);
		return -1;
	}
	r = present_call(writes ? SYS_process_vm_writev : SYS_process_vm_readv,
			 pid, (long)whole_iov(&w), w.count, (long)names,
			 (long)there_count, (long)flags);
	whole_filled(&w, r);
	whole_end(&w);
	local_give(names, size);
	return r;
}

/* Lists that are longer than the kernel takes are its to refuse. */
static bool other_needed(const struct iovec *iov, unsigned long count,
			 const struct iovec *there, unsigned long there_count)
{
	return count <= VECTOR_MAX && there_count <= VECTOR_MAX &&
	       (list_needed(iov, (long)count) ||
		list_needed(there, (long)there_count));
}

SHIM_EXPORT ssize_t process_vm_readv(pid_t pid, const struct iovec *iov,
				     unsigned long count,
				     const struct iovec *there,
				     unsigned long there_count,
				     unsigned long flags)
{
	if (!other_needed(iov, count, there, there_count))
		return shim_real()->process_vm_readv(pid, iov, count, there,
						     there_count, flags);
	return other_move(false, pid, iov, count, there, there_count, flags);
}

SHIM_EXPORT ssize_t process_vm_writev(pid_t pid, const struct iovec *iov,
				      unsigned long count,
				      const struct iovec *there,
				      unsigned long there_count,
				      unsigned long flags)
{
	if (!other_needed(iov, count, there, there_count))
		return shim_real()->process_vm_writev(pid, iov, count, there,
						      there_count, flags);
	return other_move(true, pid, iov, count, there, there_count, flags);
}
