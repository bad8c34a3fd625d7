/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The door to the ciphers that seal pages (core/pure/seal.h), and to their keys.
 *
 * A key's source, as the setting seal_key says it:
 *
 *	""			random bytes, drawn when the client is opened
 *	file:PATH		a file of 32 bytes, which its owner alone can read
 *	environment:NAME	64 hexadecimal digits in this variable
 *	credential:NAME		a file of 32 bytes that systemd has handed over
 *
 * What pages are sealed with is derived from it and from random bytes, the salt, of this
 * process, so no two processes, and no two clients, use the same keys. Who has the source
 * and the salt can open what another process has sealed. A renewal reads the source again,
 * and draws another salt.
 *
 * The simulator has a toy in its place (sim/seals.c).
 *
 * Floor: skin.
 */
#ifndef XM_CIPHER_H
#define XM_CIPHER_H

#include "core/pure/seal.h"

#define XM_SALT_SIZE 12
#define XM_CIPHER_KEYS 256 /* that one client has at the same time */

/* 0, with ops and what they are called with; or -errno, with a sentence without a full stop.
 * -ENOSYS: no library that can seal is here. */
int xm_cipher_open(const char *key, uint32_t lanes,
		   const struct xm_seal_ops **ret_ops, struct xm_seal **ret,
		   char *words, size_t words_size);
/* The salt of what is sealed here now. -ENOKEY: there is none, and no other process will ever
 * open it; the source is "". */
int xm_cipher_salt(const struct xm_seal *, uint8_t ret[XM_SALT_SIZE]);
/* What number pages that were sealed with this salt have as their key from now on (seal.h);
 * what is sealed here has 0, until a renewal. -ENOKEY as above; -ENOSPC: there are XM_CIPHER_KEYS. One thread at
 * a time, with lane 0's lock. */
int xm_cipher_key(struct xm_seal *, const uint8_t salt[XM_SALT_SIZE], uint16_t *ret);
/* Where a renewal's keys come from: as xm_cipher_open() reads it. Wiped by the caller. */
struct xm_cipher_source {
	uint8_t key[32];
	bool salted; /* else it is random, and no other process has it */
};
int xm_cipher_source(const char *key, struct xm_cipher_source *ret, char *words,
		     size_t words_size);
/* Another key: the number of what is sealed with it from now on. 0; -ENOSPC: there are
 * XM_CIPHER_KEYS. Locks as of xm_cipher_key(). */
int xm_cipher_renew(struct xm_seal *, const struct xm_cipher_source *, uint16_t *ret);
/* No page is under the key of this number any more. Wipes what the lane has of it, with its
 * lock: of each lane, from 0 on; and with the last one the key. */
void xm_cipher_forget(struct xm_seal *, uint16_t number, uint32_t lane);
/* Wipes the keys. NULL is ignored. */
void xm_cipher_close(struct xm_seal *);

#endif
