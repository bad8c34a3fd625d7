/* SPDX-License-Identifier: BSD-3-Clause */
/* The control process's side of the interface; see interface.h. Floor: skin. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/child.h"
#include "appliance/interface_parts.h"

#define START_MS 60000
#define STOP_MS 1000

/* What a process said of its start; its texts end with a NUL, whatever it sent. */
static int take_started(struct xm_interface *interface, struct xm_interface_started *start,
			char *words, size_t words_size, struct xm_transport_limits *ret_limits,
			struct xm_locator *ret_locator)
{
	struct xm_transport_limits *l = &start->limits;

	start->words[sizeof(start->words) - 1] = '\0';
	start->confined[sizeof(start->confined) - 1] = '\0';
	l->transport[sizeof(l->transport) - 1] = '\0';
	l->provider[sizeof(l->provider) - 1] = '\0';
	l->version[sizeof(l->version) - 1] = '\0';
	l->endpoint[sizeof(l->endpoint) - 1] = '\0';
	l->mr_mode[sizeof(l->mr_mode) - 1] = '\0';
	l->progress[sizeof(l->progress) - 1] = '\0';
	if (start->status != 0) {
		snprintf(words, words_size, "%s", start->words);
		return start->status;
	}
	memcpy(interface->confined, start->confined, sizeof(interface->confined));
	interface->confines = start->confines;
	*ret_limits = start->limits;
	*ret_locator = start->locator;
	return 0;
}

int xm_interface_started(struct xm_interface *interface, char *words, size_t words_size,
			 struct xm_transport_limits *ret_limits,
			 struct xm_locator *ret_locator)
{
	struct xm_interface_started start;
	ssize_t n = recv(interface->fd, &start, sizeof(start), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n == (ssize_t)sizeof(start))
		return take_started(interface, &start, words, words_size, ret_limits,
				    ret_locator);
	snprintf(words, words_size, "the interface process died while it started: try"
		 " another provider, and FI_LOG_LEVEL=info");
	return -EIO;
}

/* A minute at most. */
static int await_started(struct xm_interface *interface, char *words, size_t words_size)
{
	struct pollfd ready = { .fd = interface->fd, .events = POLLIN };
	int r;

	do
		r = poll(&ready, 1, START_MS);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		return 0;
	snprintf(words, words_size, "the interface process did not come up in a minute:"
		 " its provider hangs; try another with --provider");
	return -ETIMEDOUT;
}

static int fill_setup(const struct xm_interface_options *o,
		      struct xm_interface_setup *ret)
{
	*ret = (struct xm_interface_setup){
		.size = sizeof(*ret),
		.clients_max = o->clients_max,
		.spans_max = o->spans_max,
		.polling = (uint32_t)o->polling,
		.parent = getpid(),
		.data_port = o->data_port,
		.confine = o->confine,
	};
	if (strlen(o->address) >= sizeof(ret->address) ||
	    (o->provider != NULL &&
	     strlen(o->provider) >= sizeof(ret->provider)) ||
	    (o->advertise != NULL &&
	     strlen(o->advertise) >= sizeof(ret->advertise)))
		return -ENAMETOOLONG;
	snprintf(ret->scheme, sizeof(ret->scheme), "%s", o->ops->scheme);
	snprintf(ret->address, sizeof(ret->address), "%s", o->address);
	snprintf(ret->provider, sizeof(ret->provider), "%s",
		 o->provider != NULL ? o->provider : "");
	snprintf(ret->advertise, sizeof(ret->advertise), "%s",
		 o->advertise != NULL ? o->advertise : "");
	return 0;
}

int xm_interface_begin(const struct xm_interface_options *o, char *words,
		       size_t words_size, struct xm_interface *ret)
{
	static const struct xm_interface_started failure = {
		.status = -ENOEXEC,
		.words = "cannot execute extmemd (/proc/self/exe, or the program that was"
			 " named): is it there, and is /proc mounted?",
	};
	struct xm_interface_setup setup;
	const struct xm_child child = {
		.program = o->program, .name = "extmemd-interface", .flag = XM_INTERFACE_FLAG,
		.setup = &setup, .setup_size = sizeof(setup), .pool = o->pool,
		.failure = &failure, .failure_size = sizeof(failure),
	};
	int rc = fill_setup(o, &setup);

	memset(ret, 0, sizeof(*ret));
	if (rc == 0)
		rc = xm_child_start(&child, &ret->pid, &ret->fd);
	if (rc != 0)
		snprintf(words, words_size, "the interface process cannot be "
			 "started: %s", strerror(-rc));
	return rc;
}

int xm_interface_start(const struct xm_interface_options *o, char *words,
		       size_t words_size, struct xm_interface *ret,
		       struct xm_transport_limits *ret_limits,
		       struct xm_locator *ret_locator)
{
	struct xm_interface interface;
	int rc = xm_interface_begin(o, words, words_size, &interface);

	if (rc != 0)
		return rc;
	rc = await_started(&interface, words, words_size);
	if (rc == 0)
		rc = xm_interface_started(&interface, words, words_size, ret_limits,
					  ret_locator);
	if (rc != 0) {
		xm_interface_stop(&interface);
		return rc;
	}
	*ret = interface;
	return 0;
}

int xm_interface_command(struct xm_interface *interface,
			 const struct xm_command *command)
{
	ssize_t n = send(interface->fd, command, sizeof(*command),
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	/* If it is dead, that is noticed elsewhere. */
	return n == (ssize_t)sizeof(*command) ? 0 : -EAGAIN;
}

int xm_interface_next_report(struct xm_interface *interface, struct xm_report *ret)
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
	xm_child_stop(interface->pid, interface->fd, STOP_MS);
	interface->fd = -1;
}
