/* SPDX-License-Identifier: BSD-3-Clause */
/* extmem_protect(): pages that may not be stored to, or not be touched at all. */
#include "tests/api/access_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/rand.h"
#include "tests/support/cunit.h"
#include "tests/support/touching.h"

#define PAGE 4096
#define PAGES (REGION / PAGE)

static int rights_of(extmem_region *region, uint64_t page, uint64_t count,
		     enum extmem_rights rights)
{
	return extmem_protect(region, page * PAGE, count * PAGE, rights);
}

/* A region that is mapped, where touches can be denied. NULL: they cannot, which was
 * said. */
static extmem *open_rights(extmem_region **ret, uint8_t **ret_memory)
{
	extmem *x;

	touch_begin();
	x = open_small(ret);
	*ret_memory = map_all(*ret);
	if (strcmp(paging, "paging=thread") != 0)
		return x;
	CU_ASSERT(rights_of(*ret, 0, 1, EXTMEM_READ_ONLY) == -ENOTSUP);
	CU_ASSERT(words_have("use paging=inline"));
	CU_ASSERT(rights_of(*ret, 0, 1, EXTMEM_READ_WRITE) == 0);
	CU_ASSERT(touch_write(*ret_memory, 1) == 1);
	close_well(x);
	return NULL;
}

/* --- where a page is ---------------------------- */

/* Eight pages, each somewhere else: fresh; read as zero; dirty; stored and here; away; away
 * and read again; in a window that was read ahead, maybe; away and discarded. */
#define PLACES 8

static void spread(extmem_region *region, uint8_t *memory)
{
	uint64_t away = 4 * PAGE;

	memset(memory + 2 * PAGE, 2, PAGE);
	memset(memory + 3 * PAGE, 3, 5 * (size_t)PAGE);
	CU_ASSERT(extmem_sync(region, 3 * PAGE, PAGE) == 0);
	CU_ASSERT(extmem_advise(region, away, 4 * PAGE, EXTMEM_COLD) == 0);
	CU_ASSERT(touch_read(memory + PAGE) == 0);
	CU_ASSERT(touch_read(memory + 5 * PAGE) == 3);
	CU_ASSERT(extmem_advise(region, 6 * PAGE, PAGE, EXTMEM_WILLNEED) == 0);
	CU_ASSERT(extmem_advise(region, 7 * PAGE, PAGE, EXTMEM_DONTNEED) == 0);
}

static const int spread_bytes[PLACES] = { 0, 0, 2, 3, 3, 3, 3, 0 };

static void a_store_without_the_right_is_denied_wherever_the_page_is(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);

	if (x == NULL)
		return;
	spread(region, memory);
	CU_ASSERT(rights_of(region, 0, PLACES, EXTMEM_READ_ONLY) == 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < PLACES; i++) {
			uint8_t *at = memory + i * PAGE + 17;

			CU_ASSERT(touch_write(at, 0x77) == TOUCH_DENIED);
			CU_ASSERT(touch_read(at) == spread_bytes[i]);
			CU_ASSERT(touch_write(at, 0x77) == TOUCH_DENIED);
		}
		CU_ASSERT(touch_write(memory + PLACES * PAGE, 9) == 9);
		CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_COLD) == 0);
	}
	CU_ASSERT(rights_of(region, 0, PLACES, EXTMEM_READ_WRITE) == 0);
	for (unsigned i = 0; i < PLACES; i++) {
		CU_ASSERT(touch_read(memory + i * PAGE + 17) == spread_bytes[i]);
		CU_ASSERT(touch_write(memory + i * PAGE + 17, 0x77) == 0x77);
	}
	close_well(x);
}

static void a_load_without_the_right_is_denied_wherever_the_page_is(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);

	if (x == NULL)
		return;
	spread(region, memory);
	CU_ASSERT(rights_of(region, 0, PLACES, EXTMEM_NO_ACCESS) == 0);
	for (unsigned i = 0; i < PLACES; i++) {
		CU_ASSERT(touch_read(memory + i * PAGE + 17) == TOUCH_DENIED);
		CU_ASSERT(touch_write(memory + i * PAGE, 1) == TOUCH_DENIED);
	}
	CU_ASSERT(touch_write(memory + PLACES * PAGE, 9) == 9);
	CU_ASSERT(rights_of(region, 0, PLACES, EXTMEM_READ_ONLY) == 0);
	for (unsigned i = 0; i < PLACES; i++) {
		CU_ASSERT(touch_read(memory + i * PAGE + 17) == spread_bytes[i]);
		CU_ASSERT(touch_write(memory + i * PAGE, 1) == TOUCH_DENIED);
	}
	close_well(x);
}

/* --- the program's handler ---------------------------- */

static struct {
	extmem_region *region;
	uint8_t *memory;
	volatile sig_atomic_t calls, code, write, masked;
	uint8_t *volatile address;
} barrier;

/* As a garbage collector's write barrier does it. */
static void on_barrier(int number, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;
	uint64_t page = (uint64_t)(at - barrier.memory) / PAGE;
	sigset_t mask;

	barrier.calls++;
	barrier.code = info->si_code;
	barrier.address = at;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	barrier.masked = sigismember(&mask, number) == 1 &&
			 sigismember(&mask, SIGUSR1) == 0;
#ifdef __x86_64__
	barrier.write = (((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
	(void)context;
	barrier.write = 1;
#endif
	if (rights_of(barrier.region, page, 1, EXTMEM_READ_WRITE) != 0)
		_exit(3);
}

static void barrier_begin(extmem_region *region, uint8_t *memory)
{
	struct sigaction action = { .sa_sigaction = on_barrier,
				    .sa_flags = SA_SIGINFO };

	memset(&barrier, 0, sizeof(barrier));
	barrier.region = region;
	barrier.memory = memory;
	sigaction(SIGSEGV, &action, NULL);
}

static void a_handler_gives_the_right_and_the_store_is_repeated(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);

	if (x == NULL)
		return;
	pattern_fill(memory, 0, REGION, 6);
	CU_ASSERT(extmem_protect(region, 0, 0, EXTMEM_READ_ONLY) == 0);
	CU_ASSERT(pattern_is(memory, 0, REGION, 6));
	barrier_begin(region, memory);
	for (uint64_t page = 0; page < PAGES; page++) {
		uint8_t *at = memory + page * PAGE + page % PAGE;

		*(volatile uint8_t *)at = (uint8_t)~*at;
		CU_ASSERT((uint64_t)barrier.calls == page + 1);
		CU_ASSERT(barrier.address == at);
		CU_ASSERT(barrier.code == SEGV_ACCERR);
		CU_ASSERT(barrier.write && barrier.masked);
		*(volatile uint8_t *)at = (uint8_t)~*at;
	}
	CU_ASSERT(barrier.calls == PAGES);
	CU_ASSERT(pattern_is(memory, 0, REGION, 6));
	close_well(x);
}

/* --- contents ---------------------------- */

static uint8_t bytes[PAGES];	   /* of each page, all the same */
static enum extmem_rights had[PAGES];

static void touch_as_had(extmem_region *region, uint8_t *memory, uint64_t page,
			 uint8_t byte)
{
	uint8_t image[PAGE];
	int got = touch_read(memory + page * PAGE + byte);

	CU_ASSERT(got == (had[page] == EXTMEM_NO_ACCESS ? TOUCH_DENIED
							: bytes[page]));
	switch (byte % 4) {
	case 0: /* explicit calls are bound by no right */
		memset(image, byte, PAGE);
		CU_ASSERT(extmem_write(region, page * PAGE, image, PAGE) == 0);
		bytes[page] = byte;
		break;
	case 1: /* a part of a page */
		memset(image, bytes[page], 100);
		CU_ASSERT(extmem_write(region, page * PAGE + 50, image, 100) == 0);
		break;
	default:
		got = touch_write(memory + page * PAGE + byte, bytes[page]);
		CU_ASSERT(got == (had[page] == EXTMEM_READ_WRITE ? bytes[page]
								 : TOUCH_DENIED));
		if (got >= 0)
			memset(memory + page * PAGE, bytes[page] = byte, PAGE);
		break;
	}
	memset(image, 0, PAGE);
	CU_ASSERT(extmem_read(region, page * PAGE, image, PAGE) == 0);
	CU_ASSERT(image[0] == bytes[page] && memcmp(image, image + 1, PAGE - 1) == 0);
}

static void contents_stay_whatever_rights_come_and_go(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);
	struct xm_rand rand;

	if (x == NULL)
		return;
	xm_rand_seed(&rand, 12);
	memset(bytes, 0, sizeof(bytes));
	memset(had, 0, sizeof(had));
	for (unsigned turn = 0; turn < 20000; turn++) {
		uint64_t page = xm_rand_below(&rand, PAGES);
		uint64_t most = xm_rand_below(&rand, 16) == 0 ? PAGES : 32;
		uint64_t count = 1 + xm_rand_below(&rand, most);

		if (count > PAGES - page)
			count = PAGES - page;
		if (xm_rand_below(&rand, 8) == 0) {
			enum extmem_rights rights = xm_rand_below(&rand, 3);

			CU_ASSERT(rights_of(region, page, count, rights) == 0);
			for (uint64_t i = page; i < page + count; i++)
				had[i] = rights;
		} else {
			touch_as_had(region, memory, page,
				     (uint8_t)xm_rand_below(&rand, 256));
		}
	}
	CU_ASSERT(client_stats(x).evictions > PAGES);
	CU_ASSERT(extmem_protect(region, 0, 0, EXTMEM_READ_WRITE) == 0);
	for (uint64_t page = 0; page < PAGES; page++)
		CU_ASSERT(touch_read(memory + page * PAGE + 99) == bytes[page]);
	close_well(x);
}

static void rights_end_with_the_mapping_and_with_the_slab(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);
	uint64_t offset;

	if (x == NULL)
		return;
	memset(memory, 5, 4 * PAGE);
	CU_ASSERT(rights_of(region, 0, 4, EXTMEM_NO_ACCESS) == 0);
	CU_ASSERT(extmem_unmap(region, 0, 0) == 0);
	CU_ASSERT(rights_of(region, 0, 4, EXTMEM_READ_ONLY) == -EINVAL);
	CU_ASSERT(words_have("not mapped"));
	memory = map_all(region);
	CU_ASSERT(touch_read(memory) == 5);
	CU_ASSERT(touch_write(memory, 6) == 6);
	CU_ASSERT_FATAL(extmem_slab_alloc(region, 4 * PAGE, &offset) == 0);
	CU_ASSERT(extmem_protect(region, offset, 4 * PAGE, EXTMEM_NO_ACCESS) == 0);
	CU_ASSERT(extmem_slab_free(region, offset) == 0);
	CU_ASSERT(touch_read(memory + offset) == 0);
	CU_ASSERT(touch_write(memory + offset, 7) == 7);
	close_well(x);
}

/* --- the kernel ---------------------------- */

static void a_system_call_without_the_right_fails_with_efault(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);
	int ends[2];

	if (x == NULL)
		return;
	CU_ASSERT_FATAL(pipe(ends) == 0);
	memset(memory, 4, 4 * PAGE);
	CU_ASSERT(rights_of(region, 1, 1, EXTMEM_READ_ONLY) == 0);
	CU_ASSERT(rights_of(region, 2, 1, EXTMEM_NO_ACCESS) == 0);
	CU_ASSERT(write(ends[1], memory + PAGE, 10) == 10);
	CU_ASSERT(read(ends[0], memory + PAGE, 10) == -1 && errno == EFAULT);
	CU_ASSERT(read(ends[0], memory + 2 * PAGE, 10) == -1 && errno == EFAULT);
	CU_ASSERT(write(ends[1], memory + 2 * PAGE, 10) == -1 && errno == EFAULT);
	CU_ASSERT(read(ends[0], memory, 10) == 10);
	close(ends[0]);
	close(ends[1]);

	CU_ASSERT(extmem_permits(x, memory, 4 * PAGE, 0) == 2 * PAGE);
	CU_ASSERT(extmem_permits(x, memory + 5, 4 * PAGE, 1) == PAGE - 5);
	CU_ASSERT(extmem_permits(x, memory + 2 * PAGE + 1, 9, 0) == 0);
	CU_ASSERT(extmem_permits(x, memory + 3 * PAGE, 9, 1) == 9);
	CU_ASSERT(extmem_permits(x, memory, REGION, 0) == 2 * PAGE);
	CU_ASSERT(extmem_permits(x, memory + 3 * PAGE, REGION - 3 * PAGE, 1) ==
		  REGION - 3 * PAGE);
	CU_ASSERT(extmem_permits(x, ends, sizeof(ends), 1) == sizeof(ends));
	CU_ASSERT(extmem_pin(x, memory, 4 * PAGE, 0) == 2 * PAGE);
	extmem_unpin(x, memory, 2 * PAGE);
	CU_ASSERT(extmem_pin(x, memory, 4 * PAGE, 1) == PAGE);
	extmem_unpin(x, memory, PAGE);
	CU_ASSERT(extmem_pin(x, memory + PAGE, 4, 1) == -EFAULT);
	CU_ASSERT(extmem_pin(x, memory + 2 * PAGE, 4, 0) == -EFAULT);
	CU_ASSERT(words_have("has not the right"));
	close_well(x);
}

static unsigned mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	int c;

	CU_ASSERT_FATAL(f != NULL);
	while ((c = fgetc(f)) != EOF)
		count += c == '\n';
	fclose(f);
	return count;
}

static void rights_take_no_mapping_of_the_kernels(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);
	unsigned before;

	if (x == NULL)
		return;
	memset(memory, 1, REGION);
	before = mappings();
	for (uint64_t page = 0; page < PAGES; page++) {
		CU_ASSERT(rights_of(region, page, 1, page % 3) == 0);
		CU_ASSERT(touch_write(memory + page * PAGE, 1) ==
			  (page % 3 == 0 ? 1 : TOUCH_DENIED));
	}
	CU_ASSERT(mappings() <= before + 2);
	close_well(x);
}

/* --- several threads ---------------------------- */

#define TURNS 3000

static struct {
	extmem_region *region;
	atomic_ulong *words[2]; /* of two pages */
	atomic_bool ending;
	atomic_uint denied;
} both;

static void *count_up(void *argument)
{
	unsigned page = 0;

	(void)argument;
	while (!atomic_load(&both.ending)) {
		uint8_t *at = (uint8_t *)both.words[page] + 64;

		if (touch_write(at, (uint8_t)(touch_read(at) + 1)) == TOUCH_DENIED)
			atomic_fetch_add(&both.denied, 1);
		page = 1 - page;
	}
	return NULL;
}

static void no_store_comes_through_once_the_right_is_taken(void)
{
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_rights(&region, &memory);
	pthread_t threads[2];
	uint8_t image[PAGE];

	if (x == NULL)
		return;
	both.region = region;
	both.words[0] = (void *)memory;
	both.words[1] = (void *)(memory + PAGE);
	atomic_store(&both.ending, false);
	atomic_store(&both.denied, 0);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, count_up, NULL) == 0);
	for (unsigned turn = 0; turn < TURNS || atomic_load(&both.denied) == 0; turn++) {
		enum extmem_rights rights = turn % 2 == 0 ? EXTMEM_READ_ONLY
							  : EXTMEM_NO_ACCESS;
		uint8_t then;

		CU_ASSERT(rights_of(region, 0, 1, rights) == 0);
		CU_ASSERT(extmem_read(region, 64, &then, 1) == 0);
		sched_yield();
		if (turn % 5 == 0)
			CU_ASSERT(extmem_advise(region, 0, 2 * PAGE, EXTMEM_COLD) == 0);
		CU_ASSERT(extmem_read(region, 0, image, PAGE) == 0);
		CU_ASSERT(image[64] == then);
		CU_ASSERT(rights_of(region, 0, 1, EXTMEM_READ_WRITE) == 0);
	}
	atomic_store(&both.ending, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close_well(x);
}

/* --- a signal that cannot be delivered ---------------------------- */

/* As on any memory: who has the signal blocked, or ignores it, is ended by it. */
static int act_store(int argc, char **argv)
{
	extmem_region *region;
	void *memory;
	extmem *x = client_open(argv[0], "paging=inline", NULL);
	sigset_t set;

	if (argc < 2 || x == NULL ||
	    extmem_region_alloc(x, NULL, REGION, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0 ||
	    extmem_protect(region, 0, 0, EXTMEM_READ_ONLY) != 0)
		return 1;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	if (strcmp(argv[1], "ignored") == 0)
		signal(SIGSEGV, SIG_IGN);
	else if (strcmp(argv[1], "blocked") == 0)
		sigprocmask(SIG_BLOCK, &set, NULL);
	*(volatile char *)memory = 1;
	return 2;
}

static void a_signal_that_cannot_be_delivered_ends_the_process(void)
{
	static const char *const ways[] = { "default", "ignored", "blocked" };

	if (strcmp(paging, "paging=thread") == 0)
		return; /* the others have asked what there is */
	for (unsigned i = 0; i < 3; i++) {
		const char *const arguments[] = { home.address, ways[i], NULL };
		int out, status = act_wait(act_start("store", arguments, &out));

		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		close(out);
	}
}

/* --- mistakes ---------------------------- */

static void a_mistake_is_refused_in_words(void)
{
	extmem_region *region;
	extmem *x = open_small(&region);

	CU_ASSERT(rights_of(region, 0, 1, EXTMEM_READ_ONLY) == -EINVAL);
	CU_ASSERT(words_have("not mapped"));
	map_all(region);
	CU_ASSERT(extmem_protect(region, 1, PAGE, EXTMEM_READ_ONLY) == -EINVAL);
	CU_ASSERT(extmem_protect(region, 0, 1, EXTMEM_READ_ONLY) == -EINVAL);
	CU_ASSERT(words_have("multiples of 4096"));
	CU_ASSERT(rights_of(region, PAGES, 1, EXTMEM_READ_ONLY) == -ERANGE);
	CU_ASSERT(rights_of(region, 0, 1, (enum extmem_rights)3) == -EINVAL);
	CU_ASSERT(words_have("no rights have the number 3"));
	close_well(x);
}

int main(int argc, char **argv)
{
	static const CU_TestInfo tests[] = {
		XM_TEST(a_store_without_the_right_is_denied_wherever_the_page_is),
		XM_TEST(a_load_without_the_right_is_denied_wherever_the_page_is),
		XM_TEST(a_handler_gives_the_right_and_the_store_is_repeated),
		XM_TEST(contents_stay_whatever_rights_come_and_go),
		XM_TEST(rights_end_with_the_mapping_and_with_the_slab),
		XM_TEST(a_system_call_without_the_right_fails_with_efault),
		XM_TEST(rights_take_no_mapping_of_the_kernels),
		XM_TEST(no_store_comes_through_once_the_right_is_taken),
		XM_TEST(a_signal_that_cannot_be_delivered_ends_the_process),
		XM_TEST(a_mistake_is_refused_in_words),
		CU_TEST_INFO_NULL,
	};
	static const struct act acts[] = { { "store", act_store },
					   { NULL, NULL } };

	return access_run(argc, argv, tests, acts);
}
