/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of outcomes; see outcomes.h. */
#include "sim/outcomes.h"

#include <errno.h>
#include <string.h>

#define BIT(result) (1U << OUTCOME_##result)
#define OK BIT(OK)
#define NOSPC BIT(ENOSPC)
#define NOTCONN BIT(ENOTCONN)
#define STALE BIT(ESTALE)
#define TIMEDOUT BIT(ETIMEDOUT)
#define BUSY BIT(EBUSY)
#define NOMEM BIT(ENOMEM)
#define BUS BIT(SIGBUS)

/* In a full pool one who asks for more may wait for bytes that others gave back
 * and that are being zeroed, until its time is up, or is up when it has them
 * and is about to connect. EBUSY is a give on the heels of a resize that was not
 * answered in time: control, continued, has just begun with that. Stopping an
 * interface ends no lease: a client that runs is heard of by control. */
static const unsigned listed[OUTCOME_CALLS][OUTCOME_TROUBLES - 1] = {
	[OUTCOME_TAKE] = {
		[OUTCOME_CALM] = OK | NOSPC | NOTCONN | TIMEDOUT,
		[OUTCOME_CONTROL_STOPPED] = OK | NOSPC | NOTCONN | TIMEDOUT,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOSPC | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOSPC | NOTCONN | TIMEDOUT,
	},
	[OUTCOME_GIVE] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK | TIMEDOUT | BUSY,
		[OUTCOME_INTERFACE_STOPPED] = OK | TIMEDOUT | BUSY,
		[OUTCOME_KILLED] = OK | NOTCONN | TIMEDOUT | BUSY,
	},
	[OUTCOME_RESIZE] = {
		[OUTCOME_CALM] = OK | NOSPC | TIMEDOUT | BUSY | NOMEM,
		[OUTCOME_CONTROL_STOPPED] =
			OK | NOSPC | TIMEDOUT |
			BUSY | NOMEM,
		[OUTCOME_INTERFACE_STOPPED] =
			OK | NOSPC | TIMEDOUT |
			BUSY | NOMEM,
		[OUTCOME_KILLED] =
			OK | NOSPC | NOTCONN | STALE |
			TIMEDOUT | BUSY | NOMEM,
	},
	[OUTCOME_LOAD] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | BUS,
		[OUTCOME_KILLED] = OK | BUS,
	},
	[OUTCOME_STORE] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | BUS,
		[OUTCOME_KILLED] = OK | BUS,
	},
	[OUTCOME_READ] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOTCONN | STALE | TIMEDOUT,
	},
	[OUTCOME_WRITE] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOTCONN | STALE | TIMEDOUT,
	},
	[OUTCOME_SYNC] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOTCONN | STALE | TIMEDOUT,
	},
	[OUTCOME_MAP] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | TIMEDOUT,
		[OUTCOME_KILLED] = OK,
	},
	[OUTCOME_UNMAP] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOTCONN | STALE,
	},
	[OUTCOME_ADVISE] = {
		[OUTCOME_CALM] = OK,
		[OUTCOME_CONTROL_STOPPED] = OK,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOTCONN | STALE,
	},
	[OUTCOME_PIN] = {
		[OUTCOME_CALM] = OK | NOMEM,
		[OUTCOME_CONTROL_STOPPED] = OK | NOMEM,
		[OUTCOME_INTERFACE_STOPPED] = OK | NOTCONN | TIMEDOUT,
		[OUTCOME_KILLED] = OK | NOTCONN | TIMEDOUT | NOMEM,
	},
};

enum outcome_result outcome_result(int rc)
{
	switch (rc < 0 ? rc : 0) {
	case 0: return OUTCOME_OK;
	case -ENOSPC: return OUTCOME_ENOSPC;
	case -ENOTCONN: return OUTCOME_ENOTCONN;
	case -ESTALE: return OUTCOME_ESTALE;
	case -ETIMEDOUT: return OUTCOME_ETIMEDOUT;
	case -EBUSY: return OUTCOME_EBUSY;
	case -ENOMEM: return OUTCOME_ENOMEM;
	default: return OUTCOME_ELSE;
	}
}

enum outcome_result outcome_of_more(int rc)
{
	/* Of appliances that drain none has room. */
	return outcome_result(rc == -ESHUTDOWN ? -ENOSPC : rc);
}

bool outcome_listed(enum outcome_call call, enum outcome_trouble trouble,
		    enum outcome_result result)
{
	return trouble == OUTCOME_OTHER ||
	       (listed[call][trouble] >> result & 1) != 0;
}

const char *outcome_call_name(enum outcome_call call)
{
	static const char *const names[OUTCOME_CALLS] = {
		"take", "give", "resize", "load", "store", "read", "write",
		"sync", "map", "unmap", "advise", "pin",
	};

	return names[call];
}

const char *outcome_trouble_name(enum outcome_trouble trouble)
{
	static const char *const names[OUTCOME_TROUBLES] = {
		"calm", "control_stopped", "interface_stopped", "killed",
		"other",
	};

	return names[trouble];
}

const char *outcome_result_name(enum outcome_result result)
{
	static const char *const names[OUTCOME_RESULTS] = {
		"ok", "ENOSPC", "ENOTCONN", "ESTALE", "ETIMEDOUT", "EBUSY",
		"ENOMEM", "SIGBUS", "something_else",
	};

	return names[result];
}

void outcome_begin(struct outcome_watch *w, enum outcome_trouble trouble)
{
	w->since[trouble] = true;
	w->until_ns[trouble] = XM_NEVER;
}

void outcome_end(struct outcome_watch *w, enum outcome_trouble trouble,
		 uint64_t now_ns)
{
	w->until_ns[trouble] = now_ns + OUTCOME_SETTLES;
}

void outcome_taken(struct outcome_watch *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < OUTCOME_TROUBLES; i++)
		w->since[i] = w->until_ns[i] > now_ns;
}

enum outcome_trouble outcome_worst(const struct outcome_watch *w)
{
	enum outcome_trouble worst = OUTCOME_TROUBLES - 1;

	while (worst > OUTCOME_CALM && !w->since[worst])
		worst--;
	return worst;
}
