/* SPDX-License-Identifier: BSD-3-Clause */
/* What acts.c and regions.c have in common. */
#ifndef EXTMEM_GATEWAY_ACTS_PARTS_H
#define EXTMEM_GATEWAY_ACTS_PARTS_H

#include "gateway/acts.h"

/* Settings of a client, as extmem_open() takes them. */
struct acts_settings {
	char texts[EXTMEM_APPLIANCES_MAX + 8][512];
	const char *list[EXTMEM_APPLIANCES_MAX + 9];
	unsigned count;
};

void acts_settings_begin(struct acts_settings *, const struct gateway_acts *);
void acts_settings_add(struct acts_settings *, const char *name, const char *value);
/* Those appliances that answer: each that is away would be waited for. How many. */
unsigned acts_settings_appliances(struct acts_settings *, const struct gateway_acts *);

/* What a call of the library has failed with. */
void acts_error(struct gateway_answer *, int rc);

/* POST /v1/regions, /v1/regions/free. */
void acts_make(const struct gateway_acts *, const char *key, const char *body,
	       size_t body_size, struct gateway_answer *);
void acts_free(const struct gateway_acts *, const char *body, size_t body_size,
	       struct gateway_answer *);

#endif
