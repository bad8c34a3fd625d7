/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults and the process they happen in: signal handlers of the program's
 * own, threads that meet at one page, fork(), the kernel as a toucher.
 */
#include "config.h"

#include "tests/support/appliance.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cunit.h"

#define REGION (8 * MIB)

static struct appliance home;
static const char *const pagings[] = { "paging=inline", "paging=thread" };

/* Under each way of paging that is permitted; the others are named. */
static extmem *open_with(const char *paging, extmem_region **ret,
			 uint8_t **ret_memory)
{
	char appliance[160];
	const char *settings[] = { appliance, "local=2M", paging, NULL };
	void *memory;
	extmem *x;

	snprintf(appliance, sizeof(appliance), "appliance=%s", home.address);
	if (extmem_open(settings, &x) == -EPERM) {
		printf("(skipped: %s) ", extmem_error());
		return NULL;
	}
	CU_ASSERT_FATAL(extmem_region_alloc(x, "faults", REGION, ret) == 0);
	CU_ASSERT_FATAL(extmem_map(*ret, 0, 0, &memory) == 0);
	*ret_memory = memory;
	pattern_fill(memory, 0, REGION, 1);
	return x;
}

static void the_way_of_paging_is_visible(void)
{
	struct extmem_info info = { .size = sizeof(info) };
	extmem_region *region;
	uint8_t *memory;

	for (int i = 0; i < 2; i++) {
		extmem *x = open_with(pagings[i], &region, &memory);

		if (x == NULL)
			continue;
		CU_ASSERT(extmem_info(x, 0, &info) == 0);
		CU_ASSERT(strcmp(info.paging, strchr(pagings[i], '=') + 1) ==
			  0);
		CU_ASSERT(info.paging_reason[0] != '\0');
		CU_ASSERT(info.provider[0] != '\0');
		CU_ASSERT(info.lanes == 1);
		CU_ASSERT(info.lease_ms == 10000);
		CU_ASSERT(extmem_info(x, 1, &info) == -ERANGE);
		CU_ASSERT(extmem_close(x) == 0);
	}
}

/* --- handlers of the program's own -------------------------------------------------- */

static sigjmp_buf back;
static volatile sig_atomic_t handled;
static void *volatile handled_at;

static void on_bus(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	handled++;
	handled_at = info->si_addr;
	siglongjmp(back, 1);
}

/* A page of a file that has been cut: SIGBUS, and none of extmem's business. */
static void a_foreign_sigbus_reaches_the_programs_handler(void)
{
	struct sigaction action = { .sa_sigaction = on_bus,
				    .sa_flags = SA_SIGINFO };
	struct sigaction old, now;
	extmem_region *region;
	uint8_t *memory;

	for (int i = 0; i < 2; i++) {
		int file = memfd_create("cut", MFD_CLOEXEC);
		volatile uint8_t *cut;
		extmem *x;

		CU_ASSERT_FATAL(file >= 0 && ftruncate(file, PAGE) == 0);
		cut = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
		CU_ASSERT_FATAL(cut != MAP_FAILED);
		CU_ASSERT_FATAL(ftruncate(file, 0) == 0);
		sigaction(SIGBUS, &action, &old);
		handled = 0;
		x = open_with(pagings[i], &region, &memory);
		if (x != NULL && sigsetjmp(back, 1) == 0) {
			printf("%d", *cut);
			CU_FAIL("a cut file was read");
		}
		if (x != NULL) {
			CU_ASSERT(handled == 1);
			CU_ASSERT(handled_at == cut);
			/* Faults go on behind it, and it hears none. */
			CU_ASSERT(pattern_is(memory, 0, REGION, 1));
			CU_ASSERT(handled == 1);
			CU_ASSERT(extmem_close(x) == 0);
		}
		sigaction(SIGBUS, NULL, &now);
		CU_ASSERT((now.sa_flags & SA_SIGINFO) != 0);
		CU_ASSERT(now.sa_sigaction == on_bus);
		sigaction(SIGBUS, &old, NULL);
		munmap((void *)(uintptr_t)cut, PAGE);
		close(file);
	}
}

static struct sigaction below; /* what chain_bus() stands on */
static volatile sig_atomic_t chained;

static void chain_bus(int number, siginfo_t *info, void *context)
{
	chained++;
	below.sa_sigaction(number, info, context);
}

/* Once to each handler, and on to the program's; and it leaves as it came. */
static void a_client_stands_on_a_chain(volatile const uint8_t *cut)
{
	struct sigaction now;
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_with("paging=inline", &region, &memory);

	CU_ASSERT_FATAL(x != NULL);
	handled = chained = 0;
	if (sigsetjmp(back, 1) == 0) {
		printf("%d", *cut);
		CU_FAIL("a cut file was read");
	}
	CU_ASSERT(handled == 1 && chained == 1);
	CU_ASSERT(pattern_is(memory, 0, REGION, 1));
	CU_ASSERT(handled == 1 && chained == 1);
	CU_ASSERT(extmem_close(x) == 0);
	sigaction(SIGBUS, NULL, &now);
	CU_ASSERT(now.sa_sigaction == chain_bus);
}

/* A handler that is set while a client is open stands on the client's, and stays
 * there when that closes. The next clients stand on it in turn. */
static void handlers_that_stand_on_each_other_end_at_the_programs(void)
{
	struct sigaction own = { .sa_sigaction = on_bus,
				 .sa_flags = SA_SIGINFO };
	struct sigaction chain = { .sa_sigaction = chain_bus,
				   .sa_flags = SA_SIGINFO };
	int file = memfd_create("cut", MFD_CLOEXEC);
	struct sigaction old, now;
	uint8_t *cut, *memory;
	extmem_region *region;
	extmem *x;

	CU_ASSERT_FATAL(file >= 0 && ftruncate(file, PAGE) == 0);
	cut = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	CU_ASSERT_FATAL(cut != MAP_FAILED && ftruncate(file, 0) == 0);
	sigaction(SIGBUS, &own, &old);
	x = open_with("paging=inline", &region, &memory);
	if (x != NULL) {
		sigaction(SIGBUS, &chain, &below);
		CU_ASSERT(extmem_close(x) == 0);
		for (int i = 0; i < 8; i++)
			a_client_stands_on_a_chain(cut);
		/* Whose turn it was before chain_bus: ours. */
		sigaction(SIGBUS, &below, NULL);
		x = open_with("paging=inline", &region, &memory);
		CU_ASSERT_FATAL(x != NULL);
		CU_ASSERT(pattern_is(memory, 0, REGION, 1));
		CU_ASSERT(extmem_close(x) == 0);
		sigaction(SIGBUS, NULL, &now);
		CU_ASSERT(now.sa_sigaction == on_bus);
	}
	sigaction(SIGBUS, &old, NULL);
	munmap(cut, PAGE);
	close(file);
}

/* Without a handler of the program's own: the default, which ends it. */
static int act_foreign(int argc, char **argv)
{
	int file = memfd_create("cut", MFD_CLOEXEC);
	volatile uint8_t *cut;
	extmem *x;

	if (argc < 2 || file < 0 || ftruncate(file, PAGE) != 0)
		return 1;
	cut = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	x = client_open(argv[0], argv[1], NULL);
	if (cut == MAP_FAILED || x == NULL || ftruncate(file, 0) != 0)
		return 1;
	signal(SIGALRM, SIG_DFL);
	alarm(60);
	return *cut + 100;
}

static void a_foreign_sigbus_without_a_handler_ends_the_program(void)
{
	const char *arguments[] = { home.address, "paging=inline", NULL };
	int out, status;
	pid_t pid = act_start("foreign", arguments, &out);

	CU_ASSERT_FATAL(pid > 0);
	status = act_wait(pid);
	close(out);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

/* Looks at the page whose touch failed; called twice, it ends the process. */
static void look_at_lost(int number, siginfo_t *info, void *context)
{
	static volatile sig_atomic_t calls;

	(void)number;
	(void)context;
	if (calls++ > 0)
		_exit(3);
	syscall(SYS_write, STDOUT_FILENO, "handled\n", 8);
	(void)*(volatile uint8_t *)info->si_addr;
}

/* Arguments: the appliance's address and the way of paging. Fetches a page again and
 * again, until it is lost. */
static int act_lost(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = look_at_lost,
				    .sa_flags = SA_SIGINFO };
	extmem_region *region;
	void *memory;
	extmem *x;

	if (argc < 2 || sigaction(SIGBUS, &action, NULL) != 0)
		return 1;
	x = client_open(argv[0], argv[1], "local=2M", "loss_timeout=300ms",
			NULL);
	if (x == NULL)
		return 2;
	if (extmem_region_alloc(x, "lost", REGION, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0)
		return 1;
	pattern_fill(memory, 0, REGION, 1);
	puts("ready");
	fflush(stdout);
	for (;;) {
		extmem_advise(region, 0, 0, EXTMEM_COLD);
		(void)*(volatile uint8_t *)memory;
	}
}

/* As without the library: SIGBUS is blocked in the handler, and a signal that is
 * blocked and due to a touch ends the process. */
static void a_handler_that_touches_the_lost_page_ends_by_sigbus(void)
{
	for (int i = 0; i < 2; i++) {
		struct appliance a;
		const char *arguments[] = { a.address, pagings[i], NULL };
		int out, status;
		bool ready;
		pid_t pid;

		CU_ASSERT_FATAL(appliance_start(&a, LOOPBACK, "16M", NULL));
		pid = act_start("lost", arguments, &out);
		CU_ASSERT_FATAL(pid > 0);
		ready = act_says(out, "ready");
		appliance_kill(&a);
		status = act_wait(pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
			close(out);
			continue; /* that paging is not permitted here */
		}
		CU_ASSERT(ready && act_says(out, "handled"));
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
		close(out);
	}
}

/* --- touches that would wait for themselves ------------------------------------------ */

static uint8_t *away; /* a page that is not here */
static _Atomic bool keeper_touches;

/* In front of libc's: the keeper reads eight bytes, the kicks it had. */
__attribute__((visibility("default")))
ssize_t read(int fd, void *ret, size_t size)
{
	if (size == sizeof(uint64_t) && atomic_load(&keeper_touches) &&
	    gettid() != getpid())
		*(uint8_t *)ret = *(volatile uint8_t *)away;
	return syscall(SYS_read, fd, ret, size);
}

/* ThreadSanitizer calls handlers with every signal blocked, and the kernel ends a
 * process whose blocked SIGBUS is due to a touch. */
static void unblock_faults(void)
{
#ifdef XM_SANITIZE_THREAD
	sigset_t fault;

	sigemptyset(&fault);
	sigaddset(&fault, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &fault, NULL);
#endif
}

static void touch_away(void *context, void *address, const void *contents,
		       size_t pages)
{
	unblock_faults();
	(void)context;
	(void)address;
	(void)contents;
	(void)pages;
	(void)*(volatile uint8_t *)away;
}

static void touch_nothing(void *context)
{
	(void)context;
}

static int act_touch(int argc, char **argv)
{
	static const struct extmem_watch watch = {
		.size = sizeof(watch), .change = touch_away,
		.changed = touch_nothing,
	};
	extmem_region *region, *other;
	void *memory;
	extmem *x;

	if (argc < 3 || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		return 1;
	x = client_open(argv[0], argv[1], "local=2M", NULL);
	if (x == NULL)
		return 2;
	if (extmem_region_alloc(x, "touch", REGION, &region) != 0 ||
	    extmem_map(region, 0, 0, &memory) != 0)
		return 1;
	pattern_fill(memory, 0, REGION, 1);
	if (extmem_advise(region, 0, 0, EXTMEM_COLD) != 0)
		return 1;
	away = (uint8_t *)memory + REGION - PAGE;
	printf("away %p\n", (void *)away);
	fflush(stdout);
	if (strcmp(argv[2], "keeper") == 0) {
		atomic_store(&keeper_touches, true);
		extmem_region_alloc(x, "other", REGION, &other);
	} else if (extmem_watch(x, &watch) != 0) {
		return 1;
	} else if (strcmp(argv[2], "watch") == 0) {
		extmem_pin(x, memory, 1, 1);
	} else {
		*(volatile uint8_t *)memory = 1;
	}
	return 0;
}

static void a_touch_that_would_wait_for_itself_ends_in_words(void)
{
	/* The background thread; a function given to extmem_watch(), called on a
	 * thread of the program's, and on the thread that serves the fault. */
	static const char *const who[] = { "keeper", "watch", "fault" };

	for (int i = 0; i < 6; i++) {
		const char *arguments[] = { home.address, pagings[i / 3],
					    who[i % 3], NULL };
		char said[2000] = "", *address, *words;
		size_t used = 0;
		ssize_t got;
		int out, status;
		pid_t pid = act_start("touch", arguments, &out);

		CU_ASSERT_FATAL(pid > 0);
		status = act_wait(pid);
		while ((got = read(out, said + used,
				   sizeof(said) - 1 - used)) > 0)
			used += (size_t)got;
		close(out);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
			continue; /* that paging is not permitted here */
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		words = strstr(said, "extmem: a thread");
		CU_ASSERT_FATAL(words != NULL);
		CU_ASSERT((strstr(words, "of extmem's own") != NULL) ==
			  (i % 3 == 0 || i == 5));
		CU_ASSERT((strstr(words, "holds lane 0") != NULL) ==
			  (i % 3 > 0));
		address = strstr(said, "away ") + 5;
		address[strcspn(address, "\n")] = '\0';
		CU_ASSERT(strstr(words, address) != NULL);
	}
}

static uint8_t *handler_memory;
static volatile sig_atomic_t handler_sum;

static void touch_in_handler(int number)
{
	(void)number;
	unblock_faults();
	for (uint64_t at = 0; at < REGION; at += 64 * PAGE)
		handler_sum += handler_memory[at];
}

static void a_signal_handler_may_touch_external_memory(void)
{
	extmem_region *region;
	uint8_t *memory;

	for (int i = 0; i < 2; i++) {
		extmem *x = open_with(pagings[i], &region, &memory);
		uint64_t sum = 0;
		uint8_t byte;

		if (x == NULL)
			continue;
		for (uint64_t at = 0; at < REGION; at += 64 * PAGE) {
			pattern_fill(&byte, at, 1, 1);
			sum += byte;
		}
		handler_memory = memory;
		handler_sum = 0;
		signal(SIGUSR1, touch_in_handler);
		raise(SIGUSR1);
		signal(SIGUSR1, SIG_DFL);
		CU_ASSERT((uint64_t)handler_sum == sum);
		CU_ASSERT(extmem_close(x) == 0);
	}
}

/* --- threads -------------------------------------------------------------------------- */

#define THREADS 4

struct adder {
	_Atomic uint64_t *words;
	pthread_barrier_t *barrier;
};

/* All add to the same words, of pages that keep leaving. */
static void *add(void *argument)
{
	struct adder *a = argument;

	for (uint64_t round = 0; round < 4; round++) {
		pthread_barrier_wait(a->barrier);
		for (uint64_t at = 0; at < REGION / 8; at += PAGE / 8)
			atomic_fetch_add(&a->words[at], 1);
	}
	return NULL;
}

static void threads_that_meet_at_every_page_lose_no_store(void)
{
	static const char *const lanes[] = { "lanes=1", "lanes=2", "lanes=4" };

	for (int i = 0; i < 6; i++) {
		extmem_region *region;
		pthread_t threads[THREADS];
		pthread_barrier_t barrier;
		struct adder adder = { .barrier = &barrier };
		char appliance[160];
		const char *settings[] = { appliance, "local=4M",
					   pagings[i / 3], lanes[i % 3],
					   NULL };
		void *memory;
		extmem *x;
		uint64_t wrong = 0;

		snprintf(appliance, sizeof(appliance), "appliance=%s",
			 home.address);
		if (extmem_open(settings, &x) != 0)
			continue; /* said above already */
		CU_ASSERT_FATAL(extmem_region_alloc(x, "met", REGION,
						   &region) == 0);
		CU_ASSERT_FATAL(extmem_map(region, 0, 0, &memory) == 0);
		adder.words = memory;
		pthread_barrier_init(&barrier, NULL, THREADS);
		for (int t = 0; t < THREADS; t++)
			CU_ASSERT_FATAL(pthread_create(&threads[t], NULL, add,
						       &adder) == 0);
		for (int t = 0; t < THREADS; t++)
			pthread_join(threads[t], NULL);
		pthread_barrier_destroy(&barrier);
		for (uint64_t at = 0; at < REGION / 8; at++)
			wrong += adder.words[at] !=
				 (at % (PAGE / 8) == 0 ? 4 * THREADS : 0);
		CU_ASSERT(wrong == 0);
		CU_ASSERT(client_stats(x).local_peak <=
			  client_stats(x).local_limit);
		CU_ASSERT(extmem_close(x) == 0);
	}
}

struct churner {
	extmem *x;
	extmem_region *region;
	uint64_t seed;
	bool well;
};

/* Its own objects, slabs and bytes, among others'. */
static void *churn(void *argument)
{
	struct churner *c = argument;
	uint8_t *base = extmem_region_address(c->region);
	uint8_t bytes[3000];
	uint64_t object, slab;

	c->well = true;
	for (uint64_t i = 0; i < 200 && c->well; i++) {
		c->well = extmem_object_alloc(c->region, 3000, 0, &object) ==
				  0 &&
			  extmem_slab_alloc(c->region, 20000, &slab) == 0;
		if (!c->well)
			break;
		pattern_fill(base + object, i, 3000, c->seed);
		pattern_fill(base + slab, i, 20000, c->seed);
		c->well = extmem_read(c->region, object, bytes, 3000) == 0 &&
			  pattern_is(bytes, i, 3000, c->seed) &&
			  pattern_is(base + slab, i, 20000, c->seed) &&
			  extmem_sync(c->region, slab & ~(uint64_t)4095,
				      20480) == 0 &&
			  extmem_advise(c->region, slab, 20480,
					EXTMEM_COLD) == 0 &&
			  pattern_is(base + slab, i, 20000, c->seed) &&
			  extmem_slab_free(c->region, slab) == 0 &&
			  extmem_object_free(c->region, object) == 0;
	}
	return NULL;
}

static void all_calls_may_be_made_by_many_threads(void)
{
	for (int i = 0; i < 2; i++) {
		extmem_region *region;
		struct churner churners[THREADS];
		pthread_t threads[THREADS];
		uint8_t *memory;
		extmem *x = open_with(pagings[i], &region, &memory);

		if (x == NULL)
			continue;
		for (uint64_t t = 0; t < THREADS; t++) {
			churners[t] = (struct churner){ x, region, t, false };
			CU_ASSERT_FATAL(pthread_create(&threads[t], NULL,
						       churn, &churners[t]) ==
					0);
		}
		for (int t = 0; t < THREADS; t++)
			pthread_join(threads[t], NULL);
		for (int t = 0; t < THREADS; t++)
			CU_ASSERT(churners[t].well);
		CU_ASSERT(client_stats(x).slabs == 0);
		CU_ASSERT(client_stats(x).objects == 0);
		CU_ASSERT(extmem_close(x) == 0);
	}
}

/* --- the kernel -------------------------------------------------------------------------- */

static void where_privilege_allows_the_kernel_needs_no_pins(void)
{
	struct extmem_info info = { .size = sizeof(info) };
	extmem_region *region;
	uint8_t *memory;
	extmem *x = open_with("paging=thread", &region, &memory);
	int file = memfd_create("kernel", MFD_CLOEXEC);

	if (x == NULL)
		return;
	CU_ASSERT(extmem_info(x, 0, &info) == 0);
	if (strstr(info.paging_reason, "user-mode") != NULL) {
		printf("(skipped: %s) ", info.paging_reason);
	} else {
		CU_ASSERT(write(file, memory, REGION) == (ssize_t)REGION);
		memset(memory, 0, REGION);
		CU_ASSERT(pread(file, memory, REGION, 0) == (ssize_t)REGION);
		CU_ASSERT(pattern_is(memory, 0, REGION, 1));
	}
	close(file);
	CU_ASSERT(extmem_close(x) == 0);
}

/* --- fork -------------------------------------------------------------------------------- */

/* In the child: what came of it as an exit status; it may call nothing that
 * takes a lock another thread may have held. */
static int in_child(int (*act)(extmem *, extmem_region *, uint8_t *),
		    extmem *x, extmem_region *region, uint8_t *memory)
{
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(act(x, region, memory));
	}
	CU_ASSERT_FATAL(pid > 0);
	return act_wait(pid);
}

static int child_loads(extmem *x, extmem_region *region, uint8_t *memory)
{
	(void)x;
	(void)region;
	return *(volatile uint8_t *)memory;
}

static int child_stores(extmem *x, extmem_region *region, uint8_t *memory)
{
	(void)x;
	(void)region;
	*(volatile uint8_t *)(memory + REGION - 1) = 1;
	return 0;
}

/* Counts the calls that do not say -ECHILD in words. */
static int child_calls(extmem *x, extmem_region *region, uint8_t *memory)
{
	const char *const settings[] = { NULL };
	struct extmem_completion done;
	struct extmem_region_entry entry;
	struct extmem_stats stats = { .size = sizeof(stats) };
	struct extmem_info info = { .size = sizeof(info) };
	extmem_region *other;
	extmem *y;
	uint64_t offset;
	void *at;
	int64_t rcs[32];
	int count = 0, wrong = 0;

	rcs[count++] = extmem_open(settings, &y);
	rcs[count++] = extmem_region_alloc(x, "child", 1, &other);
	rcs[count++] = extmem_region_resize(region, MIB);
	rcs[count++] = extmem_region_list(x, 0, &entry, 1);
	rcs[count++] = extmem_slab_alloc(region, 1, &offset);
	rcs[count++] = extmem_slab_free(region, 0);
	rcs[count++] = extmem_object_alloc(region, 1, 0, &offset);
	rcs[count++] = extmem_object_free(region, 0);
	rcs[count++] = extmem_object_size(region, 0, &offset);
	rcs[count++] = extmem_read(region, 0, &stats, 1);
	rcs[count++] = extmem_write(region, 0, &stats, 1);
	rcs[count++] = extmem_read_start(region, 0, &stats, 1, NULL);
	rcs[count++] = extmem_poll(x, &done, 1);
	rcs[count++] = extmem_wait(x, &done, 1, 1);
	rcs[count++] = extmem_map(region, 0, 0, &at);
	rcs[count++] = extmem_unmap(region, 0, 0);
	rcs[count++] = extmem_sync(region, 0, 0);
	rcs[count++] = extmem_advise(region, 0, 0, EXTMEM_COLD);
	rcs[count++] = extmem_pin(x, memory, 1, 0);
	rcs[count++] = extmem_watch(x, NULL);
	rcs[count++] = extmem_stats(x, &stats);
	rcs[count++] = extmem_info(x, 0, &info);
	rcs[count++] = extmem_region_free(region);
	rcs[count++] = extmem_close(x);
	extmem_unpin(x, memory, 1);
	for (int i = 0; i < count; i++)
		wrong += rcs[i] != -ECHILD;
	return wrong + (strstr(extmem_error(), "fork") == NULL);
}

static void a_child_of_fork_sees_no_zeros_and_is_told(void)
{
	extmem_region *region;
	uint8_t *memory;

	for (int i = 0; i < 2; i++) {
		extmem *x = open_with(pagings[i], &region, &memory);
		int status;

		if (x == NULL)
			continue;
		status = in_child(child_loads, x, region, memory);
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		/* A page that is here. */
		(void)*(volatile uint8_t *)(memory + REGION - 1);
		status = in_child(child_loads, x, region,
				  memory + REGION - 1);
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		status = in_child(child_stores, x, region, memory);
		CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		status = in_child(child_calls, x, region, memory);
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		/* The parent has noticed nothing. */
		CU_ASSERT(pattern_is(memory, 0, REGION, 1));
		CU_ASSERT(extmem_close(x) == 0);
	}
}

/* --- a past ------------------------------------------------------------------------------- */

/* What every page was before it could be written to, the first time. */
static struct {
	uint8_t *memory, *past;
	bool saved[REGION / 4096];
	atomic_uint under_way;
} watched;

static void watched_change(void *context, void *address, const void *contents,
			   size_t pages)
{
	size_t first = (size_t)((uint8_t *)address - watched.memory) / 4096;

	CU_ASSERT_FATAL(context == &watched);
	atomic_fetch_add(&watched.under_way, 1);
	for (size_t i = first; i < first + pages; i++) {
		if (watched.saved[i])
			continue;
		watched.saved[i] = true;
		if (contents == NULL)
			memset(watched.past + i * 4096, 0, 4096);
		else
			memcpy(watched.past + i * 4096,
			       (const uint8_t *)contents + (i - first) * 4096,
			       4096);
	}
}

static void watched_changed(void *context)
{
	CU_ASSERT_FATAL(context == &watched);
	atomic_fetch_sub(&watched.under_way, 1);
}

static void a_watch_is_told_the_contents_before_each_page_can_change(void)
{
	static const struct extmem_watch watch = {
		.size = sizeof(watch), .change = watched_change,
		.changed = watched_changed, .context = &watched,
	};
	extmem_region *region;
	uint8_t *memory;

	for (int i = 0; i < 2; i++) {
		extmem *x = open_with(pagings[i], &region, &memory);
		struct extmem_watch wrong = watch;

		if (x == NULL)
			continue;
		wrong.size = 1;
		CU_ASSERT(extmem_watch(x, &wrong) == -EINVAL);
		CU_ASSERT(extmem_advise(region, REGION / 2, 0,
					EXTMEM_DONTNEED) == 0);
		CU_ASSERT(extmem_advise(region, 0, 0, EXTMEM_COLD) == 0);
		memset(&watched, 0, sizeof(watched));
		watched.memory = memory;
		watched.past = calloc(1, REGION);
		CU_ASSERT_FATAL(watched.past != NULL);
		CU_ASSERT(extmem_watch(x, &watch) == 0);
		/* Reads change nothing; then stores over all of it, so that
		 * pages leave and come back in between, twice. */
		CU_ASSERT(pattern_is(memory, 0, REGION / 2, 1));
		pattern_fill(memory, 0, REGION, 2);
		pattern_fill(memory, 0, REGION, 3);
		CU_ASSERT(atomic_load(&watched.under_way) == 0);
		CU_ASSERT(extmem_watch(x, NULL) == 0);
		for (size_t page = 0; page < REGION / 4096; page++)
			CU_ASSERT_FATAL(watched.saved[page]);
		CU_ASSERT(pattern_is(watched.past, 0, REGION / 2, 1));
		for (size_t at = REGION / 2; at < REGION; at++)
			CU_ASSERT_FATAL(watched.past[at] == 0);
		CU_ASSERT(pattern_is(memory, 0, REGION, 3));
		free(watched.past);
		CU_ASSERT(extmem_close(x) == 0);
	}
}

int main(int argc, char **argv)
{
	static const struct act acts[] = { { "foreign", act_foreign },
					   { "touch", act_touch },
					   { "lost", act_lost },
					   { NULL, NULL } };
	static const CU_TestInfo tests[] = {
		XM_TEST(the_way_of_paging_is_visible),
		XM_TEST(a_foreign_sigbus_reaches_the_programs_handler),
		XM_TEST(handlers_that_stand_on_each_other_end_at_the_programs),
		XM_TEST(a_foreign_sigbus_without_a_handler_ends_the_program),
		XM_TEST(a_handler_that_touches_the_lost_page_ends_by_sigbus),
		XM_TEST(a_touch_that_would_wait_for_itself_ends_in_words),
		XM_TEST(a_signal_handler_may_touch_external_memory),
		XM_TEST(a_watch_is_told_the_contents_before_each_page_can_change),
		XM_TEST(threads_that_meet_at_every_page_lose_no_store),
		XM_TEST(all_calls_may_be_made_by_many_threads),
		XM_TEST(where_privilege_allows_the_kernel_needs_no_pins),
		XM_TEST(a_child_of_fork_sees_no_zeros_and_is_told),
		CU_TEST_INFO_NULL,
	};
	int rc;

	act_begin(argc, argv, acts);
	if (!appliance_start(&home, LOOPBACK, "64M", NULL)) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	rc = xm_tests_run("faults", tests);
	appliance_stop(&home);
	return rc;
}
