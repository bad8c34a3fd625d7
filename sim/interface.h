/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface of a simulated appliance, where `--interface=model` makes it the model of
 * transports/model: the fabric's accesses are descriptors, its exposures entries of the key
 * memory. The fabric knows by itself what may be accessed; that both say the same is a law.
 */
#ifndef XM_SIM_INTERFACE_H
#define XM_SIM_INTERFACE_H

#include "common/base.h"

struct interface;
struct interface_access {
	bool write, allowed; /* as the fabric sees it */
	uint64_t client, key, offset, size;
	uint8_t *bytes;
};

/* Of a target; NULL where the run has none. */
struct interface *interface_open(uint8_t *pool, uint64_t size);
void interface_close(struct interface *);
/* A span is a key from now on; returns it. */
uint64_t interface_expose(struct interface *, uint64_t client, uint64_t key, uint64_t offset,
			  uint64_t size, uint32_t rights);
void interface_conceal(struct interface *, uint64_t key);
/* Moves the bytes, or refuses to; returns how long that took. */
uint64_t interface_access(struct interface *, const struct interface_access *);

#endif
