/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's HTTP side, on libmicrohttpd: one thread for all connections, which never
 * waits for anybody; what must wait is done by workers. What a request may use is bounded:
 * 16 KiB for its line and headers, 16 KiB for its body, and the time of lines.h.
 */
#ifndef EXTMEM_GATEWAY_HTTP_H
#define EXTMEM_GATEWAY_HTTP_H

#include <stddef.h>

#include "gateway/acts.h"
#include "gateway/admit.h"
#include "gateway/watch.h"

#define GATEWAY_BODY_MAX 16384
#define GATEWAY_HEAD_MAX 16384

struct gateway_http_options {
	int listener; /* a socket that listens, of which this becomes the owner */
	unsigned connections_max;
	uint64_t patience_ns;
	const char *key, *certificate; /* texts of PEM; NULL: no TLS */
	const struct gateway_rules *rules;
	struct gateway_acts acts;
	struct gateway_watch *watch;
	double began_s;
};

struct gateway_http;

/* The options' pointers stay valid until close. -ENOMEM, -EIO with words. */
int gateway_http_open(const struct gateway_http_options *, const char **ret_words,
		      struct gateway_http **ret);
void gateway_http_close(struct gateway_http *);
/* Ends connections that are too slow. Some times a second. */
void gateway_http_turn(struct gateway_http *);

#endif
