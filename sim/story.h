/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stories are written with. Each call writes a line of its own to the trace.
 * Pages are numbered from 0 in a region. The value of a page is one word of it.
 */
#ifndef XM_STORY_H
#define XM_STORY_H

#include "core/client/client.h"
#include "sim/shape.h"
#include "sim/touch.h"

struct story {
	const char *name;
	/* Changes the quiet shape: one client, one appliance, no weather. */
	void (*shape)(struct sim_shape *);
	void (*script)(uint32_t client, extmem *);
	/* In a world of another kind: all there is to tell. */
	void (*live)(uint64_t seed);
};

extern const struct story stories[];
extern const uint32_t stories_count;

/* What a story's clients share. */
extern struct cast {
	extmem *x[SIM_CLIENTS_MAX];
	extmem_region *region;
	unsigned scene; /* who waits for whom */
} cast;

#define LOST UINT64_MAX	       /* load(): SIGBUS */
#define DENIED (UINT64_MAX - 1) /* load(): SIGSEGV */

void story_expect(bool held, const char *what);
#define expect(condition) story_expect(condition, #condition)

void rest(uint64_t ns);

bool store(extmem_region *, uint64_t page, uint64_t value);
uint64_t load(extmem_region *, uint64_t page);
int take(extmem *, uint64_t size, extmem_region **ret); /* and maps it */
int give(extmem_region *);
int sync_pages(extmem_region *);
int advise(extmem_region *, uint64_t page, uint64_t count, enum extmem_advice);
int protect(extmem_region *, uint64_t page, uint64_t count, enum extmem_rights);
/* Each the next value. */
int write_pages(extmem_region *, uint64_t page, uint64_t count,
		uint64_t value);
int write_page(extmem_region *, uint64_t page, uint64_t value);
int read_page(extmem_region *, uint64_t page, uint64_t *ret);

/* Another thread of the client whose thread this is. */
struct thread {
	void (*run)(extmem_region *);
	extmem_region *region;
	bool ended;
};
void begin(struct thread *, void (*run)(extmem_region *), extmem_region *);
void join(struct thread *);

/* Between a client and appliance 0, control and data alike. */
void answers_blocked(uint32_t client, bool blocked);
void requests_blocked(uint32_t client, bool blocked);
void link_blocked(uint32_t client, bool blocked); /* both */

#endif
