/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem-gateway: metrics, a page and an interface by HTTP. See extmem-gateway(8).
 *
 * It is a process of its own, and no part of an appliance: what reads HTTP is kept away
 * from what lends memory.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/etcd.h"
#include "common/clock.h"
#include "common/standard.h"
#include "gateway/http.h"
#include "gateway/listen.h"
#include "gateway/log.h"
#include "gateway/settings.h"

#define EXIT_WORLD 1
#define EXIT_USAGE 2
#define TURN_MS 250

struct gateway {
	struct gateway_settings settings;
	struct xm_options *options;
	struct gateway_rules rules;
	char *key, *certificate;
	int listener;
	char name[80];
	struct gateway_watch *watch;
	struct gateway_http *http;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	xm_logger_say(GATEWAY_ITSELF, XM_LEVEL_ERROR, xm_clock_ns(), format,
		      arguments);
	va_end(arguments);
}

/* --- what was asked for --------------------------------------------------------------------- */

/* -1: go on; else the status to exit with. */
static int read_options(struct gateway *g, int argc, char *argv[])
{
	int r;

	if (xm_options_open(&gateway_settings_table, &g->settings, &g->options) < 0) {
		say("out of memory");
		return EXIT_WORLD;
	}
	r = xm_options_load(g->options, argc, argv, environ, NULL);
	if (r == XM_OPTIONS_HELP) {
		xm_options_print_help(&gateway_settings_table, stdout);
		return 0;
	}
	if (r == XM_OPTIONS_VERSION) {
		printf("extmem-gateway (extmem) %s\n", extmem_version());
		return 0;
	}
	if (r < 0) {
		say("%s", xm_options_words(g->options));
		return EXIT_USAGE;
	}
	return -1;
}

static int check_appliances(const struct xm_option_list *list)
{
	char ids[GATEWAY_APPLIANCES_MAX][GATEWAY_ID_SIZE];

	if (list->count > GATEWAY_APPLIANCES_MAX) {
		say("--appliance: at most %d", GATEWAY_APPLIANCES_MAX);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < list->count; i++) {
		if (strlen(list->items[i]) >= GATEWAY_ID_SIZE) {
			say("--appliance %.40s...: too long", list->items[i]);
			return EXIT_USAGE;
		}
		if (xm_etcd_is(list->items[i])) {
			say("--appliance %s: the gateway reads no directory: name the"
			    " appliances; `extmem status` shows who stands there",
			    list->items[i]);
			return EXIT_USAGE;
		}
		gateway_id(list->items[i], ids[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(ids[k], ids[i]) == 0) {
				say("--appliance %s: its id, %s, is that of %s",
				    list->items[i], ids[i], list->items[k]);
				return EXIT_USAGE;
			}
	}
	return -1;
}

static int add_tokens(struct gateway *g, const char *path, bool acts)
{
	char words[512];
	const char *wrong;
	char *text;

	if (path[0] == '\0')
		return -1;
	text = gateway_file_read(path, true, words, sizeof(words));
	if (!text) {
		say("%s", words);
		return EXIT_USAGE;
	}
	wrong = gateway_tokens_add(&g->rules, text, acts);
	explicit_bzero(text, strlen(text));
	free(text);
	if (!wrong)
		return -1;
	say("%s: %s", path, wrong);
	return EXIT_USAGE;
}

static int read_tls(struct gateway *g)
{
	const struct gateway_settings *s = &g->settings;
	char words[512];

	if (s->tls_certificate[0] == '\0' && s->tls_key[0] == '\0')
		return -1;
	if (s->tls_certificate[0] == '\0' || s->tls_key[0] == '\0') {
		say("--tls-certificate and --tls-key go together");
		return EXIT_USAGE;
	}
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
		say("this libmicrohttpd was built without TLS: listen at "
		    "127.0.0.1, behind a reverse proxy");
		return EXIT_WORLD;
	}
	g->certificate = gateway_file_read(s->tls_certificate, false, words,
					   sizeof(words));
	if (g->certificate)
		g->key = gateway_file_read(s->tls_key, true, words, sizeof(words));
	if (g->key)
		return -1;
	say("%s", words);
	return EXIT_USAGE;
}

static int set_levels(const char *levels)
{
	char text[512];
	struct xm_words words;

	xm_words_begin(&words, text, sizeof(text));
	if (xm_logger_levels(levels, &words) == 0)
		return -1;
	say("--log-level %s: %s", levels, text);
	return EXIT_USAGE;
}

/* What is read once, and what contradicts what. */
static int check(struct gateway *g)
{
	int status = set_levels(g->settings.log_level);

	if (status < 0)
		status = check_appliances(&g->settings.appliance);
	if (status < 0)
		status = add_tokens(g, g->settings.token_file, true);
	if (status < 0)
		status = add_tokens(g, g->settings.read_token_file, false);
	if (status < 0)
		status = read_tls(g);
	if (status < 0 && g->rules.tokens_count == 0 &&
	    !g->settings.read_without_token) {
		say("nobody could read: give --token-file or --read-token-file; "
		    "or, at a loopback address, --read-without-token");
		status = EXIT_USAGE;
	}
	g->rules.names = g->settings.server_name.items;
	g->rules.read_without_token = g->settings.read_without_token;
	return status;
}

/* --- begin ---------------------------------------------------------------------------------- */

static int take_address(struct gateway *g)
{
	char words[512];
	int rc = gateway_listen(g->settings.listen, &g->rules.loopback, g->name,
				sizeof(g->name), &g->listener, words,
				sizeof(words));

	if (rc != 0) {
		say("%s", words);
		return rc == -EINVAL ? EXIT_USAGE : EXIT_WORLD;
	}
	if (!g->rules.loopback && !g->key) {
		say("--listen %s: other machines reach that address, and what "
		    "passes by could be read: give --tls-certificate and "
		    "--tls-key, or listen at 127.0.0.1, behind a reverse proxy "
		    "(nginx, Caddy, HAProxy) that speaks https",
		    g->settings.listen);
		return EXIT_USAGE;
	}
	if (!g->rules.loopback && g->settings.read_without_token) {
		say("--read-without-token is for loopback addresses: give "
		    "--read-token-file");
		return EXIT_USAGE;
	}
	return -1;
}

static double unix_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int start(struct gateway *g)
{
	const struct gateway_settings *s = &g->settings;
	struct gateway_http_options o = {
		.listener = g->listener,
		.connections_max = (unsigned)s->connections_max,
		.patience_ns = s->request_timeout,
		.key = g->key,
		.certificate = g->certificate,
		.rules = &g->rules,
		.began_s = unix_now_s(),
	};
	const char *words;

	if (s->auth[0] != '\0')
		setenv("EXTMEM_AUTH", s->auth, 1);
	if (gateway_watch_open(s->appliance.items, (unsigned)s->appliance.count,
			       s->interval, &g->watch) < 0) {
		say("out of memory, or of threads");
		return EXIT_WORLD;
	}
	o.watch = o.acts.watch = g->watch;
	o.acts.client_config = s->client_config;
	if (gateway_http_open(&o, &words, &g->http) < 0) {
		say("%s", words);
		return EXIT_WORLD;
	}
	g->listener = -1;
	return -1;
}

static void tell_ready(const struct gateway *g)
{
	const char *scheme = g->key ? "https" : "http";
	int fd = (int)g->settings.ready_fd;

	gateway_say(GATEWAY_ITSELF, XM_LEVEL_INFO, "ready at %s://%s/, %zu appliance%s, %s may act", scheme, g->name,
	    g->settings.appliance.count,
	    g->settings.appliance.count == 1 ? "" : "s",
	    g->settings.token_file[0] != '\0' ? "who has a token" : "nobody");
	if (!xm_options_given(g->options, "ready_fd"))
		return;
	if (dprintf(fd, "%s://%s\n", scheme, g->name) < 0)
		say("ready_fd %d: %s", fd, strerror(errno));
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Until a signal. */
static void run(struct gateway *g, const sigset_t *signals)
{
	const struct timespec turn = { .tv_nsec = TURN_MS * 1000000L };

	while (sigtimedwait(signals, NULL, &turn) < 0)
		gateway_http_turn(g->http);
	/* Acts that wait for appliances are ended first; a second signal does not wait. */
	sigprocmask(SIG_UNBLOCK, signals, NULL);
}

static int serve(struct gateway *g, int argc, char *argv[])
{
	sigset_t signals;
	int status = read_options(g, argc, argv);

	if (status < 0)
		status = check(g);
	if (status < 0 && g->settings.check_config) {
		xm_options_print_values(g->options, stdout);
		return 0;
	}
	/* Blocked before there are other threads, which inherit that. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (status < 0)
		status = take_address(g);
	if (status < 0)
		status = start(g);
	if (status >= 0)
		return status;
	tell_ready(g);
	run(g, &signals);
	return 0;
}

int main(int argc, char *argv[])
{
	static struct gateway g = { .listener = -1 };
	int status;

	xm_standard_hold();
	xm_logger_begin("extmem-gateway", gateway_parts, GATEWAY_PARTS, XM_JOURNAL);
	status = serve(&g, argc, argv);
	gateway_http_close(g.http);
	gateway_watch_close(g.watch);
	if (g.listener >= 0)
		close(g.listener);
	if (g.key)
		explicit_bzero(g.key, strlen(g.key));
	free(g.key);
	free(g.certificate);
	xm_options_close(g.options);
	return status;
}
