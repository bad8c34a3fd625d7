/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client of the appliance at argv[1], wherever it is started: selects slabs and objects,
 * and asserts that no message and no transfer goes to the appliance; then stores and loads
 * in a slab, so that the region is real. Prints "ok", or says on stderr what was wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/extmem.h"

#define REGION ((uint64_t)16 << 20)
#define SLABS 512
#define OBJECTS 4096
#define ROUNDS 20 /* a heartbeat may fall into one of them, but not into each */

static extmem *client;
static extmem_region *region;

static struct extmem_stats stats(void)
{
	struct extmem_stats s = { .size = sizeof(s) };

	extmem_stats(client, &s);
	return s;
}

/* 0, or -errno. */
static int select_and_free(void)
{
	static uint64_t slabs[SLABS], objects[OBJECTS];
	int rc = 0;

	for (int i = 0; i < SLABS && rc == 0; i++)
		rc = extmem_slab_alloc(region, 4096 * (uint64_t)(1 + i % 3),
				       &slabs[i]);
	for (int i = 0; i < OBJECTS && rc == 0; i++)
		rc = extmem_object_alloc(region, (uint64_t)(1 + i % 900), 0,
					 &objects[i]);
	for (int i = 0; i < OBJECTS && rc == 0; i++)
		rc = extmem_object_free(region, objects[i]);
	for (int i = 0; i < SLABS && rc == 0; i++)
		rc = extmem_slab_free(region, slabs[i]);
	return rc;
}

static int is_silent(void)
{
	struct extmem_stats before, after;

	for (int i = 0; i < ROUNDS; i++) {
		int rc;

		before = stats();
		rc = select_and_free();
		if (rc != 0)
			return rc;
		after = stats();
		if (after.messages == before.messages &&
		    after.reads == before.reads && after.writes == before.writes)
			return 0;
	}
	fprintf(stderr, "each round sent messages: the last one %llu, and %llu reads, "
		"%llu writes\n",
		(unsigned long long)(after.messages - before.messages),
		(unsigned long long)(after.reads - before.reads),
		(unsigned long long)(after.writes - before.writes));
	return -EPROTO;
}

static int is_memory(void)
{
	uint64_t offset, word = 0;
	void *memory;
	int rc = extmem_map(region, 0, 0, &memory);

	if (rc == 0)
		rc = extmem_slab_alloc(region, REGION / 2, &offset);
	if (rc != 0)
		return rc;
	for (uint64_t i = 0; i < REGION / 2; i += 4096)
		memcpy((char *)memory + offset + i, &i, sizeof(i));
	for (uint64_t i = 0; i < REGION / 2; i += 4096) {
		memcpy(&word, (char *)memory + offset + i, sizeof(word));
		if (word != i) {
			fprintf(stderr, "at %llu there is %llu\n",
				(unsigned long long)i, (unsigned long long)word);
			return -EILSEQ;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	char appliance[256];
	const char *const settings[] = { appliance, "local=4M", NULL };
	int rc;

	if (argc != 2)
		return 2;
	snprintf(appliance, sizeof(appliance), "appliance=%s", argv[1]);
	rc = extmem_open(settings, &client);
	if (rc == 0)
		rc = extmem_region_alloc(client, "selected", REGION, &region);
	if (rc == 0)
		rc = is_silent();
	if (rc == 0)
		rc = is_memory();
	if (rc == 0)
		puts("ok");
	else
		fprintf(stderr, "%s (%s)\n", strerror(-rc), extmem_error());
	return rc != 0;
}
