/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service hands its hash table to its next version, which goes on with it at once: no byte
 * of the table is copied from one process to the other.
 *
 *	cc hand-over.c -o hand-over $(pkg-config --cflags --libs extmem)
 *	token=$(./hand-over ofi+tcp://host:7470)		the old version
 *	./hand-over ofi+tcp://host:7470 "$token" 4711		the new one
 *
 * The table has places, no pointers: it may lie at other addresses in each process.
 */
#include <extmem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (1 << 20) /* 16 MiB */

struct place {
	uint64_t key; /* 0: free */
	uint64_t value;
};

static struct place *find(struct place *table, uint64_t key)
{
	uint64_t at = key * UINT64_C(0x9e3779b97f4a7c15) % PLACES;

	while (table[at].key != 0 && table[at].key != key)
		at = (at + 1) % PLACES;
	return &table[at];
}

static int fail(void)
{
	fprintf(stderr, "%s\n", extmem_error());
	return 1;
}

static int old_version(extmem *x)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *region;
	void *table;

	if (extmem_region_alloc(x, "table", PLACES * sizeof(struct place),
				&region) < 0 ||
	    extmem_map(region, 0, 0, &table) < 0)
		return fail();
	for (uint64_t key = 1; key <= 10000; key++) {
		struct place *place = find(table, key);

		place->key = key;
		place->value = key * key;
	}
	/* From here on the table is whoever's has the token. */
	if (extmem_region_hand_over(region, NULL, token) < 0)
		return fail();
	puts(token);
	return 0;
}

static int new_version(extmem *x, const char *token, uint64_t key)
{
	extmem_region *region;
	void *table;

	if (extmem_region_adopt(x, token, 0, &region) < 0 ||
	    extmem_map(region, 0, 0, &table) < 0)
		return fail();
	printf("%llu\n", (unsigned long long)find(table, key)->value);
	return 0;
}

int main(int argc, char *argv[])
{
	const char *settings[] = { NULL, "local=8M", NULL };
	char appliance[256];
	extmem *x;
	int status;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: %s ADDRESS [TOKEN KEY]\n", argv[0]);
		return 2;
	}
	snprintf(appliance, sizeof(appliance), "appliance=%s", argv[1]);
	settings[0] = appliance;
	if (extmem_open(settings, &x) < 0)
		return fail();
	status = argc == 2 ? old_version(x)
			   : new_version(x, argv[2], strtoull(argv[3], NULL, 10));
	extmem_close(x);
	return status;
}
