/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Divides a span of bytes into ranges, and merges ranges that are free again.
 *
 * Algorithm: address-ordered first fit. All ranges, taken and free, are the
 * nodes of one AVL tree in order of address (Adelson-Velsky and Landis 1962),
 * and each node knows the largest free run below it, which leads straight to
 * the lowest run that fits (the idea of Stephenson, "Fast Fits", 1983, on a
 * balanced tree). Neighbours are linked, as boundary tags out of band (Knuth,
 * TAOCP 1, 2.5), so that free ranges always merge. Nodes are named by index
 * and chosen by address alone: the same calls give the same offsets.
 *
 * Bounds that hold, for n ranges:
 *  - Every function is O(log n): a path in a tree of at most 1.44 log2(n + 2)
 *    levels; 25 levels for 100,000 ranges. The exception is a take with an
 *    alignment above the granule when no run of size + alignment - granule
 *    is free: then every run of at least `size` may be visited before
 *    -ENOSPC, O(n log n).
 *  - take fails with -ENOSPC only when no free run holds the range, or
 *    ranges_max are taken. Free ranges never touch, so that t taken ones
 *    leave at most t + 1, and 2 ranges_max + 1 nodes always suffice.
 *  - First fit never fails while the bytes asked for and taken are at most
 *    size / (1 + log2(m)), m being the largest range over the smallest, all
 *    sizes powers of two (Robson 1977, about; no allocator that cannot move
 *    ranges does better than half of this).
 *  - 96 bytes of memory per range, touched when first needed.
 *
 * It does not know whose a range is, and does not touch the span.
 *
 * The file is above 600 lines because the tree, the ranges in it and their
 * check all use struct xm_extent_node, which nobody else may see.
 *
 * Floor: ground.
 */
#include "common/extent.h"

#include <errno.h>
#include <string.h>

struct xm_extent_node {
	uint64_t start;
	uint64_t size;
	uint64_t run; /* largest free size in this subtree */
	uint32_t left, right, parent;
	uint32_t previous, next; /* in address order; next chains spares too */
	uint8_t height;
	bool taken;
};

#define NONE 0 /* nodes[0]: height 0, run 0, never a range */

static uint64_t own_run(const struct xm_extent_node *node)
{
	return node->taken ? 0 : node->size;
}

/* --- the tree ------------------------------------------------------------ */

/* Makes `child` stand where `old` stands below `parent`. */
static void replace_child(struct xm_extent *x, uint32_t parent, uint32_t old,
			  uint32_t child)
{
	if (parent == NONE)
		x->root = child;
	else if (x->nodes[parent].left == old)
		x->nodes[parent].left = child;
	else
		x->nodes[parent].right = child;
	if (child != NONE)
		x->nodes[child].parent = parent;
}

static void update(struct xm_extent *x, uint32_t n)
{
	struct xm_extent_node *node = &x->nodes[n];
	const struct xm_extent_node *left = &x->nodes[node->left];
	const struct xm_extent_node *right = &x->nodes[node->right];

	node->height = 1 + (left->height > right->height ? left->height
							 : right->height);
	node->run = xm_max(own_run(node), xm_max(left->run, right->run));
}

/* The right child of n rises above it, and is returned. */
static uint32_t rotate_left(struct xm_extent *x, uint32_t n)
{
	struct xm_extent_node *node = &x->nodes[n];
	uint32_t up = node->right;

	replace_child(x, node->parent, n, up);
	node->right = x->nodes[up].left;
	if (node->right != NONE)
		x->nodes[node->right].parent = n;
	x->nodes[up].left = n;
	node->parent = up;
	update(x, n);
	update(x, up);
	return up;
}

static uint32_t rotate_right(struct xm_extent *x, uint32_t n)
{
	struct xm_extent_node *node = &x->nodes[n];
	uint32_t up = node->left;

	replace_child(x, node->parent, n, up);
	node->left = x->nodes[up].right;
	if (node->left != NONE)
		x->nodes[node->left].parent = n;
	x->nodes[up].right = n;
	node->parent = up;
	update(x, n);
	update(x, up);
	return up;
}

/* Heights and runs again, from n upwards as far as they change. Children of
 * n are right already. */
static void repair(struct xm_extent *x, uint32_t n)
{
	while (n != NONE) {
		struct xm_extent_node *node = &x->nodes[n];
		int lean = x->nodes[node->left].height -
			   x->nodes[node->right].height;
		uint8_t height = node->height;
		uint64_t run = node->run;

		if (lean > 1) {
			const struct xm_extent_node *l = &x->nodes[node->left];

			if (x->nodes[l->left].height <
			    x->nodes[l->right].height)
				rotate_left(x, node->left);
			n = rotate_right(x, n);
		} else if (lean < -1) {
			const struct xm_extent_node *r = &x->nodes[node->right];

			if (x->nodes[r->right].height <
			    x->nodes[r->left].height)
				rotate_right(x, node->right);
			n = rotate_left(x, n);
		} else {
			update(x, n);
			if (node->height == height && node->run == run)
				return;
		}
		n = x->nodes[n].parent;
	}
}

/* A new range right behind n, or the first one where n is NONE and there are
 * no ranges. The caller has counted: a node is there. */
static uint32_t insert_after(struct xm_extent *x, uint32_t n, uint64_t start,
			     uint64_t size, bool taken)
{
	struct xm_extent_node *node;
	uint32_t new = x->spare;

	if (new != NONE) {
		x->spare = x->nodes[new].next;
	} else {
		new = x->unused++;
		XM_ASSERT(new <= 2 * x->ranges_max + 1);
	}
	node = &x->nodes[new];
	memset(node, 0, sizeof(*node));
	node->start = start;
	node->size = size;
	node->taken = taken;
	node->height = 1;
	node->run = own_run(node);
	if (n == NONE) {
		XM_ASSERT(x->root == NONE);
		x->root = x->last = new;
		return new;
	}
	node->previous = n;
	node->next = x->nodes[n].next;
	x->nodes[n].next = new;
	if (node->next != NONE)
		x->nodes[node->next].previous = new;
	else
		x->last = new;
	/* Either n has no right child, or its successor has no left one. */
	if (x->nodes[n].right == NONE) {
		x->nodes[n].right = new;
		node->parent = n;
	} else {
		XM_ASSERT(x->nodes[node->next].left == NONE);
		x->nodes[node->next].left = new;
		node->parent = node->next;
	}
	repair(x, node->parent);
	return new;
}

static void remove_node(struct xm_extent *x, uint32_t n)
{
	struct xm_extent_node *node = &x->nodes[n];
	uint32_t from; /* the lowest node whose children changed */

	if (node->left != NONE && node->right != NONE) {
		/* The successor takes its place in the tree. */
		uint32_t s = node->next;
		struct xm_extent_node *successor = &x->nodes[s];

		from = successor->parent;
		if (from == n) {
			from = s;
		} else {
			replace_child(x, from, s, successor->right);
			successor->right = node->right;
			x->nodes[node->right].parent = s;
		}
		successor->left = node->left;
		x->nodes[node->left].parent = s;
		/* What the nodes above have counted it with, so that a repair
		 * that changes it goes on to them. */
		successor->height = node->height;
		successor->run = node->run;
		replace_child(x, node->parent, n, s);
		repair(x, from);
		repair(x, s); /* the first may have stopped below it */
	} else {
		from = node->parent;
		replace_child(x, from, n,
			      node->left != NONE ? node->left : node->right);
		repair(x, from);
	}
	if (node->previous != NONE)
		x->nodes[node->previous].next = node->next;
	if (node->next != NONE)
		x->nodes[node->next].previous = node->previous;
	else
		x->last = node->previous;
	node->next = x->spare;
	x->spare = n;
}

/* The range that contains offset; NONE outside the span. */
static uint32_t lookup(const struct xm_extent *x, uint64_t offset)
{
	uint32_t n = x->root;

	while (n != NONE) {
		const struct xm_extent_node *node = &x->nodes[n];

		if (offset < node->start)
			n = node->left;
		else if (offset - node->start < node->size)
			return n;
		else
			n = node->right;
	}
	return NONE;
}

static uint32_t lookup_taken(const struct xm_extent *x, uint64_t offset)
{
	uint32_t n = lookup(x, offset);

	if (n == NONE || !x->nodes[n].taken || x->nodes[n].start != offset)
		return NONE;
	return n;
}

/* The lowest free run of at least `size` in the subtree of n. */
static uint32_t fit_below(const struct xm_extent *x, uint32_t n, uint64_t size)
{
	if (x->nodes[n].run < size)
		return NONE;
	for (;;) {
		const struct xm_extent_node *node = &x->nodes[n];

		if (x->nodes[node->left].run >= size)
			n = node->left;
		else if (own_run(node) >= size)
			return n;
		else
			n = node->right;
	}
}

/* The next one behind n. */
static uint32_t fit_behind(const struct xm_extent *x, uint32_t n, uint64_t size)
{
	uint32_t found = fit_below(x, x->nodes[n].right, size);

	while (found == NONE && n != NONE) {
		uint32_t from = n;

		n = x->nodes[n].parent;
		if (n == NONE || x->nodes[n].right == from)
			continue;
		if (own_run(&x->nodes[n]) >= size)
			return n;
		found = fit_below(x, x->nodes[n].right, size);
	}
	return found;
}

/* --- the functions of extent.h ------------------------------------------- */

size_t xm_extent_memory_size(uint32_t ranges_max)
{
	XM_ASSERT(ranges_max >= 1 && ranges_max <= UINT32_C(1) << 30);
	return (2 * (size_t)ranges_max + 2) * sizeof(struct xm_extent_node);
}

void xm_extent_init(struct xm_extent *x, uint64_t size, uint64_t granule,
		    uint32_t ranges_max, void *memory)
{
	XM_ASSERT(xm_is_power_of_two(granule) && xm_is_aligned(size, granule));
	XM_ASSERT(ranges_max >= 1 && ranges_max <= UINT32_C(1) << 30);
	memset(x, 0, sizeof(*x));
	x->granule = granule;
	x->ranges_max = ranges_max;
	x->limit = UINT64_MAX;
	x->nodes = memory;
	x->unused = 1;
	memset(&x->nodes[NONE], 0, sizeof(x->nodes[NONE]));
	XM_ASSERT(xm_extent_set_size(x, size) == 0);
}

/* Takes [offset, offset + size) out of the free run n. */
static void carve(struct xm_extent *x, uint32_t n, uint64_t offset,
		  uint64_t size)
{
	struct xm_extent_node *node = &x->nodes[n];
	uint64_t head = offset - node->start;
	uint64_t tail = node->size - head - size;

	XM_ASSERT(!node->taken && head <= node->size && size <= node->size);
	if (head > 0) {
		node->size = head;
		repair(x, n);
		n = insert_after(x, n, offset, size, true);
	} else {
		node->size = size;
		node->taken = true;
		repair(x, n);
	}
	if (tail > 0)
		insert_after(x, n, offset + size, tail, false);
	x->free -= size;
	x->taken++;
}

/* Rounds a size up to the granule; 0 when that cannot be. */
static uint64_t round_size(const struct xm_extent *x, uint64_t size)
{
	if (size > UINT64_MAX - x->granule)
		return 0;
	return xm_align_up(size, x->granule);
}

int xm_extent_take(struct xm_extent *x, uint64_t size, uint64_t alignment,
		   uint64_t *ret_offset)
{
	uint64_t slack, offset;
	uint32_t n = NONE;

	size = round_size(x, size);
	if (size == 0 || (alignment != 0 && !xm_is_power_of_two(alignment)))
		return -EINVAL;
	if (x->taken == x->ranges_max)
		return -ENOSPC;
	alignment = xm_max(alignment, x->granule);
	slack = alignment - x->granule;
	if (size <= UINT64_MAX - slack)
		n = fit_below(x, x->root, size + slack);
	if (n != NONE) {
		offset = xm_align_up(x->nodes[n].start, alignment);
	} else {
		/* Nothing fits for certain; something may by luck. */
		if (slack == 0)
			return -ENOSPC;
		for (n = fit_below(x, x->root, size); n != NONE;
		     n = fit_behind(x, n, size)) {
			const struct xm_extent_node *node = &x->nodes[n];
			uint64_t skip = -node->start & (alignment - 1);

			if (xm_span_fits(skip, size, node->size))
				break;
		}
		if (n == NONE)
			return -ENOSPC;
		offset = xm_align_up(x->nodes[n].start, alignment);
	}
	/* It is the lowest place: every other one is beyond the limit, too. */
	if (!xm_span_fits(offset, size, x->limit))
		return -ENOSPC;
	carve(x, n, offset, size);
	*ret_offset = offset;
	return 0;
}

int xm_extent_take_at(struct xm_extent *x, uint64_t offset, uint64_t size)
{
	const struct xm_extent_node *node;
	uint32_t n;

	if (size == 0 || !xm_is_aligned(offset | size, x->granule) ||
	    !xm_span_fits(offset, size, x->size))
		return -EINVAL;
	n = lookup(x, offset);
	XM_ASSERT(n != NONE);
	node = &x->nodes[n];
	if (node->taken ||
	    !xm_span_fits(offset - node->start, size, node->size))
		return -EEXIST;
	if (x->taken == x->ranges_max)
		return -ENOSPC;
	carve(x, n, offset, size);
	return 0;
}

int xm_extent_give(struct xm_extent *x, uint64_t offset, uint64_t *ret_size)
{
	struct xm_extent_node *node;
	uint32_t n = lookup_taken(x, offset);
	uint32_t previous, next;

	if (n == NONE)
		return -EINVAL;
	node = &x->nodes[n];
	if (ret_size)
		*ret_size = node->size;
	x->free += node->size;
	x->taken--;
	previous = node->previous;
	next = node->next;
	if (next != NONE && !x->nodes[next].taken) {
		node->size += x->nodes[next].size;
		remove_node(x, next);
	}
	if (previous != NONE && !x->nodes[previous].taken) {
		x->nodes[previous].size += node->size;
		remove_node(x, n);
		repair(x, previous);
	} else {
		node->taken = false;
		repair(x, n);
	}
	return 0;
}

int xm_extent_split(struct xm_extent *x, uint64_t offset, uint64_t at)
{
	struct xm_extent_node *node;
	uint32_t n = lookup_taken(x, offset);
	uint64_t size;

	if (n == NONE || !xm_is_aligned(at, x->granule))
		return -EINVAL;
	node = &x->nodes[n];
	if (at <= offset || at - offset >= node->size)
		return -EINVAL;
	if (x->taken == x->ranges_max)
		return -ENOSPC;
	size = node->size;
	node->size = at - offset;
	insert_after(x, n, at, size - node->size, true);
	x->taken++;
	return 0;
}

/* The free run behind n begins `size` bytes earlier; or is made. */
static void free_behind(struct xm_extent *x, uint32_t n, uint64_t start,
			uint64_t size)
{
	uint32_t next = x->nodes[n].next;

	if (next != NONE && !x->nodes[next].taken) {
		x->nodes[next].start -= size;
		x->nodes[next].size += size;
		repair(x, next);
	} else {
		insert_after(x, n, start, size, false);
	}
}

int xm_extent_resize(struct xm_extent *x, uint64_t offset, uint64_t size)
{
	struct xm_extent_node *node, *behind;
	uint32_t n = lookup_taken(x, offset);
	uint64_t more;

	size = round_size(x, size);
	if (n == NONE || size == 0)
		return -EINVAL;
	node = &x->nodes[n];
	if (size <= node->size) {
		uint64_t less = node->size - size;

		node->size = size;
		x->free += less;
		if (less > 0)
			free_behind(x, n, offset + size, less);
		return 0;
	}
	more = size - node->size;
	behind = &x->nodes[node->next];
	if (node->next == NONE || behind->taken || behind->size < more)
		return -ENOSPC;
	node->size = size;
	x->free -= more;
	behind->start += more;
	behind->size -= more;
	if (behind->size == 0)
		remove_node(x, node->next);
	else
		repair(x, node->next);
	return 0;
}

int xm_extent_set_size(struct xm_extent *x, uint64_t size)
{
	struct xm_extent_node *last = &x->nodes[x->last];

	if (!xm_is_aligned(size, x->granule))
		return -EINVAL;
	if (size > x->size) {
		uint64_t more = size - x->size;

		if (x->last != NONE && !last->taken) {
			last->size += more;
			repair(x, x->last);
		} else {
			insert_after(x, x->last, x->size, more, false);
		}
		x->free += more;
	} else if (size < x->size) {
		uint64_t less = x->size - size;

		if (last->taken || last->size < less)
			return -EBUSY;
		last->size -= less;
		if (last->size == 0)
			remove_node(x, x->last);
		else
			repair(x, x->last);
		x->free -= less;
	}
	x->size = size;
	return 0;
}

static void describe(const struct xm_extent_node *node,
		     struct xm_extent_range *ret)
{
	ret->offset = node->start;
	ret->size = node->size;
	ret->taken = node->taken;
}

int xm_extent_find(const struct xm_extent *x, uint64_t offset,
		   struct xm_extent_range *ret)
{
	uint32_t n = lookup(x, offset);

	if (n == NONE || !x->nodes[n].taken)
		return -ENOENT;
	describe(&x->nodes[n], ret);
	return 0;
}

int xm_extent_next(const struct xm_extent *x, uint64_t offset,
		   struct xm_extent_range *ret)
{
	/* Ranges leave no gaps: what does not contain it is past the end. */
	uint32_t n = lookup(x, offset);

	if (n == NONE)
		return -ENOENT;
	describe(&x->nodes[n], ret);
	return 0;
}

void xm_extent_set_limit(struct xm_extent *x, uint64_t limit)
{
	x->limit = limit;
}

uint64_t xm_extent_free_run(const struct xm_extent *x)
{
	uint32_t n = x->root;
	uint64_t run = 0;

	if (x->limit >= x->size)
		return x->nodes[n].run;
	while (n != NONE) {
		const struct xm_extent_node *node = &x->nodes[n];

		if (node->start + node->size <= x->limit) {
			run = xm_max(run, own_run(node));
			run = xm_max(run, x->nodes[node->left].run);
			n = node->right;
		} else {
			if (!node->taken && node->start < x->limit)
				run = xm_max(run, x->limit - node->start);
			n = node->left;
		}
	}
	return run;
}

void xm_extent_check(const struct xm_extent *x)
{
	uint64_t at = 0, free = 0;
	uint32_t n, taken = 0, seen = 0, before = NONE;

	XM_ASSERT(x->nodes[NONE].height == 0 && x->nodes[NONE].run == 0);
	XM_ASSERT(x->root == NONE || x->nodes[x->root].parent == NONE);
	n = x->root;
	while (n != NONE && x->nodes[n].left != NONE)
		n = x->nodes[n].left;
	for (; n != NONE; before = n, n = x->nodes[n].next) {
		const struct xm_extent_node *node = &x->nodes[n];
		const struct xm_extent_node *l = &x->nodes[node->left];
		const struct xm_extent_node *r = &x->nodes[node->right];
		int lean = l->height - r->height;

		XM_ASSERT(node->start == at && node->size > 0);
		XM_ASSERT(xm_is_aligned(node->size, x->granule));
		XM_ASSERT(node->previous == before);
		XM_ASSERT(node->taken || before == NONE ||
			  x->nodes[before].taken);
		XM_ASSERT(lean >= -1 && lean <= 1);
		XM_ASSERT(node->height == 1 + (lean > 0 ? l : r)->height);
		XM_ASSERT(node->run ==
			  xm_max(own_run(node), xm_max(l->run, r->run)));
		XM_ASSERT(node->left == NONE ||
			  (l->parent == n && l->start < node->start));
		XM_ASSERT(node->right == NONE ||
			  (r->parent == n && r->start > node->start));
		at += node->size;
		taken += node->taken;
		free += own_run(node);
		seen++;
	}
	XM_ASSERT(before == x->last && at == x->size && free == x->free);
	XM_ASSERT(taken == x->taken && seen <= 2 * taken + 1);
}
