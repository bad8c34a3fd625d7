/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A memory cgroup, of version 1 or 2, that this process lives in and limits.
 * It was made, and is removed, by whoever names it. All fail by bench_fail().
 */
#ifndef EXTMEM_BENCH_CGROUP_H
#define EXTMEM_BENCH_CGROUP_H

#include <stdint.h>

/* From here on what this process touches is counted there. */
void cgroup_join(const char *folder);
/* What is counted there now stays, and `more` bytes besides. */
void cgroup_limit(const char *folder, uint64_t more);

#endif
