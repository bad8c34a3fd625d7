/* SPDX-License-Identifier: BSD-3-Clause */
/* See child.h. Floor: skin. */
#include "appliance/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Goes along with the caller's setup. */
struct pool_setup {
	uint64_t size, bank_size, page;
	uint32_t banks_count;
	uint32_t filed, borrowed;
};

union banks {
	struct cmsghdr head;
	char room[CMSG_SPACE(XM_BANKS_MAX * sizeof(int))];
};

/* In the child of vfork(): only calls that are safe there, and nothing of the parent's
 * changes. */
static _Noreturn void become(const struct xm_child *c, int fd)
{
	char *const argv[] = { (char *)(uintptr_t)c->name,
			       (char *)(uintptr_t)c->flag, NULL };

	/* dup2() onto itself would leave close-on-exec set. */
	if (fd == XM_CHILD_FD ? fcntl(fd, F_SETFD, 0) == 0
			      : dup2(fd, XM_CHILD_FD) >= 0) {
		/* What we inherited without close-on-exec, from whoever
		 * started us. Linux 5.9; before, it stays open. */
		(void)close_range(XM_CHILD_FD + 1, ~0U, 0);
		fd = XM_CHILD_FD; /* close_range() may have closed fd */
		execv(c->program != NULL ? c->program : "/proc/self/exe", argv);
	}
	(void)send(fd, c->failure, c->failure_size, MSG_NOSIGNAL);
	_exit(1);
}

static int send_setup(int fd, const struct xm_child *c)
{
	size_t banks_size = c->pool->banks_count * sizeof(int);
	struct pool_setup pool = { c->pool->size, c->pool->bank_size,
				   c->pool->page, c->pool->banks_count,
				   c->pool->filed, c->pool->borrowed };
	struct iovec parts[] = {
		{ .iov_base = &pool, .iov_len = sizeof(pool) },
		{ .iov_base = (void *)(uintptr_t)c->setup, .iov_len = c->setup_size },
	};
	union banks banks;
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2,
				  .msg_control = &banks,
				  .msg_controllen = CMSG_SPACE(banks_size) };

	memset(&banks, 0, sizeof(banks));
	banks.head.cmsg_level = SOL_SOCKET;
	banks.head.cmsg_type = SCM_RIGHTS;
	banks.head.cmsg_len = CMSG_LEN(banks_size);
	memcpy(CMSG_DATA(&banks.head), c->pool->banks, banks_size);
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int xm_child_start(const struct xm_child *c, pid_t *ret_pid, int *ret_fd)
{
	int fds[2], rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	/* Not fork(): a process that holds much memory, such as a hypervisor with a library in
	 * it, would have its page tables copied, and its handlers of pthread_atfork() called. */
	pid = vfork();
	if (pid < 0) {
		rc = -errno;
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	if (pid == 0)
		become(c, fds[1]);
	close(fds[1]);
	rc = send_setup(fds[0], c);
	if (rc != 0 && rc != -EPIPE) {
		xm_child_stop(pid, fds[0], 0);
		return rc;
	}
	*ret_pid = pid;
	*ret_fd = fds[0];
	return 0;
}

int xm_child_receive(void *ret_setup, size_t setup_size, struct xm_pool *ret)
{
	struct pool_setup pool;
	struct iovec parts[] = {
		{ .iov_base = &pool, .iov_len = sizeof(pool) },
		{ .iov_base = ret_setup, .iov_len = setup_size },
	};
	union banks banks;
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2,
				  .msg_control = &banks,
				  .msg_controllen = sizeof(banks) };
	struct cmsghdr *head;
	ssize_t n;

	do
		n = recvmsg(XM_CHILD_FD, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	head = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
	if (n != (ssize_t)(sizeof(pool) + setup_size) || head == NULL ||
	    head->cmsg_type != SCM_RIGHTS || pool.banks_count > XM_BANKS_MAX ||
	    head->cmsg_len != CMSG_LEN(pool.banks_count * sizeof(int)))
		return -EPROTO;
	ret->size = pool.size;
	ret->bank_size = pool.bank_size;
	ret->page = pool.page;
	ret->banks_count = pool.banks_count;
	ret->filed = pool.filed != 0;
	ret->borrowed = pool.borrowed != 0;
	ret->lock = -1;
	memcpy(ret->banks, CMSG_DATA(head), pool.banks_count * sizeof(int));
	return 0;
}

void xm_child_stop(pid_t pid, int fd, int patience_ms)
{
	struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };

	close(fd);
	for (int waited_ms = 0; waited_ms < patience_ms; waited_ms += 10) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return; /* it ended, or was reaped before */
		nanosleep(&nap, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
