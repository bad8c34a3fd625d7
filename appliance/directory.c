/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's entry in a directory of appliances; see daemon.h. extmem-directory keeps it:
 * whatever etcd does, this process never waits for it. When this process ends in whatever
 * way, the socket closes, and the entry is taken away.
 *
 * Floor: skin.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "common/clock.h"
#include "common/directory.h"

#define TELL (5 * XM_SECOND)
#define AGAIN (10 * XM_SECOND)
#define END_MS 3000

static bool is_wanted(const struct xm_daemon *d)
{
	return d->settings.directory[0] != '\0';
}

int xm_daemon_check_directory(const struct xm_daemon *d)
{
	char words[XM_WORDS_MAX];

	if (!is_wanted(d) || xm_directory_is_there(words, sizeof(words)))
		return 0;
	xm_log(XM_LEVEL_ERROR, "--directory: %s", words);
	return -EINVAL;
}

/* The address that clients are to use: the one listened at, with the host that is advertised. */
static void reachable(const struct xm_daemon *d, char *ret, size_t size)
{
	const char *address = d->channel_ops->address(d->channel);
	const char *host = strstr(address, "://"), *port = strrchr(address, ':');
	const char *advertised = d->settings.advertise;
	struct in6_addr six;
	bool brackets = inet_pton(AF_INET6, advertised, &six) == 1;

	if (advertised[0] == '\0' || host == NULL || port <= host)
		snprintf(ret, size, "%s", address);
	else
		snprintf(ret, size, "%.*s://%s%s%s%s", (int)(host - address), address,
			 brackets ? "[" : "", advertised, brackets ? "]" : "", port);
}

static void forget(struct xm_daemon *d)
{
	if (d->directory.pid == 0)
		return;
	close(d->directory.fd);
	d->directory.pid = 0;
}

static void tell(struct xm_daemon *d, uint64_t now_ns)
{
	struct xm_daemon_directory *w = &d->directory;
	struct xm_service_options o = xm_daemon_service_options(d);
	uint64_t goal = xm_host_goal(d->host), held = xm_host_held(d->host);
	uint64_t left = goal > held ? goal - held : 0;
	char line[XM_WORDS_MAX], address[XM_ETCD_ADDRESS_SIZE];
	int size;

	w->tell_ns = xm_time_after(now_ns, TELL);
	if (left == w->told)
		return;
	reachable(d, address, sizeof(address));
	size = snprintf(line, sizeof(line), "%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\n", address,
			o.name, o.zone, goal, left);
	/* What does not fit now is told the next time; it would be odd. */
	if (send(w->fd, line, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) == size)
		w->told = left;
}

static void begin(struct xm_daemon *d, uint64_t now_ns)
{
	struct xm_daemon_directory *w = &d->directory;
	struct epoll_event event = { .events = EPOLLIN };
	int rc = xm_directory_keep(d->settings.directory, &w->pid, &w->fd);

	w->begin_ns = xm_time_after(now_ns, AGAIN);
	w->used = 0;
	w->told = UINT64_MAX;
	if (rc != 0) {
		w->pid = 0;
		xm_log(XM_LEVEL_WARNING, "directory: extmem-directory cannot be started: %s;"
		       " this is tried again", strerror(-rc));
		return;
	}
	if (epoll_ctl(d->wakeups, EPOLL_CTL_ADD, w->fd, &event) != 0)
		xm_log(XM_LEVEL_WARNING, "directory: what it says is heard late: %s",
		       strerror(errno));
	tell(d, now_ns);
}

static void take_line(struct xm_daemon *d, const char *line)
{
	const char *url = d->settings.directory;

	if (strcmp(line, "here") == 0)
		xm_log(XM_LEVEL_INFO, "directory: clients find this appliance in %s", url);
	else if (strncmp(line, "away ", 5) == 0)
		xm_log(XM_LEVEL_WARNING, "directory: %s does not answer (%s). All goes on, and it"
		       " is tried again; new clients may not find this appliance meanwhile",
		       url, line + 5);
	else
		xm_log(XM_LEVEL_WARNING, "directory: %s", line);
}

/* False: it has ended. */
static bool hear(struct xm_daemon *d)
{
	struct xm_daemon_directory *w = &d->directory;
	ssize_t n = recv(w->fd, w->line + w->used, sizeof(w->line) - 1 - w->used,
			 MSG_DONTWAIT);
	char *end;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	w->used += (size_t)n;
	w->line[w->used] = '\0';
	while ((end = strchr(w->line, '\n')) != NULL) {
		*end++ = '\0';
		take_line(d, w->line);
		w->used -= (size_t)(end - w->line);
		memmove(w->line, end, w->used + 1);
	}
	if (w->used == sizeof(w->line) - 1)
		w->used = 0;
	return true;
}

uint64_t xm_daemon_tend_directory(struct xm_daemon *d, uint64_t now_ns)
{
	struct xm_daemon_directory *w = &d->directory;

	if (!is_wanted(d) || (w->pid == 0 && (d->draining || w->leaves)))
		return UINT64_MAX;
	if (w->pid == 0 && now_ns >= w->begin_ns)
		begin(d, now_ns);
	if (w->pid == 0)
		return w->begin_ns;
	if (!hear(d)) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
		forget(d);
		if (!w->leaves)
			xm_log(XM_LEVEL_WARNING, "directory: extmem-directory has ended; it is"
			       " begun again");
		return w->leaves ? UINT64_MAX : w->begin_ns;
	}
	if (w->leaves)
		return UINT64_MAX;
	if (now_ns >= w->tell_ns)
		tell(d, now_ns);
	return w->tell_ns;
}

void xm_daemon_leave_directory(struct xm_daemon *d)
{
	if (d->directory.pid == 0 || d->directory.leaves)
		return;
	d->directory.leaves = true;
	shutdown(d->directory.fd, SHUT_WR);
}

void xm_daemon_close_directory(struct xm_daemon *d)
{
	struct xm_daemon_directory *w = &d->directory;
	uint64_t until_ns = xm_clock_ns() + END_MS * XM_MS, now_ns;

	if (w->pid == 0)
		return;
	xm_daemon_leave_directory(d);
	/* It ends when the entry is gone, or etcd has not answered: then its lease ends. */
	while ((now_ns = xm_clock_ns()) < until_ns) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN };

		if (poll(&p, 1, (int)((until_ns - now_ns) / XM_MS + 1)) > 0 && !hear(d))
			break;
	}
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	forget(d);
}
