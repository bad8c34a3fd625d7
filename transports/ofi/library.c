/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libfabric's own functions (the others are inline, in its headers), which load
 * it at the first call.
 *
 * It loads some twenty libraries of providers, which takes longer than many
 * programs run. A program that is linked with extmem, `extmem` itself and a program
 * that `extmem run` starts need nothing of it before they open a client. So
 * libextmem is not linked with it; the versions of its functions are those that the
 * linker would have chosen (configure.ac), since a later libfabric keeps what they
 * mean.
 *
 * Where it cannot be loaded, fi_version() is 0, the others fail, and fi_strerror()
 * has the loader's words.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <rdma/fabric.h>
#include <rdma/fi_errno.h>
#include <stdio.h>

#include "transports/ofi/ofi.h"

#define FUNCTIONS(X)                                                          \
	X(int, fi_getinfo, XM_FI_GETINFO,                                     \
	  (uint32_t, const char *, const char *, uint64_t,                    \
	   const struct fi_info *, struct fi_info **))                        \
	X(void, fi_freeinfo, XM_FI_FREEINFO, (struct fi_info *))              \
	X(struct fi_info *, fi_dupinfo, XM_FI_DUPINFO,                        \
	  (const struct fi_info *))                                           \
	X(int, fi_fabric, XM_FI_FABRIC,                                       \
	  (struct fi_fabric_attr *, struct fid_fabric **, void *))            \
	X(const char *, fi_strerror, XM_FI_STRERROR, (int))                   \
	X(uint32_t, fi_version, XM_FI_VERSION, (void))

static struct {
#define SLOT(type, name, version, arguments) type(*name) arguments;
	FUNCTIONS(SLOT)
#undef SLOT
	bool loaded;
	char words[256];
} library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool find(void *handle, const char *name, const char *version, void *ret)
{
	void *p = version[0] ? dlvsym(handle, name, version)
			     : dlsym(handle, name);

	*(void **)ret = p;
	return p != NULL;
}

/* Bound at once: later, on a thread that serves a fault, the loader's lock could be
 * another's. */
static void load(void)
{
	void *handle = dlopen(XM_FI_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const char *words;

	library.loaded = handle != NULL;
#define FIND(type, name, version, arguments)                                  \
	library.loaded = library.loaded &&                                    \
			 find(handle, #name, version, &library.name);
	FUNCTIONS(FIND)
#undef FIND
	if (library.loaded)
		return;
	words = dlerror();
	snprintf(library.words, sizeof(library.words),
		 "libfabric cannot be loaded: %s", words ? words : XM_FI_LIBRARY);
}

static bool loaded(void)
{
	pthread_once(&once, load);
	return library.loaded;
}

int fi_getinfo(uint32_t version, const char *node, const char *service,
	       uint64_t flags, const struct fi_info *hints,
	       struct fi_info **ret)
{
	return loaded() ? library.fi_getinfo(version, node, service, flags,
					     hints, ret)
			: -ELIBACC;
}

void fi_freeinfo(struct fi_info *info)
{
	if (loaded())
		library.fi_freeinfo(info);
}

struct fi_info *fi_dupinfo(const struct fi_info *info)
{
	return loaded() ? library.fi_dupinfo(info) : NULL;
}

int fi_fabric(struct fi_fabric_attr *attributes, struct fid_fabric **ret,
	      void *context)
{
	return loaded() ? library.fi_fabric(attributes, ret, context)
			: -ELIBACC;
}

const char *fi_strerror(int error)
{
	return loaded() ? library.fi_strerror(error) : library.words;
}

uint32_t fi_version(void)
{
	return loaded() ? library.fi_version() : 0;
}
