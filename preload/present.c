/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that read or write the program's memory.
 *
 * With faults served inline the kernel cannot touch an absent page: the call would fail
 * with EFAULT. So an external buffer is pinned first, in pieces of at most PIECE_MAX, and
 * the call is made for each piece. Small buffers go through the thread's bounce buffer
 * instead, and so does a piece that cannot be pinned because other threads have pinned
 * half of the local memory.
 *
 * The program sees one call. Reads of a regular file, and all writes, go on until the
 * count is reached or a call comes back short. Of a pipe, a terminal or a stream socket
 * one piece is read, which may be short, as it may be without us. Datagrams go as a whole:
 * one that cannot be pinned at once is copied to local memory. So are buffers of MSG_PEEK,
 * and buffers that the kernel keeps after the call (MSG_ZEROCOPY). If a write to a file
 * takes several pieces, writes of other threads of this process to that file wait (alone.c).
 */
#include "preload/record.h"
#include "preload/reserve.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

#define PIECE_MAX (size_t)(1 << 20)
#define BOUNCE_SIZE 8192
#define LENT_MAX (size_t)(16 << 20)

size_t present_begin(const void *address, size_t size, bool write)
{
	int error = errno;
	bool local;
	int64_t n;

	if (size == 0)
		return 0;
	size = reserve_alike(address, size, &local);
	if (local)
		return size;
	if (atomic_load(&child_serves)) {
		handler_pinned(address, size);
		return child_pin(address, size, write);
	}
	shim_enter();
	n = extmem_pin(shim_client, address, size, write);
	shim_leave();
	errno = error;
	atomic_fetch_add_explicit(&shim_shared->call_count, 1,
				  memory_order_relaxed);
	if (n <= 0)
		return 0;
	record_present(address, (size_t)n, write);
	handler_pinned(address, (size_t)n);
	return (size_t)n;
}

void present_end(const void *address, size_t size)
{
	int error = errno;
	bool local;

	reserve_alike(address, size, &local);
	if (local)
		return;
	handler_unpinned(address);
	if (atomic_load(&child_serves)) {
		child_unpin();
		return;
	}
	shim_enter();
	extmem_unpin(shim_client, address, size);
	shim_leave();
	errno = error;
}

void *local_take(size_t size)
{
	long r = shim_raw(SYS_mmap, 0, (long)(size ? size : 1),
			  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (r > 0)
		return (void *)r;
	errno = ENOMEM;
	return NULL;
}

void local_give(void *p, size_t size)
{
	shim_raw(SYS_munmap, (long)p, (long)(size ? size : 1), 0, 0, 0, 0);
}

size_t present_piece_max(void)
{
	size_t n = budget_local() / 8 & ~(SHIM_PAGE - 1);

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

ssize_t present_call(long number, long a, long b, long c, long d, long e,
		     long f)
{
	int type;
	long r;

	/* As libc does it: a thread that sleeps in a call can be cancelled. In
	 * a trapped call libc has done it, or did not want to. */
	if (trap_inside) {
		r = shim_raw(number, a, b, c, d, e, f);
	} else {
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
		r = shim_raw(number, a, b, c, d, e, f);
		pthread_setcanceltype(type, NULL);
	}
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

static ssize_t call_make(const struct call *c, void *p, size_t size,
			 size_t done)
{
	long at = (long)p, n = (long)size, fd = c->fd;

	switch (c->kind) {
	case CALL_READ:
		return present_call(SYS_read, fd, at, n, 0, 0, 0);
	case CALL_PREAD:
		return present_call(SYS_pread64, fd, at, n,
				    c->offset + (long)done, 0, 0);
	case CALL_RECVFROM:
		return present_call(SYS_recvfrom, fd, at, n, c->flags,
				    (long)c->from, (long)c->from_size);
	case CALL_GETRANDOM:
		return present_call(SYS_getrandom, at, n, c->flags, 0, 0, 0);
	case CALL_WRITE:
		return present_call(SYS_write, fd, at, n, 0, 0, 0);
	case CALL_PWRITE:
		return present_call(SYS_pwrite64, fd, at, n,
				    c->offset + (long)done, 0, 0);
	case CALL_SENDTO:
		return present_call(SYS_sendto, fd, at, n, c->flags,
				    (long)c->to, c->to_size);
	}
	return -1;
}

struct pinned {
	const void *address;
	size_t size;
};

static void unpin(void *p)
{
	const struct pinned *pinned = p;

	present_end(pinned->address, pinned->size);
}

/* A thread that is cancelled in the call leaves nothing pinned. */
static ssize_t call_pinned(const struct call *c, void *p, size_t size,
			   size_t done)
{
	struct pinned pinned = { p, size };
	ssize_t r;

	pthread_cleanup_push(unpin, &pinned);
	r = call_make(c, p, size, done);
	pthread_cleanup_pop(1);
	return r;
}

static ssize_t call_bounced(const struct call *c, char *p, size_t size,
			    size_t done, char *local)
{
	ssize_t r;

	/* What is cut off is thrown away, and not written. */
	if (!call_fills(c) || (c->kind == CALL_RECVFROM &&
			       (c->flags & MSG_TRUNC) != 0))
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

	if (n > 0) {
		*ret_tried = n;
		return call_pinned(c, p, n, done);
	}
	n = size < BOUNCE_SIZE ? size : BOUNCE_SIZE;
	*ret_tried = n;
	return call_bounced(c, p, n, done, bounce);
}

/* Message boundaries count: all at once or not at all. */
static ssize_t call_whole(const struct call *c, char *p, size_t size)
{
	size_t n = present_begin(p, size, call_fills(c));
	ssize_t r = -1;
	char *local;

	if (n == size)
		return call_pinned(c, p, size, 0);
	if (n > 0)
		present_end(p, n);
	local = local_take(size);
	if (local) {
		r = call_bounced(c, p, size, 0, local);
		local_give(local, size);
	}
	return r;
}

/* MSG_ZEROCOPY: the kernel keeps the pages after the call, and reports on the
 * socket's error queue when it is done. So each call has new pages, which are
 * unmapped at once: the kernel still holds them, and nobody can write to them. */
struct lent {
	void *local;
	size_t size;
};

static void lent_give(void *p)
{
	const struct lent *lent = p;

	local_give(lent->local, lent->size);
}

static ssize_t call_lent(const struct call *c, char *p, size_t size)
{
	struct lent lent = { .size = size };
	ssize_t r;

	if (size > LENT_MAX && !present_is_message_socket(c->fd))
		lent.size = LENT_MAX; /* a stream may take less */
	lent.local = local_take(lent.size);
	if (!lent.local)
		return -1;
	pthread_cleanup_push(lent_give, &lent);
	r = call_bounced(c, p, lent.size, 0, lent.local);
	pthread_cleanup_pop(1);
	return r;
}

/* A part of the memory has not the right: what the kernel does then, how much it does
 * before and what it says, depends on what the descriptor is. So it is asked, with a copy
 * that ends where the right does. Also bytes behind those that it counts may be filled. */
static ssize_t call_denied(const struct call *c, char *p, size_t size, size_t may)
{
	size_t offset = (uintptr_t)p % SHIM_PAGE, end = may > 0 ? offset + may : 0;
	struct lent lent = { .size = end + SHIM_PAGE };
	char *local;
	ssize_t r;

	lent.local = local_take(lent.size);
	if (!lent.local)
		return -1;
	local = (char *)lent.local + offset;
	pthread_cleanup_push(lent_give, &lent);
	memcpy(local, p, may);
	shim_raw(SYS_mprotect, (long)lent.local + (long)end, SHIM_PAGE,
		 PROT_NONE, 0, 0, 0);
	r = call_make(c, local, size, 0);
	if (call_fills(c))
		memcpy(p, local, may);
	pthread_cleanup_pop(1);
	return r;
}

/* --- what the descriptor is ------------------------------------------------------ */

bool present_is_message_socket(int fd)
{
	socklen_t size = sizeof(int);
	int type = SOCK_STREAM, error = errno;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		type = SOCK_STREAM;
	errno = error;
	return type != SOCK_STREAM;
}

bool present_is_regular(int fd)
{
	struct stat status;
	int error = errno;
	bool regular = shim_real()->fstat(fd, &status) == 0 &&
		       (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));

	errno = error;
	return regular;
}

/* Up to BOUNCE_MAX bytes a copy costs less than pinning, and it is one call
 * whatever the descriptor is. A signal handler that interrupts finds the thread's
 * bounce buffer in use. */
static bool call_small(const struct call *c, char *p, size_t size, ssize_t *ret)
{
	struct bounce bounce;
	char *local = size <= BOUNCE_MAX ? thread_bounce_take(&bounce) : NULL;

	if (!local)
		return false;
	pthread_cleanup_push(thread_bounce_give, &bounce);
	*ret = call_bounced(c, p, size, 0, local);
	pthread_cleanup_pop(1);
	return true;
}

static ssize_t call_pieces(const struct call *c, char *p, size_t size)
{
	size_t done = 0, tried, most = present_piece_max();
	bool all = !call_fills(c) || c->kind == CALL_GETRANDOM ||
		   (c->flags & MSG_WAITALL) != 0 || present_is_regular(c->fd);

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

/* At a file's place or end: whole if it can be had at once, for the sake of
 * other processes; else nobody of this one comes in between. */
static ssize_t call_alone(const struct call *c, char *p, size_t size)
{
	size_t n = size > BOUNCE_MAX ? present_begin(p, size, false) : 0;

	if (n == size)
		return call_pinned(c, p, size, 0);
	if (n > 0)
		present_end(p, n);
	return size <= PIECE_MAX ? call_lent(c, p, size)
				 : call_pieces(c, p, size);
}

static ssize_t call_all(const struct call *c, const void *memory, size_t size)
{
	bool socket = c->kind == CALL_RECVFROM || c->kind == CALL_SENDTO,
	     file = c->kind == CALL_WRITE || c->kind == CALL_PWRITE;
	size_t may = rights_permit(memory, size, call_fills(c));
	char *p = (char *)memory;
	struct alone alone;
	ssize_t r;

	if (may < size && may <= LENT_MAX)
		return call_denied(c, p, size, may);
	size = may; /* a file, as a rule: it is short */
	if (c->kind == CALL_SENDTO && (c->flags & MSG_ZEROCOPY) != 0)
		return call_lent(c, p, size);
	if (file && (size > BOUNCE_MAX || alone_needed()) &&
	    alone_begin(c->fd, &alone)) {
		pthread_cleanup_push(alone_end, &alone);
		r = call_alone(c, p, size);
		pthread_cleanup_pop(1);
		return r;
	}
	if (call_small(c, p, size, &r))
		return r;
	/* What is peeked at is there again, piece by piece. */
	if ((socket && (c->flags & MSG_PEEK) != 0) ||
	    (c->kind != CALL_GETRANDOM && present_is_message_socket(c->fd)))
		return call_whole(c, p, size);
	return call_pieces(c, p, size);
}

SHIM_EXPORT ssize_t read(int fd, void *p, size_t size)
{
	if (!present_needed(p, size))
		return shim_real()->read(fd, p, size);
	return call_all(&(struct call){ .kind = CALL_READ, .fd = fd }, p, size);
}

SHIM_EXPORT ssize_t write(int fd, const void *p, size_t size)
{
	const struct call c = { .kind = CALL_WRITE, .fd = fd };
	struct alone alone;
	ssize_t r;

	if (present_needed(p, size))
		return call_all(&c, p, size);
	if (!alone_needed() || shim_inside ||
	    !alone_begin(fd, &alone))
		return shim_real()->write(fd, p, size);
	pthread_cleanup_push(alone_end, &alone);
	r = shim_real()->write(fd, p, size);
	pthread_cleanup_pop(1);
	return r;
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

static ssize_t receive(const struct call *c, void *p, size_t size)
{
	if (!present_needed(p, size))
		return call_make(c, p, size, 0);
	return call_all(c, p, size);
}

SHIM_EXPORT ssize_t recvfrom(int fd, void *p, size_t size, int flags,
			     struct sockaddr *from, socklen_t *from_size)
{
	struct call c = { .kind = CALL_RECVFROM, .fd = fd, .flags = flags,
			  .from = from, .from_size = from_size };
	struct sockaddr_storage local;
	socklen_t local_size;
	ssize_t r;

	if (!present_needed(p, size) && !present_needed(from, 1) &&
	    !present_needed(from_size, 1))
		return shim_real()->recvfrom(fd, p, size, flags, from,
					     from_size);
	if (!from || !from_size)
		return receive(&c, p, size);
	if (rights_permit(from_size, sizeof(*from_size), true) <
		    sizeof(*from_size) ||
	    rights_permit(from, *from_size, true) < *from_size) {
		errno = EFAULT;
		return -1;
	}
	local_size = *from_size < sizeof(local) ? *from_size : sizeof(local);
	c.from = (struct sockaddr *)&local;
	c.from_size = &local_size;
	r = receive(&c, p, size);
	if (r >= 0) {
		memcpy(from, &local,
		       local_size < *from_size ? local_size : *from_size);
		*from_size = local_size;
	}
	return r;
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
	struct call c = { .kind = CALL_SENDTO, .fd = fd,
			  .flags = flags & ~MSG_WAITALL, .to = to,
			  .to_size = to_size };
	struct sockaddr_storage local;

	if (!present_needed(p, size) && !present_needed(to, 1))
		return shim_real()->sendto(fd, p, size, flags, to, to_size);
	if (present_needed(to, 1) && to_size <= sizeof(local) &&
	    rights_permit(to, to_size, false) == to_size) {
		memcpy(&local, to, to_size);
		c.to = (struct sockaddr *)&local;
	}
	if (!present_needed(p, size))
		return call_make(&c, (void *)p, size, 0);
	return call_all(&c, p, size);
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
