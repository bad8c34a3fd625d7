/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a control stream, encrypted; see tls.h.
 *
 * OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE in the program we are
 * a guest of; so the socket has a BIO of ours. It also counts what a stranger sends,
 * and looks at its first bytes, which tell a stream without TLS.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "transports/tls_parts.h"

/* --- the socket ------------------------------------------------------------------ */

static ssize_t again(ssize_t n)
{
	return n < 0 && errno == EINTR;
}

static int socket_read(BIO *bio, char *bytes, int size)
{
	struct xm_tls_stream *s = xm_ssl.BIO_get_data(bio);
	size_t limit = (size_t)size;
	ssize_t n;

	xm_ssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	if (!s->done)
		limit = xm_min(limit, XM_CHANNEL_HANDSHAKE_SIZE - s->came);
	/* New keys for ever, say. */
	if (limit == 0 || s->idle > XM_TLS_IDLE_SIZE) {
		snprintf(s->io->words, sizeof(s->io->words),
			 "it sends TLS without end that carries no message");
		s->status = -EPROTO;
		return -1;
	}
	do
		n = recv(s->io->fd, bytes, limit, 0);
	while (again(n));
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		xm_ssl.BIO_set_flags(bio, BIO_FLAGS_READ |
						  BIO_FLAGS_SHOULD_RETRY);
	else if (n <= 0)
		s->status = n < 0 ? -errno : -ECONNRESET;
	for (ssize_t i = 0; i < n && s->came + (size_t)i < sizeof(s->first); i++)
		s->first[s->came + (size_t)i] = (uint8_t)bytes[i];
	if (n > 0 && !s->done)
		s->came += (uint32_t)n;
	else if (n > 0)
		s->idle += (uint32_t)n;
	/* OpenSSL would wait for more than such a stream begins with. */
	if (!s->done && s->came >= sizeof(s->first) && xm_tls_is_plain(s)) {
		s->status = -EPROTO;
		return -1;
	}
	return (int)n;
}

static int socket_write(BIO *bio, const char *bytes, int size)
{
	struct xm_tls_stream *s = xm_ssl.BIO_get_data(bio);
	ssize_t n;

	xm_ssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
	do
		n = send(s->io->fd, bytes, (size_t)size, MSG_NOSIGNAL);
	while (again(n));
	s->io->blocked = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	if (s->io->blocked)
		xm_ssl.BIO_set_flags(bio, BIO_FLAGS_WRITE |
						  BIO_FLAGS_SHOULD_RETRY);
	else if (n < 0)
		s->status = -errno;
	return (int)n;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO *socket_new(struct xm_tls_stream *s)
{
	BIO_METHOD *m = xm_ssl.socket;
	BIO *bio;

	if (m == NULL) {
		m = xm_ssl.BIO_meth_new(xm_ssl.BIO_get_new_index() |
						BIO_TYPE_SOURCE_SINK,
					"extmem");
		if (m == NULL)
			return NULL;
		xm_ssl.BIO_meth_set_read(m, socket_read);
		xm_ssl.BIO_meth_set_write(m, socket_write);
		xm_ssl.BIO_meth_set_ctrl(m, socket_control);
		xm_ssl.socket = m;
	}
	bio = xm_ssl.BIO_new(m);
	if (bio != NULL) {
		xm_ssl.BIO_set_data(bio, s);
		xm_ssl.BIO_set_init(bio, 1);
	}
	return bio;
}

/* --- the stream ------------------------------------------------------------------ */

static int begin(struct xm_stream_io *io, struct xm_tls_stream *s)
{
	struct xm_tls *tls = io->tls;
	BIO *bio;
	int rc = 0;

	/* The other side would say so less clearly. */
	if (!tls->accepts && tls->has.own != NULL)
		rc = xm_tls_own_dates(tls->has.own, tls->path, io->words,
				      sizeof(io->words));
	if (rc != 0)
		return rc;
	s->io = io;
	s->ssl = xm_ssl.SSL_new(tls->has.context);
	bio = s->ssl == NULL ? NULL : socket_new(s);
	if (bio == NULL) {
		xm_ssl.SSL_free(s->ssl);
		return -ENOMEM;
	}
	xm_ssl.SSL_set_bio(s->ssl, bio, bio);
	(void)xm_ssl.SSL_set_ex_data(s->ssl, 0, s);
	if (io->accepted)
		xm_ssl.SSL_set_accept_state(s->ssl);
	else
		xm_ssl.SSL_set_connect_state(s->ssl);
	io->state = s;
	return 0;
}

static int tls_begin(struct xm_stream_io *io)
{
	struct xm_tls_stream *s = calloc(1, sizeof(*s));
	int rc = s == NULL ? -ENOMEM : -ESHUTDOWN;

	io->blocked = false;
	io->state = NULL;
	if (s != NULL && xm_ssl_enter()) {
		rc = begin(io, s);
		xm_ssl_leave();
	}
	if (rc != 0)
		free(s);
	return rc;
}

/* -EAGAIN, or why it failed. */
static int failed(struct xm_tls_stream *s, int n)
{
	int error = xm_ssl.SSL_get_error(s->ssl, n);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	return xm_tls_why(s);
}

static int is_known(struct xm_tls_stream *s)
{
	const X509 *x;

	if (s->io->tls->has.keys != NULL)
		return xm_tls_keys_known(s);
	x = xm_ssl.SSL_get0_peer_certificate(s->ssl);
	if (x != NULL && xm_tls_name(x, s->io->identity)) {
		s->done = true;
		return 0;
	}
	snprintf(s->io->words, sizeof(s->io->words),
		 "its certificate has no name that can be an identity");
	return -EKEYREJECTED;
}

static int tls_shake(struct xm_stream_io *io)
{
	struct xm_tls_stream *s = io->state;
	int n, rc;

	if (!xm_ssl_enter())
		return -ESHUTDOWN;
	xm_ssl.ERR_clear_error();
	n = xm_ssl.SSL_do_handshake(s->ssl);
	rc = n == 1 ? is_known(s) : failed(s, n);
	xm_ssl.ERR_clear_error();
	xm_ssl_leave();
	return rc;
}

static ssize_t tls_recv(struct xm_stream_io *io, void *bytes, size_t size)
{
	struct xm_tls_stream *s = io->state;
	int n;

	if (!xm_ssl_enter())
		return -ESHUTDOWN;
	xm_ssl.ERR_clear_error();
	n = xm_ssl.SSL_read(s->ssl, bytes, (int)xm_min(size, INT32_MAX));
	s->holds = xm_ssl.SSL_pending(s->ssl) > 0;
	if (n > 0)
		s->idle = 0;
	else
		n = xm_ssl.SSL_get_error(s->ssl, n) == SSL_ERROR_ZERO_RETURN
			    ? 0 : failed(s, n);
	xm_ssl.ERR_clear_error();
	xm_ssl_leave();
	return n;
}

static ssize_t tls_send(struct xm_stream_io *io, const void *bytes, size_t size)
{
	struct xm_tls_stream *s = io->state;
	int n;

	if (!xm_ssl_enter())
		return -ESHUTDOWN;
	xm_ssl.ERR_clear_error();
	n = xm_ssl.SSL_write(s->ssl, bytes, (int)xm_min(size, INT32_MAX));
	if (n <= 0)
		n = failed(s, n);
	xm_ssl.ERR_clear_error();
	xm_ssl_leave();
	return n;
}

static bool tls_holds(const struct xm_stream_io *io)
{
	const struct xm_tls_stream *s = io->state;

	return s->holds;
}

static unsigned tls_wants(const struct xm_stream_io *io)
{
	return XM_WANTS_READ | (io->blocked ? XM_WANTS_WRITE : 0);
}

static void tls_finish(struct xm_stream_io *io)
{
	struct xm_tls_stream *s = io->state;

	if (s->done && xm_ssl_enter()) {
		(void)xm_ssl.SSL_shutdown(s->ssl);
		xm_ssl.ERR_clear_error();
		xm_ssl_leave();
	}
	(void)shutdown(io->fd, SHUT_WR);
}

static void tls_end(struct xm_stream_io *io)
{
	struct xm_tls_stream *s = io->state;
	char unread[4096];

	if (!s->done) {
		/* So that closing does not overtake the alert that says why. */
		(void)shutdown(io->fd, SHUT_WR);
		for (int i = 0; i < 4; i++)
			if (recv(io->fd, unread, sizeof(unread), 0) <= 0)
				break;
	}
	if (xm_ssl_enter()) {
		xm_ssl.SSL_free(s->ssl);
		xm_ssl_leave();
	}
	free(s);
	io->state = NULL;
}

const struct xm_stream_io_ops xm_stream_io_tls = {
	.begin = tls_begin,
	.shake = tls_shake,
	.recv = tls_recv,
	.send = tls_send,
	.holds = tls_holds,
	.wants = tls_wants,
	.finish = tls_finish,
	.end = tls_end,
};
