/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM by libipsec-mb; see cipher_parts.h. Of its manager only the table of functions
 * is used, which do not change it; a call computes and does nothing else.
 */
#include "config.h"

#include "core/skin/cipher_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#if defined(HAVE_INTEL_IPSEC_MB_H) && defined(__x86_64__)

#include <dlfcn.h>
#include <intel-ipsec-mb.h>

#define LIBRARY "libIPSec_MB.so.1"

static struct {
	IMB_MGR *manager; /* NULL: not loaded. It stays */
} mb;

static int load(char *words, size_t words_size)
{
	void *library;
	IMB_MGR *(*alloc)(uint64_t);
	void (*init)(IMB_MGR *, IMB_ARCH *);
	void (*end)(IMB_MGR *);
	IMB_ARCH arch = IMB_ARCH_NONE;
	IMB_MGR *manager = NULL;

	if (mb.manager != NULL)
		return 0;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		snprintf(words, words_size, "%s cannot be loaded (Debian: "
			 "libipsec-mb1)", LIBRARY);
		return -ENOSYS;
	}
	*(void **)(void *)&alloc = dlsym(library, "alloc_mb_mgr");
	*(void **)(void *)&init = dlsym(library, "init_mb_mgr_auto");
	*(void **)(void *)&end = dlsym(library, "free_mb_mgr");
	if (alloc != NULL && init != NULL && end != NULL)
		manager = alloc(0);
	if (manager != NULL)
		init(manager, &arch);
	/* The others are emulations, or no faster than OpenSSL. */
	if (arch < IMB_ARCH_AVX2) {
		if (manager != NULL)
			end(manager);
		snprintf(words, words_size, "%s has nothing for this processor",
			 LIBRARY);
		return -ENOSYS;
	}
	mb.manager = manager;
	return 0;
}

static bool place_open(void *place)
{
	(void)place;
	return true;
}

static void place_close(void *place)
{
	(void)place;
}

static void place_set(void *place, const uint8_t key[XM_KEY_SIZE])
{
	IMB_AES256_GCM_PRE(mb.manager, key, (struct gcm_key_data *)place);
}

static void place_seal(void *place, const uint8_t nonce[XM_NONCE_SIZE],
		       const uint8_t *data, size_t data_size, uint8_t *bytes,
		       size_t size, uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	struct gcm_context_data context;

	/* It wants an address also of data that there is not. */
	IMB_AES256_GCM_ENC(mb.manager, (const struct gcm_key_data *)place,
			   &context, bytes, bytes, size, nonce,
			   data_size > 0 ? data : nonce, data_size, ret_tag,
			   XM_SEAL_TAG_SIZE);
}

static bool place_unseal(void *place, const uint8_t nonce[XM_NONCE_SIZE],
			 const uint8_t *data, size_t data_size, uint8_t *bytes,
			 size_t size, const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	struct gcm_context_data context;
	uint8_t right[XM_SEAL_TAG_SIZE], wrong = 0;

	IMB_AES256_GCM_DEC(mb.manager, (const struct gcm_key_data *)place,
			   &context, bytes, bytes, size, nonce, data, data_size,
			   right, XM_SEAL_TAG_SIZE);
	/* In the same time wherever they differ. */
	for (unsigned i = 0; i < XM_SEAL_TAG_SIZE; i++)
		wrong |= right[i] ^ tag[i];
	return wrong == 0;
}

const struct xm_cipher_kind xm_cipher_ipsec_mb = {
	.name = "ipsec-mb",
	.place_size = (sizeof(struct gcm_key_data) + 63) & ~(size_t)63,
	.load = load, .open = place_open, .close = place_close,
	.set = place_set, .seal = place_seal, .unseal = place_unseal,
};

#else

static int load(char *words, size_t words_size)
{
	snprintf(words, words_size, "this build has no libipsec-mb");
	return -ENOSYS;
}

const struct xm_cipher_kind xm_cipher_ipsec_mb = { .name = "ipsec-mb",
						   .load = load };

#endif
