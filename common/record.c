/* SPDX-License-Identifier: BSD-3-Clause */
/* A recording of what a program touched; see record.h. */
#include "common/record.h"

#include <string.h>

#define BASE_BELOW (UINT64_C(8) << 40)
#define CHUNK_SIZE (XM_PAGE * XM_RECORD_CHUNK)

uint64_t xm_record_size(uint64_t room)
{
	return sizeof(struct xm_record) + room * sizeof(struct xm_record_touch);
}

void xm_record_begin(struct xm_record *r, uint64_t size)
{
	XM_ASSERT(size > sizeof(*r));
	memset(r, 0, sizeof(*r));
	r->room = (size - sizeof(*r)) / sizeof(r->touches[0]);
	r->stacks_count = 1;
	r->magic = XM_RECORD_MAGIC;
}

/* --- places -------------------------------------------------------------------- */

/* SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014): each bit of what comes out
 * depends on all of what went in. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

bool xm_record_keeps(const struct xm_record *r, uint64_t page)
{
	uint64_t mask = (UINT64_C(1) << r->halvings) - 1;

	return (mix(page / XM_RECORD_CHUNK + 1) & mask) == 0;
}

static bool keeps_any(const struct xm_record *r, uint64_t page, uint64_t count)
{
	uint64_t chunk = page / XM_RECORD_CHUNK;
	uint64_t last = (page + count - 1) / XM_RECORD_CHUNK;

	while (chunk <= last && !xm_record_keeps(r, chunk * XM_RECORD_CHUNK))
		chunk++;
	return chunk <= last;
}

/* --- touches -------------------------------------------------------------------- */

static void halve(struct xm_record *r)
{
	uint64_t kept = 0;

	r->halvings++;
	for (uint64_t i = 0; i < r->count; i++) {
		struct xm_record_touch t = r->touches[i];
		uint64_t pages = t.kind == XM_RECORD_FRESH ? t.value : 1;

		if (keeps_any(r, t.page, pages))
			r->touches[kept++] = t;
	}
	r->count = kept;
}

/* Half of the room at least is free after it, or no place is left out any more. */
static bool make_room(struct xm_record *r)
{
	if (r->count < r->room)
		return true;
	while (r->count > r->room / 2 && r->halvings < XM_RECORD_HALVINGS_MAX)
		halve(r);
	r->full = r->count == r->room;
	return !r->full;
}

static void append(struct xm_record *r, uint64_t page, enum xm_record_kind kind,
		   uint32_t value, uint64_t pages)
{
	if (r->full || !keeps_any(r, page, pages) || !make_room(r) ||
	    !keeps_any(r, page, pages)) /* no more, perhaps */
		return;
	r->touches[r->count++] = (struct xm_record_touch){
		.page = (uint32_t)page,
		.kind = (uint32_t)kind & 3,
		.value = value & (XM_RECORD_RUN_MAX * 64 - 1),
	};
}

/* False: it lies too far away. */
static bool page_of(struct xm_record *r, uint64_t address, uint64_t *ret)
{
	if (r->base == 0)
		r->base = (address - xm_min(address / 2, BASE_BELOW)) &
			  ~(CHUNK_SIZE - 1);
	*ret = (address - r->base) / XM_PAGE;
	return address >= r->base && *ret <= UINT32_MAX;
}

void xm_record_touch(struct xm_record *r, uint64_t address, bool write,
		     uint32_t stack)
{
	uint64_t page;

	r->seen++;
	if (page_of(r, address, &page))
		append(r, page, write ? XM_RECORD_WRITE : XM_RECORD_READ, stack, 1);
}

void xm_record_fresh(struct xm_record *r, uint64_t address, uint64_t size)
{
	uint64_t first, limit;

	if (size < XM_PAGE || !page_of(r, address + XM_PAGE - 1, &first) ||
	    !page_of(r, address + size, &limit))
		return;
	while (first < limit) {
		uint64_t run = xm_min(limit - first, XM_RECORD_RUN_MAX);

		append(r, first, XM_RECORD_FRESH, (uint32_t)run, run);
		first += run;
	}
}

/* --- stacks and names -------------------------------------------------------------- */

static uint64_t hash(const uint64_t *at, uint32_t depth)
{
	uint64_t h = depth;

	for (uint32_t i = 0; i < depth; i++)
		h = mix(h + at[i] + 1);
	return h;
}

/* A hash table without deletions; linear probing. Stack 0 is nobody's. */
uint32_t xm_record_stack(struct xm_record *r, const uint64_t *at, uint32_t depth)
{
	uint32_t i;

	depth = (uint32_t)xm_min(depth, XM_RECORD_DEPTH);
	if (depth == 0)
		return 0;
	i = (uint32_t)(hash(at, depth) % XM_RECORD_STACKS);
	for (uint32_t n = 0; n < XM_RECORD_STACKS; n++) {
		struct xm_record_stack *s = &r->stacks[i];

		if (i != 0 && s->depth == depth &&
		    memcmp(s->at, at, depth * sizeof(*at)) == 0)
			return i;
		if (i != 0 && s->depth == 0) {
			/* Searches stay short. */
			if (r->stacks_count > XM_RECORD_STACKS / 8 * 7)
				return 0;
			s->depth = depth;
			memcpy(s->at, at, depth * sizeof(*at));
			r->stacks_count++;
			return i;
		}
		i = (i + 1) % XM_RECORD_STACKS;
	}
	return 0;
}

bool xm_record_name(struct xm_record *r, uint64_t at, const char *text)
{
	struct xm_record_name *name = &r->names[r->names_count];
	size_t length = 0;

	if (r->names_count == XM_RECORD_NAMES)
		return false;
	while (length < XM_RECORD_NAME - 1 && text[length] != '\0')
		length++;
	name->at = at;
	memcpy(name->text, text, length);
	name->text[length] = '\0';
	r->names_count++;
	return true;
}
