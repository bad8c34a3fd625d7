/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of ciphers share; included from nowhere else.
 *
 * cipher.c	     keys: from where they come; which implementation is taken
 * cipher_keys.c     what is derived from what, and which keys a lane has at hand
 * cipher_openssl.c  AES-256-GCM by OpenSSL 3.0
 * cipher_ipsec_mb.c  the same by Intel's libipsec-mb, which is several times as fast
 *
 * Both libraries are loaded when a client that seals is opened, and not before: a program
 * under `extmem run` may have its own, and most clients need none.
 *
 * The bytes are the same from both:
 *
 *	nonce (12)	4 bytes of zero, then the version (8, big endian)
 *	data (44)	"XMS2", the region's id (16), page (8), version (8), size (2), then 6
 *			bytes of zero; numbers big endian
 *	key		of the version's epoch, see below
 *
 * Keys. GCM's key stream of 32 bytes is what derives one key from another and 12 bytes that
 * are not used twice; a key that derives others encrypts nothing else.
 *
 *	master = derive(key of the file, 12 random bytes), or 32 random bytes; each key that
 *		 the client has had (its number is in the data) has another
 *	epoch's = derive(master, "EPOC" and the epoch), epoch = version >> 24
 *
 * So no key seals more than 2^24 pages, 2^32 blocks.
 */
#ifndef XM_CIPHER_PARTS_H
#define XM_CIPHER_PARTS_H

#include "core/pure/seal.h"

#define XM_KEY_SIZE 32
#define XM_NONCE_SIZE 12
#define XM_DATA_SIZE 44
#define XM_EPOCH_SHIFT 24
#define XM_EPOCHS 4 /* whose keys a lane has at hand */
#define XM_CIPHER_LANES 16

/* One implementation. What it keeps of a key (`place`) has `place_size` bytes, aligned to
 * 64, in memory of ours. */
struct xm_cipher_kind {
	const char *name;
	size_t place_size;
	/* Loads its library, which stays; by one thread at a time. 0, at once if it is loaded
	 * already; -ENOSYS, with a sentence. */
	int (*load)(char *words, size_t words_size);
	/* A place is made ready for any key; once, where memory may be allocated. */
	bool (*open)(void *place);
	void (*close)(void *place);
	void (*set)(void *place, const uint8_t key[XM_KEY_SIZE]);
	void (*seal)(void *place, const uint8_t nonce[XM_NONCE_SIZE],
		     const uint8_t *data, size_t data_size, uint8_t *bytes,
		     size_t size, uint8_t ret_tag[XM_SEAL_TAG_SIZE]);
	/* False: the tag is wrong, and the bytes are anything. */
	bool (*unseal)(void *place, const uint8_t nonce[XM_NONCE_SIZE],
		       const uint8_t *data, size_t data_size, uint8_t *bytes,
		       size_t size, const uint8_t tag[XM_SEAL_TAG_SIZE]);
};

extern const struct xm_cipher_kind xm_cipher_openssl, xm_cipher_ipsec_mb;

/* Wiped by close. `salt`: with it the master is derived from `key`, as with others (cipher.h);
 * NULL: it is `key`. */
int xm_cipher_keys_open(const struct xm_cipher_kind *, uint32_t lanes,
			const uint8_t key[XM_KEY_SIZE],
			const uint8_t salt[XM_NONCE_SIZE],
			const struct xm_seal_ops **ret_ops, struct xm_seal **ret);

#endif
