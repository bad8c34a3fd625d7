/* SPDX-License-Identifier: BSD-3-Clause */
/* places.c: pools that are divided among tenants, and the laws about that. */
#ifndef XM_SIM_PLACES_H
#define XM_SIM_PLACES_H

#include "appliance/host.h"
#include "sim/shape.h"
#include "sim/sparse.h"

/* After the tenants have been drawn. */
void places_draw(struct sim_shape *);
/* How many each pool has: 1 if it is not divided. */
uint32_t places_count(void);
void places_get(uint32_t place, uint64_t *ret_offset, uint64_t *ret_size);
/* One of them, at random. */
uint32_t places_some(void);
bool places_strike(void); /* one of them is to die */
/* What the options of a service need, for appliances whose pool is divided. */
void places_options(const struct xm_locator *locators, struct xm_service_options *);
/* A report by one interface about what is another's, which it makes up. False: this time
 * it does not. */
bool places_lie(const struct xm_service *, uint32_t *ret_place, struct xm_report *ret);
/* What ends an interface may have written to any byte that it reached: here to some of all
 * that is free there. */
void places_scribble(const struct xm_service *, uint32_t place, struct sparse *pool);
/* A law, asked before and after a service has heard of a lost interface: what is in its
 * place has ended, and nothing else has. */
void places_before(const struct xm_service *, uint32_t place);
void places_after(const struct xm_service *, uint32_t place, uint32_t appliance);

#endif
