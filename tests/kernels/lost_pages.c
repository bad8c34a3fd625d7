/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An appliance is killed, and its client touches what is lost:
 *
 *	lost_pages inline|thread PAGES STEP
 *
 * Of a region of so many pages every STEP-th is touched, first the odd ones of
 * those and then the others, so that neighbours are not lost one after the
 * other. Every touch must be a SIGBUS; the client must close. Prints how many
 * pages were lost, how many mappings the process has more than before, and how
 * long touches and close took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/appliance.h"

static int mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	int count = 0, c;

	if (file == NULL)
		return -1;
	while ((c = getc(file)) != EOF)
		count += c == '\n';
	fclose(file);
	return count;
}

/* Of the pages first, first + step, ...: how many are lost. */
static unsigned touch_lost(const uint8_t *memory, uint64_t pages,
			   uint64_t first, uint64_t step)
{
	unsigned lost = 0;

	for (uint64_t page = first; page < pages; page += step)
		lost += touch_read(memory + page * PAGE) == -1;
	return lost;
}

int main(int argc, char **argv)
{
	static const struct act none[] = { { NULL, NULL } };
	struct appliance appliance;
	extmem_region *region;
	extmem *x;
	uint64_t pages, step, began_ms, touched_ms;
	unsigned lost;
	char way[32];
	void *memory;
	int before;

	act_begin(argc, argv, none);
	touch_begin();
	if (argc != 4)
		return 2;
	snprintf(way, sizeof(way), "paging=%s", argv[1]);
	pages = strtoull(argv[2], NULL, 10);
	step = strtoull(argv[3], NULL, 10);
	if (!appliance_start(&appliance, LOOPBACK, "64M", NULL))
		return 2;
	x = client_open(appliance.address, "local=2M", "loss_timeout=1s", way,
			NULL);
	if (x == NULL ||
	    extmem_region_alloc(x, "lost", pages * PAGE, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0)
		return 2;
	memset(memory, 1, pages * PAGE);
	if (extmem_sync(region, 0, 0) != 0)
		return 2;
	before = mappings();
	appliance_kill(&appliance);
	began_ms = now_ms();
	lost = touch_lost(memory, pages, step, 2 * step);
	lost += touch_lost(memory, pages, 0, 2 * step);
	touched_ms = now_ms();
	printf("%u lost, %d mappings more, touched in %llu ms", lost,
	       mappings() - before,
	       (unsigned long long)(touched_ms - began_ms));
	extmem_close(x);
	printf(", closed in %llu ms\n",
	       (unsigned long long)(now_ms() - touched_ms));
	return 0;
}
