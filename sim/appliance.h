/* SPDX-License-Identifier: BSD-3-Clause */
/* appliance.c: simulated appliances, each of two processes and a pool. */
#ifndef XM_SIM_APPLIANCE_H
#define XM_SIM_APPLIANCE_H

#include "common/base.h"
#include "appliance/service.h"

struct process;

void appliance_open(uint32_t index);
void appliance_close(uint32_t index);
/* The index in an address: 3 for "sim:3". */
uint32_t appliance_of(const char *address);
uint32_t appliance_node(uint32_t index);
struct process *appliance_control(uint32_t index);
struct process *appliance_interface(uint32_t index, uint32_t place);
struct xm_service *appliance_service(uint32_t index);
uint8_t *appliance_pool(uint32_t index);
/* To be called before these bytes of its pool are written. */
void appliance_written(uint32_t index, uint64_t offset, uint64_t size);
/* When the page of this byte changed last, by sparse_now(); UINT64_MAX: there is
 * no pool. */
uint64_t appliance_changed(uint32_t index, uint64_t offset);
/* Which appliance's interface process this is; UINT32_MAX: none. */
uint32_t appliance_at_interface(const struct process *);
/* Tells its control process to end, as SIGTERM does: it drains for `ms`. */
void appliance_drain(uint32_t index, uint32_t ms);
/* Likewise, and after that time it is to stay. */
void appliance_drain_for(uint32_t index, uint64_t ns);
/* Its pool is to have so many bytes; and after `ns` all of them again (0: never). */
void appliance_resize(uint32_t index, uint64_t size);
void appliance_shrink_for(uint32_t index, uint64_t size, uint64_t ns);
/* Bytes that clients own there. */
uint64_t appliance_held(uint32_t index);
/* Ends both processes now; they are started again, with an empty pool, after
 * `pause_ns`. */
void appliance_kill(uint32_t index, uint64_t pause_ns);
/* Ends an interface process. Where the pool is not divided the control process notices and
 * ends, too; else another one takes its place after `pause_ns`. */
void appliance_kill_interface(uint32_t index, uint64_t pause_ns);

#endif
