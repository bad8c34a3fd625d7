/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small allocations in external memory.
 *
 * Algorithm: segregated size classes (those of common/heap.c: 16 .. 64 bytes by
 * 16, then four to each doubling, up to 32 KiB). Objects of one class lie in
 * spans of 16, 64 or 256 KiB, which are cut from chunks of 2 MiB; a chunk is one
 * slab. A bitmap for each span says which of its objects are free; the table of
 * owners of a region (block.c) says which span a page belongs to. Both are in
 * local memory. So neither malloc() nor free() touches an external page, and a
 * stray store can overwrite nothing but the program's own bytes. Each thread has
 * a short stack of free objects of each class (a magazine), which is filled and
 * emptied by half.
 *
 * Objects of one class lie together in the order in which they were allocated:
 * what was allocated together is paged together.
 *
 * The pages of a span without objects are discarded and can serve another class;
 * each class keeps one such span. A chunk without spans is freed, except one.
 *
 * Bounds: an object of s bytes takes less than 1.25 s above 64 bytes, and at most
 * s + 15 bytes below. Local memory: 168 bytes for each span, so at worst 1 %, and
 * 12 KiB for each thread.
 *
 * Locks: one for each class, held for bookkeeping alone; one for chunks.
 */
#include "preload/shim.h"

#include <sys/mman.h>

#include "common/heap.h"

#define UNIT_SIZE (UINT64_C(16) << 10)
#define CHUNK_SIZE (UINT64_C(2) << 20)
#define CHUNK_UNITS (CHUNK_SIZE / UNIT_SIZE)
#define CHUNKS_MAX 65536
#define SPANS_MAX (UINT32_C(1) << 22)
#define SPAN_BLOCK 1024 /* records made at once */
#define CLASSES 40
#define OBJECTS_MAX 1024 /* in a span */
#define WORDS (OBJECTS_MAX / 64)
#define MAGAZINE_MAX 256
#define MAGAZINES_SIZE 1536 /* of all classes; arena_start() counts */

struct span {
	uint64_t free[WORDS]; /* bit: this object is */
	uintptr_t base;
	uint32_t next, previous; /* in its class; next chains unused records */
	uint32_t chunk;
	uint16_t count, free_count;
	uint8_t class, units;
};

struct class {
	pthread_mutex_t lock;
	uint32_t size;
	uint16_t count, units;
	uint16_t magazine; /* objects a thread keeps, most */
	uint16_t place;	   /* where in a cache they are */
	uint32_t inverse;  /* 2^32 / size, rounded up */
	uint32_t first;	   /* spans with a free object; 0: none */
	uint32_t empty;	   /* of these, how many have no object */
};

struct chunk {
	uint64_t used[2]; /* bit: this unit is part of a span */
	uintptr_t base;	  /* 0: not taken */
	uint32_t free_units;
};

struct cache {
	uint32_t count[CLASSES];
	void *item[MAGAZINES_SIZE];
};

static struct class classes[CLASSES];
static struct span *span_blocks[SPANS_MAX / SPAN_BLOCK];
static struct chunk *chunks;
static uint32_t chunk_count, chunk_hint, chunks_empty;
static uint32_t span_count = 1, span_unused;
static pthread_mutex_t chunk_lock = PTHREAD_MUTEX_INITIALIZER;
static bool started;
static _Thread_local struct cache *cache
	__attribute__((tls_model("initial-exec")));
static _Thread_local bool cache_ended
	__attribute__((tls_model("initial-exec")));

static struct span *span_at(uint32_t index)
{
	return &span_blocks[index / SPAN_BLOCK][index % SPAN_BLOCK];
}

void arena_start(void)
{
	uint16_t place = 0;
	uint64_t magazine;

	for (uint32_t i = 0; i < CLASSES; i++) {
		struct class *c = &classes[i];

		pthread_mutex_init(&c->lock, NULL);
		c->size = xm_heap_class_size(i);
		c->units = c->size <= 256 ? 1 : c->size <= 2048 ? 4 : 16;
		c->count = (uint16_t)(c->units * UNIT_SIZE / c->size);
		c->inverse = UINT32_MAX / c->size + 1;
		/* Half of it is a page's worth: what a thread takes at once
		 * lies on a page of its own. */
		magazine = 2 * SHIM_PAGE / c->size;
		c->magazine = (uint16_t)(magazine > MAGAZINE_MAX ? MAGAZINE_MAX
					 : magazine < 4		 ? 4
								 : magazine);
		c->place = place;
		place += c->magazine;
	}
	if (place > MAGAZINES_SIZE)
		return;
	chunks = block_reserve(CHUNKS_MAX * sizeof(*chunks));
	started = chunks != NULL;
}

/* --- chunks ------------------------------------------------------------------------ */

/* `units` free ones, at a multiple of their number; -1: none. */
static int chunk_find(const struct chunk *c, unsigned units)
{
	const uint64_t mask = (UINT64_C(1) << units) - 1;

	for (unsigned at = 0; at < CHUNK_UNITS; at += units)
		if ((c->used[at / 64] & mask << at % 64) == 0)
			return (int)at;
	return -1;
}

static uint32_t chunk_new(void)
{
	uint32_t i = 0;

	while (i < chunk_count && chunks[i].base != 0)
		i++;
	if (i == CHUNKS_MAX)
		return UINT32_MAX;
	chunks[i].base = block_slab_take(CHUNK_SIZE);
	if (chunks[i].base == 0)
		return UINT32_MAX;
	chunks[i].used[0] = chunks[i].used[1] = 0;
	chunks[i].free_units = CHUNK_UNITS;
	chunks_empty++;
	if (i == chunk_count)
		chunk_count++;
	return i;
}

/* With chunk_lock held. */
static uintptr_t units_take(unsigned units, uint32_t *ret_chunk)
{
	uint32_t i = 0, found = UINT32_MAX;
	int at = -1;

	for (uint32_t n = 0; n < chunk_count && at < 0; n++) {
		i = (chunk_hint + n) % chunk_count;
		if (chunks[i].base == 0 || chunks[i].free_units < units)
			continue;
		at = chunk_find(&chunks[i], units);
		found = i;
	}
	if (at < 0) {
		found = chunk_new();
		if (found == UINT32_MAX)
			return 0;
		at = 0;
	}
	if (chunks[found].free_units == CHUNK_UNITS)
		chunks_empty--;
	chunks[found].used[at / 64] |= ((UINT64_C(1) << units) - 1) << at % 64;
	chunks[found].free_units -= units;
	chunk_hint = found;
	*ret_chunk = found;
	return chunks[found].base + (unsigned)at * UNIT_SIZE;
}

/* Its pages have been emptied, so that a slab that goes back is zero. */
static void units_give(uintptr_t base, unsigned units, uint32_t chunk)
{
	struct chunk *c = &chunks[chunk];
	unsigned at = (unsigned)((base - c->base) / UNIT_SIZE);

	c->used[at / 64] &= ~(((UINT64_C(1) << units) - 1) << at % 64);
	c->free_units += units;
	if (c->free_units < CHUNK_UNITS)
		return;
	if (chunks_empty > 0 && !block_keeps_contents()) {
		block_slab_give(c->base, CHUNK_SIZE);
		c->base = 0;
	} else {
		chunks_empty++;
	}
}

/* --- spans ------------------------------------------------------------------------- */

/* With chunk_lock held. */
static uint32_t record_take(void)
{
	uint32_t index = span_unused;

	if (index != 0) {
		span_unused = span_at(index)->next;
		return index;
	}
	if (span_count == SPANS_MAX)
		return 0;
	index = span_count;
	if (!span_blocks[index / SPAN_BLOCK])
		span_blocks[index / SPAN_BLOCK] = block_reserve(
			SPAN_BLOCK * sizeof(struct span));
	if (!span_blocks[index / SPAN_BLOCK])
		return 0;
	span_count++;
	return index;
}

static void list_insert(struct class *c, uint32_t index)
{
	struct span *s = span_at(index);

	s->previous = 0;
	s->next = c->first;
	if (c->first)
		span_at(c->first)->previous = index;
	c->first = index;
}

static void list_remove(struct class *c, uint32_t index)
{
	struct span *s = span_at(index);

	if (s->previous)
		span_at(s->previous)->next = s->next;
	else
		c->first = s->next;
	if (s->next)
		span_at(s->next)->previous = s->previous;
}

/* With the class locked. */
static bool span_new(struct class *c)
{
	struct span *s = NULL;
	uint32_t index, chunk = 0;
	uintptr_t base = 0;

	if (budget_limited(0))
		return false;
	pthread_mutex_lock(&chunk_lock);
	index = record_take();
	if (index)
		base = units_take(c->units, &chunk);
	if (index && !base) {
		span_at(index)->next = span_unused;
		span_unused = index;
	}
	pthread_mutex_unlock(&chunk_lock);
	if (!base)
		return false;
	s = span_at(index);
	*s = (struct span){ .base = base,
			    .chunk = chunk,
			    .count = c->count,
			    .free_count = c->count,
			    .class = (uint8_t)(c - classes),
			    .units = (uint8_t)c->units };
	for (unsigned i = 0; i < c->count; i++)
		s->free[i / 64] |= UINT64_C(1) << i % 64;
	block_own(base, c->units * UNIT_SIZE, index | BLOCK_SPAN);
	budget_live((int64_t)(c->units * UNIT_SIZE));
	list_insert(c, index);
	c->empty++;
	return true;
}

/* Out of its class's list; nobody has an object of it. */
static void span_end(uint32_t index)
{
	struct span *s = span_at(index);

	block_empty(s->base, s->units * UNIT_SIZE);
	block_own(s->base, s->units * UNIT_SIZE, 0);
	budget_live(-(int64_t)(s->units * UNIT_SIZE));
	pthread_mutex_lock(&chunk_lock);
	units_give(s->base, s->units, s->chunk);
	s->next = span_unused;
	span_unused = index;
	pthread_mutex_unlock(&chunk_lock);
}

/* --- objects ------------------------------------------------------------------------- */

/* Up to `want` objects, the first to be used last in the list. */
static unsigned class_take(struct class *c, unsigned want, void **ret)
{
	unsigned got = 0;

	pthread_mutex_lock(&c->lock);
	while (got < want) {
		struct span *s;
		uint32_t index = c->first;

		if (!index) {
			/* Some are better than a new span. */
			if (got > 0 || !span_new(c))
				break;
			index = c->first;
		}
		s = span_at(index);
		if (s->free_count == s->count)
			c->empty--;
		for (unsigned w = 0; w < WORDS && got < want; w++)
			while (s->free[w] != 0 && got < want) {
				unsigned bit = (unsigned)__builtin_ctzll(
					s->free[w]);

				s->free[w] &= s->free[w] - 1;
				s->free_count--;
				ret[got++] = (void *)(s->base +
						      (uint64_t)(w * 64 + bit) *
							      c->size);
			}
		if (s->free_count == 0)
			list_remove(c, index);
	}
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < got / 2; i++) {
		void *p = ret[i];

		ret[i] = ret[got - 1 - i];
		ret[got - 1 - i] = p;
	}
	if (got > 0)
		budget_count(got, (uint64_t)got * c->size);
	return got;
}

static uint32_t object_index(const struct span *s, const void *p)
{
	uint64_t offset = (uintptr_t)p - s->base;

	return (uint32_t)(offset * classes[s->class].inverse >> 32);
}

static bool object_begins(const struct span *s, const void *p)
{
	uint32_t i = object_index(s, p);

	return i < s->count && (uintptr_t)p - s->base ==
				       (uint64_t)i * classes[s->class].size;
}

static void class_give(struct class *c, void **list, unsigned count)
{
	uint32_t ended[MAGAZINE_MAX];
	unsigned ended_count = 0;

	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < count; i++) {
		uint32_t index = block_owner(list[i]) & ~BLOCK_SPAN;
		struct span *s = span_at(index);
		uint32_t at = object_index(s, list[i]);

		if ((s->free[at / 64] >> at % 64 & 1) != 0)
			malloc_bad_pointer("free", list[i]);
		s->free[at / 64] |= UINT64_C(1) << at % 64;
		if (s->free_count++ == 0)
			list_insert(c, index);
		if (s->free_count < s->count)
			continue;
		if (c->empty > 0) {
			list_remove(c, index);
			ended[ended_count++] = index;
		} else {
			c->empty++;
		}
	}
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < ended_count; i++)
		span_end(ended[i]);
}

/* --- threads -------------------------------------------------------------------------- */

static struct cache *cache_here(void)
{
	if (!cache && !cache_ended) {
		thread_begin();
		cache = local_take(sizeof(*cache));
	}
	return cache;
}

void arena_thread_end(void)
{
	struct cache *mine = cache;

	cache_ended = true;
	cache = NULL;
	if (!mine)
		return;
	for (unsigned i = 0; i < CLASSES; i++)
		class_give(&classes[i], mine->item + classes[i].place,
			   mine->count[i]);
	local_give(mine, sizeof(*mine));
}

/* --- what malloc.c calls ---------------------------------------------------------------- */

static void *take(uint32_t class)
{
	struct class *c = &classes[class];
	struct cache *mine = cache_here();
	void *list[MAGAZINE_MAX / 2], *p;
	unsigned got;

	if (!mine)
		return class_take(c, 1, &p) == 1 ? p : NULL;
	if (mine->count[class] > 0)
		return mine->item[c->place + --mine->count[class]];
	/* Into our own frame first: a handler of the program's that allocates
	 * finds the magazine as it was. */
	got = class_take(c, c->magazine / 2u, list);
	if (got == 0)
		return NULL;
	p = list[--got];
	if (mine->count[class] > 0) {
		class_give(c, list, got);
	} else {
		memcpy(mine->item + c->place, list, got * sizeof(*list));
		mine->count[class] = got;
	}
	return p;
}

void *arena_take(size_t size, size_t alignment)
{
	if (!started || size > ARENA_SIZE_MAX || alignment > SHIM_PAGE)
		return NULL;
	/* Of a power of two, objects are aligned to it, up to a page. */
	if (alignment > 16) {
		size = size < alignment ? alignment : size;
		if (size & (size - 1))
			size = (size_t)1 << (64 - __builtin_clzll(size));
		if (size > ARENA_SIZE_MAX)
			return NULL;
	}
	return take(size == 0 ? 0 : xm_heap_class_of(size));
}

void arena_give(void *p, uint32_t owner)
{
	struct span *s = span_at(owner & ~BLOCK_SPAN);
	uint32_t class = s->class;
	struct class *c = &classes[class];
	struct cache *mine = cache_here();

	if (!object_begins(s, p))
		malloc_bad_pointer("free", p);
	if (!mine) {
		class_give(c, &p, 1);
		return;
	}
	if (mine->count[class] == c->magazine) {
		unsigned half = c->magazine / 2u;
		void *list[MAGAZINE_MAX / 2], **item = mine->item + c->place;

		memcpy(list, item, half * sizeof(*list));
		memmove(item, item + half,
			(c->magazine - half) * sizeof(*list));
		mine->count[class] -= half;
		class_give(c, list, half);
	}
	mine->item[c->place + mine->count[class]++] = p;
}

size_t arena_size(const char *call, const void *p, uint32_t owner)
{
	const struct span *s = span_at(owner & ~BLOCK_SPAN);

	if (!object_begins(s, p))
		malloc_bad_pointer(call, p);
	return classes[s->class].size;
}

void arena_lock(void)
{
	for (unsigned i = 0; i < CLASSES; i++)
		pthread_mutex_lock(&classes[i].lock);
	pthread_mutex_lock(&chunk_lock);
}

void arena_unlock(void)
{
	pthread_mutex_unlock(&chunk_lock);
	for (unsigned i = CLASSES; i > 0; i--)
		pthread_mutex_unlock(&classes[i - 1].lock);
}
