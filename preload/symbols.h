/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The symbols of a loaded object, as its file has them: what dlsym() would find there
 * if nobody stood in front. Locks and memory: none but the loader's.
 */
#ifndef EXTMEM_RUN_SYMBOLS_H
#define EXTMEM_RUN_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct symbols {
	uintptr_t base; /* what values are relative to */
	const ElfW(Ehdr) *header;
	ElfW(Sym) *list;
	const char *names;
	const uint32_t *buckets, *chain; /* of DT_GNU_HASH */
	const uint16_t *versions;	 /* one of each symbol; NULL: they have none */
	uint32_t bucket_count, first;	 /* symbol that has a chain */
	/* Where it has addresses of others: DT_JMPREL and DT_RELA, bytes. */
	const ElfW(Rela) *calls, *data;
	size_t calls_size, data_size;
};

/* Of the object that `address` is part of; false: it has none. */
bool symbols_find(const void *address, struct symbols *ret);
uint32_t symbols_end(const struct symbols *);
/* The next function of this name, of whatever version, from number `from` on (0: the
 * first); 0: there is none. */
uint32_t symbols_next(const struct symbols *, const char *name, uint32_t from);
/* Whether dlsym() would find a function of this name there. */
bool symbols_offers(const struct symbols *, const char *name);
/* Its code, or NULL. */
void *symbols_code(const struct symbols *, const char *name);
/* The segment that has this address: its addresses and rights (PROT_READ, ...). */
bool symbols_segment(const struct symbols *, const void *address,
		     uintptr_t *ret_first, uintptr_t *ret_end, int *ret_rights);

#endif
