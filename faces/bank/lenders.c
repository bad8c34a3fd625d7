/* SPDX-License-Identifier: BSD-3-Clause */
/* See lenders.h. Floor: program. */
#include "faces/bank/lenders.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base.h"
#include "common/clock.h"

unsigned bank_lenders_ask(struct bank_lenders *ls, uint32_t timeout_ms)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < ls->count; i++) {
		struct bank_lender *l = &ls->list[i];

		l->status.size = sizeof(l->status);
		if (extmem_status(l->address, timeout_ms, &l->status) == 0) {
			l->away_ns = 0;
			answered++;
			continue;
		}
		if (l->away_ns == 0)
			l->away_ns = xm_clock_ns();
		snprintf(l->words, sizeof(l->words), "%s", extmem_error());
	}
	return answered;
}

/* One line whatever it has in it. */
static void flatten(char *line)
{
	for (; *line != '\0'; line++)
		if (*line == '\n')
			*line = ' ';
}

static size_t say_one(const struct bank_lender *l, char *text, size_t size)
{
	char chain[EXTMEM_LENDERS_MAX * 18] = "";
	char words[BANK_WORDS];
	size_t used = 0;

	snprintf(words, sizeof(words), "%s", l->words);
	flatten(words);
	if (l->status.incarnation == 0)
		return (size_t)snprintf(text, size, "away %s\n", words);
	for (unsigned i = 0; i < EXTMEM_LENDERS_MAX && l->status.lenders[i] != 0; i++)
		used += (size_t)snprintf(chain + used, sizeof(chain) - used, ",%" PRIx64,
					 l->status.lenders[i]);
	return (size_t)snprintf(text, size, "lender %" PRIx64 "%s %s\n",
				l->status.identity != 0 ? l->status.identity
							: l->status.incarnation,
				chain, l->status.name);
}

size_t bank_lenders_say(const struct bank_lenders *ls, char *text, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; i < ls->count && used < size; i++)
		used += say_one(&ls->list[i], text + used, size - used);
	return xm_min(used, size - 1);
}

int bank_lenders_hold(struct bank_lenders *ls, extmem *x)
{
	static struct extmem_lease leases[EXTMEM_APPLIANCES_MAX];
	int count = extmem_leases(x, leases, XM_COUNT(leases));

	for (int i = 0; i < count; i++)
		for (unsigned n = 0; n < ls->count; n++)
			if (strcmp(ls->list[n].address, leases[i].appliance) == 0)
				ls->list[n].held = leases[i].incarnation;
	return count < 0 ? count : 0;
}

bool bank_lenders_lost(const struct bank_lenders *ls, uint64_t away_max_ns, char *words,
		       size_t words_size)
{
	uint64_t now_ns = xm_clock_ns();

	for (unsigned i = 0; i < ls->count; i++) {
		const struct bank_lender *l = &ls->list[i];

		if (l->held == 0)
			continue;
		if (l->away_ns == 0 && l->status.incarnation != l->held) {
			snprintf(words, words_size, "%s (%s) has begun again, and what was"
				 " borrowed from it is gone", l->address, l->status.name);
			return true;
		}
		if (l->away_ns != 0 && now_ns - l->away_ns > away_max_ns) {
			snprintf(words, words_size, "%s (%s) does not answer any more: %s",
				 l->address, l->status.name, l->words);
			return true;
		}
	}
	return false;
}
