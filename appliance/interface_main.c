/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface process itself; see interface.h.
 *
 * How it waits. After traffic the loop polls for as long as more of it is
 * likely to come (common/spin.h learns the times from one to the next), then
 * sleeps in wait() until the transport's descriptor or the control process's
 * socket has something, and half a second at most. polling=busy never sleeps,
 * block always does. Whether there was traffic the transport tells (MOVED);
 * where it does not tell, a wait() that returns before its time is taken for
 * traffic.
 *
 * Where a transport cannot wait (shm), wait() is a nap. Naps grow from
 * NAP_MIN_NS to NAP_MAX_NS while there are clients, and up to WAIT_MAX_NS
 * while there are none.
 *
 * At most one report waits to be sent, and no command is read while it does;
 * so nothing piles up when the control process is stopped.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/child.h"
#include "appliance/interface_parts.h"
#include "common/clock.h"

#define WAIT_MIN_NS (1 * XM_MS)
#define WAIT_MAX_NS (500 * XM_MS)
#define NAP_MIN_NS (20 * XM_US)
#define NAP_MAX_NS (5 * XM_MS)
#define POLLS_PER_LOOK 64 /* at the socket, while spinning */
#define GRACE_S 2 /* from the parent's death to our own, at most */

struct child {
	const struct xm_transport_ops *ops;
	struct xm_transport *transport;
	struct xm_target target;
	const struct xm_pool *pool;
	bool waits, tells;
	struct xm_spin spin;
	uint64_t moved_ns; /* when bytes moved last */
	bool slept;	   /* since then */
	int fd;
	bool ended;   /* the control process is gone */
	bool pending; /* `report` could not be sent yet */
	struct xm_report report;
};

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
	uint64_t before_ns = xm_clock_ns();

	/* With a report stuck, a command to be read must not wake. */
	c->ops->wait(c->transport, c->pending ? -1 : c->fd, wait_ns);
	c->slept = true;
	return c->waits && xm_clock_ns() - before_ns < wait_ns - wait_ns / 8;
}

static void child_loop(struct child *c)
{
	uint64_t wait_min_ns = c->waits ? WAIT_MIN_NS : NAP_MIN_NS;
	uint64_t wait_ns = wait_min_ns;
	uint64_t now_ns = xm_clock_ns(), look_until_ns = now_ns;
	int polls = 0;

	c->moved_ns = now_ns;
	while (!c->ended) {
		bool busy;

		xm_pool_file_look(c->pool);
		busy = xm_target_poll(&c->target) > 0;
		if (polls++ % POLLS_PER_LOOK == 0)
			child_serve(c);
		now_ns = xm_clock_ns();
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
			now_ns = xm_clock_ns();
			if (!c->tells)
				look_until_ns = child_moved(c, now_ns);
		} else {
			wait_ns = longer_wait(c, wait_ns);
			now_ns = xm_clock_ns();
		}
		polls = 0; /* look at the socket next */
	}
}

/* The settings, and the banks' descriptors into `pool`. */
static const struct xm_transport_ops *find_transport(const char *scheme)
{
	for (size_t i = 0; xm_transports[i] != NULL; i++)
		if (strcmp(xm_transports[i]->scheme, scheme) == 0)
			return xm_transports[i];
	return NULL;
}

/* 0, or -errno and words in `start`. */
static int child_open(struct child *c, const struct xm_interface_setup *setup,
		      struct xm_pool *pool, struct xm_interface_started *start)
{
	struct xm_transport_options options = {
		.address = setup->address,
		.provider = setup->provider[0] != '\0' ? setup->provider : NULL,
		.target = true,
		.clients_max = setup->clients_max,
		.spans_max = setup->spans_max,
		.bank_size = pool->bank_size,
		.data_port = setup->data_port,
		.advertise = setup->advertise[0] != '\0' ? setup->advertise
							 : NULL,
	};
	struct xm_target_client *clients;
	int rc = xm_pool_map(pool, start->words, sizeof(start->words));

	if (rc != 0)
		return rc;
	rc = c->ops->open(&options, start->words, sizeof(start->words),
			  &c->transport);
	if (rc != 0)
		return rc;
	child_signals(); /* again, as a provider may have set its own */
	xm_pool_file_guard(pool);
	rc = c->ops->listen(c->transport, pool->base, pool->size,
			    &start->locator);
	if (rc != 0) {
		snprintf(start->words, sizeof(start->words), "%s",
			 c->ops->last_error(c->transport));
		return rc;
	}
	c->ops->limits(c->transport, &start->limits);
	clients = calloc(setup->clients_max, sizeof(*clients));
	if (clients == NULL) {
		snprintf(start->words, sizeof(start->words), "out of memory");
		return -ENOMEM;
	}
	xm_target_init(&c->target, c->ops, c->transport, clients,
		       setup->clients_max);
	c->pool = pool;
	c->waits = start->limits.waits;
	c->tells = start->limits.tells;
	xm_spin_init(&c->spin, (enum xm_polling)setup->polling);
	return 0;
}

int xm_interface_main(void)
{
	struct child c = { .fd = XM_CHILD_FD };
	struct xm_interface_setup setup;
	struct xm_interface_started start;
	struct xm_pool pool;

	memset(&start, 0, sizeof(start));
	memset(&pool, 0, sizeof(pool));
	if (xm_child_receive(&setup, sizeof(setup), &pool) != 0 ||
	    setup.size != sizeof(setup)) {
		fprintf(stderr, "extmemd: %s is for extmemd's own use\n",
			XM_INTERFACE_FLAG);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	if (getppid() != setup.parent)
		_exit(1); /* it died before we asked to be told */
	prctl(PR_SET_NAME, "extmemd-iface");
	prctl(PR_SET_TIMERSLACK, 1); /* naps are to be as short as asked */
	child_signals();
	c.ops = find_transport(setup.scheme);
	XM_ASSERT(c.ops != NULL); /* the parent found it in the same table */
	start.status = child_open(&c, &setup, &pool, &start);
	if (start.status == 0 && setup.confine)
		start.confines = xm_confine(setup.scheme, c.ops->pins, start.confined);
	start.confines |= XM_CONFINED_SAYS | (geteuid() != 0 ? XM_CONFINED_USER : 0);
	if (send(c.fd, &start, sizeof(start), MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(start) ||
	    start.status != 0)
		_exit(1);
	child_loop(&c);
	c.ops->close(c.transport);
	_exit(0);
}
