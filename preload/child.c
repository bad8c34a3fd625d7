/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * External memory in a child of fork(), as it was when the child was made.
 *
 * libfabric cannot be used in a forked child, so the library cannot either. The
 * child registers the ranges with a userfaultfd of its own. Pages that were
 * present at the fork it has by the kernel's copy on write. The others it asks the
 * parent's broker for, in windows that double while it touches pages in order.
 * Fetched pages that it has not written to are a cache: if there are too many, the
 * oldest are dropped, and can be fetched again. Pages that it writes stay in local
 * memory. Their number is bounded; beyond it --overflow decides whether the child
 * goes on (and the page is counted) or ends.
 *
 * State of a page:
 * 	NOTHING: as the kernel has it (inherited, or absent)
 * 	NOTHING -> FETCHED (protected against writes) -> WRITTEN
 * 	any -> EMPTIED (MADV_DONTNEED: it reads as zero) -> WRITTEN
 *
 * One lock is held while a fault is served. A child of this child inherits what is
 * present here, and asks the same broker for the same snapshot.
 */
#include "preload/fork.h"
#include "preload/area.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define WRITTEN_MIN (UINT64_C(64) << 20)
/* The limit of written pages rises by WRITTEN_STEP as long as the machine has
 * ROOM_MIN to spare. */
#define WRITTEN_STEP (UINT64_C(16) << 20)
#define ROOM_MIN (UINT64_C(128) << 20)

enum page_state { NOTHING = 0, FETCHED, WRITTEN, EMPTIED };

struct child_region {
	uintptr_t base;
	uint64_t pages;
	uint8_t *state;
};

_Atomic bool child_serves;

static struct child_region regions[FORK_REGIONS_MAX];
static unsigned region_count;
static int connection = -1, uffd = -1;
static char *buffer;
static uint64_t *ring; /* pages fetched, oldest first: region << 48 | page */
static uint64_t ring_size, ring_first, ring_used;
static uint64_t written, written_max;
static uint64_t stream_next; /* the page that would continue it */
static uint32_t stream_window;
static _Atomic uint32_t pins;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool said_more;
static pid_t parent;

/* --- the mapping --------------------------------------------------------------------- */

static int open_uffd(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS |
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	long fd = shim_raw(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY, 0,
			   0, 0, 0, 0);

	if (fd < 0)
		fd = shim_raw(SYS_userfaultfd, O_CLOEXEC, 0, 0, 0, 0, 0);
	if (fd < 0)
		return (int)fd;
	fd = descriptor_keep((int)fd);
	if (shim_raw(SYS_ioctl, fd, UFFDIO_API, (long)&api, 0, 0, 0) < 0) {
		descriptor_close((int)fd);
		return -EPERM;
	}
	return (int)fd;
}

static bool watch_range(void *address, size_t size)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)address, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING |
			UFFDIO_REGISTER_MODE_WP,
	};

	return shim_raw(SYS_ioctl, uffd, UFFDIO_REGISTER, (long)&range, 0, 0, 0) == 0 &&
	       shim_raw(SYS_madvise, (long)address, (long)size, MADV_DONTFORK, 0, 0, 0) == 0;
}

/* `again`: in a child of a child. */
static bool watch(unsigned i, bool again)
{
	return block_is_reserve(i) ? area_child_begin(again, watch_range)
				   : watch_range((void *)regions[i].base,
						 regions[i].pages * SHIM_PAGE);
}

/* Without a broker nobody has the pages: a touch must be a segmentation fault,
 * since zeros would be wrong data. */
void child_absent(void)
{
	uintptr_t base;
	uint64_t size;

	atomic_store(&child_serves, false);
	for (unsigned i = 0; block_region_at(i, &base, &size); i++)
		shim_raw(SYS_mmap, (long)base, (long)size, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
			 -1, 0);
}

static int open_connection(void)
{
	struct fork_request request = { .kind = FORK_BUFFER };
	int memory, r;

	memory = (int)shim_raw(SYS_memfd_create, (long)"extmem-fork",
			       MFD_CLOEXEC, 0, 0, 0, 0);
	if (memory < 0 ||
	    shim_raw(SYS_ftruncate, memory, FORK_BUFFER_SIZE, 0, 0, 0, 0) < 0)
		return -ENOMEM;
	buffer = (char *)shim_raw(SYS_mmap, 0, FORK_BUFFER_SIZE,
				  PROT_READ | PROT_WRITE, MAP_SHARED, memory,
				  0);
	if ((uintptr_t)buffer >= (uintptr_t)-4096) {
		buffer = NULL;
		return -ENOMEM;
	}
	r = fork_send(connection, &request, sizeof(request), memory);
	shim_raw(SYS_close, memory, 0, 0, 0, 0, 0);
	return r;
}

/* The buffer is allocated at the first fault: most children call exec() before
 * they have one. */
static int ready(void)
{
	return buffer ? 0 : open_connection();
}

void child_get_ready(void)
{
	pthread_mutex_lock(&lock);
	ready();
	pthread_mutex_unlock(&lock);
}

static void limits(void)
{
	ring_size = budget_local() / 4 / SHIM_PAGE;
	if (ring_size < 4 * FORK_WINDOW)
		ring_size = 4 * FORK_WINDOW;
	written_max = (budget_local() > WRITTEN_MIN ? budget_local() : WRITTEN_MIN) /
		      SHIM_PAGE;
}

void child_begin(int fd)
{
	uintptr_t base;
	uint64_t size;
	bool well;

	parent = getppid();
	connection = fd;
	buffer = NULL;
	limits();
	ring = block_reserve(ring_size * sizeof(*ring));
	uffd = open_uffd();
	well = uffd >= 0 && ring;
	region_count = 0;
	for (unsigned i = 0; well && i < FORK_REGIONS_MAX &&
			     block_region_at(i, &base, &size); i++) {
		struct child_region *r = &regions[i];

		r->base = base;
		r->pages = size / SHIM_PAGE;
		r->state = block_reserve(r->pages);
		region_count += r->state != NULL;
		well = r->state && watch(i, false);
	}
	if (well)
		atomic_store(&child_serves, true);
	else
		child_absent();
}

static void advise_all(int advice)
{
	for (unsigned i = 0; i < region_count; i++)
		shim_raw(SYS_madvise, (long)regions[i].base,
			 (long)(regions[i].pages * SHIM_PAGE), advice, 0, 0, 0);
}

/* --- its own children ----------------------------------------------------------------- */

int child_prepare(void)
{
	struct fork_request request = { .kind = FORK_ATTACH };
	int pair[2], r;

	if (shim_real()->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    pair) < 0)
		return -1;
	r = fork_send(connection, &request, sizeof(request), pair[0]);
	shim_raw(SYS_close, pair[0], 0, 0, 0, 0, 0);
	if (r < 0) {
		shim_raw(SYS_close, pair[1], 0, 0, 0, 0, 0);
		return -1;
	}
	advise_all(MADV_DOFORK);
	return descriptor_keep(pair[1]);
}

static void let_go(uint64_t entry)
{
	struct child_region *r = &regions[entry >> 48];
	uint64_t page = entry & ((UINT64_C(1) << 48) - 1);

	if (r->state[page] != FETCHED)
		return;
	shim_raw(SYS_madvise, (long)(r->base + page * SHIM_PAGE), SHIM_PAGE,
		 MADV_DONTNEED, 0, 0, 0);
	r->state[page] = NOTHING;
}

void child_again(int fd)
{
	bool well = fd >= 0;

	if (buffer)
		shim_raw(SYS_munmap, (long)buffer, FORK_BUFFER_SIZE, 0, 0, 0,
			 0);
	buffer = NULL;
	parent = getppid();
	atomic_store(&pins, 0);
	connection = fd;
	uffd = well ? open_uffd() : -1;
	well = uffd >= 0;
	for (unsigned i = 0; well && i < region_count; i++)
		well = watch(i, true);
	if (!well) {
		child_absent();
		return;
	}
	/* The new userfaultfd protects nothing: a write to a fetched page would
	 * not be noticed, and the page might be dropped with it. So fetched
	 * pages are dropped now; they can be fetched again. */
	while (ring_used > 0) {
		let_go(ring[ring_first]);
		ring_first = (ring_first + 1) % ring_size;
		ring_used--;
	}
}

void child_lock(void)
{
	pthread_mutex_lock(&lock);
}

void child_unlock(void)
{
	if (atomic_load(&child_serves))
		advise_all(MADV_DONTFORK);
	pthread_mutex_unlock(&lock);
}

/* --- faults ---------------------------------------------------------------------------- */

static struct child_region *region_at(uintptr_t address)
{
	for (unsigned i = 0; i < region_count; i++)
		if (address - regions[i].base < regions[i].pages * SHIM_PAGE)
			return &regions[i];
	return NULL;
}

enum installed { FAILED, INSTALLED, WAS_HERE };

static enum installed install(uintptr_t at, const void *bytes, bool protect)
{
	struct uffdio_copy copy = {
		.dst = at, .src = (uintptr_t)bytes, .len = SHIM_PAGE,
		.mode = UFFDIO_COPY_MODE_DONTWAKE |
			(protect ? UFFDIO_COPY_MODE_WP : 0),
	};
	long r;

	do
		r = shim_raw(SYS_ioctl, uffd, UFFDIO_COPY, (long)&copy, 0, 0,
			     0);
	while (r == -EAGAIN);
	return r == 0 ? INSTALLED : r == -EEXIST ? WAS_HERE : FAILED;
}

static bool unprotect(uintptr_t at)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = at, .len = SHIM_PAGE },
		.mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
	};
	long r;

	do
		r = shim_raw(SYS_ioctl, uffd, UFFDIO_WRITEPROTECT, (long)&wp,
			     0, 0, 0);
	while (r == -EAGAIN);
	return r == 0;
}

/* One more page that only this process has. False: it may not. A process that
 * confines itself cannot look at the machine's files. */
static bool count_written(void)
{
	written++;
	if (written <= written_max)
		return true;
	if (!confine_is() && room_here() >= ROOM_MIN) {
		written_max += WRITTEN_STEP / SHIM_PAGE;
		return true;
	}
	atomic_fetch_add(&shim_shared->overflow_count, 1);
	atomic_fetch_add(&shim_shared->overflow_bytes, SHIM_PAGE);
	if (!said_more) {
		said_more = true;
		shim_say("process %d, a child made by fork(), has written to "
			 "more than %llu MiB of its parent's external memory, "
			 "which it needs local memory for, and this machine "
			 "has no more to spare; %s",
			 (int)getpid(),
			 (unsigned long long)(written_max * SHIM_PAGE >> 20),
			 shim_options.overflow_local
				 ? "it takes more"
				 : "it is ended (--overflow=local: it takes "
				   "more)");
	}
	return shim_options.overflow_local;
}

static void ring_add(unsigned region, uint64_t page)
{
	if (ring_used == ring_size) {
		let_go(ring[ring_first]);
		ring_first = (ring_first + 1) % ring_size;
		ring_used--;
	}
	ring[(ring_first + ring_used) % ring_size] =
		(uint64_t)region << 48 | page;
	ring_used++;
}

/* Waits for the answer without a limit: the parent may be waiting for its
 * appliance, and if it ends, the connection ends. */
static int ask(unsigned region, uint64_t page, uint32_t count)
{
	struct fork_request request = { .kind = FORK_PAGES, .region = region,
					.page = page, .count = count };
	struct fork_answer answer;
	int none, r = ready();
	ssize_t n;

	if (r == 0)
		r = fork_send(connection, &request, sizeof(request), -1);
	if (r < 0)
		return r;
	n = fork_receive(connection, &answer, sizeof(answer), &none);
	if (n != sizeof(answer))
		return n < 0 ? (int)n : -EPIPE;
	return answer.status < 0 ? answer.status : (int)answer.count;
}

static bool fetch(struct child_region *r, uint64_t page, bool write)
{
	unsigned region = (unsigned)(r - regions);
	uint32_t want = 1;
	int got;

	if (page == stream_next && stream_window > 0)
		stream_window = stream_window < FORK_WINDOW ? 2 * stream_window
							    : FORK_WINDOW;
	else
		stream_window = 1;
	/* While pages are pinned none may be dropped, so none is prefetched. */
	while (want < stream_window && page + want < r->pages &&
	       r->state[page + want] == NOTHING && atomic_load(&pins) == 0)
		want++;
	got = ask(region, page, want);
	if (got <= 0) {
		shim_say("process %d cannot have what its parent, %d, had at "
			 "%#llx when it forked: %s",
			 (int)getpid(), (int)parent,
			 (unsigned long long)(r->base + page * SHIM_PAGE),
			 got == -EPIPE || got == -ECONNRESET || got == 0
				 ? "the parent has ended"
				 : strerror(-got));
		return false;
	}
	stream_next = page + (uint32_t)got;
	for (uint32_t i = 0; i < (uint32_t)got; i++) {
		bool mine = (write && i == 0) || atomic_load(&pins) > 0;
		enum installed done;

		if (mine && !count_written())
			return false;
		done = install(r->base + (page + i) * SHIM_PAGE,
			       buffer + i * SHIM_PAGE, !mine);
		if (done == FAILED && i == 0)
			return false;
		if (done == FAILED) /* what was read ahead is not mapped */
			break;
		/* An inherited page is never replaced: the parent's page may
		 * have changed since the fork without being saved, because it
		 * was writable already. */
		if (done == WAS_HERE)
			continue;
		r->state[page + i] = mine ? WRITTEN : FETCHED;
		if (!mine)
			ring_add(region, page + i);
	}
	return true;
}

static bool serve(struct child_region *r, uint64_t page, bool write)
{
	static const char zeros[SHIM_PAGE];
	uintptr_t at = r->base + page * SHIM_PAGE;

	switch ((enum page_state)r->state[page]) {
	case FETCHED:
		/* Present and protected; or another thread has fetched it. */
		if (!write)
			return true;
		if (!count_written() || !unprotect(at))
			return false;
		r->state[page] = WRITTEN;
		return true;
	case WRITTEN:
		return unprotect(at);
	case EMPTIED:
		if (!count_written() || install(at, zeros, false) == FAILED)
			return false;
		r->state[page] = WRITTEN;
		return true;
	case NOTHING:
		break;
	}
	return fetch(r, page, write);
}

bool child_fault(const void *address, const void *machine)
{
	struct child_region *r = region_at((uintptr_t)address);
	const ucontext_t *context = machine;
	bool write, well;

	if (!r)
		return false;
#ifdef __x86_64__
	write = (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
	(void)context;
	write = r->state[((uintptr_t)address - r->base) / SHIM_PAGE] ==
		FETCHED;
#endif
	pthread_mutex_lock(&lock);
	well = serve(r, ((uintptr_t)address - r->base) / SHIM_PAGE, write);
	pthread_mutex_unlock(&lock);
	return well;
}

/* --- for the rest of the shim ------------------------------------------------------------ */

size_t child_pin(const void *address, size_t size, bool write)
{
	uintptr_t at = (uintptr_t)address & ~(SHIM_PAGE - 1);
	uintptr_t end = (uintptr_t)address + size;

	atomic_fetch_add(&pins, 1);
	for (; at < end; at += SHIM_PAGE) {
		_Atomic uint8_t *p = (_Atomic uint8_t *)at;

		if (!region_at(at))
			continue;
		if (write)
			atomic_fetch_add(p, 0);
		else
			(void)atomic_load(p);
	}
	return size;
}

void child_unpin(void)
{
	atomic_fetch_sub(&pins, 1);
}

void child_empty(void *address, size_t size)
{
	uintptr_t at = ((uintptr_t)address + SHIM_PAGE - 1) & ~(SHIM_PAGE - 1);
	uintptr_t end = ((uintptr_t)address + size) & ~(SHIM_PAGE - 1);
	sigset_t all, before;

	/* A handler of the program's may fault. */
	sigfillset(&all);
	shim_real()->pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&lock);
	for (; at < end; at += SHIM_PAGE) {
		struct child_region *r = region_at(at);
		uint64_t page;

		if (!r)
			continue;
		page = (at - r->base) / SHIM_PAGE;
		if (r->state[page] == WRITTEN && written > 0)
			written--;
		r->state[page] = EMPTIED;
		shim_raw(SYS_madvise, (long)at, SHIM_PAGE, MADV_DONTNEED, 0, 0,
			 0);
	}
	pthread_mutex_unlock(&lock);
	shim_real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
}
