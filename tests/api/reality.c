/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model and reality: the simulator's own programs of random operations
 * (sim/workload.c, by seeds as there) over real appliances, which are stopped,
 * continued, killed and begun anew meanwhile. Every outcome seen must be one
 * of sim/outcomes.c, the list that the simulator is held against, too; every
 * byte must be right, every call return by its deadline, and in the end, when
 * nothing is stopped any more, every page be there or lost in so many words.
 *
 *	reality [-l] [-s SEED] [-t SECONDS] [ADDRESS]...
 *
 * for so long on each transport, one seed after the other. Trouble comes by and
 * by, as the list tells it: nothing, then control is stopped, then the
 * interface, then all is killed.
 *
 * Patient, as in `make check`, leases and deadlines are long and troubles are
 * short: how busy the machine is does not matter. With -l they are hasty, so
 * that leases end and deadlines pass, and the whole is begun again and again.
 * Then a machine that does not run us in time is a trouble of its own, which
 * is not compared.
 */
#include "tests/support/appliance.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/rand.h"
#include "tests/api/reality.h"

#define POOL "4M" /* REALITY_POOL */

struct profile {
	const char *lease;
	unsigned timeout_ms, loss_ms;
	unsigned scales[3]; /* of what takes a while, in ms */
};

static const struct profile patient = {
	"--lease=20s", 30000, 20000, { 5, 50, 150 },
};

static const struct profile hasty = {
	"--lease=700ms", 1500, 400, { 5, 100, 700 },
};

static struct {
	const struct profile *profile;
	char address[128];
	unsigned unit_ms;
	struct xm_rand trouble_rand;
	struct appliance appliance;
	const char *listen;
	atomic_bool over, calm, closed;
	atomic_int pids[2]; /* of the appliance */
} r;

/* --- trouble ------------------------------------------------------------------------ */

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
				     POOL, more);

	atomic_store(&r.pids[0], begun ? r.appliance.control : 0);
	atomic_store(&r.pids[1], begun ? r.appliance.interface : 0);
	return begun;
}

static void stop(enum outcome_trouble trouble, enum part part)
{
	reality_begins(trouble);
	appliance_signal(&r.appliance, part, SIGSTOP);
	sleep_ms(a_while());
	appliance_signal(&r.appliance, part, SIGCONT);
	reality_ends(trouble);
}

static void kill_and_begin(void)
{
	reality_begins(OUTCOME_KILLED);
	appliance_kill(&r.appliance);
	sleep_ms(a_while());
	/* At its old address, which may be another's for a moment. */
	for (unsigned i = 0; !begin_appliance(); i++) {
		if (i == 300) {
			printf("no appliance begins again at %s\n", r.address);
			exit(1);
		}
		sleep_ms(100);
	}
	reality_ends(OUTCOME_KILLED);
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
	atomic_store(&r.calm, true);
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

/* How long the one of us, or of the appliance, that waited the most was not run. */
static uint64_t starved_ns(void)
{
	static int pids[3];
	static uint64_t waited[3];
	int now[3] = { getpid(), atomic_load(&r.pids[0]),
		       atomic_load(&r.pids[1]) };
	uint64_t most_ns = 0;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t ns = waited_ns(now[i]);

		if (now[i] == pids[i] && ns > waited[i])
			most_ns = xm_max(most_ns, ns - waited[i]);
		pids[i] = now[i];
		waited[i] = ns;
	}
	return most_ns;
}

static void *watch(void *argument)
{
	uint64_t last_ms = now_ms();

	(void)argument;
	while (!atomic_load(&r.closed)) {
		uint64_t now, ns;

		sleep_ms(LOOK_MS);
		now = now_ms();
		ns = starved_ns();
		if (now - last_ms > LOOK_MS)
			ns = xm_max(ns, (now - last_ms - LOOK_MS) * XM_MS);
		last_ms = now;
		if (ns <= STARVED_MS * XM_MS)
			continue;
		reality_starved(ns);
		if (r.profile == &hasty) {
			reality_begins(OUTCOME_OTHER);
			reality_ends(OUTCOME_OTHER);
		}
	}
	return NULL;
}

/* --- the whole ---------------------------------------------------------------------------- */

static bool live(const char *listen, uint64_t seed, unsigned seconds)
{
	uint64_t end_ms = now_ms() + seconds * 1000;
	pthread_t threads[2];
	struct xm_rand rand;

	r.listen = listen;
	r.address[0] = '\0';
	atomic_store(&r.over, false);
	atomic_store(&r.calm, false);
	atomic_store(&r.closed, false);
	xm_rand_seed(&rand, seed);
	xm_rand_split(&rand, "trouble", 0, &r.trouble_rand);
	if (!begin_appliance())
		return false;
	snprintf(r.address, sizeof(r.address), "%s",
		 r.appliance.address);
	if (!reality_open(r.address, r.profile->timeout_ms,
			  r.profile->loss_ms) ||
	    pthread_create(&threads[0], NULL, trouble, NULL) != 0 ||
	    pthread_create(&threads[1], NULL, watch, NULL) != 0)
		return false;
	while (now_ms() < end_ms)
		reality_live(seed++, end_ms);
	atomic_store(&r.over, true);
	while (!atomic_load(&r.calm))
		sleep_ms(10);
	reality_finish();
	atomic_store(&r.closed, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	appliance_kill(&r.appliance);
	return true;
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
		uint64_t unlisted = reality_unlisted();
		bool lived = live(*listen, seed, seconds);

		if (lived && reality_unlisted() == unlisted)
			passed++;
		else
			failed++;
		if (!lived)
			printf("%s: no appliance or no client\n", *listen);
	}
	reality_print();
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
