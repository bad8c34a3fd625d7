/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rest: local memory of the program that is no cache of external memory, and so is
 * not bounded by --local: executable, shared and locked mappings, stacks, huge pages, what
 * an overflow made local, and memory of libraries. The kernel knows how much of it is
 * resident: what the process has of anonymous and shared pages, less the pages and
 * buffers of the library.
 *
 * Pages of files that are mapped are not counted, as the kernel can take them back.
 *
 * --local-rest: count; or warn, when the rest is first more than --local; or refuse, that is
 * to answer ENOMEM to mappings by which it would become more. It is measured as often as
 * figures are refreshed, and what was mapped since then counts as resident.
 */
#include "preload/shim.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static _Atomic uint64_t mapped_since; /* bytes */
static _Atomic bool said;

static uint64_t field(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p ? strtoull(p + strlen(name), NULL, 10) << 10 : 0;
}

void rest_measure(const struct extmem_stats *stats)
{
	struct run_shared *s = shim_shared;
	char text[4096];
	uint64_t all, rest;
	long n, fd;

	/* A process that confines itself cannot look at the machine's files. */
	if (confine_is())
		return;
	fd = shim_raw(SYS_openat, AT_FDCWD, (long)"/proc/self/status",
		      O_RDONLY | O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return;
	n = shim_raw(SYS_read, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
	shim_raw(SYS_close, fd, 0, 0, 0, 0, 0);
	text[n < 0 ? 0 : n] = '\0';
	all = field(text, "RssAnon:") + field(text, "RssShmem:");
	rest = all > stats->local_now ? all - stats->local_now : 0;
	atomic_store(&s->rest_bytes, rest);
	if (rest > atomic_load(&s->rest_bytes_peak))
		atomic_store(&s->rest_bytes_peak, rest);
	atomic_store(&mapped_since, 0);
	if (shim_options.local_rest == LOCAL_REST_COUNT ||
	    rest <= budget_local() || atomic_exchange(&said, true))
		return;
	shim_say("%llu MiB of local memory are besides what is external: "
		 "executable, shared or locked mappings, stacks, huge pages, "
		 "libraries; --local is %llu MiB",
		 (unsigned long long)(rest >> 20),
		 (unsigned long long)(budget_local() >> 20));
}

bool rest_allows(size_t size, int rights, int flags)
{
	uint64_t rest, since;

	if (shim_options.local_rest != LOCAL_REST_REFUSE || shim_inside ||
	    !atomic_load(&shim_ready) || (rights & PROT_WRITE) == 0 ||
	    (flags & MAP_NORESERVE) != 0 ||
	    (flags & (MAP_ANONYMOUS | MAP_SHARED)) == 0)
		return true;
	rest = atomic_load(&shim_shared->rest_bytes);
	since = atomic_fetch_add(&mapped_since, size) + size;
	if (rest + since <= budget_local())
		return true;
	atomic_fetch_sub(&mapped_since, size);
	atomic_fetch_add(&shim_shared->refused_count, 1);
	atomic_fetch_add(&shim_shared->refused_bytes, size);
	if (!atomic_exchange(&said, true))
		shim_say("no local memory for %zu bytes: %llu MiB of it are "
			 "besides what is external, and --local is %llu MiB; "
			 "the program is told ENOMEM (--local-rest=refuse)",
			 size, (unsigned long long)(rest >> 20),
			 (unsigned long long)(budget_local() >> 20));
	return false;
}
