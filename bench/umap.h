/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory by UMap (https://github.com/LLNL/umap), a pager in user space whose
 * store is a file: the peer that is nearest to extmem. Its library is found when
 * it is asked for, and by no other function; nothing of it is needed to build.
 * All fail by bench_fail().
 */
#ifndef EXTMEM_BENCH_UMAP_H
#define EXTMEM_BENCH_UMAP_H

#include <stdint.h>

/* `size` bytes whose store is a new file of this name, which is removed at
 * once, and of which so many pages are local. Once in a process: UMap reads its
 * settings but once. */
void *umap_open(const char *file, uint64_t size, uint64_t pages_local);
void umap_close(void *memory, uint64_t size);

#endif
