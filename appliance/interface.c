/* SPDX-License-Identifier: BSD-3-Clause */
/* The control process's side of the interface; see interface.h. Floor: skin. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "appliance/interface_parts.h"

#define START_MS 60000
#define STOP_MS 1000

/* The child's texts end with a NUL, whatever it sent. */
static int await_started(struct xm_interface *interface, char *words,
		      size_t words_size, struct xm_interface_started *ret)
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
		ret->confined[sizeof(ret->confined) - 1] = '\0';
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

/* In the child of fork(): only calls that are safe there. */
static _Noreturn void become_interface(int fd)
{
	static char name[] = "extmemd-interface", flag[] = XM_INTERFACE_FLAG;
	char *const argv[] = { name, flag, NULL };
	struct xm_interface_started start;
	const char *words = "cannot hand over the socket to the new process";

	/* dup2() onto itself would leave close-on-exec set. */
	if (fd == XM_INTERFACE_FD ? fcntl(fd, F_SETFD, 0) == 0
				  : dup2(fd, XM_INTERFACE_FD) >= 0) {
		/* What we inherited without close-on-exec, from whoever
		 * started us. Linux 5.9; before, it stays open. */
		(void)close_range(XM_INTERFACE_FD + 1, ~0U, 0);
		fd = XM_INTERFACE_FD; /* close_range() may have closed fd */
		execv("/proc/self/exe", argv);
		words = "cannot execute /proc/self/exe again: is /proc"
			" mounted?";
	}
	memset(&start, 0, sizeof(start));
	start.status = -errno;
	snprintf(start.words, sizeof(start.words), "%s", words);
	(void)send(fd, &start, sizeof(start), MSG_NOSIGNAL);
	_exit(1);
}

static int send_setup(int fd, const struct xm_interface_options *o)
{
	const struct xm_pool *pool = o->pool;
	size_t banks_size = pool->banks_count * sizeof(int);
	struct xm_interface_setup setup = {
		.size = sizeof(setup),
		.clients_max = o->clients_max,
		.polling = (uint32_t)o->polling,
		.banks_count = pool->banks_count,
		.pool_size = pool->size,
		.bank_size = pool->bank_size,
		.page = pool->page,
		.parent = getpid(),
		.data_port = o->data_port,
		.confine = o->confine,
	};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(XM_BANKS_MAX * sizeof(int))];
	} control;
	struct iovec bytes = { .iov_base = &setup, .iov_len = sizeof(setup) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(banks_size) };

	if (strlen(o->address) >= sizeof(setup.address) ||
	    (o->provider != NULL &&
	     strlen(o->provider) >= sizeof(setup.provider)) ||
	    (o->advertise != NULL &&
	     strlen(o->advertise) >= sizeof(setup.advertise)))
		return -ENAMETOOLONG;
	snprintf(setup.scheme, sizeof(setup.scheme), "%s", o->ops->scheme);
	snprintf(setup.address, sizeof(setup.address), "%s", o->address);
	snprintf(setup.provider, sizeof(setup.provider), "%s",
		 o->provider != NULL ? o->provider : "");
	snprintf(setup.advertise, sizeof(setup.advertise), "%s",
		 o->advertise != NULL ? o->advertise : "");
	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(banks_size);
	memcpy(CMSG_DATA(&control.head), pool->banks, banks_size);
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(setup)
		       ? 0 : -errno;
}

int xm_interface_start(const struct xm_interface_options *o, char *words,
		       size_t words_size, struct xm_interface *ret,
		       struct xm_transport_limits *ret_limits,
		       struct xm_locator *ret_locator)
{
	struct xm_interface interface;
	struct xm_interface_started start;
	int fds[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
		rc = -errno;
		snprintf(words, words_size, "socketpair: %s", strerror(-rc));
		return rc;
	}
	interface.fd = fds[0];
	interface.pid = fork();
	if (interface.pid < 0) {
		rc = -errno;
		snprintf(words, words_size, "fork: %s", strerror(-rc));
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	if (interface.pid == 0)
		become_interface(fds[1]);
	close(fds[1]);
	memset(&start, 0, sizeof(start));
	rc = send_setup(interface.fd, o);
	if (rc != 0 && rc != -EPIPE) /* EPIPE: it has said why it ended */
		snprintf(words, words_size, "cannot hand the pool to the"
			 " interface process: %s", strerror(-rc));
	else
		rc = await_started(&interface, words, words_size, &start);
	if (rc != 0) {
		xm_interface_stop(&interface);
		return rc;
	}
	memcpy(interface.confined, start.confined, sizeof(interface.confined));
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
