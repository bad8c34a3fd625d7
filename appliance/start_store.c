/* SPDX-License-Identifier: BSD-3-Clause */
/* The durable store of a daemon that has one (--store): from its start to its end. Floor: skin. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "appliance/daemon.h"
#include "appliance/log.h"
#include "common/clock.h"

#define PROGRESS_NS (2 * XM_SECOND)

static void show_progress(void *context, uint64_t done, uint64_t size)
{
	struct xm_daemon *d = context;
	uint64_t now_ns = xm_clock_ns();

	if (now_ns < d->kept.say_ns)
		return;
	if (d->kept.say_ns > 0)
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_INFO, "store: %" PRIu64 " of %" PRIu64
			  " MiB are back", done / XM_MIB, size / XM_MIB);
	d->kept.say_ns = now_ns + PROGRESS_NS;
}

static int take_entry(void *context, uint32_t slot, const struct xm_store_entry *entry)
{
	struct xm_daemon *d = context;

	if (slot >= d->settings.extents_max)
		return -EINVAL;
	d->kept.entries[slot] = *entry;
	d->kept.count++;
	d->kept.bytes += entry->size;
	return 0;
}

static int take_damage(void *context, uint32_t slot, uint64_t offset, uint64_t size)
{
	struct xm_daemon *d = context;
	const struct xm_store_entry *e = &d->kept.entries[slot];

	(void)size; /* a page */
	if (d->kept.damage_count == XM_DAEMON_DAMAGE)
		return -ENOSPC;
	d->kept.damage[d->kept.damage_count++] = (struct xm_daemon_damage){ slot, offset };
	xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "store %s: page %" PRIu64 " of region %s "
		  "(extent %" PRIu32 ") is damaged: its bytes are not what was made "
		  "durable. That page is lost; all others are there",
		  d->settings.store, offset / XM_PAGE,
		  e->region[0] != '\0' ? e->region : "-", slot);
	return 0;
}

static int restore_damage(struct xm_daemon *d)
{
	int rc = 0;

	for (uint32_t i = 0; i < d->kept.damage_count && rc == 0; i++)
		rc = xm_service_damaged(xm_host_service(d->host),
					d->kept.damage[i].slot,
					d->kept.damage[i].offset, XM_PAGE);
	if (rc != 0)
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "store %s: more than %d pieces "
			  "of it are damaged: put back a copy", d->settings.store,
			  XM_SERVICE_DAMAGE_MAX);
	return rc;
}

int xm_daemon_open_store(struct xm_daemon *d)
{
	const struct xm_storage_watch watch = { .progress = show_progress,
						.entry = take_entry,
						.damaged = take_damage,
						.context = d };
	char words[XM_WORDS_MAX] = "";
	int rc;

	if (d->settings.store[0] == '\0')
		return 0;
	d->kept.entries = calloc(d->settings.extents_max, sizeof(*d->kept.entries));
	d->kept.damage = calloc(XM_DAEMON_DAMAGE, sizeof(*d->kept.damage));
	if (d->kept.entries == NULL || d->kept.damage == NULL)
		return -ENOMEM;
	rc = xm_storage_start(d->settings.store, &d->parts[0].pool,
			      (uint32_t)d->settings.extents_max,
			      d->settings.confine, &watch, words, sizeof(words),
			      &d->storage);
	if (rc != 0)
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "%s", words);
	else
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_INFO, "the store process is %s",
			  d->storage.confined[0] != '\0' ? d->storage.confined
							 : "not confined");
	return rc;
}

int xm_daemon_restore(struct xm_daemon *d)
{
	struct xm_service *s = xm_host_service(d->host);

	if (d->settings.store[0] == '\0')
		return 0;
	for (uint32_t i = 0; i < d->settings.extents_max; i++) {
		const struct xm_store_entry *entry = &d->kept.entries[i];

		if (entry->size == 0 ||
		    xm_service_restore(s, i, entry, xm_clock_ns()) == 0)
			continue;
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "store %s: extent %" PRIu32
			  " does not fit into this pool: begin with the --memory "
			  "and --huge-pages of then", d->settings.store, i);
		return -EIO;
	}
	if (restore_damage(d) != 0)
		return -EIO;
	free(d->kept.entries);
	free(d->kept.damage);
	d->kept.entries = NULL;
	d->kept.damage = NULL;
	xm_host_set_store(d->host, &xm_storage_link, &d->storage);
	if (d->kept.count > 0)
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_INFO, "store %s: %" PRIu32 " extents "
			  "of %" PRIu64 " MiB are back, and wait for their tokens",
			  d->settings.store, d->kept.count,
			  d->kept.bytes / XM_MIB);
	else
		xm_log_of(XM_LOG_MEMORY, XM_LEVEL_INFO, "store %s: there is nothing "
			  "in it yet", d->settings.store);
	return 0;
}

int xm_daemon_watch_store(struct xm_daemon *d)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (d->storage.pid > 0 &&
	    epoll_ctl(d->wakeups, EPOLL_CTL_ADD, d->storage.fd, &event) != 0)
		return -errno;
	return 0;
}

void xm_daemon_look_at_store(struct xm_daemon *d)
{
	int status;

	if (d->storage.pid == 0 ||
	    waitpid(d->storage.pid, &status, WNOHANG) != d->storage.pid)
		return;
	xm_log_of(XM_LOG_MEMORY, XM_LEVEL_ERROR, "the store process has ended (%s %d): "
		  "nothing becomes durable from now on; memory goes on. What was "
		  "durable is there when the daemon begins again",
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	epoll_ctl(d->wakeups, EPOLL_CTL_DEL, d->storage.fd, NULL);
	xm_storage_ended(&d->storage);
}
