/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to etcd's JSON gateway, and its answers (etcd 3.4, api "v3"): keys and values in
 * base64, 64-bit numbers as texts. Answers come from a network: of any other shape, they are
 * refused. Texts that are returned are malloc()ed; NULL: out of memory.
 */
#ifndef XM_MESSAGES_H
#define XM_MESSAGES_H

#include "common/etcd.h"
#include "core/pure/wire.h"

#define XM_ENTRIES_MAX 1024 /* that are looked at */

/* What an appliance says of itself. */
struct xm_entry {
	char address[XM_ETCD_ADDRESS_SIZE];
	char name[XM_NAME_SIZE];
	char zone[XM_ZONE_SIZE];
	uint64_t memory, free; /* bytes */
};

char *xm_message_grant(uint64_t ttl_s);
char *xm_message_put(const char *prefix, const struct xm_entry *, uint64_t lease);
char *xm_message_lease(uint64_t lease); /* renews or revokes it */
char *xm_message_range(const char *prefix);

/* 0, or -1: it makes no sense. */
int xm_answer_grant(const char *text, size_t size, uint64_t *ret_lease, uint64_t *ret_ttl_s);
/* *ret_ttl_s is 0 if there is no such lease. */
int xm_answer_renew(const char *text, size_t size, uint64_t *ret_ttl_s);
/* Room for XM_ENTRIES_MAX; an entry that makes no sense is left out, and counted. The
 * appliances with most free memory first. The count, or -1. */
int xm_answer_range(const char *text, size_t size, struct xm_entry *ret, uint32_t *ret_odd);
/* The sentence in an answer that is an error; "": there is none. */
void xm_answer_error(const char *text, size_t size, struct xm_words *);

#endif
