/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace: all trace points of extmem, a ring of records, and their text.
 *
 * A machine records each decision as a binary record of 48 bytes. The owner of the ring
 * may write the records as sentences, for example
 *
 *	pager.fetch: page 7 is fetched into buffer 2, 1 in all
 *
 * A hash runs over all records. The simulator compares it: two runs of one seed have
 * taken the same decisions exactly if their hashes are equal.
 *
 * One thread at a time for each ring; the owner hands it its memory. Nothing fails.
 * Floor: ground.
 */
#ifndef XM_TRACE_H
#define XM_TRACE_H

#include "common/base.h"

/*
 * X(IDENTIFIER, name, sentence). The sentence names its fields in the order
 * a, b, c, d, as {name} or {name:form}, with these forms:
 *   (none)  decimal          hex    0x1f           bytes  64 KiB, 4097 B
 *   ns      1.5 ms           error  ENOSPC (28)    -- of a negative errno
 *   bool    yes or no        page  a page's state, in a word
 * Add a point at the end of its machine's block. A point is a decision taken or a
 * fact learned, not a line of code reached.
 */
#define XM_TRACE_POINTS(X)                                                    \
	X(SESSION_CONNECTING, "session.connecting",                           \
	  "appliance {appliance} is called")                                  \
	X(SESSION_GREETED, "session.greeted",                                 \
	  "appliance {appliance} is greeted as client {client:hex}")          \
	X(SESSION_READY, "session.ready",                                     \
	  "appliance {appliance} is ready: incarnation {incarnation:hex}, "   \
	  "lease {lease:ns}")                                                 \
	X(SESSION_AWAY, "session.away",                                       \
	  "appliance {appliance} is away: {status:error}")                    \
	X(SESSION_LOST, "session.lost",                                       \
	  "appliance {appliance} does not know client {client:hex} any "      \
	  "more: what was held there is lost")                                \
	X(SESSION_REFUSED, "session.refused",                                 \
	  "appliance {appliance} refused request {request}: {code:error}")    \
	X(SESSION_ALLOCATED, "session.allocated",                             \
	  "appliance {appliance} gave extent {extent:hex} of {size:bytes}, "  \
	  "epoch {epoch}")                                                    \
	X(SESSION_FREED, "session.freed",                                     \
	  "appliance {appliance} has freed what request {request} names")       \
	X(SESSION_OVERDUE, "session.overdue",                                 \
	  "appliance {appliance} did not answer request {request} in time")   \
	X(SESSION_CUT, "session.cut",                                         \
	  "appliance {appliance} is cut off before it answered request "      \
	  "{request}: the outcome is unknown")                                \
	X(SESSION_LATE_GRANT, "session.late_grant",                           \
	  "appliance {appliance} granted extent {extent:hex} too late: it is " \
	  "given back")                                                       \
	X(SESSION_STRAY, "session.stray",                                     \
	  "appliance {appliance} answered request {request}, for which "      \
	  "nobody waits")                                                     \
	X(SESSION_NONSENSE, "session.nonsense",                               \
	  "appliance {appliance} said what does not answer request {request}") \
	X(SESSION_BUSY, "session.busy",                                       \
	  "appliance {appliance} has no room for one more request")           \
	X(SESSION_PATIENT, "session.patient",                                 \
	  "appliance {appliance} had too many requests: {request} is asked "  \
	  "again in {pause:ns}")                                              \
	X(SESSION_LEAVING, "session.leaving",                                 \
	  "appliance {appliance} is leaving")                                 \
	X(SERVICE_KNOWN, "service.known",                                     \
	  "client {client:hex} is known, as peer {peer}")                     \
	X(SERVICE_SILENT, "service.silent",                                   \
	  "client {client:hex} is silent; its leases end in {left:ns}")       \
	X(SERVICE_EXPIRED, "service.expired",                                 \
	  "client {client:hex} expired, with {extents} extents")              \
	X(SERVICE_REFUSED, "service.refused",                                 \
	  "client {client:hex} was refused: {code:error}")                    \
	X(SERVICE_ALLOCATED, "service.allocated",                             \
	  "client {client:hex} has extent {extent:hex} of {size:bytes}, "     \
	  "epoch {epoch}")                                                    \
	X(SERVICE_EXPOSED, "service.exposed",                                 \
	  "extent {extent:hex} was exposed to client {client:hex}")           \
	X(SERVICE_CONCEALED, "service.concealed",                             \
	  "extent {extent:hex} was concealed from client {client:hex}")       \
	X(SERVICE_QUARANTINED, "service.quarantined",                         \
	  "extent {extent:hex} is in quarantine, for {left:ns} at most")      \
	X(SERVICE_ZEROED, "service.zeroed",                                   \
	  "extent {extent:hex} was zeroed up to {done:bytes} of {size:bytes}") \
	X(SERVICE_FREED, "service.freed",                                     \
	  "extent {extent:hex} of {size:bytes} is free")                      \
	X(SERVICE_RESIZED, "service.resized",                                 \
	  "the pool is to have {goal:bytes}; clients own {beyond:bytes} beyond") \
	X(SERVICE_WANTED, "service.wanted",                                   \
	  "extent {extent:hex} is asked back from client {client:hex}")       \
	X(SERVICE_RETURNED, "service.returned",                               \
	  "{size:bytes} from {offset:hex} on are given back to the host")     \
	X(SERVICE_TAKEN, "service.taken",                                     \
	  "{size:bytes} from {offset:hex} on are the pool's again: {status:error}") \
	X(SERVICE_RESUMED, "service.resumed",                                 \
	  "client {client:hex} is back, as peer {peer}")                      \
	X(SERVICE_SUPERSEDED, "service.superseded",                           \
	  "client {client:hex}: the stream of peer {peer} gives way to its "  \
	  "new one")                                                          \
	X(SERVICE_BYE, "service.bye", "client {client:hex} says goodbye")     \
	X(SERVICE_GAP, "service.gap",                                         \
	  "nobody looked for {gap:ns}: the lease of client {client:hex} is "  \
	  "longer by that")                                                   \
	X(SERVICE_UNWANTED, "service.unwanted",                               \
	  "extent {extent:hex} was exposed to one who will not hear of it")   \
	X(SERVICE_UNEXPOSED, "service.unexposed",                             \
	  "extent {extent:hex} could not be exposed: {status:error}")         \
	X(SERVICE_TRIM, "service.trim",                                       \
	  "extent {extent:hex} is cut: its first {size:bytes} stay, as extent " \
	  "{head:hex}")                                                       \
	X(SERVICE_GUARDED, "service.guarded",                                 \
	  "extent {extent:hex} waits: another key reaches its bytes")         \
	X(SERVICE_LAPSED, "service.lapsed",                                   \
	  "client {client:hex} did not use a ticket in time")                 \
	X(SERVICE_OFFERED, "service.offered",                                 \
	  "client {client:hex} parts with extent {extent:hex}, which waits "  \
	  "for {left:ns}")                                                    \
	X(SERVICE_KEPT, "service.kept",                                       \
	  "extent {extent:hex} outlives its owner, for {left:ns}")            \
	X(SERVICE_CLAIMED, "service.claimed",                                 \
	  "client {client:hex} claims extent {extent:hex}, epoch {epoch}")    \
	X(SERVICE_SHARED, "service.shared",                                   \
	  "client {client:hex} shares extent {extent:hex}, for {left:ns}")    \
	X(SERVICE_OPENED, "service.opened",                                   \
	  "client {client:hex} opens extent {extent:hex} to read it")         \
	X(SERVICE_ABANDONED, "service.abandoned",                             \
	  "nobody has claimed extent {extent:hex} in time")                   \
	X(SERVICE_COPIED, "service.copied",                                   \
	  "bytes of extent {extent:hex} are copied to extent {to:hex}: "      \
	  "{size:bytes} from {offset:hex} on")                                \
	X(PATH_ASKED, "path.asked",                                           \
	  "appliance {appliance} lane {lane}: a ticket is asked for")         \
	X(PATH_CONNECTING, "path.connecting",                                 \
	  "appliance {appliance} lane {lane}: connecting")                    \
	X(PATH_UP, "path.up",                                                 \
	  "appliance {appliance} lane {lane}: up, for the {times}. time")     \
	X(PATH_DOWN, "path.down",                                             \
	  "appliance {appliance} lane {lane}: its connection ended")          \
	X(PATH_HUNG, "path.hung",                                             \
	  "appliance {appliance} lane {lane}: silent for {silence:ns}, so "   \
	  "given up")                                                         \
	X(PATH_FENCED, "path.fenced",                                         \
	  "appliance {appliance} lane {lane}: fenced")                        \
	X(PATH_REFUSED, "path.refused",                                       \
	  "appliance {appliance} lane {lane}: no ticket")                     \
	X(PATH_TIMEOUT, "path.timeout",                                       \
	  "appliance {appliance} lane {lane}: no connection in time")         \
	X(PATH_LATE, "path.late",                                             \
	  "appliance {appliance} lane {lane}: a ticket came too late")        \
	X(PAGER_FAULT, "pager.fault",                                         \
	  "page {page} faulted, write {write:bool}, it is {state:page}")      \
	X(PAGER_FETCH, "pager.fetch",                                         \
	  "page {page} is fetched into buffer {buffer}, {count} in all")      \
	X(PAGER_PREFETCH, "pager.prefetch",                                   \
	  "page {page} is read ahead into buffer {buffer}, {count} in all")   \
	X(PAGER_FETCHED, "pager.fetched",                                     \
	  "page {page} has come, {count} in all: {status:error}")             \
	X(PAGER_FETCHED_LOST, "pager.fetched_lost",                           \
	  "page {page} has come, but was lost meanwhile: thrown away")        \
	X(PAGER_INSTALL, "pager.install",                                     \
	  "page {page} is installed, {count} in all, writable "               \
	  "{writable:bool}")                                                  \
	X(PAGER_ZERO, "pager.zero",                                           \
	  "page {page} is fresh, {count} in all: zeros, writable "            \
	  "{writable:bool}")                                                  \
	X(PAGER_RESCUE, "pager.rescue",                                       \
	  "page {page} is rescued from buffer {buffer}, writable "            \
	  "{writable:bool}")                                                  \
	X(PAGER_OPEN, "pager.open",                                           \
	  "page {page} is opened for stores, {count} in all")                 \
	X(PAGER_PROTECT, "pager.protect",                                     \
	  "page {page} is protected, {count} in all")                         \
	X(PAGER_STORE, "pager.store",                                         \
	  "page {page} is stored from buffer {buffer}, {count} in all")       \
	X(PAGER_STORE_OPEN, "pager.store_open",                               \
	  "page {page} is pinned for writing: stored as it is")               \
	X(PAGER_STORED, "pager.stored",                                       \
	  "page {page} was stored: {status:error}")                           \
	X(PAGER_UNCHANGED, "pager.unchanged",                                 \
	  "page {page} has not changed: it is not stored")                    \
	X(PAGER_STORED_LOST, "pager.stored_lost",                             \
	  "a store ended whose page is lost: {status:error}")                 \
	X(PAGER_RETRY, "pager.retry",                                         \
	  "page {page} is stored again from buffer {buffer}, {count} in all") \
	X(PAGER_DROP, "pager.drop", "page {page} is dropped, {count} in all") \
	X(PAGER_DISCARD, "pager.discard",                                     \
	  "page {page} is fresh from now on, {count} in all")                 \
	X(PAGER_MARK_BACKED, "pager.mark_backed",                             \
	  "page {page} has remote contents now, {count} in all")              \
	X(PAGER_REFRESH, "pager.refresh",                                     \
	  "page {page} has changed there, {count} in all")                    \
	X(PAGER_FORGET, "pager.forget",                                       \
	  "page {page} is forgotten, {count} in all")                         \
	X(PAGER_LOSE, "pager.lose",                                           \
	  "page {page} has lost its remote memory, {count} in all")           \
	X(PAGER_LOSE_STORE, "pager.lose_store",                               \
	  "page {page} is lost while its store is in flight")                 \
	X(PAGER_POISON, "pager.poison", "page {page} is poisoned")            \
	X(PAGER_WASTE, "pager.waste",                                         \
	  "page {page} was read ahead and wasted, {count} in all")            \
	X(PAGER_PART, "pager.part",                                           \
	  "page {page}: frames for {count} of a window of {of}")              \
	X(PAGER_NO_FRAME, "pager.no_frame", "page {page} finds no frame")     \
	X(PAGER_FETCH_FULL, "pager.fetch_full",                               \
	  "page {page} finds every fetch buffer in use")                      \
	X(PAGER_WRITEBACK_FULL, "pager.writeback_full",                       \
	  "page {page} finds every write-back buffer in use")                 \
	X(PAGER_FREEZE, "pager.freeze",                                           \
	  "page {page}: no store from now on, {count} pages: they are cloned") \
	X(PAGER_THAW, "pager.thaw",                                     \
	  "page {page}: stores go on, {count} pages")                         \
	X(PAGER_CLONED, "pager.cloned",                                       \
	  "page {page}: a clone's bytes are there, {count} pages; written {written:bool}") \
	X(PAGER_HELD, "pager.held",                                           \
	  "page {page} is held by explicit I/O: its fault waits")             \
	X(PAGER_AFTER_STORE, "pager.after_store",                             \
	  "page {page} waits for its store in flight")                        \
	X(PAGER_AFTER_HOLD, "pager.after_hold",                               \
	  "page {page} waits: its appliance drafts it")                       \
	X(PAGER_HOLD, "pager.hold",                                           \
	  "page {page} is held for a draft, {count} in all")                  \
	X(PAGER_RELEASE, "pager.release",                                     \
	  "page {page} is not held any more, {count} in all")                 \
	X(PAGER_AFTER_FETCH, "pager.after_fetch",                             \
	  "page {page} waits for its fetch in flight")                        \
	X(PAGER_FLUSH, "pager.flush",                                         \
	  "pages {page} to {end} are flushed: as far as page {next}")         \
	X(PAGER_IO_LOCK, "pager.io_lock",                                     \
	  "page {page} is locked for explicit I/O, {count} in all")           \
	X(PAGER_IO_UNLOCK, "pager.io_unlock",                                 \
	  "page {page} is unlocked by explicit I/O, {count} in all, written " \
	  "{written:bool}")                                                   \
	X(PAGER_PIN_FULL, "pager.pin_full",                                   \
	  "page {page} cannot be pinned: {pinned} are")                       \
	X(PAGER_REFUSED, "pager.refused",                                     \
	  "page {page} could not be installed, {count} in all")               \
	X(PAGER_TORN, "pager.torn",                                           \
	  "page {page} may differ between its members, and stays locked")     \
	X(PAGER_MEND, "pager.mend",                                           \
	  "page {page} is copied to members that lack it, {count} in all")    \
	X(PAGER_MENDED, "pager.mended",                                       \
	  "page {page} was copied, {count} in all: {status:error}")           \
	X(PAGER_RIGHTS, "pager.rights",                                       \
	  "page {page}, {count} in all, may be loaded from: {load:bool}, "    \
	  "and stored to: {store:bool}")                                      \
	X(PAGER_DENIED, "pager.denied",                                       \
	  "page {page} was touched without the right, by a store: "           \
	  "{write:bool}")                                                     \
	X(PAGER_MAKE_WAY, "pager.make_way",                                   \
	  "page {page} leaves, to be written explicitly")                     \
	X(ENGINE_GAP, "engine.gap",                                           \
	  "lane {lane}: nobody looked for {gap:ns}: a pause of our own")      \
	X(ENGINE_STALLED, "engine.stalled",                                   \
	  "page {page} has waited for {wait:ns}, and nothing came")           \
	X(ENGINE_CUT, "engine.cut",                                           \
	  "page {page}: the path behind it is cut")                           \
	X(ENGINE_LOSE, "engine.lose",                                         \
	  "lane {lane}: pages {page} and the next {count} of appliance "      \
	  "{appliance} are lost")                                             \
	X(ENGINE_POST_FAILED, "engine.post_failed",                           \
	  "page {page} was not posted: {status:error}")                       \
	X(VIEW_PROPOSED, "view.proposed",                                     \
	  "view {number} is proposed, of appliances {mask:hex}")              \
	X(VIEW_COMMITTED, "view.committed",                                   \
	  "view {number} is committed, of appliances {mask:hex}")             \
	X(VIEW_FILLING, "view.filling",                                       \
	  "view {number}: appliances {mask:hex} are back, and are given "     \
	  "what they lack")                                                   \
	X(KEEPER_LEDGER, "keeper.ledger",                                     \
	  "appliance {appliance}: a ledger: {status:error}")                  \
	X(KEEPER_WANTED, "keeper.wanted",                                     \
	  "appliance {appliance} asks for extent {extent:hex} back")           \
	X(KEEPER_SPARE, "keeper.spare",                                       \
	  "appliance {appliance} is asked to replace a member at page {page}: " \
	  "{status:error}")                                                   \
	X(KEEPER_TICKET, "keeper.ticket",                                     \
	  "appliance {appliance} lane {lane}: a ticket: {status:error}")      \
	X(ENGINE_BAD_TAG, "engine.bad_tag",                                   \
	  "what came for page {page} is not what was sealed")                 \
	X(ENGINE_TAMPERED, "engine.tampered",                                 \
	  "no member has a right version of page {page}: it is lost")

enum xm_trace_id {
	XM_TRACE_NONE = 0,
#define XM_TRACE_ID(identifier, name, sentence) XM_TRACE_##identifier,
	XM_TRACE_POINTS(XM_TRACE_ID)
#undef XM_TRACE_ID
	XM_TRACE_IDS /* how many, none included */
};

struct xm_trace_record {
	uint64_t now_ns;
	uint64_t id; /* enum xm_trace_id; 64 bits, so that nothing is padding */
	uint64_t a, b, c, d;
};

struct xm_trace {
	struct xm_trace_record *records;
	uint64_t mask;	/* ring size - 1 */
	uint64_t count; /* records since init; the ring has the last of them */
	uint64_t hash;	/* over all records since init */
};

#define XM_TRACE_TEXT_SIZE 256 /* bytes; any sentence fits */

/* `count` (a power of two) records of memory, which need not be cleared. */
void xm_trace_init(struct xm_trace *, struct xm_trace_record *memory,
		   uint64_t count);

/* Appends a record; the oldest is overwritten. */
void xm_trace_record(struct xm_trace *, uint64_t now_ns, enum xm_trace_id,
		     uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* The same, or nothing if the trace is NULL, as it is in production: that costs one
 * branch. Fields that the sentence does not name are 0; a negative errno is cast,
 * (uint64_t)(int64_t)status. */
static inline void xm_trace_put(struct xm_trace *t, uint64_t now_ns,
				enum xm_trace_id id, uint64_t a, uint64_t b,
				uint64_t c, uint64_t d)
{
	if (__builtin_expect(t != NULL, 0))
		xm_trace_record(t, now_ns, id, a, b, c, d);
}

/* The index-th record since init, from 0; NULL if it is not in the ring any more, or not
 * yet. A reader keeps the index of its next record. */
const struct xm_trace_record *xm_trace_get(const struct xm_trace *,
					   uint64_t index);

/* For example "pager.fetch"; "?" if there is no such point. */
const char *xm_trace_name(uint64_t id);

/* Writes the name, the sentence and a NUL, cut to `size` bytes (at least 1), without
 * the time. Returns the length. */
size_t xm_trace_text(const struct xm_trace_record *, char *buffer, size_t size);
/* The same for a sentence of the caller's, with up to four fields. */
size_t xm_trace_sentence(const char *sentence, const uint64_t fields[4],
			 char *buffer, size_t size);

#endif
