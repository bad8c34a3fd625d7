/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machines of a guest's move (faces/machine/move.h) in a world of two processes, a
 * link, a stream and an appliance, in every order of events, with every failure at every
 * point. In each state that can be reached: no guest runs whose side does not own the
 * memory, so never two; and where nothing is left to happen exactly one runs, unless the
 * process that had the guest is gone.
 */
#include <stdlib.h>
#include <string.h>

#include "faces/machine/move.h"
#include "tests/support/cunit.h"

enum { OWNER_SOURCE, OWNER_NOBODY, OWNER_KEPT, OWNER_TARGET, OWNER_LOST };
enum { STREAM_NONE, STREAM_OPEN, STREAM_SWITCHED, STREAM_WHOLE, STREAM_BROKEN };
enum { TO_SOURCE_READY = 1, TO_SOURCE_ADOPTED = 2, TO_SOURCE_RUNS = 4, TO_SOURCE_FAILED = 8 };
enum { TO_TARGET_TOKEN = 1, TO_TARGET_ABORT = 2 };

struct world {
	struct source source;
	struct target target;
	unsigned char owner, stream, to_source, to_target;
	unsigned char faults; /* that may still come */
	bool source_runs, target_runs, linked, source_there, target_there;
	bool source_guest, target_guest;	 /* QEMU is there */
	bool half, parts, reclaims, claims, commits; /* the operation is under way */
	bool returned, continues, told;
};

static bool careless; /* the target does not make the memory its own */
static bool refused;  /* no appliance ever says that it has */

/* --- effects --------------------------------------------------------------------------------- */

static void source_do(struct world *w, enum source_event e)
{
	unsigned effects = w->source_there ? source_step(&w->source, e) : 0;

	if ((effects & SOURCE_DO_STREAM) != 0) {
		w->source_runs = false;
		w->stream = STREAM_OPEN;
	}
	if ((effects & SOURCE_DO_PART) != 0)
		w->parts = true;
	if ((effects & SOURCE_DO_OFFER) != 0 && w->linked)
		w->to_target |= TO_TARGET_TOKEN;
	if ((effects & SOURCE_DO_SWITCH) != 0 && w->stream == STREAM_OPEN)
		w->stream = STREAM_SWITCHED;
	if ((effects & SOURCE_DO_ABORT) != 0 && w->linked)
		w->to_target |= TO_TARGET_ABORT;
	if ((effects & SOURCE_DO_RECLAIM) != 0)
		w->reclaims = true;
	if ((effects & SOURCE_DO_RESUME) != 0) {
		w->stream = w->stream == STREAM_WHOLE ? STREAM_WHOLE : STREAM_BROKEN;
		w->source_runs = w->source_guest;
	}
	if ((effects & SOURCE_DO_END) != 0)
		w->source_runs = w->source_guest = false;
}

static void target_do(struct world *w, enum target_event e)
{
	unsigned effects = w->target_there ? target_step(&w->target, e) : 0;

	if ((effects & TARGET_DO_READY) != 0 && w->linked)
		w->to_source |= TO_SOURCE_READY;
	if ((effects & TARGET_DO_CLAIM) != 0)
		w->claims = true;
	if ((effects & TARGET_DO_ADOPTED) != 0 && w->linked)
		w->to_source |= TO_SOURCE_ADOPTED;
	if ((effects & TARGET_DO_COMMIT) != 0)
		w->commits = true;
	if ((effects & TARGET_DO_RUN) != 0)
		w->continues = true;
	if ((effects & TARGET_DO_TELL) != 0) {
		w->told = true;
		w->to_source |= w->linked ? TO_SOURCE_RUNS : 0;
	}
	if ((effects & TARGET_DO_RETURN) != 0) {
		w->target_guest = w->commits = w->claims = w->continues = false;
		w->returned = true;
		w->to_source |= w->linked ? TO_SOURCE_FAILED : 0;
		if (w->owner == OWNER_KEPT)
			w->owner = OWNER_NOBODY;
		else if (w->owner == OWNER_TARGET)
			w->owner = OWNER_LOST;
		if (w->stream == STREAM_OPEN || w->stream == STREAM_SWITCHED)
			w->stream = STREAM_BROKEN;
	}
}

/* --- what may happen next ----------------------------------------------------------------------- */

/* Each takes a bit out of a set: messages of one side are few, and may come in any order. */
static bool message_to_source(struct world *w, unsigned char bit, enum source_event e)
{
	if ((w->to_source & bit) == 0)
		return false;
	w->to_source &= (unsigned char)~bit;
	source_do(w, e);
	return true;
}

static bool message_to_target(struct world *w, unsigned char bit, enum target_event e)
{
	if ((w->to_target & bit) == 0)
		return false;
	w->to_target &= (unsigned char)~bit;
	target_do(w, e);
	return true;
}

static bool op_ends(bool *op)
{
	bool was = *op;

	*op = false;
	return was;
}

/* The appliance answers the source's request for the memory. */
static bool reclaim(struct world *w)
{
	if (!op_ends(&w->reclaims))
		return false;
	if (w->owner == OWNER_NOBODY) {
		w->owner = OWNER_SOURCE;
		source_do(w, SOURCE_RECLAIMED);
	} else {
		source_do(w, w->owner == OWNER_KEPT ? SOURCE_RECLAIM_BUSY
						    : SOURCE_RECLAIM_GONE);
	}
	return true;
}

static bool claim(struct world *w)
{
	if (!op_ends(&w->claims))
		return false;
	if (w->owner == OWNER_NOBODY) {
		w->owner = OWNER_KEPT;
		target_do(w, TARGET_ADOPTED);
	} else {
		target_do(w, TARGET_ADOPT_FAILED);
	}
	return true;
}

/* `heard`: the target learns of it. */
static bool commit(struct world *w, bool heard)
{
	if (!op_ends(&w->commits))
		return false;
	if (refused) {
		target_do(w, TARGET_COMMIT_FAILED);
		return true;
	}
	if (w->owner == OWNER_KEPT && !careless)
		w->owner = OWNER_TARGET;
	else if (w->owner != OWNER_TARGET && !careless)
		heard = false;
	target_do(w, heard ? TARGET_COMMITTED
			   : w->owner == OWNER_TARGET ? TARGET_COMMIT_FAILED
						      : TARGET_COMMIT_LOST);
	return true;
}

enum { STEPS = 19, FAULTS = 16 };

/* Above 60 lines because each thing that can happen has a case of its own. */
static bool by_itself(struct world *w, int which)
{
	switch (which) {
	case 9: /* QEMU is there */
		if (w->target.state != TARGET_STARTING || !w->target_there)
			return false;
		target_do(w, TARGET_STARTED);
		return true;
	case 10:
		if (w->stream != STREAM_OPEN || w->source.state != SOURCE_STREAMING)
			return false;
		source_do(w, SOURCE_AT_SWITCH);
		return true;
	case 11:
		if (!w->source_there || !op_ends(&w->parts))
			return false;
		w->owner = OWNER_NOBODY;
		source_do(w, SOURCE_PARTED);
		return true;
	case 12: /* all of the stream is there; the source need not have heard of that */
		if (w->stream != STREAM_SWITCHED || !w->target_there || w->returned)
			return false;
		w->stream = STREAM_WHOLE;
		return true;
	case 13:
		if (w->stream != STREAM_WHOLE || w->target.state != TARGET_HELD)
			return false;
		target_do(w, TARGET_LOADED);
		return true;
	case 14: /* a stream that broke is noticed at both ends */
		if (w->stream != STREAM_BROKEN || w->target.state < TARGET_READY ||
		    w->target.state > TARGET_HELD || !w->target_there)
			return false;
		target_do(w, TARGET_GUEST_ENDED);
		return true;
	case 15:
		if (w->stream != STREAM_BROKEN || source_is_over(&w->source) ||
		    w->source.state == SOURCE_RECLAIMING || w->source.doomed)
			return false;
		source_do(w, SOURCE_STREAM_FAILED);
		return true;
	case 16:
		if (!refused || w->target.state != TARGET_COMMITTING)
			return false;
		target_do(w, TARGET_LATE);
		return true;
	case 17:
		if (!op_ends(&w->continues))
			return false;
		w->target_runs = w->target_guest;
		target_do(w, TARGET_CONTINUED);
		return true;
	default: /* a link that is cut is noticed at both ends */
		if (w->linked || (w->to_source & TO_SOURCE_FAILED) != 0 ||
		    (w->to_target & TO_TARGET_ABORT) != 0)
			return false;
		w->linked = true; /* but carries nothing: see fault 0 */
		w->to_source |= TO_SOURCE_FAILED;
		w->to_target |= TO_TARGET_ABORT;
		return true;
	}
}

static bool step(struct world *w, int which)
{
	switch (which) {
	case 0: return message_to_source(w, TO_SOURCE_READY, SOURCE_FAR_READY);
	case 1: return message_to_source(w, TO_SOURCE_ADOPTED, SOURCE_FAR_ADOPTED);
	case 2: return message_to_source(w, TO_SOURCE_RUNS, SOURCE_FAR_RUNS);
	case 3: return message_to_source(w, TO_SOURCE_FAILED, SOURCE_FAR_FAILED);
	case 4: return message_to_target(w, TO_TARGET_TOKEN, TARGET_TOKEN);
	case 5: return message_to_target(w, TO_TARGET_ABORT, TARGET_ABORTED);
	case 6: return reclaim(w);
	case 7: return claim(w);
	case 8: return commit(w, true);
	default: return by_itself(w, which);
	}
}

static void source_dies(struct world *w)
{
	w->source_there = w->source_runs = w->source_guest = false;
	w->parts = w->reclaims = w->linked = false;
	w->owner = w->owner == OWNER_SOURCE ? OWNER_LOST : w->owner;
	if (w->stream == STREAM_OPEN || w->stream == STREAM_SWITCHED)
		w->stream = STREAM_BROKEN;
}

static void target_dies(struct world *w)
{
	w->target_there = w->target_runs = w->target_guest = false;
	w->claims = w->commits = w->continues = w->linked = false;
	if (w->owner == OWNER_KEPT)
		w->owner = OWNER_NOBODY; /* when its lease is over */
	else if (w->owner == OWNER_TARGET)
		w->owner = OWNER_LOST;
	if (w->stream == STREAM_OPEN || w->stream == STREAM_SWITCHED)
		w->stream = STREAM_BROKEN;
}

static bool guest_ends(struct world *w, bool source)
{
	bool *guest = source ? &w->source_guest : &w->target_guest;

	if (!*guest)
		return false;
	*guest = false;
	if (w->stream == STREAM_OPEN || w->stream == STREAM_SWITCHED)
		w->stream = STREAM_BROKEN;
	if (source) {
		w->source_runs = false;
		source_do(w, SOURCE_GUEST_ENDED);
	} else {
		w->target_runs = false;
		target_do(w, TARGET_GUEST_ENDED);
	}
	return true;
}

/* Above 60 lines because each thing that can happen has a case of its own. */
static bool fault(struct world *w, int which)
{
	switch (which) {
	case 0: /* what is on its way is lost */
		if (!w->linked)
			return false;
		w->linked = false;
		w->to_source = w->to_target = 0;
		return true;
	case 1:
		if (w->source_there)
			source_dies(w);
		return true;
	case 2:
		if (w->target_there)
			target_dies(w);
		return true;
	case 3:
	case 4:
		return guest_ends(w, which == 3);
	case 5:
		if (w->stream != STREAM_OPEN && w->stream != STREAM_SWITCHED)
			return false;
		w->stream = STREAM_BROKEN;
		return true;
	case 6: /* the target has all, and the source hears that it failed */
		if (w->stream != STREAM_WHOLE)
			return false;
		source_do(w, SOURCE_STREAM_FAILED);
		return true;
	case 7:
		if (!w->source_there || !op_ends(&w->parts))
			return false;
		/* What is half gone is of no use to this side. */
		w->owner = w->half ? OWNER_LOST : w->owner;
		source_do(w, SOURCE_PART_FAILED);
		return true;
	case 8:
		if (!op_ends(&w->claims))
			return false;
		target_do(w, TARGET_ADOPT_FAILED);
		return true;
	case 9:
		return commit(w, false);
	case 10: /* nothing was done, and nobody knows */
		if (!op_ends(&w->commits))
			return false;
		target_do(w, TARGET_COMMIT_FAILED);
		return true;
	case 11:
		source_do(w, SOURCE_LATE);
		return true;
	case 12:
		target_do(w, TARGET_LATE);
		return true;
	case 15: /* QEMU refuses */
		if (!op_ends(&w->continues))
			return false;
		target_do(w, TARGET_CONTINUE_FAILED);
		return true;
	case 13: /* an appliance does not answer */
	default: /* ... and never does */
		if (!w->source_there || !op_ends(&w->parts))
			return false;
		w->half = true;
		w->owner = which == 13 ? OWNER_NOBODY : OWNER_LOST;
		source_do(w, which == 13 ? SOURCE_PART_HALF : SOURCE_PART_GONE);
		return true;
	}
}

/* --- every state ---------------------------------------------------------------------------------- */

enum { TABLE = 1 << 21 };

static struct world *seen;
static unsigned char *taken;
static size_t states, wrong, stuck;

static bool add(const struct world *w, size_t *ret)
{
	const unsigned char *bytes = (const void *)w;
	unsigned long hash = 14695981039346656037UL;

	for (size_t i = 0; i < sizeof(*w); i++)
		hash = (hash ^ bytes[i]) * 1099511628211UL;
	hash ^= hash >> 32;
	for (size_t at = hash % TABLE;; at = (at + 1) % TABLE) {
		if (taken[at] && memcmp(&seen[at], w, sizeof(*w)) == 0)
			return false;
		if (taken[at])
			continue;
		taken[at] = 1;
		memcpy(&seen[at], w, sizeof(*w));
		*ret = at;
		states++;
		return true;
	}
}

static bool is_lawful(const struct world *w)
{
	return !(w->source_runs && w->target_runs) &&
	       (w->source.state != SOURCE_MOVED || w->told) && /* it ran there */
	       (!w->source_runs || w->owner == OWNER_SOURCE) &&
	       (!w->target_runs || w->owner == OWNER_TARGET);
}

/* Nothing more happens. Who had the guest may be gone: the source before the target has
 * it, or the target then; or a guest by itself, where it runs. */
static bool is_settled(const struct world *w)
{
	bool gone = !w->source_guest && !w->target_guest;

	return w->source_runs != w->target_runs ||
	       (gone && (!w->source_there || source_is_over(&w->source)));
}

static void explore(unsigned faults)
{
	static size_t queue[TABLE];
	size_t first = 0, last = 0, at;
	struct world begin;

	memset(&begin, 0, sizeof(begin));
	begin.faults = (unsigned char)faults;
	begin.source_runs = begin.linked = begin.source_there = true;
	begin.target_there = begin.source_guest = begin.target_guest = true;
	memset(taken, 0, TABLE);
	states = wrong = stuck = 0;
	if (add(&begin, &at))
		queue[last++] = at;
	while (first < last) {
		struct world from = seen[queue[first++]];
		bool moved = false;

		wrong += !is_lawful(&from);
		for (int i = 0; i < STEPS + (from.faults > 0 ? FAULTS : 0); i++) {
			struct world to = from;

			to.faults -= i >= STEPS;
			if (!(i < STEPS ? step(&to, i) : fault(&to, i - STEPS)))
				continue;
			moved = moved || (i < STEPS && memcmp(&to, &from, sizeof(to)) != 0);
			if (add(&to, &at))
				queue[last++] = at;
		}
		stuck += !moved && !is_settled(&from);
	}
}

static void without_a_fault_the_guest_moves(void)
{
	careless = false;
	explore(0);
	CU_ASSERT(states > 10);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(stuck, 0);
}

static void with_faults_at_every_point_exactly_one_side_runs(void)
{
	careless = false;
	for (unsigned faults = 1; faults <= 4; faults++) {
		explore(faults);
		printf("(%u faults: %zu states) ", faults, states);
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT_EQUAL(stuck, 0);
	}
	CU_ASSERT(states > 1000);
}

static void a_target_that_does_not_make_the_memory_its_own_is_found(void)
{
	careless = true;
	explore(1);
	CU_ASSERT(wrong > 0);
}

static void a_target_that_never_hears_that_the_memory_is_its_own_gives_up(void)
{
	careless = false;
	refused = true;
	for (unsigned faults = 0; faults <= 2; faults++) {
		explore(faults);
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT_EQUAL(stuck, 0);
	}
	refused = false;
}

static unsigned from_parting(struct source *s, enum source_event e)
{
	*s = (struct source){ .state = SOURCE_PARTING };
	return source_step(s, e);
}

static void memory_that_is_half_handed_over_is_asked_for_until_it_is_gone(void)
{
	struct source s;

	CU_ASSERT_EQUAL(from_parting(&s, SOURCE_PART_HALF), SOURCE_DO_PART);
	CU_ASSERT_EQUAL(source_step(&s, SOURCE_PARTED), SOURCE_DO_ABORT | SOURCE_DO_RECLAIM);
	CU_ASSERT_EQUAL(source_step(&s, SOURCE_RECLAIMED), SOURCE_DO_RESUME);
	CU_ASSERT_EQUAL(s.state, SOURCE_STAYED);
	/* A guest never runs on half of its memory. */
	from_parting(&s, SOURCE_PART_HALF);
	CU_ASSERT_EQUAL(source_step(&s, SOURCE_PART_FAILED), SOURCE_DO_ABORT | SOURCE_DO_END);
	CU_ASSERT_EQUAL(s.state, SOURCE_LOST);
	from_parting(&s, SOURCE_PART_HALF);
	CU_ASSERT_EQUAL(source_step(&s, SOURCE_PART_GONE), SOURCE_DO_ABORT | SOURCE_DO_END);
	CU_ASSERT_EQUAL(s.state, SOURCE_LOST);
	/* One that takes too long does not move, even if it ends well. */
	CU_ASSERT_EQUAL(from_parting(&s, SOURCE_LATE), 0);
	CU_ASSERT_EQUAL(source_step(&s, SOURCE_PARTED), SOURCE_DO_ABORT | SOURCE_DO_RECLAIM);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(without_a_fault_the_guest_moves),
		XM_TEST(with_faults_at_every_point_exactly_one_side_runs),
		XM_TEST(a_target_that_does_not_make_the_memory_its_own_is_found),
		XM_TEST(a_target_that_never_hears_that_the_memory_is_its_own_gives_up),
		XM_TEST(memory_that_is_half_handed_over_is_asked_for_until_it_is_gone),
		CU_TEST_INFO_NULL,
	};
	int status = 2;

	seen = malloc(TABLE * sizeof(*seen));
	taken = malloc(TABLE);
	if (seen != NULL && taken != NULL)
		status = xm_tests_run("vm_move", tests);
	free(seen);
	free(taken);
	return status;
}
