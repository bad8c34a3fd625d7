/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A simulated disk for the durable store (appliance/store.h), at its worst. What was written
 * and not synced is, after the power was cut, there or not, sector by sector, in any of the
 * versions that were written: so writes are torn, lost and reordered. A sync that fails may
 * have dropped what it was to write, and the next one says that all is well, while reads
 * still find it. What was synced can rot: a bit of it changes, or a sector
 * reads as zeros.
 */
#ifndef XM_SIM_DISK_H
#define XM_SIM_DISK_H

#include "appliance/store.h"

/* Empty files, and no fault to come. */
void disk_open(void);
extern const struct xm_disk_ops disk_ops;

/* The power is cut during the operation that is so many from now (1: the next). */
void disk_cut(uint32_t operations);
bool disk_is_off(void);
/* The operation that is so many from now fails once, with this error. */
void disk_fail(uint32_t operations, int status);
bool disk_has_failed(void); /* since it was told to */
/* On again. `power`: it was off, and what was not synced is as it happens to be. */
void disk_on(bool power);
/* What is on the disk rots: anywhere, or in a sector of one file. False: nothing is there. */
bool disk_rot(void);
void disk_rot_at(enum xm_store_file, uint32_t sector);

#endif
