/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of tls.h share. Floor: skin. */
#ifndef XM_TLS_PARTS_H
#define XM_TLS_PARTS_H

#include "common/psk.h"
#include "transports/tls.h"
#include "transports/tls_library.h"

/* Bytes of records, one after the other, that have nothing in them for us; more than the
 * longest record. */
#define XM_TLS_IDLE_SIZE (32 * 1024)

#define XM_TLS_DATE_SIZE 24

/* What was read from files, and is replaced as one. */
struct xm_tls_contents {
	SSL_CTX *context;
	X509 *own;   /* the context's; NULL: there are pre-shared keys instead */
	struct xm_psk *keys; /* NULL: there are certificates */
	uint32_t key_count;
	bool listed; /* there was a list of revoked certificates */
	int revoked; /* how many it has */
};

struct xm_tls {
	bool accepts;
	struct xm_tls_contents has;
	char path[4096];
};

struct xm_tls_stream {
	SSL *ssl;
	struct xm_stream_io *io;
	bool done;     /* the handshake */
	bool holds;    /* more of a record that came than was asked for */
	int status;    /* of the socket, where it failed */
	int refused;   /* why we do not accept the other's certificate, or 0 */
	bool offered;  /* the other side says that it has a pre-shared key, */
	bool unknown;  /* which is none that we have, */
	char name[XM_PSK_NAME_SIZE]; /* by this name; "": by none that can be one */
	bool keyed;    /* it was shown that it has */
	uint32_t came; /* bytes before the handshake was done */
	uint32_t idle; /* bytes since then, or since the last that were for us */
	uint8_t first[4];
};

/* --- tls_psk.c --------------------------------------------------------------- */

/* Returns how many keys such a file has, with room for XM_PSK_MAX, or -errno and words. */
int xm_tls_keys_read(const char *text, size_t size, const struct xm_tls *,
		     struct xm_psk **ret, char *words, size_t words_size);
void xm_tls_keys_free(struct xm_psk *);
/* The context's streams are by the keys of their credentials, */
int xm_tls_keys_use(SSL_CTX *, bool accepts);
/* or by certificates, and it is noticed that the other side has a key. */
void xm_tls_keys_notice(SSL_CTX *);
/* The handshake is done: 0 and who it is with, or -errno and words. */
int xm_tls_keys_known(struct xm_tls_stream *);
/* Why it failed, if that is a matter of keys: -errno and words; 0: it is not. */
int xm_tls_keys_why(struct xm_tls_stream *, int reason);

/* --- tls_words.c ------------------------------------------------------------- */

/* The name in a certificate; false: there is none that can be one. */
bool xm_tls_name(const X509 *, char ret[XM_IDENTITY_SIZE]);
/* 0, or -EKEYEXPIRED and words: by the clock here our own is not valid. */
int xm_tls_own_dates(const X509 *, const char *path, char *words,
		     size_t words_size);
/* Does it end within so many seconds? */
bool xm_tls_ends_within(const X509 *, int64_t seconds, char ret[XM_TLS_DATE_SIZE]);
/* What is wrong with our own, by an X509_V_ERR_...; -EKEYREJECTED. */
int xm_tls_own_wrong(const X509 *, const char *path, bool accepts, long why,
		     char *words, size_t words_size);
/* Is called for each certificate that is good, and for what is wrong with the other side's. */
int xm_tls_verified(int good, X509_STORE_CTX *);
/* Does this X509_V_ERR_... say that the certificate is of an authority we do not know? */
bool xm_tls_is_stranger(long why);
/* Has the other side begun a stream without TLS? */
bool xm_tls_is_plain(const struct xm_tls_stream *);
/* Why the last call on this stream failed: -errno, and words in io->words. */
int xm_tls_why(struct xm_tls_stream *);

#endif
