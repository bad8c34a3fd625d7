/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The programs that clients run: random operations of the whole client interface
 * (operations*.c) on one region after another (workload.c), checked against a
 * shadow (shadow.c), on several threads of processes that begin and die
 * (program.c).
 *
 * The first three use extmem.h and what is declared at the end of this header as
 * "around them". In the simulator that is the world. tests/api/reality_around.c
 * implements it with this machine's clock, memory and processes, and so runs the
 * same operations on real ones.
 *
 * A program works with one mapped region at a time. Its threads load, store, read,
 * write, sync, advise, pin and allocate in it. A few words of every page are
 * watched: the shadow has the value of the last completed store or write and,
 * after an operation whose outcome is unknown, the other possible value. Each load
 * or read must return one of these, or fail. A lost region is freed and another
 * one allocated.
 *
 * While an operation that waits is under way on a page, only its thread uses that
 * page (pages_claim()). Loads and stores do not wait once the page is present.
 */
#ifndef XM_PROGRAM_H
#define XM_PROGRAM_H

#include "common/base.h"
#include "common/rand.h"
#include "core/extmem.h"
#include "core/pure/mapper.h"
#include "sim/outcomes.h"
#include "sim/shape.h"
#include "sim/world.h"

#define WORDS 3 /* watched in each page */
#define OBJECTS_MAX 96

struct word {
	uint64_t value, maybe; /* maybe: another possible one */
	uint64_t by; /* the write that it is of; 0: of no page's write */
	uint64_t since; /* the change that made it what it is */
	bool unsure;
};

struct shadow_page {
	bool busy; /* a thread is in the middle of something here */
	bool turning; /* of getting it other rights; whether it has them is not known */
	enum extmem_rights rights;
	uint32_t turns; /* how often its rights changed */
	bool zeroed; /* a word of it was set to zero, ever */
	struct word words[WORDS];
};

/* What is known of the bytes of one region. It belongs to the region, and a
 * program that holds the region points to it. */
struct shadow {
	uint64_t pages, pages_max; /* watched; room for */
	uint64_t changes;	   /* of watched words, ever */
	struct shadow_page page[];
};

/* One copy of a page: its bytes, which lie at byte `at` of an appliance's pool. */
struct remote_page {
	const uint8_t *bytes;
	uint64_t at;
	uint32_t appliance;
};

struct object {
	uint64_t offset, size;
};

struct worker {
	struct program *program;
	uint32_t index, left; /* operations */
	struct xm_rand rand;  /* of the operation under way */
	const char *doing;
	uint64_t since_ns;
	const char *call; /* of the library, under way; or NULL */
	uint64_t call_began_ns, call_most_ns;
	uint64_t call_progress;
};

/* Another region of the program's, with which it does nothing at the moment: one of the
 * two is a copy of the other, or was. */
struct twin {
	extmem_region *region; /* NULL: there is none */
	struct shadow *shadow;
	struct object objects[OBJECTS_MAX];
	uint32_t objects_count;
	bool lost;
};

struct program {
	uint32_t index;
	struct process *process;
	extmem *x; /* NULL: it has none at the moment */
	extmem_region *region;
	struct shadow *shadow; /* of its region */
	extmem_region *reading; /* one that another shares; or NULL */
	struct object objects[OBJECTS_MAX];
	bool durable; /* its region is */
	uint32_t objects_count;
	uint64_t objects_moved; /* goes on with each that is taken or given */
	uint32_t readers; /* threads in an operation on the region */
	bool changing;	  /* one changes the region itself */
	bool lost;
	struct twin twin;
	uint32_t workers_ended;
	bool ended;
	struct worker workers[8];
	uint64_t stamp, lives;
	uint64_t pause_ns, pause_until_ns; /* since it could not be opened */
	struct outcome_watch watch;
};

/* --- shadow.c ------------------------------------------------------------------- */

/* The worker whose fiber runs casts the dice for its number-th operation, and
 * nobody else rolls them. */
void dice_cast(struct worker *, uint64_t number);
uint64_t below(uint64_t n);
struct shadow *shadow_open(uint64_t pages_max); /* all zero; free() it */
void shadow_clear(struct shadow *);		/* all words are zero */
/* Where the watched words of a page are. */
extern const uint64_t word_places[WORDS];
void word_check(struct program *, uint64_t page, unsigned i,
		uint64_t got, const char *how);
void word_set(struct program *, uint64_t page, unsigned i, uint64_t value);
/* A call says that these are in the remote memory, as far as nothing has changed
 * since so many changes: are they? Only of words that were written. */
void word_remote(const struct program *, uint64_t page, unsigned i,
		 const char *how);
void pages_remote(const struct program *, uint64_t page, uint64_t count,
		  uint64_t changes, const char *how);
/* Likewise, that they are on the disks. */
void pages_durable(const struct program *, uint64_t page, uint64_t count,
		   uint64_t changes);
/* One that nobody has written yet. */
uint64_t word_fresh(struct program *);
/* Whether the page's rights allow such a touch. */
bool rights_allow(const struct program *, uint64_t page, bool write);
void rights_forget(struct program *); /* all pages have all rights */
/* The law, of a page that was just made accessible so. */
void rights_ask(const struct program *, uint64_t page, bool write);
/* One operation on the region itself at a time (alone), or several in it. */
void program_enter(struct program *, bool alone);
void program_leave(struct program *, bool alone);
/* False: some of these pages are another thread's. */
bool pages_claim(struct program *, uint64_t page, uint64_t count);
void pages_unclaim(struct program *, uint64_t page, uint64_t count);
/* What a call returned; false: it failed, and was counted. */
bool call_went(struct program *, int rc);

/* A call of the library by the worker whose fiber runs: it is to return within
 * so long, which is the client's timeout for most, and CALL_SLACK. What counts
 * is time in which its process could run. */
#define CALL_SLACK XM_SECOND
#define CALL(function, ...)                                                   \
	CALL_WITHIN(sim_shape.timeout_ms * XM_MS, function, __VA_ARGS__)
#define CALL_WITHIN(ns, function, ...)                                        \
	(call_begins(#function, ns), (int)call_ends(function(__VA_ARGS__)))
void call_begins(const char *name, uint64_t most_ns);
int64_t call_ends(int64_t rc);
/* The law, of a worker at this moment. */
void call_ask(struct worker *);

/* --- operations.c, operations_explicit.c, operations_select.c ----------------------------------------------------------------- */

#define PARTS_MAX 12

/* A part of the region that is read or written, and the buffer for it, which no
 * one else fills meanwhile. */
struct part {
	uint64_t page, count; /* claimed */
	struct extmem_iov iov;
	bool write, registered;
	bool done; /* asynchronous: it has completed */
	int status;
};

/* The address of a page of the region, mapped or not. */
uint8_t *page_address(const struct program *, uint64_t page);
void op_touch(struct program *);
void op_explicit(struct program *, bool write);
void op_vector(struct program *);
/* Asynchronous calls: begin returns how many could be, end waits for them. */
unsigned async_begin(struct program *, struct part parts[PARTS_MAX]);
void async_end(struct program *, struct part *, unsigned count);
void op_async(struct program *);
void op_sync(struct program *);
void op_durable(struct program *);
void op_advise(struct program *);
void op_pin(struct program *);
void op_protect(struct program *);
void op_select(struct program *);
void op_stats(struct program *);
void op_remap(struct program *);
void op_resize(struct program *);
/* The slab that is watched: most of the region. */
bool slab_take(struct program *);

/* --- operations_hand.c ------------------------------------------------------------ */

void op_hand(struct program *);
/* Instead of a fresh region; false: there is none, or it could not be had. */
bool hand_adopt(struct program *);
void hands_close(void); /* at the end of a run */

/* --- operations_share.c ----------------------------------------------------------- */

void op_share(struct program *);
/* Does it share its region? */
bool share_is_on(const struct program *);
/* Its region is about to be freed. */
void share_given(const struct program *);
void shares_close(void); /* at the end of a run */

/* --- operations_copy.c ------------------------------------------------------------ */

/* The region is copied; or, if there is a copy, what is the region and what is the twin
 * is exchanged. */
void op_copy(struct program *);
void twin_swap(struct program *); /* if there is one */

/* --- workload.c --------------------------------------------------------------------- */

/* One random operation, and what it needs: a client, a region. Idle: none, but
 * what is needed. */
void program_operate(struct program *, struct worker *, bool idle);
/* The region goes; look: after all that is watched in it has been read. */
void region_give(struct program *, bool look);

/* --- around them: program.c, tests/api/reality.c ------------------------------------------ */

/* They also use these: world_now, world_rand (world.h); world_wait, world_wake,
 * world_argument (fibers.h); world_note, world_broken (notes.h); sim_shape,
 * sim_counts, sim_without, oracle_page_lost and weather_strike. */

/* Time in which the program's process could run. */
uint64_t around_clock(const struct program *);
/* Makes a page of the region accessible as a load or store would, or says why it cannot.
 * It stays so until the caller waits. */
enum xm_touched around_touch(const struct program *, uint64_t page, bool write);
/* What is there: the page; may it be stored into? */
void around_look(const struct program *, uint64_t page, bool *ret_here,
		 bool *ret_open);
/* How many copies of a page there may be, and one of them. False: there is no
 * such copy, its lease has ended, or nobody can look. */
uint32_t around_members(void);
bool around_remote(const struct program *, uint64_t page, uint32_t member,
		   struct remote_page *ret);
/* Its region lacks bytes, which were lost before they were copied. */
bool around_lacks(const struct program *);
/* How often something of its region was made durable. */
uint64_t around_progress(const struct program *);
/* What its appliance has on its disk of the page. NULL: nobody can look. */
const uint8_t *around_durable(const struct program *, uint64_t page);
/* The page's number in traces. */
uint64_t around_page(const struct program *, uint64_t page);
const char *around_address(uint32_t appliance);
/* Opens the program's client; false: not now. */
bool around_open(struct program *);
void around_close(struct program *);
/* The weather is clear, and all is to end. */
bool around_finishing(void);
/* The program has given back all its memory. */
void around_given(const struct program *);
/* What a call came to. */
void around_outcome(struct program *, enum outcome_call, enum outcome_result);

#endif
