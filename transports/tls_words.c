/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a stream failed, in words: whose certificate it was, and what to do. Sentences go on
 * from the address of the other side, and have no full stop.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "transports/tls_parts.h"

/* The calendar without libc's, which takes a lock: days since 1970 of a day of the
 * Gregorian calendar, counted in years that begin in March, and back. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;

	return 365 * y + y / 4 - y / 100 + y / 400 +
	       (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 719469;
}

/* "2026-01-31 23:59 UTC" */
static void date(int64_t at_s, char ret[XM_TLS_DATE_SIZE])
{
	int64_t days = at_s / 86400, minutes = at_s % 86400 / 60;
	int64_t year = 1970 + days / 366;
	int month = 1;

	if (at_s < 0 || days > days_of(9999, 12, 31)) {
		snprintf(ret, XM_TLS_DATE_SIZE, "another age");
		return;
	}
	while (days >= days_of(year + 1, 1, 1))
		year++;
	while (month < 12 && days >= days_of(year, month + 1, 1))
		month++;
	snprintf(ret, XM_TLS_DATE_SIZE, "%04d-%02d-%02d %02d:%02d UTC", (int)(year % 10000),
		 month % 100, (int)((days - days_of(year, month, 1) + 1) % 100),
		 (int)(minutes / 60 % 24), (int)(minutes % 60));
}

static int64_t moment(const ASN1_TIME *at, char ret[XM_TLS_DATE_SIZE])
{
	struct tm t = { .tm_mday = 1, .tm_year = 70 };
	int64_t at_s;

	if (at == NULL || xm_ssl.ASN1_TIME_to_tm(at, &t) != 1)
		memset(&t, 0, sizeof(t));
	at_s = days_of(t.tm_year + 1900, t.tm_mon + 1, t.tm_mday) * 86400 +
	       t.tm_hour * 3600 + t.tm_min * 60 + t.tm_sec;
	date(at_s, ret);
	return at_s;
}

static int64_t clock_says(char ret[XM_TLS_DATE_SIZE])
{
	int64_t now_s = (int64_t)time(NULL);

	date(now_s, ret);
	return now_s;
}

bool xm_tls_name(const X509 *x, char ret[XM_IDENTITY_SIZE])
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	X509_NAME *name = xm_ssl.X509_get_subject_name(x);
	char text[2 * XM_IDENTITY_SIZE] = "";
	int length = name == NULL ? -1
		: xm_ssl.X509_NAME_get_text_by_NID(name, NID_commonName, text,
						   sizeof(text));

	if (length < 1 || length >= XM_IDENTITY_SIZE ||
	    strlen(text) != (size_t)length ||
	    strspn(text, plain) != (size_t)length)
		return false;
	memcpy(ret, text, (size_t)length + 1);
	return true;
}

int xm_tls_own_dates(const X509 *own, const char *path, char *words,
		     size_t words_size)
{
	char from[XM_TLS_DATE_SIZE], until[XM_TLS_DATE_SIZE], now[XM_TLS_DATE_SIZE];
	int64_t now_s = clock_says(now);

	if (now_s < moment(xm_ssl.X509_get0_notBefore(own), from)) {
		snprintf(words, words_size, "the certificate in %.80s is valid"
			 " from %s on, and the clock here says %s: set the"
			 " clock", path, from, now);
		return -EKEYEXPIRED;
	}
	if (now_s > moment(xm_ssl.X509_get0_notAfter(own), until)) {
		snprintf(words, words_size, "the certificate in %.80s expired on"
			 " %s, and the clock here says %s: renew it (extmem auth"
			 " renew), or set the clock", path, until, now);
		return -EKEYEXPIRED;
	}
	return 0;
}

bool xm_tls_ends_within(const X509 *x, int64_t seconds, char ret[XM_TLS_DATE_SIZE])
{
	char now[XM_TLS_DATE_SIZE];
	int64_t now_s = clock_says(now);

	return moment(xm_ssl.X509_get0_notAfter(x), ret) - now_s < seconds;
}

int xm_tls_own_wrong(const X509 *own, const char *path, bool accepts, long why,
		     char *words, size_t words_size)
{
	char name[XM_IDENTITY_SIZE] = "?";

	(void)xm_tls_name(own, name);
	if (why == X509_V_ERR_INVALID_PURPOSE)
		snprintf(words, words_size, "the certificate in %.80s (%s) is"
			 " not for this side: %s", path, name, accepts
			 ? "an appliance needs one of extmem auth add --appliance"
			 : "a client needs one of extmem auth add");
	else if (why == X509_V_ERR_UNABLE_TO_GET_CRL ||
		 why == X509_V_ERR_CRL_SIGNATURE_FAILURE)
		snprintf(words, words_size, "revoked.pem beside %.80s is of"
			 " another authority than the certificate: copy it from"
			 " this one's folder", path);
	else
		snprintf(words, words_size, "the certificate in %.80s (%s) does"
			 " not go with its authority's there: %s", path, name,
			 xm_ssl.X509_verify_cert_error_string(why));
	return -EKEYREJECTED;
}

bool xm_tls_is_stranger(long why)
{
	return why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       why == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	       why == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	       why == X509_V_ERR_CERT_UNTRUSTED ||
	       why == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	       why == X509_V_ERR_CERT_SIGNATURE_FAILURE;
}

/* --- what we say of the other's ------------------------------------------------- */

static int refused(const struct xm_tls_stream *s, const X509 *x, long why)
{
	char name[XM_IDENTITY_SIZE] = "?", from[XM_TLS_DATE_SIZE] = "";
	char until[XM_TLS_DATE_SIZE] = "", now[XM_TLS_DATE_SIZE];
	char *to = s->io->words;
	size_t size = sizeof(s->io->words);

	clock_says(now);
	if (s->io->tls->has.keys != NULL) {
		snprintf(to, size, "it has certificates, and we have a pre-shared"
			 " key: give it the appliance.psk of our authority, or us"
			 " a certificate (extmem auth add)");
		return -EKEYREJECTED;
	}
	if (x != NULL) {
		(void)xm_tls_name(x, name);
		moment(xm_ssl.X509_get0_notBefore(x), from);
		moment(xm_ssl.X509_get0_notAfter(x), until);
	}
	switch (why) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(to, size, "its certificate (%s) expired on %s, and the"
			 " clock here says %s: renew it (extmem auth renew %s),"
			 " or set the clock", name, until, now, name);
		return -EKEYEXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(to, size, "its certificate (%s) is valid from %s on,"
			 " and the clock here says %s: set the clock", name,
			 from, now);
		return -EKEYEXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		snprintf(to, size, "its certificate (%s) was revoked", name);
		return -EKEYREVOKED;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(to, size, "its certificate (%s) is not one of %s",
			 name, s->io->accepted ? "a client" : "an appliance");
		break;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		snprintf(to, size, "its certificate (%s) is of another authority"
			 " than revoked.pem here", name);
		break;
	default:
		if (xm_tls_is_stranger(why))
			snprintf(to, size, "its certificate (%s) is of another"
				 " authority: both sides' files are to come from"
				 " one extmem auth init", name);
		else
			snprintf(to, size, "its certificate (%s) is not accepted:"
				 " %s", name,
				 xm_ssl.X509_verify_cert_error_string(why));
	}
	return -EKEYREJECTED;
}

/* X509_V_OK, or what is wrong with its dates. */
static int dates(const X509 *x)
{
	char text[XM_TLS_DATE_SIZE];
	int64_t now_s = clock_says(text);

	if (x == NULL || now_s < moment(xm_ssl.X509_get0_notBefore(x), text))
		return X509_V_ERR_CERT_NOT_YET_VALID;
	return now_s > moment(xm_ssl.X509_get0_notAfter(x), text)
		       ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_OK;
}

int xm_tls_verified(int good, X509_STORE_CTX *c)
{
	const SSL *ssl = xm_ssl.X509_STORE_CTX_get_ex_data(
		c, xm_ssl.SSL_get_ex_data_X509_STORE_CTX_idx());
	struct xm_tls_stream *s = ssl == NULL ? NULL
					      : xm_ssl.SSL_get_ex_data(ssl, 0);
	const X509 *x = xm_ssl.X509_STORE_CTX_get_current_cert(c);
	int why = good == 1 ? dates(x) : xm_ssl.X509_STORE_CTX_get_error(c);

	if (good == 1 && why == X509_V_OK && s != NULL)
		return 1;
	if (good == 1)
		xm_ssl.X509_STORE_CTX_set_error(c, why);
	else
		x = xm_ssl.X509_STORE_CTX_get0_cert(c);
	if (s != NULL && s->refused == 0)
		s->refused = refused(s, x, why);
	return 0;
}

/* --- what the other says of ours -------------------------------------------------- */

static int told(struct xm_stream_io *io, int reason)
{
	const char *words;
	int rc = -EKEYREJECTED;

	switch (reason) {
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		words = "by its clock our certificate has expired: renew it"
			" (extmem auth renew), or set the clock there";
		rc = -EKEYEXPIRED;
		break;
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
		words = "our certificate was revoked: ask for another one (extmem"
			" auth add)";
		rc = -EKEYREVOKED;
		break;
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		words = "our certificate is of an authority that it does not"
			" know: both sides' files are to come from one extmem"
			" auth init";
		break;
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		words = "it does not accept our certificate: perhaps by its clock"
			" it is not valid yet";
		break;
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		words = "our certificate is not for this side: a client needs one"
			" of extmem auth add, an appliance one of extmem auth"
			" add --appliance";
		break;
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		words = "it wants a certificate";
		rc = -ENOKEY;
		break;
	default:
		return 0;
	}
	snprintf(io->words, sizeof(io->words), "%s", words);
	return rc;
}

/* The other side has no TLS: it is told in its own words, as far as it can read. */
static int plain(struct xm_tls_stream *s)
{
	/* A record of one alert: fatal, insufficient security. */
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 71 };
	struct xm_stream_io *io = s->io;

	if (io->accepted) {
		(void)send(io->fd, alert, sizeof(alert), MSG_NOSIGNAL);
		snprintf(io->words, sizeof(io->words),
			 "a client without credentials");
		return -ENOKEY;
	}
	snprintf(io->words, sizeof(io->words), "it has no TLS: start extmemd with"
		 " --auth FILE there, or leave auth out here");
	return -EPROTONOSUPPORT;
}

bool xm_tls_is_plain(const struct xm_tls_stream *s)
{
	return memcmp(s->first, "XMC1", sizeof(s->first)) == 0;
}

int xm_tls_why(struct xm_tls_stream *s)
{
	unsigned long error = xm_ssl.ERR_peek_error();
	const char *words;
	int rc;

	if (!s->done && xm_tls_is_plain(s))
		return plain(s);
	if (s->refused != 0)
		return s->refused;
	rc = xm_tls_keys_why(s, ERR_GET_REASON(error));
	if (rc == 0)
		rc = told(s->io, ERR_GET_REASON(error));
	if (rc != 0)
		return rc;
	if (!s->done && error != 0 &&
	    ERR_GET_REASON(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		snprintf(s->io->words, sizeof(s->io->words),
			 "it has shown no certificate");
		return -ENOKEY;
	}
	if (s->status != 0)
		return s->status;
	words = error != 0 ? xm_ssl.ERR_reason_error_string(error) : NULL;
	if (words != NULL)
		snprintf(s->io->words, sizeof(s->io->words),
			 "no TLS 1.3 of extmem's: %s", words);
	return -EPROTO;
}
