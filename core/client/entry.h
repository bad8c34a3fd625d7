/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of an appliance's list of regions, from its messages. */
#ifndef XM_ENTRY_H
#define XM_ENTRY_H

#include "common/base.h"
#include "core/extmem.h"
#include "core/pure/wire.h"

/* Appends the entries of one answer to a LIST to ret[got..count), after skipping
 * as many as *skip says, which is counted down. Returns the new `got`. */
size_t xm_list_entries(const struct xm_listed *, const char *appliance,
		       uint64_t *skip, struct extmem_region_entry *ret,
		       size_t got, size_t count);

#endif
