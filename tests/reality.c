/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model and reality: random operations over real appliances, which are stopped,
 * continued, killed and begun anew meanwhile. Every outcome seen must be one
 * of sim/outcomes.c, the list that the simulator is held against, too; and
 * every byte must be right.
 *
 *	reality [-l] [-s SEED] [-t SECONDS] [ADDRESS]...
 *
 * for so long on each transport. Trouble comes by and by, as the list tells it:
 * nothing, then control is stopped, then the interface, then all is killed.
 *
 * Patient, as in `make check`, leases and deadlines are long and troubles are
 * short: how busy the machine is does not matter. With -l they are hasty, so
 * that leases end and deadlines pass, and the whole is begun again and again.
 * Then a machine that does not run us in time is a trouble of its own, which
 * is not compared.
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

struct profile {
	const char *lease, *timeout, *loss_timeout;
	unsigned scales[3]; /* of what takes a while, in ms */
};

static const struct profile patient = {
	"--lease=20s", "timeout=30s", "loss_timeout=20s", { 5, 50, 150 },
};

static const struct profile hasty = {
	"--lease=700ms", "timeout=1500ms", "loss_timeout=400ms",
	{ 5, 100, 700 },
};

static struct {
	const struct profile *profile;
	unsigned unit_ms;
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
	atomic_bool over, closed;
	atomic_int pids[2]; /* of the appliance */
	outcome_counts seen;
	uint64_t wrong, unlisted;
} r = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t below(uint64_t n)
{
	return xm_rand_below(&r.rand, n);
}

/* --- trouble ------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
	return now_ms() * XM_MS;
}

static void begins(enum outcome_trouble trouble)
{
	pthread_mutex_lock(&r.lock);
	outcome_begin(&r.watch, trouble);
	pthread_mutex_unlock(&r.lock);
}

static void ends(enum outcome_trouble trouble)
{
	pthread_mutex_lock(&r.lock);
	outcome_end(&r.watch, trouble, now_ns());
	pthread_mutex_unlock(&r.lock);
}

static unsigned a_while(void)
{
	uint64_t scale = r.profile->scales[xm_rand_below(&r.trouble_rand, 3)];

	return 1 + (unsigned)xm_rand_below(&r.trouble_rand, 2 * scale);
}

static bool begin_appliance(void)
{
	const char *more[] = { r.profile->lease, NULL };
	bool begun = appliance_start(&r.appliance,
				     r.address[0] != '\0' ? r.address
							  : r.listen,
				     "4M", more);

	atomic_store(&r.pids[0], begun ? r.appliance.control : 0);
	atomic_store(&r.pids[1], begun ? r.appliance.interface : 0);
	return begun;
}

static void stop(enum outcome_trouble trouble, enum part part)
{
	begins(trouble);
	appliance_signal(&r.appliance, part, SIGSTOP);
	sleep_ms(a_while());
	appliance_signal(&r.appliance, part, SIGCONT);
	ends(trouble);
}

static void kill_and_begin(void)
{
	begins(OUTCOME_KILLED);
	appliance_kill(&r.appliance);
	sleep_ms(a_while());
	while (!begin_appliance() && !atomic_load(&r.over))
		sleep_ms(100);
	ends(OUTCOME_KILLED);
}

/* One trouble that is no worse than this. */
static void one_trouble(enum outcome_trouble worst)
{
	uint64_t roll = xm_rand_below(&r.trouble_rand, 4);

	sleep_ms(a_while());
	if (worst == OUTCOME_CALM)
		return;
	if (worst == OUTCOME_KILLED && roll < 2)
		kill_and_begin();
	else if (worst >= OUTCOME_INTERFACE_STOPPED && roll < 3)
		stop(OUTCOME_INTERFACE_STOPPED,
		     roll == 0 ? PART_BOTH : PART_INTERFACE);
	else
		stop(OUTCOME_CONTROL_STOPPED, PART_CONTROL);
}

static void *trouble(void *argument)
{
	/* What is worse has more to show, and takes longer to get over. */
	static const unsigned units[OUTCOME_OTHER] = { 1, 1, 2, 4 };

	(void)argument;
	while (!atomic_load(&r.over)) {
		for (unsigned worst = 0; worst < OUTCOME_OTHER; worst++) {
			uint64_t end_ms = now_ms() + units[worst] * r.unit_ms;

			while (now_ms() < end_ms && !atomic_load(&r.over))
				one_trouble((enum outcome_trouble)worst);
		}
		/* Until it has settled, and a region is taken in calm. */
		for (unsigned i = 0; i < 60 && !atomic_load(&r.over); i++)
			sleep_ms(100);
	}
	/* What this thread began dies with it. */
	while (!atomic_load(&r.closed))
		sleep_ms(10);
	return NULL;
}

/* How long a process has stood in line for a processor, in all; 0: unknown. */
static uint64_t waited_ns(int pid)
{
	char path[64], text[96] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	return strchr(text, ' ') == NULL
		       ? 0
		       : strtoull(strchr(text, ' '), NULL, 10);
}

#define LOOK_MS 50
#define STARVED_MS 30 /* of them */

/* True when one of us, or of the appliance, was not run in time. */
static bool starved(void)
{
	static int pids[3];
	static uint64_t waited[3];
	int now[3] = { getpid(), atomic_load(&r.pids[0]),
		       atomic_load(&r.pids[1]) };
	bool any = false;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t ns = waited_ns(now[i]);

		any |= now[i] == pids[i] && ns > waited[i] &&
		       ns - waited[i] > STARVED_MS * XM_MS;
		pids[i] = now[i];
		waited[i] = ns;
	}
	return any;
}

static void *watch(void *argument)
{
	uint64_t last_ms = now_ms();

	(void)argument;
	while (!atomic_load(&r.over)) {
		sleep_ms(LOOK_MS);
		if (r.profile == &hasty &&
		    (now_ms() - last_ms > LOOK_MS + STARVED_MS || starved())) {
			begins(OUTCOME_OTHER);
			ends(OUTCOME_OTHER);
		}
		last_ms = now_ms();
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
		outcome_taken(&r.watch, now_ns());
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
	pthread_t threads[2];

	r.listen = listen;
	r.address[0] = '\0';
	memset(&r.watch, 0, sizeof(r.watch));
	atomic_store(&r.over, false);
	atomic_store(&r.closed, false);
	xm_rand_seed(&r.rand, seed);
	xm_rand_split(&r.rand, "trouble", 0, &r.trouble_rand);
	if (!begin_appliance())
		return false;
	snprintf(r.address, sizeof(r.address), "%s", r.appliance.address);
	r.x = client_open(r.address, "local=1M", r.profile->timeout,
			  r.profile->loss_timeout, NULL);
	if (r.x == NULL ||
	    pthread_create(&threads[0], NULL, trouble, NULL) != 0 ||
	    pthread_create(&threads[1], NULL, watch, NULL) != 0)
		return false;
	while (now_ms() < end_ms)
		operate();
	atomic_store(&r.over, true);
	if (r.region != NULL)
		give();
	extmem_close(r.x);
	atomic_store(&r.closed, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
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
	unsigned seconds = 12, passed = 0, failed = 0;
	int flag;

	act_begin(argc, argv, acts);
	r.profile = &patient;
	while ((flag = getopt(argc, argv, "ls:t:")) != -1) {
		if (flag == 'l')
			r.profile = &hasty;
		else if (flag == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (flag == 't')
			seconds = (unsigned)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	r.unit_ms = r.profile == &hasty ? 2000 : 125 * seconds;
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
