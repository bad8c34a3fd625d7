/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks at one credential file; see authority.h. Floor: skin. */
#include "cli/authority.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int dates(const X509 *x, const char *path, struct authority_entry *e,
		 char words[AUTHORITY_WORDS])
{
	struct tm from, until;
	time_t now = time(NULL);
	char text[32];

	if (ASN1_TIME_to_tm(X509_get0_notBefore(x), &from) != 1 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(x), &until) != 1)
		return authority_say(words, -EINVAL, path, "its dates are no dates");
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
		return authority_say(words, -errno, path, NULL);
	if (fstat(fileno(file), &status) == 0 && (status.st_mode & 077) != 0) {
		fclose(file);
		return authority_say(words, -EACCES, path,
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
		authority_say(words, rc, path, "no credential file: a private key, its"
				     " certificate, and its authority's");
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}
