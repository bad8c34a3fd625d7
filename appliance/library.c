/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libextmem-appliance; see extmem_appliance.h. It is extmemd's control process as a thread:
 * the same start, the same turn, the same interface process.
 *
 * The thread does all of it, the start too: the kernel tells the interface process of its
 * parent's end when the thread ends that began it (PR_SET_PDEATHSIG). It blocks all signals,
 * so that none of the program's is handled on it, and SIGPIPE kills nobody.
 *
 * One at a time in a process: a few of the daemon's tables are static.
 *
 * Floor: skin.
 */
#include "appliance/extmem_appliance.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config.h"

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "common/clock.h"

struct extmem_appliance {
	struct xm_daemon daemon;
	char program[XM_WORDS_MAX];
	extmem_appliance_log *log;
	void *context;
	pthread_t thread;
	sem_t started;
	int rc; /* of the start; then of the end */
	int wake; /* eventfd: it is to end */
	_Atomic uint32_t drain_ms;
	_Atomic uint64_t memory, leased;
	atomic_int ended;
};

static atomic_flag taken = ATOMIC_FLAG_INIT;

/* --- the log ------------------------------------------------------------------------- */

/* Whose thread this is. */
static _Thread_local struct extmem_appliance *ours;

static void say(enum xm_level level, const char *format, va_list arguments)
{
	static const int levels[] = { [XM_LEVEL_ERROR] = 3, [XM_LEVEL_WARNING] = 4,
				      [XM_LEVEL_INFO] = 6, [XM_LEVEL_DEBUG] = 7 };
	char words[1024];

	if (ours == NULL || ours->log == NULL)
		return;
	vsnprintf(words, sizeof(words), format, arguments);
	ours->log(ours->context, levels[level], words);
}

void xm_log(enum xm_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(level, format, arguments);
	va_end(arguments);
}

void xm_log_of(enum xm_log_subsystem subsystem, enum xm_level level, const char *format, ...)
{
	va_list arguments;

	(void)subsystem;
	va_start(arguments, format);
	say(level, format, arguments);
	va_end(arguments);
}

/* --- settings ------------------------------------------------------------------------- */

/* They are about a process that is extmemd's own. */
static const char *const refused[] = {
	"check_config", "config", "directory", "drain_timeout", "log_level",
	"pool_file", "print_limits", "ready_fd", "store",
};

#define SETTINGS_MAX 64

/* Those that are extmemd's; `program` is ours. */
static int sort_settings(struct extmem_appliance *a, const char *const settings[],
			 const char *ret[SETTINGS_MAX + 1])
{
	size_t count = 0;

	snprintf(a->program, sizeof(a->program), "%s", XM_EXTMEMD);
	for (size_t i = 0; settings[i] != NULL; i++) {
		if (strncmp(settings[i], "program=", 8) == 0) {
			if (strlen(settings[i] + 8) >= sizeof(a->program))
				return -EINVAL;
			strcpy(a->program, settings[i] + 8);
			continue;
		}
		if (count == SETTINGS_MAX)
			return -EINVAL;
		ret[count++] = settings[i];
	}
	ret[count] = NULL;
	a->daemon.program = a->program;
	return 0;
}

static int read_settings(struct extmem_appliance *a, const char *const settings[])
{
	struct xm_daemon *d = &a->daemon;
	const char *texts[SETTINGS_MAX + 1];
	char words[XM_WORDS_MAX];
	int rc = sort_settings(a, settings, texts);

	if (rc != 0)
		xm_log(XM_LEVEL_ERROR, "too many settings, or too long ones");
	if (rc == 0)
		rc = xm_options_open(&xm_settings_table, &d->settings, &d->options);
	if (rc != 0)
		return rc;
	rc = xm_options_read_settings(d->options, texts);
	if (rc != 0) {
		xm_log(XM_LEVEL_ERROR, "%s", xm_options_words(d->options));
		return rc;
	}
	for (size_t i = 0; i < XM_COUNT(refused); i++) {
		if (!xm_options_given(d->options, refused[i]))
			continue;
		xm_log(XM_LEVEL_ERROR, "%s is for extmemd alone: leave it out", refused[i]);
		return -EINVAL;
	}
	rc = xm_settings_check(&d->settings, d->options, words, sizeof(words));
	if (rc != 0)
		xm_log(XM_LEVEL_ERROR, "%s (names of options are settings here)", words);
	return rc != 0 ? rc : xm_daemon_choose_scheme(d);
}

/* --- the thread ------------------------------------------------------------------------- */

static int begin(struct extmem_appliance *a)
{
	struct xm_daemon *d = &a->daemon;
	int rc = xm_daemon_read_tenants(d, &d->settings);

	if (rc == 0)
		rc = xm_daemon_check_borrow(d);
	if (rc == 0)
		rc = xm_daemon_open_memory(d);
	if (rc == 0)
		rc = xm_daemon_open_service(d);
	return rc == 0 ? xm_daemon_watch(d, a->wake) : rc;
}

static void publish(struct extmem_appliance *a)
{
	atomic_store(&a->memory, xm_host_goal(a->daemon.host));
	atomic_store(&a->leased, xm_host_held(a->daemon.host));
}

/* True: it is over. */
static bool look_for_end(struct extmem_appliance *a, uint64_t now_ns)
{
	struct xm_daemon *d = &a->daemon;
	uint64_t count;

	if (!d->draining && read(a->wake, &count, sizeof(count)) == sizeof(count)) {
		uint32_t ms = atomic_load(&a->drain_ms);

		d->draining = true;
		d->drain_until_ns = xm_time_after(now_ns, ms * XM_MS);
		xm_host_drain(d->host, now_ns, ms);
	}
	if (!d->draining)
		return false;
	if (!xm_host_is_drained(d->host) && now_ns < d->drain_until_ns)
		return false;
	a->rc = xm_host_held(d->host) > 0 ? -EBUSY : 0;
	return true;
}

static void serve(struct extmem_appliance *a)
{
	struct xm_daemon *d = &a->daemon;

	for (;;) {
		uint64_t next_ns = xm_host_turn(d->host, xm_clock_ns());
		uint64_t now_ns = xm_clock_ns();

		publish(a);
		if (!xm_daemon_interfaces_live(d) || !xm_daemon_tend_borrowed(d)) {
			a->rc = -EIO;
			return;
		}
		if (look_for_end(a, now_ns))
			return;
		if (d->draining)
			next_ns = xm_min(next_ns, d->drain_until_ns);
		next_ns = xm_min(next_ns, xm_daemon_tend_interfaces(d, now_ns));
		next_ns = xm_min(next_ns, xm_daemon_give_back(d, now_ns));
		if (next_ns > now_ns)
			d->channel_ops->wait(d->channel, d->wakeups, next_ns - now_ns);
	}
}

/* What it has open goes with the thread; the address stays readable. */
static void *run(void *argument)
{
	struct extmem_appliance *a = argument;

	ours = a;
	a->rc = begin(a);
	if (a->rc == 0) {
		publish(a);
		xm_log(XM_LEVEL_INFO, "ready at %s",
		       a->daemon.channel_ops->address(a->daemon.channel));
	}
	if (a->rc != 0) {
		sem_post(&a->started);
		return NULL;
	}
	sem_post(&a->started);
	serve(a);
	if (a->rc == -EIO) /* before clients hear it */
		xm_log(XM_LEVEL_ERROR, "this appliance has ended");
	xm_daemon_close_interfaces(&a->daemon);
	atomic_store(&a->ended, a->rc != 0 ? a->rc : -ESHUTDOWN);
	return NULL;
}

static int begin_thread(struct extmem_appliance *a)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&a->thread, NULL, run, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return rc;
	while (sem_wait(&a->started) != 0)
		;
	if (a->rc == 0)
		return 0;
	pthread_join(a->thread, NULL);
	return a->rc;
}

/* --- the calls ---------------------------------------------------------------------------- */

static void finish(struct extmem_appliance *a)
{
	xm_daemon_finish(&a->daemon);
	if (a->daemon.wakeups > 0)
		close(a->daemon.wakeups);
	if (a->wake >= 0)
		close(a->wake);
	sem_destroy(&a->started);
	free(a);
	atomic_flag_clear(&taken);
}

int extmem_appliance_start(const char *const settings[], extmem_appliance_log *log,
			   void *context, struct extmem_appliance **ret)
{
	struct extmem_appliance *a;
	int rc;

	if (settings == NULL || ret == NULL)
		return -EINVAL;
	if (atomic_flag_test_and_set(&taken))
		return -EBUSY;
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		atomic_flag_clear(&taken);
		return -ENOMEM;
	}
	a->log = log;
	a->context = context;
	sem_init(&a->started, 0, 0);
	a->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ours = a;
	rc = a->wake < 0 ? -errno : read_settings(a, settings);
	ours = NULL;
	if (rc == 0)
		rc = begin_thread(a);
	if (rc != 0)
		finish(a);
	else
		*ret = a;
	return rc;
}

const char *extmem_appliance_address(const struct extmem_appliance *a)
{
	return a->daemon.channel_ops->address(a->daemon.channel);
}

void extmem_appliance_figures(const struct extmem_appliance *a,
			      struct extmem_appliance_figures *ret)
{
	*ret = (struct extmem_appliance_figures){
		.memory = atomic_load(&a->memory),
		.leased = atomic_load(&a->leased),
		.ended = atomic_load(&a->ended),
	};
}

int extmem_appliance_stop(struct extmem_appliance *a, uint32_t drain_ms)
{
	uint64_t one = 1;
	int rc;

	if (a == NULL)
		return 0;
	atomic_store(&a->drain_ms, drain_ms);
	/* Never full: it is written once. */
	rc = write(a->wake, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
	XM_ASSERT(rc == 0);
	pthread_join(a->thread, NULL);
	rc = a->rc;
	finish(a);
	return rc;
}
