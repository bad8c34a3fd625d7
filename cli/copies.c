/* SPDX-License-Identifier: BSD-3-Clause */
/* What `extmem run` says of copies; see copies.h. */
#include "cli/copies.h"

#include "cli/command.h"

static double mib(uint64_t bytes)
{
	return (double)bytes / XM_MIB;
}

static void look_ahead(struct copies *c, const struct extmem_stats *s)
{
	if (s->unspared_bytes == 0 || c->unspared)
		return;
	c->unspared = true;
	command_say("run", "warning: there is no spare: if an appliance ends, no "
			   "other one that the strategy allows has room for "
			   "%.1f MiB of copies; give the program another "
			   "appliance", mib(s->unspared_bytes));
}

void copies_look(struct copies *c, const struct extmem_stats *s)
{
	uint64_t all = s->members + s->members_missing;

	look_ahead(c, s);
	if (s->failovers > c->failovers && !c->degraded) {
		command_say("run", "redundancy is lost: an appliance does not "
				   "answer, and %llu of %llu copies of external "
				   "memory are missing; the program goes on",
			    (unsigned long long)s->members_missing,
			    (unsigned long long)all);
		c->degraded = true;
	}
	c->failovers = s->failovers;
	if (c->degraded && s->members_missing == 0) {
		command_say("run", "redundancy is back: all copies of external "
				   "memory are whole (%.1f MiB were copied)",
			    mib(s->mended_bytes));
		c->degraded = false;
	}
}
