/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a session owes its appliance: extents that the appliance may hold for this client
 * and that nobody here knows of, because the answer to a request did not come. A part
 * of the session machine (session.h has the table of what is settled how); a ring, whose
 * first is settled by one message at a time, and a list of TRIMs whose outcome is unknown.
 *
 * One thread at a time. Floor: ground.
 */
#ifndef XM_OWED_H
#define XM_OWED_H

#include "common/base.h"
#include "core/pure/wire.h"

#define XM_OWED_MAX 1024 /* more are left to the end of the lease */
#define XM_UNSURE_MAX 64 /* likewise */

/* What is to be freed: `extent`, or, if `request` is not 0, the extent that this
 * earlier request got, if it got one. */
struct xm_debt {
	uint64_t extent;
	uint32_t request;
	bool returns; /* what was claimed by `token`, instead */
	uint8_t token[XM_TOKEN_SIZE];
};

/* The counts come first: each tick looks at them, and at nothing else. */
struct xm_owed {
	bool settling; /* `settle` is under way: it is about the first */
	uint32_t first, count;
	uint32_t returns; /* how many of `list` are such */
	uint32_t unsure_count;
	struct xm_message settle;
	struct xm_debt list[XM_OWED_MAX]; /* a ring */
	/* TRIMs whose outcome is unknown: their number, and the extent named. */
	struct xm_debt unsure[XM_UNSURE_MAX];
};

/* Also: everything that was held there is lost, and so nothing is owed. */
void xm_owed_init(struct xm_owed *);
bool xm_owed_is_empty(const struct xm_owed *);
/* An extent is to be freed. */
void xm_owed_extent(struct xm_owed *, uint64_t extent);
/* What was claimed by this token is to go back to it. */
void xm_owed_return(struct xm_owed *, const uint8_t *token);
/* The request with that number was sent, and how it ends will not be known. */
void xm_owed_outcome(struct xm_owed *, const struct xm_message *,
		     uint32_t number);
/* The extent is being freed: so is what an unanswered TRIM may have cut off it. */
void xm_owed_heads(struct xm_owed *, uint64_t extent);
/* The number of the last TRIM of this extent whose outcome is unknown; 0: there is none. And:
 * its owner knows now what became of it. */
uint32_t xm_owed_trim(const struct xm_owed *, uint64_t extent);
void xm_owed_trim_known(struct xm_owed *, uint32_t number);
/* The message that settles the first, to be sent now; it lives until the next call.
 * Where its `request` is 0 the caller gives it a number. NULL: nothing is owed, or a
 * message is under way. */
struct xm_message *xm_owed_next(struct xm_owed *);
/* This number is that of the message under way. */
bool xm_owed_asks(const struct xm_owed *, uint32_t number);
/* The stream broke: the first is asked again. */
void xm_owed_again(struct xm_owed *);
/* The answer to the message under way. True: it names an extent that is to be freed,
 * *extent, and is not owed yet. */
bool xm_owed_settled(struct xm_owed *, const struct xm_message *,
		     uint64_t *extent);

#endif
