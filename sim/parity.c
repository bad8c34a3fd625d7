/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of the world of rows with parity and its laws; see parity.h. */
#include "sim/parity.h"

#include <errno.h>
#include <string.h>

#include "core/pure/rows.h"
#include "sim/counts.h"
#include "sim/notes.h"
#include "sim/world.h"

#define SIZE 64 /* bytes of a page */
#define OPERATIONS_MAX (XM_ROWS_SLOTS_MAX * XM_ROW_FRAGMENTS_MAX + 1)

struct member {
	bool up;
	enum xm_member_state state;
	uint32_t lives; /* what was posted in a former one never lands */
	uint8_t bytes[ROWS_MAX][SIZE];
};

/* What the page must be: `stored`; or `pending`, while it is stored, or if that was cut
 * short. 0: zeros. */
struct page {
	uint64_t stored, pending;
	bool busy; /* an operation is under way */
	bool lost;
};

struct operation {
	enum xm_rows_effect_kind kind;
	uint32_t slot, fragment, lives;
	uint64_t row;
	uint8_t *bytes;
	uint8_t sent[SIZE];
	struct xm_rows_intents intents;
};

static struct {
	struct rows_shape shape;
	uint32_t fragments;
	struct xm_rows machine;
	uint64_t memory[2]; /* of ROWS_MAX rows */
	_Alignas(64) uint8_t staging[XM_ROWS_SLOTS_MAX * SIZE *
				     (XM_ROW_FRAGMENTS_MAX + XM_ROW_COLUMNS_MAX)];
	struct member members[XM_ROW_FRAGMENTS_MAX];
	struct page pages[ROWS_MAX][XM_ROW_COLUMNS_MAX];
	struct operation operations[OPERATIONS_MAX];
	uint32_t count;
	struct xm_rows_intents ledger;
	uint64_t version; /* of the last store */
	struct xm_rows_effects effects;
} w;

static void law(bool held, const char *name, const char *words, uint64_t row,
		uint64_t column)
{
	sim_counts.laws_asked++;
	if (!held)
		world_broken(name, "%s: row %llu, column %llu", words,
			     (unsigned long long)row, (unsigned long long)column);
}

static int step(const struct xm_rows_event *ev);

/* --- bytes and shadows -------------------------------------------------------------- */

static void fill(uint64_t version, uint8_t *to)
{
	uint64_t state = version;

	memset(to, 0, SIZE);
	for (uint32_t i = 0; version != 0 && i < SIZE / 8; i++) {
		uint64_t word = xm_rand_mix(&state);

		memcpy(to + 8 * i, &word, 8);
	}
}

static bool is_version(const uint8_t *bytes, uint64_t version)
{
	uint8_t wanted[SIZE];

	fill(version, wanted);
	return memcmp(bytes, wanted, SIZE) == 0;
}

/* Is this what the page may be? */
static bool is_right(const struct page *p, const uint8_t *bytes)
{
	return is_version(bytes, p->stored) ||
	       (p->pending != 0 && is_version(bytes, p->pending));
}

/* Where a store was cut short, what is read first stays. */
static void settle(struct page *p, const uint8_t *bytes)
{
	if (p->pending != 0 && is_version(bytes, p->pending))
		p->stored = p->pending;
	p->pending = 0;
}

static uint64_t token_of(uint64_t row, uint32_t columns)
{
	return row << XM_ROW_COLUMNS_MAX | columns;
}

static bool bit(const struct xm_rows_intents *i, uint64_t row)
{
	uint64_t group = row >> w.shape.group_shift;

	return (i->words[group / 64] >> group % 64 & 1) != 0;
}

static bool is_unclean(uint64_t row)
{
	return (w.machine.unclean[row / 64] >> row % 64 & 1) != 0;
}

/* --- effects -------------------------------------------------------------------------- */

/* However the ledger's write under way ends. */
static bool has_intent(uint64_t row)
{
	for (uint32_t i = 0; i < w.count; i++) {
		if (w.operations[i].kind == XM_ROWS_DO_LEDGER &&
		    !bit(&w.operations[i].intents, row))
			return false;
	}
	return bit(&w.ledger, row);
}

static void operation_begin(const struct xm_rows_effect *fx)
{
	struct operation *op = &w.operations[w.count++];

	XM_ASSERT(w.count <= OPERATIONS_MAX);
	op->kind = fx->kind;
	op->slot = fx->slot;
	op->fragment = fx->fragment;
	op->row = fx->row;
	op->bytes = fx->bytes;
	op->lives = w.members[fx->fragment].lives;
	op->intents = w.machine.flying;
	if (fx->kind == XM_ROWS_DO_WRITE)
		memcpy(op->sent, fx->bytes, SIZE);
	if (fx->kind == XM_ROWS_DO_READ)
		law(w.members[fx->fragment].state == XM_MEMBER_IN, "read",
		    "a member is read that is not IN", fx->row, fx->fragment);
	if (fx->kind == XM_ROWS_DO_WRITE &&
	    w.machine.slots[fx->slot].work == XM_ROW_STORES)
		law(has_intent(fx->row), "intent", "a row is written without a mark",
		    fx->row, fx->fragment);
}

static void stored(const struct xm_rows_effect *fx)
{
	uint64_t row = fx->token >> XM_ROW_COLUMNS_MAX;

	law(fx->status == 0 || (fx->status == -ENODATA && is_unclean(row)), "read",
	    "a store has failed", row, 0);
	for (uint32_t c = 0; c < w.shape.columns; c++) {
		struct page *p = &w.pages[row][c];

		if ((fx->token & 1u << c) == 0)
			continue;
		p->busy = false;
		if (fx->status != 0)
			continue;
		p->stored = p->pending;
		p->pending = 0;
		p->lost = false;
	}
}

static void has_read(const struct xm_rows_effect *fx)
{
	uint64_t row = fx->token >> XM_ROW_COLUMNS_MAX;
	uint32_t column = (uint32_t)__builtin_ctzll(fx->token);
	struct page *p = &w.pages[row][column];

	p->busy = false;
	if (fx->status != 0) {
		law(is_unclean(row), "read", "a read has failed", row, column);
		return;
	}
	law(is_right(p, fx->bytes), "read", "a read brought other bytes", row, column);
	settle(p, fx->bytes);
}

static void lose(uint64_t row, uint32_t column)
{
	struct page *p = &w.pages[row][column];

	law(is_unclean(row) && w.members[column].state == XM_MEMBER_FILLING, "lost",
	    "a page is given up", row, column);
	p->lost = true;
	p->pending = 0;
	world_note("rows.lose: row {row} column {column}", row, column, 0);
}

static void member_is(uint32_t fragment, enum xm_member_state state)
{
	w.members[fragment].state = state;
	world_note("rows.member: member {member} is {state}", fragment, state, 0);
	step(&(struct xm_rows_event){ .kind = XM_ROWS_MEMBER, .fragment = fragment,
				      .state = state });
}

/* Returns what it said to a store or read. Effects that are answered at once come last. */
static int step(const struct xm_rows_event *ev)
{
	uint32_t filled = 0;
	int status;

	xm_rows_step(&w.machine, ev, &w.effects);
	status = w.effects.status;
	for (uint32_t i = 0; i < w.effects.count; i++) {
		const struct xm_rows_effect *fx = &w.effects.list[i];

		switch (fx->kind) {
		case XM_ROWS_DO_READ:
		case XM_ROWS_DO_WRITE:
		case XM_ROWS_DO_LEDGER: operation_begin(fx); break;
		case XM_ROWS_STORED: stored(fx); break;
		case XM_ROWS_HAS_READ: has_read(fx); break;
		case XM_ROWS_LOSE: lose(fx->row, fx->fragment); break;
		case XM_ROWS_FILLED: filled |= 1u << fx->fragment; break;
		}
	}
	for (; filled != 0; filled &= filled - 1)
		member_is((uint32_t)__builtin_ctz(filled), XM_MEMBER_IN);
	return status;
}

/* --- steps ---------------------------------------------------------------------------- */

static void machine_begin(const struct xm_rows_intents *found)
{
	struct xm_rows_options o = {
		.shape = { .columns = w.shape.columns,
			   .parities = w.shape.parities },
		.code_ops = &xm_code_rs, .rows = w.shape.rows,
		.group_shift = w.shape.group_shift, .slots = w.shape.slots,
		.page_size = SIZE, .staging = w.staging,
	};
	enum xm_member_state states[XM_ROW_FRAGMENTS_MAX];

	for (uint32_t f = 0; f < w.fragments; f++)
		states[f] = w.members[f].state;
	XM_ASSERT(xm_rows_memory_size(&o) <= sizeof(w.memory));
	XM_ASSERT(xm_rows_staging_size(&o) <= sizeof(w.staging));
	memset(w.memory, 0, sizeof(w.memory));
	xm_rows_init(&w.machine, &o, states, found, w.memory);
}

void rows_open(const struct rows_shape *shape)
{
	memset(&w, 0, sizeof(w));
	w.shape = *shape;
	w.fragments = shape->columns + shape->parities;
	for (uint32_t f = 0; f < w.fragments; f++)
		w.members[f].up = true;
	machine_begin(NULL);
	world_note("rows.open: {columns} columns {parities} parities {rows} rows",
		   shape->columns, shape->parities, shape->rows);
}

uint32_t rows_flying(void)
{
	return w.count;
}

void rows_store(uint32_t row, uint32_t columns)
{
	struct xm_rows_event ev = { .kind = XM_ROWS_STORE, .row = row };
	uint8_t bytes[XM_ROW_COLUMNS_MAX][SIZE];
	uint32_t repeats = 0;

	for (uint32_t c = 0; c < w.shape.columns; c++) {
		struct page *p = &w.pages[row][c];

		if ((columns & 1u << c) == 0 || p->busy)
			continue;
		ev.columns |= 1u << c;
		/* What was cut short is stored again. */
		if (p->pending != 0)
			repeats |= 1u << c;
		else
			p->pending = ++w.version;
		fill(p->pending, bytes[c]);
		ev.bytes[c] = bytes[c];
		p->busy = true;
	}
	if (ev.columns == 0)
		return;
	ev.token = token_of(row, ev.columns);
	world_note("rows.store: row {row} columns {columns} version {version}", row,
		   ev.columns, w.version);
	sim_counts.operations++;
	if (step(&ev) != -EAGAIN)
		return;
	for (uint32_t c = 0; c < w.shape.columns; c++) {
		struct page *p = &w.pages[row][c];

		if ((ev.columns & 1u << c) == 0)
			continue;
		p->busy = false;
		if ((repeats & 1u << c) == 0)
			p->pending = 0;
	}
}

void rows_read(uint32_t row, uint32_t column)
{
	struct page *p = &w.pages[row][column];
	const struct member *m = &w.members[column];
	struct xm_rows_event ev = { .kind = XM_ROWS_READ, .row = row,
				    .columns = 1u << column };

	if (p->busy || p->lost)
		return;
	sim_counts.operations++;
	if (m->state == XM_MEMBER_IN) {
		law(!m->up || is_right(p, m->bytes[row]), "read",
		    "a member has other bytes", row, column);
		if (m->up)
			settle(p, m->bytes[row]);
		return;
	}
	ev.token = token_of(row, 1u << column);
	p->busy = true;
	world_note("rows.read: row {row} column {column}", row, column, 0);
	if (step(&ev) == -EAGAIN)
		p->busy = false;
}

static void happen(const struct operation *op)
{
	struct member *m = &w.members[op->fragment];

	if (op->kind == XM_ROWS_DO_LEDGER)
		w.ledger = op->intents;
	else if (op->kind == XM_ROWS_DO_READ)
		memcpy(op->bytes, m->bytes[op->row], SIZE);
	else if (op->lives == m->lives)
		memcpy(m->bytes[op->row], op->sent, SIZE);
}

void rows_deliver(uint32_t operation, bool well, bool happened)
{
	struct operation op = w.operations[operation];
	const struct member *m = &w.members[op.fragment];
	struct xm_rows_event ev = { .kind = XM_ROWS_ENDED, .slot = op.slot,
				    .fragment = op.fragment };

	if (op.kind != XM_ROWS_DO_LEDGER)
		well &= m->up && op.lives == m->lives;
	w.operations[operation] = w.operations[--w.count];
	if (well || (happened && op.kind != XM_ROWS_DO_READ))
		happen(&op);
	if (op.kind == XM_ROWS_DO_LEDGER)
		ev.kind = XM_ROWS_LEDGER_ENDED;
	ev.status = well ? 0 : -EIO;
	world_note("rows.end: kind {kind} row {row} fragment {fragment}", op.kind, op.row,
		   op.fragment);
	step(&ev);
}

void rows_tick(void)
{
	step(&(struct xm_rows_event){ .kind = XM_ROWS_TICK });
}

void rows_member(uint32_t fragment, bool zeros)
{
	struct member *m = &w.members[fragment];
	uint32_t suffer = 0;

	for (uint32_t f = 0; f < w.fragments; f++)
		suffer += !w.members[f].up ||
			  w.members[f].state != XM_MEMBER_IN;
	if (m->up && m->state == XM_MEMBER_IN && suffer == w.shape.parities)
		return;
	if (m->up) { /* or, while it is being filled, again */
		m->up = false;
		world_note("rows.away: member {member}", fragment, 0, 0);
	} else if (m->state != XM_MEMBER_OUT) {
		member_is(fragment, XM_MEMBER_OUT);
	} else {
		m->up = true;
		m->lives++;
		if (zeros)
			memset(m->bytes, 0, sizeof(m->bytes));
		member_is(fragment, XM_MEMBER_FILLING);
	}
}

void rows_crash(void)
{
	for (uint32_t i = 0; i < w.count; i++) {
		const struct operation *op = &w.operations[i];

		if (op->kind != XM_ROWS_DO_READ &&
		    world_chance(WORLD_WORK, 2) &&
		    (op->kind == XM_ROWS_DO_LEDGER || w.members[op->fragment].up))
			happen(op);
	}
	w.count = 0;
	/* Its connections end, and with them what was under way. */
	for (uint32_t f = 0; f < w.fragments; f++)
		w.members[f].lives++;
	for (uint32_t row = 0; row < w.shape.rows; row++) {
		for (uint32_t c = 0; c < w.shape.columns; c++)
			w.pages[row][c].busy = false;
	}
	machine_begin(&w.ledger);
	world_note("rows.crash", 0, 0, 0);
}

bool rows_calm(void)
{
	for (uint32_t f = 0; f < w.fragments; f++) {
		if (!w.members[f].up)
			rows_member(f, false);
	}
	if (w.count == 0)
		rows_tick();
	return w.count == 0 && xm_rows_is_idle(&w.machine);
}

/* --- laws ------------------------------------------------------------------------------ */

/* The row as it follows from these fragments. */
static void row_decode(uint32_t row, uint32_t from,
		       uint8_t ret[XM_ROW_FRAGMENTS_MAX][SIZE])
{
	struct xm_code_shape shape = { .columns = w.shape.columns,
				       .parities = w.shape.parities };
	uint8_t *pages[XM_ROW_FRAGMENTS_MAX];

	for (uint32_t f = 0; f < w.fragments; f++) {
		pages[f] = ret[f];
		memcpy(ret[f], w.members[f].bytes[row], SIZE);
	}
	xm_code_rs.decode(NULL, &shape, ~from & ((1u << w.fragments) - 1), pages,
			  SIZE);
}

static void ask_choice(uint32_t row, uint32_t in, uint32_t from)
{
	uint8_t bytes[XM_ROW_FRAGMENTS_MAX][SIZE];

	row_decode(row, from, bytes);
	for (uint32_t f = 0; f < w.fragments; f++) {
		struct page *p = f < w.shape.columns ? &w.pages[row][f] : NULL;

		if ((in & 1u << f) != 0)
			law(memcmp(bytes[f], w.members[f].bytes[row], SIZE) == 0,
			    "parity", "members do not agree", row, f);
		if (p == NULL || p->lost)
			continue;
		law(is_right(p, bytes[f]), "parity", "other bytes than stored", row, f);
		if (!p->busy)
			settle(p, bytes[f]);
	}
}

void rows_ask(uint32_t row)
{
	uint32_t in = 0;

	if (!xm_rows_is_clean(&w.machine, row))
		return;
	for (uint32_t f = 0; f < w.fragments; f++)
		in |= (uint32_t)(w.members[f].up &&
				 w.members[f].state == XM_MEMBER_IN) << f;
	for (uint32_t from = 1; from < 1u << w.fragments; from++) {
		if ((from & ~in) == 0 &&
		    (uint32_t)__builtin_popcount(from) == w.shape.columns)
			ask_choice(row, in, from);
	}
}

void rows_close(void)
{
	sim_counts.stores += w.version;
}
