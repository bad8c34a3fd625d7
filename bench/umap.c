/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory by UMap; see umap.h. */
#include "bench/umap.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/bench.h"

/* As umap/umap.h declares them. */
typedef void *umap_function(void *address, size_t length, int prot, int flags,
			    int fd, off_t offset);
typedef int uunmap_function(void *address, size_t length);

static uunmap_function *unmap;

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (found == NULL)
		bench_fail("%s", dlerror());
	return found;
}

static int store_of(const char *file, uint64_t size)
{
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		bench_fail("%s: %s", file, strerror(errno));
	unlink(file);
	if (posix_fallocate(fd, 0, (off_t)size) != 0)
		bench_fail("%s: no %llu bytes there", file,
			   (unsigned long long)size);
	return fd;
}

void *umap_open(const char *file, uint64_t size, uint64_t pages_local)
{
	char text[32];
	umap_function *map;
	void *library, *memory;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)pages_local);
	if (setenv("UMAP_BUFSIZE", text, 1) != 0 ||
	    setenv("UMAP_PAGESIZE", "4096", 1) != 0)
		bench_fail("out of memory");
	library = dlopen("libumap.so", RTLD_NOW);
	if (library == NULL)
		bench_fail("%s; LD_LIBRARY_PATH says where UMap's library is",
			   dlerror());
	*(void **)&map = symbol(library, "umap");
	*(void **)&unmap = symbol(library, "uunmap");
	memory = map(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		     store_of(file, size), 0);
	if (memory == MAP_FAILED)
		bench_fail("umap refuses %llu bytes",
			   (unsigned long long)size);
	return memory;
}

void umap_close(void *memory, uint64_t size)
{
	if (unmap(memory, size) != 0)
		bench_fail("uunmap refuses");
}
