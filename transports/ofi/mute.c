/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two system calls less for each completion of an initiator over tcp 1.17.
 *
 * That provider gives every completion queue a descriptor to wait on: an
 * epoll set of its sockets and of one end of a socket pair. Each completion
 * that it puts into the queue it also signals, by a byte into the pair, and
 * its next look at the set takes the byte out again. The byte is there to
 * wake another thread that sleeps on the descriptor. Here the thread that
 * finds a completion is the one that would sleep (one thread at a time for
 * each instance), and asks the queue itself before it does (link_armed()). So
 * that end of the pair is taken out of the set: the byte stays where it is, and
 * since one is enough, no other is ever written.
 *
 * Which descriptor it is, the kernel tells (/proc/self/fdinfo): the only one
 * in the set before an endpoint is bound to the queue. Where it is not so, or
 * the library is not 1.17, nothing is done, and all works as it did. Read in
 * tcpx_progress() and fd_signal_set() of libfabric 1.17; from 1.18 on progress
 * is made another way.
 *
 * Floor: skin of the transport.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transports/ofi/ofi.h"

/* The only descriptor in this epoll set; -1: none, or several. Not by stdio: a
 * thread of the program may hold its lock of all streams while it waits for the
 * lane that this thread has. */
static int only_one(int set)
{
	char path[64], text[2048];
	const char *at;
	ssize_t size;
	int info, one;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	size = read(info, text, sizeof(text) - 1);
	close(info);
	if (size <= 0 || size == sizeof(text) - 1)
		return -1;
	text[size] = '\0';
	at = strstr(text, "\ntfd:");
	if (!at || strstr(at + 1, "\ntfd:") ||
	    sscanf(at, "\ntfd: %d", &one) != 1)
		return -1;
	return one;
}

bool xm_ofi_mute(const struct xm_transport *t, int cq_fd)
{
	struct stat what;
	int end;

	if (fi_version() != FI_VERSION(1, 17) || cq_fd < 0 ||
	    strcmp(t->provider, "tcp") != 0 || t->scheme->type != FI_EP_MSG)
		return false;
	end = only_one(cq_fd);
	return end >= 0 && fstat(end, &what) == 0 && S_ISSOCK(what.st_mode) &&
	       epoll_ctl(cq_fd, EPOLL_CTL_DEL, end, NULL) == 0;
}
