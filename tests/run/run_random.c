/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random sequences of what a program does with memory, done twice in one process: on
 * memory that libc's functions give, which is external under `extmem run`, and on
 * memory that the kernel gives to an instruction of this program's own, which is never
 * external. Results, errno, signals with their codes and addresses, and bytes must be
 * the same, but for what extmem-run(7) lists.
 *
 * 	run_random SEED COUNT [FIRST [STEPS [WITHOUT...]]]
 *
 * makes COUNT sequences, from number FIRST on, of STEPS steps (40), without the kinds
 * of steps and without the numbers of steps that are named: "protect", "17". What a step is
 * follows from seed, sequence and step alone, so leaving out others does not change it: a
 * failing sequence is shrunk by that (random.sh). Without `extmem run` both are
 * ordinary memory, and there must be no difference either.
 *
 * Pages that are unmapped stay unmapped: an address there may be anybody's later.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define AREAS 6
#define PAGES_MAX 48
#define BALLAST_SIZE ((size_t)5 << 18) /* more than is local, by a quarter */
#define STEPS_MAX 1000
#define SIDES 2 /* 0: libc's, 1: the kernel's own */

/* --- numbers ------------------------------------------------------------------------ */

static uint64_t seed, sequence, words_state;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(void)
{
	uint64_t z = words_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return (unsigned)(draw() % n);
}

static void draw_from(uint64_t step)
{
	words_state = seed * 0xd6e8feb86659fd93 + sequence;
	words_state = draw() + step;
}

/* --- the two memories ------------------------------------------------------------------ */

struct area {
	char *base[SIDES];
	unsigned pages; /* 0: there is none */
	bool mapped[PAGES_MAX];
	bool divided; /* pieces may differ: it is not moved any more */
};

static struct area areas[AREAS];
static char *ballast;

static long kernel(long number, long a, long b, long c, long d, long e, long f)
{
#ifdef __x86_64__
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (r < 0 && r >= -4095) {
		errno = (int)-r;
		return -1;
	}
	return r;
#else
	return syscall(number, a, b, c, d, e, f);
#endif
}

static char *map(int side, void *at, size_t size, int rights, int flags)
{
	flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	return side == 0 ? mmap(at, size, rights, flags, -1, 0)
			 : (char *)kernel(SYS_mmap, (long)at, (long)size,
					  rights, flags, -1, 0);
}

static int unmap(int side, char *at, size_t size)
{
	return side == 0 ? munmap(at, size)
			 : (int)kernel(SYS_munmap, (long)at, (long)size, 0, 0,
				       0, 0);
}

/* --- what a step says -------------------------------------------------------------------- */

#define STORY_SIZE ((size_t)64 << 10)
static char story[STORY_SIZE];
static size_t story_used;
static unsigned step_now;

static void tell(const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(story + story_used, STORY_SIZE - story_used, format,
		      list);
	va_end(list);
	if (n > 0 && (size_t)n < STORY_SIZE - story_used)
		story_used += (size_t)n;
}

static void differ(const char *what, long external, long ordinary)
{
	printf("seed %llu, sequence %llu, step %u: %s: %ld where ordinary memory "
	       "has %ld\n%s\n", (unsigned long long)seed,
	       (unsigned long long)sequence, step_now, what, external,
	       ordinary, story);
	fflush(stdout);
	_exit(1);
}

static void same(const char *what, long external, long ordinary)
{
	if (external != ordinary)
		differ(what, external, ordinary);
}

/* A call's result, and errno where it failed. */
static long said(long r)
{
	return r == -1 ? -(long)errno : r;
}

/* --- touches ------------------------------------------------------------------------------ */

static sigjmp_buf back;
static volatile sig_atomic_t caught_number, caught_code;
static char *volatile caught_at;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	caught_number = number;
	caught_code = info->si_code;
	caught_at = info->si_addr;
	siglongjmp(back, 1);
}

struct touched {
	int number, code, value;
	long offset;
};

static struct touched touch(char *base, char *at, bool store, char value)
{
	struct touched t = { 0 };

	if (sigsetjmp(back, 1) == 0) {
		t.value = *(volatile char *)at;
		if (store)
			*(volatile char *)at = value;
	} else {
		t.number = caught_number;
		t.code = caught_code;
		t.offset = caught_at - base;
	}
	return t;
}

static struct touched touch_both(struct area *a, size_t offset, bool store,
				 char value)
{
	struct touched t[SIDES];

	for (int side = 0; side < SIDES; side++)
		t[side] = touch(a->base[side], a->base[side] + offset, store,
				value);
	same("signal", t[0].number, t[1].number);
	same("si_code", t[0].code, t[1].code);
	same("si_addr", t[0].offset, t[1].offset);
	same("byte", t[0].value, t[1].value);
	return t[0];
}

/* Every page that is mapped, a few bytes of each. */
static void compare_all(void)
{
	for (int i = 0; i < AREAS; i++)
		for (unsigned page = 0; page < areas[i].pages; page++) {
			if (!areas[i].mapped[page])
				continue;
			touch_both(&areas[i], page * PAGE, false, 0);
			touch_both(&areas[i], page * PAGE + 2049, false, 0);
			touch_both(&areas[i], page * PAGE + PAGE - 1, false, 0);
		}
}

/* --- where ----------------------------------------------------------------------------------- */

struct range {
	struct area *area;
	unsigned first, count; /* pages, all of them mapped */
};

/* False: there is none. */
static bool choose(struct range *ret)
{
	struct area *a = &areas[below(AREAS)];
	unsigned first, most = 0, start = below(PAGES_MAX);

	for (unsigned i = 0; i < a->pages && most == 0; i++) {
		first = (start + i) % a->pages;
		while (first + most < a->pages && a->mapped[first + most])
			most++;
	}
	if (most == 0)
		return false;
	*ret = (struct range){ a, first, 1 + below(most) };
	return true;
}

static char *at(const struct range *r, int side)
{
	return r->area->base[side] + r->first * PAGE;
}

static void tell_range(const char *what, const struct range *r)
{
	tell("%3u %s area %d, pages %u to %u of %u", step_now, what,
	     (int)(r->area - areas), r->first, r->first + r->count - 1,
	     r->area->pages);
}

/* --- steps --------------------------------------------------------------------------------------- */

static int draw_rights(void)
{
	static const int all[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				   PROT_READ | PROT_WRITE,
				   PROT_READ | PROT_WRITE };

	return all[below(sizeof(all) / sizeof(all[0]))];
}

static void step_map(void)
{
	int rights = draw_rights(), flags = below(3) == 0 ? MAP_NORESERVE : 0;
	unsigned pages = 1 + below(PAGES_MAX);
	struct area *a = &areas[below(AREAS)];

	if (a->pages > 0)
		return;
	tell("%3u map area %d, %u pages, rights %d\n", step_now,
	     (int)(a - areas), pages, rights);
	for (int side = 0; side < SIDES; side++)
		a->base[side] = map(side, NULL, pages * PAGE, rights, flags);
	same("mmap fails", a->base[0] == MAP_FAILED, a->base[1] == MAP_FAILED);
	if (a->base[0] == MAP_FAILED)
		return;
	a->pages = pages;
	a->divided = false;
	for (unsigned i = 0; i < pages; i++)
		a->mapped[i] = true;
}

static void step_fixed(void)
{
	int rights = draw_rights();
	struct range r;
	char *p[SIDES];

	if (!choose(&r))
		return;
	tell_range("map over", &r);
	tell(", rights %d\n", rights);
	for (int side = 0; side < SIDES; side++)
		p[side] = map(side, at(&r, side), r.count * PAGE, rights,
			      MAP_FIXED);
	same("mmap fails", p[0] == MAP_FAILED, p[1] == MAP_FAILED);
	r.area->divided = true;
}

static void step_unmap(void)
{
	struct range r;
	bool any = false;

	if (!choose(&r))
		return;
	tell_range("unmap", &r);
	tell("\n");
	same("munmap", said(unmap(0, at(&r, 0), r.count * PAGE)),
	     said(unmap(1, at(&r, 1), r.count * PAGE)));
	for (unsigned i = 0; i < r.count; i++)
		r.area->mapped[r.first + i] = false;
	r.area->divided = true;
	for (unsigned i = 0; i < r.area->pages; i++)
		any |= r.area->mapped[i];
	if (!any)
		r.area->pages = 0;
}

static void step_protect(void)
{
	int rights = draw_rights();
	struct range r;

	if (!choose(&r))
		return;
	tell_range("protect", &r);
	tell(", rights %d\n", rights);
	same("mprotect", said(mprotect(at(&r, 0), r.count * PAGE, rights)),
	     said(kernel(SYS_mprotect, (long)at(&r, 1), (long)(r.count * PAGE),
			 rights, 0, 0, 0)));
	r.area->divided = true;
}

static void step_move(void)
{
	struct area *a = &areas[below(AREAS)];
	unsigned pages = 1 + below(PAGES_MAX);
	char *p[SIDES];

	if (a->pages == 0 || a->divided)
		return;
	tell("%3u resize area %d from %u to %u pages\n", step_now,
	     (int)(a - areas), a->pages, pages);
	p[0] = mremap(a->base[0], a->pages * PAGE, pages * PAGE,
		      MREMAP_MAYMOVE);
	p[1] = (char *)kernel(SYS_mremap, (long)a->base[1],
			      (long)(a->pages * PAGE), (long)(pages * PAGE),
			      MREMAP_MAYMOVE, 0, 0);
	same("mremap fails", p[0] == MAP_FAILED, p[1] == MAP_FAILED);
	if (p[0] == MAP_FAILED)
		return;
	for (int side = 0; side < SIDES; side++)
		a->base[side] = p[side];
	for (unsigned i = a->pages; i < pages; i++)
		a->mapped[i] = true;
	a->pages = pages;
}

static void step_advise(void)
{
	static const int all[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_DONTNEED, MADV_DONTNEED, MADV_NOHUGEPAGE, MADV_DONTDUMP,
		20 /* cold */, 21 /* pageout */, 12345,
	};
	int advice = all[below(sizeof(all) / sizeof(all[0]))];
	struct range r;

	if (!choose(&r))
		return;
	tell_range("advise", &r);
	tell(", %d\n", advice);
	same("madvise", said(madvise(at(&r, 0), r.count * PAGE, advice)),
	     said(kernel(SYS_madvise, (long)at(&r, 1), (long)(r.count * PAGE),
			 advice, 0, 0, 0)));
	r.area->divided = true; /* the kernel may have divided its mapping */
}

static void step_load(void)
{
	size_t offset = below(PAGE);
	struct range r;

	if (!choose(&r))
		return;
	tell_range("load from", &r);
	tell(", byte %zu\n", offset);
	touch_both(r.area, r.first * PAGE + offset, false, 0);
}

static void step_store(void)
{
	char value = (char)draw();
	size_t offset = below(PAGE);
	struct range r;

	if (!choose(&r))
		return;
	tell_range("store to", &r);
	tell(", byte %zu: %d\n", offset, value);
	for (unsigned i = 0; i < r.count; i++)
		touch_both(r.area, (r.first + i) * PAGE + offset, true,
			   (char)(value + (char)i));
}

static void step_push(void)
{
	tell("%3u all else is pushed out\n", step_now);
	for (size_t i = 0; i < BALLAST_SIZE; i += PAGE)
		ballast[i]++;
}

/* Whole calls on memory of which a part may have no rights. */
static void step_write(void)
{
	size_t offset = below(PAGE), size;
	struct range r;
	long result[SIDES];
	static char bytes[SIDES][16 * PAGE];
	int pipes[2];

	if (!choose(&r) || pipe2(pipes, O_NONBLOCK) < 0)
		return;
	size = 1 + below((unsigned)(r.count * PAGE - offset));
	size = size < 15 * PAGE ? size : 15 * PAGE;
	tell_range("write(2) from", &r);
	tell(", byte %zu, %zu bytes\n", offset, size);
	for (int side = 0; side < SIDES; side++) {
		result[side] = said(write(pipes[1], at(&r, side) + offset,
					  size));
		if (result[side] > 0 &&
		    read(pipes[0], bytes[side], sizeof(bytes[side])) !=
			    result[side])
			differ("what a pipe has", side, side);
	}
	close(pipes[0]);
	close(pipes[1]);
	same("write(2)", result[0], result[1]);
	if (result[0] > 0)
		same("bytes", memcmp(bytes[0], bytes[1], (size_t)result[0]), 0);
}

static void step_read(void)
{
	size_t offset = below(PAGE), size, n;
	static char bytes[8 * PAGE];
	struct range r;
	long result[SIDES];
	int pipes[2];

	if (!choose(&r) || pipe2(pipes, O_NONBLOCK) < 0)
		return;
	size = 1 + below((unsigned)(r.count * PAGE - offset));
	n = size < sizeof(bytes) ? size : sizeof(bytes);
	memset(bytes, (int)draw(), n);
	tell_range("read(2) to", &r);
	tell(", byte %zu, %zu of %zu bytes\n", offset, n, size);
	for (int side = 0; side < SIDES; side++) {
		char rest[64];

		if (write(pipes[1], bytes, n) != (ssize_t)n)
			break;
		result[side] = said(read(pipes[0], at(&r, side) + offset, size));
		while (read(pipes[0], rest, sizeof(rest)) > 0)
			;
	}
	close(pipes[0]);
	close(pipes[1]);
	same("read(2)", result[0], result[1]);
}

static void step_ask(void)
{
	size_t offset = below(PAGE);
	struct range r;

	if (!choose(&r))
		return;
	offset = offset < PAGE - sizeof(struct utsname)
			 ? offset : PAGE - sizeof(struct utsname);
	tell_range("uname(2) to", &r);
	tell(", byte %zu\n", offset);
	same("uname(2)", said(uname((struct utsname *)(void *)(at(&r, 0) + offset))),
	     said(uname((struct utsname *)(void *)(at(&r, 1) + offset))));
}

/* A child has all of it, and what it stores is its own. */
static void step_fork(void)
{
	char value = (char)draw();
	struct range r;
	int status = 0;
	pid_t pid;

	if (!choose(&r))
		return;
	tell_range("fork; the child stores to", &r);
	tell("\n");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		compare_all();
		for (unsigned i = 0; i < r.count; i++)
			touch_both(r.area, (r.first + i) * PAGE, true, value);
		compare_all();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		differ("fork", pid, 0);
	if (status != 0) /* it has said why; or it was ended */
		differ("the child's status", status, 0);
	compare_all();
}

static struct range signal_range;
static struct touched signal_result[SIDES];
static char signal_value;

static void on_user(int number)
{
	(void)number;
	for (int side = 0; side < SIDES; side++)
		*(volatile char *)&signal_result[side].value =
			(char)touch(signal_range.area->base[side],
				    at(&signal_range, side), true,
				    signal_value).number;
}

static void step_signal(void)
{
	if (!choose(&signal_range))
		return;
	signal_value = (char)draw();
	tell_range("a signal's handler stores to", &signal_range);
	tell("\n");
	raise(SIGUSR1);
	same("signal in a handler", signal_result[0].value,
	     signal_result[1].value);
}

static const struct {
	const char *name;
	void (*step)(void);
	unsigned weight;
} kinds[] = {
	{ "map", step_map, 14 },	 { "fixed", step_fixed, 3 },
	{ "unmap", step_unmap, 4 },	 { "protect", step_protect, 8 },
	{ "move", step_move, 3 },	 { "advise", step_advise, 6 },
	{ "load", step_load, 10 },	 { "store", step_store, 20 },
	{ "push", step_push, 5 },	 { "write", step_write, 5 },
	{ "read", step_read, 5 },	 { "ask", step_ask, 3 },
	{ "signal", step_signal, 3 },	 { "fork", step_fork, 1 },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* --- sequences ------------------------------------------------------------------------------------- */

static bool kind_left_out[KINDS], step_left_out[STEPS_MAX];

static void leave_out(const char *word)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);
	bool known = *end == '\0' && end != word && number < STEPS_MAX;

	if (known)
		step_left_out[number] = true;
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(word, kinds[i].name) == 0)
			known = kind_left_out[i] = true;
	if (!known) {
		fprintf(stderr, "run_random: %s: no such step\n", word);
		exit(2);
	}
}

static size_t draw_kind(void)
{
	unsigned all = 0, n;
	size_t kind = 0;

	for (size_t i = 0; i < KINDS; i++)
		all += kinds[i].weight;
	n = below(all);
	while (n >= kinds[kind].weight)
		n -= kinds[kind++].weight;
	return kind;
}

static void clear(void)
{
	for (int i = 0; i < AREAS; i++) {
		for (unsigned page = 0; page < areas[i].pages; page++)
			for (int side = 0; side < SIDES; side++)
				if (areas[i].mapped[page])
					unmap(side,
					      areas[i].base[side] + page * PAGE,
					      PAGE);
		areas[i].pages = 0;
	}
	story_used = 0;
	story[0] = '\0';
}

static void make_sequence(unsigned steps)
{
	clear();
	for (step_now = 0; step_now < steps; step_now++) {
		size_t kind;

		draw_from(step_now);
		kind = draw_kind();
		if (!kind_left_out[kind] && !step_left_out[step_now])
			kinds[kind].step();
	}
	tell("%3u all is compared\n", step_now);
	compare_all();
}

int main(int argc, char **argv)
{
	struct sigaction fault = { .sa_sigaction = on_fault,
				   .sa_flags = SA_SIGINFO },
			 user = { .sa_handler = on_user };
	uint64_t count, first;
	unsigned steps;

	if (argc < 3) {
		fprintf(stderr, "usage: run_random SEED COUNT [FIRST [STEPS "
				"[WITHOUT...]]]\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	count = strtoull(argv[2], NULL, 0);
	first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	steps = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 40;
	steps = steps < STEPS_MAX ? steps : STEPS_MAX;
	for (int i = 5; i < argc; i++)
		leave_out(argv[i]);
	ballast = malloc(BALLAST_SIZE);
	if (!ballast)
		return 2;
	memset(ballast, 0, BALLAST_SIZE);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGUSR1, &user, NULL);
	for (sequence = first; sequence < first + count; sequence++)
		make_sequence(steps);
	printf("%llu sequences of %u steps: the same\n",
	       (unsigned long long)count, steps);
	return 0;
}
