/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model and reality: random operations over real appliances, which are stopped,
 * continued, killed and begun anew meanwhile. Every outcome seen must be one
 * of sim/outcomes.c, the list that the simulator is held against, too; and
 * every byte must be right.
 *
 *	reality [-s SEED] [-t SECONDS] [ADDRESS]...
 *
 * for so long on each transport. What happens when is the scheduler's to say:
 * a seed draws the same operations, not the same story.
 */
#include "appliance.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "outcomes.h"
#include "rand.h"

#define POOL_PAGES 1024
#define WORD 2040 /* where in its page the watched word is */

static struct {
	struct xm_rand rand, trouble_rand;
	struct appliance appliance;
	const char *listen;
	char address[128];
	extmem *x;
	extmem_region *region;
	uint8_t *memory;
	uint64_t pages, stamp;
	uint64_t words[POOL_PAGES], maybe[POOL_PAGES]; /* either of them */
	bool lost;
	/* shared with the thread that makes trouble */
	pthread_mutex_t lock;
	struct outcome_watch watch;
	atomic_bool over;
	outcome_counts seen;
	uint64_t wrong, unlisted;
} r = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t below(uint64_t n)
{
	return xm_rand_below(&r.rand, n);
}

/* --- trouble ------------------------------------------------------------------------ */

static void begins(enum outcome_trouble trouble)
{
	pthread_mutex_lock(&r.lock);
	outcome_begin(&r.watch, trouble);
	pthread_mutex_unlock(&r.lock);
}

static void ends(enum outcome_trouble trouble)
{
	pthread_mutex_lock(&r.lock);
	outcome_end(&r.watch, trouble);
	pthread_mutex_unlock(&r.lock);
}

static unsigned a_while(void)
{
	static const unsigned scales[] = { 5, 100, 700 };

	return 1 + (unsigned)xm_rand_below(
		&r.trouble_rand, 2 * scales[xm_rand_below(&r.trouble_rand, 3)]);
}

static bool begin_appliance(void)
{
	const char *more[] = { "--lease=700ms", NULL };

	return appliance_start(&r.appliance,
			       r.address[0] != '\0' ? r.address : r.listen,
			       "4M", more);
}

static void stop(enum outcome_trouble trouble, enum part part)
{
	begins(trouble);
	appliance_signal(&r.appliance, part, SIGSTOP);
	sleep_ms(a_while());
	appliance_signal(&r.appliance, part, SIGCONT);
	ends(trouble);
}

static void *trouble(void *argument)
{
	(void)argument;
	while (!atomic_load(&r.over)) {
		sleep_ms(a_while());
		switch (xm_rand_below(&r.trouble_rand, 6)) {
		case 0:
			stop(OUTCOME_CONTROL_STOPPED, PART_CONTROL);
			break;
		case 1:
		case 2:
			stop(OUTCOME_INTERFACE_STOPPED, PART_INTERFACE);
			break;
		case 3:
			stop(OUTCOME_INTERFACE_STOPPED, PART_BOTH);
			break;
		case 4:
			begins(OUTCOME_KILLED);
			appliance_kill(&r.appliance);
			sleep_ms(a_while());
			while (!begin_appliance() && !atomic_load(&r.over))
				sleep_ms(100);
			ends(OUTCOME_KILLED);
			break;
		default:
			sleep_ms(500); /* and nothing */
		}
	}
	return NULL;
}

/* --- operations ----------------------------------------------------------------------- */

static void count(enum outcome_call call, enum outcome_result result)
{
	enum outcome_trouble worst;

	pthread_mutex_lock(&r.lock);
	worst = outcome_worst(&r.watch);
	if (call == OUTCOME_TAKE && result == OUTCOME_OK)
		outcome_taken(&r.watch);
	pthread_mutex_unlock(&r.lock);
	r.seen[call][worst][result]++;
	if (outcome_listed(call, worst, result))
		return;
	r.unlisted++;
	printf("not in the list: %s while %s: %s: %s\n",
	       outcome_call_name(call), outcome_trouble_name(worst),
	       outcome_result_name(result),
	       result == OUTCOME_OK || result == OUTCOME_SIGBUS
		       ? ""
		       : extmem_error());
}

static bool call(enum outcome_call which, int rc)
{
	count(which, outcome_result(rc));
	if (rc == -ESTALE)
		r.lost = true;
	return rc >= 0;
}

static void check(uint64_t page, uint64_t got, const char *how)
{
	if (got == r.words[page] || got == r.maybe[page]) {
		r.words[page] = r.maybe[page] = got;
		return;
	}
	r.wrong++;
	printf("%s page %llu: %llx, neither %llx nor %llx\n", how,
	       (unsigned long long)page, (unsigned long long)got,
	       (unsigned long long)r.words[page],
	       (unsigned long long)r.maybe[page]);
}

static uint64_t *word_at(uint64_t page)
{
	return (uint64_t *)(void *)(r.memory + page * PAGE + WORD);
}

/* The touched byte's page stays, as no other thread needs room. */
static void op_load(uint64_t page)
{
	bool here = touch_read(r.memory + page * PAGE + WORD) >= 0;

	count(OUTCOME_LOAD, here ? OUTCOME_OK : OUTCOME_SIGBUS);
	if (here)
		check(page, *word_at(page), "loaded");
	else
		r.lost = true;
}

static void op_store(uint64_t page)
{
	volatile uint8_t *other = r.memory + page * PAGE;
	bool here = touch_write(other, 1) >= 0;

	count(OUTCOME_STORE, here ? OUTCOME_OK : OUTCOME_SIGBUS);
	if (!here) {
		r.lost = true;
		return;
	}
	*word_at(page) = r.words[page] = r.maybe[page] = ++r.stamp;
}

static void op_read(uint64_t page, uint64_t pages)
{
	static uint8_t bytes[8 * PAGE];
	uint64_t got;

	if (!call(OUTCOME_READ, extmem_read(r.region, page * PAGE, bytes,
					    pages * PAGE)))
		return;
	for (uint64_t i = 0; i < pages; i++) {
		memcpy(&got, bytes + i * PAGE + WORD, sizeof(got));
		check(page + i, got, "read");
	}
}

static void op_write(uint64_t page, uint64_t pages)
{
	static uint8_t bytes[8 * PAGE];
	bool done;

	for (uint64_t i = 0; i < pages; i++) {
		if (r.words[page + i] != r.maybe[page + i])
			return; /* settle that first */
		r.maybe[page + i] = ++r.stamp;
		memcpy(bytes + i * PAGE + WORD, &r.stamp, sizeof(r.stamp));
	}
	done = call(OUTCOME_WRITE, extmem_write(r.region, page * PAGE, bytes,
						pages * PAGE));
	for (uint64_t i = 0; done && i < pages; i++)
		r.words[page + i] = r.maybe[page + i];
}

static void op_resize(void)
{
	uint64_t size = (1 + below(POOL_PAGES / 16)) * 16 * PAGE;
	uint64_t pages = extmem_region_size(r.region) / PAGE;

	call(OUTCOME_RESIZE, extmem_region_resize(r.region, size));
	r.pages = extmem_region_size(r.region) / PAGE;
	if (pages > r.pages)
		pages = r.pages;
	memset(r.words + pages, 0, (POOL_PAGES - pages) * 8);
	memset(r.maybe + pages, 0, (POOL_PAGES - pages) * 8);
}

static void give(void)
{
	call(OUTCOME_GIVE, extmem_region_give(r.region));
	r.region = NULL;
}

static void take(void)
{
	uint64_t size = (1 + below(POOL_PAGES / 14)) * 16 * PAGE;
	void *memory;

	if (!call(OUTCOME_TAKE, extmem_region_take(r.x, "reality", size,
						   &r.region)))
		return;
	r.lost = false;
	r.pages = size / PAGE;
	memset(r.words, 0, sizeof(r.words));
	memset(r.maybe, 0, sizeof(r.maybe));
	if (extmem_map(r.region, 0, 0, &memory) != 0)
		give();
	else
		r.memory = memory;
}

static void operate(void)
{
	uint64_t page, pages, roll = below(100);

	if (r.region != NULL && (r.lost || roll == 0))
		give();
	if (r.region == NULL) {
		take();
		if (r.region == NULL)
			sleep_ms(10);
		return;
	}
	page = below(r.pages);
	pages = 1 + below(xm_min(8, r.pages - page));
	if (roll < 35)
		op_load(page);
	else if (roll < 70)
		op_store(page);
	else if (roll < 80)
		op_read(page, pages);
	else if (roll < 90)
		op_write(page, pages);
	else if (roll < 98)
		call(OUTCOME_SYNC, extmem_sync(r.region, 0, 0));
	else
		op_resize();
	if (below(10) == 0)
		sleep_ms((unsigned)below(10));
}

/* --- the whole ---------------------------------------------------------------------------- */

static bool live(const char *listen, uint64_t seed, unsigned seconds)
{
	uint64_t end_ms = now_ms() + seconds * 1000;
	pthread_t thread;

	r.listen = listen;
	r.address[0] = '\0';
	memset(&r.watch, 0, sizeof(r.watch));
	atomic_store(&r.over, false);
	xm_rand_seed(&r.rand, seed);
	xm_rand_split(&r.rand, "trouble", 0, &r.trouble_rand);
	if (!begin_appliance())
		return false;
	snprintf(r.address, sizeof(r.address), "%s", r.appliance.address);
	r.x = client_open(r.address, "local=1M", "timeout=1500ms",
			  "loss_timeout=400ms", NULL);
	if (r.x == NULL || pthread_create(&thread, NULL, trouble, NULL) != 0)
		return false;
	while (now_ms() < end_ms)
		operate();
	atomic_store(&r.over, true);
	pthread_join(thread, NULL);
	if (r.region != NULL)
		give();
	extmem_close(r.x);
	appliance_kill(&r.appliance);
	return true;
}

static void print_seen(void)
{
	for (unsigned c = 0; c < OUTCOME_CALLS; c++) {
		for (unsigned t = 0; t < OUTCOME_TROUBLES; t++) {
			for (unsigned i = 0; i < OUTCOME_RESULTS; i++) {
				if (r.seen[c][t][i] == 0)
					continue;
				printf("%-8s %-18s %-12s %llu\n",
				       outcome_call_name(c),
				       outcome_trouble_name(t),
				       outcome_result_name(i),
				       (unsigned long long)r.seen[c][t][i]);
			}
		}
	}
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { 0 } };
	const char *usual[] = { LOOPBACK, SHARED, NULL };
	const char **listen = usual;
	uint64_t seed = (uint64_t)time(NULL);
	unsigned seconds = 4, passed = 0, failed = 0;
	int flag;

	act_begin(argc, argv, acts);
	while ((flag = getopt(argc, argv, "s:t:")) != -1) {
		if (flag == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (flag == 't')
			seconds = (unsigned)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind < argc)
		listen = (const char **)(void *)(argv + optind);
	printf("seed %llu\n", (unsigned long long)seed);
	setvbuf(stdout, NULL, _IOLBF, 0);
	touch_begin();
	for (; *listen != NULL; listen++) {
		bool lived = live(*listen, seed, seconds);

		if (lived && r.wrong == 0 && r.unlisted == 0)
			passed++;
		else
			failed++;
		if (!lived)
			printf("%s: no appliance or no client\n", *listen);
		r.wrong = r.unlisted = 0;
	}
	print_seen();
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
