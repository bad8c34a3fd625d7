/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM by OpenSSL; see cipher_parts.h. It has a library context of its own, so that
 * no configuration and no engine of the program's has a say. Contexts are allocated when
 * the client is opened; what is called later allocates nothing, and a tag that is wrong
 * leaves no error in OpenSSL's queue (3.0).
 */
#include "config.h"

#include "core/skin/cipher_parts.h"

#include <errno.h>
#include <stdio.h>

#ifdef HAVE_OPENSSL

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define LIBRARY "libcrypto.so.3"

/* X(what it returns, name, arguments) */
#define CALLS(X)                                                              \
	X(int, OPENSSL_init_crypto, (uint64_t, const OPENSSL_INIT_SETTINGS *)) \
	X(OSSL_LIB_CTX *, OSSL_LIB_CTX_new, (void))                           \
	X(EVP_CIPHER *, EVP_CIPHER_fetch,                                     \
	  (OSSL_LIB_CTX *, const char *, const char *))                       \
	X(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void))                       \
	X(void, EVP_CIPHER_CTX_free, (EVP_CIPHER_CTX *))                      \
	X(int, EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX *, int, int, void *))     \
	X(int, EVP_CipherInit_ex2,                                            \
	  (EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *,       \
	   const unsigned char *, int, const OSSL_PARAM *))                   \
	X(int, EVP_CipherUpdate,                                              \
	  (EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *,   \
	   int))                                                              \
	X(int, EVP_CipherFinal_ex, (EVP_CIPHER_CTX *, unsigned char *, int *))

static struct {
	EVP_CIPHER *cipher; /* NULL: not loaded. It stays: contexts need it */
#define CALL(type, name, arguments) type(*name) arguments;
	CALLS(CALL)
#undef CALL
} ssl;

static int load(char *words, size_t words_size)
{
	const char *missing = NULL;
	OSSL_LIB_CTX *own;
	void *library;

	if (ssl.cipher != NULL)
		return 0;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		snprintf(words, words_size, "%s cannot be loaded (Debian: "
			 "libssl3)", LIBRARY);
		return -ENOSYS;
	}
#define CALL(type, name, arguments)                                           \
	*(void **)(void *)&ssl.name = dlsym(library, #name);                  \
	if (ssl.name == NULL)                                                 \
		missing = #name;
	CALLS(CALL)
#undef CALL
	if (missing != NULL) {
		snprintf(words, words_size, "%s has no %s", LIBRARY, missing);
		return -ENOSYS;
	}
	ssl.OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
				OPENSSL_INIT_NO_ATEXIT, NULL);
	own = ssl.OSSL_LIB_CTX_new();
	if (own != NULL)
		ssl.cipher = ssl.EVP_CIPHER_fetch(own, "AES-256-GCM", NULL);
	if (ssl.cipher != NULL)
		return 0;
	snprintf(words, words_size, "OpenSSL gives no AES-256-GCM");
	return -ENOSYS;
}

/* Places are pointers to contexts. */
static EVP_CIPHER_CTX **context(void *place)
{
	return place;
}

static bool place_open(void *place)
{
	static const uint8_t zeros[XM_KEY_SIZE];

	*context(place) = ssl.EVP_CIPHER_CTX_new();
	if (*context(place) == NULL)
		return false;
	return ssl.EVP_CipherInit_ex2(*context(place), ssl.cipher, zeros, zeros,
				      1, NULL) == 1;
}

static void place_close(void *place)
{
	ssl.EVP_CIPHER_CTX_free(*context(place));
}

static void place_set(void *place, const uint8_t key[XM_KEY_SIZE])
{
	int rc = ssl.EVP_CipherInit_ex2(*context(place), NULL, key, NULL, 1,
					NULL);

	XM_ASSERT(rc == 1);
}

static bool run(EVP_CIPHER_CTX *c, bool seals, const uint8_t *nonce,
		const uint8_t *data, size_t data_size, uint8_t *bytes,
		size_t size)
{
	int got;

	return ssl.EVP_CipherInit_ex2(c, NULL, NULL, nonce, seals, NULL) == 1 &&
	       (data_size == 0 ||
		ssl.EVP_CipherUpdate(c, NULL, &got, data, (int)data_size) == 1) &&
	       ssl.EVP_CipherUpdate(c, bytes, &got, bytes, (int)size) == 1;
}

static void place_seal(void *place, const uint8_t nonce[XM_NONCE_SIZE],
		       const uint8_t *data, size_t data_size, uint8_t *bytes,
		       size_t size, uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	EVP_CIPHER_CTX *c = *context(place);
	uint8_t none[16];
	int got;
	bool done = run(c, true, nonce, data, data_size, bytes, size) &&
		    ssl.EVP_CipherFinal_ex(c, none, &got) == 1 &&
		    ssl.EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG,
					    XM_SEAL_TAG_SIZE, ret_tag) == 1;

	/* What is not sealed must not leave. */
	XM_ASSERT(done);
}

static bool place_unseal(void *place, const uint8_t nonce[XM_NONCE_SIZE],
			 const uint8_t *data, size_t data_size, uint8_t *bytes,
			 size_t size, const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	EVP_CIPHER_CTX *c = *context(place);
	uint8_t none[16];
	int got;

	return run(c, false, nonce, data, data_size, bytes, size) &&
	       ssl.EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG,
				       XM_SEAL_TAG_SIZE,
				       (void *)(uintptr_t)tag) == 1 &&
	       ssl.EVP_CipherFinal_ex(c, none, &got) == 1;
}

const struct xm_cipher_kind xm_cipher_openssl = {
	.name = "openssl", .place_size = 64, .load = load, .open = place_open,
	.close = place_close, .set = place_set, .seal = place_seal,
	.unseal = place_unseal,
};

#else

static int load(char *words, size_t words_size)
{
	snprintf(words, words_size, "this build has no OpenSSL (Debian: "
		 "libssl-dev)");
	return -ENOSYS;
}

const struct xm_cipher_kind xm_cipher_openssl = { .name = "openssl",
						  .load = load };

#endif
