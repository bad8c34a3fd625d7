/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The broker: a thread of the parent that sends forked children the pages they
 * ask for. It is started with the first child that needs it.
 *
 * Each child has a connection. The connection ends when the child ends or calls
 * exec(). While there is a connection the parent does not exit, because the pages
 * that it holds for the child would be gone. It goes on as the broker alone: the
 * program's threads are stopped, its descriptors are closed, its signals except
 * SIGTERM are blocked, and no library's destructor runs after ours.
 *
 * The broker reads a page by touching it, so an absent page is faulted in as for
 * any other thread. Bounds: 4,096 connections; one more child gets no answer.
 */
#include "preload/fork.h"

#include <poll.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define CONNECTIONS_MAX 4096

struct connection {
	int fd;
	uint32_t snapshot; /* its number */
	char *buffer; /* shared with the child */
};

static struct connection *connections;
static struct pollfd *polled;
static _Atomic unsigned connection_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int wake_fd = -1;
static bool started;
static _Thread_local bool here __attribute__((tls_model("initial-exec")));
static _Thread_local sigjmp_buf *lost __attribute__((tls_model("initial-exec")));

bool broker_is_here(void)
{
	return here;
}

void broker_forked(void)
{
	atomic_store(&connection_count, 0);
	started = false;
}

/* --- messages ------------------------------------------------------------------------ */

int fork_send(int fd, const void *message, size_t size, int descriptor)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { (void *)message, size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	if (descriptor >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)control;

		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &descriptor, sizeof(int));
	}
	do
		r = shim_raw(SYS_sendmsg, fd, (long)&header, MSG_NOSIGNAL, 0,
			     0, 0);
	while (r == -EINTR);
	return r < 0 ? (int)r : 0;
}

ssize_t fork_receive(int fd, void *message, size_t size, int *ret_descriptor)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { message, size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	const struct cmsghdr *c = (const struct cmsghdr *)(void *)control;
	long r;

	*ret_descriptor = -1;
	do
		r = shim_raw(SYS_recvmsg, fd, (long)&header, MSG_CMSG_CLOEXEC,
			     0, 0, 0);
	while (r == -EINTR);
	if (r >= 0 && header.msg_controllen >= sizeof(struct cmsghdr) &&
	    c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_descriptor, CMSG_DATA(c), sizeof(int));
	return r;
}

/* --- connections ---------------------------------------------------------------------- */

void broker_add(int fd, uint32_t snapshot)
{
	const uint64_t one = 1;
	unsigned n;

	pthread_mutex_lock(&lock);
	n = atomic_load(&connection_count);
	if (n == CONNECTIONS_MAX) {
		pthread_mutex_unlock(&lock);
		descriptor_close(fd);
		snapshots_reader(snapshot, false);
		return;
	}
	connections[n] = (struct connection){ .fd = fd, .snapshot = snapshot };
	atomic_store(&connection_count, n + 1);
	pthread_mutex_unlock(&lock);
	shim_raw(SYS_write, wake_fd, (long)&one, sizeof(one), 0, 0, 0);
}

static void drop(unsigned index)
{
	struct connection *c = &connections[index];
	uint32_t snapshot = c->snapshot;
	unsigned n;

	descriptor_close(c->fd);
	if (c->buffer)
		shim_raw(SYS_munmap, (long)c->buffer, FORK_BUFFER_SIZE, 0, 0,
			 0, 0);
	pthread_mutex_lock(&lock);
	n = atomic_load(&connection_count);
	*c = connections[n - 1];
	atomic_store(&connection_count, n - 1);
	pthread_mutex_unlock(&lock);
	snapshots_reader(snapshot, false);
}

/* Touching a lost page raises SIGBUS. If the broker touched it for a child, only
 * that answer fails, and the program goes on. */
void broker_lost(void)
{
	if (lost)
		siglongjmp(*lost, 1);
}

/* Copies the pages in order, up to the first that cannot be had. */
static void fill(const struct connection *c, const struct fork_request *request,
		 volatile uint32_t *ret_count)
{
	if (!c->buffer || request->count > FORK_WINDOW)
		return;
	for (uint32_t i = 0; i < request->count; i++) {
		if (!snapshots_page(request->region, request->page + i,
				    c->snapshot,
				  c->buffer + i * SHIM_PAGE))
			return;
		*ret_count = i + 1;
	}
}

static void answer(struct connection *c, const struct fork_request *request)
{
	struct fork_answer answer = { .status = 0 };
	volatile uint32_t count = 0;
	sigjmp_buf jump;

	if (sigsetjmp(jump, 1) == 0) {
		lost = &jump;
		fill(c, request, &count);
	}
	lost = NULL;
	answer.count = count;
	if (answer.count == 0)
		answer.status = -EIO;
	fork_send(c->fd, &answer, sizeof(answer), -1);
}

/* False: the child has ended. */
static bool serve(unsigned index)
{
	struct connection *c = &connections[index];
	struct fork_request request = { 0 };
	int descriptor;
	ssize_t n = fork_receive(c->fd, &request, sizeof(request), &descriptor);
	void *p;

	if (n != sizeof(request))
		return n == -EAGAIN;
	switch ((enum fork_kind)request.kind) {
	case FORK_PAGES:
		answer(c, &request);
		return true;
	case FORK_BUFFER:
		p = (void *)shim_raw(SYS_mmap, 0, FORK_BUFFER_SIZE,
				     PROT_READ | PROT_WRITE, MAP_SHARED,
				     descriptor, 0);
		shim_raw(SYS_close, descriptor, 0, 0, 0, 0, 0);
		if ((uintptr_t)p < (uintptr_t)-4096)
			c->buffer = p;
		return true;
	case FORK_ATTACH:
		if (descriptor < 0)
			return true;
		snapshots_reader(c->snapshot, true);
		broker_add(descriptor_keep(descriptor), c->snapshot);
		return true;
	}
	return true;
}

static void *run(void *unused)
{
	uint64_t count;
	bool more = false;

	(void)unused;
	here = true;
	shim_inside = 1;
	thread_ours(true);
	thread_begin();
	for (;;) {
		/* The kernel writes what is left of it. */
		struct timespec most = { .tv_nsec = more ? 0 : 100000000 };
		unsigned n = atomic_load(&connection_count);

		for (unsigned i = 0; i < n; i++)
			polled[i + 1] = (struct pollfd){
				.fd = connections[i].fd, .events = POLLIN
			};
		polled[0] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
		shim_raw(SYS_ppoll, (long)polled, n + 1, (long)&most, 0, 0, 0);
		more = false;
		if ((polled[0].revents & POLLIN) != 0)
			shim_raw(SYS_read, wake_fd, (long)&count,
				 sizeof(count), 0, 0, 0);
		/* From the last to the first, because drop() moves the last
		 * connection to the place of the one that ended. */
		for (unsigned i = n; i > 0; i--)
			if (polled[i].revents != 0 && !serve(i - 1))
				drop(i - 1);
		snapshots_sweep();
		if (n > 0)
			more = spill_some();
	}
	return NULL;
}

static int exit_status = -1, lingered_status = -1;
static bool lingered;

static void note_status(int status, void *unused)
{
	(void)unused;
	exit_status = status;
}

int broker_start(void)
{
	pthread_attr_t attributes;
	sigset_t most, before;
	pthread_t thread;
	int r;

	if (started)
		return 0;
	connections = block_reserve(CONNECTIONS_MAX * sizeof(*connections));
	polled = block_reserve((CONNECTIONS_MAX + 1) * sizeof(*polled));
	shim_inside++;
	wake_fd = descriptor_keep(shim_real()->eventfd(0, 0));
	shim_inside--;
	if (!connections || !polled || wake_fd < 0)
		return -ENOMEM;
	sigfillset(&most);
	sigdelset(&most, SIGBUS);
	sigdelset(&most, SIGSYS);
	shim_real()->pthread_sigmask(SIG_SETMASK, &most, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	thread_ours_coming(1);
	r = shim_real()->pthread_create(&thread, &attributes, run, NULL);
	if (r != 0)
		thread_ours_coming(-1);
	pthread_attr_destroy(&attributes);
	shim_real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
	started = r == 0;
	if (started)
		on_exit(note_status, NULL);
	return -r;
}

/* --- the end ---------------------------------------------------------------------------- */

static void block_signals(void)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t most;

	sigfillset(&most);
	signal_open_mask(&most);
	sigdelset(&most, SIGTERM);
	shim_real()->pthread_sigmask(SIG_SETMASK, &most, NULL);
	shim_real()->sigaction(SIGTERM, &plain, NULL);
}

static void await_children(void)
{
	const struct timespec nap = { .tv_nsec = 5000000 };

	while (atomic_load(&connection_count) > 0)
		nanosleep(&nap, NULL);
}

void broker_linger(bool flushes, int status)
{
	if (here || atomic_load(&connection_count) == 0)
		return;
	if (confine_is()) { /* a filter may forbid the rest: it ends as it would */
		await_children();
		return;
	}
	block_signals();
	thread_stop_others();
	if (flushes)
		fcloseall(); /* as exit() does, but no other thread runs */
	descriptor_close_others();
	await_children();
	/* Destructors do not run: threads that they may wait for are stopped. */
	lingered = true;
	lingered_status = status >= 0 ? status : exit_status;
}

bool broker_lingered(int *ret_status)
{
	if (lingered && lingered_status >= 0)
		*ret_status = lingered_status;
	return lingered && lingered_status >= 0;
}
