/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world around the pager in test_pager_model.c: remote memory, staging area, a
 * mapper and threads, as arrays. A page's contents are one number, its version, which
 * grows with each write; 0 is a page of zeros. Two versions may have the same bytes: so
 * it is when a program puts back what was there.
 *
 * There is one world, `w`. The first invariant that breaks is kept in w.broken, in
 * words; from then on nothing more is carried out.
 */
#ifndef XM_TESTS_PAGER_WORLD_H
#define XM_TESTS_PAGER_WORLD_H

#include <stdio.h>

#include "common/rand.h"
#include "core/pure/pager.h"

enum { PAGES_MOST = 512, THREADS = 5, STAGE_MOST = 1024, OPS_MOST = 256 };

#define GARBAGE UINT32_MAX
#define NOTHING 0 /* a page of zeros */

enum mapped { MAP_ABSENT, MAP_READ, MAP_WRITE, MAP_POISON };

struct op { /* a read or write in flight */
	bool store;
	uint64_t page;
	uint32_t count, staging_index;
	bool early; /* the bytes moved when it was posted */
	/* If not scattered, the pages follow `page`. */
	bool scattered;
	uint64_t pages[XM_PAGER_SCATTER_MAX];
};

enum doing { IDLE, TOUCH, PIN, HOLD, EXPLICIT, LOCKED, RANGE, FLUSHING };

struct thread {
	enum doing doing;
	uint64_t page, limit;
	bool write, again, whole, rmw;
	uint32_t patience;
	struct xm_pager_event range;
	uint64_t first, seq;
	uint32_t wanted[PAGES_MOST]; /* FLUSHING: what must be stored */
};

struct pager_world {
	struct xm_pager pager;
	struct xm_pager_options options;
	struct xm_rand rand;
	struct xm_pager_effects fx, fx_inner;
	void *memory;

	uint32_t remote[PAGES_MOST];
	uint32_t staging[STAGE_MOST];
	struct {
		enum mapped how;
		uint32_t version;
	} map[PAGES_MOST];
	uint32_t shadow[PAGES_MOST]; /* what the program wrote last */
	uint32_t before[PAGES_MOST]; /* what it wrote some time before */
	bool put_back, printing; /* programs do; fingerprints are always taken */
	bool lost[PAGES_MOST];	     /* any contents are right */
	bool poisoned[PAGES_MOST];
	uint32_t born[PAGES_MOST]; /* the version since which its contents are new */
	uint8_t storing[PAGES_MOST]; /* stores in flight */
	unsigned pins[PAGES_MOST], pins_write[PAGES_MOST];
	enum xm_page_rights rights[PAGES_MOST];

	struct op ops[OPS_MOST];
	uint32_t ops_count;
	struct thread threads[THREADS];
	uint32_t version;

	enum xm_reach reach;
	uint64_t unit; /* of each fault and WILLNEED; 0: none */
	unsigned fail, refuse, storm; /* permille */
	bool clear, contents_may_go, pins_may_go;
	uint64_t steps;
	const char *broken;
	char words[160];
};

extern struct pager_world w;
extern bool world_tracing; /* print each event and effect */

#define BROKEN(...)                                                           \
	do {                                                                  \
		if (w.broken == NULL) {                                       \
			snprintf(w.words, sizeof(w.words), __VA_ARGS__);      \
			w.broken = w.words;                                   \
		}                                                             \
	} while (0)

#define MUST(condition, page)                                                 \
	do {                                                                  \
		if (!(condition))                                             \
			BROKEN("line %d, page %llu: %s", __LINE__,            \
			       (unsigned long long)(page), #condition);       \
	} while (0)

/* True so many times in a thousand; and a number below `bound`. */
static inline bool chance(unsigned permille)
{
	return xm_rand_chance(&w.rand, permille);
}

static inline uint64_t below(uint64_t bound)
{
	return xm_rand_below(&w.rand, bound);
}

/* Whether the page may be touched so. */
static inline bool allowed(uint64_t page, bool write)
{
	return w.rights[page] == XM_PAGE_RIGHTS_ALL ||
	       (w.rights[page] == XM_PAGE_RIGHTS_LOAD && !write);
}

/* The version of a write of other bytes. */
uint32_t world_version(void);
/* Checks every page, and the pager itself. */
void world_check(void);
/* Sends the event and carries out its effects; between any two of them another thread may
 * store to a writable page, and an INSTALL may be refused. The verdict is in w.fx. */
void world_step(struct xm_pager_event *);
/* One read or write ends, any of those in flight, well or not; if there is one. */
void world_complete_one(void);
/* A store of the program's to a writable page. */
void world_write_page(uint64_t page);
/* The page has lost its pins, and the threads that held them know. */
void world_unpinned(uint64_t page);

#endif
