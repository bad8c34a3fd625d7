/* SPDX-License-Identifier: BSD-3-Clause */
/* A memory cgroup; see cgroup.h. */
#include "bench/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

static void path_of(const char *folder, const char *file, char ret[512])
{
	snprintf(ret, 512, "%.400s/%s", folder, file);
}

static bool is_version_1(const char *folder)
{
	char path[512];

	path_of(folder, "memory.limit_in_bytes", path);
	return access(path, F_OK) == 0;
}

static void put(const char *folder, const char *file, const char *text)
{
	char path[512];
	FILE *f;

	path_of(folder, file, path);
	f = fopen(path, "we");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		bench_fail("%s: %s", path, strerror(errno));
}

static uint64_t get(const char *folder, const char *file)
{
	unsigned long long value;
	char path[512];
	FILE *f;

	path_of(folder, file, path);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%llu", &value) != 1)
		bench_fail("%s: %s", path, strerror(errno));
	fclose(f);
	return value;
}

void cgroup_join(const char *folder)
{
	put(folder, "cgroup.procs", "0");
}

void cgroup_limit(const char *folder, uint64_t more)
{
	bool one = is_version_1(folder);
	uint64_t used;
	char text[32];

	/* No limit while what is there is looked at: a former one may be in
	 * the middle of its work. */
	put(folder, one ? "memory.limit_in_bytes" : "memory.max",
	    one ? "-1" : "max");
	used = get(folder, one ? "memory.usage_in_bytes" : "memory.current");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(used + more));
	put(folder, one ? "memory.limit_in_bytes" : "memory.max", text);
}
