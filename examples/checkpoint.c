/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A computation writes checkpoints by copies of its memory: each takes milliseconds, and the
 * computation goes on while the appliance copies. What is kept outlives this process.
 *
 *	cc checkpoint.c -o checkpoint $(pkg-config --cflags --libs extmem)
 *	./checkpoint ofi+tcp://host:7470 500		says the token of each checkpoint
 *	./checkpoint ofi+tcp://host:7470 500 "$token"	goes on from that one
 */
#include <extmem.h>

#include <stdio.h>
#include <stdlib.h>

#define CELLS (1 << 20) /* 8 MiB */
#define EVERY 100	/* steps between two checkpoints */

static int fail(void)
{
	fprintf(stderr, "%s\n", extmem_error());
	return 1;
}

/* The step's number is in the region, too: a checkpoint knows how far it is. */
static void compute(uint64_t *cells)
{
	uint64_t step = ++cells[0];

	for (uint64_t i = 0; i < 1000; i++)
		cells[1 + (step * 7919 + i * 104729) % (CELLS - 1)] += step ^ i;
}

/* The copy is of this moment; to keep it waits until it has all of its bytes. */
static int checkpoint(extmem_region *region, uint64_t *cells,
		      extmem_region **last)
{
	char token[EXTMEM_TOKEN_SIZE];
	unsigned long long step = cells[0];
	extmem_region *copy;

	if (extmem_region_copy(region, "checkpoint", &copy) < 0)
		return fail();
	compute(cells); /* no store of this one is in the copy */
	if (extmem_region_keep(copy, EXTMEM_FOR_EVER, token) < 0 ||
	    extmem_region_free(*last) < 0)
		return fail();
	*last = copy;
	printf("step %llu: %s\n", step, token);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	char appliance[200];
	const char *settings[] = { appliance, NULL };
	extmem_region *region, *last = NULL;
	uint64_t *cells, steps, sum = 0;
	void *memory;
	extmem *x;

	snprintf(appliance, sizeof(appliance), "appliance=%s",
		 argc > 1 ? argv[1] : "");
	if (extmem_open(settings, &x) < 0)
		return fail();
	steps = argc > 2 ? strtoull(argv[2], NULL, 10) : 3 * EVERY;
	if ((argc > 3 ? extmem_region_adopt(x, argv[3], 0, &region)
		      : extmem_region_alloc(x, "state", CELLS * 8, &region)) < 0 ||
	    extmem_map(region, 0, 0, &memory) < 0)
		return fail();
	cells = memory;
	while (cells[0] < steps) {
		compute(cells);
		if (cells[0] % EVERY == 0 && cells[0] < steps &&
		    checkpoint(region, cells, &last) != 0)
			return 1;
	}
	for (uint64_t i = 0; i < CELLS; i++)
		sum += cells[i];
	printf("the sum is %llu\n", (unsigned long long)sum);
	return extmem_close(x) < 0;
}
