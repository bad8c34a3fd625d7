/* SPDX-License-Identifier: BSD-3-Clause */
/* Mirrored regions that one client writes and others read, when their appliances end. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cunit.h"

#define REGION (4 * MIB)
#define SEED 15

struct scene {
	unsigned count;
	struct appliance all[3];
	extmem *a, *b;
	extmem_region *written, *read;
	uint8_t *stored, *loaded;
	char token[EXTMEM_TOKEN_SIZE];
};

static uint8_t buffer[REGION];

/* (A reader needs no strategy.) */
static extmem *open_client(const struct scene *s, const char *more)
{
	char texts[3][160];
	const char *settings[8] = { "local=2M", "lanes=2", "timeout=2s", more };
	extmem *x = NULL;

	for (unsigned i = 0; i < s->count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 s->all[i].address);
		settings[4 + i] = texts[i];
	}
	if (extmem_open(settings, &x) != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	return x;
}

static struct scene *begin(unsigned count, const char *strategy)
{
	struct scene *s = calloc(1, sizeof(*s));
	void *memory = NULL;

	s->count = count;
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_FATAL(appliance_start(&s->all[i], LOOPBACK, "16M", NULL));
	s->a = open_client(s, strategy);
	s->b = open_client(s, "prefetch=4");
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(s->a, "shared", REGION, &s->written), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(s->written, 0, 0, &memory), 0);
	s->stored = memory;
	pattern_fill(s->stored, 0, REGION, SEED);
	if (extmem_region_share(s->written, NULL, s->token) != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_FATAL(s->token[0] != '\0');
	return s;
}

static void opens(struct scene *s)
{
	void *memory = NULL;
	int rc = extmem_region_open(s->b, s->token, 0, &s->read);

	if (rc != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(s->read, 0, 0, &memory), 0);
	s->loaded = memory;
}

static void end(struct scene *s)
{
	extmem_close(s->a);
	extmem_close(s->b);
	for (unsigned i = 0; i < s->count; i++)
		appliance_kill(&s->all[i]);
	free(s);
}

/* All of it is what was stored now, and released. */
static void sees(struct scene *s, uint64_t seed)
{
	pattern_fill(s->stored, 0, REGION, seed);
	if (extmem_region_release(s->written) != 0)
		CU_FAIL_FATAL("release");
	if (extmem_region_acquire(s->read) != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_EQUAL(extmem_read(s->read, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION, seed));
	CU_ASSERT(pattern_is(s->loaded, 0, REGION, seed));
}

static void a_mirrored_region_is_shared(void)
{
	struct scene *s = begin(2, "strategy=mirror 2");

	opens(s);
	CU_ASSERT(pattern_is(s->loaded, 0, REGION, SEED));
	sees(s, SEED + 1);
	sees(s, SEED + 2);
	CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
	CU_ASSERT_EQUAL(extmem_region_revoke(s->written), 0);
	CU_ASSERT_EQUAL(extmem_region_free(s->written), 0);
	/* But for the ledger. */
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT(appliance_frees(&s->all[i], 16 * MIB - MIB / 16));
	end(s);
}

static void a_reader_goes_on_when_an_appliance_ends(void)
{
	for (unsigned dead = 0; dead < 2; dead++) {
		struct scene *s = begin(2, "strategy=mirror 2");
		struct extmem_share o = { .size = sizeof(o) };

		opens(s);
		CU_ASSERT(pattern_is(s->loaded, 0, MIB, SEED));
		appliance_kill(&s->all[dead]);
		CU_ASSERT(pattern_is(s->loaded, 0, REGION, SEED));
		/* That the other has all that was released its writer alone can say. */
		CU_ASSERT_EQUAL(extmem_region_acquire(s->read), -ENOTCONN);
		CU_ASSERT(words_have("may have newer bytes"));
		sees(s, SEED + 1);
		sees(s, SEED + 2);
		/* And who comes now finds what is there. */
		CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
		CU_ASSERT_EQUAL(extmem_region_share(s->written, &o, s->token), 0);
		opens(s);
		sees(s, SEED + 3);
		CU_ASSERT_EQUAL(extmem_region_revoke(s->written), 0);
		CU_ASSERT(pattern_is(s->stored, 0, REGION, SEED + 3));
		end(s);
	}
}

static void two_appliances_of_three_may_end(void)
{
	struct scene *s = begin(3, "strategy=mirror 3");

	opens(s);
	for (unsigned i = 0; i < 2; i++) {
		appliance_kill(&s->all[i]);
		sees(s, SEED + 1 + i);
	}
	end(s);
}

static void mirrored_stripes_are_shared(void)
{
	struct scene *s = begin(3, "strategy=stripe 2 x 256K, mirror 2");

	opens(s);
	sees(s, SEED + 1);
	appliance_kill(&s->all[1]);
	sees(s, SEED + 2);
	end(s);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_mirrored_region_is_shared),
		XM_TEST(a_reader_goes_on_when_an_appliance_ends),
		XM_TEST(two_appliances_of_three_may_end),
		XM_TEST(mirrored_stripes_are_shared),
		CU_TEST_INFO_NULL,
	};
	static const struct act acts[] = { { 0 } };

	act_begin(argc, argv, acts);
	return xm_tests_run("share mirrors", tests);
}
