/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What there is under a fault: the kernel's calls, each by itself, in
 * microseconds. `more`: for each page of a call beyond its first.
 */
#ifndef EXTMEM_BENCH_COSTS_H
#define EXTMEM_BENCH_COSTS_H

#include <stdbool.h>

struct costs {
	double install, install_more; /* UFFDIO_COPY */
	double zero;		      /* UFFDIO_ZEROPAGE */
	double protect, protect_more; /* UFFDIO_WRITEPROTECT, either way */
	double drop, drop_more;	      /* MADV_DONTNEED */
	double copy;		      /* memcpy() of a page out of its place */
};

/* False: this kernel does not have them all. */
bool costs_measure(struct costs *ret);

#endif
