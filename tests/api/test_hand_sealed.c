/* SPDX-License-Identifier: BSD-3-Clause */
/* Sealed regions that change hands between clients of real appliances, which have the same
 * seal_key. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (4 * MIB)
#define SEED 91

struct scene {
	unsigned count;
	struct appliance all[2];
	char keys[2][40]; /* files */
	extmem *a, *b;
};

static uint8_t buffer[REGION];

static extmem *open_client(const struct scene *s, const char *strategy, const char *seal,
			   const char *key)
{
	char texts[2][160], setting[80];
	const char *settings[8] = { "local=2M" };
	unsigned n = 1;
	extmem *x = NULL;

	if (strategy != NULL)
		settings[n++] = strategy;
	if (seal != NULL)
		settings[n++] = seal;
	if (key != NULL) {
		snprintf(setting, sizeof(setting), "seal_key=file:%s", key);
		settings[n++] = setting;
	}
	for (unsigned i = 0; i < s->count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "appliance=%s",
			 s->all[i].address);
		settings[n++] = texts[i];
	}
	if (extmem_open(settings, &x) != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	return x;
}

static void key_make(char path[40], uint8_t first)
{
	uint8_t key[32] = { first, 1, 2, 3 };
	int fd;

	strcpy(path, "/tmp/extmem-test-hand-XXXXXX");
	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, key, sizeof(key)), sizeof(key));
	close(fd);
}

static struct scene begin(unsigned count, const char *strategy)
{
	struct scene s = { .count = count };

	key_make(s.keys[0], 7);
	key_make(s.keys[1], 8);
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_FATAL(appliance_start(&s.all[i], LOOPBACK, "16M", NULL));
	s.a = open_client(&s, strategy, "seal=asked", s.keys[0]);
	s.b = open_client(&s, strategy, "seal=asked", s.keys[0]);
	return s;
}

static void end(struct scene *s)
{
	extmem_close(s->a);
	extmem_close(s->b);
	for (unsigned i = 0; i < s->count; i++)
		appliance_kill(&s->all[i]);
	unlink(s->keys[0]);
	unlink(s->keys[1]);
}

static extmem_region *request(extmem *x, uint64_t flags)
{
	struct extmem_request r = { .size = sizeof(r), .region_size = REGION,
				    .name = "moves", .flags = flags };
	extmem_region *region = NULL;

	CU_ASSERT_EQUAL_FATAL(extmem_region_request(x, &r, &region), 0);
	return region;
}

static extmem_region *filled(extmem *x)
{
	extmem_region *region = request(x, EXTMEM_SEALED_DURABLE);
	void *memory = NULL;

	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	pattern_fill(memory, 0, REGION, SEED);
	return region;
}

static bool is_right(extmem_region *region, uint64_t seed)
{
	return extmem_read(region, 0, buffer, REGION) == 0 &&
	       pattern_is(buffer, 0, REGION, seed);
}

/* From a to b, mapped on both sides, and back. */
static void moves(struct scene *s)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first = filled(s->a), *second = NULL;
	struct extmem_stats stats = { .size = sizeof(stats) };
	void *there;

	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_PTR_NOT_NULL(strchr(token, '.')); /* how new it is */
	CU_ASSERT_EQUAL(extmem_region_adopt(s->b, token, EXTMEM_ADOPT_KEPT, &second),
			-ENOTSUP);
	CU_ASSERT(words_have("it cannot be kept under its token"));
	CU_ASSERT_EQUAL(extmem_read(first, 0, buffer, 1), -ESTALE);
	if (extmem_region_adopt(s->b, token, 0, &second) != 0)
		printf("    %s\n", extmem_error());
	CU_ASSERT_PTR_NOT_NULL_FATAL(second);
	CU_ASSERT_EQUAL_FATAL(extmem_map(second, 0, 0, &there), 0);
	CU_ASSERT(pattern_is(there, 0, REGION, SEED));
	pattern_fill(there, 0, REGION, SEED + 1);
	CU_ASSERT_EQUAL(extmem_advise(second, MIB, MIB, EXTMEM_DONTNEED), 0);
	CU_ASSERT_EQUAL(extmem_region_free(first), 0);
	/* And back: what was discarded reads as zero. */
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(second, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s->a, token, 0, &first), 0);
	CU_ASSERT_EQUAL(extmem_read(first, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, MIB, SEED + 1));
	CU_ASSERT(all_zero(buffer + MIB, MIB));
	CU_ASSERT(pattern_is(buffer + 2 * MIB, 2 * MIB, 2 * MIB, SEED + 1));
	CU_ASSERT_EQUAL(extmem_region_adopt(s->a, token, 0, &first), -ENOENT);
	CU_ASSERT_EQUAL(extmem_stats(s->a, &stats), 0);
	CU_ASSERT_EQUAL(stats.bad_tags, 0);
	CU_ASSERT_EQUAL(extmem_region_free(second), 0);
	CU_ASSERT_EQUAL(extmem_region_free(first), 0);
}

static void a_sealed_region_moves_with_its_bytes(void)
{
	struct scene s = begin(1, "lanes=2");

	moves(&s);
	CU_ASSERT(appliance_frees(&s.all[0], 16 * MIB));
	end(&s);
}

static void a_striped_one_moves(void)
{
	struct scene s = begin(2, "strategy=stripe 2 x 256K");

	moves(&s);
	end(&s);
}

static void one_that_was_never_touched_is_zero(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first = request(s.a, EXTMEM_SEALED_DURABLE), *second = NULL;

	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT_EQUAL(extmem_read(second, 0, buffer, REGION), 0);
	CU_ASSERT(all_zero(buffer, REGION));
	end(&s);
}

/* Who has no key, or another one, gets nothing, and the token leads to the region still. */
static void the_key_decides(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *first = filled(s.a), *second = NULL;
	extmem *plain = open_client(&s, NULL, NULL, NULL);
	extmem *other = open_client(&s, NULL, "seal=asked", s.keys[1]);

	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL(extmem_region_adopt(plain, token, 0, &second), -ENOKEY);
	CU_ASSERT(words_have("it is sealed"));
	CU_ASSERT_EQUAL(extmem_region_adopt(other, token, 0, &second), -EBADMSG);
	CU_ASSERT(words_have("the seal_key is another one"));
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT(is_right(second, SEED));
	extmem_close(plain);
	extmem_close(other);
	end(&s);
}

/* A token says how new its region is; somebody who makes it newer is refused. */
static void an_older_state_is_refused(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE], root[EXTMEM_ROOT_SIZE], *digits;
	extmem_region *first = filled(s.a), *second = NULL;

	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(first, NULL, token), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.b, token, 0, &second), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_root(second, root), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_hand_over(second, NULL, token), 0);
	digits = root + strlen(root) - 2;
	memcpy(digits, "7f", 2);
	CU_ASSERT_EQUAL(extmem_region_adopt_since(s.a, token, root, 0, &first), -EBADMSG);
	CU_ASSERT(words_have("an older state was put back"));
	token[strlen(token) - 1]++; /* the checksum is of that number, too */
	CU_ASSERT_EQUAL(extmem_region_adopt(s.a, token, 0, &first), -EINVAL);
	token[strlen(token) - 1]--;
	CU_ASSERT_EQUAL_FATAL(extmem_region_adopt(s.a, token, 0, &first), 0);
	CU_ASSERT(is_right(first, SEED));
	end(&s);
}

static void what_is_wrong_is_said(void)
{
	struct scene s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	extmem *random = open_client(&s, NULL, "seal=asked", NULL);

	CU_ASSERT_EQUAL(extmem_region_hand_over(request(s.a, EXTMEM_SEALED), NULL, token),
			-ENOTSUP);
	CU_ASSERT(words_have("request it with EXTMEM_SEALED_DURABLE"));
	CU_ASSERT_EQUAL(extmem_region_hand_over(request(random, EXTMEM_SEALED_DURABLE), NULL,
						token), -ENOKEY);
	CU_ASSERT(words_have("open the client with a seal_key"));
	extmem_close(random);
	end(&s);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_sealed_region_moves_with_its_bytes),
		XM_TEST(a_striped_one_moves),
		XM_TEST(one_that_was_never_touched_is_zero),
		XM_TEST(the_key_decides),
		XM_TEST(an_older_state_is_refused),
		XM_TEST(what_is_wrong_is_said),
		CU_TEST_INFO_NULL,
	};
	static const struct act acts[] = { { 0 } };

	act_begin(argc, argv, acts);
	return xm_tests_run("hand_sealed", tests);
}
