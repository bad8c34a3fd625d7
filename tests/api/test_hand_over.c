/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions that change hands between two clients of real appliances, and regions that
 * outlive their client. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (4 * MIB)
#define SEED 77

struct scene {
	unsigned count;
	struct appliance all[3];
	extmem *a, *b;
};

static uint8_t buffer[REGION];

static extmem *open_client(struct scene *s, const char *strategy)
{
	char texts[3][160];
	const char *settings[6] = { "local=2M", strategy };
	extmem *x = NULL;

	for (unsigned i = 0; i < s->count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 s->all[i].address);
		settings[2 + i] = texts[i];
	}
	CU_ASSERT_EQUAL_FATAL(extmem_open(settings, &x), 0);
	return x;
}

static struct scene begin(unsigned count, const char *strategy)
{
	struct scene s = { .count = count };

	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_FATAL(appliance_start(&s.all[i], LOOPBACK, "16M", NULL));
	s.a = open_client(&s, strategy);
	s.b = open_client(&s, strategy);
	return s;
}

static void end(struct scene *s)
{
	extmem_close(s->a);
	extmem_close(s->b);
	for (unsigned i = 0; i < s->count; i++)
		appliance_kill(&s->all[i]);
}

static extmem_region *filled(extmem *x, uint8_t **ret_memory)
{
	extmem_region *region = NULL;
	void *memory = NULL;

	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "moves", REGION, &region), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	pattern_fill(memory, 0, REGION, SEED);
	*ret_memory = memory;
	return region;
}

static bool is_right(extmem_region *region, uint64_t seed)
{
	return extmem_read(region, 0, buffer, REGION) == 0 &&
	       pattern_is(buffer, 0, REGION, seed);
}

/* From a to b, mapped on both sides. */
static void moves(struct scene *s)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first, *second = NULL;
	uint64_t read_before;
	uint8_t *memory;
	void *there;

	first = filled(s->a, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL(extmem_read(first, 0, buffer, 1), -ESTALE);
	CU_ASSERT(words_have("was handed over"));
	read_before = client_stats(s->b).bytes_read;
	if (extmem_region_adopt(s->b, token, 0, &second) != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	CU_ASSERT_STRING_EQUAL(extmem_region_name(second), "moves");
	CU_ASSERT_EQUAL(extmem_region_size(second), REGION);
	CU_ASSERT_EQUAL(client_stats(s->b).bytes_read, read_before);
	CU_ASSERT_EQUAL_FATAL(extmem_map(second, 0, 0, &there), 0);
	CU_ASSERT(pattern_is(there, 0, REGION, SEED));
	pattern_fill(there, 0, REGION, SEED + 1);
	CU_ASSERT(is_right(second, SEED + 1));
	CU_ASSERT_EQUAL(extmem_region_free(first), 0);
	CU_ASSERT(is_right(second, SEED + 1));
	/* And back, without a look at it in between. */
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(second, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s->a, token, 0, &first), 0);
	CU_ASSERT(is_right(first, SEED + 1));
	CU_ASSERT_EQUAL(extmem_region_adopt(s->a, token, 0, &first), -ENOENT);
	CU_ASSERT(words_have("no memory waits"));
	CU_ASSERT_EQUAL(extmem_region_free(second), 0);
	CU_ASSERT_EQUAL(extmem_region_free(first), 0);
}

static void a_region_moves_with_its_bytes(void)
{
	struct scene s = begin(1, "lanes=2");

	moves(&s);
	CU_ASSERT(appliance_frees(&s.all[0], 16 * MIB));
	end(&s);
}

static void a_striped_region_moves(void)
{
	struct scene s = begin(2, "strategy=stripe 2 x 256K");

	moves(&s);
	end(&s);
}

static void a_mirrored_region_moves(void)
{
	struct scene s = begin(2, "strategy=mirror 2");

	moves(&s);
	end(&s);
}

/* What is adopted is kept or not as it is, and not as this client's own regions are. */
static void what_is_adopted_is_kept_as_it_is(void)
{
	struct scene s = begin(2, "strategy=mirror 2");
	char token[EXTMEM_TOKEN_SIZE];
	extmem *plain = open_client(&s, "lanes=1");
	extmem_region *first, *second = NULL;
	uint8_t *memory;

	first = filled(plain, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT_EQUAL(extmem_region_keep(second, 1000, token), 0);
	CU_ASSERT_EQUAL(extmem_region_free(second), 0);
	first = filled(s.a, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT_EQUAL(extmem_region_keep(second, 1000, token), -ENOTSUP);
	CU_ASSERT(words_have("several copies"));
	extmem_close(plain);
	end(&s);
}

static void a_part_that_is_missing_is_said(void)
{
	struct scene s = begin(2, "strategy=mirror 2");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first, *second = NULL;
	uint8_t *memory;

	first = filled(s.a, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	s.count = 1; /* b has the first of them alone */
	extmem_close(s.b);
	s.b = open_client(&s, "lanes=1");
	s.count = 2;
	CU_ASSERT_EQUAL(extmem_region_adopt(s.b, token, 0, &second), -ENODATA);
	CU_ASSERT(words_have("a part of the region is missing"));
	/* What b had claimed waits again: for a, who takes it back. */
	CU_ASSERT_EQUAL(extmem_region_adopt(s.a, token, 0, &second), 0);
	CU_ASSERT(is_right(second, SEED));
	end(&s);
}

static void discarded_bytes_do_not_come_back(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first, *second = NULL;
	uint8_t *memory;

	first = filled(s.a, &memory);
	CU_ASSERT_EQUAL(extmem_sync(first, 0, 0), 0);
	CU_ASSERT_EQUAL(extmem_advise(first, MIB, MIB, EXTMEM_DONTNEED), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT_EQUAL(extmem_read(second, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, MIB, SEED));
	CU_ASSERT(all_zero(buffer + MIB, MIB));
	CU_ASSERT(pattern_is(buffer + 2 * MIB, 2 * MIB, 2 * MIB, SEED));
	end(&s);
}

static void what_is_wrong_is_said(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	struct extmem_request sparse = { .size = sizeof(sparse), .reserve = REGION };
	struct extmem_hand_over to = { .size = sizeof(to), .identity = "nobody" };
	extmem_region *region = NULL, *other = NULL;
	uint8_t *memory;

	CU_ASSERT_EQUAL(extmem_region_adopt(s.b, "extmem1-00", 0, &region), -EINVAL);
	CU_ASSERT(words_have("typing error"));
	CU_ASSERT_EQUAL_FATAL(extmem_region_request(s.a, &sparse, &region), 0);
	CU_ASSERT_EQUAL(extmem_region_hand_over(region, NULL, token), -ENOTSUP);
	CU_ASSERT(words_have("sparse"));
	region = filled(s.a, &memory);
	CU_ASSERT_EQUAL(extmem_region_hand_over(region, &to, token), 0);
	CU_ASSERT_EQUAL(extmem_region_adopt(s.b, token, 0, &other), -EACCES);
	CU_ASSERT(words_have("another name"));
	token[12] = token[12] == '0' ? '1' : '0';
	CU_ASSERT_EQUAL(extmem_region_adopt(s.b, token, 0, &other), -EINVAL);
	end(&s);
}

/* --- kept ----------------------------------------------------------------- */

static void a_kept_region_outlives_a_client_that_closes(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first, *second = NULL;
	uint8_t *memory;

	first = filled(s.a, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_keep(first, EXTMEM_FOR_EVER, token), 0);
	CU_ASSERT_EQUAL(extmem_region_adopt(s.b, token, 0, &second), -EBUSY);
	CU_ASSERT_EQUAL(extmem_sync(first, 0, 0), 0);
	extmem_close(s.a);
	s.a = open_client(&s, "lanes=1");
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT(is_right(second, SEED));
	end(&s);
}

/* In a process of its own: fills a region, keeps it or hands it over, prints the token, and
 * waits to be killed. */
static int lives(int argc, char **argv)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem *x = client_open(argv[0], "local=2M", NULL);
	extmem_region *region;
	void *memory;
	int rc;

	if (x == NULL || argc != 2 ||
	    extmem_region_alloc(x, "left", REGION, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0)
		return 1;
	pattern_fill(memory, 0, REGION, SEED);
	rc = argv[1][0] == 'k'
		     ? extmem_region_keep(region, EXTMEM_FOR_EVER, token)
		     : extmem_region_hand_over(region, NULL, token);
	if (rc == 0 && argv[1][0] == 'k')
		rc = extmem_sync(region, 0, 0);
	if (rc != 0) {
		fprintf(stderr, "%s\n", extmem_error());
		return 1;
	}
	printf("%s\n", token);
	fflush(stdout);
	for (;;)
		pause();
}

static extmem_region *adopted;

struct wanted {
	extmem *x;
	char token[EXTMEM_TOKEN_SIZE];
	int rc;
};

/* True: it was adopted, or cannot be. */
static bool adopts(void *context)
{
	struct wanted *w = context;

	w->rc = extmem_region_adopt(w->x, w->token, 0, &adopted);
	return w->rc != -EBUSY;
}

/* Whether it was kept, or handed over: who has the token has the bytes. */
static void a_client_that_is_killed_leaves_the_bytes(void)
{
	static const char *const more[] = { "--lease", "1s", NULL };
	static const char *const how[] = { "keeps", "hands" };
	struct appliance a;

	CU_ASSERT_FATAL(appliance_start(&a, LOOPBACK, "16M", more));
	for (unsigned i = 0; i < 2; i++) {
		const char *const arguments[] = { a.address, how[i], NULL };
		struct wanted w = { .x = client_open(a.address, "local=2M", NULL) };
		ssize_t got = 0;
		int out;
		pid_t pid = act_start("lives", arguments, &out);

		CU_ASSERT_PTR_NOT_NULL_FATAL(w.x);
		do
			got += read(out, w.token + got, sizeof(w.token) - 1 -
							(size_t)got);
		while (got > 0 && memchr(w.token, '\n', (size_t)got) == NULL);
		CU_ASSERT_FATAL(got > 0);
		/* Kept, it is its client's as long as that lives. */
		CU_ASSERT(i == 1 || (!adopts(&w) && w.rc == -EBUSY));
		kill(pid, SIGKILL);
		act_wait(pid);
		CU_ASSERT(until(adopts, &w));
		CU_ASSERT_EQUAL_FATAL(w.rc, 0);
		CU_ASSERT(is_right(adopted, SEED));
		CU_ASSERT_EQUAL(extmem_region_free(adopted), 0);
		extmem_close(w.x);
		close(out);
	}
	CU_ASSERT(appliance_frees(&a, 16 * MIB));
	appliance_kill(&a);
}

static bool has_moved(void *context)
{
	return client_stats(((struct scene *)context)->a).moved_bytes >= REGION;
}

/* The appliance at which something lies. */
static struct appliance *home(struct scene *s)
{
	return appliance_free(&s->all[0]) < (int64_t)(16 * MIB) ? &s->all[0]
								: &s->all[1];
}

static void a_kept_region_that_moves_stays_kept(void)
{
	struct scene s = begin(2, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first, *second = NULL;
	uint8_t *memory;

	first = filled(s.a, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_keep(first, EXTMEM_FOR_EVER, token), 0);
	CU_ASSERT_EQUAL(extmem_drain(home(&s)->address, 1, 5000), 0);
	CU_ASSERT_FATAL(until(has_moved, &s));
	pattern_fill(memory, 0, REGION, SEED + 1);
	CU_ASSERT_EQUAL(extmem_sync(first, 0, 0), 0);
	extmem_close(s.a);
	s.a = open_client(&s, "lanes=1");
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT(is_right(second, SEED + 1));
	end(&s);
}

static void a_kept_region_that_is_resized_stays_kept(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first, *second = NULL;
	uint8_t *memory;

	first = filled(s.a, &memory);
	CU_ASSERT_EQUAL_FATAL(extmem_region_keep(first, EXTMEM_FOR_EVER, token), 0);
	CU_ASSERT_EQUAL(extmem_region_resize(first, REGION / 2), 0);
	CU_ASSERT_EQUAL(extmem_sync(first, 0, 0), 0);
	extmem_close(s.a);
	s.a = open_client(&s, "lanes=1");
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT_EQUAL(extmem_region_size(second), REGION / 2);
	CU_ASSERT_EQUAL(extmem_read(second, 0, buffer, REGION / 2), 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION / 2, SEED));
	end(&s);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_region_moves_with_its_bytes),
		XM_TEST(a_striped_region_moves),
		XM_TEST(a_mirrored_region_moves),
		XM_TEST(what_is_adopted_is_kept_as_it_is),
		XM_TEST(a_part_that_is_missing_is_said),
		XM_TEST(discarded_bytes_do_not_come_back),
		XM_TEST(what_is_wrong_is_said),
		XM_TEST(a_kept_region_outlives_a_client_that_closes),
		XM_TEST(a_client_that_is_killed_leaves_the_bytes),
		XM_TEST(a_kept_region_that_moves_stays_kept),
		XM_TEST(a_kept_region_that_is_resized_stays_kept),
		CU_TEST_INFO_NULL,
	};
	static const struct act acts[] = { { "lives", lives }, { 0 } };

	act_begin(argc, argv, acts);
	return xm_tests_run("hand_over", tests);
}
