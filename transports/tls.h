/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control streams over TLS 1.3: both sides show a certificate of the same authority, or that
 * they have the same pre-shared key.
 *
 * A credential file (PEM, mode 600) has a private key, the certificate that belongs to
 * it, and, after it, the certificate of the authority. `extmem auth` writes such files.
 * If there is a file revoked.pem beside it, it is the authority's list of certificates
 * that are no longer accepted.
 *
 * The name in a certificate (CN) is the identity of its owner. What it may be used for
 * (extended key usage) says whether it is a client's or an appliance's, so that a client
 * cannot pose as an appliance.
 *
 * Instead it may have pre-shared keys (common/psk.h): the name of a key is the identity of the
 * client that has it, and a name that is gone from the file is revoked. A side has one or the
 * other.
 *
 * tls.c reads credentials, tls_psk.c has what is of keys, tls_io.c has streams, tls_words.c says why one failed,
 * tls_library.c loads OpenSSL. tls_none.c stands for all of them where there is none.
 *
 * Floor: skin.
 */
#ifndef XM_TLS_H
#define XM_TLS_H

#include "transports/stream_io.h"

struct xm_tls;

/* Reads the credential file, and revoked.pem. `accepts`: for an appliance. -EACCES others
 * may read the file, -EKEYEXPIRED by the clock here it is not valid, -EINVAL its contents,
 * -ENOENT, ...; -ELIBACC no OpenSSL, -ENOSYS built without: `words` says it. After 0 they
 * are a remark: how many are revoked, and whether our own ends soon; or how many keys. */
int xm_tls_open(const char *path, bool accepts, char *words, size_t words_size,
		struct xm_tls **ret);
/* Reads the files again, for streams that begin from now on. After a failure what was
 * read before stays. */
int xm_tls_reload(struct xm_tls *, char *words, size_t words_size);
/* Streams that have begun go on. */
void xm_tls_close(struct xm_tls *);
/* Is the certificate or key that this stream has shown no longer accepted? */
bool xm_tls_refuses(struct xm_tls *, const struct xm_stream_io *);

/* A stream's io->tls says with which credentials. */
extern const struct xm_stream_io_ops xm_stream_io_tls;

#endif
