/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who stays with a guest; see minder.h.
 *
 * QEMU ends with this process, and so does the folder with its memory. Whoever wants the
 * guest moved asks at the socket "control" of the guest's folder, and may go: the move is
 * this process's.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "faces/machine/minder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base.h"
#include "faces/machine/asker.h"
#include "faces/machine/source.h"
#include "faces/machine/target.h"

#define TICK_MS 3
#define ASK_MS 5000

struct minder {
	struct guest guest;
	struct leaving leaving;
	struct arriving arriving;
	struct lines client; /* who asked for the move */
	int listener, signals;
	int status; /* QEMU's */
	bool ended, asked_to_end;
};

static void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("extmem vm: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

/* --- who asks ------------------------------------------------------------------------------------ */

static int listen_here(struct minder *k)
{
	struct sockaddr_un address;
	int rc = asker_address(k->guest.name, &address);

	unlink(address.sun_path);
	k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (rc == 0 && (bind(k->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
			listen(k->listener, 4) != 0))
		rc = -errno;
	if (rc != 0)
		snprintf(k->guest.words, sizeof(k->guest.words), "%s: %s", address.sun_path,
			 strerror(-rc));
	return rc;
}

static bool is_busy(const struct minder *k)
{
	return k->leaving.active || k->arriving.active;
}

static void refuse(struct lines *client, const char *words)
{
	lines_write(client, json_pack("{ss}", "failed", words));
	lines_close(client);
}

static void answer_move(struct minder *k, struct lines *client, const json_t *asked)
{
	const char *host = json_string_value(json_object_get(asked, "move"));
	const char *rsh = json_string_value(json_object_get(asked, "rsh"));

	if (host == NULL || rsh == NULL) {
		refuse(client, "that is no request");
	} else if (leaving_begin(&k->leaving, &k->guest, host, rsh) != 0) {
		refuse(client, k->leaving.why);
	} else {
		lines_close(&k->client);
		k->client = *client;
	}
}

/* After a move that failed the guest may be here and paused, as its owner may pause it. */
static void answer_resume(struct minder *k, struct lines *client)
{
	if (guest_do(&k->guest, "cont", NULL, NULL) != 0) {
		refuse(client, k->guest.words);
		return;
	}
	lines_write(client, json_pack("{sb}", "runs", 1));
	lines_close(client);
}

static void answer_show(struct minder *k, struct lines *client)
{
	const char *state = k->leaving.active ? "moves away" : "arrives";
	json_t *status = NULL;

	if (!is_busy(k)) {
		state = "does not answer";
		if (guest_do(&k->guest, "query-status", NULL, &status) == 0)
			json_unpack(status, "{ss}", "status", &state);
	}
	lines_write(client, json_pack("{ss sI sI}", "state", state, "size",
				      (json_int_t)k->guest.size, "qemu",
				      (json_int_t)k->guest.qemu));
	lines_close(client);
	json_decref(status);
}

static void accept_one(struct minder *k)
{
	static struct lines client;
	int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
	json_t *asked;

	if (fd < 0)
		return;
	lines_open(&client, fd, fd);
	asked = lines_read(&client, ASK_MS);
	if (json_object_get(asked, "show") != NULL)
		answer_show(k, &client);
	else if (is_busy(k))
		refuse(&client, "a move is under way");
	else if (json_object_get(asked, "resume") != NULL)
		answer_resume(k, &client);
	else
		answer_move(k, &client, asked);
	json_decref(asked);
}

static void report(struct minder *k)
{
	const struct leaving *l = &k->leaving;

	if (l->machine.state == SOURCE_MOVED) {
		say("the guest has moved to %s", l->host);
		lines_write(&k->client,
			    json_pack("{sb sI sI sI}", "moved", 1, "pause_ms",
				      (json_int_t)l->pause_ms, "flush_ms",
				      (json_int_t)l->flush_ms, "bytes",
				      (json_int_t)l->bytes));
		lines_close(&k->client);
		return;
	}
	if (l->machine.state == SOURCE_GONE) {
		say("the guest is not here any more; whether it runs at %s is not known: %s",
		    l->host, l->why);
		lines_write(&k->client, json_pack("{ss}", "unknown", l->why));
		lines_close(&k->client);
		return;
	}
	say("the guest has not moved to %s: %s%s", l->host, l->why,
	    l->machine.state == SOURCE_LOST ? "; it has ended" : "");
	refuse(&k->client, l->why);
}

/* --- the guest's life -------------------------------------------------------------------------------- */

static void reap(struct minder *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == k->leaving.process)
			k->leaving.process = 0;
		if (pid == k->guest.mount) {
			k->guest.mount = 0;
			say("the process that serves the guest's memory has ended");
			if (k->guest.qemu != 0)
				kill(k->guest.qemu, SIGKILL);
		}
		if (pid != k->guest.qemu)
			continue;
		k->guest.qemu = 0;
		k->ended = true;
		k->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
						: WEXITSTATUS(status);
		if (k->leaving.active)
			leaving_guest_ended(&k->leaving, &k->guest);
		if (k->arriving.active)
			arriving_guest_ended(&k->arriving, &k->guest);
	}
}

static void take_signals(struct minder *k)
{
	struct signalfd_siginfo info;

	while (read(k->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGPIPE)
			continue;
		/* What the terminal sends QEMU has had as well. */
		if (k->guest.qemu != 0)
			kill(k->guest.qemu, k->asked_to_end ? SIGKILL : SIGTERM);
		else if (k->asked_to_end)
			k->leaving.active = k->arriving.active = false;
		k->asked_to_end = true;
	}
	reap(k);
}

static void wait_for_more(struct minder *k)
{
	bool busy = is_busy(k);
	struct pollfd p[] = {
		{ .fd = k->signals, .events = POLLIN },
		{ .fd = k->listener, .events = POLLIN },
		{ .fd = busy ? -1 : k->guest.qmp.in, .events = POLLIN },
	};

	poll(p, XM_COUNT(p), busy ? TICK_MS : -1);
	if ((p[1].revents & POLLIN) != 0)
		accept_one(k);
	if (p[2].revents != 0) {
		json_t *event = lines_read(&k->guest.qmp, 0);

		json_decref(event);
		if (k->guest.qmp.ended)
			lines_close(&k->guest.qmp);
	}
	take_signals(k);
}

/* What this process and those that it starts say from now on; nobody else hears it. */
static void log_begin(const struct guest *g)
{
	char path[GUEST_FOLDER_MAX + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/log", g->folder);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		dup2(fd, 2);
	close(fd);
}

/* Until the guest is not here any more. */
static void stay(struct minder *k, int done_fd)
{
	while (!k->ended || k->leaving.active) {
		wait_for_more(k);
		if (k->arriving.active) {
			arriving_look(&k->arriving, &k->guest);
			if (k->arriving.machine.state == TARGET_RETURNED)
				return;
			if (!k->arriving.active) {
				lines_close(&k->arriving.near);
				if (write(done_fd, "", 1) != 1)
					say("nobody waits for the guest");
				close(done_fd);
			}
		}
		if (k->leaving.active) {
			leaving_look(&k->leaving, &k->guest);
			if (!k->leaving.active)
				report(k);
		}
	}
	if (k->client.in >= 0)
		report(k);
}

static void prepare(struct minder *k)
{
	sigset_t set;

	memset(k, 0, sizeof(*k));
	guest_none(&k->guest);
	lines_open(&k->client, -1, -1);
	lines_open(&k->leaving.far, -1, -1);
	k->listener = -1;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* QEMU's is 0 too when it was told to end. */
static int status_of(const struct minder *k)
{
	switch (k->leaving.machine.state) {
	case SOURCE_MOVED:
		return 0;
	case SOURCE_GONE:
		return VM_STATUS_UNKNOWN;
	case SOURCE_LOST:
		return k->status != 0 ? k->status : 1;
	default:
		return k->status;
	}
}

int minder_run(const char *name, uint64_t size, json_t *line, json_t *settings)
{
	static struct minder k;
	int rc;

	prepare(&k);
	rc = guest_open(&k.guest, name, size, line, settings);
	if (rc == 0)
		rc = guest_mount(&k.guest, false);
	if (rc == 0)
		rc = listen_here(&k);
	if (rc == 0)
		rc = guest_start(&k.guest, false);
	if (rc == 0)
		stay(&k, -1);
	else
		say("%s", k.guest.words);
	guest_close(&k.guest);
	return rc != 0 ? 1 : status_of(&k);
}

int minder_receive(int in, int out, int done_fd)
{
	static struct minder k;
	static struct lines near;
	json_t *asked, *line = NULL, *settings = NULL;
	const char *name = "";
	json_int_t size = 0;
	int version = 0, rc = -EINVAL;

	prepare(&k);
	lines_open(&near, in, out);
	asked = lines_read(&near, ASK_MS);
	json_unpack(asked, "{si ss sI sO sO}", "extmem-vm", &version, "name", &name, "size",
		    &size, "line", &line, "settings", &settings);
	snprintf(k.guest.words, sizeof(k.guest.words), "the other side is another version");
	if (version == 1 && settings != NULL && guest_name_is_good(name))
		rc = guest_open(&k.guest, name, (uint64_t)size, line, settings);
	json_decref(asked);
	if (rc == 0)
		rc = listen_here(&k);
	if (rc == 0)
		log_begin(&k.guest);
	if (rc != 0) {
		refuse(&near, k.guest.words);
	} else {
		arriving_begin(&k.arriving, &k.guest, in, out);
		if (k.arriving.active)
			stay(&k, done_fd);
	}
	guest_close(&k.guest);
	return rc != 0 || k.arriving.machine.state != TARGET_RUNS ? 1 : status_of(&k);
}
