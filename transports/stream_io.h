/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the bytes of a control stream pass its socket: as they are, or encrypted
 * (tls.h). A vtable in the shape of libnbd's socket_ops; stream.c calls it and
 * nothing else reads or writes a stream's socket.
 *
 * Every function is required and none blocks. -EAGAIN: nothing moved; wants()
 * says for which event of the socket to wait. One thread at a time for each
 * stream. Floor: skin.
 */
#ifndef XM_STREAM_IO_H
#define XM_STREAM_IO_H

#include <sys/types.h>

#include "core/pure/channel.h"

struct xm_tls;

/* What wants() returns, or-ed. */
#define XM_WANTS_READ 1U
#define XM_WANTS_WRITE 2U

struct xm_stream_io {
	int fd;	     /* a connected nonblocking socket; the caller closes it */
	bool accepted; /* the other side connected */
	bool blocked;  /* the last send() took nothing */
	void *state;   /* the implementation's own */
	struct xm_tls *tls; /* the caller's, of an encrypted stream */
	/* Who the other side is, once the handshake is done; "": unknown. */
	char identity[XM_IDENTITY_SIZE];
	char words[256]; /* why it failed, or "": there is no more to say */
};

struct xm_stream_io_ops {
	/* Begins on io->fd. 0, or -errno; then end() is not called. */
	int (*begin)(struct xm_stream_io *);
	/* Goes on with the handshake: 0 it is done, -EAGAIN, or -errno: the
	 * stream has failed. */
	int (*shake)(struct xm_stream_io *);
	/* Up to `size` bytes that came. 0: the stream has ended. */
	ssize_t (*recv)(struct xm_stream_io *, void *bytes, size_t size);
	ssize_t (*send)(struct xm_stream_io *, const void *bytes, size_t size);
	/* Is there more to recv() that the socket does not show? */
	bool (*holds)(const struct xm_stream_io *);
	unsigned (*wants)(const struct xm_stream_io *);
	/* Tells the other side that nothing more comes from here. */
	void (*finish)(struct xm_stream_io *);
	void (*end)(struct xm_stream_io *);
};

/* The bytes as they are: no encryption; who connects by a unix socket is known. */
extern const struct xm_stream_io_ops xm_stream_io_plain;

#endif
