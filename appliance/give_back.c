/* SPDX-License-Identifier: BSD-3-Clause */
/* extmemd --give-back: what pressure.h decides, with this machine's figures. Floor: skin. */
#include <inttypes.h>
#include <stdio.h>

#include "appliance/daemon.h"
#include "appliance/log.h"

/* Thousandths of the last 10 s in which some program waited for memory; 0: the kernel does
 * not tell (CONFIG_PSI). */
static uint32_t stalled_permille(void)
{
	FILE *file = fopen("/proc/pressure/memory", "re");
	unsigned whole, hundredths;
	uint32_t ret = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "some avg10=%u.%2u", &whole, &hundredths) == 2)
		ret = whole * 10 + hundredths / 10;
	fclose(file);
	return ret;
}

uint64_t xm_daemon_give_back(struct xm_daemon *d, uint64_t now_ns)
{
	struct xm_pressure_event ev = { .now_ns = now_ns };
	uint64_t goal;

	if (d->settings.give_back == 0)
		return XM_NEVER;
	if (d->pressure.line != d->settings.give_back)
		xm_pressure_init(&d->pressure, d->settings.give_back,
				 xm_host_goal(d->host));
	if (now_ns < d->look_ns)
		return d->look_ns;
	d->look_ns = xm_time_after(now_ns, XM_PRESSURE_LOOK);
	ev.available = xm_pool_available();
	ev.stalled_permille = stalled_permille();
	ev.goal = xm_host_goal(d->host);
	if (!xm_pressure_step(&d->pressure, &ev, &goal))
		return d->look_ns;
	xm_log(XM_LEVEL_INFO, "%s: %" PRIu64 " MiB are available here, and "
	       "programs wait for memory in %" PRIu32 ".%" PRIu32 " %% of the "
	       "time", goal < ev.goal ? "giving memory back"
				      : "taking memory again",
	       ev.available / XM_MIB, ev.stalled_permille / 10,
	       ev.stalled_permille % 10);
	xm_host_resize(d->host, now_ns, goal);
	/* As the machine that has it rounds it. */
	d->pressure.goal = xm_host_goal(d->host);
	return d->look_ns;
}
