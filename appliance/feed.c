/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Feeds the service manager's watchdog (watchdog.h), where $WATCHDOG_USEC says that there is
 * one, as sd_watchdog_enabled(3) does. That the control process goes round shows itself: it
 * is this that is called in each round.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "appliance/notify.h"

/* A number alone; 0: it is none. */
static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);
	unsigned long long number;
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	return errno != 0 || *end != '\0' ? 0 : number;
}

void xm_daemon_open_watchdog(struct xm_daemon *d)
{
	uint64_t us = number_of("WATCHDOG_USEC");

	/* The variables are inherited: they may be meant for another process. */
	if (getenv("WATCHDOG_PID") != NULL && number_of("WATCHDOG_PID") != (uint64_t)getpid())
		us = 0;
	us = xm_min(us, UINT64_MAX / 1000);
	xm_watchdog_init(&d->watchdog, us * 1000,
			 d->settings.isolate == XM_ISOLATE_TENANT);
	if (us > 0)
		xm_log(XM_LEVEL_INFO, "the service manager is told every %llu ms that the"
		       " interface answers", (unsigned long long)us / 2000);
}

static void look_at(struct xm_daemon *d, uint32_t i, uint64_t now_ns)
{
	static const struct xm_command beat = { .kind = XM_COMMAND_BEAT };
	struct xm_daemon_part *part = &d->parts[i];
	bool hangs = xm_watchdog_hangs(&d->watchdog, i, now_ns);

	if (d->watchdog.parts[i].state == XM_WATCHDOG_OWED && part->listens &&
	    xm_interface_command(&part->interface, &beat) == 0)
		xm_watchdog_asked(&d->watchdog, i);
	if (hangs == part->hangs)
		return;
	part->hangs = hangs;
	if (!hangs) {
		xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_INFO, "process %d answers again",
			  (int)part->interface.pid);
		return;
	}
	xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_ERROR, "the interface process (%d)%s%s has"
		  " answered nothing for %llu ms: %s", (int)part->interface.pid,
		  part->tenant[0] != '\0' ? " of tenant " : "", part->tenant,
		  (unsigned long long)(d->watchdog.half_ns / (XM_MS / 2)),
		  d->watchdog.divided ? "it is killed"
				      : "the service manager's watchdog is not fed");
	if (d->watchdog.divided && part->interface.pid > 0)
		(void)kill(part->interface.pid, SIGKILL);
}

uint64_t xm_daemon_feed_watchdog(struct xm_daemon *d, uint64_t now_ns)
{
	bool listens[XM_TENANTS_MAX];

	if (d->watchdog.half_ns == 0)
		return XM_NEVER;
	for (uint32_t i = 0; i < d->parts_count; i++)
		listens[i] = d->parts[i].listens;
	if (xm_watchdog_tick(&d->watchdog, now_ns, listens, d->parts_count))
		xm_notify("WATCHDOG=1");
	for (uint32_t i = 0; i < d->parts_count; i++)
		look_at(d, i, now_ns);
	return xm_watchdog_next(&d->watchdog, now_ns);
}
