/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that read or write the program's memory.
 *
 * With faults served inline the kernel cannot touch an absent page: the call
 * would fail with EFAULT. So a buffer in external memory is pinned first, in
 * pieces of at most PIECE_MAX, and the call made for each piece. Where
 * nothing can be pinned (half of the local memory is, by other threads), and
 * where it is little, a piece goes through a buffer on the stack.
 *
 * What the program sees is one call: a regular file is read, and anything
 * written, until the count is reached or a call comes back short; from a
 * pipe, a terminal or a stream socket one piece is read, which may be short,
 * as ever. Datagrams must go whole: when one cannot be pinned at once it is
 * carried in a local copy. Vectors are cut after what could be pinned where
 * that is allowed, else carried too.
 */
#include "shim.h"

#include <sys/random.h>

#define PIECE_MAX (size_t)(1 << 20)
#define BOUNCE_SIZE 8192
#define VECTOR_MAX 256

size_t present_begin(const void *address, size_t size, bool write)
{
	int error = errno;
	int64_t n;

	if (size == 0)
		return 0;
	shim_inside++;
	n = extmem_pin(shim_client, address, size, write);
	shim_inside--;
	errno = error;
	atomic_fetch_add_explicit(&shim_shared->call_count, 1,
				  memory_order_relaxed);
	return n > 0 ? (size_t)n : 0;
}

void present_end(const void *address, size_t size)
{
	int error = errno;

	shim_inside++;
	extmem_unpin(shim_client, address, size);
	shim_inside--;
	errno = error;
}

size_t present_piece_max(void)
{
	size_t n = shim_local / 8 & ~(SHIM_PAGE - 1);

	return n < SHIM_PAGE ? SHIM_PAGE : n < PIECE_MAX ? n : PIECE_MAX;
}

/* --- one call, in pieces -------------------------------------------------------- */

enum call_kind {
	CALL_READ,
	CALL_PREAD,
	CALL_RECVFROM,
	CALL_GETRANDOM,
	CALL_WRITE, /* from here on: the kernel only reads the memory */
	CALL_PWRITE,
	CALL_SENDTO,
};

struct call {
	enum call_kind kind;
	int fd, flags;
	off64_t offset;
	struct sockaddr *from;
	socklen_t *from_size;
	const struct sockaddr *to;
	socklen_t to_size;
};

static bool call_fills(const struct call *c)
{
	return c->kind < CALL_WRITE;
}

static ssize_t call_make(const struct call *c, void *p, size_t size,
			 size_t done)
{
	const struct shim_reals *real = shim_real();

	switch (c->kind) {
	case CALL_READ:
		return real->read(c->fd, p, size);
	case CALL_PREAD:
		return real->pread64(c->fd, p, size, c->offset + done);
	case CALL_RECVFROM:
		return real->recvfrom(c->fd, p, size, c->flags, c->from,
				      c->from_size);
	case CALL_GETRANDOM:
		return real->getrandom(p, size, c->flags);
	case CALL_WRITE:
		return real->write(c->fd, p, size);
	case CALL_PWRITE:
		return real->pwrite64(c->fd, p, size, c->offset + done);
	case CALL_SENDTO:
		return real->sendto(c->fd, p, size, c->flags, c->to,
				    c->to_size);
	}
	return -1;
}

static ssize_t call_carried(const struct call *c, char *p, size_t size,
			    size_t done, char *local)
{
	ssize_t r;

	if (!call_fills(c))
		memcpy(local, p, size);
	r = call_make(c, local, size, done);
	if (call_fills(c) && r > 0)
		memcpy(p, local, (size_t)r < size ? (size_t)r : size);
	return r;
}

static ssize_t call_piece(const struct call *c, char *p, size_t size,
			  size_t done, size_t *ret_tried)
{
	char bounce[BOUNCE_SIZE];
	size_t n = size > BOUNCE_SIZE ? present_begin(p, size, call_fills(c))
				      : 0;
	ssize_t r;

	if (n > 0) {
		*ret_tried = n;
		r = call_make(c, p, n, done);
		present_end(p, n);
		return r;
	}
	n = size < BOUNCE_SIZE ? size : BOUNCE_SIZE;
	*ret_tried = n;
	return call_carried(c, p, n, done, bounce);
}

/* Message boundaries count: all at once or not at all. */
static ssize_t call_whole(const struct call *c, char *p, size_t size)
{
	size_t n = present_begin(p, size, call_fills(c));
	ssize_t r = -1;
	char *local;

	if (n == size) {
		r = call_make(c, p, size, 0);
		present_end(p, size);
		return r;
	}
	if (n > 0)
		present_end(p, n);
	local = shim_real()->malloc(size);
	if (local) {
		r = call_carried(c, p, size, 0, local);
		shim_real()->free(local);
	}
	return r;
}

static bool is_message_socket(int fd)
{
	socklen_t size = sizeof(int);
	int type = SOCK_STREAM, error = errno;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		type = SOCK_STREAM;
	errno = error;
	return type != SOCK_STREAM;
}

static bool is_regular(int fd)
{
	struct stat status;
	int error = errno;
	bool regular = shim_real()->fstat(fd, &status) == 0 &&
		       (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));

	errno = error;
	return regular;
}

static ssize_t call_all(const struct call *c, const void *memory, size_t size)
{
	char *p = (char *)memory;
	size_t done = 0, tried, most = present_piece_max();
	bool all;

	if (c->kind != CALL_GETRANDOM && is_message_socket(c->fd))
		return call_whole(c, p, size);
	all = !call_fills(c) || c->kind == CALL_GETRANDOM ||
	      (c->flags & MSG_WAITALL) != 0 || is_regular(c->fd);
	while (done < size) {
		size_t n = size - done < most ? size - done : most;
		ssize_t r = call_piece(c, p + done, n, done, &tried);

		if (r < 0)
			return done > 0 ? (ssize_t)done : r;
		done += r;
		if ((size_t)r < tried || !all)
			break;
	}
	return done;
}

SHIM_EXPORT ssize_t read(int fd, void *p, size_t size)
{
	if (!present_needed(p, size))
		return shim_real()->read(fd, p, size);
	return call_all(&(struct call){ .kind = CALL_READ, .fd = fd }, p, size);
}

SHIM_EXPORT ssize_t write(int fd, const void *p, size_t size)
{
	if (!present_needed(p, size))
		return shim_real()->write(fd, p, size);
	return call_all(&(struct call){ .kind = CALL_WRITE, .fd = fd }, p,
			size);
}

SHIM_EXPORT ssize_t pread64(int fd, void *p, size_t size, off64_t offset)
{
	if (!present_needed(p, size))
		return shim_real()->pread64(fd, p, size, offset);
	return call_all(&(struct call){ .kind = CALL_PREAD,
					.fd = fd,
					.offset = offset },
			p, size);
}

SHIM_EXPORT ssize_t pwrite64(int fd, const void *p, size_t size, off64_t offset)
{
	if (!present_needed(p, size))
		return shim_real()->pwrite64(fd, p, size, offset);
	return call_all(&(struct call){ .kind = CALL_PWRITE,
					.fd = fd,
					.offset = offset },
			p, size);
}

SHIM_EXPORT ssize_t pread(int fd, void *p, size_t size, off_t offset)
	__attribute__((alias("pread64")));
SHIM_EXPORT ssize_t pwrite(int fd, const void *p, size_t size, off_t offset)
	__attribute__((alias("pwrite64")));

SHIM_EXPORT ssize_t recvfrom(int fd, void *p, size_t size, int flags,
			     struct sockaddr *from, socklen_t *from_size)
{
	if (!present_needed(p, size))
		return shim_real()->recvfrom(fd, p, size, flags, from,
					     from_size);
	return call_all(&(struct call){ .kind = CALL_RECVFROM,
					.fd = fd,
					.flags = flags,
					.from = from,
					.from_size = from_size },
			p, size);
}

SHIM_EXPORT ssize_t recv(int fd, void *p, size_t size, int flags)
{
	if (!present_needed(p, size))
		return shim_real()->recv(fd, p, size, flags);
	return recvfrom(fd, p, size, flags, NULL, NULL);
}

SHIM_EXPORT ssize_t sendto(int fd, const void *p, size_t size, int flags,
			   const struct sockaddr *to, socklen_t to_size)
{
	if (!present_needed(p, size))
		return shim_real()->sendto(fd, p, size, flags, to, to_size);
	return call_all(&(struct call){ .kind = CALL_SENDTO,
					.fd = fd,
					.flags = flags & ~MSG_WAITALL,
					.to = to,
					.to_size = to_size },
			p, size);
}

SHIM_EXPORT ssize_t send(int fd, const void *p, size_t size, int flags)
{
	if (!present_needed(p, size))
		return shim_real()->send(fd, p, size, flags);
	return sendto(fd, p, size, flags, NULL, 0);
}

SHIM_EXPORT ssize_t getrandom(void *p, size_t size, unsigned flags)
{
	if (!present_needed(p, size))
		return shim_real()->getrandom(p, size, flags);
	return call_all(&(struct call){ .kind = CALL_GETRANDOM,
					.flags = (int)flags },
			p, size);
}

/* --- vectors --------------------------------------------------------------------- */

/* A vector, or a message, for the kernel: our own copy of the list, its
 * pieces pinned, or all of them carried in one local buffer. */
struct vector {
	struct iovec local[VECTOR_MAX];
	const struct iovec *iov; /* the program's */
	int count;
	size_t size;	      /* of the program's, all */
	size_t pinned[VECTOR_MAX]; /* of each piece of ours */
	char *carried;
};

static bool vector_needed(const struct iovec *iov, int count)
{
	if (count <= 0 || !iov || shim_kernel_faults ||
	    !atomic_load_explicit(&shim_ready, memory_order_relaxed) ||
	    atomic_load_explicit(&block_high, memory_order_relaxed) == 0)
		return false;
	if (block_contains(iov, count * sizeof(*iov)))
		return true;
	for (int i = 0; i < count; i++)
		if (iov[i].iov_len > 0 &&
		    block_contains(iov[i].iov_base, iov[i].iov_len))
			return true;
	return false;
}

static void vector_unpin(struct vector *v)
{
	for (int i = 0; i < v->count; i++)
		if (v->pinned[i])
			present_end(v->local[i].iov_base, v->pinned[i]);
	v->count = 0;
}

/* Pins as much as goes, in order; the list ends where it did not. */
static bool vector_pin(struct vector *v, int count, bool fills)
{
	size_t most = present_piece_max();

	v->count = 0;
	for (int i = 0; i < count && i < VECTOR_MAX; i++) {
		struct iovec *l = &v->local[i];

		*l = v->iov[i];
		v->pinned[i] = 0;
		v->count = i + 1;
		if (l->iov_len == 0 || !block_contains(l->iov_base, l->iov_len))
			continue;
		v->pinned[i] = present_begin(
			l->iov_base, l->iov_len < most ? l->iov_len : most,
			fills);
		if (v->pinned[i] < l->iov_len) {
			l->iov_len = v->pinned[i];
			v->count = v->pinned[i] ? i + 1 : i;
			return false;
		}
	}
	return count <= VECTOR_MAX;
}

static void vector_scatter(struct vector *v, size_t size)
{
	size_t at = 0;

	for (int i = 0; at < size; i++) {
		size_t n = v->iov[i].iov_len;

		n = n < size - at ? n : size - at;
		memcpy(v->iov[i].iov_base, v->carried + at, n);
		at += n;
	}
}

/* Readies the list for a call. `whole`: it may not be cut. */
static int vector_begin(struct vector *v, const struct iovec *iov, int count,
			bool fills, bool whole)
{
	size_t at = 0;

	v->iov = iov;
	v->carried = NULL;
	v->size = 0;
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(v->size, iov[i].iov_len, &v->size)) {
			errno = EINVAL;
			return -1;
		}
	if (vector_pin(v, count, fills) || (!whole && v->count > 0))
		return 0;
	vector_unpin(v);
	if (!whole && v->size > BOUNCE_SIZE)
		v->size = BOUNCE_SIZE;
	v->carried = shim_real()->malloc(v->size ? v->size : 1);
	if (!v->carried)
		return -1;
	for (int i = 0; !fills && at < v->size; i++) {
		size_t n = iov[i].iov_len;

		n = n < v->size - at ? n : v->size - at;
		memcpy(v->carried + at, iov[i].iov_base, n);
		at += n;
	}
	v->local[0] = (struct iovec){ v->carried, v->size };
	v->pinned[0] = 0;
	v->count = 1;
	return 0;
}

static ssize_t vector_end(struct vector *v, ssize_t r, bool fills)
{
	int error = errno;

	if (!v->carried) {
		vector_unpin(v);
	} else {
		if (fills && r > 0)
			vector_scatter(v, (size_t)r < v->size ? (size_t)r
							      : v->size);
		shim_real()->free(v->carried);
	}
	errno = error;
	return r;
}

/* readv and its kin on files and streams, until a call comes back short. */
static ssize_t vector_all(const struct call *c, const struct iovec *iov,
			  int count)
{
	ssize_t done = 0;

	if (is_message_socket(c->fd)) {
		struct vector v;

		if (vector_begin(&v, iov, count, call_fills(c), true) < 0)
			return -1;
		done = call_fills(c)
			       ? shim_real()->readv(c->fd, v.local, v.count)
			       : shim_real()->writev(c->fd, v.local, v.count);
		return vector_end(&v, done, call_fills(c));
	}
	for (int i = 0; i < count; i++) {
		ssize_t r = 0;
		void *p = iov[i].iov_base;
		size_t n = iov[i].iov_len;

		if (n == 0)
			continue;
		/* Having got something, do not wait for more. */
		if (done > 0 && call_fills(c) && !is_regular(c->fd))
			break;
		if (present_needed(p, n)) {
			struct call piece = *c;

			piece.offset += done;
			r = call_all(&piece, p, n);
		} else {
			r = call_make(c, p, n, done);
		}
		if (r < 0)
			return done > 0 ? done : r;
		done += r;
		if ((size_t)r < n)
			break;
	}
	return done;
}

SHIM_EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
	if (!vector_needed(iov, count))
		return shim_real()->readv(fd, iov, count);
	return vector_all(&(struct call){ .kind = CALL_READ, .fd = fd }, iov,
			  count);
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	if (!vector_needed(iov, count))
		return shim_real()->writev(fd, iov, count);
	return vector_all(&(struct call){ .kind = CALL_WRITE, .fd = fd }, iov,
			  count);
}

SHIM_EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int count,
			     off64_t offset)
{
	if (!vector_needed(iov, count))
		return shim_real()->preadv64(fd, iov, count, offset);
	return vector_all(&(struct call){ .kind = CALL_PREAD,
					  .fd = fd,
					  .offset = offset },
			  iov, count);
}

SHIM_EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count,
			      off64_t offset)
{
	if (!vector_needed(iov, count))
		return shim_real()->pwritev64(fd, iov, count, offset);
	return vector_all(&(struct call){ .kind = CALL_PWRITE,
					  .fd = fd,
					  .offset = offset },
			  iov, count);
}

SHIM_EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count,
			   off_t offset)
	__attribute__((alias("preadv64")));
SHIM_EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count,
			    off_t offset)
	__attribute__((alias("pwritev64")));

/* --- messages --------------------------------------------------------------------- */

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	struct vector v;
	struct msghdr local;
	ssize_t r;

	if (!vector_needed(message->msg_iov, (int)message->msg_iovlen))
		return shim_real()->recvmsg(fd, message, flags);
	if (vector_begin(&v, message->msg_iov, (int)message->msg_iovlen, true,
			 is_message_socket(fd) ||
				 (flags & MSG_WAITALL) != 0) < 0)
		return -1;
	local = *message;
	local.msg_iov = v.local;
	local.msg_iovlen = v.count;
	r = vector_end(&v, shim_real()->recvmsg(fd, &local, flags), true);
	message->msg_namelen = local.msg_namelen;
	message->msg_controllen = local.msg_controllen;
	message->msg_flags = local.msg_flags;
	return r;
}

SHIM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct vector v;
	struct msghdr local;

	if (!vector_needed(message->msg_iov, (int)message->msg_iovlen))
		return shim_real()->sendmsg(fd, message, flags);
	/* Whole on streams too: a short sendmsg() surprises programs that
	 * send descriptors along. */
	if (vector_begin(&v, message->msg_iov, (int)message->msg_iovlen, false,
			 true) < 0)
		return -1;
	local = *message;
	local.msg_iov = v.local;
	local.msg_iovlen = v.count;
	return vector_end(&v, shim_real()->sendmsg(fd, &local, flags), false);
}
