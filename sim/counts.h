/* SPDX-License-Identifier: BSD-3-Clause */
/* What the runs of this process have done so far, for reports. */
#ifndef XM_SIM_COUNTS_H
#define XM_SIM_COUNTS_H

#include "common/base.h"
#include "core/pure/trace.h"
#include "sim/outcomes.h"

/* Kinds of injected faults. */
enum sim_fault {
	SIM_FAULT_DELAY, SIM_FAULT_LOSS, SIM_FAULT_PARTITION,
	SIM_FAULT_ONE_WAY, SIM_FAULT_CLOG, SIM_FAULT_BREAK,
	SIM_FAULT_HANG_CONTROL, SIM_FAULT_HANG_INTERFACE,
	SIM_FAULT_HANG_APPLIANCE, SIM_FAULT_HANG_CLIENT,
	SIM_FAULT_KILL_APPLIANCE, SIM_FAULT_KILL_INTERFACE,
	SIM_FAULT_KILL_CLIENT, SIM_FAULT_SKEW, SIM_FAULT_JUMP_CLIENT,
	SIM_FAULT_JUMP_APPLIANCE, SIM_FAULT_SLOW,
	SIM_FAULT_AGAIN, SIM_FAULT_STUCK, SIM_FAULT_LATE_WRITE,
	SIM_FAULT_LATE_DEATH, SIM_FAULT_UNTOLD_DEATH, SIM_FAULT_FULL,
	SIM_FAULT_REFUSED_KEY, SIM_FAULT_STREAM, SIM_FAULT_STREAMS,
	SIM_FAULT_MEMORY, SIM_FAULT_CLIENT_MEMORY,
	SIM_FAULT_KILL_ZONE, SIM_FAULT_LANE, SIM_FAULT_LEDGER,
	SIM_FAULT_DRAIN, SIM_FAULT_LIE, SIM_FAULT_SHRINK,
	SIM_FAULT_THIEF, SIM_FAULT_LIAR,
	SIM_FAULTS,
};

struct sim_counts {
	uint64_t faults[SIM_FAULTS];
	uint64_t laws_asked;
	uint64_t operations, loads, stores, reads, writes, lost, failed, denied;
	uint64_t lost_regions, regions, restarts;
	uint64_t points[XM_TRACE_IDS]; /* how often each trace point was reached */
	outcome_counts outcomes;
};

extern struct sim_counts sim_counts;
const char *sim_fault_name(enum sim_fault);

#endif
