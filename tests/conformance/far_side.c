/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The remote side of a test: a transport's target in a process of its own.
 *
 * It takes commands from a socket pair, answers each, and polls its transport
 * in between unless it was told to PAUSE. It is forked by a nursery, which is
 * forked before anything else and never touches libfabric: that does not
 * survive a fork. All of them share one pool with the test, which can so look
 * at remote memory without asking for it. Each dies with whoever started it.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/far_side.h"

uint8_t *far_pool;
static int nursery;

void address_make(const char *scheme, char *ret, size_t size)
{
	if (ops_one_process(ops_find(scheme)))
		snprintf(ret, size, "%s:conformance", scheme);
	else if (strcmp(scheme, "ofi+shm") == 0)
		snprintf(ret, size, "ofi+shm://conformance");
	else
		snprintf(ret, size, "%s://127.0.0.1:7470", scheme);
}

static int far_open(struct far_side *f, const char *scheme, bool anywhere,
		    struct answer *answer)
{
	char address[64];
	struct xm_transport_options options = { .address = address,
						.target = true,
						.spans_max = FAR_SPANS_MAX };
	int error;

	if (anywhere)
		snprintf(address, sizeof(address), "%s://0.0.0.0:7470",
			 scheme);
	else
		address_make(scheme, address, sizeof(address));
	f->ops = ops_find(scheme);
	f->paused = false;
	f->joined = f->left = f->moved = 0;
	error = f->ops->open(&options, answer->words, sizeof(answer->words),
			     &f->t);
	if (error)
		return error;
	error = f->ops->listen(f->t, far_pool, FAR_POOL_SIZE, &answer->locator);
	if (error)
		snprintf(answer->words, sizeof(answer->words), "%s",
			 f->ops->last_error(f->t));
	return error;
}

void far_obey(struct far_side *f, const struct command *c,
		     struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->pid = getpid();
	switch (c->verb) {
	case OPEN:
		answer->error = far_open(f, c->scheme, c->anywhere, answer);
		break;
	case ADMIT:
		answer->error = f->ops->admit(f->t, c->client, c->lane,
					     c->ticket);
		break;
	case RETRACT:
		answer->error = f->ops->retract(f->t, c->client, c->ticket);
		break;
	case EXPOSE:
		answer->error = f->ops->expose(f->t, c->client, c->offset,
					       c->size, c->rights, c->key,
					       &answer->remote);
		break;
	case CONCEAL:
		f->ops->conceal(f->t, c->client, &c->remote);
		break;
	case CONCEAL_FILL:
		f->ops->conceal(f->t, c->client, &c->remote);
		memset(far_pool + c->offset, c->fill, c->size);
		break;
	case EXPEL:
		f->ops->expel(f->t, c->client);
		break;
	case PAUSE:
	case RESUME:
		f->paused = c->verb == PAUSE;
		break;
	case ASK:
		break;
	case CLOSE:
		if (f->t)
			f->ops->close(f->t);
		f->t = NULL;
		break;
	}
	answer->joined = f->joined;
	answer->left = f->left;
	answer->moved = f->moved;
	if (f->t) {
		struct xm_transport_limits limits;

		f->ops->limits(f->t, &limits);
		answer->tells = limits.tells;
	}
}

void far_poll(struct far_side *f)
{
	struct xm_transport_event events[8];
	int n = f->t && !f->paused ? f->ops->poll(f->t, events, 8) : 0;

	for (int i = 0; i < n; i++) {
		f->joined += events[i].kind == XM_TRANSPORT_JOINED;
		f->left += events[i].kind == XM_TRANSPORT_LEFT;
		f->moved += events[i].kind == XM_TRANSPORT_MOVED;
	}
}

static void far_main(int fd)
{
	struct far_side f = { 0 };
	struct command command;
	struct answer answer;
	unsigned idle = 0;

	for (;;) {
		ssize_t got = recv(fd, &command, sizeof(command), MSG_DONTWAIT);

		if (got == 0)
			exit(0);
		if (got == (ssize_t)sizeof(command)) {
			far_obey(&f, &command, &answer);
			if (send(fd, &answer, sizeof(answer), 0) < 0)
				_exit(1);
			idle = 0;
		}
		far_poll(&f);
		if (f.paused || !f.t)
			poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 100);
		else if (++idle % 256 == 0)
			f.ops->wait(f.t, fd, XM_MS);
		else
			sched_yield();
	}
}

/* Forks a remote side for every socket it is handed. */
static void nursery_main(int fd)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		char byte, space[CMSG_SPACE(sizeof(int))];
		struct iovec iov = { &byte, 1 };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = space,
					  .msg_controllen = sizeof(space) };
		struct cmsghdr *control;
		int child;

		if (recvmsg(fd, &message, 0) <= 0)
			_exit(0);
		control = CMSG_FIRSTHDR(&message);
		if (!control)
			continue;
		memcpy(&child, CMSG_DATA(control), sizeof(child));
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(fd);
			far_main(child);
		}
		close(child);
	}
}

int nursery_ask(void)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = space,
				  .msg_controllen = sizeof(space) };
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &pair[1], sizeof(int));
	if (sendmsg(nursery, &message, 0) != 1)
		return -1;
	close(pair[1]);
	return pair[0];
}

bool nursery_start(void)
{
	int pair[2];

	far_pool = mmap(NULL, FAR_POOL_SIZE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (far_pool == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		nursery_main(pair[1]);
	}
	close(pair[1]);
	nursery = pair[0];
	return true;
}
