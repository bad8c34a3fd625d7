/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmemd: lends this machine's memory.
 *
 * Order of the start: options; the control channel, so that an address in use
 * is known at once; the pool, touched; the interface process, forked while
 * this one has no thread and no fabric; ready. From then on one loop: wait,
 * turn, signals.
 *
 * When the interface process dies, the daemon ends with an error instead of
 * starting another: whatever broke it could write anywhere in the pool, so
 * the bytes there can no longer be handed out as what the clients stored.
 * The service manager restarts the whole, with a new incarnation, and clients
 * learn that what they had is lost.
 *
 * Floor: skin.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/pure/channel.h"
#include "appliance/host.h"
#include "appliance/interface.h"
#include "appliance/pool.h"
#include "appliance/settings.h"

#define EXIT_WORLD 1
#define EXIT_USAGE 2
#define GRANULE (64 * XM_KIB)
#define ZERO_SIZE_MAX (4 * XM_MIB)
#define STREAMS_SPARE 16 /* for observers and those who come and go */
#define FILES_SPARE 64
/* Descriptors of the interface process for a client with one connection, and
 * with as many as it may have; that of control has two streams at most. */
#define FILES_PER_CLIENT 4
#define FILES_PER_CLIENT_MAX 20
#define WORDS_SIZE 512
#define PROGRESS_SIZE (1 * XM_GIB) /* smaller pools are there at once */
#define PROGRESS_STEPS 20

struct daemon {
	struct xm_settings settings;
	struct xm_options *options;
	int argc;
	char **argv;
	const struct xm_transport_ops *transport_ops;
	const struct xm_channel_ops *channel_ops;
	struct xm_channel *channel;
	struct xm_transport_limits limits;
	struct xm_locator locator;
	struct xm_pool pool;
	struct xm_interface interface;
	struct xm_host *host;
	int signals; /* signalfd */
	int doors;   /* epoll of signals and the interface */
	bool draining;
	uint64_t drain_until_ns;
	uint64_t progress; /* steps shown */
};

static uint32_t log_level = XM_LEVEL_INFO;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

static void say(enum xm_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(enum xm_level level, const char *format, ...)
{
	static const char *const labels[] = { "error: ", "warning: ", "",
					      "debug: " };
	char line[2 * WORDS_SIZE];
	va_list arguments;
	int used;

	if (level > log_level)
		return;
	used = snprintf(line, sizeof(line), "extmemd: %s", labels[level]);
	va_start(arguments, format);
	vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format,
		  arguments);
	va_end(arguments);
	/* One write for one line, so that lines of two processes don't mix. */
	used = (int)strlen(line);
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		return; /* nobody can be told */
}

/* --- the link to the interface -------------------------------------------- */

static int link_command(void *link, const struct xm_command *command)
{
	struct daemon *d = link;

	return xm_interface_command(&d->interface, command);
}

static int link_poll(void *link, struct xm_report *ret)
{
	struct daemon *d = link;

	return xm_interface_poll(&d->interface, ret);
}

static void link_zero(void *link, uint64_t offset, uint64_t size)
{
	struct daemon *d = link;

	XM_ASSERT(xm_span_fits(offset, size, d->pool.size));
	memset((uint8_t *)d->pool.base + offset, 0, size);
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
	say(level, "%s", words);
}

static const struct xm_link_ops link_ops = {
	.command = link_command,
	.poll = link_poll,
	.zero = link_zero,
	.draw = link_draw,
	.log = link_log,
};

/* --- options -------------------------------------------------------------- */

static bool scheme_is(const char *address, const char *scheme)
{
	size_t size = strlen(scheme);

	return strncmp(address, scheme, size) == 0 && address[size] == ':';
}

/* The address's scheme must have both a transport and a channel. */
static int choose_scheme(struct daemon *d)
{
	const char *address = d->settings.listen;
	char known[WORDS_SIZE] = "";
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
		if (scheme_is(address, scheme)) {
			d->transport_ops = xm_transports[i];
			d->channel_ops = xm_channels[j];
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used,
					 "%s%s", used > 0 ? ", " : "", scheme);
	}
	say(XM_LEVEL_ERROR, "%s has no scheme that was built in: there %s %s",
	    address, used > 0 ? "are" : "is", used > 0 ? known : "none");
	return -EINVAL;
}

static void host_name(char *ret, size_t size)
{
	if (gethostname(ret, size) != 0)
		snprintf(ret, size, "appliance");
	ret[size - 1] = '\0';
}

static struct xm_service_options service_options(const struct daemon *d)
{
	const struct xm_settings *s = &d->settings;
	struct xm_service_options o = {
		.pool_size = d->pool.size,
		.granule = GRANULE,
		.peers_max = 2 * (uint32_t)s->clients_max + STREAMS_SPARE,
		.clients_max = (uint32_t)s->clients_max,
		.extents_max = (uint32_t)s->extents_max,
		.extents_per_client_max = (uint32_t)xm_min(
			s->extents_per_client, s->extents_max),
		.lease_ms = (uint32_t)(s->lease / XM_MS),
		.handshake_ns = s->handshake_timeout,
		.zero_size_max = ZERO_SIZE_MAX,
		.revokes = d->limits.revokes,
		.admits = d->limits.admits,
		.locator = d->locator,
	};

	if (s->name[0] != '\0')
		snprintf(o.name, sizeof(o.name), "%s", s->name);
	else
		host_name(o.name, sizeof(o.name));
	snprintf(o.transport, sizeof(o.transport), "%s",
		 d->transport_ops->scheme);
	snprintf(o.provider, sizeof(o.provider), "%.30s %.31s",
		 d->limits.provider, d->limits.version);
	snprintf(o.library, sizeof(o.library), "%s", PACKAGE_VERSION);
	return o;
}

static void print_limits(const struct daemon *d)
{
	struct xm_service_options o = service_options(d);

	printf("memory              %" PRIu64 " bytes\n"
	       "granule             %" PRIu32 " bytes\n"
	       "clients             %" PRIu32 "\n"
	       "extents             %" PRIu32 "\n"
	       "extents per client  %" PRIu32 "\n"
	       "control streams     %" PRIu32 "\n"
	       "message             %d bytes\n"
	       "tickets at once     %d per client\n"
	       "tickets unused      %d per client\n"
	       "lease               %" PRIu32 " ms\n"
	       "handshake           %" PRIu64 " ms\n"
	       "zeroed at a time    %" PRIu64 " bytes\n"
	       "bookkeeping         %zu bytes\n",
	       d->pool.size, o.granule, o.clients_max, o.extents_max,
	       o.extents_per_client_max, o.peers_max, XM_MESSAGE_SIZE_MAX,
	       XM_SERVICE_TICKETS_MAX, XM_SERVICE_UNUSED_MAX, o.lease_ms,
	       o.handshake_ns / XM_MS, o.zero_size_max, xm_host_size(&o));
}

/* A fresh reading of all sources into d->settings. 0, or the exit status + 1
 * (so that 0 can be "go on"). */
static int read_options(struct daemon *d)
{
	char words[WORDS_SIZE];
	int r;

	if (xm_options_open(&xm_settings_table, &d->settings, &d->options) != 0) {
		say(XM_LEVEL_ERROR, "out of memory for options");
		return EXIT_WORLD + 1;
	}
	r = xm_options_load(d->options, d->argc, d->argv, environ, NULL);
	if (r == XM_OPTIONS_HELP) {
		xm_options_print_help(&xm_settings_table, stdout);
		return 1;
	}
	if (r == XM_OPTIONS_VERSION) {
		printf("extmemd (extmem) %s\n", PACKAGE_VERSION);
		return 1;
	}
	if (r < 0) {
		say(XM_LEVEL_ERROR, "%s", xm_options_words(d->options));
		return EXIT_USAGE + 1;
	}
	if (xm_settings_check(&d->settings, d->options, words,
			      sizeof(words)) != 0) {
		say(XM_LEVEL_ERROR, "%s (see extmemd --help)", words);
		return EXIT_USAGE + 1;
	}
	return 0;
}

/* --- the start ------------------------------------------------------------ */

static void show_progress(void *context, uint64_t done, uint64_t size)
{
	struct daemon *d = context;
	uint64_t steps = done / (size / PROGRESS_STEPS + 1);

	if (size < PROGRESS_SIZE || (steps == d->progress && done < size))
		return;
	d->progress = steps;
	say(XM_LEVEL_INFO, "preparing memory: %" PRIu64 " of %" PRIu64
	    " MiB", done / XM_MIB, size / XM_MIB);
}

static void warn_of_memlock(const struct daemon *d)
{
	struct rlimit limit;

	/* Devices pin what they register; tcp and shm do not. */
	if (strstr(d->settings.listen, "verbs") == NULL ||
	    getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	    limit.rlim_cur >= d->pool.size)
		return;
	say(XM_LEVEL_WARNING,
	    "RLIMIT_MEMLOCK is %" PRIu64 " KiB, below the pool's size, so the"
	    " device may refuse to register it: run `ulimit -l unlimited`"
	    " first, or put LimitMEMLOCK=infinity into the service's unit",
	    (uint64_t)limit.rlim_cur / XM_KIB);
}

/* Both processes have the same limit. */
static void raise_files(const struct daemon *d)
{
	rlim_t clients = (rlim_t)d->settings.clients_max;
	rlim_t spare = STREAMS_SPARE + FILES_SPARE;
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
		say(XM_LEVEL_WARNING,
		    "only %" PRIu64 " files may be open, and %" PRIu64 " clients"
		    " need %" PRIu64 ": run `ulimit -n %" PRIu64 "` first, put"
		    " LimitNOFILE=%" PRIu64 " into the service's unit, or lower"
		    " --clients-max", (uint64_t)limit.rlim_cur,
		    (uint64_t)clients, (uint64_t)need, (uint64_t)need,
		    (uint64_t)need);
}

static int block_signals(struct daemon *d)
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

static int open_doors(struct daemon *d)
{
	struct epoll_event event = { .events = EPOLLIN };

	d->doors = epoll_create1(EPOLL_CLOEXEC);
	if (d->doors < 0 ||
	    epoll_ctl(d->doors, EPOLL_CTL_ADD, d->signals, &event) != 0 ||
	    epoll_ctl(d->doors, EPOLL_CTL_ADD, d->interface.fd, &event) != 0)
		return -errno;
	return 0;
}

static int open_pool(struct daemon *d)
{
	uint64_t unit = d->settings.huge_pages ? 2 * XM_MIB : GRANULE;
	uint64_t size = xm_align_up(d->settings.memory, unit);
	char words[WORDS_SIZE];
	int r;

	r = xm_pool_open(size, d->settings.huge_pages, words, sizeof(words),
			 &d->pool);
	if (r == 0)
		r = xm_pool_prepare(&d->pool, show_progress, d, words,
				    sizeof(words));
	if (r != 0)
		say(XM_LEVEL_ERROR, "%s", words);
	return r;
}

/* In the interface process: it has no business with these. */
static void forget(void *context)
{
	struct daemon *d = context;

	d->channel_ops->close(d->channel);
	if (xm_options_given(d->options, "ready_fd") &&
	    d->settings.ready_fd > STDERR_FILENO)
		close((int)d->settings.ready_fd);
}

static int open_interface(struct daemon *d)
{
	struct xm_interface_options o = {
		.ops = d->transport_ops,
		.address = d->settings.listen,
		.provider = d->settings.provider[0] != '\0'
			? d->settings.provider : NULL,
		.pool = d->pool.base,
		.pool_size = d->pool.size,
		.clients_max = (uint32_t)d->settings.clients_max,
		.polling = (enum xm_polling)d->settings.polling,
		.forget = forget,
		.context = d,
	};
	char words[WORDS_SIZE] = "";
	int r;

	r = xm_interface_start(&o, words, sizeof(words), &d->interface,
			       &d->limits, &d->locator);
	if (r != 0)
		say(XM_LEVEL_ERROR, "the interface cannot listen: %s",
		    words[0] != '\0' ? words : strerror(-r));
	return r;
}

static int open_host(struct daemon *d)
{
	struct xm_service_options o = service_options(d);
	char words[WORDS_SIZE];
	void *memory;

	link_draw(d, (uint8_t *)&o.incarnation, sizeof(o.incarnation));
	if (xm_service_options_check(&o, words) != 0) {
		say(XM_LEVEL_ERROR, "%s", words);
		return -EINVAL;
	}
	memory = malloc(xm_host_size(&o));
	if (memory == NULL) {
		say(XM_LEVEL_ERROR, "out of memory for bookkeeping: lower"
		    " --clients-max or --extents-max");
		return -ENOMEM;
	}
	d->host = xm_host_init(&o, d->channel_ops, d->channel, &link_ops, d,
			       memory, clock_ns());
	return 0;
}

static int open_channel(struct daemon *d)
{
	struct xm_channel_options o = {
		.address = d->settings.listen,
		.target = true,
		.peers_max = 2 * (uint32_t)d->settings.clients_max +
			     STREAMS_SPARE,
		.handshake_ns = d->settings.handshake_timeout,
	};
	char words[WORDS_SIZE] = "";
	int r;

	r = d->channel_ops->open(&o, words, sizeof(words), &d->channel);
	if (r != 0)
		say(XM_LEVEL_ERROR, "%s", words);
	return r;
}

/* sd_notify(3) without its library: one datagram to a unix socket. */
static void notify_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t size;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			   strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (struct sockaddr *)&to, size) < 0)
		say(XM_LEVEL_WARNING, "NOTIFY_SOCKET %s: %s", path,
		    strerror(errno));
	close(fd);
}

static void tell_ready(struct daemon *d)
{
	const char *address = d->channel_ops->address(d->channel);
	const struct xm_transport_limits *l = &d->limits;

	say(XM_LEVEL_DEBUG, "endpoint %s, registration %s, progress %s, %s",
	    l->endpoint, l->mr_mode, l->progress,
	    l->revokes ? "keys are revoked at once"
		       : "keys are not revoked: quarantine lasts longer");
	say(XM_LEVEL_INFO, "ready at %s, %.1f %s, provider %s %s", address,
	    d->pool.size < XM_GIB ? (double)d->pool.size / XM_MIB
				  : (double)d->pool.size / XM_GIB,
	    d->pool.size < XM_GIB ? "MiB" : "GiB", l->provider, l->version);
	say(XM_LEVEL_INFO, "limits: %" PRIu64 " clients, %" PRIu32
	    " connections, %" PRIu64 " extents, %" PRIu64 " per client, lease %"
	    PRIu64 " ms",
	    d->settings.clients_max, l->peers_max, d->settings.extents_max,
	    xm_min(d->settings.extents_per_client, d->settings.extents_max),
	    d->settings.lease / XM_MS);
	if (xm_options_given(d->options, "ready_fd")) {
		if (dprintf((int)d->settings.ready_fd, "%s\n", address) < 0)
			say(XM_LEVEL_WARNING, "ready_fd %" PRIu64 ": %s",
			    d->settings.ready_fd, strerror(errno));
		if (d->settings.ready_fd > STDERR_FILENO)
			close((int)d->settings.ready_fd);
	}
	notify_manager("READY=1");
}

/* --- running -------------------------------------------------------------- */

/* The log level and the lease may change; the rest is told to be fixed. */
static void reload(struct daemon *d)
{
	struct daemon fresh = { .argc = d->argc, .argv = d->argv };
	const struct xm_settings *a = &d->settings, *b = &fresh.settings;

	if (read_options(&fresh) != 0) {
		say(XM_LEVEL_WARNING, "reload: nothing is changed");
		if (fresh.options != NULL)
			xm_options_close(fresh.options);
		return;
	}
	if (strcmp(a->listen, b->listen) != 0 || a->memory != b->memory ||
	    strcmp(a->provider, b->provider) != 0 ||
	    strcmp(a->name, b->name) != 0 ||
	    a->clients_max != b->clients_max ||
	    a->extents_max != b->extents_max ||
	    a->extents_per_client != b->extents_per_client ||
	    a->handshake_timeout != b->handshake_timeout ||
	    a->polling != b->polling ||
	    a->huge_pages != b->huge_pages)
		say(XM_LEVEL_WARNING, "reload: only log_level, lease and"
		    " drain_timeout can change; the rest needs a restart");
	d->settings.drain_timeout = b->drain_timeout;
	d->settings.log_level = b->log_level;
	log_level = b->log_level;
	if (a->lease != b->lease) {
		d->settings.lease = b->lease;
		xm_host_reload(d->host, clock_ns(),
			       (uint32_t)(b->lease / XM_MS));
	}
	say(XM_LEVEL_INFO, "reloaded: lease %" PRIu64 " ms for new clients",
	    a->lease / XM_MS);
	xm_options_close(fresh.options);
}

static void drain(struct daemon *d)
{
	uint64_t now_ns = clock_ns();

	if (d->draining) { /* asked twice: do not wait */
		d->drain_until_ns = now_ns;
		return;
	}
	d->draining = true;
	d->drain_until_ns = xm_time_after(now_ns, d->settings.drain_timeout);
	say(XM_LEVEL_INFO, "draining: waiting up to %" PRIu64
	    " ms for clients to leave", d->settings.drain_timeout / XM_MS);
	notify_manager("STOPPING=1");
	xm_host_drain(d->host, now_ns,
		      (uint32_t)(d->settings.drain_timeout / XM_MS));
}

/* False: the interface process is dead. */
static bool interface_lives(struct daemon *d)
{
	int status = 0;

	if (waitpid(d->interface.pid, &status, WNOHANG) != d->interface.pid)
		return true;
	if (WIFSIGNALED(status))
		say(XM_LEVEL_ERROR, "the interface process was killed by signal"
		    " %d (%s): what clients stored can no longer be trusted;"
		    " ending", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		say(XM_LEVEL_ERROR, "the interface process ended with status"
		    " %d: ending", WEXITSTATUS(status));
	return false;
}

/* False: end with an error. */
static bool serve_signals(struct daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			reload(d);
			break;
		case SIGCHLD:
			if (!interface_lives(d))
				return false;
			break;
		default:
			drain(d);
		}
	}
	return true;
}

static int run(struct daemon *d)
{
	for (;;) {
		uint64_t next_ns, now_ns;

		if (!serve_signals(d))
			return EXIT_WORLD;
		next_ns = xm_host_turn(d->host, clock_ns());
		now_ns = clock_ns();
		if (d->draining && xm_host_is_drained(d->host)) {
			say(XM_LEVEL_INFO, "drained");
			return 0;
		}
		if (d->draining && now_ns >= d->drain_until_ns) {
			say(XM_LEVEL_WARNING, "clients are still here; ending"
			    " all the same");
			return 0;
		}
		if (d->draining)
			next_ns = xm_min(next_ns, d->drain_until_ns);
		if (next_ns > now_ns)
			d->channel_ops->wait(d->channel, d->doors,
					     next_ns - now_ns);
	}
}

static int start(struct daemon *d)
{
	int r;

	raise_files(d);
	r = open_channel(d);
	if (r != 0)
		return r;
	r = open_pool(d);
	if (r != 0)
		return r;
	warn_of_memlock(d);
	r = open_interface(d);
	if (r != 0)
		return r;
	/* Up to here a signal just ends us, and the child with us. */
	r = block_signals(d);
	if (r == 0)
		r = open_doors(d);
	if (r != 0)
		say(XM_LEVEL_ERROR, "cannot wait for signals: %s",
		    strerror(-r));
	else
		r = open_host(d);
	if (r == 0 && !interface_lives(d))
		r = -EIO;
	return r;
}

static void finish(struct daemon *d)
{
	if (d->channel != NULL)
		d->channel_ops->close(d->channel);
	if (d->interface.pid > 0)
		xm_interface_stop(&d->interface);
	xm_pool_close(&d->pool);
	free(d->host);
	if (d->options != NULL)
		xm_options_close(d->options);
}

/* The exit status. */
static int serve(struct daemon *d)
{
	int r;

	r = read_options(d);
	if (r != 0)
		return r - 1;
	log_level = d->settings.log_level;
	if (choose_scheme(d) != 0)
		return EXIT_USAGE;
	if (d->settings.check_config || d->settings.print_limits) {
		d->pool.size = xm_align_up(d->settings.memory,
					   d->settings.huge_pages ? 2 * XM_MIB
								  : GRANULE);
		if (d->settings.check_config)
			xm_options_print_values(d->options, stdout);
		if (d->settings.print_limits)
			print_limits(d);
		return 0;
	}
	r = start(d);
	if (r != 0) /* -EINVAL: what was asked for makes no sense */
		return r == -EINVAL ? EXIT_USAGE : EXIT_WORLD;
	tell_ready(d);
	return run(d);
}

int main(int argc, char **argv)
{
	struct daemon d = { .argc = argc, .argv = argv,
			    .pool = { .fd = -1 } };
	int r = serve(&d);

	finish(&d);
	return r;
}
