/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: hog MIB SECONDS
 *
 * A program with more memory than its cgroup lets it keep: writes all of it, then goes to
 * pages at random and writes them anew, for so long. Every word that it comes back to is
 * verified, and all of them at the end. Ends 1 if one is wrong.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define WORDS 512 /* of a page */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

/* No two words are alike, so nothing can be compressed. */
static void page_write(uint64_t *words, uint64_t page, uint32_t version)
{
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = mix((page * WORDS + i) << 20 ^ version);
}

static uint64_t page_bad(const uint64_t *words, uint64_t page, uint32_t version)
{
	uint64_t bad = 0;

	for (unsigned i = 0; i < WORDS; i++)
		bad += words[i] != mix((page * WORDS + i) << 20 ^ version);
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t pages = argc > 2 ? strtoull(argv[1], NULL, 10) * 256 : 0;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 0);
	uint64_t word = 88172645463325252, bad = 0, done = 0;
	uint32_t *versions = calloc(pages + 1, sizeof(*versions));
	uint64_t *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == 0 || versions == NULL || memory == MAP_FAILED) {
		fprintf(stderr, "usage: hog MIB SECONDS\n");
		return 2;
	}
	for (uint64_t page = 0; page < pages; page++)
		page_write(memory + page * WORDS, page, 0);
	printf("filled\n");
	fflush(stdout);
	for (; time(NULL) < end; done++) {
		uint64_t page;

		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		page = word % pages;
		bad += page_bad(memory + page * WORDS, page, versions[page]);
		page_write(memory + page * WORDS, page, ++versions[page]);
	}
	for (uint64_t page = 0; page < pages; page++)
		bad += page_bad(memory + page * WORDS, page, versions[page]);
	printf("%" PRIu64 " pages again, bad %" PRIu64 "\n", done, bad);
	return bad != 0;
}
