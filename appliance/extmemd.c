/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmemd: lends this machine's memory.
 *
 * Order of the start: options; the control channel, so that an address in use
 * is known at once; the pool, touched; the interface process, which is handed
 * its banks; ready. From then on one loop: wait, turn, signals.
 *
 * What follows when an interface process dies, interfaces.c says.
 *
 * Floor: skin.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "appliance/notify.h"
#include "appliance/tenants_file.h"
#include "common/clock.h"
#include "common/standard.h"

#define EXIT_WORLD 1
#define EXIT_USAGE 2
#define EXIT_HELD 3 /* it ended while clients had memory here */

/* A fresh reading of all sources into d->settings. 0, or the exit status + 1
 * (so that 0 can be "go on"). */
static int read_options(struct xm_daemon *d)
{
	char words[XM_WORDS_MAX];
	int r;

	if (xm_options_open(&xm_settings_table, &d->settings, &d->options) != 0) {
		xm_log(XM_LEVEL_ERROR, "out of memory for options");
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
		xm_log(XM_LEVEL_ERROR, "%s", xm_options_words(d->options));
		return EXIT_USAGE + 1;
	}
	if (xm_settings_check(&d->settings, d->options, words,
			      sizeof(words)) != 0) {
		xm_log(XM_LEVEL_ERROR, "%s (see extmemd --help)", words);
		return EXIT_USAGE + 1;
	}
	return 0;
}

#define SAY (2 * XM_SECOND)

/* --- running -------------------------------------------------------------- */

static void resize(struct xm_daemon *d, const struct xm_settings *fresh)
{
	uint64_t size = xm_daemon_pool_size(fresh);

	if (fresh->memory == d->settings.memory)
		return;
	if (xm_daemon_borrows(d)) {
		xm_log(XM_LEVEL_WARNING, "reload: memory is borrowed, and keeps its size while"
		       " the daemon runs; that needs a restart");
		return;
	}
	if (d->settings.isolate == XM_ISOLATE_TENANT) {
		xm_log(XM_LEVEL_WARNING, "reload: memory is divided among tenants, and"
		       " keeps its size while the daemon runs; that needs a restart");
		return;
	}
	if (size > d->pool_size) {
		xm_log(XM_LEVEL_WARNING, "reload: memory was %" PRIu64 " MiB at "
		       "the start, and cannot be more while the daemon runs; "
		       "that needs a restart", d->pool_size / XM_MIB);
		size = d->pool_size;
	}
	d->settings.memory = fresh->memory;
	xm_host_resize(d->host, xm_clock_ns(), size);
}

/* They have been checked. */
static void set_levels(const struct xm_settings *s)
{
	char text[XM_WORDS_MAX];
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	xm_logger_levels(s->log_level, &words);
}

/* Takes over the options that are marked `live`, and warns of the others. */
static void reload(struct xm_daemon *d)
{
	struct xm_daemon fresh = { .argc = d->argc, .argv = d->argv };
	const struct xm_settings *a = &d->settings, *b = &fresh.settings;
	char words[XM_WORDS_MAX] = "";
	const char *fixed;

	if (read_options(&fresh) != 0) {
		xm_log(XM_LEVEL_WARNING, "reload: nothing is changed");
		if (fresh.options != NULL)
			xm_options_close(fresh.options);
		return;
	}
	fixed = xm_options_changed(&xm_settings_table, a, b);
	if (fixed != NULL)
		xm_log(XM_LEVEL_WARNING, "reload: %s cannot change while the"
		       " daemon runs; that needs a restart", fixed);
	d->settings.drain_timeout = b->drain_timeout;
	d->settings.give_back = b->give_back;
	set_levels(b);
	resize(d, b);
	if (a->lease != b->lease) {
		d->settings.lease = b->lease;
		xm_host_reload(d->host, xm_clock_ns(),
			       (uint32_t)(b->lease / XM_MS));
	}
	if (xm_daemon_read_tenants(d, b) != 0)
		xm_log(XM_LEVEL_ERROR, "reload: the tenants are still those that were"
		       " read before");
	if (d->channel_ops->renew(d->channel, words, sizeof(words)) != 0)
		xm_log_of(XM_LOG_AUTH, XM_LEVEL_ERROR, "reload: the credentials are still those"
		       " that were read before: %s", words);
	else if (words[0] != '\0')
		xm_log_of(XM_LOG_AUTH, XM_LEVEL_INFO, "credentials: %s", words);
	xm_log(XM_LEVEL_INFO, "reloaded: lease %" PRIu64 " ms for new clients",
	    a->lease / XM_MS);
	xm_options_close(fresh.options);
}

static void drain(struct xm_daemon *d)
{
	uint64_t now_ns = xm_clock_ns();

	if (d->draining) { /* asked twice: do not wait */
		d->drain_until_ns = now_ns;
		return;
	}
	d->draining = true;
	d->drain_until_ns = xm_time_after(now_ns, d->settings.drain_timeout);
	xm_log(XM_LEVEL_INFO, "draining: clients have %" PRIu64 " ms to move "
	       "%.1f MiB elsewhere; a second signal ends this at once",
	       d->settings.drain_timeout / XM_MS,
	       (double)xm_host_held(d->host) / XM_MIB);
	xm_notify("STOPPING=1");
	xm_daemon_leave_directory(d);
	xm_host_drain(d->host, now_ns,
		      (uint32_t)(d->settings.drain_timeout / XM_MS));
}

/* False: end with an error. */
static bool serve_signals(struct xm_daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			reload(d);
			break;
		case SIGCHLD:
			if (!xm_daemon_interfaces_live(d))
				return false;
			xm_daemon_look_at_store(d);
			break;
		default:
			drain(d);
		}
	}
	return true;
}

/* Every few seconds while it drains: what there is still to move. */
static void say_progress(struct xm_daemon *d, uint64_t now_ns)
{
	char text[96];
	struct xm_words words;

	xm_progress_look(&d->drains, xm_host_held(d->host), now_ns);
	if (now_ns < d->say_ns)
		return;
	d->say_ns = xm_time_after(now_ns, SAY);
	xm_words_begin(&words, text, sizeof(text));
	xm_progress_words(&words, d->drains.left,
			  xm_progress_ms(&d->drains));
	xm_log(XM_LEVEL_INFO, "draining: %s; this ends in %" PRIu64 " s", text,
	       (d->drain_until_ns - now_ns) / XM_SECOND);
}

/* True: this is the end, with this exit status. */
static bool is_over(struct xm_daemon *d, uint64_t now_ns, int *ret)
{
	*ret = 0;
	if (xm_host_is_drained(d->host)) {
		xm_log(XM_LEVEL_INFO, "drained");
		return true;
	}
	if (now_ns < d->drain_until_ns) {
		say_progress(d, now_ns);
		return false;
	}
	if (xm_host_held(d->host) == 0)
		return true;
	xm_log(XM_LEVEL_WARNING, "ending though clients have %.1f MiB here, "
	       "which is lost; `extmem status` lists whose memory lies at an "
	       "appliance", (double)xm_host_held(d->host) / XM_MIB);
	/* Nobody was to wait: that is no failure. */
	*ret = d->settings.drain_timeout > 0 ? EXIT_HELD : 0;
	return true;
}

static int run(struct xm_daemon *d)
{
	int status;

	for (;;) {
		uint64_t next_ns, now_ns;

		if (!serve_signals(d) || !xm_daemon_tend_borrowed(d))
			return EXIT_WORLD;
		next_ns = xm_host_turn(d->host, xm_clock_ns());
		now_ns = xm_clock_ns();
		if (d->draining && is_over(d, now_ns, &status))
			return status;
		if (d->draining)
			next_ns = xm_min(next_ns,
					 xm_min(d->say_ns, d->drain_until_ns));
		next_ns = xm_min(next_ns, xm_daemon_tend_interfaces(d, now_ns));
		next_ns = xm_min(next_ns, xm_daemon_feed_watchdog(d, now_ns));
		next_ns = xm_min(next_ns, xm_daemon_give_back(d, now_ns));
		next_ns = xm_min(next_ns, xm_daemon_tend_directory(d, now_ns));
		if (next_ns > now_ns)
			d->channel_ops->wait(d->channel, d->wakeups,
					     next_ns - now_ns);
	}
}

/* For --check-config. False: the file is wrong, as the log says. */
static bool print_tenants(const struct xm_daemon *d)
{
	static struct xm_tenants tenants;
	char words[XM_WORDS_MAX];

	if (d->settings.tenants[0] == '\0')
		return true;
	if (xm_tenants_read(d->settings.tenants, &tenants, words,
			    sizeof(words)) != 0) {
		xm_log(XM_LEVEL_ERROR, "tenants: %s", words);
		return false;
	}
	printf("\n");
	xm_tenants_print(&tenants, stdout);
	return true;
}

/* The exit status. */
static int serve(struct xm_daemon *d)
{
	int r;

	r = read_options(d);
	if (r != 0)
		return r - 1;
	set_levels(&d->settings);
	if (xm_daemon_choose_scheme(d) != 0)
		return EXIT_USAGE;
	if (d->settings.check_config || d->settings.print_limits) {
		d->pool_size = xm_daemon_pool_size(&d->settings);
		if (d->settings.check_config) {
			xm_options_print_values(d->options, stdout);
			if (!print_tenants(d))
				return EXIT_USAGE;
		}
		if (d->settings.print_limits)
			xm_daemon_print_limits(d);
		return 0;
	}
	r = xm_daemon_start(d);
	if (r != 0) /* -EINVAL: what was asked for makes no sense */
		return r == -EINVAL ? EXIT_USAGE : EXIT_WORLD;
	xm_daemon_tell_ready(d);
	xm_daemon_open_watchdog(d);
	return run(d);
}

int main(int argc, char **argv)
{
	struct xm_daemon d = { .argc = argc, .argv = argv };
	int r;

	xm_standard_hold();
	if (argc == 2 && strcmp(argv[1], XM_INTERFACE_FLAG) == 0)
		return xm_interface_main();
	if (argc > 0 && strcmp(argv[0], XM_STORE_TOOL) == 0)
		return xm_store_tool(argc, argv);
	if (argc == 2 && strcmp(argv[1], XM_STORAGE_FLAG) == 0)
		return xm_storage_main();
	xm_logger_begin("extmemd", xm_log_names, XM_LOG_SUBSYSTEMS, XM_JOURNAL);
	r = serve(&d);

	xm_daemon_finish(&d);
	return r;
}
