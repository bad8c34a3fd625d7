/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a directory of appliances is: etcd://HOST:PORT[,HOST:PORT...]/PREFIX, members of one
 * etcd and the keys below which appliances have their entries; and the base64 of etcd's JSON
 * (RFC 4648, section 4).
 *
 * Floor: ground.
 */
#ifndef XM_ETCD_H
#define XM_ETCD_H

#include "common/words.h"

#define XM_ETCD_SCHEME "etcd://"
#define XM_ETCD_ENDPOINTS_MAX 8
#define XM_ETCD_ENDPOINT_SIZE 80 /* HOST:PORT, with the NUL */
#define XM_ETCD_PREFIX_SIZE 128
#define XM_ETCD_ADDRESS_SIZE 128 /* of an appliance */

struct xm_etcd_url {
	char endpoints[XM_ETCD_ENDPOINTS_MAX][XM_ETCD_ENDPOINT_SIZE];
	uint32_t count;
	char prefix[XM_ETCD_PREFIX_SIZE]; /* without a slash at its end */
};

/* Does it begin as one? */
bool xm_etcd_is(const char *address);
/* 0, or -1 with a sentence that says what is wrong with `text`. */
int xm_etcd_url_read(const char *text, struct xm_etcd_url *ret, struct xm_words *words);
/* May it stand in a directory, as an appliance's address: SCHEME://..., of printable ASCII
 * without blanks and commas, short enough, and no directory itself. */
bool xm_etcd_address_suits(const char *address);

#define XM_BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1)
/* `text` has XM_BASE64_SIZE(size) bytes, and ends with a NUL. */
void xm_base64_write(const void *bytes, size_t size, char *text);
/* The count of bytes, `size` at most, or -1: it is none, or they do not fit. */
long xm_base64_read(const char *text, size_t length, void *bytes, size_t size);

#endif
