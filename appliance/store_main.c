/* SPDX-License-Identifier: BSD-3-Clause */
/* The store process; see storage.h. Floor: skin. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/child.h"
#include "appliance/confine.h"
#include "appliance/disk.h"
#include "appliance/drafts.h"
#include "appliance/log.h"
#include "appliance/storage_parts.h"

#define LOAD (4 * XM_MIB) /* bytes that are read at once */

struct process {
	struct xm_storage_setup setup;
	struct xm_pool pool;
	struct xm_disk disk;
	struct xm_store store;
	struct xm_drafts drafts;
	char confined[XM_CONFINED_SIZE];
	bool said; /* that it has failed */
};

static void say(const struct xm_storage_said *said)
{
	if (send(XM_CHILD_FD, said, sizeof(*said), MSG_NOSIGNAL) < 0)
		_exit(1); /* whom it is for has died */
}

static _Noreturn void fail(const char *path, int status, const char *words)
{
	struct xm_storage_said said = { .kind = XM_STORAGE_FAILED,
					.status = status };

	snprintf(said.words, sizeof(said.words), "store %.200s: %s", path, words);
	say(&said);
	_exit(1);
}

/* --- the start ------------------------------------------------------------ */

static void open_store(struct process *p)
{
	struct xm_store_options o = {
		.pages = p->pool.size / XM_STORE_BLOCK,
		.slots = (uint32_t)xm_align_up(p->setup.slots, 8),
		.batch_max = XM_DISK_BATCH,
		.journal_size = XM_DISK_JOURNAL,
	};
	char words[XM_STORAGE_WORDS] = "";
	void *memory;
	uint8_t *drafts;
	int rc = xm_disk_open(p->setup.path, true, words, sizeof(words), &p->disk);

	if (rc == 0)
		rc = xm_store_look(&xm_disk_files, &p->disk, words);
	if (rc == 0)
		rc = xm_disk_reserve(&p->disk, &o, words, sizeof(words));
	if (rc != 0)
		fail(p->setup.path, rc, words);
	/* What recovery does is what it does from then on, too. */
	if (p->setup.confine)
		xm_confine_store(p->confined);
	memory = calloc(1, xm_store_memory_size(&o));
	drafts = calloc(1, XM_DRAFTS_MEMORY);
	if (memory == NULL || drafts == NULL)
		fail(p->setup.path, -ENOMEM, "out of memory for its tables");
	xm_drafts_init(&p->drafts, drafts);
	rc = xm_store_open(&p->store, &o, &xm_disk_files, &p->disk, memory, words);
	if (rc != 0) {
		char more[XM_STORAGE_WORDS + 64];

		snprintf(more, sizeof(more), "%s (%s)", words, strerror(-rc));
		fail(p->setup.path, rc, more);
	}
}

static uint64_t durable_bytes(const struct process *p)
{
	struct xm_store_entry e;
	uint64_t size = 0;

	for (uint32_t i = 0; i < p->store.options.slots; i++) {
		if (xm_store_entry(&p->store, i, &e))
			size += e.size;
	}
	return size;
}

/* Pages that are not what was made durable. Nobody reads them, but who looks at the memory
 * finds no other's bytes there. */
static void load_damaged(struct process *p, uint32_t slot, const struct xm_store_entry *e,
			 uint64_t at, uint64_t size)
{
	uint64_t bad;

	for (uint64_t end = at + size; at < end; at += XM_STORE_BLOCK) {
		struct xm_storage_said said = { .kind = XM_STORAGE_DAMAGED,
						.slot = slot, .done = at,
						.size = XM_STORE_BLOCK };
		uint8_t *page = p->pool.base + e->offset + at;

		if (xm_store_get(&p->store, slot, (e->offset + at) / XM_STORE_BLOCK, 1,
				 page, &bad) == 0)
			continue;
		memset(page, 0, XM_STORE_BLOCK);
		say(&said);
	}
}

static void load_extent(struct process *p, uint32_t slot,
			const struct xm_store_entry *e, uint64_t all, uint64_t *done)
{
	char words[XM_STORAGE_WORDS];
	struct xm_storage_said said = { .kind = XM_STORAGE_ENTRY, .slot = slot,
					.entry = *e };
	uint64_t bad = 0;

	say(&said);
	for (uint64_t at = 0; at < e->size; at += LOAD) {
		struct xm_storage_said progress = { .kind = XM_STORAGE_PROGRESS,
						    .size = all };
		uint64_t size = xm_min(LOAD, e->size - at);
		int rc = xm_store_get(&p->store, slot,
				      (e->offset + at) / XM_STORE_BLOCK,
				      size / XM_STORE_BLOCK,
				      p->pool.base + e->offset + at, &bad);

		if (rc == -EUCLEAN) {
			load_damaged(p, slot, e, at, size);
		} else if (rc != 0) {
			snprintf(words, sizeof(words), "its image cannot be read: %s",
				 strerror(-rc));
			fail(p->setup.path, rc, words);
		}
		*done += size;
		progress.done = *done;
		say(&progress);
	}
}

static void load(struct process *p)
{
	uint64_t all = durable_bytes(p), done = 0;
	struct xm_store_entry e;

	for (uint32_t i = 0; i < p->store.options.slots; i++) {
		if (xm_store_entry(&p->store, i, &e))
			load_extent(p, i, &e, all, &done);
	}
}

/* --- commands ------------------------------------------------------------- */

/* A page that the disk has lost stays as it is: who opens it finds out. */
static int put_pages_back(struct process *p, const struct xm_store_command *c)
{
	uint8_t page[XM_STORE_BLOCK];
	int rc = 0;

	for (uint64_t at = c->offset; at < c->offset + c->size && rc == 0;
	     at += XM_STORE_BLOCK) {
		uint64_t bad;

		rc = xm_store_get(&p->store, c->slot, at / XM_STORE_BLOCK, 1, page, &bad);
		if (rc == 0)
			memcpy(p->pool.base + at, page, XM_STORE_BLOCK);
		rc = rc == -EUCLEAN ? 0 : rc;
	}
	return rc;
}

/* Nothing else of what we do writes to the pool. */
static int put_back(struct process *p, const struct xm_store_command *c)
{
	int rc = xm_store_commit(&p->store);

	xm_drafts_drop(&p->drafts, c->slot);
	if (rc == 0 && mprotect(p->pool.base, p->pool.size, PROT_READ | PROT_WRITE) != 0)
		rc = -errno;
	if (rc != 0)
		return rc;
	rc = put_pages_back(p, c);
	if (mprotect(p->pool.base, p->pool.size, PROT_READ) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int draft(struct process *p, const struct xm_store_command *c)
{
	uint8_t *bytes;

	if (c->size == 0 || c->size > XM_DRAFT_MAX ||
	    !xm_span_fits(c->offset, c->size, p->pool.size))
		return -EINVAL;
	if (c->back)
		return put_back(p, c);
	if (c->also)
		bytes = xm_drafts_add(&p->drafts, c->slot, c->offset, c->size);
	else
		bytes = xm_drafts_take(&p->drafts, c->slot, c->tenant, c->offset,
				       c->size);
	if (bytes == NULL)
		return -EAGAIN;
	if (c->zeros)
		memset(bytes, 0, c->size);
	else
		memcpy(bytes, p->pool.base + c->offset, c->size);
	return p->store.failed;
}

static int persist(struct process *p, uint32_t slot)
{
	const struct xm_drafted_bytes *d = xm_drafts_find(&p->drafts, slot);
	const uint8_t *bytes;
	int rc;

	if (d == NULL)
		return -EAGAIN;
	bytes = d->bytes;
	rc = xm_store_together(&p->store, d->size / XM_STORE_BLOCK);
	for (uint32_t i = 0; i < d->runs_count && rc == 0; i++) {
		rc = xm_store_put(&p->store, slot, d->runs[i].offset / XM_STORE_BLOCK,
				  d->runs[i].size / XM_STORE_BLOCK, bytes);
		bytes += d->runs[i].size;
	}
	xm_drafts_drop(&p->drafts, slot);
	return rc;
}

static int obey(struct process *p, const struct xm_store_command *c)
{
	switch (c->kind) {
	case XM_STORE_KEEP:
		if (c->fresh)
			xm_drafts_drop(&p->drafts, c->slot);
		return xm_store_keep(&p->store, c->slot, &c->entry, c->fresh);
	case XM_STORE_FORGET:
		xm_drafts_drop(&p->drafts, c->slot);
		return xm_store_forget(&p->store, c->slot);
	case XM_STORE_DRAFT:
		return draft(p, c);
	case XM_STORE_PERSIST:
		return persist(p, c->slot);
	}
	return -EINVAL;
}

static void complain(struct process *p)
{
	if (p->store.failed == 0 || p->said)
		return;
	p->said = true;
	xm_log(XM_LEVEL_ERROR, "store %s: %s: nothing becomes durable from now on; "
	       "memory goes on. What was durable is there when the daemon begins "
	       "again, once the disk is well", p->setup.path,
	       strerror(-p->store.failed));
}

static bool report(const struct xm_store_report *r)
{
	return send(XM_CHILD_FD, r, sizeof(*r), MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(*r);
}

/* All that wait are done together, but for drafts, for which writes wait. Drafts that come
 * without end keep nobody from the disk. False: this is the end. */
static bool serve(struct process *p)
{
	struct xm_store_report reports[XM_STORE_COMMANDS_MAX];
	uint32_t count = 0, drafts = 0;
	int rc;

	while (count < XM_STORE_COMMANDS_MAX && (count == 0 || drafts < XM_DRAFTS)) {
		struct xm_store_command c;
		ssize_t n = recv(XM_CHILD_FD, &c, sizeof(c),
				 count > 0 ? MSG_DONTWAIT : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n != (ssize_t)sizeof(c))
			return false;
		reports[count] = (struct xm_store_report){
			.kind = c.kind, .extent = c.extent,
			.status = obey(p, &c),
		};
		drafts += c.kind == XM_STORE_DRAFT;
		if (c.kind != XM_STORE_DRAFT)
			count++;
		else if (!report(&reports[count]))
			return false;
	}
	if (count == 0)
		return true;
	rc = xm_store_commit(&p->store);
	complain(p);
	for (uint32_t i = 0; i < count; i++) {
		if (reports[i].status == 0)
			reports[i].status = rc;
		if (!report(&reports[i]))
			return false;
	}
	return true;
}

int xm_storage_main(void)
{
	static struct process p;
	char words[XM_STORAGE_WORDS];
	struct xm_storage_said ready = { .kind = XM_STORAGE_READY };

	if (xm_child_receive(&p.setup, sizeof(p.setup), &p.pool) != 0 ||
	    p.setup.size != sizeof(p.setup)) {
		fprintf(stderr, "extmemd: %s is for extmemd's own use\n",
			XM_STORAGE_FLAG);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != p.setup.parent)
		_exit(1); /* it died before we asked to be told */
	prctl(PR_SET_NAME, "extmemd-store");
	prctl(PR_SET_DUMPABLE, 0);
	/* A signal to the group is for the control process, which tells us. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	xm_logger_begin("extmemd", xm_log_names, XM_LOG_SUBSYSTEMS, XM_JOURNAL);
	if (xm_pool_map(&p.pool, words, sizeof(words)) != 0)
		fail(p.setup.path, -ENOMEM, words);
	open_store(&p);
	load(&p);
	if (mprotect(p.pool.base, p.pool.size, PROT_READ) != 0)
		fail(p.setup.path, -errno, "the pool cannot be protected");
	snprintf(ready.words, sizeof(ready.words), "%s", p.confined);
	say(&ready);
	while (serve(&p))
		;
	xm_disk_close(&p.disk);
	return 0;
}
