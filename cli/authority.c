/* SPDX-License-Identifier: BSD-3-Clause */
/* See authority.h. */
#include "cli/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


#define AUTHORITY_DAYS (20 * 365)
#define LINE_SIZE 160

static int say(char words[AUTHORITY_WORDS], int rc, const char *what,
	       const char *why)
{
	snprintf(words, AUTHORITY_WORDS, "%.200s: %.200s", what,
		 why != NULL ? why : strerror(-rc));
	return rc;
}

/* --- files -------------------------------------------------------------------- */

static void path_of(const char *folder, const char *name, const char *end,
		    char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s%s", folder, name, end);
}

/* A file that is renamed to its place when it is whole. */
struct draft {
	char path[PATH_MAX], beside[PATH_MAX + 8];
	FILE *file;
};

static int draft_open(struct draft *d, const char *folder, const char *name,
		      const char *end, mode_t mode)
{
	int fd;

	path_of(folder, name, end, d->path);
	snprintf(d->beside, sizeof(d->beside), "%s.new", d->path);
	(void)unlink(d->beside);
	fd = open(d->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	d->file = fd < 0 ? NULL : fdopen(fd, "w");
	return d->file == NULL ? -errno : 0;
}

/* `good`: all was written; else the draft is thrown away. */
static int draft_close(struct draft *d, bool good)
{
	int rc = good ? 0 : -EIO;

	if (rc == 0 && (fflush(d->file) != 0 || fsync(fileno(d->file)) != 0))
		rc = -errno;
	fclose(d->file);
	if (rc == 0 && rename(d->beside, d->path) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlink(d->beside);
	return rc;
}

/* --- what was issued ------------------------------------------------------------- */

int authority_list(const char *folder, struct authority_entry **ret,
		   char words[AUTHORITY_WORDS])
{
	struct authority_entry *list = calloc(AUTHORITY_ISSUED_MAX, sizeof(*list));
	char path[PATH_MAX], line[LINE_SIZE];
	FILE *file;
	int count = 0;

	path_of(folder, "issued", "", path);
	file = list == NULL ? NULL : fopen(path, "re");
	if (file == NULL) {
		free(list);
		return say(words, -errno, path, errno == ENOENT
			? "no authority is there: extmem auth init" : NULL);
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (count == AUTHORITY_ISSUED_MAX ||
		    !authority_parse(line, &list[count])) {
			snprintf(words, AUTHORITY_WORDS, "%.200s, line %d: %s",
				 path, count + 1,
				 count == AUTHORITY_ISSUED_MAX
					 ? "too many certificates"
					 : "not SERIAL NAME ROLE UNTIL STATE");
			count = -EINVAL;
			break;
		}
		count++;
	}
	fclose(file);
	if (count < 0)
		free(list);
	else
		*ret = list;
	return count;
}

static int write_issued(const char *folder, const struct authority_entry *list,
			int count)
{
	struct draft d;
	int rc = draft_open(&d, folder, "issued", "", 0644);

	if (rc != 0)
		return rc;
	for (int i = 0; i < count; i++)
		fprintf(d.file, "%s %s %s %lld %s\n", list[i].serial, list[i].name,
			list[i].role == AUTHORITY_CLIENT ? "client" : "appliance",
			(long long)list[i].until,
			list[i].revoked ? "revoked" : "good");
	return draft_close(&d, ferror(d.file) == 0);
}

/* --- certificates ----------------------------------------------------------------- */

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
};

static void authority_close(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->certificate);
}

static int authority_open(const char *folder, struct authority *ret,
			  char words[AUTHORITY_WORDS])
{
	char path[PATH_MAX];
	struct stat status;
	FILE *file;

	memset(ret, 0, sizeof(*ret));
	path_of(folder, "authority", ".pem", path);
	file = fopen(path, "re");
	if (file == NULL)
		return say(words, -errno, path, errno == ENOENT
			? "no authority is there: extmem auth init" : NULL);
	ret->certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	path_of(folder, "authority", ".key", path);
	file = fopen(path, "re");
	if (file == NULL) {
		authority_close(ret);
		return say(words, -errno, path, errno == ENOENT
			? "the authority's key is not here" : NULL);
	}
	if (fstat(fileno(file), &status) == 0 && (status.st_mode & 077) != 0) {
		fclose(file);
		authority_close(ret);
		return say(words, -EACCES, path,
			   "its mode lets others at it: chmod 600");
	}
	ret->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (ret->key != NULL && ret->certificate != NULL &&
	    X509_check_private_key(ret->certificate, ret->key) == 1)
		return 0;
	authority_close(ret);
	return say(words, -EINVAL, folder,
		   "authority.key and authority.pem are no pair");
}

static bool extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool good;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	good = extension != NULL && X509_add_ext(x, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

static bool set_serial(X509 *x, char ret[AUTHORITY_SERIAL_SIZE])
{
	uint8_t bytes[16];
	BIGNUM *number;
	bool good;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of one length */
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = number != NULL &&
	       BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
	BN_free(number);
	return good;
}

static bool begin(X509 *x, EVP_PKEY *key, const char *name, time_t from,
		  time_t until, char ret_serial[AUTHORITY_SERIAL_SIZE])
{
	X509_NAME *subject = X509_get_subject_name(x);

	return X509_set_version(x, X509_VERSION_3) == 1 &&
	       set_serial(x, ret_serial) &&
	       ASN1_TIME_set(X509_getm_notBefore(x), from) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(x), until) != NULL &&
	       X509_set_pubkey(x, key) == 1 &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
					  (const uint8_t *)name, -1, -1, 0) == 1;
}

static X509 *make_authority(EVP_PKEY *key)
{
	X509 *x = X509_new();
	char serial[AUTHORITY_SERIAL_SIZE], name[64];
	time_t now = time(NULL);
	uint8_t bytes[4] = { 0 };

	/* Of a name of its own, so that two authorities are never taken for one. */
	(void)RAND_bytes(bytes, sizeof(bytes));
	snprintf(name, sizeof(name), "extmem authority %02x%02x%02x%02x",
		 bytes[0], bytes[1], bytes[2], bytes[3]);
	if (x != NULL &&
	    begin(x, key, name, now - AUTHORITY_BEFORE_S, now + AUTHORITY_DAYS * 86400L, serial) &&
	    X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	    extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    extend(x, x, NID_subject_key_identifier, "hash") &&
	    X509_sign(x, key, NULL) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static X509 *make_certificate(const struct authority *a, EVP_PKEY *key,
			      struct authority_entry *e, time_t from)
{
	X509 *x = X509_new();

	if (x != NULL && begin(x, key, e->name, from, e->until, e->serial) &&
	    X509_set_issuer_name(x, X509_get_subject_name(a->certificate)) == 1 &&
	    extend(x, a->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	    extend(x, a->certificate, NID_key_usage, "critical,digitalSignature") &&
	    extend(x, a->certificate, NID_ext_key_usage,
		   e->role == AUTHORITY_CLIENT ? "clientAuth" : "serverAuth") &&
	    extend(x, a->certificate, NID_subject_key_identifier, "hash") &&
	    extend(x, a->certificate, NID_authority_key_identifier, "keyid") &&
	    X509_sign(x, a->key, NULL) > 0)
		return x;
	X509_free(x);
	return NULL;
}

/* --- the list of what is revoked ---------------------------------------------------- */

static bool add_revoked(X509_CRL *list, const struct authority_entry *e,
			ASN1_TIME *now)
{
	X509_REVOKED *one = X509_REVOKED_new();
	ASN1_INTEGER *serial = NULL;
	BIGNUM *number = NULL;
	bool good = one != NULL && BN_hex2bn(&number, e->serial) > 0 &&
		    (serial = BN_to_ASN1_INTEGER(number, NULL)) != NULL &&
		    X509_REVOKED_set_serialNumber(one, serial) == 1 &&
		    X509_REVOKED_set_revocationDate(one, now) == 1 &&
		    X509_CRL_add0_revoked(list, one) == 1;

	if (!good)
		X509_REVOKED_free(one);
	ASN1_INTEGER_free(serial);
	BN_free(number);
	return good;
}

static int write_revoked(const char *folder, const struct authority *a,
			 const struct authority_entry *list, int count)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL) - AUTHORITY_BEFORE_S);
	bool good = crl != NULL && now != NULL &&
		    X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
		    X509_CRL_set_issuer_name(
			    crl, X509_get_subject_name(a->certificate)) == 1 &&
		    X509_CRL_set1_lastUpdate(crl, now) == 1 &&
		    X509_CRL_set1_nextUpdate(
			    crl, X509_get0_notAfter(a->certificate)) == 1;
	struct draft d;
	int rc = -ENOMEM;

	for (int i = 0; good && i < count; i++)
		good = !list[i].revoked || add_revoked(crl, &list[i], now);
	good = good && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, a->key, NULL) > 0;
	if (good)
		rc = draft_open(&d, folder, "revoked", ".pem", 0644);
	if (rc == 0)
		rc = draft_close(&d, PEM_write_X509_CRL(d.file, crl) == 1);
	ASN1_TIME_free(now);
	X509_CRL_free(crl);
	return rc;
}

/* --- authority.h -------------------------------------------------------------------- */

static int write_pair(const char *folder, EVP_PKEY *key, X509 *x)
{
	struct draft d;
	int rc = draft_open(&d, folder, "authority", ".key", 0600);

	if (rc == 0)
		rc = draft_close(&d, PEM_write_PrivateKey(d.file, key, NULL, NULL,
							  0, NULL, NULL) == 1);
	if (rc == 0)
		rc = draft_open(&d, folder, "authority", ".pem", 0644);
	if (rc == 0)
		rc = draft_close(&d, PEM_write_X509(d.file, x) == 1);
	return rc;
}

int authority_init(const char *folder, char words[AUTHORITY_WORDS])
{
	char path[PATH_MAX];
	EVP_PKEY *key;
	X509 *x;
	int rc;

	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return say(words, -errno, folder, NULL);
	path_of(folder, "authority", ".key", path);
	if (access(path, F_OK) == 0)
		return say(words, -EEXIST, folder, "an authority is there already");
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	x = key == NULL ? NULL : make_authority(key);
	rc = x == NULL ? -ENOMEM : write_issued(folder, NULL, 0);
	if (rc == 0)
		rc = write_pair(folder, key, x);
	X509_free(x);
	EVP_PKEY_free(key);
	return rc == 0 ? 0 : say(words, rc, folder, NULL);
}

static int write_credentials(const char *folder, const struct authority *a,
			     struct authority_entry *e, time_t from)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = key == NULL ? NULL : make_certificate(a, key, e, from);
	struct draft d;
	int rc = x == NULL ? -ENOMEM : draft_open(&d, folder, e->name, ".pem", 0600);

	if (rc == 0)
		rc = draft_close(&d, PEM_write_PrivateKey(d.file, key, NULL, NULL,
							  0, NULL, NULL) == 1 &&
				     PEM_write_X509(d.file, x) == 1 &&
				     PEM_write_X509(d.file, a->certificate) == 1);
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}

/* A name is a file's, and must not be one of the authority's own. */
static bool is_name(const char *name)
{
	struct authority_entry e;
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "%032d %.80s client 0 good", 0, name);
	return authority_parse(line, &e) && strcmp(e.name, name) == 0 &&
	       name[0] != '.' && name[0] != '-' &&
	       strcmp(name, "authority") != 0 && strcmp(name, "revoked") != 0;
}

int authority_issue(const char *folder, const char *name,
		    enum authority_role role, bool again, time_t from,
		    time_t until, char words[AUTHORITY_WORDS])
{
	struct authority_entry *list = NULL, e = { .role = role, .until = until };
	struct authority a;
	char path[PATH_MAX];
	int count, rc;

	if (!is_name(name))
		return say(words, -EINVAL, name, "no name for a certificate: up to"
			   " 63 letters, digits, and . _ -");
	snprintf(e.name, sizeof(e.name), "%s", name);
	path_of(folder, name, ".pem", path);
	if (!again && access(path, F_OK) == 0)
		return say(words, -EEXIST, path,
			   "is there already: extmem auth renew, or revoke");
	count = authority_list(folder, &list, words);
	if (count < 0)
		return count;
	rc = authority_open(folder, &a, words);
	if (rc == 0) {
		/* What is not in the list could not be revoked. */
		rc = count == AUTHORITY_ISSUED_MAX ? -ENOSPC
			: write_credentials(folder, &a, &e, from);
		if (rc == 0) {
			list[count] = e;
			rc = write_issued(folder, list, count + 1);
		}
		if (rc != 0) {
			(void)unlink(path);
			say(words, rc, path, NULL);
		}
		authority_close(&a);
	}
	free(list);
	return rc;
}

int authority_revoke(const char *folder, const char *name,
		     char words[AUTHORITY_WORDS])
{
	struct authority_entry *list = NULL;
	struct authority a;
	char path[PATH_MAX];
	int count = authority_list(folder, &list, words), found = 0;
	int rc;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		if (list[i].revoked || strcmp(list[i].name, name) != 0)
			continue;
		list[i].revoked = true;
		found++;
	}
	rc = found == 0 ? say(words, -ENOENT, name, "no certificate of this name"
					" is good; see extmem auth show")
			: authority_open(folder, &a, words);
	if (rc == 0) {
		rc = write_revoked(folder, &a, list, count);
		if (rc == 0)
			rc = write_issued(folder, list, count);
		if (rc != 0)
			say(words, rc, folder, NULL);
		authority_close(&a);
	}
	path_of(folder, name, ".pem", path);
	if (rc == 0 && is_name(name))
		(void)unlink(path);
	free(list);
	return rc;
}

/* --- a credential file ---------------------------------------------------------------- */

static int dates(const X509 *x, const char *path, struct authority_entry *e,
		 char words[AUTHORITY_WORDS])
{
	struct tm from, until;
	time_t now = time(NULL);
	char text[32];

	if (ASN1_TIME_to_tm(X509_get0_notBefore(x), &from) != 1 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(x), &until) != 1)
		return say(words, -EINVAL, path, "its dates are no dates");
	e->until = timegm(&until);
	if (now >= timegm(&from) && now <= e->until)
		return 0;
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC",
		 now > e->until ? &until : &from);
	snprintf(words, AUTHORITY_WORDS, "%.200s: %s on %s, by the clock here",
		 path, now > e->until ? "it expired" : "it begins to be valid",
		 text);
	return -EKEYEXPIRED;
}

int authority_check(const char *path, struct authority_entry *ret,
		    char words[AUTHORITY_WORDS])
{
	FILE *file = fopen(path, "re");
	struct authority_entry e = { .until = 0 };
	struct stat status;
	EVP_PKEY *key;
	X509 *x;
	int rc = -EINVAL;

	if (file == NULL)
		return say(words, -errno, path, NULL);
	if (fstat(fileno(file), &status) == 0 && (status.st_mode & 077) != 0) {
		fclose(file);
		return say(words, -EACCES, path,
			   "its mode lets others at it: chmod 600");
	}
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	rewind(file);
	x = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (key != NULL && x != NULL && X509_check_private_key(x, key) == 1 &&
	    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName,
				      e.name, sizeof(e.name)) > 0) {
		e.role = (X509_get_extended_key_usage(x) & XKU_SSL_SERVER) != 0
				 ? AUTHORITY_APPLIANCE : AUTHORITY_CLIENT;
		rc = dates(x, path, &e, words);
		*ret = e;
	} else {
		say(words, rc, path, "no credential file: a private key, its"
				     " certificate, and its authority's");
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}
