/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The volume: where the bytes of a page are, and which appliances must have
 * them. A pure machine in two parts.
 *
 * struct xm_volume is the table: which members (extents at appliances) back
 * which pages of the arena. All lanes share it. It is read under any lane's
 * lock, and changed under all of them.
 *
 * struct xm_volume_io is what one lane adds: how each appliance can be reached,
 * and which writes are under way at several members. It turns a read or write
 * of pages into posts, one transport operation each:
 *
 *	read	one post, to one member that is IN
 *	write	one post to each member that is IN or FILLING; the write ends
 *		when all of them have ended, and has succeeded if every member
 *		that is IN or FILLING *by then* has the bytes
 *
 * A member that cannot be reached makes writes fail, so that they are repeated,
 * until the client's view (view.h) has dropped its appliance: then it is OUT, and
 * what is written from then on is STALE there (pager.h).
 *
 * The caller (engine.h) carries out the posts and reports their ends. A read or
 * write that is too long for one operation, or that crosses the end of a
 * segment or unit, is cut: `size` says how much of it the posts move, and the
 * caller asks again for the rest. Example: 6 pages, of which the first 2 lie in
 * one segment and 4 in the next, are two writes.
 *
 * A write to a segment with one member has no state of its own. Any other has an
 * effort (struct xm_effort), from a table that is given at the beginning.
 *
 * It deliberately does not: post, retry (the pager keeps the bytes of a failed
 * store and stores them again), ask appliances for memory (placement.h decides
 * where, the client asks), or know sessions and leases beyond their numbers.
 *
 * Floor: ground.
 */
#ifndef XM_VOLUME_H
#define XM_VOLUME_H

#include <errno.h>

#include "common/base.h"
#include "core/pure/layout.h"
#include "core/pure/pager.h"
#include "core/pure/path.h"
#include "core/pure/seal.h"

/* --- the table -------------------------------------------------------------- */

struct xm_volume {
	struct xm_layout layout;
	uint64_t page_size; /* 1 << page_shift */
	uint32_t page_shift;
	_Atomic uint32_t lost_count; /* segments that are lost */
	uint32_t members_at[XM_APPLIANCES_MAX];
	uint32_t redundant_at[XM_APPLIANCES_MAX]; /* of segments with others */
	_Atomic uint32_t changes; /* of members' states */
};

/* Where a page begins at one member. */
struct xm_place {
	uint32_t appliance;
	struct xm_remote_mr remote;
	uint64_t offset; /* bytes, in remote's span */
};

size_t xm_volume_memory_size(uint32_t segments_max);
/* `memory` is zeroed and aligned to 16. */
void xm_volume_init(struct xm_volume *, uint32_t segments_max,
		    uint64_t page_size, void *memory);

/* --- changes, under the locks of all lanes --- */

/* One backing, or the columns of a run, in order: all or nothing. Their pages must not be
 * backed yet. What lies at appliance a under a lease before lost[a] is lost from the
 * beginning. 0; -ENOSPC: no more segments; -ENOTCONN: all copies of one are lost. */
int xm_volume_put(struct xm_volume *, const struct xm_backing *columns, uint32_t count,
		  const uint32_t lost[XM_APPLIANCES_MAX]);
/* Of volume.c, for volume_backing.c: a segment joins the table. 0; -ENOSPC. */
int xm_volume_add(struct xm_volume *, const struct xm_segment *);
/* Removes the segment that begins at this page, with all of its columns. */
void xm_volume_remove(struct xm_volume *, uint64_t page);
/* Divides a segment, with all of its columns, at `page`, which lies inside of it and
 * begins a row: the pages before are its head, the others its tail.
 * heads[c * XM_MEMBERS_MAX + k] is the extent that TRIM has made of the head of member
 * k of column c (extent, remote); the tail keeps the old one. If its extent is 0,
 * nothing was trimmed: head and tail lie in the old extent, the head keeps its number,
 * and the tail's is 0. NULL: that is so for all. The caller has asked
 * xm_volume_room(). */
void xm_volume_divide(struct xm_volume *, uint64_t page,
		      const struct xm_extent_at *heads);
/* How many more segments there can be. */
uint32_t xm_volume_room(const struct xm_volume *);
/* A TRIM of the segment that holds `page` is sent, or FREE of all its members. From then
 * on no member of it is replaced; a guest is OUT, and leaves after it was released. */
void xm_volume_hold(struct xm_volume *, uint64_t page);
/* The TRIM has ended; without an answer at these members (a bit for each), which are
 * unsure until they are replaced. */
void xm_volume_release(struct xm_volume *, uint64_t page, uint32_t unsure);
/* What became of TRIMs is known for these unsure members (known[c], a bit for each of column
 * c of the run that begins at `page`): heads[c * XM_MEMBERS_MAX + k] is the extent that was
 * cut off member k, of `count` pages; 0: none was. Where they are less than the segment it
 * is divided there; there is room for that. Otherwise it is all that is left of what was
 * divided before, and the old numbers name tails that nobody has: *ret_tails, and the caller
 * frees these. 0; -EBUSY: some are unsure still. */
int xm_volume_settle_trim(struct xm_volume *, uint64_t page, uint64_t count,
			  const uint32_t *known, const struct xm_extent_at *heads,
			  bool *ret_tails);
/* No member of the segment that holds `page` is replaced from now on; or, again. A guest is
 * OUT, and leaves. */
void xm_volume_fix(struct xm_volume *, uint64_t page, bool fixed);
/* Of a segment that is read: its member k is right, or is not any more; one that is lost
 * stays so. */
void xm_volume_judge(struct xm_volume *, uint64_t page, uint32_t k, bool right);
/* The segment that holds `page`, and is held, is lost to this client, and the memory of its
 * member k is another's. Members that were not parted with stay, to be freed. */
void xm_volume_part(struct xm_volume *, uint64_t page, uint32_t k);
/* It has come back, and its member k is reached by another key; NULL: that one is lost. */
void xm_volume_renew(struct xm_volume *, uint64_t page, uint32_t k,
		     const struct xm_remote_mr *);
/* The mapper has these pages now, or does not any more. Both ends are those of
 * segments, or lie between segments. */
void xm_volume_set_attached(struct xm_volume *, uint64_t page, uint64_t limit,
			    bool attached);

/* --- loss, under any lane's lock, by one thread --- */

/* Marks members at `appliance` whose lease is older than `lease` as LOST, and returns,
 * one at each call, the segments that had such a member and have none that is IN: their
 * bytes are lost. Each lane calls it with a cursor of its own, 0 at first, and gets all
 * of them. The pages of a column lie apart: xm_volume_lost_run() finds them. False:
 * there are no more. */
bool xm_volume_lose(struct xm_volume *, uint32_t appliance, uint32_t lease,
		    uint32_t *cursor, uint64_t *ret_page, uint64_t *ret_count);
/* Likewise the member that is this extent. */
bool xm_volume_revoke(struct xm_volume *, uint32_t appliance, uint64_t extent,
		      uint32_t *cursor, uint64_t *ret_page, uint64_t *ret_count);
/* The first run of lost pages in [*page, end), which lies in one segment or its
 * columns; *ret_end is where it ends. False: there is none. */
bool xm_volume_lost_run(const struct xm_volume *, uint64_t *page, uint64_t end,
			uint64_t *ret_end);

/* --- views, under any lane's lock, by one thread. Appliances are a bit each. --- */

/* Makes members at these appliances OUT: every one that is FILLING, and each that
 * is IN if its segment has a member IN at another appliance. Returns how many. */
uint32_t xm_volume_drop(struct xm_volume *, uint32_t appliances);
/* Members there that are OUT become FILLING. Returns how many. */
uint32_t xm_volume_fill(struct xm_volume *, uint32_t appliances);
/* Members there that are FILLING become IN. */
void xm_volume_admit(struct xm_volume *, uint32_t appliances);
/* The appliances that have members of segments with several members. */
uint32_t xm_volume_redundant(const struct xm_volume *);
/* Finds the first page at or behind `page` whose segment has a member that is
 * FILLING; *ret_limit is the end of that segment (in a column: of the unit). False:
 * there is none. */
bool xm_volume_filling(const struct xm_volume *, uint64_t page,
		       uint64_t *ret_page, uint64_t *ret_limit);
/* How many pages such segments have from this one on. */
uint64_t xm_volume_filling_pages(const struct xm_volume *, uint64_t page);
/* A member that is to be replaced, of a segment that lives. */
struct xm_vacancy {
	uint64_t page, count; /* the segment's first, and from there to its end */
	uint64_t size;	      /* bytes of a member */
	struct xm_region_id region_id;
	const struct xm_strategy *strategy; /* its segment's; valid under the lock */
	uint32_t choice;
	/* Its index. And appliances: of all members; of other columns of its run. */
	uint32_t member, used, row;
	uint8_t taken;
	bool lost; /* else it is out, or is to leave */
	bool direct;
	uint32_t appliance;
	uint32_t lease; /* under which the extent was taken */
	uint64_t extent;
};

/* The next segment with a member that is LOST, or OUT at one of these appliances: its
 * first such one. (Where no other appliance has room for that, none has for a second.)
 * *cursor begins with 0. */
bool xm_volume_vacancy(const struct xm_volume *, uint32_t appliances,
		       uint32_t *cursor, struct xm_vacancy *ret);
/* The next segment with a copy at this appliance and others elsewhere, as if that one were
 * to be replaced. Likewise. */
bool xm_volume_next_copy(const struct xm_volume *, uint32_t appliance,
			 uint32_t *cursor, struct xm_vacancy *ret);
/* What the region has at each appliance, in bytes. */
void xm_volume_region_at(const struct xm_volume *, const struct xm_region_id *,
			 uint64_t ret[XM_APPLIANCES_MAX]);
/* Puts this member in the vacancy's place, as FILLING; with all lanes locked. True:
 * the caller calls xm_effort_forget() for each lane, and gives vacancy->extent back, which is
 * 0 then if it was lost or another segment lies in it. False: the segment or the member is
 * not what it was. */
bool xm_volume_replace(struct xm_volume *, struct xm_vacancy *,
		       const struct xm_extent_at *);

/* --- moves (volume_move.c): a copy's bytes go elsewhere while programs run. A guest is
 * added to its segment, is FILLING until a sweep has copied everything to it, and then
 * takes the copy's place at once. It is no copy before, so views do not know it. One
 * move at a time: all guests are of that one. --- */

/* The next segment with a copy IN that may be moved, at one of the appliances `leaving`, or
 * in an extent that was asked back by one of those that still want some (`wants`); and with
 * one IN, this or another, among those that can be reached. *cursor begins with 0.
 * ret->direct: not before its region is tracked. */
bool xm_volume_leaver(const struct xm_volume *, uint32_t leaving,
		      uint32_t wants, uint32_t reached, uint32_t *cursor,
		      struct xm_vacancy *ret);
/* Under lane 0's lock: the appliance asks for this extent back. And: these do not any
 * more. */
void xm_volume_ask_back(struct xm_volume *, uint32_t appliance, uint32_t lease,
			uint64_t extent);
void xm_volume_ask_no_more(struct xm_volume *, uint32_t appliances);
/* Bytes of copies in such extents. */
uint64_t xm_volume_bytes_wanted(const struct xm_volume *, uint32_t wants);
/* Paths to the appliance are wanted, or not any more; under lane 0's lock. */
void xm_volume_want(struct xm_volume *, uint32_t appliance, bool wanted);
/* With all lanes locked: this member joins the vacancy's segment, as its guest. False:
 * the segment is not what it was. */
bool xm_volume_invite(struct xm_volume *, const struct xm_vacancy *,
		      const struct xm_extent_at *);
/* How many segments have a guest; *ret_bad: one of them can take no place, or has no copy
 * IN at these appliances, from which it could be filled. */
uint32_t xm_volume_guests(const struct xm_volume *, uint32_t reached,
			  bool *ret_bad);
/* With all lanes locked: the next guest takes the place of its segment's copy at
 * `appliance`; or, if it is dismissed, leaves. *ret is what parts: the lanes forget what
 * writes under way have reached there. False: there is none that may. */
struct xm_parted {
	uint64_t page, count; /* of the segment */
	uint32_t member;
	uint32_t appliance;
	uint32_t lease;
	uint64_t extent; /* to give back; 0: another segment lies in it, or it is lost */
	uint64_t size;	 /* bytes */
};
bool xm_volume_settle(struct xm_volume *, uint32_t appliance,
		      struct xm_parted *ret);
bool xm_volume_dismiss(struct xm_volume *, struct xm_parted *ret);
/* Bytes of copies that lie there. */
uint64_t xm_volume_bytes_at(const struct xm_volume *, uint32_t appliances);
/* The segments of this region are not direct any more; with all lanes locked. */
void xm_volume_tracked(struct xm_volume *, const struct xm_region_id *);
/* Of volume.c, for volume_vacancy.c and volume_move.c: a member is another, or lost. */
void xm_segment_judge(struct xm_segment *);
/* Of volume_backing.c, for volume_vacancy.c and volume_move.c: a member that is IN. */
void xm_member_set(struct xm_member *, const struct xm_extent_at *);
/* Of volume_vacancy.c, for volume_move.c. */
void xm_vacancy_set(const struct xm_volume *, const struct xm_segment *,
		    uint32_t member, struct xm_vacancy *ret);
bool xm_vacancy_is(const struct xm_segment *, const struct xm_vacancy *);
/* Does another segment lie in this member's extent, too? Then that one is to give it
 * back. */
bool xm_volume_leave_to_another(struct xm_volume *, const struct xm_segment *,
				const struct xm_member *);

/* Members of segments that have several, by state. */
struct xm_volume_census {
	uint32_t members[XM_MEMBER_LOST + 1];
};
void xm_volume_members(const struct xm_volume *, struct xm_volume_census *ret);

/* --- questions, under any lane's lock --- */

/* How many segments there are, and the most columns and members that one has. */
struct xm_volume_shape {
	uint32_t segments, columns, copies;
};
void xm_volume_shape(const struct xm_volume *, struct xm_volume_shape *ret);
/* What backs the page. False: nothing does. */
bool xm_volume_backing(const struct xm_volume *, uint64_t page,
		       struct xm_backing *ret);
/* Where the page is at one of its members, from 0. False: there is no such
 * member, or it is not IN. */
bool xm_volume_place(const struct xm_volume *, uint64_t page, uint32_t member,
		     struct xm_place *ret);
/* The appliances of the segment that holds the page, a bit for each, whether
 * lost or not. 0: there is no segment. */
uint32_t xm_volume_appliances(const struct xm_volume *, uint64_t page,
			      bool *ret_lost);
/* Is the page of a region that another client shares? */
bool xm_volume_is_read(const struct xm_volume *, uint64_t page);
/* Is any of these pages lost? */
bool xm_volume_any_lost(const struct xm_volume *, uint64_t page,
			uint64_t limit);
/* The last backing that has a page of [page, limit). False: none has. */
bool xm_volume_last(const struct xm_volume *, uint64_t page, uint64_t limit,
		    struct xm_backing *ret);
/* The first page from this one on that a segment holds, or that none holds, or
 * `limit`. */
uint64_t xm_volume_backed_from(const struct xm_volume *, uint64_t page,
			       uint64_t limit);
uint64_t xm_volume_hole_from(const struct xm_volume *, uint64_t page,
			     uint64_t limit);
/* The first page from this one on that the mapper has, or `limit`. */
uint64_t xm_volume_attached_from(const struct xm_volume *, uint64_t page,
				 uint64_t limit);
/* Does any segment have a member there? */
static inline bool xm_volume_needs(const struct xm_volume *v,
				   uint32_t appliance)
{
	return v->members_at[appliance] > 0;
}
/* Has every segment there another member elsewhere? */
static inline bool xm_volume_spares(const struct xm_volume *v,
				    uint32_t appliance)
{
	return v->members_at[appliance] > 0 &&
	       v->redundant_at[appliance] == v->members_at[appliance];
}

/* --- a lane ----------------------------------------------------------------- */

#define XM_NO_EFFORT UINT32_MAX

/* A write to a segment with several members. */
struct xm_effort {
	uint64_t page; /* its first; or: the next free effort */
	uint32_t left; /* posts that have not ended, and 1 until begun */
	uint32_t have; /* a bit for each member that has the bytes */
	int status;    /* the first failure */
};

/* How a write has ended. */
struct xm_effort_end {
	int status;
	bool lacking; /* a member that is OUT does not have these bytes */
};

struct xm_volume_peer {
	const struct xm_path *path;
	const uint32_t *flying; /* operations under way there */
	uint64_t size_max;    /* bytes of one operation */
	uint32_t scatter_max; /* pieces of one scattered write */
};

struct xm_volume_io {
	struct xm_volume *volume;
	struct xm_volume_peer peers[XM_APPLIANCES_MAX];
	uint32_t peers_count;
	uint32_t read_hint, write_hint; /* for the layout */
	struct xm_effort *efforts;
	uint32_t efforts_free, efforts_max;
};

/* What one transport operation does: `size` bytes at offsets[0]; or, in a
 * scattered write, a page at each of the offsets. */
struct xm_post {
	uint32_t appliance;
	uint8_t member, taken; /* which, as xm_effort_part_ended() wants them */
	const struct xm_remote_mr *remote; /* valid until the layout changes */
	uint64_t offsets[XM_PAGER_SCATTER_MAX];
};

struct xm_volume_posts {
	uint64_t page; /* the first */
	uint64_t size; /* bytes that they move; set unless -ERANGE */
	uint32_t count;
	bool several; /* the segment has several members: a write has an effort */
	bool sealed; /* the bytes are whole pages, and sealed on their way (seal.h) */
	struct xm_post list[XM_MEMBERS_MAX];
};

/* What a fault has to know. */
struct xm_volume_page {
	uint64_t first, limit; /* of its segment */
	uint64_t unit;
	bool attached;
	enum xm_reach reach;
	uint32_t appliance; /* to which a read goes */
};

size_t xm_volume_io_memory_size(uint32_t efforts_max);
void xm_volume_io_init(struct xm_volume_io *, struct xm_volume *,
		       uint32_t efforts_max, void *memory);
/* The next appliance. The path is the caller's, and stays; so does `flying`. */
void xm_volume_io_add(struct xm_volume_io *, const struct xm_path *,
		      const uint32_t *flying, uint64_t size_max,
		      uint32_t scatter_max);

/* Of a segment with several members: the best reach, and the appliance to which
 * a read goes. */
enum xm_reach xm_volume_reach_best(const struct xm_volume_io *,
				   const struct xm_segment *, uint64_t page,
				   uint64_t now_ns, uint32_t *ret_appliance);

/* False: no segment holds the page. Every fault asks, so it is here. */
static inline bool xm_volume_look(struct xm_volume_io *io, uint64_t page,
				  uint64_t now_ns, struct xm_volume_page *ret)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->read_hint);

	if (s == NULL)
		return false;
	ret->first = s->page;
	ret->limit = s->page + s->count;
	ret->unit = s->unit;
	ret->attached = s->attached;
	if (s->members_count > 1) {
		ret->reach = xm_volume_reach_best(io, s, page, now_ns,
						  &ret->appliance);
		return true;
	}
	ret->appliance = s->members[0].appliance;
	ret->reach = s->lost ? XM_REACH_LOST
			     : xm_path_reach(io->peers[ret->appliance].path,
					     now_ns);
	return true;
}

/* Can the page's bytes be had? */
static inline enum xm_reach xm_volume_reach(struct xm_volume_io *io,
					    uint64_t page, uint64_t now_ns)
{
	struct xm_volume_page at;

	return xm_volume_look(io, page, now_ns, &at) ? at.reach
						     : XM_REACH_LOST;
}

/* Which page of which sealed region this is; `lane` is not set. False: it is not
 * sealed, or no segment holds it. */
bool xm_volume_sealed_page(struct xm_volume_io *, uint64_t page,
			   struct xm_seal_page *ret);

/* What one read or write at this byte of the arena can move, at most; 0: there
 * is no segment. */
uint64_t xm_volume_most(struct xm_volume_io *, uint64_t address);

/* Bytes of one operation at every member. */
static inline uint64_t xm_volume_size_max(const struct xm_volume_io *io,
					  const struct xm_segment *s)
{
	uint64_t size = io->peers[s->members[0].appliance].size_max;

	for (uint32_t k = 1; k < s->members_count; k++)
		size = xm_min(size,
			      io->peers[s->members[k].appliance].size_max);
	return size;
}

/* How much of a run that begins `skip` bytes into the page one operation moves. */
static inline uint64_t xm_volume_cut(const struct xm_volume_io *io,
				     const struct xm_segment *s, uint64_t page,
				     uint64_t skip, uint64_t size)
{
	uint64_t left = s->page + s->count - page;

	if (s->unit != 0 && !XM_PLANTED(stripe_read_on))
		left = xm_min(left, s->unit - (page & (s->unit - 1)));
	size = xm_min(size, (left << io->volume->page_shift) - skip);
	return xm_min(size, xm_volume_size_max(io, s));
}

/* Of a segment with several members. */
int xm_volume_read_best(struct xm_volume_io *, const struct xm_segment *,
			uint64_t page, uint64_t skip, uint64_t size,
			struct xm_volume_posts *ret);
/* Whole pages, from a member that is IN and not one of `wrong` (a bit each). -ENODATA: there
 * is no such; -ENOTCONN: none of them can be reached now. */
int xm_volume_read_other(struct xm_volume_io *, uint64_t page, uint64_t size,
			 uint32_t wrong, struct xm_volume_posts *ret);
int xm_volume_write_all(struct xm_volume_io *, const struct xm_segment *,
			uint64_t page, uint64_t skip, uint64_t size,
			struct xm_volume_posts *ret);

/* Of one with a single member: reads and writes are the same post. Inlined,
 * because most segments are such, and every miss posts. */
static inline int xm_volume_post_one(struct xm_volume_io *io,
				     const struct xm_segment *s, uint64_t page,
				     uint64_t skip, uint64_t size,
				     struct xm_volume_posts *ret)
{
	const struct xm_member *member = &s->members[0];
	struct xm_post *post = &ret->list[0];

	ret->page = page;
	ret->size = xm_volume_cut(io, s, page, skip, size);
	if (s->lost)
		return -ESTALE;
	if (io->peers[member->appliance].path->state != XM_PATH_UP)
		return -ENOTCONN;
	ret->count = 1;
	ret->several = false;
	ret->sealed = s->sealed;
	post->appliance = member->appliance;
	post->member = post->taken = 0;
	post->remote = &member->remote;
	post->offsets[0] = member->offset + skip +
			   (xm_segment_row(s, page) << io->volume->page_shift);
	return 0;
}

/* `size` bytes from `skip` bytes into the page, or the first of them. 0; -ERANGE:
 * there is no segment; -ESTALE: it is lost; -ENOTCONN: no member can be reached
 * now (for a write: some member cannot). */
static inline int xm_volume_read(struct xm_volume_io *io, uint64_t page,
				 uint64_t skip, uint64_t size,
				 struct xm_volume_posts *ret)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->read_hint);

	if (s == NULL)
		return -ERANGE;
	return s->members_count == 1
		       ? xm_volume_post_one(io, s, page, skip, size, ret)
		       : xm_volume_read_best(io, s, page, skip, size, ret);
}

static inline int xm_volume_write(struct xm_volume_io *io, uint64_t page,
				  uint64_t skip, uint64_t size,
				  struct xm_volume_posts *ret)
{
	const struct xm_segment *s = xm_layout_find(&io->volume->layout, page,
						    &io->write_hint);

	if (s == NULL)
		return -ERANGE;
	return s->members_count == 1
		       ? xm_volume_post_one(io, s, page, skip, size, ret)
		       : xm_volume_write_all(io, s, page, skip, size, ret);
}

/* A write of pages that lie apart: those of the first pages[] that lie in one
 * segment with the first. */
int xm_volume_scatter(struct xm_volume_io *, const uint64_t *pages,
		      uint32_t count, struct xm_volume_posts *ret);

/* For the mender: the read of a run, and its write to one member that is FILLING.
 * -ENOENT: no member of the segment is. */
int xm_volume_mend(struct xm_volume_io *, uint64_t page, uint64_t count,
		   struct xm_volume_posts *ret);
/* Is this still the member that was read, and has it not been lost meanwhile? Else
 * what the read has brought may be anything. */
bool xm_volume_trusts(struct xm_volume_io *, uint64_t page, uint8_t member,
		      uint8_t taken);
/* Has the page's segment several members? And does none of them lack bytes that
 * another has? */
bool xm_volume_is_several(struct xm_volume_io *, uint64_t page);
/* Its segment is held: it is being divided, or given to another client. */
bool xm_volume_is_held(struct xm_volume_io *, uint64_t page);
bool xm_volume_is_whole(struct xm_volume_io *, uint64_t page);
/* Does a member that is OUT lack what is written now? */
bool xm_volume_lacks(struct xm_volume_io *, uint64_t page);

/* A write to a segment with several members begins: its effort's number. There is
 * one left. */
uint32_t xm_effort_begin(struct xm_volume_io *,
			 const struct xm_volume_posts *);
/* One of its posts has ended or was refused. True: so has the write. */
bool xm_effort_part_ended(struct xm_volume_io *, uint32_t effort,
			  uint8_t member, uint8_t taken, int status,
			  struct xm_effort_end *ret);
/* This member of the segment was replaced: what writes under way have stored at the
 * old one does not count for the new one. */
void xm_effort_forget(struct xm_volume_io *, uint64_t page, uint64_t count,
		      uint32_t member);
/* All have been posted. True: the write has ended already. */
bool xm_effort_posted(struct xm_volume_io *, uint32_t effort,
		      struct xm_effort_end *ret);

#endif
