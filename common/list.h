/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Intrusive lists: the link is a member of the struct that is listed.
 *
 *	struct page { struct xm_link link; ... };
 *	struct xm_link clean;			the head is a link too
 *
 *	xm_list_open(&clean);
 *	xm_list_push_back(&clean, &page->link);
 *	XM_LIST_EACH (link, &clean)
 *		use(XM_CONTAINER(link, struct page, link));
 *
 * The lists are doubly linked and circular, as in Knuth, TAOCP 1, 2.2.5. Every operation
 * but count takes constant time, and nothing is allocated, so nothing can fail. A link
 * that is in no list points at itself; call xm_link_alone() before the first
 * xm_link_is_alone() or xm_list_remove(). The order is that of the calls. A loop that
 * removes its link uses XM_LIST_EACH_SAFE, which reads the next one beforehand.
 *
 * The caller owns all memory, and locks.
 *
 * Floor: ground.
 */
#ifndef XM_LIST_H
#define XM_LIST_H

#include "common/base.h"

struct xm_link {
	struct xm_link *next, *previous;
};

#define XM_LIST_EACH(link, head)                                              \
	for (struct xm_link *link = (head)->next; link != (head);             \
	     link = link->next)

#define XM_LIST_EACH_SAFE(link, head)                                         \
	for (struct xm_link *link = (head)->next, *link##_next = link->next;  \
	     link != (head); link = link##_next, link##_next = link->next)

/* Makes a link that is in no list. */
static inline void xm_link_alone(struct xm_link *link)
{
	link->next = link->previous = link;
}

static inline bool xm_link_is_alone(const struct xm_link *link)
{
	return link->next == link;
}

static inline void xm_list_open(struct xm_link *head)
{
	xm_link_alone(head);
}

static inline bool xm_list_is_empty(const struct xm_link *head)
{
	return xm_link_is_alone(head);
}

/* Inserts `link`, which is in no list, behind `after`. */
static inline void xm_list_insert(struct xm_link *after, struct xm_link *link)
{
	link->previous = after;
	link->next = after->next;
	after->next->previous = link;
	after->next = link;
}

static inline void xm_list_push_front(struct xm_link *head,
				      struct xm_link *link)
{
	xm_list_insert(head, link);
}

static inline void xm_list_push_back(struct xm_link *head,
				     struct xm_link *link)
{
	xm_list_insert(head->previous, link);
}

/* Removes a link from its list, if it is in one; it is alone afterwards. */
static inline void xm_list_remove(struct xm_link *link)
{
	link->next->previous = link->previous;
	link->previous->next = link->next;
	xm_link_alone(link);
}

/* The first or the last link, or NULL. */
static inline struct xm_link *xm_list_front(const struct xm_link *head)
{
	return head->next == head ? NULL : head->next;
}

static inline struct xm_link *xm_list_back(const struct xm_link *head)
{
	return head->previous == head ? NULL : head->previous;
}

static inline struct xm_link *xm_list_pop_front(struct xm_link *head)
{
	struct xm_link *link = xm_list_front(head);

	if (link)
		xm_list_remove(link);
	return link;
}

static inline struct xm_link *xm_list_pop_back(struct xm_link *head)
{
	struct xm_link *link = xm_list_back(head);

	if (link)
		xm_list_remove(link);
	return link;
}

/* Takes time in proportion to the length: for tests and assertions. */
static inline uint64_t xm_list_count(const struct xm_link *head)
{
	uint64_t count = 0;

	for (const struct xm_link *link = head->next; link != head;
	     link = link->next)
		count++;
	return count;
}

#endif
