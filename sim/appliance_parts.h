/* SPDX-License-Identifier: BSD-3-Clause */
/* What appliance.c and interfaces.c share: an appliance's processes and the queues between
 * them. Only they include this. */
#ifndef XM_SIM_APPLIANCE_PARTS_H
#define XM_SIM_APPLIANCE_PARTS_H

#include "appliance/host.h"
#include "sim/fabric.h"
#include "sim/shape.h"
#include "sim/sparse.h"
#include "sim/world.h"

struct command {
	struct command *next;
	struct xm_command command;
};

struct answer {
	struct answer *next;
	uint32_t place;
	struct xm_report report;
};

/* An interface process, and its part of the pool. */
struct place {
	struct appliance *appliance;
	uint32_t index;
	struct process *interface; /* NULL: it is dead */
	struct xm_locator locator;
	struct xm_transport_limits limits;
	bool listening;
	bool lost, back; /* what the control process is to hear of */
	uint64_t pause_ns; /* from its death on */
	struct command *commands, **commands_last;
};

struct appliance {
	struct process *control;
	uint32_t index;
	struct place places[SIM_CLIENTS_MAX];
	struct sparse *pool;
	struct xm_host *host;
	uint32_t drain_ms; /* not 0: it is to drain for so long */
	bool stays;	   /* it is not to drain any more */
	bool resized;	   /* the pool is to have this many bytes: */
	uint64_t size;
	uint64_t quotas_ns; /* when its tenants may have something else */
	struct answer *answers, **answers_last;
};

/* --- interfaces.c --- */

/* A process; and it runs. */
void interface_begin(struct place *);
void interface_go(struct place *);
/* After its pause, unless the appliance has ended meanwhile. */
void interface_begin_again(struct place *);
/* What is on its way to it; what came of it, and was not taken. */
void commands_drop(struct place *);
void answers_drop(struct appliance *, uint32_t place);
bool interfaces_listen(const struct appliance *); /* all of them */

#endif
