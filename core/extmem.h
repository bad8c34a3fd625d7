/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem: use the memory of other machines as your own.
 *
 * This is the only header that an application includes. It includes extmem_figures.h
 * (statistics), extmem_strategy.h (where regions go) and extmem_share.h (regions that
 * change hands).
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
 * Words. An appliance is a daemon (extmemd) that lends memory. A client is what
 * extmem_open() returns. A region is memory that a client has allocated at
 * appliances; slabs and objects are parts of a region that the client selects by
 * itself. A mapping makes a region visible at addresses; local memory caches its
 * pages.
 *
 * Results. A function that returns int returns 0, a count or an index on success, and a
 * negative errno on failure. After a failure extmem_error() returns a sentence for
 * this thread. Out parameters are last and keep their value when a call fails.
 *
 * Handles. A handle of a region that was freed gives -EINVAL, as far as that can be
 * noticed: its memory may be in use again.
 *
 * Units. Sizes and offsets are in bytes. An offset counts from the start of its
 * region. A page has 4096 bytes.
 *
 * Structs whose first member is `size`: the caller sets it to sizeof before the
 * call, and the library fills in no more than that. A program that was compiled
 * with an older header therefore still works.
 *
 * Waiting. A call that can wait returns -ETIMEDOUT after the setting `timeout`
 * (30 s) at the latest. The operation may or may not have been carried out then.
 *
 * Threads. Any number of threads may call any function at the same time, with one
 * rule: extmem_close(), extmem_region_free(), extmem_unmap() and a resize that
 * shrinks must not run while another thread uses what they end. No function may be
 * called in a signal handler.
 *
 * Processes. A handle belongs to the process that opened it. A child of fork() must
 * not use it: functions that can fail return -ECHILD there. Mapped memory is absent
 * in the child: touching it raises SIGSEGV.
 *
 * Signals. If faults are served inline (extmem_info() says so), the library has a
 * SIGBUS handler. It calls the handler that was installed before it for every
 * SIGBUS that is not a fault of mapped memory. A thread that touches mapped memory
 * must not block SIGBUS. The kernel cannot fetch a page, unless extmem_info() says
 * kernel_touches: a system call that is given a page which is not in local memory
 * fails with EFAULT. Call extmem_pin() before such a system call.
 *
 * What a completed write means; extmem(7) has more.
 *	local: a store in a mapping has executed. Other threads see it.
 *	remote: extmem_sync() or an explicit write has returned. The appliance has
 *		the bytes.
 *	durable: extmem_sync_level() has returned. They are on the appliance's disk.
 * Unmapping, exit and a crash promise nothing more. A page is the unit of atomicity.
 *
 * Loss. A page that cannot be fetched within the setting `loss_timeout` is lost:
 * the touching thread gets SIGBUS, and an explicit call returns -ENOTCONN or
 * -ESTALE. The library never gives zeros or older bytes instead.
 */
#ifndef EXTMEM_H
#define EXTMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Everything else in the library is hidden. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define EXTMEM_VERSION_MAJOR 0
#define EXTMEM_VERSION_MINOR 1
#define EXTMEM_VERSION_PATCH 0

typedef struct extmem extmem;		    /* a client */
typedef struct extmem_region extmem_region; /* memory that a client has allocated */

/* The version of the loaded library: "0.1.0". */
const char *extmem_version(void);

/* A sentence about the last call of this thread that failed: the call, the thing,
 * and what to do about it. "" before the first failure. The library owns the text;
 * it is valid until this thread's next failure. */
const char *extmem_error(void);

/* --- client ------------------------------------------------------------ */

/* Opens a client and connects it to its appliances. `settings` is a list of
 * "name=value", ended by NULL; the texts are copied. A setting that is not in the
 * list comes from the environment (EXTMEM_LOCAL, ...), else from the configuration
 * file, else it has its default. The most important ones; extmem(5) has all:
 *
 *	appliance    address: ofi+tcp://host:7470; may be given 16 times
 *	local        limit of local memory, in bytes (64M)
 *	timeout      how long a call may wait (30s)
 *	loss_timeout how long a page may be unreachable before it is lost (10s; at
 *		     most 1s if nobody listens at the appliance's address)
 *	paging       who serves faults: inline, thread, or auto
 *	polling      how threads wait: adaptive, busy, or block
 *	lanes        connections to each appliance, 1..16 (1)
 *
 * At least one appliance must answer. The client connects to the others in the
 * background and uses them once they answer; extmem_info() says which are away. The name
 * of a host is looked up once, here: an appliance whose name is not found now stays away
 * until the client is closed.
 *
 * Errors: -EINVAL a setting is unknown or malformed. -EADDRNOTAVAIL, -ECONNREFUSED, -ETIMEDOUT,
 * -EPROTO, ... no appliance answers; the error is the first one's. -ENOKEY, -EPROTONOSUPPORT,
 * -EKEYEXPIRED, -EKEYREVOKED, -EKEYREJECTED: credentials, on one side or the other. -ENOSYS no such
 * transport. -EPERM userfaultfd is not allowed here. -ENOTSUP the kernel's pages
 * are not 4 KiB. -ENODEV the appliances that answer cannot meet the setting `strategy`,
 * however much they have free. -ENOMEM. -ENOSPC 16 clients are open in this process. -EBUSY too
 * many SIGBUS handlers were installed over the library's. */
#define EXTMEM_APPLIANCES_MAX 16
int extmem_open(const char *const settings[], extmem **ret);
/* What extmem_open() would find wrong with these settings by itself: nothing is opened,
 * nobody is asked, and a host's name is not looked up. -EINVAL, -ENOSYS, -ENOMEM as
 * above. */
int extmem_check(const char *const settings[]);

/* Adds an appliance to an open client. Looks the address up, connects, and returns when
 * the appliance has answered, or the attempt has failed (5 s at most, less if the
 * setting `timeout` is less). Returns its index for extmem_info(). An appliance that
 * has not answered stays, and is used once it answers; extmem_info() says why it is
 * away. Regions that are allocated or grow from now on may use it; what is allocated
 * already stays where it is. Any thread; other threads may use the client meanwhile.
 *
 * Errors, after which nothing has been added: -EINVAL the address is malformed, or the
 * provider moves less than the setting `prefetch` at once. -EADDRNOTAVAIL no such host.
 * -EHOSTUNREACH the resolver does not answer. -ENOSYS no such transport. -EEXIST the
 * client has this address. -ENOSPC it has EXTMEM_APPLIANCES_MAX. -ENOMEM and others:
 * the provider's. */
int extmem_appliance_add(extmem *, const char *address);

/* Frees every region of the client, with its contents, unmaps them, disconnects.
 * Writes nothing back. NULL is ignored. The handle is gone whatever is returned,
 * except -ECHILD.
 * Errors: the first of extmem_region_free(). */
int extmem_close(extmem *);

/* --- regions: allocated by a message to an appliance ---------------------- */

/* Allocates `size` bytes, rounded up to the appliances' granule (64 KiB). The
 * memory reads as zero and belongs to this client alone. `name` is for people and
 * lists: at most 63 bytes, or NULL; two regions may have the same name.
 *
 * The first appliance that has room for all of it is used; if none has, the region
 * is divided into segments at several. At most 256 regions and 4096 segments.
 *
 * Under a strategy (the setting `strategy`) memory goes where that says.
 *
 * Errors: -EINVAL the size is 0 or too large, or the name is too long. -ENOSPC no
 * room, or a limit above. -ENOMEM no addresses are left. -ETIMEDOUT. -ENOTCONN the
 * appliance's memory cannot be reached. -EPROTO. */
int extmem_region_alloc(extmem *, const char *name, uint64_t size,
		       extmem_region **ret);

/* What extmem_region_request() allocates. A member that is 0 has its default. */
struct extmem_request {
	uint64_t size;	      /* sizeof(struct extmem_request) */
	uint64_t region_size; /* bytes; not 0, unless it is sparse */
	const char *name;     /* as for extmem_region_alloc() */
	uint64_t flags;	      /* EXTMEM_TRACKED, EXTMEM_SEALED, ..., or 0 */
	const char *strategy; /* extmem(5) says how; NULL: that of the settings */
	/* Bytes of addresses; then the region is sparse, and region_size is 0. */
	uint64_t reserve;
};
/* The library tracks the region's pages from the beginning. (Otherwise it does so from
 * the first mapping, or the first EXTMEM_DONTNEED after a write.) It then knows which
 * pages are fresh and reads these without a transfer; explicit calls cost a little
 * more. */
#define EXTMEM_TRACKED 1
/* The region's pages are encrypted and authenticated before they leave the process, so that
 * an appliance can neither read them nor give back others or older ones: a page that comes
 * back wrong, and of which no copy is right, is lost. It is tracked. Needs a client opened
 * with the setting seal=asked; with seal=all every region is sealed. */
#define EXTMEM_SEALED 2
/* Likewise, and it can be kept durable (extmem_region_keep_durable()) or handed over
 * (extmem_region_hand_over()): each page's seal, 25 bytes, lies behind the pages. Its size stays what it is, and its memory does not
 * move when its appliance drains or shrinks. */
#define EXTMEM_SEALED_DURABLE 4
/* What a program may do with pages: see extmem_protect(). */
enum extmem_rights {
	EXTMEM_READ_WRITE = 0, /* what every page has at first */
	EXTMEM_READ_ONLY,      /* a store is SIGSEGV */
	EXTMEM_NO_ACCESS       /* a load too */
};

/* As extmem_region_alloc().
 * Errors: also -EINVAL the struct's size is wrong, it has members or flags that this
 * library does not know, or the strategy is malformed, or has mirrors where the client's
 * settings have none. -ENODEV as for extmem_open(). */
int extmem_region_request(extmem *, const struct extmem_request *,
			  extmem_region **ret);

/* Frees a region: its mappings, its contents and the handle are gone, whatever is
 * returned (except -ECHILD). NULL is ignored.
 * Errors: -ENOTCONN, -ETIMEDOUT the appliance could not be told yet. It is told when it
 * is back, or takes the memory back when the lease ends. */
int extmem_region_free(extmem_region *);

/* Changes the size, rounded up as above. Addresses of mappings stay. What is added
 * reads as zero, and is mapped if the region is. A region can grow to 16 times its
 * first size, or to 1/16 of the setting `arena` if that is less.
 *
 * Errors: -EINVAL the size is 0 or too large. -ENOMEM the region cannot grow so far.
 * -ENOSPC no room. -EBUSY slabs or objects are in use beyond the new size, or an
 * earlier shrink timed out. -ETIMEDOUT, -ENOTCONN. If the appliance could not be
 * told about the tail that it gets back, an error is returned although the region
 * has shrunk: extmem_region_size() says. */
int extmem_region_resize(extmem_region *, uint64_t size);

/* A sparse region is one that was requested with `reserve`. It is tracked. At first
 * it has addresses and no memory, which costs nothing.
 *
 * commit() allocates memory for each granule (64 KiB) that [offset, + size) touches
 * and that has none. It sends one request for each gap (more if no appliance has room
 * for all of it), and gets an extent for it. The new memory reads as zero and has
 * these rights (extmem_protect()).
 *
 * decommit() discards the contents of the range, and frees whole granules at the end
 * of an extent. An appliance cannot take back other parts of an extent: they stay,
 * read as zero, and serve the next commit() there. Example: one commit() of 1 MiB got
 * one extent. decommit() of its last 512 KiB frees them; decommit() of its first
 * 256 KiB frees nothing, and they read as zero.
 *
 * Offset and size are multiples of 4096. A touch of a mapped page without memory is
 * SIGSEGV (SIGBUS with paging=thread); sync, advice and pins pass over it, and an
 * explicit call is -ERANGE there. A sparse region has no slabs and no objects, and is
 * not resized; extmem_region_size() is that of its addresses.
 *
 * Threads: no other thread may touch what decommit() takes away.
 *
 * Errors: -EINVAL the region is not sparse, or alignment. -ERANGE not all of it lies in
 * the region. commit() as extmem_region_alloc(); part of the range may have memory then.
 * decommit() -ENOTCONN, -ETIMEDOUT an appliance could not be told: it is told when it
 * is back, or the memory stays, and is discarded all the same. */
int extmem_region_commit(extmem_region *, uint64_t offset, uint64_t size,
			 enum extmem_rights);
int extmem_region_decommit(extmem_region *, uint64_t offset, uint64_t size);
/* Gives addresses back to a mapped sparse region after the program has mapped
 * something else there (mmap(2) with MAP_FIXED). That mapping is removed, and what has
 * memory reads as zero. Decommit a range, or discard it without rights, before you map
 * over it: the library may evict a page whose contents it knows, and would then read and
 * clear your mapping. Errors: -EINVAL, -ERANGE as above; -ENOMEM, -EBUSY as
 * extmem_map(). */
int extmem_region_restore(extmem_region *, uint64_t offset, uint64_t size);

uint64_t extmem_region_size(const extmem_region *);
/* Which parts of a region are fresh: nothing was written there since it was allocated, or
 * since it was discarded, so it reads as zero without a transfer. Returns how many of
 * `size` bytes from `offset` on are in pages that are all fresh (*ret 1), or of which none
 * is (*ret 0). Needs no alignment; size 0 means up to the region's end. Example: of 1 MiB
 * only the second page was written to. From offset 0 on 4096 bytes are fresh, from 4096
 * on 4096 are not, from 8192 on all are. Writes under way may count or not. Of a region
 * that is not tracked nothing is fresh. Memory that a sparse region lacks is.
 * Errors: -ERANGE not all of it lies in the region. */
int64_t extmem_region_fresh(extmem_region *, uint64_t offset, uint64_t size,
			    int *ret);
/* "" if it was allocated without a name. Valid as long as the region. */
const char *extmem_region_name(const extmem_region *);

/* One segment of a region. */
struct extmem_region_entry {
	char name[64];	     /* of the region */
	char owner[64];	     /* the setting `name` of its client */
	char appliance[128]; /* address */
	uint64_t client;     /* the appliance's number for the client */
	uint64_t extent;     /* the appliance's number for the segment */
	uint64_t size;
	uint64_t epoch; /* rises each time that memory changes hands */
	/* Which part of the region's stripes and copies it is, in the order of struct
	 * extmem_plan_run; 0 in a region that has neither. */
	uint32_t part;
};

/* The segments that the client's appliances have lent to any client. Skips `skip` of
 * them, stores up to `count`, and returns how many it stored. Others may come and go
 * between two calls. The list has no segments of an appliance that is away, or that
 * does not answer within its share of the setting `timeout` (with 3 appliances and 30 s,
 * at least 10 s each); extmem_info() says which are away, and why.
 * Errors, if no appliance answers: that of the first; -ENOTCONN, -ETIMEDOUT, ... */
int extmem_region_list(extmem *, uint64_t skip,
		       struct extmem_region_entry *ret, size_t count);

/* --- slabs and objects: selected by the client, without a message ---------- */

/* Selects a free run of `size` bytes, rounded up to pages, and stores its offset, a
 * multiple of 4096. It reads as zero if the region is tracked; otherwise its contents are
 * unspecified if it was in use before.
 * Errors: -EINVAL the size is 0 or too large. -ENOSPC no free run is long enough. -EACCES
 * this client only reads the region. */
int extmem_slab_alloc(extmem_region *, uint64_t size, uint64_t *ret_offset);
/* Frees it. Its pages leave local memory and are not written back.
 * Errors: -EINVAL no slab begins there. */
int extmem_slab_free(extmem_region *, uint64_t offset);

/* Selects `size` bytes, at least 1. The offset is a multiple of 16; if the size is a
 * power of two up to 4096, it is a multiple of the size (an object of 512 bytes is
 * aligned to 512). `alignment` asks for more: a power of two up to 2 MiB, or 0. The
 * contents are unspecified. All bookkeeping is in local memory: the call touches no
 * byte of the region.
 * Errors: -EINVAL size or alignment. -ENOSPC no room. -EACCES as above. */
int extmem_object_alloc(extmem_region *, uint64_t size, uint64_t alignment,
			uint64_t *ret_offset);
/* Any thread may free an object.
 * Errors: -EINVAL no object begins there. */
int extmem_object_free(extmem_region *, uint64_t offset);
/* The usable size, at least what was asked for.
 * Errors: -EINVAL no object begins there. */
int extmem_object_size(extmem_region *, uint64_t offset, uint64_t *ret_size);

/* --- explicit access ----------------------------------------------------- */

/* Copies `size` bytes between the region and `buffer`. Offsets need no alignment.
 * The buffer may be any memory of the process, including memory that this client has
 * mapped (not another client's). The calls agree with this client's mappings: a read
 * sees what was stored there, and a load sees what was written here. A write returns
 * when the appliance has the bytes. After an error any part of a write may have been
 * done.
 * Errors: -ERANGE not all of it lies in the region. -ENOTCONN the appliance is
 * unreachable. -ESTALE the memory is lost. -EBADMSG it is lost, because what came back
 * for a page of a sealed region is not what was sent (tampered). -ETIMEDOUT. */
int extmem_read(extmem_region *, uint64_t offset, void *buffer, size_t size);
int extmem_write(extmem_region *, uint64_t offset, const void *buffer,
		 size_t size);

struct extmem_iov {
	uint64_t offset; /* in the region */
	void *buffer;
	size_t size;
};

/* Do `count` of these, several at a time and in any order. The first error ends the
 * call. After -ERANGE nothing has been moved. */
int extmem_readv(extmem_region *, const struct extmem_iov *, size_t count);
int extmem_writev(extmem_region *, const struct extmem_iov *, size_t count);

/* Registers memory of the caller's with the providers, so that explicit calls move
 * bytes from and to it without a copy. Only some providers need that (verbs does;
 * tcp and shm do not, and the call costs nothing there). The caller still owns the
 * memory, and must neither free nor remap it before extmem_deregister(). At most 32
 * spans, which must not overlap.
 * Errors: -EINVAL the size is 0, or it is mapped external memory. -EEXIST part of it
 * is registered. -ENOSPC 32 spans are registered. -ENOMEM and others: the
 * provider's. */
int extmem_register(extmem *, void *memory, size_t size);
/* Takes the same address and size. No other thread may move bytes there meanwhile.
 * Errors: -EINVAL no such span is registered. -EBUSY an asynchronous call uses it. */
int extmem_deregister(extmem *, void *memory, size_t size);

struct extmem_completion {
	void *context; /* of the call that started the operation */
	int status;    /* what the plain call would have returned */
};

/* Start a read or a write and return. Each operation that was started gives exactly
 * one completion, through extmem_poll() or extmem_wait(). Until then the library
 * uses the buffer, and the region must not be freed. A load or store of a mapped page
 * whose bytes are being moved waits. Operations that overlap have no order.
 *
 * Operations make progress only inside these four functions: keep polling.
 *
 * Errors: -EAGAIN 4096 completions have not been collected. -EINVAL the size is 0,
 * or the buffer would need a copy: it is mapped external memory, or it is not
 * registered and the provider needs that. -ERANGE. */
int extmem_read_start(extmem_region *, uint64_t offset, void *buffer,
		      size_t size, void *context);
int extmem_write_start(extmem_region *, uint64_t offset, const void *buffer,
		       size_t size, void *context);
/* Stores up to `count` completions of this client, in any order; returns how many, 0
 * if there is none. Each completion goes to one thread. Threads: any.
 * Errors: those of every call (see the head of this file). */
int extmem_poll(extmem *, struct extmem_completion *ret, size_t count);
/* The same, but waits until there is one, for timeout_ms at most: then it returns 0. */
int extmem_wait(extmem *, struct extmem_completion *ret, size_t count,
		uint32_t timeout_ms);

/* --- mapping -------------------------------------------------------------- */

/* Maps [offset, offset + size) and stores its address. Offset and size are multiples
 * of 4096; size 0 means up to the region's end. All mappings of a region agree: byte
 * n of the region is always at extmem_region_address() + n. The first mapping makes
 * the whole region accessible, and waits until explicit calls under way have ended.
 * Mapping the same range twice needs two calls of extmem_unmap().
 * Errors: -EINVAL alignment. -ERANGE not all of it lies in the region. -ENOMEM the
 * kernel has no room (vm.max_map_count). -EBUSY another userfaultfd has the range.
 * -ETIMEDOUT. */
int extmem_map(extmem_region *, uint64_t offset, uint64_t size, void **ret);
/* Ends one mapping that was made with the same offset and size. The last one writes
 * dirty pages back first; if that fails, the region stays mapped.
 * Errors: -EINVAL no such mapping. -ENOTCONN, -ESTALE, -ETIMEDOUT. */
int extmem_unmap(extmem_region *, uint64_t offset, uint64_t size);

/* The address of offset 0. It is the same before, between and after mappings. */
void *extmem_region_address(const extmem_region *);


/* Says what the program may do with pages of a mapped region, as mprotect(2) does for
 * other memory, which must not be used here. Offset and size as for extmem_map(). A touch
 * without the right is SIGSEGV with SEGV_ACCERR and its address, wherever the page is; when
 * the program's handler returns, the instruction is repeated. A system call that is given
 * the page fails with EFAULT. The contents stay, and so does advice; pages are written back
 * whatever rights they have, and explicit calls (extmem_read() and others) are bound by
 * none. Pages have all rights again when their region is not mapped any more, and when
 * their slab is freed. To take all rights makes the pages leave local memory.
 *
 * Unlike other functions it may be called in a handler of that SIGSEGV.
 *
 * Errors: -EINVAL alignment, no such rights, or the region is not mapped. -ERANGE.
 * -ENOTSUP with paging=thread no touch can be denied. -ENOTCONN, -ETIMEDOUT (only for
 * EXTMEM_NO_ACCESS): some pages are dirty and could not leave in time; pages before the
 * first of these have the new rights. */
int extmem_protect(extmem_region *, uint64_t offset, uint64_t size,
		   enum extmem_rights);
/* How many bytes from `address` on can be loaded from, or stored to if `write` is not 0,
 * until a touch is denied. All addresses that belong to no client can.
 * Errors: -ECHILD. */
int64_t extmem_permits(extmem *, const void *address, size_t size, int write);

/* Returns when the appliances have every store to [offset, offset + size) that
 * happened before the call. Needs no alignment; size 0 means up to the region's end.
 * Errors: -ERANGE. -ENOTCONN, -ESTALE, -ETIMEDOUT not all of it was written; what was
 * not is still in local memory, and dirty. */
int extmem_sync(extmem_region *, uint64_t offset, uint64_t size);

enum extmem_level {
	EXTMEM_REMOTE = 0, /* as extmem_sync() */
	EXTMEM_DURABLE	   /* and on the disks of the appliances */
};

/* Like extmem_sync(), up to a level. EXTMEM_DURABLE is for regions that are kept with
 * extmem_region_keep_durable(). When it has returned 0 the bytes survive kill -9 of
 * everything and power cuts, but not the loss of the disk: whoever adopts the region by its
 * token finds, page by page, what was made durable last, or whole newer pages. Other threads
 * may go on writing: of a page that they write to, bytes that it had at one instant of the
 * call are kept. An explicit write to the range, or what must leave local memory for others to
 * come, may wait until the appliance has copied a piece of it (4 MiB). What has not changed since
 * it was durable costs nothing. The setting `timeout` is the time for each such piece, however
 * many there are.
 *
 * Errors: as extmem_sync(). -EINVAL the region, or a part that it has grown by, is not
 * durable. -EOPNOTSUPP its appliance has no durable store. -EIO that store has failed, as the
 * appliance's log says. After an error what was not durable before may be or not. */
int extmem_sync_level(extmem_region *, uint64_t offset, uint64_t size,
		      enum extmem_level);

/* How new what is durable of a sealed region is, as a text of its own form: with this an
 * adopter finds out if an older copy of a disk was put back (extmem_region_adopt_since()). It
 * changes with each extmem_sync_level() that made something durable.
 * Errors: -EINVAL the region is not sealed and durable. */
#define EXTMEM_ROOT_SIZE 64
int extmem_region_root(extmem_region *, char ret_root[EXTMEM_ROOT_SIZE]);

enum extmem_advice {
	EXTMEM_NORMAL = 0, /* detect the pattern */
	EXTMEM_SEQUENTIAL, /* read far ahead */
	EXTMEM_RANDOM,	   /* do not read ahead */
	EXTMEM_WILLNEED,   /* fetch now, as much as free local memory holds */
	EXTMEM_DONTNEED,   /* drop the contents: the range now reads as zero */
	EXTMEM_COLD	   /* write back and leave local memory; contents stay */
};

/* Says how a range will be used. Offset and size as for extmem_map().
 * Errors: -EINVAL alignment, no such advice, or (except for EXTMEM_DONTNEED) the region
 * is not tracked: it has never been mapped, and was allocated without EXTMEM_TRACKED.
 * -ERANGE. -ENOTCONN, -ESTALE, -ETIMEDOUT (not for EXTMEM_WILLNEED: it does what it
 * can in time). */
int extmem_advise(extmem_region *, uint64_t offset, uint64_t size,
		  enum extmem_advice);

/* Brings all pages of [address, address + size) into local memory, writable if
 * `write` is not 0, and keeps them there until extmem_unpin(). The kernel can use
 * them then. Memory that is not mapped external memory counts as pinned. Pins are
 * counted for each page. At most half of the local memory can be pinned at once.
 *
 * Returns how many bytes from `address` on are pinned: less than `size` if no more
 * could be. Example: with 64 MiB of local memory, extmem_pin() of 100 MiB returns a
 * little less than 32 MiB. Use that part, unpin it, and pin the next.
 * It ends at a page that has not the right (extmem_protect()); a page that is deprived of
 * it while it is pinned is pinned no longer.
 * Errors: -ENOMEM nothing could be pinned, since half of the local memory is. -EFAULT the
 * first page has not the right.
 * -ENOTCONN a page is lost. -ETIMEDOUT. */
int64_t extmem_pin(extmem *, const void *address, size_t size, int write);
/* Takes back one extmem_pin(); `size` is what that returned. */
void extmem_unpin(extmem *, const void *address, size_t size);
/* 1 if the address lies in memory that this client has mapped, else 0. */
int extmem_contains(const extmem *, const void *address);

/* Write notification, for snapshots and logs of changes. `change` is called before
 * pages become writable, with their contents so far (NULL: all zeros). `changed` is
 * called after they have become writable. A page that stays writable is reported
 * once; it is reported again after it was written back or has left local memory.
 *
 * The functions are called on the thread that serves the fault, with locks held and
 * signals blocked. They must not call this library, and must not touch mapped memory
 * except `contents`. A client has one watch: a call replaces it, NULL removes it, and
 * when the call returns the old functions are not called any more.
 * Errors: -EINVAL the struct's size is wrong. */
struct extmem_watch {
	uint64_t size; /* sizeof(struct extmem_watch) */
	void (*change)(void *context, void *address, const void *contents,
		       size_t pages);
	void (*changed)(void *context);
	void *context;
};
int extmem_watch(extmem *, const struct extmem_watch *watch);

/* Another key for sealed regions, while the program goes on: the setting seal_key is read
 * again (random bytes are new ones), pages are sealed under the new key from now on, and what
 * lies at appliances under the former one is read and sealed again. Takes as long as that; a
 * part that takes longer than the setting `timeout` ends it. After 0 the former key is
 * wiped; after a failure both may be in use, and the next call goes on.
 * Errors: -EINVAL nothing is sealed; -EBUSY another thread has called it; of the key
 * -ENOENT, -EACCES, -EINVAL; -ETIMEDOUT, -ENOTCONN an appliance does not answer;
 * -EOPNOTSUPP a sealed region is kept durable; -ENOSPC the client has met 256 keys. */
int extmem_seal_renew(extmem *);

/* Raises the limit of local memory to `size`. A size below the limit changes
 * nothing.
 * Errors: -EINVAL more than the settings `local` and `local_max` allow. */
int extmem_local(extmem *, uint64_t size);

/* --- appliances and leases ---------------------------------------------------- */

/* Tells an appliance to drain (on 1): to lend nothing more, and its clients to move what
 * they have there to their other appliances; or to lend again (on 0). It returns at once;
 * extmem_status() says what is still `leased`.
 * Errors: as extmem_status(); -ESTALE it has begun again meanwhile. */
int extmem_drain(const char *appliance, uint32_t on, uint32_t timeout_ms);

/* Tells an appliance how many bytes its pool is to have: to lend nothing beyond that, to
 * give what is free there to its host, and its clients to move what they have there. Or to
 * grow again, up to what it began with. The size is rounded up to the host's pages. It
 * returns at once; in extmem_status(), `goal` is that size, `pool` what it has still, and
 * `wanted` what clients have beyond the goal.
 * Errors: as extmem_drain(); -EINVAL more than it began with. */
int extmem_shrink(const char *appliance, uint64_t size, uint32_t timeout_ms);

/* What proves to an appliance that a process is this client. Whoever has it can end
 * the client's lease, also while the client lives: keep it secret. */
struct extmem_lease {
	char appliance[128];  /* address */
	uint64_t client;      /* the appliance's number for the client */
	uint64_t incarnation; /* of the appliance */
	uint8_t secret[16];
};

/* Stores up to `count` leases of this client, one for each appliance that knows it,
 * and returns how many. Ask again after an appliance has restarted. Threads: any.
 * Errors: those of every call. */
int extmem_leases(extmem *, struct extmem_lease *ret, unsigned count);
/* Ends the lease of a client whose process is gone, so that its memory is free at
 * once and not only when the lease runs out. Any process may call it.
 * Errors: -ESTALE it has ended already. -EINVAL that is no lease. -ETIMEDOUT,
 * -ENOTCONN, ...: the lease will end by itself. */
int extmem_lease_end(const struct extmem_lease *, uint32_t timeout_ms);

#include "extmem_figures.h"
#include "extmem_share.h"
#include "extmem_strategy.h"

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
