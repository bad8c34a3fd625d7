/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appliances of our own, for one run: extmemd, found beside this program, or
 * where it was installed, or by PATH; or, for loop, one inside this process.
 * They end with this process at the latest.
 */
#ifndef EXTMEM_BENCH_APPLIANCE_H
#define EXTMEM_BENCH_APPLIANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/bench.h"

/* Starts one that lends `memory` bytes, to this host alone or to any, and
 * waits until it is ready. False: it did not come up; what it said is on
 * stderr. */
bool appliance_start(const struct bench_common *, bool one_host, uint64_t memory,
		     char ret_address[BENCH_ADDRESS_SIZE]);
/* The control process of the first that was started, or 0. */
long appliance_pid(void);
/* The interface process, whose parent is this control process; 0: there is none. */
long appliance_child(long pid);
/* Sends the signal to all of its processes. */
void appliance_signal(int index, int number);
/* Kills all of its processes, and waits for their end. */
void appliance_kill(int index);
/* Starts it again at the address that it had, empty. False: it did not come up; what
 * it said is on stderr. */
bool appliance_restart(const struct bench_common *, int index, uint64_t memory);
/* False when one that was started is gone, which is said. */
bool appliances_are_well(void);
/* Asks them to end, and makes them end after five seconds. */
void appliances_stop(void);

#endif
