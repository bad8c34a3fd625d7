/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seals in the simulator: a toy cipher behind core/skin/cipher.h, the appliance that lies,
 * and the laws about both.
 *
 *	nonce	no client seals twice under one key and version
 *	renewal	nothing is sealed or opened under a key that its lane has forgotten
 *	seal	what lies at an appliance for a sealed page is what was sealed, and is not its
 *		plain bytes; a tag is wrong only where somebody has lied; and where
 *		only one appliance lies, and pages have a copy elsewhere, none is lost
 *
 * That no lie becomes a value is faithfulness (shadow.c): programs know each value.
 */
#ifndef XM_SIM_SEALS_H
#define XM_SIM_SEALS_H

#include "common/rand.h"
#include "core/client/client.h"
#include "sim/shape.h"

/* At the beginning of a run. */
void seals_open(void);
/* Whether it is sealed, and how often appliances lie. */
void seals_draw(struct sim_shape *);

/* Shall a program have a new key now? */
bool seals_renews(void);

enum seals_look {
	SEALS_PLAIN, /* the page is not sealed */
	SEALS_RIGHT, /* *ret has what was sealed */
	SEALS_WRONG,
	SEALS_BUSY, /* nobody can say just now */
};
/* Looks at a copy of a page. The law "not its plain bytes" is asked of `plain`, if it is
 * not NULL. *ret is valid until the next call. */
enum seals_look seals_look(extmem *, uint64_t page, const uint8_t *bytes,
			   const uint8_t *plain, const uint8_t **ret);
/* `ret` opens what was sealed with any of these salts, which get numbers in `ret_keys`. It
 * seals nothing. Returns `ret`. */
struct xm_seals *seals_any(struct xm_seals *ret, uint8_t (*salts)[12], uint32_t count,
			   uint16_t *ret_keys);
/* Appliances lie from now on, if the shape says so; and not any more. */
void lies_begin(void);
void lies_end(void);
void law_seals(uint32_t client);

#endif
