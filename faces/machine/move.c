/* SPDX-License-Identifier: BSD-3-Clause */
/* How a guest moves; see move.h. */
#include "faces/machine/move.h"

static unsigned source_go(struct source *s, enum source_state state, unsigned effects)
{
	s->state = state;
	return effects;
}

static unsigned stay(struct source *s, unsigned effects)
{
	return s->dead ? source_go(s, SOURCE_LOST, effects)
		       : source_go(s, SOURCE_STAYED, effects | SOURCE_DO_RESUME);
}

/* What ends a move, wherever it is. */
static bool is_failure(enum source_event e)
{
	return e == SOURCE_FAR_FAILED || e == SOURCE_STREAM_FAILED ||
	       e == SOURCE_LATE || e == SOURCE_GUEST_ENDED;
}

static unsigned parting(struct source *s, enum source_event e)
{
	/* What was half handed over is never as it was. */
	if (e == SOURCE_PART_GONE || (e == SOURCE_PART_FAILED && s->half))
		return source_go(s, SOURCE_LOST, SOURCE_DO_ABORT | SOURCE_DO_END);
	if (e == SOURCE_PART_FAILED)
		return stay(s, SOURCE_DO_ABORT);
	if (e == SOURCE_PARTED && s->doomed)
		return source_go(s, SOURCE_RECLAIMING,
				 SOURCE_DO_ABORT | SOURCE_DO_RECLAIM);
	if (e == SOURCE_PARTED)
		return source_go(s, SOURCE_OFFERED, SOURCE_DO_OFFER);
	/* It cannot run here any more before all of it has been handed over, and is back. */
	s->half = s->half || e == SOURCE_PART_HALF;
	s->doomed = s->doomed || is_failure(e) || s->half;
	return e == SOURCE_PART_HALF ? SOURCE_DO_PART : 0;
}

static unsigned reclaiming(struct source *s, enum source_event e)
{
	if (e == SOURCE_RECLAIMED)
		return stay(s, 0);
	if (e == SOURCE_RECLAIM_BUSY)
		return SOURCE_DO_RECLAIM;
	if (e == SOURCE_FAR_RUNS)
		return source_go(s, SOURCE_MOVED, SOURCE_DO_END);
	if (e == SOURCE_RECLAIM_GONE)
		return source_go(s, SOURCE_GONE, SOURCE_DO_END);
	return 0;
}

unsigned source_step(struct source *s, enum source_event e)
{
	s->dead = s->dead || e == SOURCE_GUEST_ENDED;
	switch (s->state) {
	case SOURCE_ASKED:
		if (e == SOURCE_FAR_READY)
			return source_go(s, SOURCE_STREAMING, SOURCE_DO_STREAM);
		if (s->dead)
			return source_go(s, SOURCE_LOST, SOURCE_DO_ABORT);
		/* It was not paused. */
		return is_failure(e) ? source_go(s, SOURCE_STAYED, SOURCE_DO_ABORT) : 0;
	case SOURCE_STREAMING:
		if (e == SOURCE_AT_SWITCH)
			return source_go(s, SOURCE_PARTING, SOURCE_DO_PART);
		return is_failure(e) ? stay(s, SOURCE_DO_ABORT) : 0;
	case SOURCE_PARTING:
		return parting(s, e);
	case SOURCE_OFFERED:
		if (e == SOURCE_FAR_ADOPTED)
			return source_go(s, SOURCE_SWITCHING, SOURCE_DO_SWITCH);
		break;
	case SOURCE_SWITCHING:
		if (e == SOURCE_FAR_RUNS)
			return source_go(s, SOURCE_MOVED, SOURCE_DO_END);
		/* The other side may have all that it needs. */
		if (e == SOURCE_GUEST_ENDED)
			return 0;
		break;
	case SOURCE_RECLAIMING:
		return reclaiming(s, e);
	default:
		return 0;
	}
	return is_failure(e) ? source_go(s, SOURCE_RECLAIMING,
					 SOURCE_DO_ABORT | SOURCE_DO_RECLAIM)
			     : 0;
}

bool source_is_over(const struct source *s)
{
	return s->state >= SOURCE_STAYED;
}

static unsigned target_go(struct target *t, enum target_state state, unsigned effects)
{
	t->state = state;
	return effects;
}

static unsigned adopting(struct target *t, enum target_event e)
{
	if (e == TARGET_ADOPT_FAILED || (e == TARGET_ADOPTED && t->doomed))
		return target_go(t, TARGET_RETURNED, TARGET_DO_RETURN);
	if (e == TARGET_ADOPTED)
		return target_go(t, TARGET_HELD, TARGET_DO_ADOPTED);
	t->doomed = true; /* nothing else is good news */
	return 0;
}

/* Nobody but the appliances knows whether it was done: so the source's word counts no
 * more, and the guest does not run until they have said so. If they never do, the memory
 * is the source's again where it was not done; where it was, nobody could use it here. */
static unsigned committing(struct target *t, enum target_event e)
{
	if (e == TARGET_COMMITTED)
		return target_go(t, TARGET_CONTINUING, TARGET_DO_RUN);
	if (e == TARGET_COMMIT_FAILED)
		return TARGET_DO_COMMIT;
	if (e == TARGET_COMMIT_LOST || e == TARGET_GUEST_ENDED || e == TARGET_LATE)
		return target_go(t, TARGET_RETURNED, TARGET_DO_RETURN);
	return 0;
}

/* Nobody else can run it any more: so it is tried for as long as there is patience. */
static unsigned continuing(struct target *t, enum target_event e)
{
	if (e == TARGET_CONTINUED)
		return target_go(t, TARGET_RUNS, TARGET_DO_TELL);
	if (e == TARGET_CONTINUE_FAILED)
		return TARGET_DO_RUN;
	if (e == TARGET_GUEST_ENDED || e == TARGET_LATE)
		return target_go(t, TARGET_RETURNED, TARGET_DO_RETURN);
	return 0;
}

unsigned target_step(struct target *t, enum target_event e)
{
	switch (t->state) {
	case TARGET_STARTING:
		if (e == TARGET_STARTED)
			return target_go(t, TARGET_READY, TARGET_DO_READY);
		break;
	case TARGET_READY:
		if (e == TARGET_TOKEN)
			return target_go(t, TARGET_ADOPTING, TARGET_DO_CLAIM);
		break;
	case TARGET_ADOPTING:
		return adopting(t, e);
	case TARGET_HELD:
		if (e == TARGET_LOADED)
			return target_go(t, TARGET_COMMITTING, TARGET_DO_COMMIT);
		break;
	case TARGET_COMMITTING:
		return committing(t, e);
	case TARGET_CONTINUING:
		return continuing(t, e);
	default:
		return 0;
	}
	return e == TARGET_ABORTED || e == TARGET_LATE || e == TARGET_GUEST_ENDED
		       ? target_go(t, TARGET_RETURNED, TARGET_DO_RETURN)
		       : 0;
}
