/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client: opening and closing, its settings, the keeper's thread, and the
 * words of errors. See client.h for the locks.
 */
#include "config.h"

#include "core/client/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/pure/channel.h"
#include "common/rand.h"
#include "core/pure/transport.h"

#define DEPTH 256 /* explicit operations under way per lane */
/* Dirty pages that lie apart in one write: as many as libfabric's tcp takes. */
#define SCATTER 4
#define LOCAL_MAX (8192 * XM_GIB) /* frames are counted in 32 bits */

static const struct xm_option options[] = {
	{ .name = "appliance", .kind = XM_OPTION_LIST, .unit = "ADDR",
	  .help = "Where memory is: ofi+tcp://host:7470, ofi+shm://name. May "
		  "be repeated.",
	  .destination = offsetof(struct xm_settings, appliance) },
	{ .name = "local", .kind = XM_OPTION_SIZE, .value = "64M",
	  .min = XM_MIB,
	  .help = "Local memory, most: cached pages and buffers.",
	  .destination = offsetof(struct xm_settings, local) },
	{ .name = "local_max", .kind = XM_OPTION_SIZE, .value = "0",
	  .help = "What extmem_local() may raise it to; 0: not at all. Costs "
		  "addresses, and tables for what is used of it.",
	  .destination = offsetof(struct xm_settings, local_max) },
	{ .name = "timeout", .kind = XM_OPTION_DURATION, .value = "30s",
	  .min = XM_MS,
	  .help = "How long any call may wait.",
	  .destination = offsetof(struct xm_settings, timeout_ns) },
	{ .name = "loss_timeout", .kind = XM_OPTION_DURATION,
	  .value = "10s", .min = 10 * XM_MS,
	  .help = "How long a page may be out of reach before it is lost; where "
		  "nobody listens at its appliance's address any more, a "
		  "second at most.",
	  .destination = offsetof(struct xm_settings, loss_timeout_ns) },
	{ .name = "paging", .kind = XM_OPTION_CHOICE, .value = "auto",
	  .choices = "auto|inline|thread",
	  .help = "Who serves a fault: the faulting thread itself, or a "
		  "thread of its own, which can serve the kernel's touches "
		  "too, with privilege.",
	  .destination = offsetof(struct xm_settings, paging) },
	{ .name = "polling", .kind = XM_OPTION_CHOICE, .value = "adaptive",
	  .choices = XM_POLLING_CHOICES,
	  .help = "How threads wait for the network: adaptive looks for as long "
		  "as an answer is likely to come soon, then sleeps; busy "
		  "never sleeps; block always does.",
	  .destination = offsetof(struct xm_settings, polling) },
	{ .name = "lanes", .kind = XM_OPTION_COUNT, .value = "1", .min = 1,
	  .max = XM_LANES_MAX,
	  .help = "Connections to each appliance, each with its own lock and "
		  "share of the pages and of the local memory.",
	  .destination = offsetof(struct xm_settings, lanes) },
	{ .name = "prefetch", .kind = XM_OPTION_COUNT, .value = "64",
	  .min = 1, .max = XM_PAGER_WINDOW_MAX,
	  .help = "Pages read ahead at once, most.",
	  .destination = offsetof(struct xm_settings, prefetch) },
	{ .name = "reclaim", .kind = XM_OPTION_CHOICE, .value = "2q",
	  .choices = "clock|2q",
	  .help = "Which pages leave local memory first: the oldest, with a "
		  "second chance, or those that did not come back (2q: what is "
		  "read once leaves what is read often alone).",
	  .destination = offsetof(struct xm_settings, reclaim) },
	{ .name = "arena", .kind = XM_OPTION_SIZE, .value = "1T",
	  .min = 64 * XM_MIB,
	  .help = "Addresses reserved for mappings, most. Costs no memory.",
	  .destination = offsetof(struct xm_settings, arena) },
	{ .name = "provider", .kind = XM_OPTION_TEXT,
	  .help = "This libfabric provider and no other.",
	  .destination = offsetof(struct xm_settings, provider) },
	{ .name = "name", .kind = XM_OPTION_TEXT,
	  .help = "What the appliance's lists call this client.",
	  .destination = offsetof(struct xm_settings, name) },
	{ .name = "config", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "A file with settings, one name = value a line.",
	  .destination = offsetof(struct xm_settings, config) },
};

const struct xm_option_table xm_client_options = {
	.program = "extmem",
	.prefix = "EXTMEM",
	.options = options,
	.count = XM_COUNT(options),
};

/* --- words -------------------------------------------------------------------- */

static _Thread_local char last_error[512];

int xm_fail(int rc, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(last_error, sizeof(last_error), format, arguments);
	va_end(arguments);
	return rc;
}

const char *extmem_error(void)
{
	return last_error;
}

const char *extmem_version(void)
{
	return PACKAGE_VERSION;
}

atomic_bool xm_forked;

static void note_fork(void)
{
	atomic_store(&xm_forked, true);
}

int xm_unusable(const char *call)
{
	return xm_fail(-ECHILD, "%s: this process is a child of fork(): "
		       "external memory belongs to its parent; open a client "
		       "of its own after exec", call);
}

/* --- lanes -------------------------------------------------------------------- */

void xm_lanes_lock(extmem *x, struct os_signals *ret)
{
	os_signals_block(ret);
	for (uint32_t i = 0; i < x->lanes_count; i++)
		os_lock_take(&x->lanes[i].lock);
}

void xm_lanes_unlock(extmem *x, const struct os_signals *old)
{
	for (uint32_t i = x->lanes_count; i > 0; i--)
		xm_lane_give(&x->lanes[i - 1]);
	os_signals_restore(old);
}

/* Completions of explicit operations, to who drives them. */
void xm_lane_collect(struct lane *lane)
{
	struct xm_completion done;

	while (xm_engine_completion(&lane->engine, &done)) {
		xm_piece_end(lane->client, lane,
			     (struct piece *)(uintptr_t)done.token,
			     done.status);
	}
}

void xm_lane_turn(struct lane *lane)
{
	xm_engine_turn(&lane->engine, os_now_ns());
	xm_lane_collect(lane);
}

/* How a lane divides its share of the local memory; see pager.h. */
static void share_out(const struct xm_settings *s, uint64_t pages,
		      struct xm_pager_options *ret)
{
	uint64_t window = 4;

	while (window < 64 && window * 256 <= pages)
		window *= 2;
	while (window > 1 && window > s->prefetch)
		window /= 2;
	ret->window_max = (uint32_t)window;
	ret->fetch_buffers = (uint32_t)xm_min(xm_max(pages / 8 / window, 4), 16);
	ret->writeback_buffers = (uint32_t)xm_min(xm_max(pages / 16, 8), 256);
	ret->frames_max = (uint32_t)(pages - xm_pager_staging_pages(ret) -
				     XM_BOUNCE_PAGES);
	ret->frames_room = ret->frames_max;
	if (s->local_max > s->local)
		ret->frames_room += (uint32_t)((s->local_max - s->local) /
					       XM_PAGE / s->lanes);
	ret->pins_max = ret->frames_max / 2;
	ret->scatter = SCATTER;
	ret->reclaim = (enum xm_reclaim)s->reclaim;
}

static int lane_open(extmem *x, struct lane *lane)
{
	struct xm_engine_options o = {
		.page_size = XM_PAGE,
		.block_pages = x->block_pages,
		.depth = DEPTH,
		.loss_ns = x->settings.loss_timeout_ns,
		.mapper_ops = xm_uffd_ops(x->mapper),
		.mapper = x->mapper,
		.volume = &x->volume,
		.lane = (uint32_t)(lane - x->lanes),
		.trace = os_trace(),
	};
	uint64_t pages_staging;

	share_out(&x->settings,
		  x->local_limit / XM_PAGE / x->lanes_count, &o.pager);
	lane->frames_first = o.pager.frames_max;
	o.pager.pages_max = x->arena_size / XM_PAGE;
	pages_staging = xm_pager_staging_pages(&o.pager) + XM_BOUNCE_PAGES;
	lane->staging_size = pages_staging * XM_PAGE;
	lane->staging = os_memory_take(lane->staging_size);
	lane->memory_size = xm_engine_memory_size(&o);
	lane->memory = os_memory_take(lane->memory_size);
	if (lane->staging == NULL || lane->memory == NULL)
		return xm_fail(-ENOMEM, "extmem_open: no memory for the page "
			       "tables of %llu GiB of addresses: set a "
			       "smaller arena",
			       (unsigned long long)(x->arena_size / XM_GIB));
	o.staging = lane->staging;
	lane->bounce = lane->staging + xm_pager_staging_pages(&o.pager) * XM_PAGE;
	if (xm_pieces_open(lane, DEPTH) != 0)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	lane->client = x;
	lane->bell = os_kick_open();
	if (lane->bell < 0)
		return xm_fail(lane->bell, "extmem_open: no descriptor: %s",
			       strerror(-lane->bell));
	xm_spin_init(&lane->spin, (enum xm_polling)x->settings.polling);
	xm_engine_init(&lane->engine, &o, lane->memory, os_now_ns());
	return 0;
}

static void lane_close(struct lane *lane)
{
	struct xm_engine *engine = &lane->engine;

	for (uint32_t i = 0; i < engine->peers_count; i++)
		engine->peers[i].ops->close(engine->peers[i].transport);
	os_memory_give(lane->staging, lane->staging_size);
	os_memory_give(lane->memory, lane->memory_size);
	xm_pieces_close(lane);
	os_kick_close(lane->bell);
}

/* --- appliances ----------------------------------------------------------------- */

static bool scheme_is(const char *address, const char *scheme)
{
	size_t length = strlen(scheme);

	return strncmp(address, scheme, length) == 0 &&
	       address[length] == ':';
}

static const struct xm_transport_ops *transport_of(const char *address)
{
	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		if (scheme_is(address, xm_transports[i]->scheme))
			return xm_transports[i];
	}
	return NULL;
}

static const struct xm_channel_ops *channel_of(const char *address)
{
	for (unsigned i = 0; xm_channels[i] != NULL; i++) {
		if (scheme_is(address, xm_channels[i]->scheme))
			return xm_channels[i];
	}
	return NULL;
}

static int no_scheme(const char *address)
{
	char known[256] = "";

	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s",
			 i > 0 ? ", " : "", xm_transports[i]->scheme);
	}
	return xm_fail(-ENOSYS, "extmem_open: %s: no such transport: "
		       "built in are %s", address, known);
}

const char *xm_address_of(const extmem *x, uint32_t appliance)
{
	return x->keeper.control.peers[appliance].address;
}

static void hello_of(const extmem *x, const char *address,
		     struct xm_hello *ret)
{
	const char *colon = strchr(address, ':');
	char host[40] = "?";

	memset(ret, 0, sizeof(*ret));
	gethostname(host, sizeof(host) - 1);
	if (x->settings.name[0] != '\0')
		snprintf(ret->name, sizeof(ret->name), "%s",
			 x->settings.name);
	else
		snprintf(ret->name, sizeof(ret->name), "%s:%d %.12s", host,
			 (int)getpid(), program_invocation_short_name);
	snprintf(ret->transport, sizeof(ret->transport), "%.*s",
		 (int)(colon - address), address);
	snprintf(ret->library, sizeof(ret->library), "extmem %s",
		 PACKAGE_VERSION);
}

/* The open channel of this kind, or a new one. */
static int channel_for(extmem *x, const char *address,
		       const struct xm_channel_ops *ops,
		       struct xm_channel **ret)
{
	struct xm_control *control = &x->keeper.control;
	struct xm_channel_options o = {
		.address = address, .peers_max = XM_APPLIANCES_MAX,
	};
	char words[256] = "";
	int rc;

	for (uint32_t i = 0; i < control->channels_count; i++) {
		if (control->ops[i] == ops) {
			*ret = control->channels[i];
			return 0;
		}
	}
	rc = ops->open(&o, words, sizeof(words), ret);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s: %s", address, words);
	return 0;
}

/* A window is fetched by one read. */
static int window_check(const struct xm_transport_ops *ops,
			struct xm_transport *transport,
			const struct xm_pager_options *p, const char *address)
{
	struct xm_transport_limits limits;

	ops->limits(transport, &limits);
	if (limits.size_max >= p->window_max * XM_PAGE)
		return 0;
	return xm_fail(-EINVAL, "extmem_open: %s: provider %s moves at most "
		       "%llu bytes at once: set prefetch=%llu or less",
		       address, limits.provider,
		       (unsigned long long)limits.size_max,
		       (unsigned long long)(limits.size_max / XM_PAGE));
}

static int lane_connect(extmem *x, struct lane *lane, const char *address,
			const struct xm_transport_ops *ops)
{
	const struct xm_pager_options *p = &lane->engine.options.pager;
	struct xm_transport_options o = {
		.address = address,
		.provider = x->settings.provider[0] != '\0'
				    ? x->settings.provider : NULL,
		.depth = p->fetch_buffers + p->writeback_buffers + DEPTH,
	};
	struct xm_transport_limits limits;
	struct xm_transport *transport;
	char words[256] = "";
	int rc = ops->open(&o, words, sizeof(words), &transport);

	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s: %s", address, words);
	rc = window_check(ops, transport, p, address);
	if (rc != 0) {
		ops->close(transport);
		return rc;
	}
	rc = ops->register_memory(transport, lane->staging, lane->staging_size);
	if (rc != 0) {
		xm_fail(rc, "extmem_open: %s: %s", address,
			ops->words(transport));
		ops->close(transport);
		return rc;
	}
	xm_engine_add(&lane->engine, ops, transport);
	ops->limits(transport, &limits);
	x->registers |= limits.registers;
	return 0;
}

static int appliance_add(extmem *x, const char *address)
{
	const struct xm_transport_ops *transport = transport_of(address);
	const struct xm_channel_ops *ops = channel_of(address);
	struct xm_channel *channel;
	struct xm_hello hello;
	int rc;

	if (transport == NULL || ops == NULL)
		return no_scheme(address);
	if (strlen(address) >= XM_ADDRESS_SIZE)
		return xm_fail(-EINVAL, "extmem_open: an address of more than "
			       "%d characters", XM_ADDRESS_SIZE - 1);
	rc = channel_for(x, address, ops, &channel);
	if (rc != 0)
		return rc;
	hello_of(x, address, &hello);
	xm_control_add(&x->keeper.control, address, ops, channel, &hello,
		       xm_min(x->settings.timeout_ns, 5 * XM_SECOND));
	for (uint32_t i = 0; i < x->lanes_count; i++) {
		rc = lane_connect(x, &x->lanes[i], address, transport);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- the keeper's thread ------------------------------------------------------------ */

static void keeper_lock(void *owner, uint32_t lane)
{
	extmem *x = owner;

	/* This thread has all signals blocked already. */
	if (lane == XM_KEEPER_CONTROL)
		os_mutex_take(&x->control_lock);
	else
		os_lock_take(&x->lanes[lane].lock);
}

static void keeper_unlock(void *owner, uint32_t lane)
{
	extmem *x = owner;

	if (lane == XM_KEEPER_CONTROL)
		os_mutex_give(&x->control_lock);
	else
		xm_lane_give(&x->lanes[lane]);
}

static void keeper_report(void *owner, const struct xm_control_report *report)
{
	extmem *x = owner;

	if (report->kind == XM_CONTROL_ANSWER) {
		struct waiter *waiter =
			(struct waiter *)(uintptr_t)report->token;

		waiter->status = report->status;
		waiter->lease = x->keeper.peers[report->appliance].lease;
		if (report->message != NULL)
			waiter->message = *report->message;
		else
			waiter->message.kind = 0;
		waiter->done = true;
	} else {
		x->tried[report->appliance] = true;
	}
	os_cond_wake_all(&x->control_changed);
}

void xm_kick(extmem *x)
{
	os_kick(x->kick);
}

static void pass_on_requests(extmem *x, uint64_t now_ns)
{
	while (x->asking != NULL) {
		struct waiter *waiter = x->asking;

		x->asking = waiter->next;
		xm_control_request(&x->keeper.control, waiter->appliance,
				   &waiter->message,
				   (uint64_t)(uintptr_t)waiter,
				   waiter->deadline_ns, now_ns);
	}
}

static void *keeper_run(void *argument)
{
	extmem *x = argument;
	struct xm_control *control = &x->keeper.control;

	while (!atomic_load(&x->stopping)) {
		uint64_t patience;

		os_mutex_take(&x->control_lock);
		pass_on_requests(x, os_now_ns());
		os_mutex_give(&x->control_lock);
		xm_keeper_turn(&x->keeper, os_now_ns());
		patience = xm_keeper_patience_ns(&x->keeper);
		/* One channel can be slept on; others are looked at. */
		if (control->channels_count > 1)
			patience = xm_min(patience, 10 * XM_MS);
		if (patience > 0)
			control->ops[0]->wait(control->channels[0], x->kick,
					      patience);
		os_kick_drain(x->kick);
	}
	/* With the last turn's BYE everything is given back. */
	os_mutex_take(&x->control_lock);
	pass_on_requests(x, os_now_ns());
	xm_control_end(control, os_now_ns());
	os_mutex_give(&x->control_lock);
	return NULL;
}

int xm_ask(extmem *x, uint32_t appliance, const struct xm_message *message,
	   uint64_t deadline_ns, struct waiter *ret)
{
	struct waiter **last = &x->asking;

	ret->next = NULL;
	ret->appliance = appliance;
	ret->deadline_ns = deadline_ns;
	ret->done = false;
	ret->message = *message;
	os_mutex_take(&x->control_lock);
	while (*last != NULL)
		last = &(*last)->next;
	*last = ret;
	xm_kick(x);
	/* It is answered by its deadline: the session sees to that. */
	while (!ret->done)
		os_cond_wait(&x->control_changed, &x->control_lock);
	os_mutex_give(&x->control_lock);
	return ret->status;
}

void xm_ask_words(extmem *x, const struct waiter *waiter, char *words,
		  size_t words_size)
{
	const char *address = xm_address_of(x, waiter->appliance);

	if (waiter->message.kind == XM_REFUSED)
		snprintf(words, words_size, "appliance %s: %s", address,
			 waiter->message.u.refused.words);
	else if (waiter->status == -ETIMEDOUT)
		snprintf(words, words_size, "appliance %s: its control process "
			 "did not answer within the timeout; data still "
			 "moves if its interface is up", address);
	else
		xm_channel_explain(address, waiter->status, true, words,
				   words_size);
}

/* --- open ------------------------------------------------------------------------------ */

static int read_settings(extmem *x, const char *const settings[])
{
	int rc = xm_options_open(&xm_client_options, &x->settings,
				 &x->options);

	if (rc != 0)
		return xm_fail(rc, "extmem_open: out of memory");
	rc = xm_options_read_environment(x->options, environ);
	if (rc == 0)
		rc = xm_options_read_settings(x->options, settings);
	/* Files rank below both, whenever they are read. */
	if (rc == 0 && x->settings.config[0] != '\0')
		rc = xm_options_read_file(x->options, x->settings.config);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s",
			       xm_options_words(x->options));
	if (x->settings.appliance.count == 0)
		return xm_fail(-EINVAL, "extmem_open: no appliance is named: "
			       "give appliance=ofi+tcp://HOST:PORT, or set "
			       "EXTMEM_APPLIANCE");
	if (x->settings.appliance.count > XM_APPLIANCES_MAX)
		return xm_fail(-EINVAL, "extmem_open: %zu appliances: at most "
			       "%d", x->settings.appliance.count,
			       XM_APPLIANCES_MAX);
	if (x->settings.local / x->settings.lanes < XM_MIB)
		return xm_fail(-EINVAL, "extmem_open: local=%llu is less than "
			       "1 MiB for each of %llu lanes",
			       (unsigned long long)x->settings.local,
			       (unsigned long long)x->settings.lanes);
	if (x->settings.local_max > LOCAL_MAX)
		return xm_fail(-EINVAL, "extmem_open: local_max=%llu: at most "
			       "%llu",
			       (unsigned long long)x->settings.local_max,
			       (unsigned long long)LOCAL_MAX);
	return 0;
}

static int arena_open(extmem *x)
{
	struct xm_uffd_options o = {
		.page_size = XM_PAGE,
		.paging = (enum xm_paging)x->settings.paging,
	};
	char words[256] = "";
	int rc;

	o.pages = 1;
	while (o.pages * XM_PAGE * 2 <= x->settings.arena)
		o.pages *= 2;
	rc = xm_uffd_open(&o, words, sizeof(words), &x->mapper);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s", words);
	x->base = xm_uffd_base(x->mapper);
	x->arena_size = xm_uffd_pages(x->mapper) * XM_PAGE;
	x->block_pages = x->lanes_count == 1 ? x->arena_size / XM_PAGE : 512;
	x->arena_memory_size = xm_extent_memory_size(2 * XM_REGIONS_MAX);
	x->arena_memory = os_memory_take(x->arena_memory_size);
	x->volume_memory =
		os_memory_take(xm_volume_memory_size(XM_SEGMENTS_MAX));
	if (x->arena_memory == NULL || x->volume_memory == NULL)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	xm_extent_init(&x->arena, x->arena_size, XM_SPAN_GRANULE,
		       2 * XM_REGIONS_MAX, x->arena_memory);
	xm_volume_init(&x->volume, XM_SEGMENTS_MAX, XM_PAGE,
		       x->volume_memory);
	return 0;
}

static int keeper_start(extmem *x)
{
	int rc;

	x->keeper.lanes_count = x->lanes_count;
	for (uint32_t i = 0; i < x->lanes_count; i++)
		x->keeper.lanes[i] = &x->lanes[i].engine;
	x->keeper.lock = keeper_lock;
	x->keeper.unlock = keeper_unlock;
	x->keeper.report = keeper_report;
	x->keeper.owner = x;
	x->keeper.ticket_timeout_ns =
		xm_min(x->settings.loss_timeout_ns, XM_PATH_ATTEMPT);
	rc = os_thread_start(&x->keeper_thread, keeper_run, x);
	if (rc != 0)
		return xm_fail(rc, "extmem_open: no thread: %s",
			       strerror(-rc));
	x->keeper_runs = true;
	return 0;
}

/* Extents come in the appliance's granules; a region may need several
 * appliances, so the largest counts. With the control lock held. */
static int granule_of(extmem *x, uint32_t appliance, char *words,
		      size_t words_size)
{
	uint64_t granule = x->keeper.control.peers[appliance]
				   .session.welcome.granule;

	if (!xm_is_power_of_two(granule) || granule < XM_PAGE ||
	    granule > XM_GIB) {
		snprintf(words, words_size, "%s: its granule of %llu bytes is "
			 "not one this client can use",
			 xm_address_of(x, appliance),
			 (unsigned long long)granule);
		return -EPROTO;
	}
	x->granule = xm_max(x->granule, granule);
	return 0;
}

/* Waits until every appliance is ready, or one is known not to be. */
static int greet(extmem *x)
{
	char words[XM_WORDS_SIZE + XM_ADDRESS_SIZE + 64];
	int rc = 0;

	os_mutex_take(&x->control_lock);
	for (uint32_t i = 0; i < x->keeper.control.count && rc == 0; i++) {
		const struct xm_keeper_peer *peer = &x->keeper.peers[i];
		const char *address = xm_address_of(x, i);

		/* One attempt has its own deadline in the session. */
		while (!x->tried[i])
			os_cond_wait(&x->control_changed,
					  &x->control_lock);
		if (peer->ready) {
			rc = granule_of(x, i, words, sizeof(words));
			continue;
		}
		rc = peer->status;
		if (peer->words[0] != '\0')
			snprintf(words, sizeof(words), "%s: %s", address,
				 peer->words);
		else
			xm_channel_explain(address, rc, false, words,
					   sizeof(words));
	}
	os_mutex_give(&x->control_lock);
	if (rc != 0)
		xm_fail(rc, "extmem_open: %s", words);
	return rc;
}

static void destroy(extmem *x)
{
	atomic_store(&x->stopping, true);
	if (x->keeper_runs) {
		xm_kick(x);
		os_thread_join(&x->keeper_thread);
	}
	xm_faults_end(x);
	for (uint32_t i = 0; i < x->lanes_count; i++)
		lane_close(&x->lanes[i]);
	for (uint32_t i = 0; i < x->keeper.control.channels_count; i++)
		x->keeper.control.ops[i]->close(x->keeper.control.channels[i]);
	if (x->mapper != NULL)
		xm_uffd_close(x->mapper);
	os_memory_give(x->arena_memory, x->arena_memory_size);
	os_memory_give(x->volume_memory,
		       xm_volume_memory_size(XM_SEGMENTS_MAX));
	xm_async_close(x);
	if (x->options != NULL)
		xm_options_close(x->options);
	os_kick_close(x->all_bell);
	os_kick_close(x->kick);
	os_mutex_close(&x->regions_lock);
	os_mutex_close(&x->registered_lock);
	os_mutex_close(&x->control_lock);
	os_cond_close(&x->control_changed);
	os_memory_give(x, sizeof(*x));
}

static int build(extmem *x, const char *const settings[])
{
	char words[256] = "";
	int rc = read_settings(x, settings);

	if (rc != 0)
		return rc;
	x->lanes_count = (uint32_t)x->settings.lanes;
	/* What of the others is not touched is not there. */
	for (uint32_t i = 0; i < x->lanes_count; i++)
		x->lanes[i].bell = x->lanes[i].all_bell = -1;
	x->local_limit = x->settings.local;
	rc = arena_open(x);
	for (uint32_t i = 0; rc == 0 && i < x->lanes_count; i++)
		rc = lane_open(x, &x->lanes[i]);
	if (rc == 0)
		rc = xm_async_open(x);
	for (size_t i = 0; rc == 0 && i < x->settings.appliance.count; i++)
		rc = appliance_add(x, x->settings.appliance.items[i]);
	if (rc == 0)
		rc = keeper_start(x);
	if (rc == 0)
		rc = greet(x);
	if (rc != 0)
		return rc;
	/* After the transports: a provider may have installed handlers. */
	rc = xm_faults_begin(x, words, sizeof(words));
	if (rc != 0)
		return xm_fail(rc, "extmem_open: %s", words);
	return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, note_fork);
}

int extmem_open(const char *const settings[], extmem **ret)
{
	extmem *x;
	int rc = xm_usable("extmem_open");

	if (rc != 0)
		return rc;
	if (ret == NULL)
		return xm_fail(-EINVAL, "extmem_open: no place for the handle");
	pthread_once(&once, watch_forks);
	x = os_memory_take(sizeof(*x));
	if (x == NULL)
		return xm_fail(-ENOMEM, "extmem_open: out of memory");
	xm_keeper_init(&x->keeper);
	x->keeper.control.trace = os_trace();
	xm_list_open(&x->regions);
	os_mutex_open(&x->regions_lock);
	os_mutex_open(&x->registered_lock);
	os_mutex_open(&x->control_lock);
	os_cond_open(&x->control_changed);
	x->kick = os_kick_open();
	x->all_bell = os_kick_open();
	rc = x->kick < 0 ? x->kick : x->all_bell;
	rc = rc < 0 ? xm_fail(rc, "extmem_open: no descriptor: %s",
			      strerror(-rc))
		    : build(x, settings);
	if (rc != 0) {
		destroy(x);
		return rc;
	}
	*ret = x;
	return 0;
}

int extmem_close(extmem *x)
{
	int rc = 0;

	if (x == NULL)
		return 0;
	rc = xm_usable("extmem_close");
	if (rc != 0)
		return rc;
	x->closing = true;
	XM_LIST_EACH_SAFE (link, &x->regions) {
		int last = extmem_region_free(
			XM_CONTAINER(link, extmem_region, link));

		if (rc == 0)
			rc = last;
	}
	destroy(x);
	return rc;
}
