/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files of pre-shared keys: what clients and appliances that have no certificates know
 * each other by (transports/tls.h). Text:
 *
 *	extmem-psk client	or: extmem-psk appliance
 *	NAME KEY
 *
 * KEY is 32 bytes in hexadecimal, which nobody else has; NAME is the identity of the
 * client whose key it is. A client's file has one line of these, an appliance's one for
 * each client that it lets in, perhaps none. Empty lines, and those that begin with #,
 * mean nothing. `extmem auth psk` writes such files.
 *
 * Pure; the memory is the caller's. Floor: ground.
 */
#ifndef XM_PSK_H
#define XM_PSK_H

#include "common/base.h"

#define XM_PSK_NAME_SIZE 64 /* with its NUL */
#define XM_PSK_KEY_SIZE 32
#define XM_PSK_MAX 4096 /* keys of a file */

struct xm_psk {
	char name[XM_PSK_NAME_SIZE];
	uint8_t key[XM_PSK_KEY_SIZE];
};

/* What is wrong with a file: a line, from 1, and why. */
struct xm_psk_fault {
	uint32_t line;
	const char *why;
};

/* Does this text say that it is such a file? */
bool xm_psk_is_file(const char *text, size_t size);
/* Returns how many keys it has and whose file it is, or -EINVAL and the fault; what is
 * in `keys` is then wiped. */
int xm_psk_parse(const char *text, size_t size, struct xm_psk keys[XM_PSK_MAX],
		 bool *ret_appliance, struct xm_psk_fault *ret_fault);
/* Can this be the name of a key? 1 to 63 letters, digits, and . _ -; and no "." nor "-"
 * begins it, as it is a file's name, too. */
bool xm_psk_is_name(const char *text, size_t length);
/* NULL: there is none of this name. */
const struct xm_psk *xm_psk_find(const struct xm_psk *keys, uint32_t count,
				 const char *name, size_t length);

#endif
