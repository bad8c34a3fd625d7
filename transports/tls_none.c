/* SPDX-License-Identifier: BSD-3-Clause */
/* Built without OpenSSL: whoever has credentials is told so. Floor: skin. */
#include <errno.h>
#include <stdio.h>

#include "transports/tls.h"

int xm_tls_open(const char *path, bool accepts, char *words, size_t words_size,
		struct xm_tls **ret)
{
	(void)path;
	(void)accepts;
	(void)ret;
	snprintf(words, words_size, "this build has no TLS: configure and build it"
		 " again with OpenSSL (Debian: libssl-dev)");
	return -ENOSYS;
}

int xm_tls_reload(struct xm_tls *tls, char *words, size_t words_size)
{
	(void)tls;
	(void)words;
	(void)words_size;
	return -ENOSYS;
}

void xm_tls_close(struct xm_tls *tls)
{
	(void)tls;
}

bool xm_tls_refuses(struct xm_tls *tls, const struct xm_stream_io *io)
{
	(void)tls;
	(void)io;
	return false;
}

/* No stream begins: there is no struct xm_tls. */
const struct xm_stream_io_ops xm_stream_io_tls;
