/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monotonic clock, for programs and for the skin. Pure code is handed the
 * time and never asks for it (tests/house/floors.sh); files of core/client ask
 * os_now_ns(), which is virtual in the simulator.
 */
#ifndef XM_CLOCK_H
#define XM_CLOCK_H

#include <time.h>

#include "common/base.h"

/* Nanoseconds since some fixed point; never goes back. Any thread, and safe in
 * signal handlers. */
static inline uint64_t xm_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

#endif
