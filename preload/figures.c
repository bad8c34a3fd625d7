/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The figures of this process, in a file that `extmem run` and `extmem top`
 * read (shared.h): which file, and a thread that keeps it current.
 *
 * `extmem run` hands the file down; a client that nobody made one for makes its
 * own. A child of fork() has figures of its own that nobody sees.
 */
#include "preload/news.h"
#include "preload/shim.h"

#include <sys/mman.h>
#include <time.h>

#define REFRESH_MS 100

static struct run_file file_here;
struct run_shared *shim_shared = &file_here.shared;
static struct xm_ring *ring = &file_here.ring;
static pthread_mutex_t refresh_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- the program's time ----------------------------------------------------------- */

static _Atomic uint32_t interval = 1, waiting;
static _Thread_local uint32_t waited_in __attribute__((tls_model("initial-exec")));
static uint64_t interval_began_ns;

void figures_waits(void)
{
	uint32_t now = atomic_load_explicit(&interval, memory_order_relaxed);

	if (waited_in == now)
		return;
	waited_in = now;
	atomic_fetch_add(&waiting, 1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void end_interval(void)
{
	uint64_t now = now_ns(), count = atomic_exchange(&waiting, 0);

	atomic_fetch_add(&interval, 1);
	atomic_fetch_add(&shim_shared->threads_ns,
			 (now - interval_began_ns) * (count > 0 ? count : 1));
	interval_began_ns = now;
}

/* --- the file ----------------------------------------------------------------- */

static char own_file[64]; /* "": somebody else's, or none */

/* A file of our own, for `extmem top`. Without one there are no figures to be
 * seen, and that is all. */
static void make_shared(void)
{
	struct run_file *file;
	struct run_shared *p;
	int fd = run_shared_make(own_file, sizeof(own_file));

	if (fd < 0)
		return;
	fd = descriptor_keep(fd);
	file = shim_real()->mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);
	if (file == MAP_FAILED) {
		shim_real()->unlink(own_file);
		own_file[0] = '\0';
		return;
	}
	p = &file->shared;
	ring = &file->ring;
	p->pid = (uint32_t)getpid();
	p->pid_space = run_shared_space();
	snprintf(p->program, sizeof(p->program), "%.63s",
		 program_invocation_short_name);
	p->magic = RUN_MAGIC;
	shim_shared = p;
}

/* What this process was before exec() is gone, and its leases may end. Those
 * that find no room end by themselves. */
static void become_former(void)
{
	struct run_shared *s = shim_shared;
	uint32_t n = atomic_load(&s->former_count);

	for (uint32_t i = 0; i < s->lease_count && n < RUN_FORMER_MAX; i++)
		s->former[n++] = s->leases[i];
	s->lease_count = 0;
	atomic_store(&s->former_count, n);
}

void figures_open(void)
{
	const char *text = exec_variable(RUN_ENV_SHARED_FD);
	struct stat status;
	struct run_file *p;
	int fd;

	interval_began_ns = now_ns();
	if (!text || !*text) {
		make_shared();
		return;
	}
	fd = atoi(text);
	if (fd < 3 || shim_real()->fstat(fd, &status) < 0 ||
	    status.st_size != sizeof(struct run_file))
		return;
	p = shim_real()->mmap(NULL, sizeof(struct run_file),
			      PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return;
	if (p->shared.magic != RUN_MAGIC || p->shared.pid != (uint32_t)getpid()) {
		shim_real()->munmap(p, sizeof(struct run_file));
		return;
	}
	shim_shared = &p->shared;
	ring = &p->ring;
	atomic_store(&shim_shared->threads_ns, 0); /* of before exec() */
	become_former();
}

void figures_end(void)
{
	atomic_store(&shim_shared->state, RUN_ENDED);
	/* Else `extmem top` does it. */
	if (own_file[0] && !confine_is())
		shim_real()->unlink(own_file);
}

void figures_forked(void)
{
	ring = &file_here.ring;
	shim_shared = &file_here.shared; /* the parent's figures are its own */
}

/* --- what `extmem trace` reads ------------------------------------------------ */

static void say_news(void *context, enum news_subsystem subsystem, enum xm_level level,
		     const char *words)
{
	struct timespec t;

	(void)context;
	clock_gettime(CLOCK_REALTIME, &t);
	xm_ring_write(ring, (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec, subsystem,
		      level, words);
}

/* --- keeping it current --------------------------------------------------------- */

void figures_refresh(void)
{
	static struct extmem_stats stats; /* under refresh_lock, as are these */
	static struct extmem_info info;
	static struct news news;
	static char reasons[RUN_APPLIANCES_MAX][192];
	struct run_shared *s = shim_shared;

	shim_enter();
	pthread_mutex_lock(&refresh_lock);
	stats.size = sizeof(stats);
	end_interval();
	if (shim_client && extmem_stats(shim_client, &stats) >= 0) {
		atomic_fetch_add(&s->generation, 1);
		s->stats = stats;
		rest_measure(&stats);
		snprintf(s->lost, sizeof(s->lost), "%s",
			 extmem_lost(shim_client));
		s->lost[strcspn(s->lost, "\n")] = '\0';
		if (stats.region_bytes > s->region_bytes_peak)
			s->region_bytes_peak = stats.region_bytes;
		for (unsigned i = 0; i < RUN_APPLIANCES_MAX; i++) {
			struct run_appliance *a = &s->appliances[i];

			info.size = sizeof(info);
			if (extmem_info(shim_client, i, &info) < 0)
				break;
			s->appliance_count = i + 1;
			memcpy(a->appliance, info.appliance,
			       sizeof(a->appliance));
			memcpy(a->name, info.name, sizeof(a->name));
			memcpy(a->transport, info.transport,
			       sizeof(a->transport));
			memcpy(a->provider, info.provider,
			       sizeof(a->provider));
			memcpy(a->version, info.version, sizeof(a->version));
			memcpy(a->endpoint, info.endpoint,
			       sizeof(a->endpoint));
			memcpy(a->paging, info.paging, sizeof(a->paging));
			memcpy(a->paging_reason, info.paging_reason,
			       sizeof(a->paging_reason));
			memcpy(a->state, info.state, sizeof(a->state));
			snprintf(reasons[i], sizeof(reasons[i]), "%.191s", info.reason);
		}
		s->lease_count = (uint32_t)extmem_leases(
			shim_client, s->leases, RUN_APPLIANCES_MAX);
		atomic_fetch_add(&s->generation, 1);
		news_step(&news, s, reasons, say_news, NULL);
	}
	pthread_mutex_unlock(&refresh_lock);
	shim_leave();
}

#define STATUS_TIMEOUT_MS 1000

/* Asks the appliances what they have left, if growth.c wants to know. An appliance
 * that is away or leaves lends nothing and is not asked. If one of the others does
 * not answer, a sum without it would be too small, and growth would go on in small
 * steps: growth.c keeps what it knew, and wants to know again after it has grown.
 * Before the first figures the appliances are not known yet. */
static void ask_remote_free(void)
{
	uint64_t total = 0;
	bool asked = false;

	if (shim_shared->appliance_count == 0 || !growth_take_question())
		return;
	for (uint32_t i = 0; i < shim_shared->appliance_count; i++) {
		const struct run_appliance *a = &shim_shared->appliances[i];
		struct extmem_status status = { .size = sizeof(status) };

		if (strcmp(a->state, "ready") != 0)
			continue;
		if (extmem_status(a->appliance, STATUS_TIMEOUT_MS, &status) < 0)
			return;
		asked = true;
		total += status.free_run;
	}
	if (asked)
		growth_set_remote_free(total);
}

static void *refresh_thread(void *unused)
{
	const struct timespec nap = { .tv_nsec = REFRESH_MS * 1000000L };

	(void)unused;
	for (;;) {
		ask_remote_free();
		nanosleep(&nap, NULL);
		figures_refresh();
	}
	return NULL;
}

void figures_start(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;

	/* The program's signals are for the program's threads. */
	sigfillset(&all);
	shim_real()->pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	shim_inside++;
	if (pthread_create(&thread, &attributes, refresh_thread, NULL) != 0)
		shim_say("no thread for statistics; they come at exit alone");
	shim_inside--;
	pthread_attr_destroy(&attributes);
	shim_real()->pthread_sigmask(SIG_SETMASK, &before, NULL);
}
