/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads what the programs of this machine say of themselves, and brings it into a model.
 * One thread.
 */
#ifndef EXTMEM_GATEWAY_LOOK_H
#define EXTMEM_GATEWAY_LOOK_H

#include "gateway/gateway.h"

struct gateway_look;

struct gateway_look *gateway_look_open(void); /* NULL: no memory */
void gateway_look_close(struct gateway_look *);

/* Reads their files; slow. */
void gateway_look_read(struct gateway_look *);
/* Puts what was read into the model, which the caller has locked. Quick. */
void gateway_look_take_over(struct gateway_look *, struct gateway_model *);

#endif
