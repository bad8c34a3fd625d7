/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extmem: regions that outlive their client, that move to another client without their
 * bytes being copied, or that other clients read. extmem.h includes this header: include
 * that one, whose first lines say what holds for all calls.
 *
 * A token is a short text ("extmem1-00112233-..."). Whoever has it may become the owner
 * of the region that it stands for, once, in its time, if it can reach the appliances.
 * Keep it as secret as the data, and paste it wherever it is needed.
 *
 *	the first client			the second one
 *	extmem_region_hand_over(region,
 *				NULL, token);
 *			--- token, by whatever way --->
 *						extmem_region_adopt(x, token, 0,
 *								    &region);
 */
#ifndef EXTMEM_SHARE_H
#define EXTMEM_SHARE_H

#define EXTMEM_TOKEN_SIZE 64 /* bytes, with its NUL */
#define EXTMEM_FOR_EVER UINT64_MAX

struct extmem_hand_over {
	uint64_t size; /* sizeof(struct extmem_hand_over) */
	/* How long the token is good for; 0: 60,000. Then the memory is free. */
	uint64_t ms;
	/* Who alone may adopt the region: a name in a certificate (extmem-auth(1)), or
	 * uid:N. NULL: anybody. */
	const char *identity;
};

/* Parts with a region: writes back what is dirty, and leaves the bytes at the appliances
 * for whoever has the token. From then on nothing of this client can reach them; its cached
 * copy is dropped, calls on the region are -ESTALE in words, and a touch of a mapping is
 * SIGBUS. The handle is freed as ever, with extmem_region_free(), which frees none of these
 * bytes; and nothing is lost when the client is closed. NULL for the options is the
 * defaults. This client can adopt the region back by its token, whatever the identity.
 *
 * What goes along: the bytes, the size, and the name. Tables of slabs and objects do not:
 * the new owner gets the whole region as one slab at offset 0, so keep what is needed to
 * find them (offsets) in the region itself.
 *
 * Threads: no other thread may use the region meanwhile. A store to a mapping that comes
 * too late is SIGSEGV or SIGBUS, not lost.
 *
 * It takes at most twice the setting `timeout`, as zeros are written where something was
 * discarded.
 *
 * After an error the region is as it was, and stays this client's: it takes back what it
 * had parted with. But after -EINPROGRESS it is half handed over, because an appliance
 * does not answer: call this again, until it is done, or free the region. Errors: -ENOTSUP
 * it is sparse; or it is sealed and durable, or was not requested with
 * EXTMEM_SEALED_DURABLE. -ENOKEY it is sealed, and the client has no seal_key. -ENOSPC so much may not be kept for longer than an hour at an
 * appliance (kept-percent in extmemd(8)). -EINVAL the options. -EBUSY an earlier shrink
 * timed out, or parts of it share an extent. -ENOTCONN, -ETIMEDOUT an appliance of it does
 * not answer. -ESTALE (some of) it is lost. -EOPNOTSUPP an appliance does not serve this. */
int extmem_region_hand_over(extmem_region *, const struct extmem_hand_over *,
			    char ret_token[EXTMEM_TOKEN_SIZE]);

/* The region is kept under its token at once, as by extmem_region_keep() for as long as the
 * token was good for: at no time would its bytes go with this client. Call
 * extmem_region_keep() to keep it for longer, and to hear whether all appliances know. */
#define EXTMEM_ADOPT_KEPT 1

/* Becomes the owner of the region of a token, by asking all appliances of this client. It
 * has its size and its name, and its bytes are those that were written last. Nothing is
 * read yet: pages come as they are touched. All of it is one slab at offset 0 (see
 * above). Flags: EXTMEM_ADOPT_KEPT, or 0: the token is used up.
 *
 * If it fails, what was claimed waits under the token again. Errors: -EINVAL that is no
 * token. -ENOENT nothing waits under it at the appliances of this client: it was used, its
 * time is over, an appliance began again, or it is another's. -ENODATA a part of the region
 * is missing, and the words say which. -EBUSY the region has an owner, which lives. -EACCES
 * it waits for a client of another name. -ENOTSUP it has more copies than this client could
 * serve: set a strategy with mirrors; or it is to be kept, and has more than one, or is sealed
 * and not durable. -EUCLEAN a disk has
 * lost too much of it, or some of what a sealed one is opened with. -ENOSPC, -ENOMEM,
 * -ETIMEDOUT, -ENOTCONN as for extmem_region_alloc(). */
int extmem_region_adopt(extmem *, const char *token, uint64_t flags,
			extmem_region **ret);

/* Likewise, of a sealed region, if it is at least as new as when extmem_region_root() gave
 * this root; NULL: however old. (A client that has had the region remembers how new it was,
 * and looks by itself.)
 * Errors: also -EBADMSG an appliance has an older state of it, as of an older copy of its
 * disk; or its seals do not open. -ENOKEY the client has no seal_key. -EINVAL the root is none,
 * or another region's. */
int extmem_region_adopt_since(extmem *, const char *token, const char *root,
			      uint64_t flags, extmem_region **ret);

/* Keeps a region beyond this client's end, whether it closes, is killed, or is not heard of
 * for a lease: its bytes then wait for `ms` (EXTMEM_FOR_EVER) to be adopted by the token. 0:
 * it is not kept any more, and no token stands for it. As long as this client lives the
 * token gives nothing to anybody. What was written back is there (extmem_sync(), or an
 * explicit write): what was only stored may be or not, and what was discarded may have its
 * old contents. The token stays the same for as long as the region is kept: when it is
 * resized, and when its memory moves to another appliance because one drains or shrinks.
 * If extmem_region_resize() or extmem_region_hand_over() fails, call this again.
 *
 * Errors: -ENOTSUP it is sparse or sealed, or has several copies, which a crash can leave
 * unequal. -ENOSPC as for extmem_region_hand_over(). -EOPNOTSUPP, -ENOTCONN, -ETIMEDOUT,
 * -ESTALE as above; it may be kept in parts then: call it again. */
int extmem_region_keep(extmem_region *, uint64_t ms,
		       char ret_token[EXTMEM_TOKEN_SIZE]);

/* Likewise, beyond the appliance's end too: with an extmemd that has a store (--store) the
 * region waits under its token after the appliance, or its machine, has ended in whatever
 * way. Its bytes are then those of the last extmem_sync_level(EXTMEM_DURABLE), page by page;
 * those that never were durable read as zero. The time begins anew when the appliance does.
 *
 * The token stays good: who adopts the region by it has a region that is durable, and that
 * waits under the same token again when that client ends. So a program keeps one token for
 * as long as it keeps the data; extmem_region_free(), or extmem_region_keep() with 0, ends it.
 * A durable region cannot shrink, and its memory does not move when its appliance drains. One
 * that is handed over is not durable any more.
 *
 * A sealed region must have been requested with EXTMEM_SEALED_DURABLE, by a client with a
 * seal_key: who adopts it needs the same key.
 *
 * Errors: as above. -EOPNOTSUPP also: an appliance of it has no store. -EIO its store has
 * failed. -ENOKEY it is sealed, and the client has no seal_key. */
int extmem_region_keep_durable(extmem_region *, uint64_t ms,
			       char ret_token[EXTMEM_TOKEN_SIZE]);

/* --- one writer, any number of readers ---------------------------------------------
 *
 *	the writer				each reader
 *	extmem_region_share(region, NULL, token);
 *			--- token, by whatever way --->
 *						extmem_region_open(x, token, 0, &region);
 *						extmem_map(region, ...), extmem_read(), ...
 *	... stores ...
 *	extmem_region_release(region);
 *			--- by whatever way: it is done --->
 *						extmem_region_acquire(region);
 *
 * What is promised (release consistency): after an acquire, each byte that a reader reads is
 * what the writer had stored before a release that ended before the acquire began, or what
 * it has stored since. Without an acquire a reader may see what is old for as long as it
 * likes. Bytes that the writer stores to between that release and the read may be any mix
 * of old and new ones, byte by byte: a page is whole and exact if nothing was stored to it
 * from its last release until it was read. So tell readers, by whatever way, when they may
 * read, and wait for them before you store again; or let what can change meanwhile carry a
 * check of its own.
 *
 * No reader asks the writer's machine for anything: which parts have changed lies at the
 * appliance, in blocks of 2 MiB. */

struct extmem_share {
	uint64_t size; /* sizeof(struct extmem_share) */
	/* How long readers may come by the token; 0: 60,000; EXTMEM_FOR_EVER. Those who
	 * have come may stay. */
	uint64_t ms;
	/* Who alone may read: a name in a certificate (extmem-auth(1)), or uid:N. NULL:
	 * anybody who has the token. */
	const char *identity;
};

/* Lets other clients read a region, any number of them by one token, while it is this
 * client's. What was stored before is released. Called again it gives the same token, with
 * this time and identity. NULL for the options is the defaults.
 *
 * It ends by extmem_region_revoke(), by freeing the region, and with this client, however
 * that ends; readers then get -ESTALE, or SIGBUS for a page that they do not have. Until
 * then the region keeps its size, cannot be handed over or be kept (keep it before), and
 * its memory does not move when its appliance drains, nor is a copy that is lost made anew. It
 * takes 16 bytes of memory at an appliance for each 2 MiB, rounded up to what appliances lend;
 * with several copies, at each copy's.
 *
 * Threads: any. It takes at most the setting `timeout`. Errors: -ENOTSUP it is sparse
 * or sealed, or has more than 2048 copies of parts. -EOPNOTSUPP an appliance does not
 * serve this. -EACCES it is another's. -EINVAL the options. -EBUSY an earlier shrink timed out, or parts of it share an
 * extent. -ENOSPC, -ENOMEM, -ENOTCONN, -ETIMEDOUT, -ESTALE as for extmem_region_alloc(); it
 * is then shared as it was before. */
int extmem_region_share(extmem_region *, const struct extmem_share *,
			char ret_token[EXTMEM_TOKEN_SIZE]);

/* Nobody else reads it any more: from its return on no key of a reader opens the region. 0
 * too if it was not shared. Errors: -ENOTCONN, -ETIMEDOUT an appliance of it does not answer,
 * or a reader's connection does not end: it may be read still; call it again. */
int extmem_region_revoke(extmem_region *);

/* Writes back what is dirty, and then tells readers which parts have changed since the last
 * release, by one write. Stores of other threads at the same time may be in it or not. Of a
 * region that is not shared it is extmem_sync() of all of it.
 *
 * Threads: any. It takes at most twice the setting `timeout`. Errors: as extmem_sync();
 * -EACCES it is another's. After an error the next release makes up for it. */
int extmem_region_release(extmem_region *);

/* Opens a region to read it, by the token of extmem_region_share(), which stays good. The
 * region has its size and its name; it is mapped and read like any other, and pages come as
 * they are touched. It ends by extmem_region_free(), which frees nothing of the writer's.
 *
 * A store to its mapping is SIGSEGV, and every call that would change it is -EACCES; if a
 * program gets past that, the appliance refuses the bytes. With paging=thread, which cannot
 * deny a store, it cannot be mapped (-ENOTSUP), and is read by extmem_read().
 *
 * Errors: -EINVAL that is no token, or flags other than 0. -ENOENT nothing is shared by it
 * at the appliances of this client: its time is over, its writer has ended that, or has
 * ended. -EACCES it is for a client of another name. -EBUSY this client has it open. -ENODATA,
 * -ENOTCONN a part of it is at an appliance that this client is not connected to, or that is
 * away. -ENOSPC there are as many readers as there can be, or regions.
 * -EPROTO what stands at the appliances under this token contradicts itself.
 * -EOPNOTSUPP the appliance's transport cannot let a client read alone (ofi+shm), or it does
 * not serve this. -ENOMEM, -ETIMEDOUT, -ESTALE as for extmem_region_alloc(). */
int extmem_region_open(extmem *, const char *token, uint64_t flags,
		       extmem_region **ret);

/* From now on this reader sees what was released before this call began: it asks the
 * appliance, by one read, which blocks of 2 MiB have changed, and forgets these. What it
 * reads of them next comes anew.
 *
 * Threads: any; but no other thread may have memory of the region in a system call, which
 * may return EFAULT. It takes at most twice the setting `timeout`. Errors: -ESTALE the region
 * is gone, because its writer has ended, freed it, or shares it no more, or because an
 * appliance began again: free it; or the copies that this client has found are not right any
 * more, and the words say so: free it, and open it anew. -ENOTCONN, -ETIMEDOUT its appliance
 * does not answer; of several, one that may have newer bytes does not: the reader keeps what
 * it saw, and may try again after the writer's next release. -EINVAL it is this client's own. */
int extmem_region_acquire(extmem_region *);
/* Makes a region with the bytes that this one has at one moment of the call, by copying them
 * at its appliances, without a byte of them passing this client. The call returns in
 * milliseconds, and both can be used at once: each has the bytes of that moment, and what is
 * stored to one from then on is not in the other. Stores that other threads make during the
 * call are in the copy or not, each page's whole or not at all.
 *
 * The bytes follow while the program runs, up to 2 MiB at a time. Until a part has been
 * copied, a store to it in the region waits, as does every touch of it in the copy; parts for
 * which somebody waits go first. A call that changes the memory of either (extmem_region_free()
 * of the region, _resize(), _hand_over(), _share(), _keep(), another copy) first waits for
 * the rest, for half of the setting `timeout` at most. What has not been copied by then is lost to the copy:
 * its pages are as after any loss (extmem_lost()), and the region has all of its own. So is
 * what is left when nothing could be copied for the whole of `timeout`, because an appliance
 * does not answer: then the stores go on.
 *
 * The copy takes as much memory as the region, at the same appliances. Its name is `name`;
 * NULL is none. It is not mapped, and like an adopted region it is one slab at offset 0.
 *
 * Where the region has several copies at several appliances, so has the new one; a copy whose
 * appliance ends meanwhile is made anew as those of the region are.
 *
 * Threads: any. Errors, with nothing changed: -ENOTSUP the region is sparse or sealed. -EBUSY
 * pages of it are pinned or registered for writing, it is shared, a part of it moves, one of
 * several copies is missing or is being made whole, an earlier shrink timed out, or the
 * connection broke under an explicit write that is being repeated. -EACCES it is another's.
 * -ENOSPC, -EDQUOT an appliance of it has not so much memory. -EOPNOTSUPP one does not
 * serve this. -ENOMEM, -ENOTCONN, -ETIMEDOUT, -ESTALE as for extmem_region_alloc(). */
int extmem_region_copy(extmem_region *, const char *name, extmem_region **ret);

/* Frees a piece of memory that has no owner and waits for a token: `extent` is what
 * extmem_region_list() and extmem_status_regions() say of an entry whose client is 0. For
 * who looks after the appliance: nothing brings these bytes back, and the rest of the region
 * is of no use then. A region has a piece at each of its appliances, at least.
 *
 * Threads: any. It takes at most timeout_ms. Errors: as extmem_drain(); -EPERM nothing
 * waits under this number, or others may decide about it (tenants in extmemd(8)). */
int extmem_orphan_free(const char *appliance, uint64_t extent, uint32_t timeout_ms);

#endif
