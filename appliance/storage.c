/* SPDX-License-Identifier: BSD-3-Clause */
/* The control process's side of the store; see storage.h. Floor: skin. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/child.h"
#include "appliance/storage_parts.h"

#define STOP_MS 10000 /* a sync may be under way */

/* Reads what it says until it is ready, or has failed. It is waited for as long as it lives:
 * how long a disk takes to read is its own business, and progress is shown. */
static int listen_to(struct xm_storage *s, const struct xm_storage_watch *watch,
		     char *words, size_t words_size)
{
	struct xm_storage_said said;
	int rc = 0;

	while (rc == 0) {
		ssize_t n = recv(s->fd, &said, sizeof(said), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(said)) {
			snprintf(words, words_size, "the store process died while "
				 "it started: see the log above, and dmesg");
			return -EIO;
		}
		said.words[sizeof(said.words) - 1] = '\0';
		switch (said.kind) {
		case XM_STORAGE_PROGRESS:
			watch->progress(watch->context, said.done, said.size);
			break;
		case XM_STORAGE_ENTRY:
			rc = watch->entry(watch->context, said.slot, &said.entry);
			if (rc != 0)
				snprintf(words, words_size, "extent %u of the store "
					 "does not fit: it was made with another "
					 "--memory or --huge-pages", said.slot);
			break;
		case XM_STORAGE_DAMAGED:
			rc = watch->damaged(watch->context, said.slot, said.done,
					    said.size);
			if (rc != 0)
				snprintf(words, words_size, "too much of it is damaged: "
					 "see extmem store check, and put back a copy");
			break;
		case XM_STORAGE_READY:
			snprintf(s->confined, sizeof(s->confined), "%.*s",
				 XM_CONFINED_SIZE - 1, said.words);
			return 0;
		case XM_STORAGE_FAILED:
			snprintf(words, words_size, "%s", said.words);
			return said.status < 0 ? said.status : -EIO;
		}
	}
	return rc;
}

int xm_storage_start(const char *path, const struct xm_pool *pool, uint32_t slots,
		     bool confine, const struct xm_storage_watch *watch,
		     char *words, size_t words_size, struct xm_storage *ret)
{
	static const struct xm_storage_said failure = {
		.kind = XM_STORAGE_FAILED, .status = -ENOEXEC,
		.words = "cannot execute /proc/self/exe again: is /proc mounted?",
	};
	struct xm_storage_setup setup = { .size = sizeof(setup), .slots = slots,
					  .confine = confine,
					  .parent = getpid() };
	const struct xm_child child = {
		.name = "extmemd-store", .flag = XM_STORAGE_FLAG,
		.setup = &setup, .setup_size = sizeof(setup), .pool = pool,
		.failure = &failure, .failure_size = sizeof(failure),
	};
	struct xm_storage s = { 0 };
	int rc;

	if (strlen(path) >= sizeof(setup.path)) {
		snprintf(words, words_size, "its path is too long");
		return -ENAMETOOLONG;
	}
	snprintf(setup.path, sizeof(setup.path), "%s", path);
	rc = xm_child_start(&child, &s.pid, &s.fd);
	if (rc != 0) {
		snprintf(words, words_size, "the store process cannot be started: %s",
			 strerror(-rc));
		return rc;
	}
	rc = listen_to(&s, watch, words, words_size);
	if (rc != 0)
		xm_child_stop(s.pid, s.fd, STOP_MS);
	else
		*ret = s;
	return rc;
}

void xm_storage_ended(struct xm_storage *s)
{
	s->gone = true;
	s->pid = 0;
}

void xm_storage_stop(struct xm_storage *s)
{
	if (s->pid > 0)
		xm_child_stop(s->pid, s->fd, STOP_MS);
	s->pid = 0;
}

static int command(void *link, const struct xm_store_command *c)
{
	struct xm_storage *s = link;
	ssize_t n = send(s->fd, c, sizeof(*c), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(*c) ? 0 : -EAGAIN;
}

static int next_report(void *link, struct xm_store_report *ret)
{
	struct xm_storage *s = link;
	struct xm_store_report report;

	if (recv(s->fd, &report, sizeof(report), MSG_DONTWAIT) ==
	    (ssize_t)sizeof(report)) {
		*ret = report;
		return 1;
	}
	if (!s->gone)
		return 0;
	s->gone = false;
	*ret = (struct xm_store_report){ .status = -EIO };
	return 1;
}

const struct xm_store_link_ops xm_storage_link = {
	.command = command,
	.poll = next_report,
};
