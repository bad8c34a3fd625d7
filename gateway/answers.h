/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers as JSON: docs/openapi.json is what they look like. Those that only need the
 * model (gateway.h) are made here; acts.h has those that ask somebody.
 */
#ifndef EXTMEM_GATEWAY_ANSWERS_H
#define EXTMEM_GATEWAY_ANSWERS_H

#include <jansson.h>

#include "gateway/gateway.h"
#include "gateway/route.h"

#define GATEWAY_PAGE_MAX 1000
#define GATEWAY_PAGE_DEFAULT 100

struct gateway_answer {
	unsigned status;
	char *text; /* on the heap, or NULL: then `fixed` */
	size_t size;
	const char *fixed;
	const char *type;  /* Content-Type */
	const char *allow; /* of 405 */
};

/* What follows '?'. NULL: not given. */
struct gateway_query {
	const char *limit, *cursor, *appliance;
};

/* Replaces what the answer was. */
void gateway_answer_error(struct gateway_answer *, unsigned status,
			  const char *code, const char *hint,
			  const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* Takes the value over, also NULL, which is "out of memory". */
void gateway_answer_json(struct gateway_answer *, unsigned status, json_t *);

/* The index of the appliance with this id; -1: none has. */
int gateway_find(const struct gateway_model *, const char *id, size_t length);

void gateway_answer_model(struct gateway_answer *, const struct gateway_model *,
			  const struct gateway_route *,
			  const struct gateway_query *);
/* GET /healthz and /readyz; they say nothing but that. */
void gateway_answer_health(struct gateway_answer *, const struct gateway_model *,
			   bool ready, uint64_t now_ns);

#endif
