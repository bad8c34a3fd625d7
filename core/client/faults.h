/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How faults reach a client, and loads and stores of the library's own that may
 * fault. faults.c does it on the real machine, sim/mapper.c in the simulator.
 */
#ifndef XM_FAULTS_H
#define XM_FAULTS_H

#include "common/base.h"
#include "core/extmem.h"

struct xm_faults;

/* From now on touches of the arena reach xm_serve() or xm_serve_once(). 0, or
 * -errno with a clause in `words`. */
int xm_faults_begin(extmem *, char *words, size_t words_size);
/* Until now. A client whose faults never began is left alone. */
void xm_faults_end(extmem *);

/* Copies from or to mapped memory; `address` is in bytes from the arena's start.
 * No lock may be held. */
void xm_arena_read(extmem *, uint64_t address, void *ret, size_t size);
void xm_arena_write(extmem *, uint64_t address, const void *bytes, size_t size);

#endif
