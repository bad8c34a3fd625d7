/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for test_store.sh, on extmem.h alone.
 *
 *	durable ADDRESS make		prints the token of a durable region
 *	durable ADDRESS TOKEN write R	writes round after round, from R on, and prints the
 *					number of each that is durable, and the root if it is
 *					sealed; until it is killed
 *	durable ADDRESS TOKEN check R [ROOT]
 *					ends with 0 if round R, the last that was printed, is
 *					there, and of later ones no more than whole pages
 *	durable ADDRESS TOKEN mark	makes a page durable that is full of MARKER, and prints
 *					the root
 *	durable ADDRESS TOKEN live R	makes R durable, waits for a line of input, and adopts
 *					the region again, for the appliance has another life
 *	durable ADDRESS fill MIB	makes so much durable, and prints the token
 *	durable ADDRESS time FILE	how long it takes until 1, 16 and 1,024 pages that were
 *					written are durable, beside pwrite() and fdatasync()
 *					of as many in a file, which is to lie on the same disk
 *
 * With XM_LOST=N page N is lost, and no other; with XM_LOST=N-M those from N to M. With XM_SEALED the region that is made is sealed.
 *
 * Round R fills each fourth page with R: those whose number modulo 4 is R's. Half of them
 * are written by explicit calls, the others by stores in a mapping. Behind them are pages that another
 * thread writes all the time, round or no round: none of them is ever torn.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/extmem.h"

#define PAGE 4096
#define PAGES 256
#define RESTLESS 64 /* pages behind those */
#define SIZE ((PAGES + RESTLESS + 1) * PAGE)
#define MARKER "what nobody else may see "

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, extmem_error());
	return 1;
}

/* --- time --------------------------------------------------------------------------- */

#define MOST 1024 /* pages */
#define TURNS 41

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t median(uint64_t us[TURNS])
{
	qsort(us, TURNS, sizeof(*us), compare);
	return us[TURNS / 2];
}

/* So many pages, one in four of a file or a region. False: with a message. */
static bool time_once(extmem_region *region, int file, unsigned count,
		      uint64_t *ret_durable, uint64_t *ret_raw)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];
	uint64_t began = now_us();

	page[0]++;
	for (unsigned i = 0; i < count; i++) {
		if (pwrite(file, page, PAGE, (off_t)i * 4 * PAGE) != PAGE)
			return false;
	}
	if (fdatasync(file) != 0)
		return false;
	*ret_raw = now_us() - began;
	for (unsigned i = 0; i < count; i++) {
		if (extmem_write(region, (uint64_t)i * 4 * PAGE, page, PAGE) < 0)
			return fail("write") == 0;
	}
	began = now_us();
	if (extmem_sync_level(region, 0, 0, EXTMEM_DURABLE) < 0)
		return fail("sync") == 0;
	*ret_durable = now_us() - began;
	return true;
}

static int time_it(extmem *x, const char *path)
{
	static const unsigned counts[] = { 1, 16, MOST };
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t durable[TURNS], raw[TURNS];
	extmem_region *region;

	if (file < 0 || posix_fallocate(file, 0, (off_t)4 * MOST * PAGE) != 0)
		return 1;
	if (extmem_region_alloc(x, "timed", (uint64_t)4 * MOST * PAGE, &region) < 0 ||
	    extmem_region_keep_durable(region, 60000, NULL) < 0)
		return fail("region");
	printf("%8s %12s %12s\n", "PAGES", "DURABLE_US", "RAW_US");
	for (unsigned c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		for (unsigned i = 0; i < TURNS; i++) {
			if (!time_once(region, file, counts[c], &durable[i], &raw[i]))
				return 1;
		}
		printf("%8u %12llu %12llu\n", counts[c],
		       (unsigned long long)median(durable),
		       (unsigned long long)median(raw));
	}
	extmem_region_free(region);
	return close(file) != 0;
}

static int fill(extmem *x, uint64_t mib)
{
	static uint64_t bytes[1 << 17]; /* 1 MiB */
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *region;

	if (extmem_region_alloc(x, "filled", mib << 20, &region) < 0 ||
	    extmem_region_keep_durable(region, EXTMEM_FOR_EVER, token) < 0)
		return fail("region");
	for (uint64_t at = 0; at < mib; at++) {
		for (uint64_t i = 0; i < 1 << 17; i++)
			bytes[i] = (at << 17 | i) * UINT64_C(0x9e3779b97f4a7c15);
		if (extmem_write(region, at << 20, bytes, 1 << 20) < 0)
			return fail("write");
	}
	if (extmem_sync_level(region, 0, 0, EXTMEM_DURABLE) < 0)
		return fail("sync");
	printf("%s\n", token);
	return 0;
}

/* --- rounds ------------------------------------------------------------------------- */

static int make(extmem *x)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *region;

	struct extmem_request request = {
		.size = sizeof(request), .region_size = SIZE, .name = "kept",
		.flags = getenv("XM_SEALED") != NULL ? EXTMEM_SEALED_DURABLE : 0,
	};

	if (extmem_region_request(x, &request, &region) < 0)
		return fail("alloc");
	if (extmem_sync_level(region, 0, 0, EXTMEM_DURABLE) != -EINVAL) {
		fprintf(stderr, "a region that is not kept is durable\n");
		return 1;
	}
	if (extmem_region_keep_durable(region, EXTMEM_FOR_EVER, token) < 0)
		return fail("keep");
	printf("%s\n", token);
	return 0;
}

static int print_root(extmem_region *region)
{
	char root[EXTMEM_ROOT_SIZE] = "";

	if (extmem_region_root(region, root) == 0)
		printf(" %s", root);
	printf("\n");
	return fflush(stdout) != 0;
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
	printf("%llu", (unsigned long long)round);
	return print_root(region);
}

static int mark(extmem_region *region)
{
	static char page[PAGE];

	for (unsigned at = 0; at + sizeof(MARKER) < PAGE; at += sizeof(MARKER) - 1)
		memcpy(page + at, MARKER, sizeof(MARKER) - 1);
	if (extmem_write(region, (PAGES + RESTLESS) * PAGE, page, PAGE) < 0 ||
	    extmem_sync_level(region, (PAGES + RESTLESS) * PAGE, PAGE, EXTMEM_DURABLE) < 0)
		return fail("mark");
	return print_root(region);
}

/* The same number all over each page, and a higher one each time. */
static void *write_restlessly(void *argument)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];
	extmem_region *region = argument;

	for (uint64_t number = 1;; number++) {
		for (unsigned i = 0; i < PAGE / sizeof(uint64_t); i++)
			page[i] = number;
		if (extmem_write(region, (PAGES + number % RESTLESS) * PAGE, page,
				 PAGE) < 0)
			return NULL; /* the appliance is gone, and so are we soon */
	}
}

static bool is_torn(const uint64_t *page, uint64_t number)
{
	for (unsigned i = 1; i < PAGE / sizeof(uint64_t); i++) {
		if (page[i] == page[0])
			continue;
		fprintf(stderr, "page %llu is torn: %llu and %llu\n",
			(unsigned long long)number, (unsigned long long)page[0],
			(unsigned long long)page[i]);
		return true;
	}
	return false;
}

static int check_page(const uint64_t *page, uint64_t number, uint64_t round)
{
	uint64_t wanted = round < number % 4 ? 0
					     : round - (round - number % 4) % 4;

	if (is_torn(page, number))
		return 1;
	if (page[0] == wanted ||
	    (page[0] == round + 1 && number % 4 == (round + 1) % 4))
		return 0;
	fprintf(stderr, "page %llu has round %llu, and %llu was durable\n",
		(unsigned long long)number, (unsigned long long)page[0],
		(unsigned long long)wanted);
	return 1;
}

static bool is_to_be_lost(uint64_t page)
{
	const char *text = getenv("XM_LOST");
	char *rest = NULL;
	uint64_t first = text == NULL ? PAGES + RESTLESS : strtoull(text, &rest, 10);
	uint64_t last = rest != NULL && *rest == '-' ? strtoull(rest + 1, NULL, 10) : first;

	return page >= first && page <= last;
}

static int check(extmem_region *region, uint64_t round)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];
	int bad = 0;

	for (uint64_t p = 0; p < PAGES + RESTLESS; p++) {
		bool lost = is_to_be_lost(p);
		int rc = extmem_read(region, p * PAGE, page, PAGE);

		if (lost ? rc != -ESTALE : rc < 0)
			return fail("read");
		if (lost)
			continue;
		bad |= p < PAGES ? check_page(page, p, round) : is_torn(page, p);
	}
	return bad;
}

/* The appliance ends meanwhile, and begins again with this store or that. */
static int live(extmem *x, const char *token, extmem_region *region, uint64_t round)
{
	static uint8_t map[PAGES * PAGE]; /* none: half of the pages are not written */
	char line[8];
	int rc;

	if (write_round(region, map, round) != 0 || fgets(line, sizeof(line), stdin) == NULL)
		return 1;
	/* Until this client knows that its lease is over: what is freed before is free. */
	for (int tries = 0; tries < 1000 && extmem_read(region, 0, line, 1) != -ESTALE;
	     tries++)
		usleep(10000);
	extmem_region_free(region);
	for (int tries = 0; tries < 1000; tries++) {
		rc = extmem_region_adopt(x, token, 0, &region);
		if (rc != -ENOTCONN && rc != -ENOENT && rc != -EBUSY)
			break;
		usleep(10000);
	}
	return rc < 0 ? fail("adopt") : 0;
}

/* Writes until it is killed. */
static int write_on(extmem_region *region, uint64_t round)
{
	pthread_t restless;
	void *map;

	if (extmem_map(region, 0, PAGES * PAGE, &map) < 0)
		return fail("map");
	if (pthread_create(&restless, NULL, write_restlessly, region) != 0)
		return 1;
	while (write_round(region, map, round) == 0)
		round++;
	return 1;
}

static int closed(extmem *x, int status)
{
	extmem_close(x);
	return status;
}

int main(int argc, char **argv)
{
	char appliance[512];
	const char *settings[] = { appliance, "local=1M", NULL };
	extmem_region *region;
	uint64_t round;
	extmem *x;

	if (argc < 3)
		return 2;
	snprintf(appliance, sizeof(appliance), "appliance=%s", argv[1]);
	if (extmem_open(settings, &x) < 0)
		return fail("open");
	if (strcmp(argv[2], "make") == 0)
		return closed(x, make(x));
	if (argc < 4)
		return 2;
	if (strcmp(argv[2], "fill") == 0)
		return closed(x, fill(x, strtoull(argv[3], NULL, 10)));
	if (strcmp(argv[2], "time") == 0)
		return closed(x, time_it(x, argv[3]));
	if (extmem_region_adopt_since(x, argv[2], argc > 5 ? argv[5] : NULL, 0,
				      &region) < 0)
		return fail("adopt");
	if (strcmp(argv[3], "mark") == 0)
		return closed(x, mark(region));
	if (argc < 5)
		return 2;
	round = strtoull(argv[4], NULL, 10);
	if (strcmp(argv[3], "live") == 0)
		return closed(x, live(x, argv[2], region, round));
	if (strcmp(argv[3], "check") == 0)
		return closed(x, check(region, round));
	return write_on(region, round);
}
