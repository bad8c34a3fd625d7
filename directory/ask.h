/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request to one member of etcd, by HTTP. One thread. Floor: skin.
 */
#ifndef XM_DIRECTORY_ASK_H
#define XM_DIRECTORY_ASK_H

#include "common/words.h"

#define XM_ASKED_MAX (2 * XM_MIB) /* of an answer */

struct xm_asked {
	long status; /* of HTTP; 0: there was no answer */
	char *text;  /* free() */
	size_t size;
};

int xm_ask_begin(void); /* before all others: 0, or -1 */
/* POSTs `body` to http://ENDPOINT/v3/PATH. True: the answer is an answer, status 200.
 * Otherwise a sentence says why not. */
bool xm_ask_etcd(const char *endpoint, const char *path, const char *body,
		 uint64_t timeout_ms, struct xm_asked *ret, struct xm_words *words);

#endif
