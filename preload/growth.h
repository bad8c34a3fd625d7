/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The regions that external memory is taken from, for block.c and budget.c.
 *
 * A region stays where it is for the life of the process, and only grows. So
 * a pointer to one stays good; its members are read without a lock.
 */
#ifndef EXTMEM_GROWTH_H
#define EXTMEM_GROWTH_H

#include "preload/shim.h"

/* No address space has more: larger requests are refused before they are
 * rounded up or added to anything. */
#define SIZE_MAX_ASKED (UINT64_C(1) << 47)

struct region {
	unsigned index;
	uintptr_t base;
	_Atomic uint64_t size;
	_Atomic uint64_t reach; /* of its addresses: size, or more as it grows */
	uint64_t size_max; /* the table of owners is made for */
	extmem_region *handle; /* NULL: the reserve, which has no blocks */
	_Atomic uint32_t *owner;
};

struct region *growth_region(unsigned index); /* below the count */
struct region *growth_region_of(uintptr_t address); /* NULL: none has it */
uint64_t growth_total(void); /* bytes of all regions */
/* A slab, after the regions have grown if they must. 0, or what
 * extmem_region_alloc() and extmem_region_resize() return; -ENOSPC too where
 * --external allows no more. */
int growth_slab(uint64_t size, uint64_t *ret_region, uint64_t *ret_offset);
/* A region of at least so much, where --strategy may have rows of stripes that are
 * larger (of at most 32 MiB). As extmem_region_alloc(). */
int growth_alloc(const char *name, uint64_t size, extmem_region **ret);
/* Both with the lock held. How many bytes may be taken now by a caller that needs
 * `need` and would like `want`: `want`, but at most half of what the appliances have
 * left, and at least `need`. Less than `need`: --external allows no more.
 * growth_note(): so many bytes have been taken. */
uint64_t growth_allowance(uint64_t need, uint64_t want);
void growth_note(uint64_t bytes);
void growth_lock(void); /* around fork(), too */
void growth_unlock(void);

#endif
