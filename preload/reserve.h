/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reserve: the addresses of all that the program maps by mmap(2), and the external
 * memory behind parts of them. Pages are numbered from its first one.
 *
 * It does what areas.c has decided; all but reserve_local_at() with the areas' lock held,
 * between shim_enter() and shim_leave().
 */
#ifndef EXTMEM_RESERVE_H
#define EXTMEM_RESERVE_H

#include "common/areas.h"
#include "preload/shim.h"

extern uintptr_t reserve_base; /* 0: there is none */
extern uint64_t reserve_pages;
/* Rights can be taken: not with paging=thread, where all that is external is readable and
 * writable, and what is unmapped reads as zero. */
extern bool reserve_denies;

/* Once. False: there is none, and will be none. */
bool reserve_open(void);
static inline void *reserve_at(uint64_t page)
{
	return (void *)(reserve_base + page * SHIM_PAGE);
}

/* Memory for these pages, which have no rights where they had none. 0, or -errno. */
int reserve_back(uint64_t page, uint64_t limit);
/* These pages read as zero; those of children that live stay. `rights` are theirs. */
int reserve_discard(uint64_t page, uint64_t limit, enum xm_area_rights rights);
int reserve_advise(uint64_t page, uint64_t limit, enum extmem_advice);
int reserve_protect(uint64_t page, uint64_t limit, enum xm_area_rights rights);
/* The memory of these pages, which are empty and have no rights, may go back. `used` is
 * how many pages are used. */
void reserve_return(const struct xm_areas *, uint64_t page, uint64_t limit);
/* Notes that mappings of the program's own lie on these pages now. */
void reserve_planted(uint64_t page, uint64_t limit);
/* Replaces such mappings by external memory again. 0, or -errno. */
int reserve_restore(uint64_t page, uint64_t limit);
/* Whether the program has a mapping of its own at this page. Any thread, no lock. */
bool reserve_local_at(uint64_t page);
/* How many bytes from this address on, up to `size`, are of the same kind: the program's
 * own mapping, or not. */
size_t reserve_alike(const void *address, size_t size, bool *ret_local);
/* Bytes of external memory that it has. Any thread, no lock. */
uint64_t reserve_bytes(void);
/* Copies a page's contents, whatever rights it has. On a thread of ours. */
bool reserve_read(uint64_t page, void *ret);

#endif
