/* SPDX-License-Identifier: BSD-3-Clause */
/* Which calls the misses come from; see sites.h. */
#include "advise/sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_names(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	for (uint32_t i = 0; i < x->depth && i < y->depth; i++) {
		int order = strcmp(x->names[i], y->names[i]);

		if (order != 0)
			return order;
	}
	return (x->depth > y->depth) - (x->depth < y->depth);
}

static void close_site(struct site *s)
{
	for (uint32_t i = 0; i < s->depth; i++)
		free(s->names[i]);
}

static int add(struct sites *to, const struct recording *r, uint32_t stack,
	       uint64_t misses)
{
	const struct xm_record_stack *from = &r->record->stacks[stack];
	struct site *s = &to->list[to->count++];

	s->misses = misses;
	for (uint32_t i = from->depth; i-- > 0;) {
		char room[24];
		char *name = strdup(recording_name(r, from->at[i], room));

		if (name == NULL)
			return -ENOMEM;
		s->names[s->depth++] = name;
	}
	if (s->depth == 0 && (s->names[0] = strdup("(calls that found no room)")))
		s->depth = 1;
	to->misses += misses;
	return 0;
}

static void merge_equal(struct sites *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		if (kept > 0 && by_names(&s->list[kept - 1], &s->list[i]) == 0) {
			s->list[kept - 1].misses += s->list[i].misses;
			close_site(&s->list[i]);
		} else {
			s->list[kept++] = s->list[i];
		}
	}
	s->count = kept;
}

int sites_open(const struct recording *r, const uint64_t *misses_by, struct sites *ret)
{
	int rc = 0;

	*ret = (struct sites){ .list = calloc(XM_RECORD_STACKS,
					      sizeof(struct site)) };
	if (ret->list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < XM_RECORD_STACKS && rc == 0; i++)
		if (misses_by[i] > 0)
			rc = add(ret, r, i, misses_by[i]);
	if (rc != 0) {
		sites_close(ret);
		return rc;
	}
	qsort(ret->list, ret->count, sizeof(*ret->list), by_names);
	merge_equal(ret);
	return 0;
}

void sites_close(struct sites *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		close_site(&s->list[i]);
	free(s->list);
	*s = (struct sites){ 0 };
}

/* By insertion: `count` is a few. */
uint32_t sites_most(const struct sites *s, const struct site **ret, uint32_t count)
{
	uint32_t got = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t at = got;

		while (at > 0 && ret[at - 1]->misses < s->list[i].misses)
			at--;
		if (at == count)
			continue;
		got += got < count;
		memmove(ret + at + 1, ret + at, (got - at - 1) * sizeof(*ret));
		ret[at] = &s->list[i];
	}
	return got;
}
