/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for test_store.sh, on extmem.h alone.
 *
 *	durable ADDRESS make		prints the token of a durable region
 *	durable ADDRESS TOKEN write R	writes round after round, from R on, and prints the
 *					number of each that is durable; until it is killed
 *	durable ADDRESS TOKEN check R	ends with 0 if round R, the last that was printed, is
 *					there, and of later ones no more than whole pages
 *
 * Round R fills each fourth page with R: those whose number modulo 4 is R's. Half of them
 * are written by explicit calls, the others by stores in a mapping.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/extmem.h"

#define PAGE 4096
#define PAGES 256
#define SIZE (PAGES * PAGE)

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, extmem_error());
	return 1;
}

static int make(extmem *x)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *region;

	if (extmem_region_alloc(x, "kept", SIZE, &region) < 0)
		return fail("alloc");
	if (extmem_region_keep_durable(region, EXTMEM_FOR_EVER, token) < 0)
		return fail("keep");
	printf("%s\n", token);
	return 0;
}

static int write_round(extmem_region *region, uint8_t *map, uint64_t round)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];

	for (unsigned i = 0; i < PAGE / sizeof(uint64_t); i++)
		page[i] = round;
	for (uint64_t p = round % 4; p < PAGES; p += 4) {
		if (p % 8 < 4)
			memcpy(map + p * PAGE, page, PAGE);
		else if (extmem_write(region, p * PAGE, page, PAGE) < 0)
			return fail("write");
	}
	if (extmem_sync_level(region, 0, 0, EXTMEM_DURABLE) < 0)
		return fail("sync");
	printf("%llu\n", (unsigned long long)round);
	return fflush(stdout) != 0;
}

static int check_page(const uint64_t *page, uint64_t number, uint64_t round)
{
	uint64_t wanted = round < number % 4 ? 0
					     : round - (round - number % 4) % 4;

	for (unsigned i = 1; i < PAGE / sizeof(uint64_t); i++) {
		if (page[i] != page[0]) {
			fprintf(stderr, "page %llu is torn: %llu and %llu\n",
				(unsigned long long)number,
				(unsigned long long)page[0],
				(unsigned long long)page[i]);
			return 1;
		}
	}
	if (page[0] == wanted ||
	    (page[0] == round + 1 && number % 4 == (round + 1) % 4))
		return 0;
	fprintf(stderr, "page %llu has round %llu, and %llu was durable\n",
		(unsigned long long)number, (unsigned long long)page[0],
		(unsigned long long)wanted);
	return 1;
}

static int check(extmem_region *region, uint64_t round)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];
	int bad = 0;

	for (uint64_t p = 0; p < PAGES; p++) {
		if (extmem_read(region, p * PAGE, page, PAGE) < 0)
			return fail("read");
		bad |= check_page(page, p, round);
	}
	return bad;
}

int main(int argc, char **argv)
{
	char appliance[512];
	const char *settings[] = { appliance, "local=1M", NULL };
	extmem_region *region;
	uint64_t round;
	void *map;
	extmem *x;

	if (argc < 3)
		return 2;
	snprintf(appliance, sizeof(appliance), "appliance=%s", argv[1]);
	if (extmem_open(settings, &x) < 0)
		return fail("open");
	if (strcmp(argv[2], "make") == 0) {
		int status = make(x);

		extmem_close(x);
		return status;
	}
	if (extmem_region_adopt(x, argv[2], 0, &region) < 0)
		return fail("adopt");
	round = strtoull(argv[4], NULL, 10);
	if (strcmp(argv[3], "check") == 0) {
		int status = check(region, round);

		extmem_close(x);
		return status;
	}
	if (extmem_map(region, 0, 0, &map) < 0)
		return fail("map");
	while (write_round(region, map, round) == 0)
		round++;
	return 1;
}
