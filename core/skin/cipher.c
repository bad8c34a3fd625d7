/* SPDX-License-Identifier: BSD-3-Clause */
/* Where keys come from; see cipher.h. */
#include "core/skin/cipher.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/skin/cipher_parts.h"
#include "core/skin/os.h"

static int fail(int rc, const char *path, const char *what, char *words,
		size_t words_size)
{
	snprintf(words, words_size, "key %s: %s", path, what);
	return rc;
}

static int key_of_file(const char *path, uint8_t ret[XM_KEY_SIZE], char *words,
		       size_t words_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = 0;
	uint8_t bytes[XM_KEY_SIZE + 1];
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return fail(-errno, path, strerror(errno), words, words_size);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = fail(-EINVAL, path, "no regular file", words, words_size);
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		rc = fail(-EACCES, path, "others can read or change it: "
			  "chmod 600", words, words_size);
	if (rc == 0) {
		got = read(fd, bytes, sizeof(bytes));
		if (got != XM_KEY_SIZE)
			rc = fail(-EINVAL, path, "a key has 32 bytes: head -c 32 "
				  "/dev/urandom makes one", words, words_size);
		else
			memcpy(ret, bytes, XM_KEY_SIZE);
		explicit_bzero(bytes, sizeof(bytes));
	}
	close(fd);
	return rc;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int key_of_environment(const char *name, uint8_t ret[XM_KEY_SIZE],
			      char *words, size_t words_size)
{
	const char *text = secure_getenv(name);

	for (unsigned i = 0; text != NULL && i < XM_KEY_SIZE; i++) {
		int high = digit(text[2 * i]);
		int low = high < 0 ? -1 : digit(text[2 * i + 1]);

		if (low < 0)
			text = NULL;
		else
			ret[i] = (uint8_t)(high << 4 | low);
	}
	if (text == NULL || text[2 * XM_KEY_SIZE] != '\0')
		return fail(-EINVAL, name, "the variable must have 64 "
			    "hexadecimal digits", words, words_size);
	return 0;
}

static int key_of_credential(const char *name, uint8_t ret[XM_KEY_SIZE],
			     char *words, size_t words_size)
{
	const char *folder = secure_getenv("CREDENTIALS_DIRECTORY");
	char path[512];
	int size;

	if (folder == NULL)
		return fail(-ENOENT, name, "there are no credentials: "
			    "LoadCredential= in the unit hands them over",
			    words, words_size);
	size = snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (strchr(name, '/') != NULL || size >= (int)sizeof(path))
		return fail(-EINVAL, name, "no name of a credential", words,
			    words_size);
	return key_of_file(path, ret, words, words_size);
}

/* *ret_salted: other processes may have the same. */
static int key_find(const char *key, uint8_t ret[XM_KEY_SIZE],
		    bool *ret_salted, char *words, size_t words_size)
{
	static const struct {
		const char *prefix;
		int (*find)(const char *, uint8_t *, char *, size_t);
	} sources[] = {
		{ "file:", key_of_file },
		{ "environment:", key_of_environment },
		{ "credential:", key_of_credential },
	};

	*ret_salted = key[0] != '\0';
	if (!*ret_salted) {
		os_random(ret, XM_KEY_SIZE);
		return 0;
	}
	for (unsigned i = 0; i < XM_COUNT(sources); i++) {
		size_t size = strlen(sources[i].prefix);

		if (strncmp(key, sources[i].prefix, size) == 0)
			return sources[i].find(key + size, ret, words,
					       words_size);
	}
	return fail(-EINVAL, key, "give file:PATH, environment:NAME or "
		    "credential:NAME", words, words_size);
}

/* The fastest implementation that can be loaded. */
static int choose(const struct xm_cipher_kind **ret, char *words,
		  size_t words_size)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int rc;

	pthread_mutex_lock(&lock);
	*ret = &xm_cipher_ipsec_mb;
	rc = (*ret)->load(words, words_size);
	if (rc != 0) {
		*ret = &xm_cipher_openssl;
		rc = (*ret)->load(words, words_size);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

int xm_cipher_source(const char *key, struct xm_cipher_source *ret, char *words,
		     size_t words_size)
{
	return key_find(key, ret->key, &ret->salted, words, words_size);
}

int xm_cipher_open(const char *key, uint32_t lanes,
		   const struct xm_seal_ops **ret_ops, struct xm_seal **ret,
		   char *words, size_t words_size)
{
	const struct xm_cipher_kind *kind;
	uint8_t bytes[XM_KEY_SIZE], salt[XM_NONCE_SIZE];
	bool salted;
	int rc = key_find(key, bytes, &salted, words, words_size);

	if (rc == 0)
		rc = choose(&kind, words, words_size);
	if (rc == 0) {
		os_random(salt, sizeof(salt));
		rc = xm_cipher_keys_open(kind, lanes, bytes,
					 salted ? salt : NULL, ret_ops, ret);
		if (rc != 0)
			snprintf(words, words_size, "out of memory");
	}
	explicit_bzero(bytes, sizeof(bytes));
	return rc;
}
