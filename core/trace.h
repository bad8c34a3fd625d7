/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every trace point of extmem, listed once; a ring of records; their text.
 *
 * The machines record decisions as small binary records; whoever owns the
 * ring makes sentences of them, or none. The running hash over all records
 * is the simulator's witness that one seed gives one story.
 *
 * One thread at a time for each ring. Floor: ground.
 */
#ifndef XM_TRACE_H
#define XM_TRACE_H

#include "base.h"

/*
 * X(IDENTIFIER, name, sentence). The sentence names its fields in the order
 * a, b, c, d, as {name} or {name:form}, with these forms:
 *   (none)  decimal          hex    0x1f           bytes  64 KiB, 4097 B
 *   ns      1.5 ms           error  ENOSPC (28)    -- of a negative errno
 *   bool    yes or no
 * Add points at the end of their room's block. A point is a decision taken
 * or a fact learned, not a line of code reached.
 */
#define XM_TRACE_POINTS(X)                                                    \
	X(SESSION_GREETED, "session.greeted",                                 \
	  "appliance {appliance} was greeted")                                \
	X(SESSION_READY, "session.ready",                                     \
	  "appliance {appliance} is ready: incarnation {incarnation:hex}, "   \
	  "lease {lease:ns}")                                                 \
	X(SESSION_LOST, "session.lost",                                       \
	  "appliance {appliance} was lost: {status:error}")                   \
	X(SESSION_REFUSED, "session.refused",                                 \
	  "appliance {appliance} refused request {request}: {code:error}")    \
	X(SESSION_TAKEN, "session.taken",                                     \
	  "appliance {appliance} gave extent {extent} of {size:bytes}, "      \
	  "epoch {epoch}")                                                    \
	X(SESSION_GIVEN, "session.given",                                     \
	  "appliance {appliance} has extent {extent} back")                   \
	X(SERVICE_KNOWN, "service.known",                                     \
	  "client {client:hex} is known, as peer {peer}")                     \
	X(SERVICE_SILENT, "service.silent",                                   \
	  "client {client:hex} is silent; its leases end in {left:ns}")       \
	X(SERVICE_EXPIRED, "service.expired",                                 \
	  "client {client:hex} expired, with {extents} extents")              \
	X(SERVICE_REFUSED, "service.refused",                                 \
	  "client {client:hex} was refused: {code:error}")                    \
	X(SERVICE_TAKEN, "service.taken",                                     \
	  "client {client:hex} took extent {extent} of {size:bytes}, "        \
	  "epoch {epoch}")                                                    \
	X(SERVICE_EXPOSED, "service.exposed",                                 \
	  "extent {extent} was exposed to client {client:hex}")               \
	X(SERVICE_CONCEALED, "service.concealed",                             \
	  "extent {extent} was concealed from client {client:hex}")           \
	X(SERVICE_QUARANTINED, "service.quarantined",                         \
	  "extent {extent} is in quarantine for {left:ns}")                   \
	X(SERVICE_ZEROED, "service.zeroed",                                   \
	  "extent {extent} was zeroed up to {done:bytes} of {size:bytes}")    \
	X(SERVICE_FREED, "service.freed",                                     \
	  "extent {extent} of {size:bytes} is free")                          \
	X(PATH_CONNECTING, "path.connecting",                                 \
	  "appliance {appliance} lane {lane}: connecting")                    \
	X(PATH_UP, "path.up",                                                 \
	  "appliance {appliance} lane {lane}: up, as peer {peer}")            \
	X(PATH_DOWN, "path.down",                                             \
	  "appliance {appliance} lane {lane}: down: {status:error}")          \
	X(PATH_HUNG, "path.hung",                                             \
	  "appliance {appliance} lane {lane}: silent for {silence:ns} with "  \
	  "{outstanding} outstanding")                                        \
	X(PAGER_FAULT, "pager.fault",                                         \
	  "page {page} faulted, write {write:bool}, state {state}")           \
	X(PAGER_FETCH, "pager.fetch",                                         \
	  "page {page} is fetched into frame {frame}")                        \
	X(PAGER_INSTALL, "pager.install",                                     \
	  "page {page} is installed, writable {writable:bool}")               \
	X(PAGER_PROTECT, "pager.protect", "page {page} is protected")         \
	X(PAGER_STORE, "pager.store",                                         \
	  "page {page} is stored from frame {frame}")                         \
	X(PAGER_STORED, "pager.stored",                                       \
	  "page {page} was stored: {status:error}")                           \
	X(PAGER_DROP, "pager.drop", "page {page} is dropped")                 \
	X(PAGER_DISCARD, "pager.discard", "page {page} is discarded unwritten") \
	X(PAGER_POISON, "pager.poison",                                       \
	  "page {page} is poisoned: {status:error}")                          \
	X(PAGER_PREFETCH, "pager.prefetch",                                   \
	  "pages {page} and the next {count} are prefetched")                 \
	X(PAGER_WASTE, "pager.waste", "page {page} was prefetched in vain")   \
	X(PAGER_FLUSH, "pager.flush",                                         \
	  "{dirty} dirty pages are flushed, as far as page {page}")

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
	uint64_t count; /* recorded since init, of which the ring has the last */
	uint64_t hash;	/* over all of them */
};

#define XM_TRACE_TEXT_SIZE 256 /* bytes; any sentence fits */

/* `count` (a power of two) records of memory, which need not be cleared. */
void xm_trace_init(struct xm_trace *, struct xm_trace_record *memory,
		   uint64_t count);

/* Appends a record; the oldest is overwritten. A NULL trace takes nothing.
 * Unused fields are 0; negative errnos are cast: (uint64_t)(int64_t)status. */
void xm_trace_put(struct xm_trace *, uint64_t now_ns, enum xm_trace_id,
		  uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* The index-th record since init (from 0), or NULL when it is not in the ring
 * any more, or not yet. A sink keeps the index of the next one to write. */
const struct xm_trace_record *xm_trace_get(const struct xm_trace *,
					   uint64_t index);

/* "pager.fetch"; "?" for no point. */
const char *xm_trace_name(uint64_t id);

/* Writes "pager.fetch: page 7 is fetched into frame 2" (without the time) and
 * a NUL, cut to `size` (at least 1), and returns its length. */
size_t xm_trace_text(const struct xm_trace_record *, char *buffer, size_t size);

#endif
