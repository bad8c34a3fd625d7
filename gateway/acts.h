/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers that wait for an appliance or a file: they are made by a worker (work.h).
 */
#ifndef EXTMEM_GATEWAY_ACTS_H
#define EXTMEM_GATEWAY_ACTS_H

#include "gateway/answers.h"
#include "gateway/watch.h"

struct gateway_acts {
	struct gateway_watch *watch;
	const char *client_config; /* a file of settings, with strategies, or "" */
};

/* `key` is the header Idempotency-Key, or NULL. */
void gateway_act(const struct gateway_acts *, const struct gateway_route *,
		 const char *key, const char *body, size_t body_size,
		 struct gateway_answer *ret);

#endif
