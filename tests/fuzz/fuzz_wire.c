/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzzer of xm_wire_decode(): bytes in, a broken promise ends the process.
 *
 * With -DXM_LIBFUZZER and clang's -fsanitize=fuzzer it is libFuzzer's; `make
 * fuzz` builds and runs it so. Else it has a driver of its own, which replays
 * files and then mutates them from a seed, and so finds the same in every
 * run:
 *
 *	fuzz_wire [-n MUTATIONS] [-s SEED] FILE...
 *	fuzz_wire -w DIRECTORY		writes a corpus of one valid
 *					message of each kind
 *
 * What is promised: decoding ends in 0 or -EPROTO and reads nothing past the
 * size; a refusal leaves *ret alone; what was decoded encodes to the very
 * same bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/wire_sample.h"
#include "core/pure/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct xm_message message, untouched;
	uint8_t again[XM_MESSAGE_SIZE_MAX];
	int r;

	memset(&message, 0xa5, sizeof(message));
	memset(&untouched, 0xa5, sizeof(untouched));
	r = xm_wire_decode(bytes, size, &message);
	if (r < 0) {
		XM_ASSERT(r == -EPROTO);
		XM_ASSERT(!memcmp(&message, &untouched, sizeof(message)));
		return 0;
	}
	XM_ASSERT(r == 0);
	XM_ASSERT(xm_message_name(message.kind)[0] != '?');
	XM_ASSERT(xm_wire_encode(&message, again) == size);
	XM_ASSERT(!memcmp(bytes, again, size));
	return 0;
}

#ifndef XM_LIBFUZZER

#define SEEDS_MAX 256

static struct seed {
	uint8_t bytes[XM_MESSAGE_SIZE_MAX * 2];
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
	default: /* a head that agrees with the size */
		if (s->size >= 8) {
			s->bytes[2] = (uint8_t)(s->size - 8);
			s->bytes[3] = (uint8_t)((s->size - 8) >> 8);
		}
		break;
	}
}

static int load(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct seed *s;

	if (!file || seed_count == SEEDS_MAX) {
		fprintf(stderr, "fuzz_wire: %s: %s\n", path,
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

static int write_corpus(const char *directory)
{
	uint8_t bytes[XM_MESSAGE_SIZE_MAX];
	static struct xm_message message;
	struct xm_rand r;
	char path[4096];
	size_t size;

	xm_rand_seed(&r, 1);
	for (int kind = 1; kind < XM_MESSAGE_KINDS; kind++) {
		FILE *file;

		sample_message(&r, (enum xm_message_kind)kind, &message);
		size = xm_wire_encode(&message, bytes);
		snprintf(path, sizeof(path), "%s/%s", directory,
			 xm_message_name((enum xm_message_kind)kind));
		file = fopen(path, "wb");
		if (!file || fwrite(bytes, 1, size, file) != size) {
			perror(path);
			return 1;
		}
		if (fclose(file) != 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long mutations = 0, seed = 1;
	static struct seed s;
	struct xm_rand r;
	int c;

	while ((c = getopt(argc, argv, "n:s:w:")) != -1) {
		switch (c) {
		case 'n':
			mutations = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 'w':
			return write_corpus(optarg);
		default:
			return 2;
		}
	}
	for (; optind < argc; optind++)
		if (load(argv[optind]) < 0)
			return 1;
	if (seed_count == 0) {
		fprintf(stderr, "fuzz_wire: no files to begin with\n");
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

#endif
