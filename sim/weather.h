/* SPDX-License-Identifier: BSD-3-Clause */
/* Weather: the faults that are injected into a run (weather.c). */
#ifndef XM_SIM_WEATHER_H
#define XM_SIM_WEATHER_H

#include "common/base.h"
#include "sim/shape.h"

struct process;

void weather_draw(uint64_t seed, struct sim_shape *ret);
void weather_begin(void);
void weather_clear(void);
/* This client is about to do something in several messages: now and then its
 * streams break in the middle of it. */
void weather_strike(uint32_t client);
uint64_t weather_events(void); /* so many have been numbered */
/* Until when links, streams or clients were disturbed, of late; or will be. */
uint64_t weather_disturbs(void);
/* So far nothing has gone wrong but that clients hung, and lost their streams. */
bool weather_only_pauses(void);
/* A process begins on a host whose clock is its own. */
void weather_clock(struct process *);
/* Is there, for once, nothing to be had by a client? */
bool weather_no_memory(void);

#endif
