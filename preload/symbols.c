/* SPDX-License-Identifier: BSD-3-Clause */
/* See symbols.h. The table is that of DT_GNU_HASH: buckets of chains, in the order
 * of the symbols; the last entry of a chain has the lowest bit. */
#include "preload/symbols.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#define VERSION_HIDDEN 0x8000 /* for programs that were linked to it alone */

/* The loader has put the base into the addresses, or, where the dynamic section is
 * not written to, has not. */
static const void *at(const struct link_map *map, ElfW(Addr) address)
{
	return (const void *)(address < map->l_addr ? address + map->l_addr
						    : address);
}

/* What the address lies in, and where that begins. dladdr(3) would compare all of its
 * symbols with the address besides, a fifth of what begins a program. */
static struct link_map *map_of(const void *address, const void **ret_header)
{
#if __GLIBC_PREREQ(2, 35)
	struct dl_find_object found;

	if (_dl_find_object((void *)(uintptr_t)address, &found) < 0)
		return NULL;
	*ret_header = found.dlfo_map_start;
	return found.dlfo_link_map;
#else
	struct link_map *map = NULL;
	Dl_info info;

	if (dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0)
		return NULL;
	*ret_header = info.dli_fbase;
	return map;
#endif
}

bool symbols_find(const void *address, struct symbols *ret)
{
	const uint32_t *hash = NULL;
	const void *header;
	struct link_map *map = map_of(address, &header);

	if (!map)
		return false;
	*ret = (struct symbols){ .base = map->l_addr, .header = header };
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_SYMTAB)
			ret->list = (ElfW(Sym) *)at(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_STRTAB)
			ret->names = at(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_GNU_HASH)
			hash = at(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_VERSYM)
			ret->versions = at(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_JMPREL)
			ret->calls = at(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_PLTRELSZ)
			ret->calls_size = d->d_un.d_val;
		else if (d->d_tag == DT_RELA)
			ret->data = at(map, d->d_un.d_ptr);
		else if (d->d_tag == DT_RELASZ)
			ret->data_size = d->d_un.d_val;
	if (!hash || !ret->list || !ret->names)
		return false;
	/* Buckets, first symbol, words of a filter, its shift, the filter. */
	ret->bucket_count = hash[0];
	ret->first = hash[1];
	ret->buckets = hash + 4 + hash[2] * (sizeof(ElfW(Addr)) / 4);
	ret->chain = ret->buckets + ret->bucket_count;
	return ret->bucket_count > 0;
}

uint32_t symbols_end(const struct symbols *s)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < s->bucket_count; i++)
		if (s->buckets[i] > last)
			last = s->buckets[i];
	if (last < s->first)
		return s->first;
	while ((s->chain[last - s->first] & 1) == 0)
		last++;
	return last + 1;
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

uint32_t symbols_next(const struct symbols *s, const char *name, uint32_t from)
{
	uint32_t hash = hash_of(name), i = s->buckets[hash % s->bucket_count];

	for (; i >= s->first; i++) {
		uint32_t entry = s->chain[i - s->first];

		if (i >= from && (entry | 1) == (hash | 1) &&
		    s->list[i].st_shndx != SHN_UNDEF &&
		    ELF64_ST_TYPE(s->list[i].st_info) == STT_FUNC &&
		    strcmp(s->names + s->list[i].st_name, name) == 0)
			return i;
		if ((entry & 1) != 0)
			break;
	}
	return 0;
}

bool symbols_offers(const struct symbols *s, const char *name)
{
	uint32_t i = 0;

	while ((i = symbols_next(s, name, i)) != 0) {
		if (!s->versions || (s->versions[i] & VERSION_HIDDEN) == 0)
			return true;
		i++;
	}
	return false;
}

void *symbols_code(const struct symbols *s, const char *name)
{
	uint32_t i = symbols_next(s, name, 0);

	return i ? (void *)(s->base + s->list[i].st_value) : NULL;
}

bool symbols_segment(const struct symbols *s, const void *address,
		     uintptr_t *ret_first, uintptr_t *ret_end, int *ret_rights)
{
	const ElfW(Phdr) *h =
		(const void *)((uintptr_t)s->header + s->header->e_phoff);
	uintptr_t place = (uintptr_t)address - s->base;

	for (unsigned i = 0; i < s->header->e_phnum; i++, h++) {
		if (h->p_type != PT_LOAD || place - h->p_vaddr >= h->p_memsz)
			continue;
		*ret_first = s->base + h->p_vaddr;
		*ret_end = *ret_first + h->p_memsz;
		*ret_rights = (h->p_flags & PF_R ? PROT_READ : 0) |
			      (h->p_flags & PF_W ? PROT_WRITE : 0) |
			      (h->p_flags & PF_X ? PROT_EXEC : 0);
		return true;
	}
	return false;
}
