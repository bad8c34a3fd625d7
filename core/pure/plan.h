/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plans: where memory goes under a strategy (strategy.h). A pure function from what
 * each appliance offers to runs of columns and copies, and why each appliance is not
 * used that could not be.
 *
 * Memory is planned in runs, each a multiple of the strategy's row (columns x unit).
 * In a run, column c has the units c, c + K, c + 2K, ... and lies at `mirrors`
 * appliances:
 *
 *	mirror 2, stripe 2	column 0 at a and b, column 1 at c and d
 *	with 3 appliances	column 0 at a and c, column 1 at b and a
 *	stripe 3 there		column 0 at a and b, 1 at b and c, 2 at c and a
 *
 * The rule, for each run: first copies of columns are at different appliances, and so
 * are the copies of one column (in different zones or on different hosts if asked for).
 * Each next column or copy goes to an appliance that has nothing of this run, the first
 * by the strategy's rank; when there is none, copies go round (a chain: Hsiao and DeWitt,
 * ICDE 1990), or else to the appliance that has least. `random of N` draws N of them and
 * takes the freest (power of two choices: Mitzenmacher 2001; Infiniswap, NSDI 2017).
 *
 * One run if there is room for it; else several, as large as possible; if that does not
 * suffice, of at most half the size each, then a third, and so on to a sixteenth: smaller
 * runs leave fewer remainders. Example: 10 GiB with two copies at five appliances that
 * have 4 GiB each fit in five runs of 2 GiB, but not in runs of 4. Where the rank leaves
 * no room for all of it, the freest come first. (This finds the usual arrangements, not
 * every one that there is.)
 *
 * Two addresses of one appliance have one incarnation: the second is not used.
 *
 * placement.h decides where no strategy is given, without asking for offers.
 * Floor: ground.
 */
#ifndef XM_PLAN_H
#define XM_PLAN_H

#include "common/base.h"
#include "common/words.h"
#include "core/pure/layout.h"
#include "core/pure/strategy.h"
#include "core/pure/wire.h"

#define XM_PLAN_RUNS_MAX 16
#define XM_PLAN_MEMBERS_MAX (XM_APPLIANCES_MAX * XM_COPIES_MAX) /* of a run */
#define XM_HOST_SIZE 64

/* What is known of one appliance. */
struct xm_plan_offer {
	const char *address; /* for messages */
	bool ready;	     /* it answers */
	bool leaving;	     /* it drains */
	uint64_t incarnation;
	uint64_t free, free_run, soon; /* bytes, as in struct xm_refused */
	uint64_t used; /* what the region has there already */
	uint32_t load; /* thousandths */
	char name[XM_NAME_SIZE];
	char zone[XM_ZONE_SIZE]; /* "": unknown, a zone of its own */
	char host[XM_HOST_SIZE]; /* of the address */
};

/* Why an appliance cannot be chosen. */
enum xm_plan_reason {
	XM_PLAN_USABLE,
	XM_PLAN_AWAY,
	XM_PLAN_LEAVING,
	XM_PLAN_SAME,  /* another address of appliance `same_as` */
	XM_PLAN_NAME,  /* a name clause */
	XM_PLAN_ZONE,  /* a zone clause */
	XM_PLAN_FULL,  /* no row of the strategy has room */
	XM_PLAN_LIMIT, /* nor under the clause keep or limit */
};

struct xm_plan_run {
	uint64_t size; /* bytes of the region; `columns` equal parts */
	/* By column * mirrors + copy. */
	uint8_t appliances[XM_PLAN_MEMBERS_MAX];
};

struct xm_plan {
	uint32_t choice; /* of the strategy, which was taken */
	uint32_t runs_count;
	struct xm_plan_run runs[XM_PLAN_RUNS_MAX];
	uint8_t reasons[XM_APPLIANCES_MAX]; /* enum xm_plan_reason, under it */
	uint8_t same_as[XM_APPLIANCES_MAX];
	/* When it could not be met: bytes that the first choice has room for. */
	uint64_t room;
};

/* `size` is a multiple of the strategy's row (xm_strategy_row()). `seed` is for
 * ranks by lot. 0, and the first choice that can be met; -ENODEV: too few appliances,
 * hosts or zones, whatever is free there; -ENOSPC: no room. Then `choice` is 0, the
 * reasons are those of the first choice, and `room` is set. */
int xm_plan_make(const struct xm_strategy *, const struct xm_plan_offer *offers,
		 uint32_t count, uint64_t size, uint64_t granule, uint64_t seed,
		 struct xm_plan *ret);
/* The nearest that could be met instead of the first choice: as many copies as
 * possible, then as many columns, then the widest spread. False: nothing could. */
bool xm_plan_nearest(const struct xm_strategy *,
		     const struct xm_plan_offer *offers, uint32_t count,
		     uint64_t size, uint64_t granule,
		     struct xm_strategy_choice *ret);
/* A sentence about a plan that failed with this status: what was wanted, which
 * appliances cannot be used and why, and what could be met. */
void xm_plan_explain(const struct xm_strategy *,
		     const struct xm_plan_offer *offers, uint32_t count,
		     uint64_t size, uint64_t granule, const struct xm_plan *,
		     int status, struct xm_words *);
/* "is away", "has no room", ...; "" if it is usable. */
void xm_plan_why(const struct xm_plan *, const struct xm_plan_offer *offers,
		 uint32_t appliance, struct xm_words *);
/* True if planning failed with -ENOSPC, but would succeed if the bytes that are free
 * soon (`soon` of the offers) were free now. */
bool xm_plan_soon(const struct xm_strategy *,
		  const struct xm_plan_offer *offers, uint32_t count,
		  uint64_t size, uint64_t granule);
/* A member that a segment is to get. Appliances are a bit each. */
struct xm_plan_vacancy {
	uint64_t size;	 /* bytes */
	uint32_t copies; /* the appliances of its other copies */
	uint32_t row;	 /* those of other columns of its run: they come last */
	uint32_t barred; /* those that are not to be chosen, whatever they offer */
	uint64_t seed;
};
/* Who gets it, under the strategy's choice `choice`, or else under a later one that wants
 * no fewer copies. NULL: whoever has the most memory free. Its index; -ENODEV: none may
 * have it, whatever is free there; -ENOSPC: none that may has room. */
int xm_plan_spare(const struct xm_strategy *, uint32_t choice,
		  const struct xm_plan_offer *offers, uint32_t count,
		  const struct xm_plan_vacancy *);

/* "ofi+tcp://mem1:7470" has the host mem1; an address of this machine has "". */
void xm_host_of(const char *address, char ret[XM_HOST_SIZE]);

#endif
