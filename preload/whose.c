/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose memory an allocation is, by the return address of the call.
 *
 * The library's own allocations are local: a fault that is served must not
 * lead to another one. So are those of what it stands on (libfabric and its
 * providers), what the loader allocates (threads' own variables among it), and
 * what libc allocates for itself (a stream and its buffer, a directory's
 * entries) unless that is large.
 *
 * Bounds: 64 executable spans of libraries.
 */
#include "preload/shim.h"

#include <link.h>

#define LIBRARY_SPANS_MAX 64

static struct whose_span library_spans[LIBRARY_SPANS_MAX];
static unsigned library_span_count;
struct whose_span whose_libc, whose_loader;

static bool is_library(const char *path)
{
	static const char *const names[] = {
		"libextmem", "libfabric", "libibverbs", "librdmacm",
		"libpsm",    "libnl-",	  "libnuma",	"libefa",
		"libucp",    "libmlx",	  "libinfinipath", "libssl",  "libcrypto",
	};
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static bool is_named(const char *path, const char *name)
{
	const char *last = strrchr(path, '/');

	return strncmp(last ? last + 1 : path, name, strlen(name)) == 0;
}

static void note_span(const struct dl_phdr_info *info, struct whose_span *ret)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X))
			continue;
		ret->first = info->dlpi_addr + h->p_vaddr;
		ret->last = ret->first + h->p_memsz;
	}
}

static int note_library(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (!info->dlpi_name)
		return 0;
	if (is_named(info->dlpi_name, "libc.so"))
		note_span(info, &whose_libc);
	if (is_named(info->dlpi_name, "ld-linux"))
		note_span(info, &whose_loader);
	if (!is_library(info->dlpi_name))
		return 0;
	if (allocator_in_front)
		redirect_library(info->dlpi_phdr);
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type != PT_LOAD || !(h->p_flags & PF_X) ||
		    library_span_count == LIBRARY_SPANS_MAX)
			continue;
		library_spans[library_span_count++] = (struct whose_span){
			.first = info->dlpi_addr + h->p_vaddr,
			.last = info->dlpi_addr + h->p_vaddr + h->p_memsz,
		};
	}
	return 0;
}

bool whose_library(const void *address)
{
	uintptr_t a = (uintptr_t)address;

	for (unsigned i = 0; i < library_span_count; i++)
		if (a >= library_spans[i].first && a < library_spans[i].last)
			return true;
	return false;
}

void whose_learn(void)
{
	library_span_count = 0;
	dl_iterate_phdr(note_library, NULL);
}
