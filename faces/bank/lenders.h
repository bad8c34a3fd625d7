/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The appliances that memory is borrowed from: who they are, by asking them, and whether they
 * are still those that it was borrowed from.
 *
 * One thread at a time. Floor: program.
 */
#ifndef BANK_LENDERS_H
#define BANK_LENDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/extmem.h"

#define BANK_WORDS 512

struct bank_lender {
	const char *address;
	struct extmem_status status; /* as it said last; incarnation 0: nothing yet */
	uint64_t held; /* incarnation that memory was borrowed from; 0: none */
	uint64_t away_ns; /* since then it has not answered; 0: it has */
	char words[BANK_WORDS]; /* why not */
};

struct bank_lenders {
	struct bank_lender list[EXTMEM_APPLIANCES_MAX];
	unsigned count;
};

/* Asks each, timeout_ms at most; returns how many have answered. */
unsigned bank_lenders_ask(struct bank_lenders *, uint32_t timeout_ms);
/* Lines for the daemon (main.c). Returns their length, less than `size`. */
size_t bank_lenders_say(const struct bank_lenders *, char *text, size_t size);
/* Of whom the region has memory, from now on. 0, or -errno. */
int bank_lenders_hold(struct bank_lenders *, extmem *x);
/* True, with words: memory without a copy is gone, though nobody may have touched it yet.
 * One that has begun again has it no more; and of one that has been away for so long nobody
 * shall be lent more. */
bool bank_lenders_lost(const struct bank_lenders *, uint64_t away_max_ns, char *words,
		       size_t words_size);

#endif
