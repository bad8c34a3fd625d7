/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool that is other appliances' memory; see daemon.h. extmem-bank borrows it and is the file
 * that the pool is a mapping of (faces/bank): what it says comes by a socket, and this process
 * never waits for a lender once it serves. Bytes that are given back are zeroed by a thread,
 * as the kernel may write some of them to a lender first.
 *
 * Whose memory it is, and that it is not ours, lineage.h decides. When extmem-bank ends, what
 * was borrowed is gone, and the daemon ends in words: its clients have lost that, and nothing
 * else.
 *
 * Floor: skin.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "common/clock.h"
#include "common/helper.h"

#define PROGRAM "extmem-bank"
#define OPEN_TIME (60 * XM_SECOND)
#define END_TIME (10 * XM_SECOND)

enum { IDLE, ASKED, DONE };

/* Zeroes on a thread of its own. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool runs;
	int state, rc;
	struct xm_pool *pool;
	uint64_t offset, size;
} zeroer = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

bool xm_daemon_borrows(const struct xm_daemon *d)
{
	return d->settings.borrow.count > 0;
}

static uint64_t mix(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
	return hash;
}

/* Whoever listens at this address of this network, since this kernel began. */
uint64_t xm_daemon_identity(const struct xm_daemon *d)
{
	char boot[64] = "", network[64] = "";
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (file != NULL) {
		if (fgets(boot, sizeof(boot), file) == NULL)
			boot[0] = '\0';
		fclose(file);
	}
	if (boot[0] == '\0' || readlink("/proc/self/ns/net", network, sizeof(network) - 1) <= 0)
		return d->incarnation;
	return mix(mix(mix(UINT64_C(0xcbf29ce484222325), boot), network),
		   d->channel_ops->address(d->channel)) | 1;
}

/* --- zeroing --------------------------------------------------------------------- */

static void *zero(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&zeroer.lock);
	for (;;) {
		int rc;

		while (zeroer.state != ASKED)
			pthread_cond_wait(&zeroer.changed, &zeroer.lock);
		pthread_mutex_unlock(&zeroer.lock);
		rc = xm_pool_zero(zeroer.pool, zeroer.offset, zeroer.size);
		pthread_mutex_lock(&zeroer.lock);
		zeroer.rc = rc;
		zeroer.state = DONE;
	}
	return NULL;
}

int xm_daemon_zero_borrowed(struct xm_pool *pool, uint64_t offset, uint64_t size)
{
	pthread_t thread;
	int rc = -EAGAIN;

	pthread_mutex_lock(&zeroer.lock);
	if (!zeroer.runs && pthread_create(&thread, NULL, zero, NULL) == 0) {
		pthread_detach(thread);
		zeroer.runs = true;
	}
	if (zeroer.state == DONE) {
		XM_ASSERT(zeroer.offset == offset && zeroer.size == size);
		rc = zeroer.rc;
		zeroer.state = IDLE;
	} else if (zeroer.state == IDLE) {
		zeroer.pool = pool;
		zeroer.offset = offset;
		zeroer.size = size;
		zeroer.state = ASKED;
		pthread_cond_signal(&zeroer.changed);
	}
	pthread_mutex_unlock(&zeroer.lock);
	return rc;
}

/* --- what extmem-bank says -------------------------------------------------------- */

/* "IDENTITY[,CHAIN...] NAME" */
static void read_lender(const char *text, struct xm_lender *ret)
{
	char *end;

	memset(ret, 0, sizeof(*ret));
	ret->identity = strtoull(text, &end, 16);
	while (*end == ',' && ret->lineage.count < XM_LENDERS_MAX)
		ret->lineage.ids[ret->lineage.count++] = strtoull(end + 1, &end, 16);
}

/* All have spoken. False: it may not be borrowed, as the log says. */
static bool look_at_lenders(struct xm_daemon *d)
{
	struct xm_daemon_borrow *b = &d->borrow;
	enum xm_lineage_verdict verdict = xm_lineage_step(xm_daemon_identity(d), b->lenders,
							  (uint32_t)d->settings.borrow.count,
							  &b->lineage);

	if (d->host != NULL)
		xm_host_set_lineage(d->host, xm_clock_ns(), &b->lineage);
	b->met = true;
	if (verdict == XM_LINEAGE_FITS)
		return true;
	xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "--borrow is refused: %s",
		  xm_lineage_words(verdict));
	return false;
}

/* False: this is the end, as the log says. */
static bool take_line(struct xm_daemon *d, const char *line)
{
	struct xm_daemon_borrow *b = &d->borrow;

	if (strncmp(line, "lender ", 7) == 0)
		read_lender(line + 7, &b->lenders[b->speaker]);
	else if (strncmp(line, "no ", 3) == 0 || strncmp(line, "lost ", 5) == 0) {
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, line[0] == 'n'
			  ? "nothing can be borrowed: %s"
			  : "what was borrowed is lost, and with it what clients stored here: %s",
			  strchr(line, ' ') + 1);
		return false;
	} else if (strncmp(line, "away ", 5) != 0)
		return true;
	if (++b->speaker < d->settings.borrow.count)
		return true;
	b->speaker = 0;
	return look_at_lenders(d);
}

static void take_file(struct xm_daemon_borrow *b, struct msghdr *message)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);

	if (head == NULL || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(sizeof(int)))
		return;
	if (b->file >= 0)
		close(b->file);
	memcpy(&b->file, CMSG_DATA(head), sizeof(int));
}

/* False: it has ended, or is to, as the log says. */
static bool hear(struct xm_daemon *d)
{
	struct xm_daemon_borrow *b = &d->borrow;
	struct iovec part = { .iov_base = b->lines + b->used,
			      .iov_len = sizeof(b->lines) - 1 - b->used };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(b->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, PROGRAM " has ended, and what was"
			  " borrowed is lost");
		return false;
	}
	take_file(b, &message);
	b->used += (size_t)n;
	b->lines[b->used] = '\0';
	while ((end = strchr(b->lines, '\n')) != NULL) {
		*end++ = '\0';
		if (!take_line(d, b->lines))
			return false;
		b->used -= (size_t)(end - b->lines);
		memmove(b->lines, end, b->used + 1);
	}
	if (b->used == sizeof(b->lines) - 1)
		b->used = 0;
	return true;
}

/* --- its life --------------------------------------------------------------------- */

int xm_daemon_check_borrow(const struct xm_daemon *d)
{
	char path[512];

	if (!xm_daemon_borrows(d) || xm_helper_find(PROGRAM, path, sizeof(path)))
		return 0;
	xm_log(XM_LEVEL_ERROR, "--borrow needs the program " PROGRAM ", which is neither beside"
	       " this one nor in PATH: install it");
	return -EINVAL;
}

static int begin(struct xm_daemon *d, uint64_t size)
{
	const struct xm_settings *s = &d->settings;
	const char *argv[7 + XM_LENDERS_MAX] = { PROGRAM };
	struct xm_service_options o = xm_daemon_service_options(d);
	char bytes[24];
	unsigned count = 1;

	snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
	argv[count++] = bytes;
	argv[count++] = o.name;
	argv[count++] = s->borrow_auth[0] != '\0' ? s->borrow_auth : s->auth;
	argv[count++] = s->borrow_strategy;
	argv[count++] = s->insecure_plaintext ? "yes" : "";
	for (size_t i = 0; i < s->borrow.count; i++)
		argv[count++] = s->borrow.items[i];
	return xm_helper_begin(argv, O_NONBLOCK, &d->borrow.pid, &d->borrow.fd);
}

/* Until it has handed over the file. False: it will not. */
static bool await_file(struct xm_daemon *d)
{
	struct xm_daemon_borrow *b = &d->borrow;
	uint64_t until_ns = xm_clock_ns() + OPEN_TIME, now_ns;
	bool told = false;

	while (b->file < 0 && (now_ns = xm_clock_ns()) < until_ns) {
		struct pollfd p = { .fd = b->fd, .events = POLLIN };

		if (poll(&p, 1, (int)((until_ns - now_ns) / XM_MS + 1)) > 0 && !hear(d))
			return false;
		if (b->met && !told)
			told = send(b->fd, "go\n", 3, MSG_NOSIGNAL) == 3;
	}
	if (b->file < 0)
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "nothing could be borrowed within %d"
			  " s", (int)(OPEN_TIME / XM_SECOND));
	return b->file >= 0;
}

int xm_daemon_open_borrowed(struct xm_daemon *d, struct xm_pool *pool)
{
	struct xm_daemon_borrow *b = &d->borrow;
	char words[XM_WORDS_MAX];
	int rc;

	b->file = -1;
	rc = begin(d, pool->size);
	if (rc != 0) {
		b->pid = 0;
		xm_log(XM_LEVEL_ERROR, PROGRAM " cannot be started: %s", strerror(-rc));
		return rc;
	}
	if (!await_file(d))
		return -EIO;
	rc = xm_pool_borrowed_open(b->file, pool->size, words, sizeof(words), pool);
	xm_daemon_guard(d, pool);
	if (rc != 0)
		xm_log(XM_LEVEL_ERROR, "%s", words);
	else
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_INFO, "%" PRIu64 " MiB are borrowed from %zu"
			  " appliances that were named, and lent on", pool->size / XM_MIB,
			  d->settings.borrow.count);
	return rc;
}

int xm_daemon_watch_borrowed(struct xm_daemon *d)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!xm_daemon_borrows(d))
		return 0;
	return epoll_ctl(d->wakeups, EPOLL_CTL_ADD, d->borrow.fd, &event) != 0 ? -errno : 0;
}

bool xm_daemon_tend_borrowed(struct xm_daemon *d)
{
	struct xm_daemon_borrow *b = &d->borrow;

	if (b->pid == 0)
		return true;
	if (!b->announced) {
		xm_host_set_lineage(d->host, xm_clock_ns(), &b->lineage);
		b->announced = true;
	}
	if (hear(d))
		return true;
	/* So that no process of ours waits any longer for what is not to come. */
	kill(b->pid, SIGKILL);
	return false;
}

void xm_daemon_settle_borrowed(struct xm_daemon *d)
{
	uint64_t until_ns = xm_clock_ns() + END_TIME;

	pthread_mutex_lock(&zeroer.lock);
	while (zeroer.state == ASKED) {
		pthread_mutex_unlock(&zeroer.lock);
		poll(NULL, 0, 1);
		/* A lender hangs. Without its file system, the kernel lets go. */
		if (d->borrow.pid > 0 && xm_clock_ns() > until_ns)
			kill(d->borrow.pid, SIGKILL);
		pthread_mutex_lock(&zeroer.lock);
	}
	zeroer.state = IDLE;
	pthread_mutex_unlock(&zeroer.lock);
}

void xm_daemon_close_borrowed(struct xm_daemon *d)
{
	struct xm_daemon_borrow *b = &d->borrow;
	uint64_t until_ns = xm_clock_ns() + END_TIME;

	if (b->pid == 0)
		return;
	/* It gives back what it has, and ends. */
	close(b->fd);
	while (waitpid(b->pid, NULL, WNOHANG) == 0) {
		poll(NULL, 0, 10);
		if (xm_clock_ns() > until_ns)
			kill(b->pid, SIGKILL);
	}
	b->pid = 0;
}
