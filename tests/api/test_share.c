/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions that one client writes and others read, by real appliances; writers and readers in
 * processes of their own, too. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (4 * MIB)
#define SEED 77

struct scene {
	unsigned count;
	struct appliance all[3];
	extmem *a, *b;
	extmem_region *written, *read;
	uint8_t *stored, *loaded;
	char token[EXTMEM_TOKEN_SIZE];
};

static uint8_t buffer[REGION];

static extmem *open_client(const struct scene *s, const char *strategy)
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

/* a has a region with the pattern, and shares it. */
static struct scene *begin(unsigned count, const char *strategy)
{
	struct scene *s = calloc(1, sizeof(*s));
	void *memory = NULL;

	s->count = count;
	for (unsigned i = 0; i < count; i++)
		CU_ASSERT_FATAL(appliance_start(&s->all[i], LOOPBACK, "16M", NULL));
	s->a = open_client(s, strategy);
	s->b = open_client(s, strategy);
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

/* --- both in this process ------------------------------------------------- */

static void sees(struct scene *s)
{
	opens(s);
	CU_ASSERT_STRING_EQUAL(extmem_region_name(s->read), "shared");
	CU_ASSERT_EQUAL(extmem_region_size(s->read), REGION);
	CU_ASSERT(pattern_is(s->loaded, 0, REGION, SEED));
	/* A mapped store, an explicit write, and one that was evicted before. */
	pattern_fill(s->stored, 0, REGION, SEED + 1);
	CU_ASSERT_EQUAL(extmem_write(s->written, MIB + 5, "external", 8), 0);
	CU_ASSERT_EQUAL(extmem_region_release(s->written), 0);
	CU_ASSERT_EQUAL(extmem_region_acquire(s->read), 0);
	CU_ASSERT_EQUAL(extmem_read(s->read, 0, buffer, REGION), 0);
	CU_ASSERT(memcmp(buffer + MIB + 5, "external", 8) == 0);
	CU_ASSERT(pattern_is(buffer + 2 * MIB, 2 * MIB, 2 * MIB, SEED + 1));
	CU_ASSERT(memcmp(buffer, s->loaded, REGION) == 0);
	CU_ASSERT(memcmp(buffer, s->stored, REGION) == 0);
}

static void a_reader_sees_what_was_released(void)
{
	struct scene *s = begin(1, "lanes=2");

	sees(s);
	/* Freed by the reader it is the writer's as before. */
	CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
	opens(s);
	CU_ASSERT(memcmp(buffer, s->loaded, REGION) == 0);
	CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
	CU_ASSERT_EQUAL(extmem_region_free(s->written), 0);
	CU_ASSERT(appliance_frees(&s->all[0], 16 * MIB));
	end(s);
}

static void a_striped_region_is_shared(void)
{
	struct scene *s = begin(2, "strategy=stripe 2 x 256K");

	sees(s);
	end(s);
}

static void what_was_not_changed_stays_here(void)
{
	struct scene *s = begin(1, "lanes=1");
	uint64_t before;

	opens(s);
	CU_ASSERT_EQUAL(s->loaded[3 * MIB], s->stored[3 * MIB]);
	s->stored[7] ^= 1; /* of the first block */
	CU_ASSERT_EQUAL(extmem_region_release(s->written), 0);
	CU_ASSERT_EQUAL(extmem_region_acquire(s->read), 0);
	before = client_stats(s->b).bytes_read;
	CU_ASSERT_EQUAL(s->loaded[3 * MIB], s->stored[3 * MIB]);
	CU_ASSERT_EQUAL(client_stats(s->b).bytes_read, before);
	CU_ASSERT_EQUAL(s->loaded[7], s->stored[7]);
	CU_ASSERT(client_stats(s->b).bytes_read > before);
	/* Nothing was changed: nothing is dropped. */
	CU_ASSERT_EQUAL(extmem_region_release(s->written), 0);
	CU_ASSERT_EQUAL(extmem_region_acquire(s->read), 0);
	before = client_stats(s->b).bytes_read;
	CU_ASSERT_EQUAL(s->loaded[7], s->stored[7]);
	CU_ASSERT_EQUAL(client_stats(s->b).bytes_read, before);
	end(s);
}

static void discarded_bytes_read_as_zero(void)
{
	struct scene *s = begin(1, "lanes=1");

	opens(s);
	CU_ASSERT(pattern_is(s->loaded, 0, REGION, SEED));
	CU_ASSERT_EQUAL(extmem_advise(s->written, MIB, MIB, EXTMEM_DONTNEED), 0);
	CU_ASSERT_EQUAL(extmem_region_release(s->written), 0);
	CU_ASSERT_EQUAL(extmem_region_acquire(s->read), 0);
	CU_ASSERT(pattern_is(s->loaded, 0, MIB, SEED));
	CU_ASSERT(all_zero(s->loaded + MIB, MIB));
	end(s);
}

static void *store_to_all(void *memory)
{
	uint64_t *words = memory;

	for (uint64_t i = 0; i < REGION / 8; i += PAGE / 8)
		words[i] = i + 1;
	return NULL;
}

/* Zeros are written over what was discarded, and over nothing else. */
static void what_another_thread_stores_stays(void)
{
	struct scene *s = begin(1, "lanes=2");
	const uint64_t *words = (const void *)s->stored;

	for (int round = 0; round < 10; round++) {
		uint64_t wrong = 0;
		pthread_t thread;

		CU_ASSERT_EQUAL(extmem_advise(s->written, 0, REGION, EXTMEM_DONTNEED), 0);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, store_to_all,
						     s->stored), 0);
		CU_ASSERT_EQUAL(extmem_region_release(s->written), 0);
		pthread_join(thread, NULL);
		for (uint64_t i = 0; i < REGION / 8; i += PAGE / 8)
			wrong += words[i] != i + 1;
		CU_ASSERT_EQUAL(wrong, 0);
	}
	end(s);
}

static void a_reader_changes_nothing(void)
{
	struct scene *s = begin(1, "lanes=1");
	char token[EXTMEM_TOKEN_SIZE];
	uint64_t offset;

	opens(s);
	CU_ASSERT_EQUAL(extmem_write(s->read, 0, "x", 1), -EACCES);
	CU_ASSERT(words_have("may only read it"));
	CU_ASSERT_EQUAL(extmem_write_start(s->read, 0, buffer, 1, NULL), -EACCES);
	CU_ASSERT_EQUAL(extmem_advise(s->read, 0, MIB, EXTMEM_DONTNEED), -EACCES);
	CU_ASSERT_EQUAL(extmem_protect(s->read, 0, 0, EXTMEM_READ_WRITE), -EACCES);
	CU_ASSERT_EQUAL(extmem_region_resize(s->read, 2 * REGION), -EACCES);
	CU_ASSERT_EQUAL(extmem_region_hand_over(s->read, NULL, token), -EACCES);
	CU_ASSERT_EQUAL(extmem_region_keep(s->read, 1000, token), -EACCES);
	CU_ASSERT_EQUAL(extmem_region_share(s->read, NULL, token), -EACCES);
	CU_ASSERT_EQUAL(extmem_region_release(s->read), -EACCES);
	CU_ASSERT_EQUAL(extmem_slab_free(s->read, 0), -EACCES);
	CU_ASSERT_EQUAL(extmem_slab_alloc(s->read, PAGE, &offset), -EACCES);
	CU_ASSERT_EQUAL(extmem_object_alloc(s->read, 16, 0, &offset), -EACCES);
	CU_ASSERT(words_have("extmem_object_alloc: region shared is another client's"));
	CU_ASSERT_EQUAL(extmem_region_acquire(s->written), -EINVAL);
	/* Its protection outlives a mapping. */
	CU_ASSERT_EQUAL(extmem_unmap(s->read, 0, 0), 0);
	CU_ASSERT_EQUAL(extmem_map(s->read, 0, 0, (void **)&s->loaded), 0);
	CU_ASSERT_EQUAL(extmem_permits(s->b, s->loaded, 8, 1), 0);
	CU_ASSERT_EQUAL(extmem_permits(s->b, s->loaded, 8, 0), 8);
	/* What others read keeps its size and its owner. */
	CU_ASSERT_EQUAL(extmem_region_resize(s->written, REGION / 2), -EBUSY);
	CU_ASSERT(words_have("extmem_region_revoke()"));
	CU_ASSERT_EQUAL(extmem_region_hand_over(s->written, NULL, token), -EBUSY);
	CU_ASSERT_EQUAL(extmem_region_keep(s->written, 1000, token), -EBUSY);
	CU_ASSERT(pattern_is(s->loaded, 0, REGION, SEED));
	end(s);
}

static void a_token_that_opens_nothing_is_said(void)
{
	struct scene *s = begin(1, "lanes=1");
	struct extmem_share o = { .size = sizeof(o), .ms = 1 };
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *other = NULL;

	CU_ASSERT_EQUAL(extmem_region_open(s->b, "extmem1-00", 0, &other), -EINVAL);
	CU_ASSERT(words_have("typing error"));
	CU_ASSERT_EQUAL(extmem_region_open(s->b, s->token, 4, &other), -EINVAL);
	opens(s);
	CU_ASSERT_EQUAL(extmem_region_open(s->b, s->token, 0, &other), -EBUSY);
	CU_ASSERT(words_have("already"));
	/* It opens, and gives nothing. */
	CU_ASSERT_EQUAL(extmem_region_adopt(s->b, s->token, 0, &other), -ENOENT);
	/* Its time is over: who has come stays. */
	CU_ASSERT_EQUAL(extmem_region_share(s->written, &o, token), 0);
	CU_ASSERT_STRING_EQUAL(token, s->token);
	usleep(20000);
	CU_ASSERT_EQUAL(extmem_region_acquire(s->read), 0);
	CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
	CU_ASSERT_EQUAL(extmem_region_open(s->b, s->token, 0, &s->read), -ENOENT);
	CU_ASSERT(words_have("no memory is shared"));
	o.ms = 60000;
	o.identity = "nobody";
	CU_ASSERT_EQUAL(extmem_region_share(s->written, &o, token), 0);
	CU_ASSERT_EQUAL(extmem_region_open(s->b, s->token, 0, &s->read), -EACCES);
	CU_ASSERT(words_have("another name"));
	CU_ASSERT_EQUAL(extmem_region_share(s->written, NULL, token), 0);
	opens(s);
	end(s);
}

static bool is_over(void *context)
{
	return extmem_region_acquire(context) == -ESTALE;
}

static void a_region_that_is_shared_no_more_is_said(void)
{
	struct scene *s = begin(1, "lanes=2");
	char token[EXTMEM_TOKEN_SIZE];

	opens(s);
	CU_ASSERT_EQUAL(extmem_region_revoke(s->written), 0);
	CU_ASSERT(until(is_over, s->read));
	CU_ASSERT(words_have("shares it no more"));
	CU_ASSERT_EQUAL(extmem_read(s->read, 0, buffer, REGION), -ESTALE);
	CU_ASSERT(words_have("lets us read it no more"));
	CU_ASSERT(extmem_pin(s->b, s->loaded, 4096, 0) != 4096);
	CU_ASSERT_PTR_NOT_NULL_FATAL(extmem_lost(s->b));
	CU_ASSERT_PTR_NOT_NULL(strstr(extmem_lost(s->b), "lets us read it no more"));
	CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
	CU_ASSERT_EQUAL(extmem_region_open(s->b, s->token, 0, &s->read), -ENOENT);
	CU_ASSERT_EQUAL(extmem_region_revoke(s->written), 0); /* it is not */
	/* The region is as it was, and can be shared anew, under another token. */
	CU_ASSERT(pattern_is(s->stored, 0, REGION, SEED));
	CU_ASSERT_EQUAL(extmem_region_share(s->written, NULL, token), 0);
	CU_ASSERT_STRING_NOT_EQUAL(token, s->token);
	memcpy(s->token, token, sizeof(token));
	opens(s);
	CU_ASSERT(pattern_is(s->loaded, 0, REGION, SEED));
	/* It is freed, and is gone. */
	CU_ASSERT_EQUAL(extmem_region_free(s->written), 0);
	CU_ASSERT(until(is_over, s->read));
	CU_ASSERT_EQUAL(extmem_region_free(s->read), 0);
	CU_ASSERT(appliance_frees(&s->all[0], 16 * MIB));
	end(s);
}

/* The next region has extents of the same numbers. */
static void what_was_lost_is_revoked_and_nothing_else(void)
{
	struct scene *s = begin(1, "lanes=1");
	struct appliance *a = &s->all[0];
	extmem_region *lost = s->written;
	char address[sizeof(a->address)];
	void *memory = NULL;

	strcpy(address, a->address);
	appliance_kill(a);
	CU_ASSERT_FATAL(appliance_start(a, address, "16M", NULL));
	while (extmem_region_alloc(s->a, "next", REGION, &s->written) != 0)
		usleep(10000);
	CU_ASSERT_EQUAL_FATAL(extmem_map(s->written, 0, 0, &memory), 0);
	s->stored = memory;
	pattern_fill(s->stored, 0, REGION, SEED);
	CU_ASSERT_EQUAL_FATAL(extmem_region_share(s->written, NULL, s->token), 0);
	while (extmem_region_open(s->b, s->token, 0, &s->read) != 0)
		usleep(10000);
	CU_ASSERT_EQUAL(extmem_region_revoke(lost), 0);
	pattern_fill(s->stored, 0, REGION, SEED + 1);
	CU_ASSERT_EQUAL(extmem_region_release(s->written), 0);
	CU_ASSERT_EQUAL(extmem_region_acquire(s->read), 0);
	CU_ASSERT_EQUAL(extmem_read(s->read, 0, buffer, REGION), 0);
	CU_ASSERT(pattern_is(buffer, 0, REGION, SEED + 1));
	extmem_region_free(lost);
	end(s);
}

static void what_cannot_be_shared_is_said(void)
{
	struct scene *s = begin(2, "lanes=1");
	struct extmem_request sparse = { .size = sizeof(sparse), .reserve = REGION };
	struct extmem_share odd = { .size = 4 };
	char token[EXTMEM_TOKEN_SIZE];
	extmem_region *region, *all, *rest;

	CU_ASSERT_EQUAL_FATAL(extmem_region_request(s->a, &sparse, &region), 0);
	CU_ASSERT_EQUAL(extmem_region_share(region, NULL, token), -ENOTSUP);
	CU_ASSERT(words_have("sparse"));
	CU_ASSERT_EQUAL(extmem_region_share(s->written, &odd, token), -EINVAL);
	/* No room for the table is left; the call is named once. */
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(s->a, "", 16 * MIB, &all), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(s->a, "", 12 * MIB - MIB / 16, &rest), 0);
	CU_ASSERT_EQUAL(extmem_region_share(rest, NULL, token), -ENOSPC);
	CU_ASSERT(words_have("extmem_region_share: appliance"));
	end(s);
}

/* --- in processes of their own -------------------------------------------- */

#define READERS 4
#define ROUNDS 60

/* What the processes tell each other. */
struct board {
	atomic_uint released;		/* rounds */
	atomic_uint read[READERS];	/* likewise, by all looks */
	atomic_uint wrong;
	char token[EXTMEM_TOKEN_SIZE];
};

static bool all_have_read(struct board *b, unsigned round)
{
	for (unsigned i = 0; i < READERS; i++) {
		if (atomic_load(&b->read[i]) < round)
			return false;
	}
	return true;
}

static struct board *board_map(int fd)
{
	void *b = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED,
		       fd, 0);

	return b == MAP_FAILED ? NULL : b;
}

/* A reader: address, the board's file, which one it is. Each round another value fills the
 * region; no page is torn, as nobody stores while they read; and no reader is behind. */
static int reads(int argc, char **argv)
{
	extmem *x = client_open(argv[0], "local=2M", NULL);
	struct board *b = board_map(open(argv[1], O_RDWR));
	unsigned me = (unsigned)atoi(argv[argc - 1]);
	extmem_region *region;
	void *memory;

	if (x == NULL || b == NULL ||
	    extmem_region_open(x, b->token, 0, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0) {
		fprintf(stderr, "%s\n", extmem_error());
		return 1;
	}
	for (unsigned round = 1; round <= ROUNDS; round++) {
		const uint8_t *bytes = memory;

		while (atomic_load(&b->released) < round)
			usleep(50);
		if (extmem_region_acquire(region) != 0)
			return 1;
		for (size_t i = 0; i < REGION; i += 509)
			atomic_fetch_add(&b->wrong, bytes[i] != round);
		atomic_store(&b->read[me], round);
	}
	return extmem_close(x);
}

static void readers_in_processes_see_each_round(void)
{
	char path[] = "/tmp/test_share.XXXXXX";
	int fd = mkstemp(path);
	struct board *b;
	struct appliance a;
	pid_t pids[READERS];
	int outs[READERS];
	extmem_region *region;
	extmem *x;
	void *memory;

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, sizeof(*b)) == 0);
	b = board_map(fd);
	CU_ASSERT_FATAL(appliance_start(&a, LOOPBACK, "16M", NULL));
	x = client_open(a.address, "local=2M", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT_EQUAL_FATAL(extmem_region_alloc(x, "r", REGION, &region), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_region_share(region, NULL, b->token), 0);
	for (unsigned i = 0; i < READERS; i++) {
		char me[12];
		const char *const arguments[] = { a.address, path, me, NULL };

		snprintf(me, sizeof(me), "%u", i);
		pids[i] = act_start("reads", arguments, &outs[i]);
	}
	for (unsigned round = 1; round <= ROUNDS; round++) {
		memset(memory, (int)round, REGION);
		CU_ASSERT_EQUAL_FATAL(extmem_region_release(region), 0);
		atomic_store(&b->released, round);
		for (unsigned i = 0; i < 600000 && !all_have_read(b, round); i++)
			usleep(50);
		CU_ASSERT_FATAL(all_have_read(b, round));
	}
	CU_ASSERT_EQUAL(atomic_load(&b->wrong), 0);
	for (unsigned i = 0; i < READERS; i++) {
		CU_ASSERT_EQUAL(act_wait(pids[i]), 0);
		close(outs[i]);
	}
	extmem_close(x);
	appliance_kill(&a);
	munmap(b, sizeof(*b));
	close(fd);
	unlink(path);
}

/* It shares a region, prints the token, and waits to be killed. */
static int writes(int argc, char **argv)
{
	char token[EXTMEM_TOKEN_SIZE];
	extmem *x = client_open(argv[0], "local=2M", NULL);
	extmem_region *region;
	void *memory;

	if (argc != 1 || x == NULL ||
	    extmem_region_alloc(x, "r", REGION, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0)
		return 1;
	pattern_fill(memory, 0, REGION, SEED);
	if (extmem_region_share(region, NULL, token) != 0)
		return 1;
	printf("%s\n", token);
	fflush(stdout);
	for (;;)
		pause();
}

static ssize_t line_of(int out, char *ret, size_t size)
{
	ssize_t got = 0, more;

	do {
		more = read(out, ret + got, size - 1 - (size_t)got);
		got += more > 0 ? more : 0;
	} while (more > 0 && memchr(ret, '\n', (size_t)got) == NULL);
	ret[got] = '\0';
	return got;
}

static void a_reader_hears_that_its_writer_was_killed(void)
{
	static const char *const more[] = { "--lease", "1s", NULL };
	struct appliance a;
	char token[EXTMEM_TOKEN_SIZE + 1];
	extmem_region *region;
	void *memory;
	extmem *x;
	pid_t pid;
	int out;

	CU_ASSERT_FATAL(appliance_start(&a, LOOPBACK, "16M", more));
	pid = act_start("writes", (const char *const[]){ a.address, NULL }, &out);
	CU_ASSERT_FATAL(line_of(out, token, sizeof(token)) > 0);
	x = client_open(a.address, "local=2M", NULL);
	CU_ASSERT_EQUAL_FATAL(extmem_region_open(x, token, 0, &region), 0);
	CU_ASSERT_EQUAL_FATAL(extmem_map(region, 0, 0, &memory), 0);
	CU_ASSERT(pattern_is(memory, 0, MIB, SEED));
	kill(pid, SIGKILL);
	act_wait(pid);
	CU_ASSERT(until(is_over, region));
	CU_ASSERT(words_have("its owner has ended"));
	CU_ASSERT_EQUAL(extmem_read(region, 3 * MIB, buffer, MIB), -ESTALE);
	CU_ASSERT_EQUAL(extmem_region_free(region), 0);
	CU_ASSERT_EQUAL(extmem_region_open(x, token, 0, &region), -ENOENT);
	extmem_close(x);
	close(out);
	CU_ASSERT(appliance_frees(&a, 16 * MIB));
	appliance_kill(&a);
}

/* A reader that stores: address, token. */
static int stores(int argc, char **argv)
{
	extmem *x = client_open(argv[0], "local=2M", NULL);
	extmem_region *region;
	void *memory;

	if (argc != 2 || x == NULL ||
	    extmem_region_open(x, argv[1], 0, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0)
		return 1;
	((volatile uint8_t *)memory)[MIB] = 1;
	return 0;
}

static void a_readers_store_is_a_segmentation_fault(void)
{
	struct scene *s = begin(1, "lanes=1");
	const char *const arguments[] = { s->all[0].address, s->token, NULL };
	int out, status = act_wait(act_start("stores", arguments, &out));

	close(out);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	CU_ASSERT(pattern_is(s->stored, 0, REGION, SEED));
	end(s);
}

/* Without a mapper that can deny a store it is read explicitly alone. */
static void a_mapping_that_denies_nothing_is_refused(void)
{
	struct scene *s = begin(1, "lanes=1");
	extmem *x = client_open(s->all[0].address, "paging=thread", NULL);
	extmem_region *region;
	void *memory;

	if (x != NULL) {
		CU_ASSERT_EQUAL_FATAL(extmem_region_open(x, s->token, 0, &region), 0);
		CU_ASSERT_EQUAL(extmem_map(region, 0, 0, &memory), -ENOTSUP);
		CU_ASSERT(words_have("paging=inline"));
		CU_ASSERT_EQUAL(extmem_read(region, 0, buffer, REGION), 0);
		CU_ASSERT(pattern_is(buffer, 0, REGION, SEED));
		extmem_close(x);
	}
	end(s);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_reader_sees_what_was_released),
		XM_TEST(a_striped_region_is_shared),
		XM_TEST(what_was_not_changed_stays_here),
		XM_TEST(discarded_bytes_read_as_zero),
		XM_TEST(what_another_thread_stores_stays),
		XM_TEST(a_reader_changes_nothing),
		XM_TEST(a_token_that_opens_nothing_is_said),
		XM_TEST(a_region_that_is_shared_no_more_is_said),
		XM_TEST(what_was_lost_is_revoked_and_nothing_else),
		XM_TEST(what_cannot_be_shared_is_said),
		XM_TEST(readers_in_processes_see_each_round),
		XM_TEST(a_reader_hears_that_its_writer_was_killed),
		XM_TEST(a_readers_store_is_a_segmentation_fault),
		XM_TEST(a_mapping_that_denies_nothing_is_refused),
		CU_TEST_INFO_NULL,
	};
	static const struct act acts[] = {
		{ "reads", reads }, { "writes", writes }, { "stores", stores }, { 0 }
	};

	act_begin(argc, argv, acts);
	return xm_tests_run("share", tests);
}
