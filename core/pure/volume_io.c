/* SPDX-License-Identifier: BSD-3-Clause */
/* A lane's reads and writes of the volume; see volume.h. */
#include "core/pure/volume.h"

#include <string.h>

size_t xm_volume_io_memory_size(uint32_t efforts_max)
{
	return efforts_max * sizeof(struct xm_effort);
}

void xm_volume_io_init(struct xm_volume_io *io, struct xm_volume *volume,
		       uint32_t efforts_max, void *memory)
{
	memset(io, 0, sizeof(*io));
	io->volume = volume;
	io->efforts = memory;
	io->efforts_free = efforts_max > 0 ? 0 : XM_NO_EFFORT;
	for (uint32_t i = 0; i < efforts_max; i++)
		io->efforts[i].page = i + 1 < efforts_max ? i + 1
							  : XM_NO_EFFORT;
}

void xm_volume_io_add(struct xm_volume_io *io, const struct xm_path *path,
		      uint64_t size_max, uint32_t scatter_max)
{
	XM_ASSERT(io->peers_count < XM_APPLIANCES_MAX);
	io->peers[io->peers_count++] = (struct xm_volume_peer){
		.path = path, .size_max = size_max, .scatter_max = scatter_max,
	};
}

/* --- questions -------------------------------------------------------------- */

static bool is_up(const struct xm_volume_io *io, const struct xm_member *member)
{
	return io->peers[member->appliance].path->state == XM_PATH_UP;
}

/* Reads go to the first member that is up; where none is, to the first that is
 * not lost. */
static uint32_t best_member(const struct xm_volume_io *io,
			    const struct xm_segment *s)
{
	uint32_t best = s->members_count;

	for (uint32_t k = 0; k < s->members_count; k++) {
		if (s->members[k].lost)
			continue;
		if (is_up(io, &s->members[k]))
			return k;
		best = xm_min(best, k);
	}
	return best < s->members_count ? best : 0;
}

enum xm_reach xm_volume_reach_best(const struct xm_volume_io *io,
				   const struct xm_segment *s, uint64_t now_ns,
				   uint32_t *ret_appliance)
{
	enum xm_reach best = XM_REACH_LOST;

	*ret_appliance = s->members[best_member(io, s)].appliance;
	for (uint32_t k = 0; k < s->members_count; k++) {
		const struct xm_member *member = &s->members[k];
		enum xm_reach reach;

		if (member->lost)
			continue;
		reach = xm_path_reach(io->peers[member->appliance].path,
				      now_ns);
		if (reach < best)
			best = reach;
	}
	return best;
}

bool xm_volume_sealed_page(struct xm_volume_io *io, uint64_t page,
			   struct xm_seal_page *ret)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	if (s == NULL || !s->sealed)
		return false;
	ret->region = s->region_id;
	ret->page = s->region_page + (page - s->page);
	return true;
}

/* --- posts ------------------------------------------------------------------ */

uint64_t xm_volume_most(struct xm_volume_io *io, uint64_t address)
{
	uint32_t shift = io->volume->page_shift;
	uint64_t page = address >> shift;
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	return s == NULL ? 0
			 : xm_volume_cut(io, s, page, address - (page << shift),
				       UINT64_MAX);
}

static inline struct xm_post *post_add(struct xm_volume_posts *posts,
				       const struct xm_segment *s, uint32_t k)
{
	struct xm_post *post = &posts->list[posts->count++];

	post->appliance = s->members[k].appliance;
	post->member = (uint8_t)k;
	post->remote = &s->members[k].remote;
	return post;
}

static void posts_begin(struct xm_volume_posts *posts,
			const struct xm_segment *s, uint64_t page,
			uint64_t size)
{
	posts->page = page;
	posts->size = size;
	posts->count = 0;
	posts->sealed = s->sealed;
}

int xm_volume_read_best(struct xm_volume_io *io, const struct xm_segment *s,
			uint64_t page, uint64_t skip, uint64_t size,
			struct xm_volume_posts *ret)
{
	uint32_t k = best_member(io, s);

	posts_begin(ret, s, page, xm_volume_cut(io, s, page, skip, size));
	if (s->lost)
		return -ESTALE;
	if (!is_up(io, &s->members[k]))
		return -ENOTCONN;
	post_add(ret, s, k)->offsets[0] =
		s->members[k].offset + skip +
		((page - s->page) << io->volume->page_shift);
	return 0;
}

/* A write needs all of its members. */
static bool all_up(const struct xm_volume_io *io, const struct xm_segment *s)
{
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (!s->members[k].lost && !is_up(io, &s->members[k]))
			return false;
	}
	return true;
}

int xm_volume_write_all(struct xm_volume_io *io, const struct xm_segment *s,
			uint64_t page, uint64_t skip, uint64_t size,
			struct xm_volume_posts *ret)
{
	posts_begin(ret, s, page, xm_volume_cut(io, s, page, skip, size));
	if (s->lost)
		return -ESTALE;
	if (!all_up(io, s))
		return -ENOTCONN;
	skip += (page - s->page) << io->volume->page_shift;
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (!s->members[k].lost)
			post_add(ret, s, k)->offsets[0] =
				s->members[k].offset + skip;
	}
	return 0;
}

/* Pieces of one scattered write at every member. */
static uint32_t scatter_max(const struct xm_volume_io *io,
			    const struct xm_segment *s)
{
	uint64_t max = xm_volume_size_max(io, s) >> io->volume->page_shift;

	for (uint32_t k = 0; k < s->members_count; k++)
		max = xm_min(max,
			     io->peers[s->members[k].appliance].scatter_max);
	return (uint32_t)xm_min(max, XM_PAGER_SCATTER_MAX);
}

int xm_volume_scatter(struct xm_volume_io *io, const uint64_t *pages,
		      uint32_t count, struct xm_volume_posts *ret)
{
	uint32_t shift = io->volume->page_shift;
	const struct xm_segment *s = xm_layout_find(
		&io->volume->layout, pages[0], &io->write_hint);
	uint32_t max, n = 1;

	if (s == NULL)
		return -ERANGE;
	max = xm_min(count, scatter_max(io, s));
	while (n < max && pages[n] - s->page < s->count)
		n++;
	posts_begin(ret, s, pages[0], (uint64_t)n << shift);
	if (s->lost)
		return -ESTALE;
	if (!all_up(io, s))
		return -ENOTCONN;
	for (uint32_t k = 0; k < s->members_count; k++) {
		const struct xm_member *member = &s->members[k];
		struct xm_post *post;

		if (member->lost)
			continue;
		post = post_add(ret, s, k);
		for (uint32_t i = 0; i < n; i++)
			post->offsets[i] = member->offset +
					   ((pages[i] - s->page) << shift);
	}
	return 0;
}

/* --- efforts ---------------------------------------------------------------- */

uint32_t xm_effort_begin(struct xm_volume_io *io,
			 const struct xm_volume_posts *posts)
{
	uint32_t index = io->efforts_free;
	struct xm_effort *effort;

	XM_ASSERT(index != XM_NO_EFFORT);
	effort = &io->efforts[index];
	io->efforts_free = (uint32_t)effort->page;
	effort->page = posts->page;
	effort->left = posts->count + 1;
	effort->have = 0;
	effort->status = 0;
	return index;
}

/* Has every member that is not lost got the bytes? Asked at the end, not when
 * the write began: a member that was lost meanwhile is not needed, and one
 * that was added meanwhile is. */
static bool all_have(struct xm_volume_io *io, const struct xm_effort *effort)
{
	const struct xm_segment *s = xm_layout_find(
		&io->volume->layout, effort->page, &io->write_hint);

	if (s == NULL || s->lost)
		return false;
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (!s->members[k].lost && (effort->have & 1u << k) == 0)
			return false;
	}
	return true;
}

bool xm_effort_end(struct xm_volume_io *io, uint32_t index, uint32_t member,
		   int status, int *ret_status)
{
	struct xm_effort *effort = &io->efforts[index];

	XM_ASSERT(effort->left > 0);
	if (member < XM_MEMBERS_MAX && status == 0)
		effort->have |= 1u << member;
	else if (effort->status == 0)
		effort->status = status;
	if (--effort->left > 0)
		return false;
	if (all_have(io, effort))
		*ret_status = 0;
	else
		*ret_status = effort->status != 0 ? effort->status : -ESTALE;
	effort->page = io->efforts_free;
	io->efforts_free = index;
	return true;
}
