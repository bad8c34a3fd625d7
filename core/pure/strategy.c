/* SPDX-License-Identifier: BSD-3-Clause */
/* Strategies as texts; see strategy.h. */
#include "core/pure/strategy.h"

#include <errno.h>
#include <string.h>

#define UNIT_DEFAULT (256 * XM_KIB)

struct reader {
	const char *text;
	size_t length;
	size_t at;	   /* behind the word */
	size_t word, size; /* the word that is being looked at; size 0: the end */
	uint32_t said;	   /* clauses of this choice, a bit for each */
	struct xm_strategy_error *error;
};

/* --- words ------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A comma is a word of its own, and so is the x between two numbers ("4x256K"). */
static size_t word_size(const char *text)
{
	size_t size = 0;

	if (*text == ',')
		return 1;
	if (is_digit(*text)) {
		while (is_digit(text[size]))
			size++;
		if (text[size] == 'x' && is_digit(text[size + 1]))
			return size;
	} else if (*text == 'x' && is_digit(text[1])) {
		return 1;
	}
	while (text[size] != '\0' && text[size] != ',' && !is_blank(text[size]))
		size++;
	return size;
}

static void next(struct reader *r)
{
	while (is_blank(r->text[r->at]))
		r->at++;
	r->word = r->at;
	r->size = word_size(r->text + r->at);
	r->at += r->size;
}

static bool is(const struct reader *r, const char *word)
{
	const char *text = r->text + r->word;

	for (size_t i = 0; i < r->size; i++) {
		if (word[i] == '\0' || word[i] != text[i])
			return false;
	}
	return word[r->size] == '\0';
}

static bool is_end(const struct reader *r)
{
	return r->size == 0 || is(r, ",") || is(r, "else");
}

static void add_piece(struct xm_words *w, const char *text, size_t size)
{
	char piece[32];
	size_t n = 0;

	while (n < size && n + 1 < sizeof(piece)) {
		piece[n] = text[n] >= ' ' && text[n] != 127 ? text[n] : '?';
		n++;
	}
	piece[n] = '\0';
	xm_words_add(w, piece);
	xm_words_add(w, n < size ? "..." : "");
}

/* "WHAT, not "4x"", about the word that is being looked at. */
static int fail(const struct reader *r, const char *what)
{
	struct xm_words w;

	r->error->at = r->word;
	r->error->size = r->size;
	xm_words_begin(&w, r->error->words, sizeof(r->error->words));
	xm_words_add(&w, what);
	if (r->size == 0) {
		xm_words_add(&w, ", but the text ends");
	} else {
		xm_words_add(&w, ", not \"");
		add_piece(&w, r->text + r->word, r->size);
		xm_words_add(&w, "\"");
	}
	xm_words_add(&w, " at character ");
	xm_words_number(&w, r->word + 1);
	return -EINVAL;
}

/* --- values ----------------------------------------------------------------- */

static int read_count(struct reader *r, uint32_t max, const char *what,
		      uint32_t *ret)
{
	uint32_t n = 0;

	for (size_t i = 0; i < r->size; i++) {
		char c = r->text[r->word + i];

		if (!is_digit(c) || n > max)
			return fail(r, what);
		n = n * 10 + (uint32_t)(c - '0');
	}
	if (n == 0 || n > max)
		return fail(r, what);
	*ret = n;
	next(r);
	return 0;
}

/* "256K", "1GiB". */
static int read_size(struct reader *r, const char *what, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *text = r->text + r->word;
	uint64_t n = 0, scale = 1;
	size_t i = 0;

	while (i < r->size && is_digit(text[i])) {
		if (n > (UINT64_MAX >> 8) / 10)
			return fail(r, what);
		n = n * 10 + (uint64_t)(text[i++] - '0');
	}
	if (i == 0)
		return fail(r, what);
	for (uint32_t u = 0; i < r->size && u < 4; u++) {
		scale *= XM_KIB;
		if ((text[i] & ~0x20) == units[u]) {
			i++;
			i += i < r->size && text[i] == 'i';
			i += i < r->size && text[i] == 'B';
			break;
		}
	}
	if (i < r->size || n > (UINT64_MAX >> 8) / scale)
		return fail(r, what);
	*ret = n * scale;
	next(r);
	return 0;
}

/* --- clauses ---------------------------------------------------------------- */

static int read_mirror(struct reader *r, struct xm_strategy_choice *c)
{
	return read_count(r, XM_COPIES_MAX, "mirror wants a number from 1 to 4",
			  &c->mirrors);
}

static int read_stripe(struct reader *r, struct xm_strategy_choice *c)
{
	static const char what[] = "a stripe's unit is a power of two from 64K "
				   "to 2M";
	struct reader unit;
	int rc = read_count(r, XM_APPLIANCES_MAX,
			    "stripe wants a number from 1 to 16", &c->columns);

	c->unit = UNIT_DEFAULT;
	if (rc != 0 || !is(r, "x"))
		return rc;
	next(r);
	unit = *r;
	rc = read_size(r, what, &c->unit);
	if (rc == 0 && (!xm_is_power_of_two(c->unit) ||
			c->unit < XM_STRATEGY_UNIT_MIN ||
			c->unit > XM_STRATEGY_UNIT_MAX))
		return fail(&unit, what);
	return rc;
}

static int read_spread(struct reader *r, struct xm_strategy_choice *c)
{
	if (is(r, "zone"))
		c->spread = XM_SPREAD_ZONE;
	else if (is(r, "host"))
		c->spread = XM_SPREAD_HOST;
	else
		return fail(r, "spread wants zone or host");
	next(r);
	return 0;
}

static int read_rank(struct reader *r, struct xm_strategy_choice *c)
{
	static const char *const names[] = { "listed", "free", "load",
					     "random" };
	uint32_t i = 0;

	while (i < XM_COUNT(names) && !is(r, names[i]))
		i++;
	if (i == XM_COUNT(names))
		return fail(r, "rank wants listed, free, load, or random of N");
	c->rank = (enum xm_strategy_rank)i;
	next(r);
	if (c->rank != XM_RANK_RANDOM)
		return 0;
	if (!is(r, "of"))
		return fail(r, "\"random\" wants \"of N\"");
	next(r);
	return read_count(r, XM_APPLIANCES_MAX,
			  "random of wants a number from 1 to 16",
			  &c->random_of);
}

static int read_filter(struct reader *r, struct xm_strategy_choice *c,
		       bool name, bool negated)
{
	if (is_end(r))
		return fail(r, name ? "name wants names of appliances"
				    : "zone wants names of zones");
	for (; !is_end(r); next(r)) {
		struct xm_strategy_filter *f = &c->filters[c->filters_count];

		if (c->filters_count == XM_STRATEGY_FILTERS_MAX)
			return fail(r, "at most 8 zones and names");
		if (r->size >= XM_STRATEGY_PATTERN_SIZE)
			return fail(r, "a name has at most 63 characters");
		memset(f, 0, sizeof(*f));
		memcpy(f->pattern, r->text + r->word, r->size);
		f->name = name;
		f->not = negated;
		c->filters_count++;
	}
	return 0;
}

static int read_not(struct reader *r, struct xm_strategy_choice *c)
{
	bool name = is(r, "name");

	if (is(r, "leaving")) {
		next(r);
		return 0;
	}
	if (!name && !is(r, "zone"))
		return fail(r, "not wants zone, name or leaving");
	next(r);
	return read_filter(r, c, name, true);
}

static int read_keep(struct reader *r, struct xm_strategy_choice *c)
{
	return read_size(r, "keep wants a size such as 1G", &c->keep);
}

static int read_limit(struct reader *r, struct xm_strategy_choice *c)
{
	struct reader size = *r;
	int rc = read_size(r, "limit wants a size such as 1G", &c->limit);

	return rc == 0 && c->limit == 0 ? fail(&size, "limit wants a size of "
						      "at least 1")
					: rc;
}

static int read_zone(struct reader *r, struct xm_strategy_choice *c)
{
	return read_filter(r, c, false, false);
}

static int read_name(struct reader *r, struct xm_strategy_choice *c)
{
	return read_filter(r, c, true, false);
}

static const struct clause {
	const char *name;
	int (*read)(struct reader *, struct xm_strategy_choice *);
	bool often; /* may be said more than once */
} clauses[] = {
	{ "mirror", read_mirror, false }, { "stripe", read_stripe, false },
	{ "spread", read_spread, false }, { "rank", read_rank, false },
	{ "zone", read_zone, false },	  { "name", read_name, false },
	{ "not", read_not, true },	  { "keep", read_keep, false },
	{ "limit", read_limit, false },
};

static int read_clause(struct reader *r, struct xm_strategy_choice *c)
{
	uint32_t i = 0;

	while (i < XM_COUNT(clauses) && !is(r, clauses[i].name))
		i++;
	if (i == XM_COUNT(clauses))
		return fail(r, "a clause begins with mirror, stripe, spread, "
			       "rank, zone, name, not, keep or limit");
	if ((r->said & 1u << i) != 0 && !clauses[i].often)
		return fail(r, "a choice has each clause once");
	r->said |= 1u << i;
	next(r);
	return clauses[i].read(r, c);
}

/* What no single clause says. `first` is at the choice's first word. */
static int check_choice(const struct reader *first,
			struct xm_strategy_choice *c)
{
	if (c->columns == 1)
		c->unit = 0;
	if (c->spread != XM_SPREAD_NONE && c->mirrors == 1)
		return fail(first, "spread says where copies lie, and there is "
				   "one: the choice wants mirror 2 or more");
	if (c->limit != 0 && c->limit < c->unit)
		return fail(first, "the choice's limit is less than its "
				   "stripe's unit");
	return 0;
}

static int read_choice(struct reader *r, struct xm_strategy_choice *c)
{
	struct reader first = *r;
	int rc;

	memset(c, 0, sizeof(*c));
	c->mirrors = 1;
	c->columns = 1;
	r->said = 0;
	for (;;) {
		rc = read_clause(r, c);
		if (rc != 0)
			return rc;
		if (!is(r, ","))
			break;
		next(r);
		if (is(r, "else")) /* "..., else ..." reads well */
			break;
	}
	if (!is_end(r))
		return fail(r, "a comma stands between clauses");
	return check_choice(&first, c);
}

int xm_strategy_parse(const char *text, struct xm_strategy *ret,
		      struct xm_strategy_error *error)
{
	struct reader r = { .text = text, .error = error };
	struct xm_strategy s = { .count = 0 };

	while (r.length < XM_STRATEGY_TEXT_SIZE && text[r.length] != '\0')
		r.length++;
	if (r.length == XM_STRATEGY_TEXT_SIZE)
		return fail(&r, "a strategy has at most 1023 characters");
	next(&r);
	do {
		if (s.count == XM_STRATEGY_CHOICES_MAX)
			return fail(&r, "a strategy has at most 4 choices");
		if (s.count > 0)
			next(&r); /* past "else" */
		if (read_choice(&r, &s.choices[s.count]) != 0)
			return -EINVAL;
		s.count++;
	} while (is(&r, "else"));
	*ret = s;
	return 0;
}

/* --- writing ---------------------------------------------------------------- */

static void add_size(struct xm_words *w, uint64_t size)
{
	static const char *const units[] = { "", "K", "M", "G", "T" };
	uint32_t u = 0;

	while (u < 4 && size != 0 && size % XM_KIB == 0) {
		size /= XM_KIB;
		u++;
	}
	xm_words_number(w, size);
	xm_words_add(w, units[u]);
}

/* All words of one kind, as one clause; "not" may stand before. */
static void add_filters(struct xm_words *w, const struct xm_strategy_choice *c,
			bool name, bool negated)
{
	bool any = false;

	for (uint32_t i = 0; i < c->filters_count; i++) {
		const struct xm_strategy_filter *f = &c->filters[i];

		if (f->name != name || f->not != negated)
			continue;
		if (!any) {
			xm_words_add(w, negated ? ", not " : ", ");
			xm_words_add(w, name ? "name" : "zone");
		}
		any = true;
		xm_words_add(w, " ");
		xm_words_add(w, f->pattern);
	}
}

void xm_strategy_write_choice(const struct xm_strategy_choice *c,
			      struct xm_words *w)
{
	static const char *const ranks[] = { "listed", "free", "load",
					     "random of " };

	xm_words_add(w, "mirror ");
	xm_words_number(w, c->mirrors);
	if (c->columns > 1) {
		xm_words_add(w, ", stripe ");
		xm_words_number(w, c->columns);
		xm_words_add(w, " x ");
		add_size(w, c->unit);
	}
	if (c->spread != XM_SPREAD_NONE)
		xm_words_add(w, c->spread == XM_SPREAD_ZONE ? ", spread zone"
							    : ", spread host");
	if (c->rank != XM_RANK_LISTED) {
		xm_words_add(w, ", rank ");
		xm_words_add(w, ranks[c->rank]);
		if (c->rank == XM_RANK_RANDOM)
			xm_words_number(w, c->random_of);
	}
	for (uint32_t i = 0; i < 4; i++)
		add_filters(w, c, (i & 2) != 0, (i & 1) != 0);
	if (c->keep != 0) {
		xm_words_add(w, ", keep ");
		add_size(w, c->keep);
	}
	if (c->limit != 0) {
		xm_words_add(w, ", limit ");
		add_size(w, c->limit);
	}
}

void xm_strategy_write(const struct xm_strategy *s, struct xm_words *w)
{
	for (uint32_t i = 0; i < s->count; i++) {
		xm_words_add(w, i > 0 ? " else " : "");
		xm_strategy_write_choice(&s->choices[i], w);
	}
}

/* --- questions -------------------------------------------------------------- */

uint32_t xm_strategy_mirrors(const struct xm_strategy *s)
{
	uint32_t mirrors = 1;

	for (uint32_t i = 0; i < s->count; i++)
		mirrors = s->choices[i].mirrors > mirrors
				  ? s->choices[i].mirrors
				  : mirrors;
	return mirrors;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint64_t xm_strategy_row(const struct xm_strategy *s, uint64_t granule)
{
	uint64_t row = granule;

	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t one = xm_choice_row(&s->choices[i], granule);

		row = row / common_divisor(row, one) * one;
	}
	return row;
}

/* The last star that was met takes one byte more each time the rest does not fit
 * behind it. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			from = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool admits(const struct xm_strategy_choice *c, bool name,
		   const char *text)
{
	bool wanted = false, met = false;

	for (uint32_t i = 0; i < c->filters_count; i++) {
		const struct xm_strategy_filter *f = &c->filters[i];

		if (f->name != name)
			continue;
		if (!matches(f->pattern, text)) {
			wanted |= !f->not;
			continue;
		}
		if (f->not)
			return false;
		met = true;
	}
	return met || !wanted;
}

bool xm_strategy_admits(const struct xm_strategy_choice *c, const char *zone,
			const char *name, bool *ret_name)
{
	*ret_name = !admits(c, true, name);
	return !*ret_name && admits(c, false, zone);
}
