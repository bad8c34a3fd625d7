/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface processes of a running extmemd, and the memory behind each.
 *
 * isolate=shared: one process, and the whole pool. When it dies, the daemon ends with an
 * error instead of starting another: whatever broke it could write anywhere in the pool,
 * so the bytes there can no longer be handed out as what the clients stored. The service
 * manager restarts the whole, with a new incarnation, and clients learn that what they had
 * is lost.
 *
 * isolate=tenant: for each tenant with bytes in the tenants file a pool of so many, in
 * files of its own, and a process that is handed these and no others. When one dies, its
 * tenant's memory is lost (appliance/places.c), and another process is begun after a
 * second. Nothing waits for it but what concerns that tenant.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "appliance/tenants_file.h"
#include "common/clock.h"

#define PROGRESS_SIZE (1 * XM_GIB) /* smaller pools are there at once */
#define PROGRESS_STEPS 20
#define BEGIN_PAUSE XM_SECOND	/* from a process's death to the next one */
#define BEGIN_TIME (60 * XM_SECOND) /* until it listens, at most */
#define LOOK (20 * XM_MS)	/* at one that begins */

/* --- the parts ------------------------------------------------------------------ */

static bool is_divided(const struct xm_daemon *d)
{
	return d->settings.isolate == XM_ISOLATE_TENANT;
}

static uint64_t unit(const struct xm_daemon *d)
{
	return d->settings.huge_pages ? 2 * XM_MIB : XM_GRANULE;
}

static int add_part(struct xm_daemon *d, const struct xm_tenant *t)
{
	struct xm_daemon_part *part = &d->parts[d->parts_count];

	if (t->bytes == XM_TENANT_ALL) {
		xm_log(XM_LEVEL_ERROR, "isolate tenant: each tenant has memory of its own,"
		       " and the tenants file does not say how much for %s: add"
		       " bytes = SIZE (0: it takes none)", t->name);
		return -EINVAL;
	}
	if (t->bytes == 0)
		return 0;
	memcpy(part->tenant, t->name, sizeof(part->tenant));
	part->offset = d->pool_size;
	part->pool.size = xm_align_up(t->bytes, unit(d));
	d->pool_size += part->pool.size;
	d->parts_count++;
	return 0;
}

static int divide(struct xm_daemon *d)
{
	static struct xm_tenants tenants;
	char words[XM_WORDS_MAX];
	int rc = xm_tenants_read(d->settings.tenants, &tenants, words, sizeof(words));

	if (rc != 0)
		xm_log(XM_LEVEL_ERROR, "tenants: %s", words);
	for (uint32_t i = 0; rc == 0 && i < tenants.count; i++)
		rc = add_part(d, &tenants.list[i]);
	if (rc != 0)
		return rc;
	if (d->parts_count == 0 || d->pool_size > xm_daemon_pool_size(&d->settings)) {
		xm_log(XM_LEVEL_ERROR, "isolate tenant: the tenants have %" PRIu64 " MiB"
		       " together, and --memory is %" PRIu64 " MiB: each byte is one"
		       " tenant's here; lend more, or give them less",
		       d->pool_size / XM_MIB,
		       xm_daemon_pool_size(&d->settings) / XM_MIB);
		return -EINVAL;
	}
	if (d->settings.data_port != 0 &&
	    d->settings.data_port + d->parts_count - 1 > UINT16_MAX) {
		xm_log(XM_LEVEL_ERROR, "isolate tenant: from --data-port %" PRIu64 " on"
		       " there are not %" PRIu32 " ports, one for each tenant: give a"
		       " lower one", d->settings.data_port, d->parts_count);
		return -EINVAL;
	}
	return 0;
}

static void show_progress(void *context, uint64_t done, uint64_t size)
{
	struct xm_daemon *d = context;
	uint64_t steps = done / (size / PROGRESS_STEPS + 1);

	if (size < PROGRESS_SIZE || (steps == d->progress && done < size))
		return;
	d->progress = steps;
	xm_log_of(XM_LOG_MEMORY, XM_LEVEL_INFO, "preparing memory: %" PRIu64 " of %" PRIu64
	    " MiB", done / XM_MIB, size / XM_MIB);
}

void xm_daemon_guard(const struct xm_daemon *d, const struct xm_pool *pool)
{
	if (d->program == NULL)
		xm_pool_file_guard(pool);
}

static int open_pool(struct xm_daemon *d, struct xm_pool *pool)
{
	const char *file = d->settings.pool_file;
	char words[XM_WORDS_MAX] = "";
	int rc;

	if (xm_daemon_borrows(d))
		return xm_daemon_open_borrowed(d, pool);
	if (file[0] != '\0') {
		rc = xm_pool_file_open(file, pool->size, words, sizeof(words), pool);
		xm_daemon_guard(d, pool);
		if (rc == 0 && words[0] != '\0')
			xm_log_of(XM_LOG_MEMORY, XM_LEVEL_WARNING, "%s", words);
	} else {
		rc = xm_pool_open(pool->size, d->settings.huge_pages, words,
				  sizeof(words), pool);
		if (rc == 0)
			rc = xm_pool_prepare(pool, show_progress, d, words,
					     sizeof(words));
	}
	if (rc != 0)
		xm_log(XM_LEVEL_ERROR, "%s", words);
	return rc;
}

int xm_daemon_open_pools(struct xm_daemon *d)
{
	int rc = 0;

	if (is_divided(d)) {
		rc = divide(d);
	} else {
		d->pool_size = d->parts[0].pool.size = xm_daemon_pool_size(&d->settings);
		d->parts_count = 1;
	}
	for (uint32_t i = 0; rc == 0 && i < d->parts_count; i++)
		rc = open_pool(d, &d->parts[i].pool);
	return rc;
}

/* --- their processes --------------------------------------------------------------- */

static struct xm_interface_options options_of(const struct xm_daemon *d, uint32_t part)
{
	const struct xm_settings *s = &d->settings;

	return (struct xm_interface_options){
		.ops = d->transport_ops,
		.program = d->program,
		.address = s->listen,
		.provider = s->provider[0] != '\0' ? s->provider : NULL,
		.data_port = (uint16_t)(s->data_port == 0 ? 0 : s->data_port + part),
		.advertise = s->advertise[0] != '\0' ? s->advertise : NULL,
		.pool = &d->parts[part].pool,
		.clients_max = (uint32_t)s->clients_max,
		.spans_max = (uint32_t)xm_min(2 * s->extents_max,
					      XM_SERVICE_SLOTS_MAX),
		.polling = (enum xm_polling)s->polling,
		.confine = s->confine,
	};
}

int xm_daemon_open_interfaces(struct xm_daemon *d)
{
	char words[XM_WORDS_MAX] = "";
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < d->parts_count; i++) {
		struct xm_daemon_part *part = &d->parts[i];
		struct xm_interface_options o = options_of(d, i);

		rc = xm_interface_start(&o, words, sizeof(words), &part->interface,
					&part->limits, &part->locator);
		part->listens = rc == 0;
		if (rc == 0 && part->limits.pins)
			rc = xm_settings_check_pinned(&d->settings, "provider",
						      part->limits.provider, words,
						      sizeof(words));
	}
	if (rc != 0)
		xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_ERROR, "the interface cannot listen:"
			  " %s", words[0] != '\0' ? words : strerror(-rc));
	return rc;
}

int xm_daemon_watch_interface(const struct xm_daemon *d, uint32_t part)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(d->wakeups, EPOLL_CTL_ADD, d->parts[part].interface.fd,
			 &event) != 0 ? -errno : 0;
}

/* "the interface process", or "the interface process of tenant lab" */
static const char *name_of(const struct xm_daemon_part *part, char ret[96])
{
	snprintf(ret, 96, "the interface process%s%s",
		 part->tenant[0] != '\0' ? " of tenant " : "", part->tenant);
	return ret;
}

static void say_death(const struct xm_daemon *d, const struct xm_daemon_part *part,
		      int status)
{
	const char *then = is_divided(d)
		? "another one is begun in a second"
		: "what clients stored can no longer be trusted; ending";
	char name[96];

	if (WIFSIGNALED(status))
		xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_ERROR, "%s was killed by signal %d"
			  " (%s): %s", name_of(part, name), WTERMSIG(status),
			  strsignal(WTERMSIG(status)), then);
	else
		xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_ERROR, "%s ended with status %d: %s",
			  name_of(part, name), WEXITSTATUS(status), then);
}

/* The process is reaped, so nothing of it writes into the pool any more. */
static void bury(struct xm_daemon *d, uint32_t i)
{
	struct xm_daemon_part *part = &d->parts[i];
	uint64_t now_ns = xm_clock_ns();

	xm_interface_stop(&part->interface);
	part->interface.pid = 0;
	part->begin_ns = xm_time_after(now_ns, BEGIN_PAUSE);
	if (part->listens && d->host != NULL)
		xm_host_interface_lost(d->host, now_ns, i);
	part->listens = false;
}

bool xm_daemon_interfaces_live(struct xm_daemon *d)
{
	for (uint32_t i = 0; i < d->parts_count; i++) {
		struct xm_daemon_part *part = &d->parts[i];
		int status = 0;
		pid_t ended;

		if (part->interface.pid <= 0)
			continue;
		ended = waitpid(part->interface.pid, &status, WNOHANG);
		/* (Or the program that we are in has reaped it, and has its status.) */
		if (ended == 0 || (ended < 0 && errno != ECHILD))
			continue;
		say_death(d, part, status);
		if (!is_divided(d))
			return false;
		bury(d, i);
	}
	return true;
}

static void begin_again(struct xm_daemon *d, uint32_t i, uint64_t now_ns)
{
	struct xm_interface_options o = options_of(d, i);
	struct xm_daemon_part *part = &d->parts[i];
	char words[XM_WORDS_MAX] = "", name[96];

	if (xm_interface_begin(&o, words, sizeof(words), &part->interface) == 0) {
		part->until_ns = xm_time_after(now_ns, BEGIN_TIME);
		return;
	}
	xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_ERROR, "%s: %s", name_of(part, name), words);
	part->interface.pid = 0;
	part->begin_ns = xm_time_after(now_ns, BEGIN_PAUSE);
}

static void look_at_start(struct xm_daemon *d, uint32_t i, uint64_t now_ns)
{
	struct xm_daemon_part *part = &d->parts[i];
	char words[XM_WORDS_MAX] = "", name[96];
	int rc = xm_interface_started(&part->interface, words, sizeof(words),
				      &part->limits, &part->locator);

	if (rc == -EAGAIN && now_ns < part->until_ns)
		return;
	if (rc == 0)
		rc = xm_daemon_watch_interface(d, i);
	if (rc != 0) {
		xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_ERROR, "%s: %s", name_of(part, name),
			  words[0] != '\0' ? words : strerror(-rc));
		/* It may hang, and nobody waits for it here: SIGCHLD tells. */
		part->until_ns = 0;
		(void)kill(part->interface.pid, SIGKILL);
		return;
	}
	part->listens = true;
	xm_host_interface_back(d->host, now_ns, i, &part->locator);
	xm_log_of(XM_LOG_INTERFACE, XM_LEVEL_INFO, "%s is back, %s", name_of(part, name),
		  part->interface.confined[0] != '\0' ? part->interface.confined
						      : "not confined");
}

uint64_t xm_daemon_tend_interfaces(struct xm_daemon *d, uint64_t now_ns)
{
	uint64_t next_ns = XM_NEVER;

	for (uint32_t i = 0; i < d->parts_count; i++) {
		struct xm_daemon_part *part = &d->parts[i];

		if (part->listens)
			continue;
		if (part->interface.pid > 0 && part->until_ns == 0)
			continue; /* it ends */
		if (part->interface.pid > 0)
			look_at_start(d, i, now_ns);
		else if (now_ns >= part->begin_ns)
			begin_again(d, i, now_ns);
		if (part->interface.pid > 0)
			next_ns = xm_min(next_ns, now_ns + LOOK);
		else
			next_ns = xm_min(next_ns, part->begin_ns);
	}
	return next_ns;
}

void xm_daemon_close_interfaces(struct xm_daemon *d)
{
	for (uint32_t i = 0; i < d->parts_count; i++) {
		if (d->parts[i].interface.pid > 0)
			xm_interface_stop(&d->parts[i].interface);
		d->parts[i].interface.pid = 0;
	}
}

void xm_daemon_close_pools(struct xm_daemon *d)
{
	for (uint32_t i = 0; i < d->parts_count; i++)
		xm_pool_close(&d->parts[i].pool);
}

void xm_daemon_tell_interfaces(const struct xm_daemon *d)
{
	for (uint32_t i = 0; i < d->parts_count; i++) {
		const struct xm_daemon_part *part = &d->parts[i];
		char name[96];

		xm_log(XM_LEVEL_INFO, "%s is %s", name_of(part, name),
		       part->interface.confined[0] != '\0' ? part->interface.confined
							   : "not confined");
	}
}

uint32_t xm_daemon_confined(const struct xm_daemon *d)
{
	uint32_t all = UINT32_MAX & ~(uint32_t)XM_CONFINED_TENANTS;

	for (uint32_t i = 0; i < d->parts_count; i++)
		all &= d->parts[i].interface.confines;
	return all | (is_divided(d) ? XM_CONFINED_TENANTS : 0);
}

/* --- what the service's turn needs of them -------------------------------------------- */

int xm_daemon_command(struct xm_daemon *d, uint32_t place, const struct xm_command *command)
{
	struct xm_daemon_part *part = &d->parts[place];

	return part->listens ? xm_interface_command(&part->interface, command) : -EAGAIN;
}

/* In turns, so that one that reports without end keeps no other's from being heard. */
int xm_daemon_report(struct xm_daemon *d, uint32_t *ret_place, struct xm_report *ret)
{
	for (uint32_t i = 0; i < d->parts_count; i++) {
		struct xm_daemon_part *part;

		d->heard = (d->heard + 1) % d->parts_count;
		part = &d->parts[d->heard];
		*ret_place = d->heard;
		if (!part->listens || xm_interface_next_report(&part->interface, ret) <= 0)
			continue;
		if (ret->kind != XM_REPORT_BEAT)
			return 1;
		xm_watchdog_answered(&d->watchdog, d->heard); /* (more wakes us again) */
	}
	return 0;
}

struct xm_daemon_part *xm_daemon_part_of(struct xm_daemon *d, uint64_t offset, uint64_t size)
{
	for (uint32_t i = 0; i < d->parts_count; i++) {
		struct xm_daemon_part *part = &d->parts[i];

		if (offset >= part->offset &&
		    xm_span_fits(offset - part->offset, size, part->pool.size))
			return part;
	}
	XM_ASSERT(false); /* the service knows the places */
	return NULL;
}
