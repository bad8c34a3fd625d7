/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmap(2) and its relatives at the addresses of the reserve (reserve.h).
 *
 * Addresses and sizes are multiples of a page, and ranges lie in the reserve. Calls
 * return what the kernel would for ordinary memory: 0 or -errno, or an address. Any
 * thread; not in a child of fork(), but for area_child_...().
 */
#ifndef EXTMEM_AREA_H
#define EXTMEM_AREA_H

#include "preload/shim.h"

/* Whether any page, or all, of [address, + size) belongs to the reserve. */
bool area_touches(const void *address, size_t size);
bool area_holds(const void *address, size_t size);

/* New external memory: `protection` has no right to execute. At `hint` if that is free,
 * else at an address of ours. NULL: there is no room for it. */
void *area_take(const void *hint, size_t size, int protection);
/* New external memory at this address. `over`: it replaces what is mapped there; else
 * -EEXIST if anything is. -ENOTSUP: these rights cannot be given, see
 * reserve_denies. */
int area_map(void *address, size_t size, int protection, bool over);
/* The kernel maps here, as with MAP_FIXED, something that external memory cannot be: a
 * file, shared or executable memory. */
void *area_plant(void *address, size_t size, int protection, int flags, int fd,
		 off64_t offset);
int area_unmap(void *address, size_t size);
int area_protect(void *address, size_t size, int protection);
int area_advise(void *address, size_t size, int advice);
/* -ENOMEM: not all of it is mapped. */
int area_mapped(const void *address, size_t size);
/* Whether a touch of this address was denied because nothing is mapped there. Also in a
 * signal handler, but not between shim_enter() and shim_leave(). */
bool area_misses(const void *address);
/* `place`: of MREMAP_FIXED. -EOPNOTSUPP: that is not possible. */
void *area_remap(void *address, size_t old_size, size_t size, int flags,
		 void *place);

void area_lock(void); /* around fork() */
void area_unlock(void);

/* In a child of fork(): notes that the kernel has mapped something there, or unmapped
 * it. */
void area_child_planted(void *address, size_t size);
void area_child_unmapped(void *address, size_t size);
/* Makes the kernel's mappings in the reserve agree with what the parent had mapped
 * there, and calls `watch` for each run of addresses whose pages are fetched from the
 * parent. `again`: the parent is a forked child itself, so its mappings were inherited
 * and are right already. False: `watch` has returned false, or the kernel has
 * refused. */
bool area_child_begin(bool again, bool (*watch)(void *address, size_t size));

#endif
