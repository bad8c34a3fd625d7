/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MACHINE: whether the service manager may be told that the daemon makes progress.
 *
 * Twice in its time the manager wants to hear so. It is told only when every interface
 * process has answered since it was told last: a process that is there, listens and goes
 * no further is as bad as none, and nothing else would notice it.
 *
 *	FRESH    has answered since the manager was told
 *	OWED     is to be asked, its socket had no room
 *	ASKED    has not answered yet
 *
 * Where each tenant has a process of its own (`divided`), one that hangs must not cost the
 * others theirs: the manager is told all the same, and the one is to be killed when it has
 * been silent for the manager's whole time.
 *
 * Floor: ground.
 */
#ifndef XM_WATCHDOG_H
#define XM_WATCHDOG_H

#include "common/base.h"
#include "appliance/tenants.h"

enum xm_watchdog_state { XM_WATCHDOG_FRESH, XM_WATCHDOG_OWED, XM_WATCHDOG_ASKED };

struct xm_watchdog {
	uint64_t half_ns; /* of the manager's time; 0: it does not want to hear */
	uint64_t tell_ns;
	bool divided;
	struct xm_watchdog_part {
		enum xm_watchdog_state state;
		uint64_t since_ns; /* not FRESH since then */
	} parts[XM_TENANTS_MAX];
};

/* `watchdog_ns` is the manager's time. */
void xm_watchdog_init(struct xm_watchdog *, uint64_t watchdog_ns, bool divided);
/* Whether to tell it now; `count` parts, of which `listens` is true of those that are there.
 * Afterwards ask all that are OWED. */
bool xm_watchdog_tick(struct xm_watchdog *, uint64_t now_ns, const bool *listens,
		      uint32_t count);
void xm_watchdog_asked(struct xm_watchdog *, uint32_t part);
void xm_watchdog_answered(struct xm_watchdog *, uint32_t part);
/* It has been silent for the manager's whole time. */
bool xm_watchdog_hangs(const struct xm_watchdog *, uint32_t part, uint64_t now_ns);
/* When to tick again, at the latest; an answer is a reason too. */
uint64_t xm_watchdog_next(const struct xm_watchdog *, uint64_t now_ns);

#endif
