/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is cleared by what was touched of it; see sparse.h. */
#include "sim/sparse.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096

/* Those that are not in use, zero all over. */
static struct sparse *kept;
static uint64_t changes;

struct sparse *sparse_take(size_t size)
{
	size_t marks = (size / PAGE + 64) / 64;
	struct sparse **link = &kept, *s;

	while (*link != NULL && (*link)->size != size)
		link = &(*link)->next;
	s = *link;
	if (s != NULL) {
		*link = s->next;
		return s;
	}
	s = malloc(sizeof(*s));
	XM_ASSERT(s != NULL);
	s->size = size;
	s->bytes = calloc(1, size);
	s->marks = calloc(marks, sizeof(*s->marks));
	s->stamps = calloc(size / PAGE + 1, sizeof(*s->stamps));
	XM_ASSERT(s->bytes != NULL && s->marks != NULL && s->stamps != NULL);
	return s;
}

uint64_t sparse_now(void)
{
	return changes;
}

uint64_t sparse_changed(const struct sparse *s, size_t offset)
{
	return s->stamps[offset / PAGE];
}

void sparse_mark(struct sparse *s, size_t offset, size_t size)
{
	XM_ASSERT(size > 0 && xm_span_fits(offset, size, s->size));
	changes++;
	for (size_t i = offset / PAGE; i <= (offset + size - 1) / PAGE; i++) {
		s->marks[i / 64] |= UINT64_C(1) << i % 64;
		s->stamps[i] = changes;
	}
}

void sparse_clear(struct sparse *s, size_t offset, size_t size)
{
	size_t end = offset + size;

	XM_ASSERT(xm_span_fits(offset, size, s->size));
	changes++;
	while (offset < end) {
		size_t i = offset / PAGE;
		size_t next = xm_min((i + 1) * PAGE, end);
		uint64_t bit = UINT64_C(1) << i % 64;

		if ((s->marks[i / 64] & ~(bit - 1)) == 0) {
			/* Nothing in the rest of this word's pages. */
			offset = (i / 64 + 1) * 64 * PAGE;
			continue;
		}
		if ((s->marks[i / 64] & bit) != 0) {
			memset(s->bytes + offset, 0, next - offset);
			s->stamps[i] = changes;
			if (next - offset == PAGE)
				s->marks[i / 64] &= ~bit;
		}
		offset = next;
	}
}

void sparse_give(struct sparse *s)
{
	if (s == NULL)
		return;
	sparse_clear(s, 0, s->size);
	/* A last page that is not whole. */
	memset(s->marks, 0, (s->size / PAGE + 64) / 64 * sizeof(*s->marks));
	s->next = kept;
	kept = s;
}
