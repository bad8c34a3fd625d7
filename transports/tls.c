/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials: from files to what OpenSSL wants; see tls.h. Floor: skin. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transports/tls_parts.h"

#define FILE_MAX (1024 * 1024) /* a list of 10,000 has 650 KiB */
#define SOON_S (30 * INT64_C(86400))
#define REVOKED "revoked.pem" /* beside the credential file */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	       "TLS_CHACHA20_POLY1305_SHA256"

/* --- files ------------------------------------------------------------------- */

struct text {
	char *bytes;
	size_t size;
};

static void text_free(struct text *t)
{
	if (t->bytes != NULL) {
		explicit_bzero(t->bytes, t->size);
		free(t->bytes);
	}
	t->bytes = NULL;
}

static int fill(int fd, struct text *ret)
{
	while (ret->size < FILE_MAX) {
		ssize_t n = read(fd, ret->bytes + ret->size,
				 FILE_MAX - ret->size);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			ret->size += (size_t)n;
	}
	return -EFBIG;
}

/* `secret`: nobody else may be able to read it. */
static int text_read(const char *path, bool secret, struct text *ret,
		     char *words, size_t words_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	int rc = fd < 0 || fstat(fd, &status) != 0 ? -errno : 0;

	memset(ret, 0, sizeof(*ret));
	if (rc == 0 && !S_ISREG(status.st_mode))
		rc = -EINVAL;
	if (rc == 0 && secret && (status.st_mode & 077) != 0) {
		close(fd);
		snprintf(words, words_size, "%.160s has a secret key, and its"
			 " mode lets others at it: chmod 600", path);
		return -EACCES;
	}
	if (rc == 0 && (ret->bytes = malloc(FILE_MAX)) == NULL)
		rc = -ENOMEM;
	if (rc == 0)
		rc = fill(fd, ret);
	if (fd >= 0)
		close(fd);
	if (rc != 0) {
		text_free(ret);
		snprintf(words, words_size, "%.160s: %s", path, strerror(-rc));
	}
	return rc;
}

/* --- what is in them ----------------------------------------------------------- */

/* OpenSSL would ask for a password at the terminal. */
static int no_password(char *to, int size, int writing, void *context)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

static X509 *next_certificate(BIO *from)
{
	X509 *x = xm_ssl.X509_new_ex(xm_ssl.context, NULL);

	if (x != NULL && xm_ssl.PEM_read_bio_X509(from, &x, no_password,
						  NULL) == NULL) {
		xm_ssl.X509_free(x);
		x = NULL;
	}
	return x;
}

static bool take_key(SSL_CTX *c, const struct text *t)
{
	BIO *from = xm_ssl.BIO_new_mem_buf(t->bytes, (int)t->size);
	EVP_PKEY *key = from == NULL ? NULL
		: xm_ssl.PEM_read_bio_PrivateKey_ex(from, NULL, no_password,
						    NULL, xm_ssl.context, NULL);
	bool good = key != NULL && xm_ssl.SSL_CTX_use_PrivateKey(c, key) == 1;

	xm_ssl.EVP_PKEY_free(key);
	xm_ssl.BIO_free(from);
	return good && xm_ssl.SSL_CTX_check_private_key(c) == 1;
}

/* The first is our own, the others those of authorities. */
static bool take_certificates(SSL_CTX *c, const struct text *t, X509 **ret_own)
{
	BIO *from = xm_ssl.BIO_new_mem_buf(t->bytes, (int)t->size);
	X509_STORE *store = xm_ssl.SSL_CTX_get_cert_store(c);
	X509 *own = from == NULL ? NULL : next_certificate(from), *x;
	uint32_t authorities = 0;

	if (own != NULL && xm_ssl.SSL_CTX_use_certificate(c, own) == 1) {
		while ((x = next_certificate(from)) != NULL) {
			authorities += xm_ssl.X509_STORE_add_cert(store, x) == 1;
			xm_ssl.X509_free(x);
		}
	}
	xm_ssl.BIO_free(from);
	if (authorities == 0) {
		xm_ssl.X509_free(own);
		return false;
	}
	*ret_own = own;
	return true;
}

static int take_revoked(SSL_CTX *c, const struct text *t, const char *path,
			int *ret_count, char *words, size_t words_size)
{
	X509_STORE *store = xm_ssl.SSL_CTX_get_cert_store(c);
	X509_CRL *list = xm_ssl.X509_CRL_new_ex(xm_ssl.context, NULL);
	BIO *from = xm_ssl.BIO_new_mem_buf(t->bytes, (int)t->size);
	int rc = 0;

	if (from == NULL || list == NULL ||
	    xm_ssl.PEM_read_bio_X509_CRL(from, &list, no_password, NULL) == NULL ||
	    xm_ssl.X509_STORE_add_crl(store, list) != 1) {
		snprintf(words, words_size, "%.160s is no list of revoked"
			 " certificates: copy it again", path);
		rc = -EINVAL;
	} else {
		(void)xm_ssl.X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
		*ret_count = xm_ssl.OPENSSL_sk_num((const OPENSSL_STACK *)
			xm_ssl.X509_CRL_get_REVOKED(list));
	}
	xm_ssl.BIO_free(from);
	xm_ssl.X509_CRL_free(list);
	return rc;
}

/* By our own certificate we see whether what was read goes together: else everybody
 * else's would be refused. That ours is revoked is for the other side to say; the list
 * is good. */
static int own_check(SSL_CTX *c, X509 *own, const struct xm_tls *tls,
		     char *words, size_t words_size)
{
	X509_STORE_CTX *check = xm_ssl.X509_STORE_CTX_new_ex(xm_ssl.context, NULL);
	int why = X509_V_ERR_OUT_OF_MEM;

	if (check != NULL &&
	    xm_ssl.X509_STORE_CTX_init(check, xm_ssl.SSL_CTX_get_cert_store(c),
				       own, NULL) == 1 &&
	    xm_ssl.X509_STORE_CTX_set_purpose(
		    check, tls->accepts ? X509_PURPOSE_SSL_SERVER
					: X509_PURPOSE_SSL_CLIENT) == 1)
		why = xm_ssl.X509_verify_cert(check) == 1
			      ? X509_V_OK
			      : xm_ssl.X509_STORE_CTX_get_error(check);
	xm_ssl.X509_STORE_CTX_free(check);
	return why == X509_V_OK || why == X509_V_ERR_CERT_REVOKED
		       ? 0
		       : xm_tls_own_wrong(own, tls->path, tls->accepts, why,
					  words, words_size);
}

static SSL_CTX *context_new(void)
{
	SSL_CTX *c = xm_ssl.SSL_CTX_new_ex(xm_ssl.context, NULL,
					   xm_ssl.TLS_method());

	if (c == NULL)
		return NULL;
	/* Nothing is resumed: who was revoked must not come back by a ticket. */
	if (xm_ssl.SSL_CTX_ctrl(c, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION,
				NULL) != 1 ||
	    xm_ssl.SSL_CTX_ctrl(c, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS1_3_VERSION,
				NULL) != 1 ||
	    xm_ssl.SSL_CTX_set_ciphersuites(c, SUITES) != 1 ||
	    xm_ssl.SSL_CTX_set_num_tickets(c, 0) != 1) {
		xm_ssl.SSL_CTX_free(c);
		return NULL;
	}
	(void)xm_ssl.SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
	(void)xm_ssl.SSL_CTX_ctrl(c, SSL_CTRL_SET_SESS_CACHE_MODE,
				  SSL_SESS_CACHE_OFF, NULL);
	(void)xm_ssl.SSL_CTX_ctrl(c, SSL_CTRL_SET_MAX_CERT_LIST,
				  XM_CHANNEL_HANDSHAKE_SIZE, NULL);
	(void)xm_ssl.SSL_CTX_ctrl(c, SSL_CTRL_MODE,
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS,
				  NULL);
	/* One call takes one record: whoever sends many that are not for us would keep
	 * everybody else waiting. */
	(void)xm_ssl.SSL_CTX_ctrl(c, SSL_CTRL_CLEAR_MODE, SSL_MODE_AUTO_RETRY,
				  NULL);
	/* Dates are ours to compare (tls_words.c): OpenSSL would ask libc's calendar, whose
	 * lock a thread of the program's may hold that waits for a page. A list of revoked
	 * certificates that is older or newer than this clock is a list all the same. */
	(void)xm_ssl.X509_STORE_set_flags(xm_ssl.SSL_CTX_get_cert_store(c),
					  X509_V_FLAG_NO_CHECK_TIME);
	xm_ssl.SSL_CTX_set_verify(c, SSL_VERIFY_PEER |
					     SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				  xm_tls_verified);
	return c;
}

/* What is in the two files: read before OpenSSL is entered, which one stream at a time
 * may be. */
struct files {
	struct text own, revoked; /* revoked.bytes NULL: there is no list */
	char path[4096 + sizeof(REVOKED)]; /* of the list */
};

static void beside(const char *path, char *ret, size_t size)
{
	const char *slash = strrchr(path, '/');
	int length = slash == NULL ? 0 : (int)(slash + 1 - path);

	snprintf(ret, size, "%.*s" REVOKED, length, path);
}

static void files_free(struct files *f)
{
	text_free(&f->own);
	text_free(&f->revoked);
}

static int files_read(const struct xm_tls *tls, struct files *ret, char *words,
		      size_t words_size)
{
	int rc = text_read(tls->path, true, &ret->own, words, words_size);

	memset(&ret->revoked, 0, sizeof(ret->revoked));
	beside(tls->path, ret->path, sizeof(ret->path));
	/* Who has no certificate any more is not in the file of keys. */
	if (rc == 0 && xm_psk_is_file(ret->own.bytes, ret->own.size))
		return 0;
	if (rc == 0)
		rc = text_read(ret->path, false, &ret->revoked, words, words_size);
	if (rc == -ENOENT && ret->own.bytes != NULL) {
		if (!tls->has.listed)
			return 0;
		snprintf(words, words_size, "%.160s is gone, and whoever was"
			 " revoked would get in: copy it again", ret->path);
	}
	if (rc != 0)
		files_free(ret);
	return rc;
}

static int take_credentials(SSL_CTX *c, const struct text *t, const char *path,
			    X509 **ret_own, char *words, size_t words_size)
{
	char name[XM_IDENTITY_SIZE];

	/* The key is compared with the certificate, so it comes second. */
	if (take_certificates(c, t, ret_own) && take_key(c, t) &&
	    xm_tls_name(*ret_own, name))
		return 0;
	snprintf(words, words_size, "%.160s is no credential file: a private"
		 " key, its certificate, and its authority's, or pre-shared keys,"
		 " as extmem auth writes them", path);
	return -EINVAL;
}

static int fill_certificates(struct xm_tls_contents *to, const struct xm_tls *tls,
			     const struct files *f, char *words, size_t words_size)
{
	int rc = take_credentials(to->context, &f->own, tls->path, &to->own, words,
				  words_size);

	if (rc == 0)
		rc = xm_tls_own_dates(to->own, tls->path, words, words_size);
	if (rc == 0 && f->revoked.bytes != NULL)
		rc = take_revoked(to->context, &f->revoked, f->path, &to->revoked,
				  words, words_size);
	if (rc == 0)
		rc = own_check(to->context, to->own, tls, words, words_size);
	if (rc == 0 && tls->accepts)
		xm_tls_keys_notice(to->context);
	to->listed = f->revoked.bytes != NULL;
	if (to->revoked < 0)
		to->revoked = 0; /* an empty list is none to OpenSSL */
	return rc;
}

static int fill_keys(struct xm_tls_contents *to, const struct xm_tls *tls,
		     const struct files *f, char *words, size_t words_size)
{
	int count = xm_tls_keys_read(f->own.bytes, f->own.size, tls, &to->keys,
				     words, words_size);
	int rc;

	if (count < 0)
		return count;
	to->key_count = (uint32_t)count;
	rc = xm_tls_keys_use(to->context, tls->accepts);
	if (rc != 0)
		snprintf(words, words_size, "OpenSSL takes no pre-shared keys");
	return rc;
}

/* --- tls.h --------------------------------------------------------------------- */

static void let_go(struct xm_tls_contents *has)
{
	xm_ssl.X509_free(has->own);
	xm_ssl.SSL_CTX_free(has->context);
	xm_tls_keys_free(has->keys);
}

static int take_files(struct xm_tls *tls, const struct files *f, char *words,
		      size_t words_size)
{
	struct xm_tls_contents next = { .context = context_new() };
	int rc = -ENOMEM;

	if (next.context == NULL)
		snprintf(words, words_size, "OpenSSL has no TLS 1.3");
	else if (xm_psk_is_file(f->own.bytes, f->own.size))
		rc = fill_keys(&next, tls, f, words, words_size);
	else
		rc = fill_certificates(&next, tls, f, words, words_size);
	if (rc != 0) {
		let_go(&next);
		return rc;
	}
	let_go(&tls->has);
	tls->has = next;
	return 0;
}

/* What an administrator may not have meant. */
static void remark(const struct xm_tls *tls, char *words, size_t size)
{
	char until[XM_TLS_DATE_SIZE];
	int used;

	if (tls->has.keys != NULL) {
		snprintf(words, size, "pre-shared keys of %u client%s",
			 tls->has.key_count, tls->has.key_count == 1 ? "" : "s");
		return;
	}
	if (tls->has.listed)
		used = snprintf(words, size, "revoked.pem has %d certificate%s",
				tls->has.revoked, tls->has.revoked == 1 ? "" : "s");
	else
		used = snprintf(words, size, "there is no revoked.pem beside the"
				" credentials");
	if (used > 0 && (size_t)used < size &&
	    xm_tls_ends_within(tls->has.own, SOON_S, until))
		snprintf(words + used, size - (size_t)used, "; our own ends on"
			 " %s: extmem auth renew", until);
}

int xm_tls_open(const char *path, bool accepts, char *words, size_t words_size,
		struct xm_tls **ret)
{
	struct xm_tls *tls;
	int rc = xm_ssl_load(accepts, words, words_size);

	if (rc != 0)
		return rc;
	if (strlen(path) >= sizeof(tls->path)) {
		snprintf(words, words_size, "the path of a credential file is"
			 " too long");
		return -EINVAL;
	}
	tls = calloc(1, sizeof(*tls));
	if (tls == NULL) {
		snprintf(words, words_size, "out of memory for credentials");
		return -ENOMEM;
	}
	tls->accepts = accepts;
	snprintf(tls->path, sizeof(tls->path), "%s", path);
	rc = xm_tls_reload(tls, words, words_size);
	if (rc != 0)
		free(tls);
	else
		*ret = tls;
	return rc;
}

int xm_tls_reload(struct xm_tls *tls, char *words, size_t words_size)
{
	struct files files;
	int rc = files_read(tls, &files, words, words_size);

	if (rc != 0)
		return rc;
	rc = -ESHUTDOWN;
	if (xm_ssl_enter()) {
		/* On a thread of the program's: what it has not looked at yet stays. */
		(void)xm_ssl.ERR_set_mark();
		rc = take_files(tls, &files, words, words_size);
		if (rc == 0)
			remark(tls, words, words_size);
		(void)xm_ssl.ERR_pop_to_mark();
		xm_ssl_leave();
	}
	files_free(&files);
	return rc;
}

void xm_tls_close(struct xm_tls *tls)
{
	if (tls == NULL)
		return;
	if (xm_ssl_enter()) {
		let_go(&tls->has);
		xm_ssl_leave();
	}
	free(tls);
}

/* Only what we know to be so: a stream that is there is not ended for less. */
static bool is_refusal(int why)
{
	return why == X509_V_ERR_CERT_REVOKED || why == X509_V_ERR_OUT_OF_MEM ||
	       xm_tls_is_stranger(why);
}

static bool certificate_refused(const struct xm_tls *tls,
				const struct xm_tls_stream *s)
{
	X509_STORE_CTX *check;
	int why = X509_V_ERR_OUT_OF_MEM;

	check = xm_ssl.X509_STORE_CTX_new_ex(xm_ssl.context, NULL);
	if (check != NULL &&
	    xm_ssl.X509_STORE_CTX_init(
		    check, xm_ssl.SSL_CTX_get_cert_store(tls->has.context),
		    xm_ssl.SSL_get0_peer_certificate(s->ssl), NULL) == 1)
		why = xm_ssl.X509_verify_cert(check) == 1
			      ? X509_V_OK
			      : xm_ssl.X509_STORE_CTX_get_error(check);
	xm_ssl.X509_STORE_CTX_free(check);
	xm_ssl.ERR_clear_error();
	return is_refusal(why);
}

/* A key that was changed is another for streams that begin; those that are there go on, as
 * with a certificate that was renewed. Who has no key any more was revoked. */
static bool is_refused(const struct xm_tls *tls, const struct xm_tls_stream *s)
{
	if (s->keyed != (tls->has.keys != NULL))
		return true;
	return s->keyed ? s->io->accepted &&
				  xm_psk_find(tls->has.keys, tls->has.key_count, s->name,
					      strlen(s->name)) == NULL
			: certificate_refused(tls, s);
}

bool xm_tls_refuses(struct xm_tls *tls, const struct xm_stream_io *io)
{
	const struct xm_tls_stream *s = io->state;
	bool refused;

	if (s == NULL || !s->done || !xm_ssl_enter())
		return false;
	refused = is_refused(tls, s);
	xm_ssl_leave();
	return refused;
}
