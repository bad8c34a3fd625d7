/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What map.c and map_kernel.c share: the kernel's calls about mappings, made so that the
 * filter (trap.c) lets them pass. They return as libc's functions do.
 */
#ifndef EXTMEM_MAP_H
#define EXTMEM_MAP_H

#include "preload/shim.h"

/* The call by which the library reserves its arena; true: this is it, and *ret is the
 * result. */
bool map_reserves(const void *address, size_t size, int rights, int flags,
		  void **ret);

long map_raw_result(long r);
void *map_kernel(void *address, size_t size, int rights, int flags, int fd,
		 off64_t offset);
int map_kernel_unmap(void *address, size_t size);
void *map_kernel_remap(void *address, size_t old_size, size_t size, int flags,
		       void *place);
int map_kernel_advise(void *address, size_t size, int advice);
int map_kernel_protect(void *address, size_t size, int rights);

#endif
