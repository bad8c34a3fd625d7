/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing a client: its parts, in the order in which they need each
 * other. See client.h.
 */
#include "core/client/client.h"

#include <errno.h>
#include <string.h>

#include "core/client/appliances.h"
#include "core/client/error.h"
#include "core/client/planned.h"
#include "core/client/strategies.h"
#include "core/skin/printer.h"

static void destroy(extmem *x)
{
	xm_ask_stop(&x->ask);
	xm_faults_end(x);
	xm_lanes_close(&x->lanes);
	if (x->marks != NULL)
		os_memory_give(x->marks, xm_marks_size(x->arena.size / XM_PAGE));
	xm_sealing_close(&x->sealing);
	xm_printer_close(x->printing.printer);
	xm_all_waiting_close(&x->lanes.waiting);
	xm_ask_close(&x->ask);
	xm_arena_close(&x->arena);
	xm_async_close(&x->async);
	xm_strategies_close(x);
	if (x->options != NULL)
		xm_options_close(x->options);
	xm_line_close(&x->regions.lock);
	os_mutex_close(&x->regions.links);
	os_mutex_close(&x->registered.lock);
	os_mutex_close(&x->clones.lock);
	os_memory_give(x, sizeof(*x));
}

static int printer_open(extmem *x)
{
	int rc;

	if (x->settings.fingerprints == 0)
		return 0;
	rc = xm_printer_open(&x->printing.ops, &x->printing.printer);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: out of memory");
	return 0;
}

static int build(extmem *x, const char *const settings[])
{
	char words[256] = "";
	int rc = xm_client_settings_read(settings, &x->settings, &x->options);

	if (rc == 0)
		rc = xm_strategies_open(x);
	if (rc == 0)
		rc = xm_arena_open(&x->arena, &x->settings, &x->volume);
	if (rc == 0)
		rc = xm_sealing_open(&x->sealing, &x->settings, x->arena.size);
	if (rc == 0)
		rc = printer_open(x);
	if (rc == 0)
		rc = xm_lanes_open(&x->lanes, &x->settings, &x->arena,
				   &x->volume, &x->sealing, &x->printing);
	if (rc == 0)
		rc = xm_async_open(&x->async);
	if (rc == 0)
		rc = xm_appliances_open(x);
	if (rc == 0)
		rc = xm_ask_start(&x->ask, &x->settings, xm_faults_look, x);
	if (rc == 0)
		rc = xm_appliances_wait(x);
	if (rc == 0)
		rc = xm_planned_check(x);
	if (rc != 0)
		return rc;
	/* After the transports: a provider may have installed handlers. */
	rc = xm_faults_begin(x, words, sizeof(words));
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s", words);
	return 0;
}

/* All that destroy() takes apart in any case. */
static int begin(extmem *x)
{
	int ask, all;

	xm_list_open(&x->regions.list);
	xm_line_open(&x->regions.lock);
	os_mutex_open(&x->regions.links);
	os_mutex_open(&x->registered.lock);
	xm_list_open(&x->clones.list);
	os_mutex_open(&x->clones.lock);
	ask = xm_ask_open(&x->ask, &x->lanes);
	all = xm_all_waiting_open(&x->lanes.waiting);
	return ask != 0 ? ask : all;
}

int extmem_open(const char *const settings[], extmem **ret)
{
	extmem *x;
	int rc = xm_usable("extmem_open");

	if (rc != 0)
		return rc;
	if (ret == NULL)
		return xm_fail(-EINVAL, "extmem_open: no place for the handle");
	xm_forks_watch();
	x = os_memory_take(sizeof(*x));
	if (x == NULL)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	rc = begin(x);
	rc = rc != 0 ? xm_fail(rc, "extmem_open: no descriptor: %s",
			       strerror(-rc))
		     : build(x, settings);
	if (rc != 0) {
		destroy(x);
		return rc;
	}
	*ret = x;
	return 0;
}

int extmem_check(const char *const settings[])
{
	int rc = xm_usable("extmem_open");
	extmem *x;

	if (rc != 0)
		return rc;
	x = os_memory_take(sizeof(*x));
	if (x == NULL)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	rc = xm_client_settings_read(settings, &x->settings, &x->options);
	if (rc == 0)
		rc = xm_strategies_open(x);
	if (rc == 0)
		rc = xm_appliances_check(x);
	xm_strategies_close(x);
	if (x->options != NULL)
		xm_options_close(x->options);
	os_memory_give(x, sizeof(*x));
	return rc;
}

int extmem_close(extmem *x)
{
	int rc = 0;

	if (x == NULL)
		return 0;
	rc = xm_usable("extmem_close");
	if (rc != 0)
		return rc;
	x->regions.closing = true;
	XM_LIST_EACH_SAFE (link, &x->regions.list) {
		int last = extmem_region_free(
			XM_CONTAINER(link, extmem_region, link));

		if (rc == 0)
			rc = last;
	}
	destroy(x);
	return rc;
}
