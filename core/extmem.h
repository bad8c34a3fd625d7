/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem: use the memory of other machines as your own.
 *
 * This is the only header an application includes. In order:
 *
 *	extmem *x;
 *	extmem_region *region;
 *	void *memory;
 *	const char *const settings[] = {
 *		"appliance=ofi+tcp://host:7470", "local=64M", NULL };
 *
 *	if (extmem_open(settings, &x) < 0)
 *		errx(1, "%s", extmem_error());
 *	extmem_region_alloc(x, "matrix", 1 << 30, &region);
 *	extmem_map(region, 0, 0, &memory);
 *	... loads and stores, as in any memory ...
 *	extmem_sync(region, 0, 0);
 *	extmem_close(x);
 *
 * Conventions. Functions return 0 or a count, or a negative errno; then
 * extmem_error() has the call, the thing and the way out in words, for this
 * thread. Out parameters come last and are untouched on failure. Sizes and
 * offsets are bytes; an offset counts from the start of its region. Every
 * call that can wait ends by the `timeout` setting with -ETIMEDOUT, or
 * sooner; the outcome of an operation that timed out is unknown.
 *
 * Threads. All functions may be called by any number of threads at once,
 * except that close, give and unmap must not race with the use of what they
 * end. Handles belong to the process that opened them: after fork(), the
 * child must not use them, and mapped memory is absent there (SIGSEGV).
 *
 * Signals. With faults served inline (see extmem_info) the library installs
 * a SIGBUS handler, which passes on what is not its own to the handler that
 * was there before. A thread that touches mapped memory must not block
 * SIGBUS. In that mode the kernel cannot touch absent pages: a system call
 * on them fails with EFAULT; extmem_pin() makes them present first.
 *
 * A completed write (extmem(7), WHAT A COMPLETED WRITE PROMISES): a store in a mapping is
 * *local*: other threads see it. extmem_sync() and explicit writes are
 * *remote*: the bytes are in the remote memory. Nothing else is implied, by
 * unmapping, exit or crash. The unit of atomicity is a page.
 *
 * A page that cannot be had within `loss_timeout` is lost: the touching
 * thread gets SIGBUS, an explicit call -ENOTCONN or -ESTALE; never zeros.
 */
#ifndef EXTMEM_H
#define EXTMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library is built with everything else hidden. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define EXTMEM_VERSION_MAJOR 0
#define EXTMEM_VERSION_MINOR 1
#define EXTMEM_VERSION_PATCH 0

typedef struct extmem extmem;		    /* a client */
typedef struct extmem_region extmem_region; /* external memory it holds */

/* "0.1.0", of the library that is loaded. */
const char *extmem_version(void);

/* What the last failing call of this thread has to say; "" before any. The
 * text stays until this thread's next failing call. */
const char *extmem_error(void);

/* --- client ------------------------------------------------------------ */

/* Opens a client and connects to its appliances. `settings` is a NULL-ended
 * list of "name=value"; extmem(5) lists them. Those not given come from the
 * environment (EXTMEM_LOCAL, ...), the configuration file, or the default.
 *
 *	appliance    address, may be repeated: ofi+tcp://host:7470
 *	local        local memory, most, in bytes (64M); caches and buffers
 *	timeout      how long any call may wait (30s)
 *	loss_timeout how long a page may be out of reach before it is lost
 *		     (10s; where nobody listens any more, a second at most)
 *	paging       inline, thread, or auto
 *	polling      how threads wait: adaptive, busy, or block
 *	lanes        connections to each appliance, 1..16 (1)
 *
 * At least one appliance has to answer. Those that do not are connected to in the
 * background, and used from then on; extmem_info() says which are away, and why.
 *
 * Errors: -EINVAL a setting is unknown or malformed; -ECONNREFUSED,
 * -ETIMEDOUT, -EPROTO no address has an appliance; -ENOSYS no such transport;
 * -EPERM userfaultfd is not allowed here; -ENOTSUP the kernel's pages are not
 * those that this build is made for (4 KiB). */
#define EXTMEM_APPLIANCES_MAX 16
int extmem_open(const char *const settings[], extmem **ret);

/* Gives every region back, with its contents, unmaps and disconnects. NULL is
 * ignored. After a negative return the handle is gone all the same. */
int extmem_close(extmem *);

/* --- regions: rare, a message to an appliance --------------------------- */

/* Takes `size` bytes of external memory, rounded up to the appliance's granule
 * (extmemd's is 64 KiB). Fresh memory reads as zero. Regions are exclusive to
 * this client. `name` (at most 63 bytes, or NULL) is for people and lists. A
 * region may be made of several segments, on one or more appliances.
 * Errors: -EINVAL size 0, or beyond what can be addressed, or a name that is
 * too long; -ENOSPC no appliance has room; -ETIMEDOUT, -ENOTCONN. */
int extmem_region_alloc(extmem *, const char *name, uint64_t size,
		       extmem_region **ret);

/* Gives it back; its mappings and contents are gone, and the handle. The
 * handle is gone whatever is returned. NULL is ignored. */
int extmem_region_free(extmem_region *);

/* Grows or shrinks. Growth keeps mapped addresses where they are; -ENOMEM
 * when the addresses behind the region are in use. Shrinking refuses, with
 * -EBUSY, to cut off slabs in use. */
int extmem_region_resize(extmem_region *, uint64_t size);

uint64_t extmem_region_size(const extmem_region *);
const char *extmem_region_name(const extmem_region *);

struct extmem_region_entry {
	char name[64], owner[64], appliance[128];
	uint64_t client, extent, size, epoch;
};

/* Regions at the appliances, everyone's: fills up to `count` entries from
 * the `skip`-th on and returns how many. */
int extmem_region_list(extmem *, uint64_t skip,
		       struct extmem_region_entry *ret, size_t count);

/* --- slabs and objects: selected here, no message, no remote access ------ */

/* Selects `size` bytes inside the region: a slab, page aligned, rounded up to
 * pages. In a region that is mapped it reads as zero; else its contents are
 * unspecified when it was in use before.
 * Errors: -EINVAL size 0; -ENOSPC no run of this size is free. */
int extmem_slab_alloc(extmem_region *, uint64_t size, uint64_t *ret_offset);
/* -EINVAL when no slab begins there. Pages of it that are cached locally are
 * dropped unwritten. */
int extmem_slab_free(extmem_region *, uint64_t offset);

/* Objects of any size from 1 byte, aligned to 16 bytes (to their size, for
 * powers of two up to a page). Metadata is local: no byte of the region is
 * touched. alignment: a power of two up to 2 MiB, or 0. */
int extmem_object_alloc(extmem_region *, uint64_t size, uint64_t alignment,
			uint64_t *ret_offset);
int extmem_object_free(extmem_region *, uint64_t offset);
/* The usable size; -EINVAL when no object begins there. */
int extmem_object_size(extmem_region *, uint64_t offset, uint64_t *ret_size);

/* --- explicit access ----------------------------------------------------- */

/* `buffer` may be any memory of the process, external memory that this client
 * mapped too (not another client's). Coherent with this client's
 * mappings. A write returns when the bytes are in the remote memory.
 * Errors: -ERANGE outside the region; -ENOTCONN, -ESTALE, -ETIMEDOUT. */
int extmem_read(extmem_region *, uint64_t offset, void *buffer, size_t size);
int extmem_write(extmem_region *, uint64_t offset, const void *buffer,
		 size_t size);

struct extmem_iov {
	uint64_t offset;
	void *buffer;
	size_t size;
};

/* Memory of the caller's that explicit calls shall move bytes to and from without
 * a copy, where the provider wants to know such memory beforehand (verbs does,
 * tcp and shm do not: there any memory will do, and this costs nothing). It stays
 * the caller's, who keeps it as it is until it is deregistered: neither freed
 * nor mapped anew. At most 32 spans that do not overlap.
 * Errors: -EINVAL size 0, or mapped external memory; -EEXIST part of it is
 * registered; -ENOSPC too many; -ENOMEM and others, the provider's. */
int extmem_register(extmem *, void *memory, size_t size);
/* The same memory and size. Not while another thread moves bytes there.
 * -EINVAL it was not registered so; -EBUSY an asynchronous call has it. */
int extmem_deregister(extmem *, void *memory, size_t size);

/* Several at a time, in any order; the first error is returned. -ERANGE: nothing
 * was moved. */
int extmem_readv(extmem_region *, const struct extmem_iov *, size_t count);
int extmem_writev(extmem_region *, const struct extmem_iov *, size_t count);

/* Started now, completed by extmem_poll() or extmem_wait(). The buffer is lent
 * until its completion, and the region stays until then; a load or store of a
 * mapped page whose bytes are under way waits for them. What cannot begin at once
 * is begun by later calls of these four. The status is that of the plain calls.
 * Errors: -EAGAIN 4096 have not been collected: poll. -EINVAL size 0, or the
 * buffer is mapped external memory, or not registered where the provider wants
 * that. */
struct extmem_completion {
	void *context;
	int status; /* 0 or a negative errno */
};

int extmem_read_start(extmem_region *, uint64_t offset, void *buffer,
		      size_t size, void *context);
int extmem_write_start(extmem_region *, uint64_t offset, const void *buffer,
		       size_t size, void *context);
/* Up to `count` completions of this client, 0 if none is ready. */
int extmem_poll(extmem *, struct extmem_completion *ret, size_t count);
/* As poll, but waits for at least one, at most timeout_ms. */
int extmem_wait(extmem *, struct extmem_completion *ret, size_t count,
		uint32_t timeout_ms);

/* --- mapping -------------------------------------------------------------- */

/* Maps [offset, offset + size) of the region (size 0: to its end) and stores
 * its address. A region has one place in the address space: mapping a part,
 * the whole, before or after selecting, gives addresses that agree. Offset
 * and size are page aligned. Mapping what is mapped is counted. The first
 * mapping waits for explicit calls under way: -ETIMEDOUT. */
int extmem_map(extmem_region *, uint64_t offset, uint64_t size, void **ret);
/* Ends one mapping made with the same offset and size. Dirty pages are
 * written back first, if their appliance can be reached. */
int extmem_unmap(extmem_region *, uint64_t offset, uint64_t size);

/* The address that offset 0 of the region has, or would have, mapped. */
void *extmem_region_address(const extmem_region *);

/* Returns when every store made before the call is in the remote memory. Size
 * 0: to the region's end. */
int extmem_sync(extmem_region *, uint64_t offset, uint64_t size);

enum extmem_advice {
	EXTMEM_NORMAL = 0, /* find out by yourself */
	EXTMEM_SEQUENTIAL, /* read far ahead */
	EXTMEM_RANDOM,	   /* do not read ahead */
	EXTMEM_WILLNEED,   /* fetch now, as far as there is room */
	EXTMEM_DONTNEED,   /* the contents are not needed: reads as zero now */
	EXTMEM_COLD	   /* write back and drop, contents stay */
};

int extmem_advise(extmem_region *, uint64_t offset, uint64_t size,
		  enum extmem_advice);

/* Makes the pages around [address, address + size) present, for writing if
 * `write`, and keeps them until unpin, so that the kernel can use them.
 * Parts that are not external memory are ignored. Counted per page. At most
 * half the local memory can be pinned at once: returns the number of bytes
 * from `address` on that are pinned, less than `size` where no more could
 * be, or an error when nothing could. Unpin with what was returned. */
int64_t extmem_pin(extmem *, const void *address, size_t size, int write);
void extmem_unpin(extmem *, const void *address, size_t size);
/* 1 when the address lies in mapped external memory of this client. */
int extmem_contains(const extmem *, const void *address);

/* Write notification, for snapshots and logs of changes. `change` is called before
 * pages become writable, with their contents so far (NULL: all zeros); `changed` is
 * called after they have. A page that stays writable is reported once; after it has
 * left local memory, or was written back, it is reported again.
 *
 * The functions are called on the thread that serves the fault, with locks held and
 * signals blocked: they must not call this library, nor touch mapped memory except
 * `contents`. When extmem_watch() returns, the watch before is not used any more.
 * Errors: -EINVAL the struct's size is wrong. */
struct extmem_watch {
	uint64_t size; /* of this struct, set by the caller */
	void (*change)(void *context, void *address, const void *contents,
		       size_t pages);
	void (*changed)(void *context);
	void *context;
};
int extmem_watch(extmem *, const struct extmem_watch *watch);

/* Raises the local budget to `size`, from now on; what is lower than it is
 * changes nothing. Any thread.
 * Errors: -EINVAL more than the settings local and local_max. */
int extmem_local(extmem *, uint64_t size);

/* --- what is going on ------------------------------------------------------ */

#define EXTMEM_LATENCY_BUCKETS 512

struct extmem_stats {
	uint64_t size; /* of this struct, set by the caller */
	uint64_t faults;	  /* delivered to us, of any kind */
	uint64_t faults_write;	  /* of these, a store to a protected page */
	uint64_t misses;	  /* faults that waited for the remote memory */
	uint64_t zero_fills;	  /* pages that were fresh: no transfer */
	uint64_t pages_read, pages_written;
	uint64_t bytes_read, bytes_written; /* paging and explicit */
	uint64_t evictions;
	uint64_t prefetched, prefetched_wasted;
	uint64_t reads, writes; /* one-sided operations */
	uint64_t local_limit, local_now, local_peak; /* bytes */
	uint64_t messages;				/* control, sent */
	uint64_t reconnects, pages_lost;
	uint64_t regions, region_bytes;
	uint64_t slabs, objects; /* alive */
	uint64_t page_size;
	/* Fault service time, log-linear: bucket b < 16 holds b ns; above,
	 * octave (b / 16) has 16 equal parts. See extmem_latency_ns(). */
	uint64_t latency[EXTMEM_LATENCY_BUCKETS];
};

int extmem_stats(extmem *, struct extmem_stats *ret);
/* The fault latency, in ns, that `permille` of the faults stayed within. */
uint64_t extmem_latency_ns(const struct extmem_stats *, unsigned permille);

struct extmem_info {
	uint64_t size; /* of this struct, set by the caller */
	char appliance[128];
	char name[64];
	char transport[32], provider[64], version[32];
	char endpoint[16], mr_mode[96], progress[16];
	char paging[16];	/* inline or thread */
	char paging_reason[128]; /* why that one */
	char state[16]; /* away, greeting (about to be ready), ready, or leaving (it drains) */
	uint64_t lease_ms;
	uint32_t lanes;
	char polling[16]; /* adaptive, busy, or block */
	/* 1: the kernel's touches of mapped memory are served too, so any system
	 * call can be given an absent page; 0: pin it, or it fails with EFAULT. */
	uint32_t kernel_touches;
	char reason[512]; /* why it is not ready; or "" */
};

/* About the index-th appliance; -ERANGE past the last. */
int extmem_info(extmem *, unsigned index, struct extmem_info *ret);
/* What the first page that was lost was lost to, in words; "" for none. */
const char *extmem_lost(const extmem *);

struct extmem_status {
	uint64_t size; /* of this struct, set by the caller */
	char name[64];
	char provider[64], library[32];
	uint64_t incarnation, uptime_ms;
	uint64_t pool, free, free_run, leased, quarantined; /* bytes */
	uint32_t clients, clients_max, extents, extents_max;
	uint64_t messages, malformed, refused, expired;
	uint32_t leaving; /* 1: it drains */
};

/* How an appliance is, without becoming its client. */
int extmem_status(const char *appliance, uint32_t timeout_ms,
		  struct extmem_status *ret);
/* Its regions, from the `skip`-th on; returns how many. */
int extmem_status_regions(const char *appliance, uint32_t timeout_ms,
			  uint64_t skip, struct extmem_region_entry *ret,
			  size_t count);

/* What proves that one is a client of an appliance. Who has it can end the lease
 * after the client's process has gone, or take everything it holds away from one
 * that lives: keep it as a secret. */
struct extmem_lease {
	char appliance[128]; /* its address */
	uint64_t client, incarnation; /* numbers: its, and the appliance's */
	uint8_t secret[16];
};

/* The leases of this client, one for each appliance that knows it; returns how
 * many, `count` at most. A lease changes when an appliance has restarted. */
int extmem_leases(extmem *, struct extmem_lease *ret, unsigned count);
/* For a client whose process is gone: all that it held is free again at once, and
 * not when its lease runs out. -ESTALE: it has ended already. -ETIMEDOUT,
 * -ENOTCONN, ...: it ends by itself, in time. Any process, any thread. */
int extmem_lease_end(const struct extmem_lease *, uint32_t timeout_ms);

/* One line per transport that is built in: scheme, and the provider it would
 * use here, or why it cannot. Returns the length of the whole text, which may
 * be more than fits in `size`. */
int extmem_providers(char *ret, size_t size);

/* What userfaultfd and the kernel's calls beside it offer this process; each 1
 * or 0. `missing` says in words which calls the kernel lacks that extmem would
 * use, and what it does instead; it is empty if all are there. */
struct extmem_capabilities {
	uint64_t size; /* of this struct, set by the caller */
	uint32_t device, full, user, sigbus, protects, poisons, moves;
	int32_t error; /* errno, when there is none of the first three */
	uint32_t drops_many;
	char missing[256];
};
int extmem_capabilities(struct extmem_capabilities *ret);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
