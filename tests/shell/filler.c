/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for test_pool_file.sh, on extmem.h alone.
 *
 *	filler ADDRESS MIB	fills a region of so many MiB, prints "filled", waits for a
 *				line of input, and reads all of it in another order
 *
 * Half of the blocks are stored to and loaded from in a mapping, the others written and read by
 * explicit calls. It ends with 0: all is as it was written.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/extmem.h"

#define BLOCK 65536
#define WORDS (BLOCK / sizeof(uint64_t))

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, extmem_error());
	return 1;
}

static uint64_t word(uint64_t block, uint64_t i)
{
	return (block * WORDS + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static int fill(extmem_region *region, uint8_t *map, uint64_t blocks)
{
	static uint64_t bytes[WORDS];

	for (uint64_t block = 0; block < blocks; block++) {
		for (uint64_t i = 0; i < WORDS; i++)
			bytes[i] = word(block, i);
		if (block % 2 == 0)
			memcpy(map + block * BLOCK, bytes, BLOCK);
		else if (extmem_write(region, block * BLOCK, bytes, BLOCK) < 0)
			return fail("write");
	}
	return extmem_sync(region, 0, 0) < 0 ? fail("sync") : 0;
}

static int verify(extmem_region *region, const uint8_t *map, uint64_t blocks)
{
	static uint64_t bytes[WORDS];

	for (uint64_t n = 0; n < blocks; n++) {
		uint64_t block = n * 7919 % blocks;

		if (block % 2 == 0)
			memcpy(bytes, map + block * BLOCK, BLOCK);
		else if (extmem_read(region, block * BLOCK, bytes, BLOCK) < 0)
			return fail("read");
		for (uint64_t i = 0; i < WORDS; i++) {
			if (bytes[i] == word(block, i))
				continue;
			fprintf(stderr, "block %llu is %llx at %llu\n",
				(unsigned long long)block,
				(unsigned long long)bytes[i], (unsigned long long)i);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	char appliance[512], line[8];
	const char *settings[] = { appliance, "local=2M", NULL };
	extmem_region *region;
	uint64_t size;
	void *map;
	extmem *x;
	int status;

	if (argc != 3)
		return 2;
	size = strtoull(argv[2], NULL, 10) << 20;
	snprintf(appliance, sizeof(appliance), "appliance=%s", argv[1]);
	if (extmem_open(settings, &x) < 0)
		return fail("open");
	if (extmem_region_alloc(x, "filled", size, &region) < 0 ||
	    extmem_map(region, 0, size, &map) < 0)
		return fail("region");
	status = fill(region, map, size / BLOCK);
	if (status != 0)
		return status;
	printf("filled\n");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 1;
	status = verify(region, map, size / BLOCK);
	extmem_close(x);
	return status;
}
