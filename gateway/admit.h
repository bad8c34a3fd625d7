/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may ask for what. Pure.
 *
 * A token travels in the header Authorization, which no browser adds by itself, so a page
 * of another site cannot act with it. What needs no token is guarded by three headers
 * that scripts cannot set: Origin and Sec-Fetch-Site say that another site asks, and Host
 * is another's if a name was made to point here (DNS rebinding).
 */
#ifndef EXTMEM_GATEWAY_ADMIT_H
#define EXTMEM_GATEWAY_ADMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/route.h"

#define GATEWAY_TOKENS_MAX 16
#define GATEWAY_TOKEN_MIN 16
#define GATEWAY_TOKEN_SIZE 257

struct gateway_rules {
	bool loopback;		 /* listens there; then Host is checked */
	bool read_without_token; /* only with the former */
	const char *const *names; /* of this server, besides loopback's; ended by NULL */
	unsigned tokens_count;
	struct {
		char text[GATEWAY_TOKEN_SIZE];
		bool acts;
	} tokens[GATEWAY_TOKENS_MAX];
};

/* Headers; NULL: it is not there. */
struct gateway_headers {
	const char *host, *origin, *fetch_site, *authorization;
};

enum gateway_admission {
	GATEWAY_ADMITTED,
	GATEWAY_FOREIGN_HOST,	/* 421 */
	GATEWAY_FOREIGN_ORIGIN, /* 403 */
	GATEWAY_NO_TOKEN,	/* 401 */
	GATEWAY_WRONG_TOKEN,	/* 401 */
	GATEWAY_READ_TOKEN,	/* 403: good for reading only */
	GATEWAY_NO_ACTS,	/* 403: no token here may act */
};

enum gateway_admission gateway_admit(const struct gateway_rules *,
				     const struct gateway_headers *,
				     enum gateway_right);

/* "host", "[::1]:80": is it one of ours? */
bool gateway_host_is_loopback(const char *host);

/* Adds the tokens of a file's text, one a line; '#' begins a comment. NULL, or what is
 * wrong with it, which never has a token's text. */
const char *gateway_tokens_add(struct gateway_rules *, const char *text, bool acts);

#endif
