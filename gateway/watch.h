/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps a model (gateway.h) current: one thread for each appliance, so that one that does
 * not answer delays no other, and one for the programs of this machine.
 */
#ifndef EXTMEM_GATEWAY_WATCH_H
#define EXTMEM_GATEWAY_WATCH_H

#include "gateway/gateway.h"

#define GATEWAY_ASK_TIMEOUT_MS 5000

struct gateway_watch;

/* The addresses are different, and have different ids (gateway_id()). -ENOMEM, -EAGAIN. */
int gateway_watch_open(const char *const *addresses, unsigned count,
		       uint64_t interval_ns, struct gateway_watch **ret);
/* Waits for the questions that are being asked. */
void gateway_watch_close(struct gateway_watch *);

/* The model, until it is given back. Any thread; not for long. */
const struct gateway_model *gateway_watch_take(struct gateway_watch *);
void gateway_watch_give(struct gateway_watch *);
/* Asks this appliance now and not only at the end of the interval. */
void gateway_watch_hurry(struct gateway_watch *, unsigned appliance);

/* What names an appliance in a path: its address, with '_' for all but letters, digits,
 * '.' and '-'. */
void gateway_id(const char *address, char ret[GATEWAY_ID_SIZE]);

#endif
