/* SPDX-License-Identifier: BSD-3-Clause */
/* See authority.h. */
#include "cli/authority_parts.h"

#include <errno.h>
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
/* A certificate that expired so long ago is refused by every clock. */
#define FORGET_S (30 * 86400L)

/* --- what was issued ------------------------------------------------------------- */

int authority_list(const char *folder, struct authority_entry **ret,
		   char words[AUTHORITY_WORDS])
{
	struct authority_entry *list = calloc(AUTHORITY_ISSUED_MAX, sizeof(*list));
	char path[PATH_MAX], line[LINE_SIZE];
	FILE *file;
	int count = 0;

	authority_path(folder, "issued", "", path);
	file = list == NULL ? NULL : fopen(path, "re");
	if (file == NULL) {
		free(list);
		return authority_say(words, -errno, path, errno == ENOENT
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
	struct authority_draft d;
	int rc = authority_draft_open(&d, folder, "issued", "", 0644);

	if (rc != 0)
		return rc;
	for (int i = 0; i < count; i++)
		fprintf(d.file, "%s %s %s %lld %s\n", list[i].serial, list[i].name,
			list[i].role == AUTHORITY_CLIENT ? "client" : "appliance",
			(long long)list[i].until,
			list[i].revoked ? "revoked" : "good");
	return authority_draft_close(&d, ferror(d.file) == 0);
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
	authority_path(folder, "authority", ".pem", path);
	file = fopen(path, "re");
	if (file == NULL)
		return authority_say(words, -errno, path, errno == ENOENT
			? "no authority is there: extmem auth init" : NULL);
	ret->certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	authority_path(folder, "authority", ".key", path);
	file = fopen(path, "re");
	if (file == NULL) {
		authority_close(ret);
		return authority_say(words, -errno, path, errno == ENOENT
			? "the authority's key is not here" : NULL);
	}
	if (fstat(fileno(file), &status) == 0 && (status.st_mode & 077) != 0) {
		fclose(file);
		authority_close(ret);
		return authority_say(words, -EACCES, path,
			   "its mode lets others at it: chmod 600");
	}
	ret->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (ret->key != NULL && ret->certificate != NULL &&
	    X509_check_private_key(ret->certificate, ret->key) == 1)
		return 0;
	authority_close(ret);
	return authority_say(words, -EINVAL, folder,
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
	struct authority_draft d;
	int rc = -ENOMEM;

	for (int i = 0; good && i < count; i++)
		good = !list[i].revoked || list[i].until < time(NULL) - FORGET_S ||
		       add_revoked(crl, &list[i], now);
	good = good && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, a->key, NULL) > 0;
	if (good)
		rc = authority_draft_open(&d, folder, "revoked", ".pem", 0644);
	if (rc == 0)
		rc = authority_draft_close(&d, PEM_write_X509_CRL(d.file, crl) == 1);
	ASN1_TIME_free(now);
	X509_CRL_free(crl);
	return rc;
}

/* --- authority.h -------------------------------------------------------------------- */

static int write_pair(const char *folder, EVP_PKEY *key, X509 *x)
{
	struct authority_draft d;
	int rc = authority_draft_open(&d, folder, "authority", ".key", 0600);

	if (rc == 0)
		rc = authority_draft_close(
			&d, PEM_write_PrivateKey(d.file, key, NULL, NULL, 0, NULL,
						 NULL) == 1);
	if (rc == 0)
		rc = authority_draft_open(&d, folder, "authority", ".pem", 0644);
	if (rc == 0)
		rc = authority_draft_close(&d, PEM_write_X509(d.file, x) == 1);
	return rc;
}

static const char *const own_files[][2] = {
	{ "issued", "" }, { "authority", ".key" }, { "authority", ".pem" },
};

static int make_files(const char *folder)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = key == NULL ? NULL : make_authority(key);
	int rc = x == NULL ? -ENOMEM : write_issued(folder, NULL, 0);
	char path[PATH_MAX];

	if (rc == 0)
		rc = write_pair(folder, key, x);
	for (unsigned i = 0; rc != 0 && i < sizeof(own_files) / sizeof(own_files[0]); i++) {
		authority_path(folder, own_files[i][0], own_files[i][1], path);
		(void)unlink(path);
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}

int authority_init(const char *folder, char words[AUTHORITY_WORDS])
{
	char path[PATH_MAX];
	int fd, rc = 0;

	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return authority_say(words, -errno, folder, NULL);
	fd = authority_lock(folder, words);
	if (fd < 0)
		return fd;
	if (authority_psk_is(folder))
		rc = authority_say(words, -EEXIST, folder, "pre-shared keys are"
				   " there: an authority needs a folder of its own");
	for (unsigned i = 0; rc == 0 && i < sizeof(own_files) / sizeof(own_files[0]); i++) {
		authority_path(folder, own_files[i][0], own_files[i][1], path);
		if (access(path, F_OK) == 0)
			rc = authority_say(words, -EEXIST, folder,
				 "an authority is there already");
	}
	if (rc == 0) {
		rc = make_files(folder);
		if (rc != 0)
			authority_say(words, rc, folder, NULL);
	}
	close(fd);
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

static int write_credentials(const char *folder, const char *name, EVP_PKEY *key,
			     X509 *x, X509 *authority)
{
	struct authority_draft d;
	int rc = authority_draft_open(&d, folder, name, ".pem", 0600);

	return rc != 0 ? rc
		: authority_draft_close(
			&d, PEM_write_PrivateKey(d.file, key, NULL, NULL, 0, NULL,
						 NULL) == 1 &&
				    PEM_write_X509(d.file, x) == 1 &&
				    PEM_write_X509(d.file, authority) == 1);
}

/* First the line, as what is not in the list could not be revoked. `list` has room for
 * it. */
static int make_credentials(const char *folder, const struct authority *a,
			    struct authority_entry *list, int count,
			    struct authority_entry *e, time_t from)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = key == NULL ? NULL : make_certificate(a, key, e, from);
	int rc = x == NULL ? -ENOMEM : 0;

	if (rc == 0) {
		list[count] = *e;
		rc = write_issued(folder, list, count + 1);
	}
	if (rc == 0) {
		rc = write_credentials(folder, e->name, key, x, a->certificate);
		if (rc != 0)
			(void)write_issued(folder, list, count);
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}

/* Two holders of one name would be one to every appliance. */
static int is_free(const char *folder, const char *name,
		   const struct authority_entry *list, int count,
		   char words[AUTHORITY_WORDS])
{
	static const char there[] = "is there already: extmem auth renew, or revoke";
	char path[PATH_MAX];

	authority_path(folder, name, ".pem", path);
	if (access(path, F_OK) == 0)
		return authority_say(words, -EEXIST, path, there);
	for (int i = 0; i < count; i++)
		if (!list[i].revoked && list[i].until >= time(NULL) &&
		    strcmp(list[i].name, name) == 0)
			return authority_say(words, -EEXIST, name, there);
	return 0;
}

/* What outlives the authority's certificate is good for nothing. */
static time_t end_of(const X509 *x, time_t until)
{
	struct tm t;
	time_t end;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &t) != 1)
		return until;
	end = timegm(&t);
	return end < until ? end : until;
}

static int issue(const char *folder, struct authority_entry *e, bool again,
		 time_t from, char words[AUTHORITY_WORDS])
{
	struct authority_entry *list = NULL;
	struct authority a;
	int count = authority_list(folder, &list, words), rc;

	if (count < 0)
		return count;
	rc = again ? 0 : is_free(folder, e->name, list, count, words);
	if (rc == 0)
		rc = authority_open(folder, &a, words);
	if (rc == 0) {
		e->until = end_of(a.certificate, e->until);
		rc = count == AUTHORITY_ISSUED_MAX ? -ENOSPC
			: make_credentials(folder, &a, list, count, e, from);
		if (rc != 0)
			authority_say(words, rc, folder, NULL);
		authority_close(&a);
	}
	free(list);
	return rc;
}

int authority_issue(const char *folder, const char *name,
		    enum authority_role role, bool again, time_t from,
		    time_t until, char words[AUTHORITY_WORDS])
{
	struct authority_entry e = { .role = role, .until = until };
	int fd, rc;

	if (!is_name(name))
		return authority_say(words, -EINVAL, name, "no name for a certificate: up to"
			   " 63 letters, digits, and . _ -");
	snprintf(e.name, sizeof(e.name), "%s", name);
	fd = authority_lock(folder, words);
	if (fd < 0)
		return fd;
	rc = issue(folder, &e, again, from, words);
	close(fd);
	return rc;
}

/* How many have this name; they are revoked from now on. */
static int mark(struct authority_entry *list, int count, const char *name)
{
	int found = 0;

	for (int i = 0; i < count; i++) {
		if (strcmp(list[i].name, name) != 0)
			continue;
		list[i].revoked = true;
		found++;
	}
	return found;
}

static int revoke_all(const char *folder, const char *name,
		      char words[AUTHORITY_WORDS])
{
	struct authority_entry *list = NULL;
	struct authority a;
	char path[PATH_MAX];
	int count = authority_list(folder, &list, words), rc;

	if (count < 0)
		return count;
	rc = mark(list, count, name) == 0
		     ? authority_say(words, -ENOENT, name, "no certificate has this name;"
						 " see extmem auth show")
		     : authority_open(folder, &a, words);
	if (rc == 0) {
		rc = write_issued(folder, list, count);
		if (rc == 0)
			rc = write_revoked(folder, &a, list, count);
		if (rc != 0)
			authority_say(words, rc, folder, "it is not in revoked.pem yet:"
					       " revoke it again");
		authority_close(&a);
	}
	authority_path(folder, name, ".pem", path);
	if (rc == 0 && is_name(name))
		(void)unlink(path);
	free(list);
	return rc;
}

int authority_revoke(const char *folder, const char *name,
		     char words[AUTHORITY_WORDS])
{
	int fd = authority_lock(folder, words), rc;

	if (fd < 0)
		return fd;
	rc = revoke_all(folder, name, words);
	close(fd);
	return rc;
}
