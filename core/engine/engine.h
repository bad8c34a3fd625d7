/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine: one lane. It carries events to a pager and the paths below it,
 * and their effects to the transports and the mapper. First floor: no thread,
 * no lock, no clock (`now` is handed in), no system call but through the two
 * vtables; the caller holds the lane's lock.
 *
 * A lane serves the pages of the arena that are its share; each has its own
 * pager machine, connections and staging area, so lanes share nothing but the
 * volume's table, which changes only while all lanes are locked.
 *
 * Engine time. Machines measure waiting in time during which somebody looked:
 * a gap of more than XM_ENGINE_GAP between two turns counts as that much, so
 * that a process that was stopped does not take its own pause for the death
 * of others. The silence of a peer counts XM_ENGINE_LOOK of a gap at most: what was
 * posted since the last turn, or answered, is seen in the next one.
 *
 * Posting. The pager's reads and writes and explicit ones go the same way
 * (engine_post.c): the volume says which transport operations they are, the
 * engine posts these and reports their ends. Every operation has an entry in a
 * table; its token is the entry's index and a generation. The end of the pager's
 * operations is an event for the pager; completions of explicit ones are queued
 * for the skin to collect.
 */
#ifndef XM_ENGINE_H
#define XM_ENGINE_H

#include "common/base.h"
#include "core/pure/code.h"
#include "core/pure/mapper.h"
#include "core/pure/pager.h"
#include "core/pure/path.h"
#include "core/pure/print.h"
#include "core/pure/seals.h"
#include "core/pure/transport.h"
#include "core/pure/versions.h"
#include "core/pure/volume.h"

#define XM_ENGINE_GAP (100 * XM_MS)
/* Who waits looks more often (wait.c), and two looks see no shorter silence than the
 * shortest after which a path is given up. */
#define XM_ENGINE_LOOK (25 * XM_MS)
_Static_assert(2 * XM_ENGINE_LOOK <= XM_PATH_HANG_AWAY, "one gap drops nobody");

/* Runs of pages that a lane mends at once, and how long they are. */
#define XM_MEND_SLOTS 4
#define XM_MEND_PAGES 8
#define XM_ENGINE_LEDGER_SIZE 512 /* bytes written by xm_engine_post_far(), most */
#define XM_ENGINE_LEDGER_PAGES \
	(XM_APPLIANCES_MAX * XM_ENGINE_LEDGER_SIZE / 4096)
/* Registered memory that a lane needs besides, where segments have several members or
 * are sealed. */
#define XM_ENGINE_ASIDE_PAGES \
	(XM_ENGINE_LEDGER_PAGES + XM_MEND_SLOTS * XM_MEND_PAGES)

struct xm_engine_options {
	struct xm_pager_options pager;
	uint64_t page_size;
	uint64_t block_pages; /* consecutive pages of one lane; power of two */
	uint32_t depth;	      /* operations outstanding, most */
	uint64_t loss_ns;
	const struct xm_mapper_ops *mapper_ops;
	struct xm_mapper *mapper;
	const struct xm_seal_ops *seal_ops; /* for segments that are sealed */
	struct xm_seal *seal;
	/* If that is not plain: for pager.pages_max pages; all lanes share it. */
	struct xm_seal_entry *seal_table;
	const struct xm_code_ops *code_ops; /* xm_code_plain */
	const struct xm_code *code;
	struct xm_volume *volume;
	uint32_t members_max; /* of a segment; 0 is 1 */
	/* If pager.prints. */
	const struct xm_print_ops *print_ops;
	const struct xm_printer *printer;
	uint8_t *staging; /* xm_pager_staging_pages() pages, page aligned */
	/* If members_max > 1 or something is sealed: XM_ENGINE_ASIDE_PAGES, likewise. */
	uint8_t *aside;
	uint32_t lane;		/* as traces name it */
	uint32_t lanes;		/* that share the volume; 0 is 1 */
	struct xm_trace *trace; /* or NULL */
};

enum xm_operation_kind {
	XM_OPERATION_FREE,
	XM_OPERATION_FETCH,
	XM_OPERATION_STORE,
	XM_OPERATION_USER,
	XM_OPERATION_MEND,
	XM_OPERATION_FAR,
};

struct xm_operation {
	enum xm_operation_kind kind;
	uint32_t generation;
	uint32_t next, previous; /* oldest first, per appliance; or free */
	uint32_t appliance;
	uint32_t staging_index, count;
	uint64_t token; /* USER: the skin's; MEND: the slot; FAR: the appliance */
	uint64_t posted_ns;
	uint64_t begun_ns; /* before that, if it was held for want of room */
	uint32_t effort; /* of which it is a part; XM_NO_EFFORT: it is of none */
	uint8_t member, taken;
	bool several; /* its segment has several members: page is set */
	bool sealed; /* a read whose pages are to be opened; the next two are set */
	uint8_t *local;
	uint64_t page;
};

struct xm_completion {
	uint64_t token;
	int status;
};

/* What is to be moved, between the volume and local memory. Whole pages for the
 * pager; bytes for explicit operations. */
struct xm_move {
	enum xm_operation_kind kind;
	bool write, scattered;
	uint8_t *local;
	uint32_t staging_index, count; /* FETCH, STORE: pages there */
	uint64_t token;	      /* USER, MEND, FAR */
};

/* Parts of one write to several members for which there was no room; see engine_post.c. */
struct xm_held {
	uint32_t count; /* of posts.list */
	uint32_t effort;
	uint64_t begun_ns;
	struct xm_move move;
	struct xm_volume_posts posts;
	struct xm_remote_mr remotes[XM_MEMBERS_MAX];
};

/* A run of pages that is being mended; see engine_mend.c. */
enum xm_mend_state {
	XM_MEND_FREE,
	XM_MEND_READS,
	XM_MEND_READ, /* or that has failed */
	XM_MEND_WRITES,
	XM_MEND_WRITTEN,
	XM_MEND_STORES, /* the pager stores it */
};

struct xm_mend_slot {
	enum xm_mend_state state;
	uint64_t page;
	uint32_t count, left; /* writes that have not ended */
	int status;
	bool torn;
	uint32_t changes; /* of the volume, when it was written */
	/* Sealed: from which member it was read, and which have it wrong (a bit each); and
	 * whether it is the page's former version. */
	uint8_t member, wrong;
	bool former;
};

struct xm_mend {
	struct xm_mend_slot slots[XM_MEND_SLOTS];
	bool sweeps;
	uint32_t number; /* of the sweep that was begun last */
	uint64_t cursor, again; /* pages; again: the first that has failed */
	uint64_t again_limit;	/* behind the last that has */
	uint64_t misses, missed_ns, rest_ns;
	uint64_t bytes; /* mended, ever */
};

/* A write to memory that is in no segment. */
struct xm_far {
	enum { XM_FAR_IDLE, XM_FAR_FLIES, XM_FAR_ENDED } state;
	int status;
};

/* Functions that the engine calls before and after it makes pages writable.
 * `contents` are the bytes of these pages until now (NULL: zeros), in the staging
 * area or in the pages themselves; they are valid until change() returns. */
struct xm_engine_watch {
	void (*change)(void *context, void *address, const void *contents,
		       size_t pages);
	void (*changed)(void *context);
	void *context;
	uint8_t *base; /* the address of page 0 */
};

/* One appliance as a lane sees it. */
struct xm_lane_peer {
	const struct xm_transport_ops *ops;
	struct xm_transport *transport;
	struct xm_transport_limits limits;
	struct xm_path path;
	uint32_t peer;
	bool connected; /* peer is valid */
	bool ready;	/* its session can ask for tickets; set by the keeper */
	bool gone;	/* nobody listens there any more; likewise */
	bool ask;	/* a ticket is wanted; cleared by the skin */
	uint32_t oldest, newest, flying;
	uint64_t progress_ns;
	uint64_t excused_ns; /* it counts as silent from then on, at the earliest */
	/* For how long it is known to have refused all posts, and when it did
	 * last. */
	uint64_t refused_for_ns, refused_last_ns;
};

struct xm_engine_counters {
	uint64_t reads, writes, bytes_read, bytes_written;
	uint64_t errors;
	uint64_t bad_tags; /* sealed pages that came and were not what was sealed */
	uint64_t tampered; /* of these: no member had a right one: they are lost */
};

struct xm_engine {
	struct xm_engine_options options;
	struct xm_engine_counters counters;
	struct xm_pager pager;
	struct xm_lane_peer peers[XM_APPLIANCES_MAX];
	uint32_t peers_count;
	struct xm_operation *operations;
	uint32_t operations_max;
	uint32_t operations_free;
	struct xm_completion *completions; /* ring of depth entries */
	uint32_t completions_first, completions_count;
	uint32_t users; /* explicit operations outstanding */
	/* Rises when something happens that may change the verdict of an event
	 * that was answered WAIT. It does not rise when only time passes, so a
	 * waiter also asks again by itself. */
	uint32_t turns;
	bool eager; /* a transport took no more: try again soon; its user clears it */
	uint64_t clock_ns, seen_ns;
	uint64_t tick_ns; /* engine time of the last tick */
	uint64_t again_ns; /* and when failed stores were tried again */
	uint32_t changes; /* of paths' states */
	/* At the last retry every path that failed stores need was down. While
	 * the two counts below have not changed either, another retry is
	 * useless. */
	bool again_futile;
	bool again_reached; /* one of them was up */
	uint32_t again_changes, again_volume;
	struct xm_volume_io io;
	struct xm_held held;
	struct xm_mend mend;
	struct xm_far far[XM_APPLIANCES_MAX];
	bool sealing;	  /* seal_ops is not plain */
	uint8_t *scratch; /* if sealing, or pager.prints: one page */
	struct xm_seals seals;
	const struct xm_engine_watch *watch; /* or NULL */
	xm_marks *marks; /* of what was stored (versions.h); or NULL */
	struct xm_pager_effects effects; /* of the event that was sent last */
	/* The effects of events that the pager gets while `effects` are carried
	 * out: FETCHED and STORED have none, REFUSED only poisons. */
	struct xm_pager_effects nested;
	struct xm_pager_event ended; /* FETCHED, STORED; else it is zeros */
};

size_t xm_engine_memory_size(const struct xm_engine_options *);
/* `memory` as pager.h says: zeroed, lazily backed. */
void xm_engine_init(struct xm_engine *, const struct xm_engine_options *,
		    void *memory, uint64_t now_ns);
/* The transport is open, and the staging area registered there. */
void xm_engine_add(struct xm_engine *, const struct xm_transport_ops *,
		   struct xm_transport *);

/* Sets the watch of this lane; NULL: none. The struct stays the caller's, and is
 * used until another one is set. */
void xm_engine_watch(struct xm_engine *, const struct xm_engine_watch *);

/* Marks the blocks of which it stores pages from now on. They stay the caller's. */
void xm_engine_mark(struct xm_engine *, xm_marks *);

/* Takes in what has completed; paths and failed stores too, when a tick is
 * due. Returns true when anything happened. */
bool xm_engine_turn(struct xm_engine *, uint64_t now_ns);
/* The answer to peers[appliance].ask. `locator` NULL: refused. */
void xm_engine_ticket(struct xm_engine *, uint32_t appliance,
		      const struct xm_locator *, const uint8_t *ticket);
/* A fault, or its repetition. since_ns: engine time of its first. */
enum xm_verdict xm_engine_fault(struct xm_engine *, uint64_t page, bool write,
				bool again, uint64_t since_ns);
/* A range, or other event of the pager, whose effects are carried out; fill
 * in everything but now. The verdict, next and seq are in effects. The range
 * must lie within one block. */
enum xm_verdict xm_engine_event(struct xm_engine *, struct xm_pager_event *);
/* What one explicit operation at this byte of the arena can move, most: to the
 * end of its segment, and no more than the transport moves at once. 0: there is
 * no segment. */
uint64_t xm_engine_most(struct xm_engine *, uint64_t address);
/* Posts an explicit operation at a byte of the arena; it may be shorter than
 * asked: returns the bytes accepted, or -EAGAIN, -ENOTCONN, -ERANGE.
 * Completed through xm_engine_completion() with `token`.
 *
 * In a sealed segment only whole pages can be moved (else -EINVAL), and a write
 * seals the bytes in `local`: if it fails after it was posted, the caller fills
 * `local` again before it repeats the write. */
int64_t xm_engine_post(struct xm_engine *, bool write, uint64_t address,
		       void *local, uint64_t size, uint64_t token);
/* Pops one; false when there is none. */
bool xm_engine_completion(struct xm_engine *, struct xm_completion *ret);
/* The first page of [page, limit) of which a touch would be denied, or `limit`. */
uint64_t xm_engine_permitted(struct xm_engine *, uint64_t page, uint64_t limit,
			     bool write);
/* The end of the run of pages from `page` on that are all fresh, or none of which is,
 * within [page, limit). Pages without memory are fresh. */
uint64_t xm_engine_alike(struct xm_engine *, uint64_t page, uint64_t limit,
			 bool *ret_fresh);
/* Has the mapper this page? */
bool xm_engine_attached(struct xm_engine *, uint64_t page);
/* Is the page lost because what came back was not what was sealed? */
bool xm_engine_is_tampered(const struct xm_engine *, uint64_t page);
/* Of a sealed segment: is the page under another key than pages that are sealed now? */
bool xm_engine_is_old(const struct xm_engine *, uint64_t page);
/* Can bytes at this page be reached? */
enum xm_reach xm_engine_reach(struct xm_engine *, uint64_t page);
/* Drops the connection to the page's appliance, which ends all operations
 * outstanding there. For a call whose deadline has passed: the transport stops
 * using the caller's memory. */
void xm_engine_cut(struct xm_engine *, uint64_t page);
/* The memory that `appliance` lent under leases before `lease` is gone: members
 * there become LOST, and this lane's pages of segments without a member IN are
 * lost. */
void xm_engine_lose(struct xm_engine *, uint32_t appliance, uint32_t lease,
		    uint32_t lane, uint32_t lanes);
/* Likewise this extent alone. */
void xm_engine_revoke(struct xm_engine *, uint32_t appliance, uint64_t extent,
		      uint32_t lane, uint32_t lanes);
/* Begins sweep `number`, which copies to FILLING members what they lack, in the
 * engine's turns. It has ended when mend.number == number and !mend.sweeps. */
void xm_engine_sweep(struct xm_engine *, uint32_t number);
/* A member of these pages is new, and lacks all that was ever written. */
void xm_engine_stale(struct xm_engine *, uint64_t page, uint64_t limit);
/* Bytes that the sweep has not come to, about: lanes have equal shares. */
uint64_t xm_engine_unswept(const struct xm_engine *);
/* Is anything being mended? */
bool xm_engine_mends(const struct xm_engine *);
/* Has this sweep, or one that came after it, copied all that members which are FILLING lack
 * of these pages? */
bool xm_engine_filled(const struct xm_engine *, uint32_t sweep, uint64_t page,
		      uint64_t limit);
/* Writes up to XM_ENGINE_LEDGER_SIZE bytes to memory at an appliance; one write there at
 * a time, whose end is in far[appliance], which the caller sets to IDLE again. 0;
 * -EAGAIN, -ENOTCONN. Needs `aside`. */
int xm_engine_post_far(struct xm_engine *, uint32_t appliance,
		       const struct xm_remote_mr *, uint64_t offset,
		       const void *bytes, uint32_t size);
/* Is anything under way at the appliance that was begun at this engine time, or before? */
bool xm_engine_flies_since(const struct xm_engine *, uint32_t appliance,
			   uint64_t posted_ns);
/* Operations outstanding. */
uint32_t xm_engine_flying(const struct xm_engine *);
uint64_t xm_engine_clock(const struct xm_engine *);

#endif
