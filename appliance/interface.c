/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface process; see interface.h.
 *
 * Patience: after traffic the loop polls for as long as more of it is likely to
 * come (common/spin.h, told the times from one to the next), then sleeps in wait()
 * until the transport's descriptor or the control process's socket has
 * something, and half a second at most. polling=busy never sleeps, block always
 * does. Whether there is traffic the transport tells (MOVED), or, where it does
 * not, wait() does, by coming back before its time.
 *
 * Where a transport cannot wait (shm), wait() is a nap. Naps grow from
 * NAP_MIN_NS to NAP_MAX_NS as long as there are clients, and as waits do when
 * there are none.
 *
 * One report at most is waiting to be sent, and no command is read while it
 * is; so nothing piles up when the control process is stopped.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "appliance/interface.h"

#define WAIT_MIN_NS (1 * XM_MS)
#define WAIT_MAX_NS (500 * XM_MS)
#define NAP_MIN_NS (20 * XM_US)
#define NAP_MAX_NS (5 * XM_MS)
#define POLLS_PER_LOOK 64 /* at the socket, while spinning */
#define START_MS 60000
#define STOP_MS 1000
#define GRACE_S 2 /* from the parent's death to our own, at most */

/* The first datagram of the child. */
struct start_report {
	int status;
	char words[XM_REPORT_WORDS_SIZE];
	struct xm_transport_limits limits;
	struct xm_locator locator;
};

struct child {
	const struct xm_interface_options *options;
	struct xm_transport *transport;
	struct xm_target target;
	bool waits, tells;
	struct xm_spin spin;
	uint64_t moved_ns; /* when bytes moved last */
	bool slept;	   /* since then */
	int fd;
	bool ended;   /* the control process is gone */
	bool pending; /* `report` could not be sent yet */
	struct xm_report report;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * XM_SECOND + (uint64_t)now.tv_nsec;
}

/* --- the child ------------------------------------------------------------ */

static void on_orphaned(int number)
{
	(void)number;
	/* The closed socket ends the loop, which lets the provider clean up;
	 * but if it hangs in there, this ends it. */
	alarm(GRACE_S);
}

/* Signals are the control process's business: one Ctrl-C goes to both. Again
 * after the transport is open, as a provider may install its own. */
static void child_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE,
				       SIGQUIT };
	struct sigaction orphaned = { .sa_handler = on_orphaned };
	sigset_t none;
	size_t i;

	for (i = 0; i < XM_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	sigaction(SIGUSR1, &orphaned, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_flush(struct child *c)
{
	ssize_t n;

	if (!c->pending)
		return;
	n = send(c->fd, &c->report, sizeof(c->report),
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)sizeof(c->report))
		c->pending = false;
	else if (n < 0 && errno != EAGAIN && errno != EINTR &&
		 errno != ENOBUFS)
		c->ended = true;
}

/* Changed counts go first, then a command's answer: see target.h. */
static bool child_counts(struct child *c)
{
	child_flush(c);
	while (!c->pending && !c->ended &&
	       xm_target_report(&c->target, &c->report)) {
		c->pending = true;
		child_flush(c);
	}
	return !c->pending && !c->ended;
}

static void child_serve(struct child *c)
{
	struct xm_command command;
	ssize_t n;

	while (child_counts(c)) {
		n = recv(c->fd, &command, sizeof(command), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != (ssize_t)sizeof(command)) {
			c->ended = true;
			return;
		}
		xm_target_do(&c->target, &command, &c->report);
		c->pending = true;
	}
}

static uint64_t longer_wait(const struct child *c, uint64_t wait_ns)
{
	if (!c->waits && c->target.clients_count > 0)
		return xm_min(2 * wait_ns, NAP_MAX_NS);
	return xm_min(2 * wait_ns, WAIT_MAX_NS);
}

/* There was traffic. Returns until when to look for more. */
static uint64_t child_moved(struct child *c, uint64_t now_ns)
{
	xm_spin_learn(&c->spin, now_ns - c->moved_ns, c->slept);
	c->moved_ns = now_ns;
	c->slept = false;
	return xm_time_after(now_ns, xm_spin_ns(&c->spin));
}

/* True: something ended it. */
static bool child_wait(struct child *c, uint64_t wait_ns)
{
	uint64_t before_ns = clock_ns();

	/* With a report stuck, a command to be read must not wake. */
	c->options->ops->wait(c->transport, c->pending ? -1 : c->fd, wait_ns);
	c->slept = true;
	return c->waits && clock_ns() - before_ns < wait_ns - wait_ns / 8;
}

static void child_loop(struct child *c)
{
	uint64_t wait_min_ns = c->waits ? WAIT_MIN_NS : NAP_MIN_NS;
	uint64_t wait_ns = wait_min_ns;
	uint64_t now_ns = clock_ns(), look_until_ns = now_ns;
	int polls = 0;

	c->moved_ns = now_ns;
	while (!c->ended) {
		bool busy = xm_target_poll(&c->target) > 0;

		if (polls++ % POLLS_PER_LOOK == 0)
			child_serve(c);
		now_ns = clock_ns();
		if (busy) {
			look_until_ns = child_moved(c, now_ns);
			wait_ns = wait_min_ns;
		}
		if (busy)
			continue;
		if (now_ns < look_until_ns ||
		    c->spin.polling == XM_POLLING_BUSY) {
			/* One who would ask may be waiting for this very
			 * processor. */
			sched_yield();
			continue;
		}
		child_serve(c);
		if (c->ended)
			break;
		if (child_wait(c, wait_ns)) {
			wait_ns = wait_min_ns;
			/* Nobody else tells. */
			now_ns = clock_ns();
			if (!c->tells)
				look_until_ns = child_moved(c, now_ns);
		} else {
			wait_ns = longer_wait(c, wait_ns);
			now_ns = clock_ns();
		}
		polls = 0; /* look at the socket next */
	}
}

static _Noreturn void child_fail(struct child *c, struct start_report *start)
{
	(void)send(c->fd, start, sizeof(*start), MSG_NOSIGNAL);
	_exit(1);
}

static _Noreturn void child_main(const struct xm_interface_options *o, int fd)
{
	struct xm_transport_options options = { .address = o->address,
						.provider = o->provider,
						.target = true,
						.clients_max = o->clients_max };
	struct child c = { .options = o, .fd = fd };
	struct xm_target_client *clients;
	struct start_report start;

	memset(&start, 0, sizeof(start));
	prctl(PR_SET_NAME, "extmemd-iface");
	prctl(PR_SET_TIMERSLACK, 1); /* naps are to be as short as asked */
	child_signals();
	start.status = o->ops->open(&options, start.words,
				    sizeof(start.words), &c.transport);
	if (start.status != 0)
		child_fail(&c, &start);
	child_signals();
	start.status = o->ops->listen(c.transport, o->pool, o->pool_size,
				      &start.locator);
	if (start.status != 0) {
		snprintf(start.words, sizeof(start.words), "%s",
			 o->ops->words(c.transport));
		child_fail(&c, &start);
	}
	o->ops->limits(c.transport, &start.limits);
	c.waits = start.limits.waits;
	c.tells = start.limits.tells;
	xm_spin_init(&c.spin, o->polling);
	clients = calloc(o->clients_max, sizeof(*clients));
	if (clients == NULL) {
		start.status = -ENOMEM;
		snprintf(start.words, sizeof(start.words), "out of memory");
		child_fail(&c, &start);
	}
	xm_target_init(&c.target, o->ops, c.transport, clients,
		       o->clients_max);
	if (send(fd, &start, sizeof(start), MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(start))
		_exit(1);
	child_loop(&c);
	o->ops->close(c.transport);
	_exit(0);
}

/* --- the parent ----------------------------------------------------------- */

/* The child's texts end with a NUL, whatever it sent. */
static int start_wait(struct xm_interface *interface, char *words,
		      size_t words_size, struct start_report *ret)
{
	struct pollfd ready = { .fd = interface->fd, .events = POLLIN };
	ssize_t n;
	int r;

	do
		r = poll(&ready, 1, START_MS);
	while (r < 0 && errno == EINTR);
	n = r > 0 ? recv(interface->fd, ret, sizeof(*ret), MSG_DONTWAIT) : -1;
	if (n == (ssize_t)sizeof(*ret)) {
		struct xm_transport_limits *l = &ret->limits;

		ret->words[sizeof(ret->words) - 1] = '\0';
		l->transport[sizeof(l->transport) - 1] = '\0';
		l->provider[sizeof(l->provider) - 1] = '\0';
		l->version[sizeof(l->version) - 1] = '\0';
		l->endpoint[sizeof(l->endpoint) - 1] = '\0';
		l->mr_mode[sizeof(l->mr_mode) - 1] = '\0';
		l->progress[sizeof(l->progress) - 1] = '\0';
		if (ret->status != 0)
			snprintf(words, words_size, "%s", ret->words);
		return ret->status;
	}
	snprintf(words, words_size, "%s",
		 r == 0 ? "the interface process did not come up in a minute:"
			  " its provider hangs; try another with --provider"
			: "the interface process died while it started: try"
			  " another provider, and FI_LOG_LEVEL=info");
	return r == 0 ? -ETIMEDOUT : -EIO;
}

int xm_interface_start(const struct xm_interface_options *o, char *words,
		       size_t words_size, struct xm_interface *ret,
		       struct xm_transport_limits *ret_limits,
		       struct xm_locator *ret_locator)
{
	struct xm_interface interface;
	struct start_report start;
	pid_t parent = getpid();
	int fds[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
		r = -errno;
		snprintf(words, words_size, "socketpair: %s", strerror(-r));
		return r;
	}
	interface.fd = fds[0];
	interface.pid = fork();
	if (interface.pid < 0) {
		r = -errno;
		snprintf(words, words_size, "fork: %s", strerror(-r));
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (interface.pid == 0) {
		close(fds[0]);
		o->forget(o->context);
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		if (getppid() != parent)
			_exit(1); /* it died before we asked to be told */
		child_main(o, fds[1]);
	}
	close(fds[1]);
	memset(&start, 0, sizeof(start));
	r = start_wait(&interface, words, words_size, &start);
	if (r != 0) {
		xm_interface_stop(&interface);
		return r;
	}
	*ret = interface;
	*ret_limits = start.limits;
	*ret_locator = start.locator;
	return 0;
}

int xm_interface_command(struct xm_interface *interface,
			 const struct xm_command *command)
{
	ssize_t n = send(interface->fd, command, sizeof(*command),
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	/* If it is dead, that is noticed elsewhere and ends the daemon. */
	return n == (ssize_t)sizeof(*command) ? 0 : -EAGAIN;
}

int xm_interface_poll(struct xm_interface *interface, struct xm_report *ret)
{
	struct xm_report report;
	ssize_t n = recv(interface->fd, &report, sizeof(report), MSG_DONTWAIT);

	if (n != (ssize_t)sizeof(report))
		return 0;
	report.words[sizeof(report.words) - 1] = '\0';
	*ret = report;
	return 1;
}

void xm_interface_stop(struct xm_interface *interface)
{
	struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
	int waited_ms;

	close(interface->fd);
	interface->fd = -1;
	for (waited_ms = 0; waited_ms < STOP_MS; waited_ms += 10) {
		if (waitpid(interface->pid, NULL, WNOHANG) != 0)
			return; /* it ended, or was reaped before */
		nanosleep(&nap, NULL);
	}
	kill(interface->pid, SIGKILL);
	waitpid(interface->pid, NULL, 0);
}
