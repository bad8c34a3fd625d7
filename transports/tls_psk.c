/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS with pre-shared keys instead of certificates (RFC 8446, 2.2; what to mind is in
 * RFC 9257). The key is mixed with fresh Diffie-Hellman keys, as OpenSSL does unless it is
 * told otherwise: who gets hold of it later cannot read what was sent before. A key has
 * one side, given by the file it lies in: nobody can be made to talk to himself.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transports/tls_parts.h"

/* The keys are for SHA-256: of its suites OpenSSL has these two. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

void xm_tls_keys_free(struct xm_psk *keys)
{
	if (keys != NULL)
		explicit_bzero(keys, sizeof(*keys) * XM_PSK_MAX);
	free(keys);
}

int xm_tls_keys_read(const char *text, size_t size, const struct xm_tls *tls,
		     struct xm_psk **ret, char *words, size_t words_size)
{
	struct xm_psk *keys = calloc(XM_PSK_MAX, sizeof(*keys));
	struct xm_psk_fault fault;
	bool appliance = false;
	int count = -ENOMEM;

	if (keys == NULL) {
		snprintf(words, words_size, "out of memory for credentials");
		return count;
	}
	count = xm_psk_parse(text, size, keys, &appliance, &fault);
	if (count < 0) {
		snprintf(words, words_size, "%.160s, line %u: %s", tls->path,
			 fault.line, fault.why);
	} else if (appliance != tls->accepts) {
		snprintf(words, words_size, "%.160s has pre-shared keys for the"
			 " other side: %s", tls->path, tls->accepts
			 ? "an appliance needs the appliance.psk of extmem auth psk"
			 : "a client needs the NAME.psk of extmem auth psk");
		count = -EKEYREJECTED;
	}
	if (count < 0)
		xm_tls_keys_free(keys);
	else
		*ret = keys;
	return count;
}

/* --- OpenSSL asks --------------------------------------------------------------- */

/* NULL: out of memory. */
static SSL_SESSION *session_of(SSL *ssl, const struct xm_psk *key)
{
	static const unsigned char suite[] = { 0x13, 0x01 };
	const SSL_CIPHER *cipher = xm_ssl.SSL_CIPHER_find(ssl, suite);
	SSL_SESSION *session = xm_ssl.SSL_SESSION_new();

	if (session != NULL && cipher != NULL &&
	    xm_ssl.SSL_SESSION_set1_master_key(session, key->key,
					       sizeof(key->key)) == 1 &&
	    xm_ssl.SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    xm_ssl.SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	xm_ssl.SSL_SESSION_free(session);
	return NULL;
}

/* The other side says that it has the key of this name. Which one it was is known when
 * the handshake is done: OpenSSL asks no further once it has one, and asks again if there
 * is a second hello. */
static int find(SSL *ssl, const unsigned char *name, size_t length,
		SSL_SESSION **ret)
{
	struct xm_tls_stream *s = xm_ssl.SSL_get_ex_data(ssl, 0);
	const struct xm_tls *tls = s->io->tls;
	const struct xm_psk *key = tls->has.keys == NULL ? NULL
		: xm_psk_find(tls->has.keys, tls->has.key_count, (const char *)name, length);

	*ret = NULL;
	s->offered = true;
	s->name[0] = '\0';
	if (xm_psk_is_name((const char *)name, length)) {
		memcpy(s->name, name, length);
		s->name[length] = '\0';
	}
	s->unknown = key == NULL;
	if (key == NULL)
		return 1;
	*ret = session_of(ssl, key);
	return *ret != NULL;
}

static int use(SSL *ssl, const EVP_MD *digest, const unsigned char **name,
	       size_t *length, SSL_SESSION **ret)
{
	const struct xm_tls_stream *s = xm_ssl.SSL_get_ex_data(ssl, 0);
	const struct xm_psk *key = &s->io->tls->has.keys[0];

	(void)digest; /* all suites that are offered have the same */
	*name = (const unsigned char *)key->name;
	*length = strlen(key->name);
	*ret = session_of(ssl, key);
	return *ret != NULL;
}

int xm_tls_keys_use(SSL_CTX *c, bool accepts)
{
	if (xm_ssl.SSL_CTX_set_ciphersuites(c, SUITES) != 1)
		return -ENOMEM;
	if (!accepts) {
		/* One that shows a certificate is refused: none is trusted. */
		xm_ssl.SSL_CTX_set_psk_use_session_callback(c, use);
		return 0;
	}
	xm_ssl.SSL_CTX_set_psk_find_session_callback(c, find);
	/* Whoever has no key ends here: there is no certificate to go on with. */
	xm_ssl.SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	return 0;
}

void xm_tls_keys_notice(SSL_CTX *c)
{
	xm_ssl.SSL_CTX_set_psk_find_session_callback(c, find);
}

int xm_tls_keys_known(struct xm_tls_stream *s)
{
	if (xm_ssl.SSL_session_reused(s->ssl) != 1 ||
	    (s->io->accepted && (s->unknown || s->name[0] == '\0'))) {
		snprintf(s->io->words, sizeof(s->io->words),
			 "it has shown no pre-shared key");
		return -ENOKEY;
	}
	s->keyed = true;
	s->done = true;
	/* A client knows that the appliance has its key, and no name of it. */
	if (s->io->accepted)
		snprintf(s->io->identity, sizeof(s->io->identity), "%s", s->name);
	return 0;
}

/* --- why not -------------------------------------------------------------------- */

/* Of an appliance. */
static int turned_away(const struct xm_tls_stream *s, int reason)
{
	char *words = s->io->words;
	size_t size = sizeof(s->io->words);

	if (s->io->tls->has.keys == NULL) {
		snprintf(words, size, "it has a pre-shared key (%s), and this"
			 " appliance certificates: extmem auth add", s->name);
		return -EKEYREJECTED;
	}
	if (s->unknown) {
		snprintf(words, size, "it has a pre-shared key by the name \"%s\","
			 " which is not in the file here: extmem auth psk",
			 s->name);
		return -ENOKEY;
	}
	if (reason != SSL_R_BINDER_DOES_NOT_VERIFY)
		return 0;
	snprintf(words, size, "it has another pre-shared key for \"%s\" than"
		 " the file here: copy both from one extmem auth psk", s->name);
	return -EKEYREJECTED;
}

/* What an appliance's alert means to a client with a key. */
static int told(struct xm_stream_io *io, int reason)
{
	const char *name = io->tls->has.keys[0].name;

	/* RFC 8446 has the first; OpenSSL sends the second. */
	if (reason == SSL_R_TLSV1_ALERT_DECRYPT_ERROR ||
	    reason == SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER) {
		snprintf(io->words, sizeof(io->words), "it has another pre-shared"
			 " key for %s: copy %s.psk again, or appliance.psk to it",
			 name, name);
		return -EKEYREJECTED;
	}
	if (reason != SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		return 0;
	snprintf(io->words, sizeof(io->words), "it has no pre-shared key for %s:"
		 " copy appliance.psk to it (extmem auth psk), and send extmemd"
		 " SIGHUP", name);
	return -ENOKEY;
}

int xm_tls_keys_why(struct xm_tls_stream *s, int reason)
{
	struct xm_stream_io *io = s->io;

	if (s->done)
		return 0;
	if (s->offered)
		return turned_away(s, reason);
	if (!io->accepted && io->tls->has.keys != NULL)
		return told(io, reason);
	if (io->accepted && io->tls->has.keys != NULL &&
	    reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM) {
		snprintf(io->words, sizeof(io->words), "it has no pre-shared key,"
			 " and this appliance no certificate: extmem auth psk");
		return -ENOKEY;
	}
	if (io->accepted || reason != SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		return 0;
	snprintf(io->words, sizeof(io->words), "it agrees to no TLS by"
		 " certificates: if it has pre-shared keys, this side needs one,"
		 " too (extmem auth psk)");
	return -EKEYREJECTED;
}
