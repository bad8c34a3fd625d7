/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to a daemon that is ready; see daemon.h. Floor: skin. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "appliance/notify.h"
#include "appliance/tenants_file.h"
#include "common/clock.h"
#include "core/pure/scheme.h"

/* --- the link to the interface -------------------------------------------- */

static int link_command(void *link, uint32_t place, const struct xm_command *command)
{
	return xm_daemon_command(link, place, command);
}

static int link_poll(void *link, uint32_t *ret_place, struct xm_report *ret)
{
	return xm_daemon_report(link, ret_place, ret);
}

static int link_zero(void *link, uint64_t offset, uint64_t size)
{
	struct xm_daemon_part *part = xm_daemon_part_of(link, offset, size);
	int rc = part->pool.borrowed
		? xm_daemon_zero_borrowed(&part->pool, offset - part->offset, size)
		: xm_pool_zero(&part->pool, offset - part->offset, size);

	if (rc == 0 || rc == -EAGAIN)
		return rc;
	/* They are a former owner's bytes, and the next one would have them. */
	xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "memory cannot be zeroed: %s. Its disk, or"
		  " who it was borrowed from, has failed", strerror(-rc));
	_exit(EXIT_FAILURE);
}

static void link_copy(void *link, uint64_t from, uint64_t to, uint64_t size)
{
	const struct xm_daemon_part *here = xm_daemon_part_of(link, from, size);
	const struct xm_daemon_part *there = xm_daemon_part_of(link, to, size);

	memcpy(there->pool.base + (to - there->offset),
	       here->pool.base + (from - here->offset), size);
}

static void link_release(void *link, uint64_t offset, uint64_t size)
{
	struct xm_daemon_part *part = xm_daemon_part_of(link, offset, size);

	xm_pool_release(&part->pool, offset - part->offset, size);
}

static int link_take(void *link, uint64_t offset, uint64_t size)
{
	struct xm_daemon_part *part = xm_daemon_part_of(link, offset, size);

	return xm_pool_take(&part->pool, offset - part->offset, size);
}

static void link_draw(void *link, uint8_t *bytes, size_t size)
{
	(void)link;
	/* Up to 256 bytes come whole and uninterrupted, see getrandom(2). */
	XM_ASSERT(size <= 256);
	XM_ASSERT(getrandom(bytes, size, 0) == (ssize_t)size);
}

static void link_log(void *link, enum xm_level level, const char *words)
{
	(void)link;
	xm_log_of(XM_LOG_CONTROL, level, "%s", words);
}

static const struct xm_link_ops link_ops = {
	.command = link_command,
	.poll = link_poll,
	.zero = link_zero,
	.copy = link_copy,
	.release = link_release,
	.take = link_take,
	.draw = link_draw,
	.log = link_log,
};

/* --- the start ------------------------------------------------------------ */

int xm_daemon_choose_scheme(struct xm_daemon *d)
{
	const char *address = d->settings.listen;
	char known[XM_WORDS_MAX] = "", words[XM_WORDS_MAX];
	size_t used = 0;
	size_t i, j;

	for (i = 0; xm_transports[i] != NULL; i++) {
		const char *scheme = xm_transports[i]->scheme;

		for (j = 0; xm_channels[j] != NULL; j++)
			if (strcmp(xm_channels[j]->scheme, scheme) == 0)
				break;
		/* `loop` ends within one process. */
		if (xm_channels[j] == NULL || strcmp(scheme, "loop") == 0)
			continue;
		if (xm_scheme_is(address, scheme) && xm_transports[i]->pins &&
		    xm_settings_check_pinned(&d->settings, "transport", scheme, words,
					     sizeof(words)) != 0) {
			xm_log(XM_LEVEL_ERROR, "%s", words);
			return -EINVAL;
		}
		if (xm_scheme_is(address, scheme)) {
			d->transport_ops = xm_transports[i];
			d->channel_ops = xm_channels[j];
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used,
					 "%s%s", used > 0 ? ", " : "", scheme);
	}
	xm_log(XM_LEVEL_ERROR, "%s has no scheme that was built in: there %s %s",
	    address, used > 0 ? "are" : "is", used > 0 ? known : "none");
	return -EINVAL;
}

static int block_signals(struct xm_daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signals < 0 ? -errno : 0;
}

int xm_daemon_watch(const struct xm_daemon *d, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(d->wakeups, EPOLL_CTL_ADD, fd, &event) != 0 ? -errno : 0;
}

static int open_wakeups(struct xm_daemon *d)
{
	int rc = 0;

	d->wakeups = epoll_create1(EPOLL_CLOEXEC);
	if (d->wakeups < 0)
		return -errno;
	for (uint32_t i = 0; rc == 0 && i < d->parts_count; i++)
		rc = xm_daemon_watch_interface(d, i);
	if (rc == 0)
		rc = xm_daemon_watch_borrowed(d);
	return rc == 0 ? xm_daemon_watch_store(d) : rc;
}

static int open_host(struct xm_daemon *d)
{
	struct xm_service_options o = xm_daemon_service_options(d);
	static struct xm_service_place places[XM_SERVICE_PLACES_MAX];
	char words[XM_WORDS_MAX];
	void *memory;

	for (uint32_t i = 0; i < d->parts_count; i++) {
		const struct xm_daemon_part *part = &d->parts[i];

		memcpy(places[i].tenant, part->tenant, sizeof(places[i].tenant));
		places[i].offset = part->offset;
		places[i].size = part->pool.size;
		places[i].locator = part->locator;
	}
	o.places = places;
	o.places_count = d->parts_count;
	o.confined = xm_daemon_confined(d);

	o.incarnation = d->incarnation;
	o.identity = xm_daemon_identity(d);
	if (xm_service_options_check(&o, words) != 0) {
		xm_log(XM_LEVEL_ERROR, "%s", words);
		return -EINVAL;
	}
	memory = malloc(xm_host_size(&o));
	if (memory == NULL) {
		xm_log(XM_LEVEL_ERROR, "out of memory for bookkeeping: lower"
		    " --clients-max or --extents-max");
		return -ENOMEM;
	}
	d->host = xm_host_init(&o, d->channel_ops, d->channel, &link_ops, d,
			       memory, xm_clock_ns());
	return 0;
}

/* The keys of our credentials, and of sessions, are for nobody: for no core file, and for
 * no other process of the same user, such as the interface. */
static void hide_memory(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		xm_log(XM_LEVEL_WARNING, "our memory cannot be hidden from other"
		       " processes of this user: %s", strerror(errno));
}

static int open_channel(struct xm_daemon *d)
{
	struct xm_channel_options o = {
		.address = d->settings.listen,
		.target = true,
		.peers_max = xm_daemon_streams_max(&d->settings),
		.handshake_ns = d->settings.handshake_timeout,
		.auth = d->settings.auth,
		.insecure_plaintext = d->settings.insecure_plaintext,
	};
	char words[XM_WORDS_MAX] = "";
	int r;

	r = d->channel_ops->open(&o, words, sizeof(words), &d->channel);
	if (r != 0)
		xm_log(XM_LEVEL_ERROR, "%s", words);
	else if (words[0] != '\0')
		xm_log_of(XM_LOG_AUTH, XM_LEVEL_INFO, "credentials: %s", words);
	return r;
}

int xm_daemon_read_tenants(struct xm_daemon *d, const struct xm_settings *settings)
{
	struct xm_tenants tenants;
	char words[XM_WORDS_MAX];
	int r;

	xm_tenants_everybody(&tenants);
	if (settings->tenants[0] == '\0' && d->tenants_named) {
		/* It would open the appliance to everybody, and without a word. */
		xm_log(XM_LEVEL_ERROR, "tenants: no file is named any more. To go on "
		       "without tenants, begin again without --tenants");
		return -EINVAL;
	}
	if (settings->tenants[0] != '\0') {
		r = xm_tenants_read(settings->tenants, &tenants, words,
				    sizeof(words));
		if (r != 0) {
			xm_log(XM_LEVEL_ERROR, "tenants: %s", words);
			return r;
		}
		if (d->host != NULL)
			xm_log(XM_LEVEL_INFO, "tenants: %" PRIu32 ", of %" PRIu32
			       " identities", tenants.count,
			       tenants.patterns_count);
	}
	if (d->host == NULL)
		return 0;
	xm_host_set_tenants(d->host, xm_clock_ns(), &tenants);
	d->tenants_named = settings->tenants[0] != '\0';
	return 0;
}

static void end_at_once(int number)
{
	_exit(128 + number);
}

/* Until signals are waited for they just end us, and the children with us: also where we are the
 * first process of a container, to which the kernel gives no signal that it has no handler for. */
static void heed_signals(void)
{
	signal(SIGTERM, end_at_once);
	signal(SIGINT, end_at_once);
}

int xm_daemon_open_memory(struct xm_daemon *d)
{
	int r;

	link_draw(d, (uint8_t *)&d->incarnation, sizeof(d->incarnation));
	r = open_channel(d);
	if (r == 0)
		r = xm_daemon_open_pools(d);
	if (r == 0)
		r = xm_daemon_open_store(d);
	if (r != 0)
		return r;
	xm_daemon_warn_of_memlock(d);
	return xm_daemon_open_interfaces(d);
}

int xm_daemon_open_service(struct xm_daemon *d)
{
	int r = open_wakeups(d);

	if (r != 0)
		xm_log(XM_LEVEL_ERROR, "cannot wait for the interface: %s", strerror(-r));
	else
		r = open_host(d);
	if (r == 0 && xm_daemon_read_tenants(d, &d->settings) != 0)
		r = -EINVAL;
	if (r == 0)
		r = xm_daemon_restore(d);
	if (r == 0 && !xm_daemon_interfaces_live(d))
		r = -EIO;
	return r;
}

int xm_daemon_start(struct xm_daemon *d)
{
	int r;

	heed_signals();
	/* Before all that takes long; that it takes effect is further down. */
	if (xm_daemon_read_tenants(d, &d->settings) != 0)
		return -EINVAL;
	if (xm_daemon_check_directory(d) != 0 || xm_daemon_check_borrow(d) != 0)
		return -EINVAL;
	xm_daemon_raise_files(d);
	/* (All tenants' memory is mapped here, too.) */
	if (d->settings.auth[0] != '\0' || d->settings.isolate == XM_ISOLATE_TENANT)
		hide_memory();
	r = xm_daemon_open_memory(d);
	if (r != 0)
		return r;
	r = block_signals(d);
	if (r == 0)
		r = xm_daemon_open_service(d);
	if (r == 0)
		r = xm_daemon_watch(d, d->signals);
	if (r != 0)
		xm_log(XM_LEVEL_ERROR, "the daemon cannot begin: %s", strerror(-r));
	return r;
}

void xm_daemon_finish(struct xm_daemon *d)
{
	xm_daemon_leave_directory(d);
	if (d->channel != NULL)
		d->channel_ops->close(d->channel);
	xm_daemon_close_interfaces(d);
	xm_storage_stop(&d->storage);
	free(d->kept.entries);
	free(d->kept.damage);
	xm_daemon_settle_borrowed(d);
	xm_daemon_close_pools(d);
	xm_daemon_close_borrowed(d);
	xm_daemon_close_directory(d);
	free(d->host);
	if (d->options != NULL)
		xm_options_close(d->options);
}

void xm_daemon_tell_ready(struct xm_daemon *d)
{
	const char *address = d->channel_ops->address(d->channel);
	const struct xm_transport_limits *l = &d->parts[0].limits;

	xm_log(XM_LEVEL_DEBUG, "endpoint %s, registration %s, progress %s, %s",
	    l->endpoint, l->mr_mode, l->progress,
	    l->revokes ? "keys are revoked at once"
		       : "keys are not revoked: quarantine lasts longer");
	xm_log(XM_LEVEL_INFO, "ready at %s, %.1f %s, provider %s %s", address,
	    d->pool_size < XM_GIB ? (double)d->pool_size / XM_MIB
				  : (double)d->pool_size / XM_GIB,
	    d->pool_size < XM_GIB ? "MiB" : "GiB", l->provider, l->version);
	xm_daemon_tell_interfaces(d);
	xm_log(XM_LEVEL_INFO, "limits: %" PRIu64 " clients, %" PRIu32
	    " connections, %" PRIu64 " extents, %" PRIu64 " per client, lease %"
	    PRIu64 " ms",
	    d->settings.clients_max, l->peers_max, d->settings.extents_max,
	    xm_min(d->settings.extents_per_client, d->settings.extents_max),
	    d->settings.lease / XM_MS);
	if (xm_options_given(d->options, "ready_fd")) {
		if (dprintf((int)d->settings.ready_fd, "%s\n", address) < 0)
			xm_log(XM_LEVEL_WARNING, "ready_fd %" PRIu64 ": %s",
			    d->settings.ready_fd, strerror(errno));
		if (d->settings.ready_fd > STDERR_FILENO)
			close((int)d->settings.ready_fd);
	}
	xm_notify("READY=1");
}
