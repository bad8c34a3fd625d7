/* SPDX-License-Identifier: BSD-3-Clause */
/* A lane's reads and writes of the volume; see volume.h. */
#include "core/pure/volume.h"

#include <string.h>

#include "core/pure/plant.h"

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
	io->efforts_max = efforts_max;
	io->efforts_free = efforts_max > 0 ? 0 : XM_NO_EFFORT;
	for (uint32_t i = 0; i < efforts_max; i++)
		io->efforts[i].page = i + 1 < efforts_max ? i + 1
							  : XM_NO_EFFORT;
}

void xm_volume_io_add(struct xm_volume_io *io, const struct xm_path *path,
		      const uint32_t *flying, uint64_t size_max,
		      uint32_t scatter_max)
{
	XM_ASSERT(io->peers_count < XM_APPLIANCES_MAX);
	io->peers[io->peers_count++] = (struct xm_volume_peer){
		.path = path, .flying = flying, .size_max = size_max,
		.scatter_max = scatter_max,
	};
}

/* --- questions -------------------------------------------------------------- */

static bool is_up(const struct xm_volume_io *io, const struct xm_member *member)
{
	return io->peers[member->appliance].path->state == XM_PATH_UP;
}

static bool is_in(const struct xm_member *member)
{
	return member->state == XM_MEMBER_IN ||
	       (member->state == XM_MEMBER_OUT && XM_PLANTED(out_read)) ||
	       (member->state == XM_MEMBER_FILLING && XM_PLANTED(filling_read));
}

/* IN or FILLING: a write must have reached it. */
static bool is_written(const struct xm_member *member)
{
	return member->state <= XM_MEMBER_FILLING;
}

/* So many pages in a row are read from one member first, if both are idle. */
#define TURN_PAGES XM_PAGER_WINDOW_MAX

/* The member to read from: one that is IN and can be reached, that with the fewest
 * operations under way, which is the nearest or the least busy. Of equal ones each
 * has its turn, so that a stream of reads uses all links. Where none can be reached,
 * the first that is IN; members_count: none is. */
static uint32_t best_member(const struct xm_volume_io *io,
			    const struct xm_segment *s, uint64_t page)
{
	uint32_t best = s->members_count, first = 0, least = UINT32_MAX;

	if (s->members_count > 1)
		first = (uint32_t)(page / TURN_PAGES % s->members_count);
	for (uint32_t n = 0; n < s->members_count; n++) {
		uint32_t k = (first + n) % s->members_count;
		const struct xm_member *member = &s->members[k];
		uint32_t flying;

		if (!is_in(member))
			continue;
		flying = is_up(io, member)
				 ? *io->peers[member->appliance].flying
				 : UINT32_MAX - 1;
		if (flying < least) {
			least = flying;
			best = k;
		}
	}
	return best;
}

enum xm_reach xm_volume_reach_best(const struct xm_volume_io *io,
				   const struct xm_segment *s, uint64_t page,
				   uint64_t now_ns, uint32_t *ret_appliance)
{
	enum xm_reach best = XM_REACH_LOST;
	uint32_t to = best_member(io, s, page);

	*ret_appliance = s->members[to < s->members_count ? to : 0].appliance;
	for (uint32_t k = 0; k < s->members_count; k++) {
		const struct xm_member *member = &s->members[k];
		enum xm_reach reach;

		if (!is_in(member))
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
	post->taken = s->members[k].taken;
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
	posts->several = s->members_count > 1;
	posts->sealed = s->sealed;
}

int xm_volume_read_best(struct xm_volume_io *io, const struct xm_segment *s,
			uint64_t page, uint64_t skip, uint64_t size,
			struct xm_volume_posts *ret)
{
	uint32_t k = best_member(io, s, page);

	posts_begin(ret, s, page, xm_volume_cut(io, s, page, skip, size));
	if (s->lost)
		return -ESTALE;
	/* No member is IN for a moment only: until all lanes know of the loss. */
	if (k == s->members_count || !is_up(io, &s->members[k]))
		return -ENOTCONN;
	post_add(ret, s, k)->offsets[0] =
		s->members[k].offset + skip +
		(xm_segment_row(s, page) << io->volume->page_shift);
	return 0;
}

int xm_volume_read_other(struct xm_volume_io *io, uint64_t page, uint64_t size,
			 uint32_t wrong, struct xm_volume_posts *ret)
{
	uint32_t shift = io->volume->page_shift;
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->read_hint);
	int rc = -ENODATA;

	if (s == NULL || s->lost)
		return -ESTALE;
	posts_begin(ret, s, page, xm_volume_cut(io, s, page, 0, size));
	for (uint32_t k = 0; k < s->members_count; k++) {
		if ((wrong & 1u << k) != 0 || !is_in(&s->members[k]))
			continue;
		rc = -ENOTCONN;
		if (!is_up(io, &s->members[k]))
			continue;
		post_add(ret, s, k)->offsets[0] =
			s->members[k].offset + (xm_segment_row(s, page) << shift);
		return 0;
	}
	return rc;
}

/* A write needs all of its members. */
static bool all_up(const struct xm_volume_io *io, const struct xm_segment *s)
{
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (is_written(&s->members[k]) && !is_up(io, &s->members[k]))
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
	skip += xm_segment_row(s, page) << io->volume->page_shift;
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (is_written(&s->members[k]))
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
	while (n < max && (xm_segment_has(s, pages[n]) ||
			   (XM_PLANTED(stripe_scatter_mixed) &&
			    pages[n] - s->page < s->count)))
		n++;
	posts_begin(ret, s, pages[0], (uint64_t)n << shift);
	if (s->lost)
		return -ESTALE;
	if (!all_up(io, s))
		return -ENOTCONN;
	for (uint32_t k = 0; k < s->members_count; k++) {
		const struct xm_member *member = &s->members[k];
		struct xm_post *post;

		if (!is_written(member))
			continue;
		post = post_add(ret, s, k);
		for (uint32_t i = 0; i < n; i++)
			post->offsets[i] =
				member->offset +
				(xm_segment_row(s, pages[i]) << shift);
	}
	return 0;
}

/* --- mending ---------------------------------------------------------------- */

int xm_volume_mend(struct xm_volume_io *io, uint64_t page, uint64_t count,
		   struct xm_volume_posts *ret)
{
	uint32_t shift = io->volume->page_shift;
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	if (s == NULL)
		return -ERANGE;
	posts_begin(ret, s, page,
		    xm_volume_cut(io, s, page, 0, count << shift));
	for (uint32_t k = 0; k < s->members_count; k++) {
		if (s->members[k].state != XM_MEMBER_FILLING)
			continue;
		if (!is_up(io, &s->members[k]))
			return -ENOTCONN;
		post_add(ret, s, k)->offsets[0] =
			s->members[k].offset + (xm_segment_row(s, page) << shift);
	}
	return ret->count > 0 ? 0 : -ENOENT;
}

bool xm_volume_trusts(struct xm_volume_io *io, uint64_t page, uint8_t member,
		      uint8_t taken)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->read_hint);

	return s != NULL && s->members[member].taken == taken &&
	       s->members[member].state != XM_MEMBER_LOST;
}

bool xm_volume_is_several(struct xm_volume_io *io, uint64_t page)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	return s != NULL && s->members_count > 1;
}

bool xm_volume_is_held(struct xm_volume_io *io, uint64_t page)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	return s != NULL && s->held;
}

/* Is a member of the page's segment in this state? */
static bool any_is(struct xm_volume_io *io, uint64_t page,
		   enum xm_member_state state)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	for (uint32_t k = 0; s != NULL && k < s->members_count; k++) {
		if (s->members[k].state == state)
			return true;
	}
	return false;
}

bool xm_volume_is_whole(struct xm_volume_io *io, uint64_t page)
{
	return !any_is(io, page, XM_MEMBER_OUT) &&
	       !any_is(io, page, XM_MEMBER_FILLING);
}

bool xm_volume_lacks(struct xm_volume_io *io, uint64_t page)
{
	return any_is(io, page, XM_MEMBER_OUT);
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

/* Has every member that must have the bytes got them? Asked at the end, not when
 * the write began: a member that has left meanwhile is not needed, and one that is
 * being filled since then is. (DRBD once mixed the two in one epoch.) */
static int all_have(struct xm_volume_io *io, const struct xm_effort *effort,
		    bool *ret_lacking)
{
	const struct xm_segment *s = xm_layout_find(
		&io->volume->layout, effort->page, &io->write_hint);
	int rc = 0;

	if (s == NULL || s->lost)
		return -ESTALE;
	for (uint32_t k = 0; k < s->members_count; k++) {
		const struct xm_member *member = &s->members[k];

		*ret_lacking |= member->state == XM_MEMBER_OUT;
		if (is_written(member) && (effort->have & 1u << k) == 0)
			rc = -ECANCELED;
	}
	if (XM_PLANTED(ack_first_member) && effort->have != 0)
		return 0;
	return rc;
}

/* A part or, with it, all of the effort. */
static bool end(struct xm_volume_io *io, uint32_t index,
		struct xm_effort_end *ret)
{
	struct xm_effort *effort = &io->efforts[index];

	XM_ASSERT(effort->left > 0);
	if (--effort->left > 0)
		return false;
	ret->lacking = false;
	ret->status = all_have(io, effort, &ret->lacking);
	if (ret->status != 0 && effort->status != 0)
		ret->status = effort->status;
	effort->page = io->efforts_free;
	io->efforts_free = index;
	return true;
}

void xm_effort_forget(struct xm_volume_io *io, uint64_t page, uint64_t count,
		      uint32_t member)
{
	for (uint32_t i = 0; i < io->efforts_max; i++) {
		struct xm_effort *effort = &io->efforts[i];

		if (effort->left > 0 && effort->page - page < count &&
		    !XM_PLANTED(have_kept))
			effort->have &= ~(1u << member);
	}
}

bool xm_effort_posted(struct xm_volume_io *io, uint32_t index,
		      struct xm_effort_end *ret)
{
	return end(io, index, ret);
}

bool xm_effort_part_ended(struct xm_volume_io *io, uint32_t index,
			  uint8_t member, uint8_t taken, int status,
			  struct xm_effort_end *ret)
{
	struct xm_effort *effort = &io->efforts[index];

	/* Another member may have taken this one's place. */
	if (status == 0 && xm_volume_trusts(io, effort->page, member, taken))
		effort->have |= 1u << member;
	else if (effort->status == 0)
		effort->status = status;
	return end(io, index, ret);
}
