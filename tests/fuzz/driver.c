/* SPDX-License-Identifier: BSD-3-Clause */
/* The fuzzers' own driver; see driver.h. */
#include "tests/fuzz/driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rand.h"

#define SEEDS_MAX 256

static struct seed {
	uint8_t bytes[FUZZ_SIZE_MAX];
	size_t size;
} seeds[SEEDS_MAX];
static size_t seed_count;

/* In memory of exactly this size, so that a sanitizer sees a step too far. */
static void try_exactly(const uint8_t *bytes, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	XM_ASSERT(exact);
	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void mutate(struct xm_rand *r, struct seed *s)
{
	const struct seed *other;
	size_t at = s->size ? xm_rand_below(r, s->size) : 0, count;

	switch (xm_rand_below(r, 7)) {
	case 0: /* flip a bit */
		if (s->size)
			s->bytes[at] ^= (uint8_t)(1u << xm_rand_below(r, 8));
		break;
	case 1: /* any byte */
		if (s->size)
			s->bytes[at] = (uint8_t)xm_rand_next(r);
		break;
	case 2: /* an extreme */
		if (s->size)
			s->bytes[at] = xm_rand_chance(r, 500) ? 0xff : 0;
		break;
	case 3: /* cut */
		s->size = at;
		break;
	case 4: /* add */
		count = xm_rand_below(r, 64);
		if (s->size + count <= sizeof(s->bytes)) {
			xm_rand_fill(r, s->bytes + s->size, count);
			s->size += count;
		}
		break;
	case 5: /* the end of another */
		other = &seeds[xm_rand_below(r, seed_count)];
		if (other->size > at) {
			memcpy(s->bytes + at, other->bytes + at,
			       other->size - at);
			s->size = other->size;
		}
		break;
	default:
		fuzz_mend(s->bytes, s->size);
		break;
	}
}

static int load(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct seed *s;

	if (!file || seed_count == SEEDS_MAX) {
		fprintf(stderr, "fuzz: %s: %s\n", path,
			file ? "too many files" : strerror(errno));
		if (file)
			fclose(file);
		return -1;
	}
	s = &seeds[seed_count++];
	s->size = fread(s->bytes, 1, sizeof(s->bytes), file);
	fclose(file);
	try_exactly(s->bytes, s->size);
	return 0;
}

int fuzz_main(int argc, char **argv)
{
	unsigned long mutations = 0, seed = 1;
	static struct seed s;
	struct xm_rand r;
	int c;

	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		switch (c) {
		case 'n':
			mutations = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	for (; optind < argc; optind++)
		if (load(argv[optind]) < 0)
			return 1;
	if (seed_count == 0) {
		fprintf(stderr, "fuzz: no files to begin with\n");
		return 2;
	}
	xm_rand_seed(&r, seed);
	for (unsigned long i = 0; i < mutations; i++) {
		s = seeds[xm_rand_below(&r, seed_count)];
		for (uint64_t n = xm_rand_between(&r, 1, 4); n > 0; n--)
			mutate(&r, &s);
		try_exactly(s.bytes, s.size);
	}
	printf("%zu files replayed, %lu mutations with seed %lu\n", seed_count,
	       mutations, seed);
	return 0;
}

