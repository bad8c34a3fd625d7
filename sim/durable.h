/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store process of a simulated appliance, as its clients see it: bytes are drafted, slowly,
 * while writes land in the pool; and what is persisted is on a disk that answers soon, or not.
 * (What becomes of the disk in a power cut is another world's business: store.h.)
 *
 * A law: what is persisted of a page are bytes that it had at one instant. So no draft of
 * it is, if the pool was written to between its first byte and its last.
 */
#ifndef XM_SIM_DURABLE_H
#define XM_SIM_DURABLE_H

#include "appliance/store_link.h"

struct process;

/* The control process of this appliance has such a store from now on, which dies with it. */
void durable_open(uint32_t appliance, struct process *control);
void durable_close(uint32_t appliance);
extern const struct xm_store_link_ops durable_link;
void *durable_of(uint32_t appliance);
bool durable_has_reports(uint32_t appliance);
/* How often something was persisted of the regions that share the first byte of this id. */
uint64_t durable_persists(const struct xm_region_id *);
/* To be called before these bytes of the pool are written. */
void durable_written(uint32_t appliance, uint64_t offset, uint64_t size);
/* What is on the disk of the page at byte `offset` of the pool, opened if it is sealed; valid
 * until the next call. NULL: there is no disk. */
const uint8_t *durable_bytes(uint32_t appliance, uint64_t offset);

#endif
