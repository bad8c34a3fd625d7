/* SPDX-License-Identifier: BSD-3-Clause */
/* Working sets, and the ground under the figures; see bench.h. */
#include "bench/bench.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/alone.h"
#include "bench/net.h"
#include "bench/ranks.h"

#define LOCAL_ALONE (64 * BENCH_MIB)
#define SETTINGS_MAX 96
#define SETTING_SIZE 192

/* --- clients ------------------------------------------------------------------------- */

struct settings_list {
	const char *items[SETTINGS_MAX + 1]; /* NULL-ended */
	char texts[SETTINGS_MAX][SETTING_SIZE];
	size_t count;
};

static void add(struct settings_list *list, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct settings_list *list, const char *format, ...)
{
	va_list arguments;

	if (list->count == SETTINGS_MAX)
		bench_fail("more than %d settings", SETTINGS_MAX);
	va_start(arguments, format);
	vsnprintf(list->texts[list->count], SETTING_SIZE, format, arguments);
	va_end(arguments);
	list->items[list->count] = list->texts[list->count];
	list->count++;
}

static void connect_client(struct bench_client *c)
{
	const struct bench_common *common = c->bench->common;
	struct settings_list *list = bench_calloc(1, sizeof(*list));

	for (int i = 0; i < c->bench->appliances; i++)
		add(list, "appliance=%s", c->bench->addresses[i]);
	add(list, "local=%llu", (unsigned long long)c->local_bytes);
	add(list, "lanes=%llu", (unsigned long long)common->lanes);
	add(list, "prefetch=%llu", (unsigned long long)common->prefetch);
	add(list, "paging=%s", common->paging);
	if (strcmp(common->polling, "adaptive") != 0)
		add(list, "polling=%s", common->polling);
	for (size_t i = 0; i < common->setting.count; i++)
		add(list, "%s", common->setting.items[i]);
	if (extmem_open(list->items, &c->x) < 0)
		bench_fail("%s", extmem_error());
	free(list);
	c->info.size = sizeof(c->info);
	if (extmem_info(c->x, 0, &c->info) < 0)
		bench_fail("%s", extmem_error());
}

/* Bytes at the appliances that are on their way to be free. */
static uint64_t soon_free(const struct bench *b)
{
	struct extmem_status status = { .size = sizeof(status) };
	uint64_t sum = 0;

	for (int i = 0; i < b->appliances; i++) {
		if (extmem_status(b->addresses[i], 5000, &status) == 0)
			sum += status.quarantined;
	}
	return sum;
}

extmem_region *bench_take(struct bench_client *c, const char *name,
			  uint64_t size)
{
	const struct timespec nap = { .tv_nsec = 5000000 };
	double until = bench_now_us() + 60e6;
	extmem_region *region;
	bool waits = true;

	for (;;) {
		int rc = extmem_region_alloc(c->x, name, size, &region);

		if (rc == 0)
			return region;
		/* Once more after nothing is on its way: it may have arrived
		 * between the two questions. */
		if (rc != -ENOSPC || !waits || bench_now_us() > until)
			bench_fail("%s", extmem_error());
		waits = soon_free(c->bench) > 0;
		nanosleep(&nap, NULL);
	}
}

static uint64_t local_of(uint64_t size, double local_pct, uint64_t lanes)
{
	if (size == 0)
		return LOCAL_ALONE;
	if (local_pct < 100)
		return (uint64_t)((double)size * local_pct / 100);
	/* All of it stays: room for what a lane keeps for pages on their way,
	 * and for shares of lanes that are not equal. */
	return size + size / 4 + lanes * 16 * BENCH_MIB;
}

/* --- memory that is lost ------------------------------------------------------------- */

#define OPEN_MAX 8

/* What a touch may find lost. Set by the main thread. */
static struct lent {
	extmem *x; /* NULL: free */
	const char *name;
	uintptr_t at, size;
} lents[OPEN_MAX];

static void lent_add(const struct bench_client *c)
{
	unsigned i = 0;

	while (i < OPEN_MAX && lents[i].x != NULL)
		i++;
	if (i < OPEN_MAX)
		lents[i] = (struct lent){ c->x, c->bench->name,
					  (uintptr_t)c->memory, c->size };
}

static void lent_remove(const extmem *x)
{
	for (unsigned i = 0; i < OPEN_MAX; i++) {
		if (lents[i].x == x)
			lents[i].x = NULL;
	}
}

/* The library hands on to this what it cannot serve. The instruction that touched
 * the page can be left at any place but within the library, so that words can
 * be made here. */
static void on_lost(int number, siginfo_t *info, void *context)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;
	uintptr_t at = (uintptr_t)info->si_addr;

	(void)context;
	for (unsigned i = 0; i < OPEN_MAX; i++) {
		const struct lent *l = &lents[i];
		const char *why = l->x != NULL ? extmem_lost(l->x) : "";

		if (l->x == NULL || at - l->at >= l->size)
			continue;
		while (atomic_flag_test_and_set(&said))
			pause(); /* another thread ends all */
		bench_fail("byte %llu of the memory of %s is lost: %.*s",
			   (unsigned long long)(at - l->at), l->name,
			   (int)strcspn(why, "\n"), why);
	}
	/* Not ours: the instruction runs again, and this ends the process. */
	signal(number, SIG_DFL);
}

static void await_losses(void)
{
	const struct sigaction action = { .sa_sigaction = on_lost,
					  .sa_flags = SA_SIGINFO };
	static bool done;

	if (!done && sigaction(SIGBUS, &action, NULL) != 0)
		bench_fail("sigaction: %s", strerror(errno));
	done = true;
}

void bench_open(struct bench *b, uint64_t size, double local_pct,
		struct bench_client *ret)
{
	struct bench_client c = { .bench = b, .local_pct = local_pct };

	c.t_net_us = c.f_us = c.fresh_us = c.B_net_MBps = NAN;
	c.t_net_by = "none";
	c.size = (size + BENCH_PAGE - 1) / BENCH_PAGE * BENCH_PAGE;
	if (local_pct <= BENCH_ORDINARY) {
		if (c.size > 0)
			c.memory = mmap(NULL, c.size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c.memory == MAP_FAILED)
			bench_fail("no %llu bytes of ordinary memory",
				   (unsigned long long)c.size);
		*ret = c;
		return;
	}
	c.local_bytes = local_of(c.size, local_pct, b->common->lanes);
	await_losses();
	connect_client(&c);
	if (c.size > 0) {
		c.region = bench_take(&c, b->name, c.size);
		if (extmem_map(c.region, 0, 0, &c.memory) < 0)
			bench_fail("%s", extmem_error());
		lent_add(&c);
	}
	*ret = c;
}

void bench_close(struct bench_client *c)
{
	lent_remove(c->x);
	if (c->x == NULL)
		munmap(c->memory, c->size);
	else if (extmem_close(c->x) < 0)
		bench_fail("%s", extmem_error());
	c->x = NULL;
	c->region = NULL;
	c->memory = NULL;
}

/* --- the ground -------------------------------------------------------------------------- */

/* The raw call is the measure: a fault that is compared with the library's own
 * explicit read would look the better the slower that is. It stands in where
 * there is no raw call. */

#define NET_SIZE (64 * BENCH_MIB)
#define NET_US 100e3 /* as many samples as are wanted, or as fit in that */
#define RATE_US 40e3
#define FRESH_SIZE (16 * BENCH_MIB)

static double measure_t_net(extmem_region *region)
{
	enum { TIMES = 5000, LEAST = 200 };
	static double took[TIMES];
	static char page[BENCH_PAGE];
	uint64_t random = UINT64_C(88172645463325252);
	double until = bench_now_us() + NET_US;
	size_t i;

	for (i = 0; i < TIMES && (i < LEAST || bench_now_us() < until); i++) {
		uint64_t at = bench_below(&random, NET_SIZE / BENCH_PAGE);
		double began = bench_now_us();

		if (extmem_read(region, at * BENCH_PAGE, page,
				BENCH_PAGE) < 0)
			bench_fail("%s", extmem_error());
		took[i] = bench_now_us() - began;
	}
	return bench_permille(took, i, 500);
}

/* MB/s with `depth` reads of `bytes` under way. */
static double read_rate(extmem *x, extmem_region *region, char *buffer,
			uint64_t bytes, unsigned depth)
{
	const uint64_t least = 2 * depth;
	struct extmem_completion done[16];
	uint64_t begun = 0, ended = 0;
	double began = bench_now_us(), now = began;

	for (;;) {
		bool over = begun >= least && now - began >= RATE_US;

		if (over && ended == begun)
			break;
		while (!over && begun - ended < depth) {
			int rc = extmem_read_start(
				region, begun * bytes % NET_SIZE,
				buffer + begun % depth * bytes, bytes, NULL);

			if (rc == -EAGAIN)
				break;
			if (rc < 0)
				bench_fail("%s", extmem_error());
			begun++;
		}
		int n = extmem_wait(x, done, 16, 10000);

		if (n < 0)
			bench_fail("%s", extmem_error());
		for (int i = 0; i < n; i++) {
			if (done[i].status != 0)
				bench_fail("a read failed: %s",
					   strerror(-done[i].status));
		}
		ended += (uint64_t)n;
		now = bench_now_us();
	}
	return (double)(ended * bytes) / (now - began);
}

static double measure_B_net(extmem *x, extmem_region *region)
{
	static const uint64_t sizes[] = { 64 << 10, 256 << 10, 1 << 20 };
	static const unsigned depths[] = { 1, 4 };
	const size_t room = 4 << 20;
	char *buffer = mmap(NULL, room, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	double best = 0;

	if (buffer == MAP_FAILED)
		bench_fail("out of memory");
	if (extmem_register(x, buffer, room) < 0)
		bench_fail("%s", extmem_error());
	for (size_t i = 0; i < XM_COUNT(sizes); i++) {
		for (size_t j = 0; j < XM_COUNT(depths); j++) {
			double rate = read_rate(x, region, buffer, sizes[i],
						depths[j]);

			best = rate > best ? rate : best;
		}
	}
	if (extmem_deregister(x, buffer, room) < 0)
		bench_fail("%s", extmem_error());
	munmap(buffer, room);
	return best;
}

/* A fault of the client's own that needs no network: fresh pages, in an order
 * that no stream is seen in. */
static double measure_fresh(extmem_region *region)
{
	enum { TIMES = 500 };
	static double took[TIMES];
	volatile char *memory;
	void *at;

	if (extmem_map(region, 0, 0, &at) < 0 ||
	    extmem_advise(region, 0, 0, EXTMEM_RANDOM) < 0)
		bench_fail("%s", extmem_error());
	memory = at;
	for (int i = 0; i < TIMES; i++) {
		double began = bench_now_us();

		(void)memory[(size_t)i * 4 * BENCH_PAGE];
		took[i] = bench_now_us() - began;
	}
	return bench_permille(took, TIMES, 500);
}

static double measure_f(void)
{
	struct alone floor;
	char answer[64];
	double f_us = NAN;

	if (alone_start(&floor, "floor", "", NULL) &&
	    alone_ask(&floor, "f", answer, sizeof(answer)))
		f_us = strtod(answer, NULL);
	alone_stop(&floor);
	return f_us;
}

static void measure_net(struct bench_client *c)
{
	struct {
		bool known;
		double t_net_us, B_net_MBps;
	} raw = { false, NAN, NAN };
	extmem_region *net;

	if (c->bench->client == 0)
		raw.known = !c->bench->common->no_raw &&
			    net_start(c) == NULL &&
			    net_ground(&raw.t_net_us, &raw.B_net_MBps);
	ranks_tell_clients(&raw, sizeof(raw));
	c->t_net_by = raw.known ? "raw" : "library";
	c->t_net_us = raw.t_net_us;
	c->B_net_MBps = raw.B_net_MBps;
	if (raw.known)
		return;
	net = bench_take(c, "t_net", NET_SIZE);
	bench_meet(c->bench);
	c->t_net_us = measure_t_net(net);
	c->B_net_MBps = measure_B_net(c->x, net);
	if (extmem_region_free(net) < 0)
		bench_fail("%s", extmem_error());
}

void bench_ground(struct bench_client *c)
{
	extmem_region *fresh;

	if (c->x == NULL)
		return;
	measure_net(c);
	fresh = bench_take(c, "fresh", FRESH_SIZE);
	bench_meet(c->bench);
	c->fresh_us = measure_fresh(fresh);
	c->f_us = measure_f();
	if (extmem_region_free(fresh) < 0)
		bench_fail("%s", extmem_error());
}

/* --- around what is measured ---------------------------------------------------------------- */

/* Of a page moved in or out by the kernel's swapping, system-wide. */
static void swapped(uint64_t *ret_in, uint64_t *ret_out)
{
	FILE *file = fopen("/proc/vmstat", "re");
	unsigned long long value;
	char name[64];

	while (file != NULL && fscanf(file, "%63s %llu", name, &value) == 2) {
		if (strcmp(name, "pswpin") == 0)
			*ret_in = value;
		else if (strcmp(name, "pswpout") == 0)
			*ret_out = value;
	}
	if (file != NULL)
		fclose(file);
}

static void stats_of(struct bench_client *c, struct extmem_stats *ret)
{
	struct rusage usage;

	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	if (c->x != NULL && extmem_stats(c->x, ret) < 0)
		bench_fail("%s", extmem_error());
	if (c->x != NULL || getrusage(RUSAGE_SELF, &usage) != 0)
		return;
	ret->misses = (uint64_t)usage.ru_majflt;
	ret->faults = (uint64_t)(usage.ru_minflt + usage.ru_majflt);
	swapped(&ret->pages_read, &ret->pages_written);
}

void bench_start(struct bench_client *c)
{
	stats_of(c, &c->before);
	bench_meet(c->bench);
	c->began_us = bench_now_us();
}

/* All members but the states (limits, what is alive) are counts that grow. */
void bench_stop(struct bench_client *c)
{
	const struct extmem_stats *from = &c->before;
	struct extmem_stats *to = &c->used;

	c->took_us = bench_now_us() - c->began_us;
	stats_of(c, to);
	to->faults -= from->faults;
	to->faults_write -= from->faults_write;
	to->misses -= from->misses;
	to->zero_fills -= from->zero_fills;
	to->pages_read -= from->pages_read;
	to->pages_written -= from->pages_written;
	to->bytes_read -= from->bytes_read;
	to->bytes_written -= from->bytes_written;
	to->evictions -= from->evictions;
	to->prefetched -= from->prefetched;
	to->prefetched_wasted -= from->prefetched_wasted;
	to->reads -= from->reads;
	to->writes -= from->writes;
	to->messages -= from->messages;
	to->reconnects -= from->reconnects;
	to->pages_lost -= from->pages_lost;
	for (int i = 0; i < EXTMEM_LATENCY_BUCKETS; i++)
		to->latency[i] -= from->latency[i];
}

struct crew {
	void (*work)(void *argument, unsigned thread);
	void *argument;
	pthread_barrier_t gate;
};

struct worker {
	struct crew *crew;
	unsigned thread;
	pthread_t id;
	double began_us, ended_us;
};

static void *work(void *argument)
{
	struct worker *w = argument;

	pthread_barrier_wait(&w->crew->gate);
	w->began_us = bench_now_us();
	w->crew->work(w->crew->argument, w->thread);
	w->ended_us = bench_now_us();
	pthread_barrier_wait(&w->crew->gate);
	return NULL;
}

void bench_threads(struct bench_client *c, unsigned count,
		   void (*function)(void *argument, unsigned thread),
		   void *argument)
{
	struct crew crew = { .work = function, .argument = argument };
	struct worker *workers;
	double began = INFINITY, ended = 0;

	if (count == 1) {
		bench_start(c);
		function(argument, 0);
		bench_stop(c);
		return;
	}
	workers = calloc(count, sizeof(*workers));
	if (workers == NULL ||
	    pthread_barrier_init(&crew.gate, NULL, count + 1) != 0)
		bench_fail("out of memory");
	for (unsigned i = 0; i < count; i++) {
		workers[i].crew = &crew;
		workers[i].thread = i;
		if (pthread_create(&workers[i].id, NULL, work,
				   &workers[i]) != 0)
			bench_fail("no thread could be started");
	}
	bench_start(c);
	pthread_barrier_wait(&crew.gate);
	pthread_barrier_wait(&crew.gate);
	bench_stop(c);
	/* They looked at the clock: this thread may have waited for a core
	 * before it could. */
	for (unsigned i = 0; i < count; i++) {
		pthread_join(workers[i].id, NULL);
		began = fmin(began, workers[i].began_us);
		ended = fmax(ended, workers[i].ended_us);
	}
	c->took_us = ended - began;
	pthread_barrier_destroy(&crew.gate);
	free(workers);
}
