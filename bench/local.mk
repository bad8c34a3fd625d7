# SPDX-License-Identifier: BSD-3-Clause
# bench: programs that measure; of the library they use extmem.h alone.

bin_PROGRAMS += extmem-bench
extmem_bench_SOURCES = bench/extmem-bench.c
extmem_bench_LDADD = $(XM_WHOLE)
