/* SPDX-License-Identifier: BSD-3-Clause */
/* What weather.c and storm.c share. */
#ifndef XM_SIM_WEATHER_PARTS_H
#define XM_SIM_WEATHER_PARTS_H

#include "sim/counts.h"
#include "sim/weather.h"

struct process;

#define NOBODY UINT32_MAX

/* --- weather.c ------------------------------------------------------------------ */

/* Counts and notes an event. False: the plan leaves it out, and it does not happen. */
bool weather_happens(enum sim_fault, uint32_t client, uint32_t appliance,
		     uint64_t ns);
/* It hangs for so long. */
void weather_hang(struct process *, uint64_t ns);
/* One event, whatever it is. */
void weather_event(void);
/* A trouble that is not numbered has begun. */
void weather_trouble(void);

/* --- storm.c -------------------------------------------------------------------- */

void storm_begin(void);
/* One of a storm's own events. False: it is not one of these. */
bool storm_blows(uint32_t appliance, uint32_t client);
/* Likewise, where clients take naps. */
bool storm_naps(uint32_t client);
/* Until the next event. */
uint64_t storm_pause(void);

#endif
