/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records what the program touches (common/record.h) into the file that RUN_ENV_RECORD names,
 * for `extmem advise`. Without it nothing here is called but record_start(), and the others
 * cost a look at a variable, off the way of a fault.
 */
#ifndef EXTMEM_RUN_RECORD_H
#define EXTMEM_RUN_RECORD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the program begins. */
void record_start(void);
/* The handler of faults to install: `handler`, or one that records and then calls it. */
typedef void (*record_handler)(int, siginfo_t *, void *);
record_handler record_before(record_handler handler);
/* The kernel is about to touch external memory. */
void record_present(const void *address, size_t size, bool write);
/* The program gives memory up: it is fresh when it is touched again. */
void record_fresh(uintptr_t address, uint64_t size);
/* The program ends: the calls are given their names. */
void record_end(void);

#endif
