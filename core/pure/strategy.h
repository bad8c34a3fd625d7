/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strategies: what a region shall be like, as a text. How many appliances have each
 * of its bytes, over how many it is spread, and which of them may be chosen.
 *
 *	mirror 2, stripe 4 x 256K, spread zone, rank free
 *
 * A text is one or more choices with the word `else` between them: the first choice that
 * can be met is taken. A choice is a list of clauses with commas between them, each
 * at most once, in any order:
 *
 *	mirror N		N appliances have each byte, 1..4 (1)
 *	stripe K [x UNIT]	runs of UNIT bytes go to K columns in turn, 1..16 (1);
 *				UNIT is a power of two, 64K..2M (256K)
 *	spread zone|host	the copies of a byte lie in different zones, or on
 *				different hosts
 *	rank listed|free|load|random of N
 *				who comes first: the first named (default), the one
 *				with the most free memory, with the least load, or
 *				the freest of N drawn by lot
 *	zone Z... not zone Z...	only these zones; none of these
 *	name P... not name P...	likewise by an appliance's name; * stands for any text
 *	not leaving		no appliance that drains; implied, as these lend nothing
 *	keep SIZE		leave so much free at each appliance
 *	limit SIZE		at most so much of one region at one appliance
 *
 * Parsing is total: any bytes end in a strategy, or in a sentence about the first
 * word that is wrong. plan.h turns a strategy and what appliances offer into a
 * placement. Floor: ground.
 */
#ifndef XM_STRATEGY_H
#define XM_STRATEGY_H

#include "common/base.h"
#include "common/words.h"
#include "core/pure/layout.h"

#define XM_STRATEGY_CHOICES_MAX 4
#define XM_STRATEGY_FILTERS_MAX 8 /* of one choice */
#define XM_STRATEGY_PATTERN_SIZE 64
#define XM_STRATEGY_TEXT_SIZE 1024 /* with its NUL: longer texts are refused */
#define XM_STRATEGY_WORDS_SIZE 256
#define XM_STRATEGY_UNIT_MIN (64 * XM_KIB)
#define XM_STRATEGY_UNIT_MAX (2 * XM_MIB) /* to which regions are aligned */

enum xm_strategy_spread {
	XM_SPREAD_NONE, /* different appliances */
	XM_SPREAD_HOST,
	XM_SPREAD_ZONE,
};

enum xm_strategy_rank {
	XM_RANK_LISTED,
	XM_RANK_FREE,
	XM_RANK_LOAD,
	XM_RANK_RANDOM,
};

/* One word of a zone or name clause. */
struct xm_strategy_filter {
	bool name; /* else: zone */
	bool not;
	char pattern[XM_STRATEGY_PATTERN_SIZE];
};

struct xm_strategy_choice {
	uint32_t mirrors, columns; /* at least 1 */
	uint64_t unit;		   /* bytes; 0 if there is one column */
	enum xm_strategy_spread spread;
	enum xm_strategy_rank rank;
	uint32_t random_of;
	uint64_t keep, limit; /* bytes; limit 0: none */
	uint32_t filters_count;
	struct xm_strategy_filter filters[XM_STRATEGY_FILTERS_MAX];
};

struct xm_strategy {
	uint32_t count; /* at least 1 */
	struct xm_strategy_choice choices[XM_STRATEGY_CHOICES_MAX];
};

/* What is wrong, and where. */
struct xm_strategy_error {
	size_t at, size; /* the word in the text; size 0: its end */
	char words[XM_STRATEGY_WORDS_SIZE];
};

/* 0, or -EINVAL with *ret untouched. */
int xm_strategy_parse(const char *text, struct xm_strategy *ret,
		      struct xm_strategy_error *error);
/* As a text that parses to the same. */
void xm_strategy_write(const struct xm_strategy *, struct xm_words *);
void xm_strategy_write_choice(const struct xm_strategy_choice *,
			      struct xm_words *);

/* The most members that a segment of it has. */
uint32_t xm_strategy_mirrors(const struct xm_strategy *);
/* Bytes of which regions are multiples: whole rows of every choice. `granule` is the
 * appliances'. */
uint64_t xm_strategy_row(const struct xm_strategy *, uint64_t granule);
/* May an appliance of this zone and name be chosen? *ret_name: it is its name that
 * stands against it, else its zone. */
bool xm_strategy_admits(const struct xm_strategy_choice *, const char *zone,
			const char *name, bool *ret_name);

static inline uint64_t xm_choice_row(const struct xm_strategy_choice *choice,
				     uint64_t granule)
{
	return choice->columns > 1 ? choice->columns * choice->unit : granule;
}

#endif
