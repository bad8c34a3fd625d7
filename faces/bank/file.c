/* SPDX-License-Identifier: BSD-3-Clause */
/* How the file is served; see file.h. Floor: program. */
#include "faces/bank/file.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"

#define PIECE (1 * XM_MIB) /* of a read or write */
#define READ_AHEAD (64 * XM_KIB)
#define ROOM (PIECE + 64 * XM_KIB)
#define FOR_EVER UINT32_MAX /* seconds that attributes are good for */

struct server {
	pthread_rwlock_t lock; /* held for reading while the region is used */
	int connection;
	extmem_region *region;
	uint64_t size;
	bank_failed *failed;
};

struct request {
	struct server *server;
	const struct fuse_in_header *head;
	const void *body;
	uint8_t *room; /* for what was read */
};

static void answer(const struct request *r, int error, const void *body, size_t size)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + size), .error = -error,
		.unique = r->head->unique,
	};
	struct iovec parts[] = {
		{ .iov_base = &head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = size },
	};

	/* ENOENT: whoever asked was killed meanwhile. */
	if (writev(r->server->connection, parts, size > 0 ? 2 : 1) < 0 && errno != ENOENT)
		r->server->failed("the kernel takes no answers");
}

static void attributes(const struct server *s, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = FUSE_ROOT_ID, .size = s->size, .blocks = s->size / 512,
		.mode = S_IFREG | 0600, .nlink = 1, .uid = geteuid(), .gid = getegid(),
		.blksize = XM_PAGE,
	};
}

static void on_init(const struct request *r)
{
	const struct fuse_init_in *in = r->body;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = xm_min(in->minor, (uint32_t)FUSE_KERNEL_MINOR_VERSION),
		.max_readahead = xm_min(in->max_readahead, (uint32_t)READ_AHEAD),
		.flags = in->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES),
		.max_background = 4 * BANK_THREADS,
		.congestion_threshold = 3 * BANK_THREADS,
		.max_write = PIECE,
		.time_gran = 1,
		.max_pages = PIECE / XM_PAGE,
	};

	answer(r, in->major == out.major ? 0 : EPROTO, &out, sizeof(out));
}

static void on_attributes(const struct request *r)
{
	struct fuse_attr_out out = { .attr_valid = FOR_EVER };

	attributes(r->server, &out.attr);
	answer(r, 0, &out, sizeof(out));
}

static void on_open(const struct request *r)
{
	struct fuse_open_out out = { .open_flags = FOPEN_KEEP_CACHE };

	answer(r, 0, &out, sizeof(out));
}

static void on_read(const struct request *r)
{
	const struct fuse_read_in *in = r->body;
	const struct server *s = r->server;
	uint64_t size = in->offset < s->size ? xm_min(in->size, s->size - in->offset) : 0;

	if (size > PIECE || (size > 0 && extmem_read(s->region, in->offset, r->room, size) < 0))
		s->failed(size > PIECE ? "the kernel reads more than was agreed on"
				       : extmem_error());
	answer(r, 0, r->room, size);
}

static void on_write(const struct request *r)
{
	const struct fuse_write_in *in = r->body;
	const struct server *s = r->server;
	struct fuse_write_out out = { .size = in->size };

	if (!xm_span_fits(in->offset, in->size, s->size))
		answer(r, EFBIG, NULL, 0);
	else if (extmem_write(s->region, in->offset, in + 1, in->size) < 0)
		s->failed(extmem_error());
	else
		answer(r, 0, &out, sizeof(out));
}

/* What was lent and is not any more is fresh again: it reads as zero, and nothing is sent. */
static void on_allocate(const struct request *r)
{
	const struct fuse_fallocate_in *in = r->body;
	const struct server *s = r->server;

	if (!xm_span_fits(in->offset, in->length, s->size))
		answer(r, EFBIG, NULL, 0);
	else if ((in->mode & FALLOC_FL_PUNCH_HOLE) == 0)
		answer(r, EOPNOTSUPP, NULL, 0);
	else if (extmem_advise(s->region, in->offset, in->length, EXTMEM_DONTNEED) < 0)
		s->failed(extmem_error());
	else
		answer(r, 0, NULL, 0);
}

static void serve(const struct request *r)
{
	switch (r->head->opcode) {
	case FUSE_INIT:
		on_init(r);
		return;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		on_attributes(r);
		return;
	case FUSE_OPEN:
		on_open(r);
		return;
	case FUSE_READ:
		on_read(r);
		return;
	case FUSE_WRITE:
		on_write(r);
		return;
	case FUSE_FALLOCATE:
		on_allocate(r);
		return;
	case FUSE_FSYNC: /* a write was answered when appliances had it */
	case FUSE_RELEASE:
		answer(r, 0, NULL, 0);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return; /* nobody waits for an answer */
	default:
		answer(r, ENOSYS, NULL, 0);
	}
}

static void *run(void *argument)
{
	struct server *s = argument;
	uint8_t *in = malloc(ROOM);
	struct request r = { .server = s, .room = malloc(ROOM) };

	if (in == NULL || r.room == NULL)
		s->failed("out of memory");
	memset(in, 0, ROOM);
	memset(r.room, 0, ROOM);
	for (;;) {
		ssize_t n = read(s->connection, in, ROOM);

		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		/* ENODEV: nobody has the file any more. */
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return NULL;
		r.head = (const struct fuse_in_header *)in;
		r.body = r.head + 1;
		pthread_rwlock_rdlock(&s->lock);
		serve(&r);
		pthread_rwlock_unlock(&s->lock);
	}
}

static struct server server;

int bank_serve(int connection, extmem_region *region, bank_failed *failed)
{
	pthread_t thread;
	int error = 0;

	pthread_rwlock_init(&server.lock, NULL);
	server.connection = connection;
	server.region = region;
	server.size = extmem_region_size(region);
	server.failed = failed;
	for (int i = 0; error == 0 && i < BANK_THREADS; i++) {
		error = pthread_create(&thread, NULL, run, &server);
		if (error == 0)
			pthread_detach(thread);
	}
	return -error;
}

void bank_stop(void)
{
	pthread_rwlock_wrlock(&server.lock);
}
