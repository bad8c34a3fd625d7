/* SPDX-License-Identifier: BSD-3-Clause */
/* Every limit that follows from extmemd's options; see daemon.h. Floor: skin. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "appliance/daemon.h"
#include "appliance/log.h"

#define ZERO_SIZE_MAX (4 * XM_MIB)
#define STREAMS_SPARE 16 /* for observers and those who come and go */
#define FILES_SPARE (64 + XM_BANKS_MAX)
#define FILES_PER_TENANT 3 /* a bank at least, and a socket */
/* Descriptors of the interface process for a client with one connection, and
 * with as many as it may have; the control process has two streams a client. */
#define FILES_PER_CLIENT 4
#define FILES_PER_CLIENT_MAX 20

uint64_t xm_daemon_pool_size(const struct xm_settings *s)
{
	return xm_align_up(s->memory, s->huge_pages ? 2 * XM_MIB : XM_GRANULE);
}

uint32_t xm_daemon_streams_max(const struct xm_settings *s)
{
	return 2 * (uint32_t)s->clients_max + STREAMS_SPARE;
}

static void host_name(char *ret, size_t size)
{
	if (gethostname(ret, size) != 0)
		snprintf(ret, size, "appliance");
	ret[size - 1] = '\0';
}

struct xm_service_options
xm_daemon_service_options(const struct xm_daemon *d)
{
	const struct xm_settings *s = &d->settings;
	struct xm_service_options o = {
		.pool_size = d->pool_size,
		.pool_unit = d->parts[0].pool.page,
		.granule = XM_GRANULE,
		.peers_max = xm_daemon_streams_max(s),
		.clients_max = (uint32_t)s->clients_max,
		.extents_max = (uint32_t)s->extents_max,
		.extents_per_client_max = (uint32_t)xm_min(
			s->extents_per_client, s->extents_max),
		.kept_percent = (uint32_t)s->kept_percent,
		.lease_ms = (uint32_t)(s->lease / XM_MS),
		.handshake_ns = s->handshake_timeout,
		.zero_size_max = ZERO_SIZE_MAX,
		.filed = d->settings.pool_file[0] != '\0',
		.borrowed = xm_daemon_borrows(d),
		.durable = d->settings.store[0] != '\0',
		.revokes = d->parts[0].limits.revokes,
		.admits = d->parts[0].limits.admits,
		.locator = d->parts[0].locator,
	};

	if (s->name[0] != '\0')
		snprintf(o.name, sizeof(o.name), "%s", s->name);
	else
		host_name(o.name, sizeof(o.name));
	snprintf(o.zone, sizeof(o.zone), "%s", s->zone);
	snprintf(o.transport, sizeof(o.transport), "%s",
		 d->transport_ops->scheme);
	snprintf(o.provider, sizeof(o.provider), "%.30s %.31s",
		 d->parts[0].limits.provider, d->parts[0].limits.version);
	snprintf(o.library, sizeof(o.library), "%s", PACKAGE_VERSION);
	return o;
}

void xm_daemon_print_limits(const struct xm_daemon *d)
{
	struct xm_service_options o = xm_daemon_service_options(d);

	printf("memory              %" PRIu64 " bytes\n"
	       "granule             %" PRIu32 " bytes\n"
	       "clients             %" PRIu32 "\n"
	       "extents             %" PRIu32 "\n"
	       "extents per client  %" PRIu32 "\n"
	       "kept, at most       %" PRIu32 " %%\n"
	       "control streams     %" PRIu32 "\n"
	       "message             %d bytes\n"
	       "TLS handshakes      %d at once, of %d bytes at most\n"
	       "tickets             %d per client\n"
	       "lease               %" PRIu32 " ms\n"
	       "handshake, ticket   %" PRIu64 " ms\n"
	       "zeroed at a time    %" PRIu64 " bytes\n"
	       "bookkeeping         %zu bytes\n",
	       d->pool_size, o.granule, o.clients_max, o.extents_max,
	       o.extents_per_client_max, o.kept_percent, o.peers_max, XM_MESSAGE_SIZE_MAX,
	       XM_CHANNEL_HANDSHAKES_MAX, XM_CHANNEL_HANDSHAKE_SIZE,
	       XM_SERVICE_TICKETS_MAX, o.lease_ms,
	       o.handshake_ns / XM_MS, o.zero_size_max, xm_host_size(&o));
}

void xm_daemon_warn_of_memlock(const struct xm_daemon *d)
{
	struct rlimit limit;

	if (!d->transport_ops->pins ||
	    getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    limit.rlim_cur >= d->pool_size)
		return;
	xm_log_of(XM_LOG_MEMORY, XM_LEVEL_WARNING,
	    "RLIMIT_MEMLOCK is %" PRIu64 " KiB, below the pool's size, so the"
	    " device may refuse to register it: run `ulimit -l unlimited`"
	    " first, or put LimitMEMLOCK=infinity into the service's unit",
	    (uint64_t)limit.rlim_cur / XM_KIB);
}

void xm_daemon_raise_files(const struct xm_daemon *d)
{
	rlim_t clients = (rlim_t)d->settings.clients_max;
	rlim_t spare = STREAMS_SPARE + FILES_SPARE +
		       (d->settings.isolate == XM_ISOLATE_TENANT
				? FILES_PER_TENANT * XM_TENANTS_MAX : 0);
	rlim_t need = FILES_PER_CLIENT * clients + spare;
	rlim_t want = FILES_PER_CLIENT_MAX * clients + spare;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < want) {
		limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 ||
		    getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return;
	}
	if (limit.rlim_cur < need)
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_WARNING,
		    "only %" PRIu64 " files may be open, and %" PRIu64 " clients"
		    " need %" PRIu64 ": run `ulimit -n %" PRIu64 "` first, put"
		    " LimitNOFILE=%" PRIu64 " into the service's unit, or lower"
		    " --clients-max", (uint64_t)limit.rlim_cur,
		    (uint64_t)clients, (uint64_t)need, (uint64_t)need,
		    (uint64_t)need);
}
