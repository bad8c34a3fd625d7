/* SPDX-License-Identifier: BSD-3-Clause */
/* A recording, read; see recording.h. */
#include "advise/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELIVER_NS 1500 /* a signal and the return from it: not in the faults' time */

static bool is_sound(const struct xm_record *r, uint64_t size)
{
	if (size <= sizeof(*r) || r->magic != XM_RECORD_MAGIC ||
	    r->count > r->room || xm_record_size(r->room) > size ||
	    r->halvings > XM_RECORD_HALVINGS_MAX ||
	    r->names_count > XM_RECORD_NAMES)
		return false;
	for (uint32_t i = 0; i < XM_RECORD_STACKS; i++)
		if (r->stacks[i].depth > XM_RECORD_DEPTH)
			return false;
	for (uint64_t i = 0; i < r->count; i++)
		if (r->touches[i].kind > XM_RECORD_FRESH ||
		    (r->touches[i].kind != XM_RECORD_FRESH &&
		     r->touches[i].value >= XM_RECORD_STACKS))
			return false;
	return true;
}

/* --- chunks ---------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Those that were touched. */
static int find_chunks(struct recording *ret)
{
	const struct xm_record *r = ret->record;
	uint32_t *all = malloc((r->count + 1) * sizeof(*all));
	uint64_t count = 0, kept = 0;

	if (all == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < r->count; i++) {
		uint32_t chunk = r->touches[i].page / XM_RECORD_CHUNK;

		if (r->touches[i].kind != XM_RECORD_FRESH &&
		    (count == 0 || all[count - 1] != chunk))
			all[count++] = chunk;
	}
	qsort(all, count, sizeof(*all), by_number);
	for (uint64_t i = 0; i < count; i++)
		if (kept == 0 || all[kept - 1] != all[i])
			all[kept++] = all[i];
	ret->chunks = all;
	ret->chunks_count = (uint32_t)kept;
	ret->pages = kept * XM_RECORD_CHUNK;
	return 0;
}

/* The first chunk here that is `chunk` or behind it. */
static uint32_t chunk_from(const struct recording *r, uint32_t chunk)
{
	uint32_t low = 0, high = r->chunks_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (r->chunks[middle] < chunk)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- touches -------------------------------------------------------------------- */

/* The parts of a FRESH that lie in chunks that were touched, to `to` if it is not NULL;
 * their number. */
static uint64_t split(const struct recording *r, struct xm_record_touch t,
		      struct xm_record_touch *to)
{
	uint64_t first = t.page, limit = first + t.value, parts = 0;

	for (uint32_t i = chunk_from(r, t.page / XM_RECORD_CHUNK);
	     i < r->chunks_count; i++) {
		uint64_t begin = (uint64_t)r->chunks[i] * XM_RECORD_CHUNK;
		uint64_t from = xm_max(first, begin);
		uint64_t until = xm_min(limit, begin + XM_RECORD_CHUNK);

		if (begin >= limit)
			break;
		if (to != NULL)
			to[parts] = (struct xm_record_touch){
				.page = (uint32_t)(i * XM_RECORD_CHUNK +
						   from - begin),
				.kind = XM_RECORD_FRESH,
				.value = (uint32_t)(until - from),
			};
		parts++;
	}
	return parts;
}

static int move_together(struct recording *ret)
{
	const struct xm_record *r = ret->record;
	uint64_t count = 0;

	for (uint64_t i = 0; i < r->count; i++)
		count += r->touches[i].kind == XM_RECORD_FRESH
				 ? split(ret, r->touches[i], NULL) : 1;
	ret->list = malloc((count + 1) * sizeof(*ret->list));
	if (ret->list == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < r->count; i++) {
		struct xm_record_touch t = r->touches[i];

		if (t.kind == XM_RECORD_FRESH) {
			ret->count += split(ret, t, ret->list + ret->count);
			continue;
		}
		t.page = chunk_from(ret, t.page / XM_RECORD_CHUNK) *
				 XM_RECORD_CHUNK +
			 t.page % XM_RECORD_CHUNK;
		ret->list[ret->count++] = t;
		ret->touches++;
	}
	return 0;
}

/* --- names ------------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	const struct xm_record_name *x = *(const struct xm_record_name *const *)a;
	const struct xm_record_name *y = *(const struct xm_record_name *const *)b;

	return (x->at > y->at) - (x->at < y->at);
}

static int sort_names(struct recording *ret)
{
	const struct xm_record *r = ret->record;

	ret->names = malloc((r->names_count + 1) * sizeof(*ret->names));
	if (ret->names == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->names_count; i++)
		ret->names[i] = &r->names[i];
	qsort(ret->names, r->names_count, sizeof(*ret->names), by_address);
	return 0;
}

const char *recording_name(const struct recording *r, uint64_t at, char room[24])
{
	const struct xm_record_name key = { .at = at }, *wanted = &key, **found;

	found = bsearch(&wanted, r->names, r->record->names_count,
			sizeof(*r->names), by_address);
	if (found != NULL)
		return (*found)->text;
	snprintf(room, 24, "%#llx", (unsigned long long)at);
	return room;
}

/* --- all of it ----------------------------------------------------------------------- */

int recording_open(const struct xm_record *r, uint64_t size, struct recording *ret)
{
	int rc;

	*ret = (struct recording){ .record = r };
	if (!is_sound(r, size))
		return -EINVAL;
	rc = find_chunks(ret);
	if (rc == 0)
		rc = move_together(ret);
	if (rc == 0)
		rc = sort_names(ret);
	if (rc != 0)
		recording_close(ret);
	return rc;
}

void recording_close(struct recording *r)
{
	free(r->chunks);
	free(r->list);
	free(r->names);
	*r = (struct recording){ 0 };
}

uint64_t recording_scale(const struct recording *r)
{
	return UINT64_C(1) << r->record->halvings;
}

uint64_t recording_compute_ns(const struct recording *r)
{
	uint64_t all = r->record->process_ns, between = recording_between_ns(r);
	uint64_t faults = r->record->faults_thread_ns + r->record->seen * DELIVER_NS;

	/* It was killed, and has said no more. */
	if (all < faults)
		return between;
	return xm_max(all - faults, between);
}

uint64_t recording_between_ns(const struct recording *r)
{
	uint64_t deliver = r->record->seen * DELIVER_NS;

	return r->record->between_ns - xm_min(deliver, r->record->between_ns);
}

uint64_t recording_trip_ns(const struct recording *r, uint64_t fault_ns)
{
	uint64_t misses = r->record->misses, waited = r->record->waited_ns;

	if (misses == 0) { /* it was killed, or missed nothing */
		misses = r->record->seen;
		waited = r->record->faults_ns;
	}
	if (misses == 0 || waited / misses <= fault_ns + XM_US)
		return XM_US;
	return waited / misses - fault_ns;
}
