/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every way by name to a function of libc that we stand in front of leads to us.
 *
 * An ordinary library finds our malloc() because we were loaded before libc. Others
 * ask libc itself: a plugin that is loaded with RTLD_DEEPBIND (PHP and Apache load
 * theirs so), dlsym() with a handle of libc.so.6 (FFI of every language). They would
 * give libc's free() a block of ours, and their fork() and sigaction() would go past
 * us. So libc's table of symbols is changed in memory: the value of each such symbol
 * becomes the address of our function, and whatever the loader looks up from then
 * on, in whatever order, is ours. The objects that were there before have us by the
 * ordinary order. Nothing of libc's code is changed.
 *
 * What was weighed: dlopen() without RTLD_DEEPBIND takes from the plugin what it
 * asks for, and misses dlsym(); a wrapper of dlsym() must guess who called;
 * entries in a plugin's table of calls can be changed only after its constructors
 * have run; libc's first instructions must be decoded to be replaced.
 *
 * A symbol for which another library is next in line after us (a preloaded
 * allocator, fakeroot) stays: what that library finds in libc by RTLD_NEXT must not
 * lead back to us and to itself.
 *
 * The reverse where the program itself has an allocator (allocator.c): the libraries
 * that serve its faults find that one, and would wait for a lock that it holds while it
 * asks for memory. So their own tables of calls are changed, and have ours.
 *
 * Bounds: another libc, as dlmopen() loads it, is left alone. Its blocks and
 * libc's were never to be mixed; it is given external memory as any library is.
 */
#include "preload/shim.h"
#include "preload/symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>

/* All versions of `name` whose code is at `from` are at `to` from now on. */
static void change(struct symbols *libc, const char *name, uintptr_t from,
		   uintptr_t to)
{
	uint32_t i = 0;

	while ((i = symbols_next(libc, name, i)) != 0) {
		if (libc->base + libc->list[i].st_value == from)
			libc->list[i].st_value = to - libc->base;
		i++;
	}
}

/* Only names that libc has are looked up: of one that is not found the loader makes words
 * in memory of malloc(), and the program's own malloc() may have called us while it begins. */
static void change_all(const struct symbols *mine, struct symbols *libc)
{
	uint32_t end = symbols_end(mine);

	for (uint32_t i = mine->first; i < end; i++) {
		const ElfW(Sym) *s = &mine->list[i];
		const char *name = mine->names + s->st_name;
		void *next;

		if (s->st_shndx == SHN_UNDEF ||
		    ELF64_ST_TYPE(s->st_info) != STT_FUNC ||
		    !symbols_offers(libc, name))
			continue;
		next = dlsym(RTLD_NEXT, name);
		if (next)
			change(libc, name, (uintptr_t)next,
			       mine->base + s->st_value);
	}
}

void redirect_start(void)
{
	struct symbols mine, libc;
	uintptr_t first, end, from, to;
	int rights;

	if (!symbols_find((const void *)redirect_start, &mine) ||
	    !symbols_find((const void *)gnu_get_libc_version, &libc) ||
	    !symbols_segment(&libc, libc.list, &from, &to, &rights))
		return;
	first = (uintptr_t)libc.list & ~(SHIM_PAGE - 1);
	end = (uintptr_t)(libc.list + symbols_end(&libc));
	/* With a kernel that does not allow it, it stays as it was. */
	if (shim_reals.mprotect((void *)first, end - first,
				rights | PROT_WRITE) < 0)
		return;
	change_all(&mine, &libc);
	shim_reals.mprotect((void *)first, end - first, rights);
}

/* --- the libraries' calls ------------------------------------------------------------ */

static char *local_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = allocator_take(size, 0);

	return copy ? memcpy(copy, text, size) : NULL;
}

static char *local_strndup(const char *text, size_t most)
{
	size_t size = strnlen(text, most);
	char *copy = allocator_take(size + 1, 0);

	if (!copy)
		return NULL;
	copy[size] = '\0';
	return memcpy(copy, text, size);
}

/* What a call of this name is to lead to; 0: where it leads. */
static uintptr_t replacement(const struct symbols *mine, const char *name)
{
	static const char *const family[] = {
		"malloc",	  "calloc",	    "realloc",
		"free",		  "memalign",	    "posix_memalign",
		"aligned_alloc",  "valloc",	    "pvalloc",
		"reallocarray",	  "malloc_usable_size",
	};

	for (size_t i = 0; i < sizeof(family) / sizeof(family[0]); i++)
		if (strcmp(name, family[i]) == 0)
			return (uintptr_t)symbols_code(mine, name);
	if (strcmp(name, "strdup") == 0 || strcmp(name, "__strdup") == 0)
		return (uintptr_t)local_strdup;
	return strcmp(name, "strndup") == 0 ? (uintptr_t)local_strndup : 0;
}

static bool is_call(uint64_t info)
{
#if defined(__x86_64__)
	return ELF64_R_TYPE(info) == R_X86_64_JUMP_SLOT ||
	       ELF64_R_TYPE(info) == R_X86_64_GLOB_DAT;
#elif defined(__aarch64__)
	return ELF64_R_TYPE(info) == R_AARCH64_JUMP_SLOT ||
	       ELF64_R_TYPE(info) == R_AARCH64_GLOB_DAT;
#else
	(void)info;
	return false;
#endif
}

/* A slot may have been made read-only since it was filled. */
static void fill(uintptr_t slot, uintptr_t to)
{
	void *page = (void *)(slot & ~(SHIM_PAGE - 1));

	if (*(uintptr_t *)slot == to ||
	    shim_reals.mprotect(page, SHIM_PAGE, PROT_READ | PROT_WRITE) < 0)
		return;
	*(uintptr_t *)slot = to;
}

static void fill_all(const struct symbols *library, const struct symbols *mine,
		     const ElfW(Rela) *list, size_t size)
{
	for (size_t i = 0; list && i < size / sizeof(*list); i++) {
		const ElfW(Sym) *s =
			&library->list[ELF64_R_SYM(list[i].r_info)];
		uintptr_t to = is_call(list[i].r_info)
				       ? replacement(mine, library->names +
								   s->st_name)
				       : 0;

		if (to)
			fill(library->base + list[i].r_offset, to);
	}
}

void redirect_library(const void *address)
{
	struct symbols mine, library;

	if (symbols_find((const void *)redirect_start, &mine) &&
	    symbols_find(address, &library)) {
		fill_all(&library, &mine, library.calls, library.calls_size);
		fill_all(&library, &mine, library.data, library.data_size);
	}
}
