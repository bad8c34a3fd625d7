/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program of test_run_opens.sh: what is there before external memory is, and after.
 * usage: run_opens HOW; prints "ok".
 */
#include <dirent.h>
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define THREADS 8

static void fail(const char *words)
{
	fprintf(stderr, "run_opens: %s\n", words);
	exit(1);
}

/* Regions of external memory have threads of the library's behind them. */
static unsigned threads_here(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n - 2;
}

static unsigned descriptors_here(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 20000; fd++)
		n += dup2(fd, fd) == fd;
	return n;
}

static unsigned char *fill(size_t size, unsigned char value)
{
	unsigned char *p = malloc(size);

	if (!p)
		fail("no memory");
	memset(p, value, size);
	return p;
}

static bool filled(const unsigned char *p, size_t size, unsigned char value)
{
	for (size_t i = 0; i < size; i += 1024)
		if (p[i] != value)
			return false;
	return true;
}

/* --- nothing is open ------------------------------------------------------------------ */

/* Neither libfabric nor what it stands on. */
static bool libfabric_is_here(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024];
	bool any = false;

	while (f && fgets(line, sizeof(line), f))
		any |= strstr(line, "libfabric") != NULL;
	if (f)
		fclose(f);
	return any;
}

static void still_closed(unsigned before)
{
	if (threads_here() != 1)
		fail("there are threads");
	if (descriptors_here() != before)
		fail("there are descriptors");
	if (libfabric_is_here())
		fail("libfabric is there");
}

/* Takes and gives back much more than stays local, a little at a time. */
static void little(void)
{
	unsigned before = descriptors_here();

	for (int i = 0; i < 2000; i++) {
		unsigned char *p = fill(100000, 1), *q = fill(1000, 2);

		if (!filled(p, 100000, 1) || !filled(q, 1000, 2))
			fail("bytes are not what they were");
		free(p);
		free(q);
	}
	for (int i = 0; i < 2000; i++) {
		void *p = mmap(NULL, 100000, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || munmap(p, 100000) < 0)
			fail("no pages");
	}
	still_closed(before);
}

/* Reserves, piece by piece, what is much together, and uses it afterwards. */
static void reserves(void)
{
	static char *list[256];

	for (int i = 0; i < 256; i++)
		list[i] = mmap(NULL, MIB / 4, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 256; i++) {
		if (mprotect(list[i], MIB / 4, PROT_READ | PROT_WRITE) < 0)
			fail("mprotect");
		memset(list[i], i, MIB / 4);
	}
	for (int i = 0; i < 256; i++)
		if (!filled((unsigned char *)list[i], MIB / 4,
			    (unsigned char)i))
			fail("bytes are not what they were");
}

/* --- memory of before and after ----------------------------------------------------------- */

static void grows(void)
{
	static unsigned char *list[64];
	pid_t pid;
	int status;

	for (int i = 0; i < 64; i++)
		list[i] = fill(MIB, (unsigned char)i);
	for (int i = 0; i < 64; i++)
		if (!filled(list[i], MIB, (unsigned char)i))
			fail("bytes are not what they were");
	/* Blocks of both kinds grow, shrink and go. */
	for (int i = 0; i < 64; i++) {
		list[i] = realloc(list[i], i % 2 ? 2 * MIB : 1000);
		if (!filled(list[i], i % 2 ? MIB : 1000, (unsigned char)i))
			fail("bytes are not what they were after realloc");
	}
	pid = fork();
	if (pid == 0) {
		for (int i = 1; i < 64; i += 2)
			if (!filled(list[i], MIB, (unsigned char)i))
				_exit(1);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		fail("a child does not see what its parent had");
	for (int i = 0; i < 64; i++)
		free(list[i]);
}

/* --- threads --------------------------------------------------------------------------------- */

static void *allocate(void *p)
{
	unsigned char value = (unsigned char)(uintptr_t)p;
	unsigned char *list[16];

	for (int i = 0; i < 16; i++)
		list[i] = fill(MIB / 2, value);
	for (int i = 0; i < 16; i++) {
		if (!filled(list[i], MIB / 2, value))
			fail("bytes of a thread are not what they were");
		free(list[i]);
	}
	return NULL;
}

/* On small stacks, all at once. */
static void threads(void)
{
	pthread_t list[THREADS];
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&list[i], &small, allocate, (void *)i) != 0)
			fail("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(list[i], NULL);
}

static ucontext_t main_context, other;

static void on_other_stack(void)
{
	allocate((void *)(uintptr_t)9);
}

static void coroutine(void)
{
	static _Alignas(16) char stack[65536];

	getcontext(&other);
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = sizeof(stack);
	other.uc_link = &main_context;
	makecontext(&other, on_other_stack, 0);
	swapcontext(&main_context, &other);
}

/* --- children made before ------------------------------------------------------------------------ */

static void child(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		allocate((void *)(uintptr_t)3);
		_exit(threads_here() == 1 ? 0 : 1);
	}
	allocate((void *)(uintptr_t)4);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		fail("a child made before is not as it was");
}

/* Others fork and load libraries while one thread opens. */
static void *fork_often(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(0);
		if (waitpid(pid, &status, 0) < 0 || status != 0)
			fail("a child does not end well");
	}
	return NULL;
}

static void *load_often(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++) {
		void *h = dlopen("libm.so.6", RTLD_NOW);

		free(fill(MIB / 4, 5));
		if (h)
			dlclose(h);
	}
	return NULL;
}

static void busy(void)
{
	pthread_t list[3];

	pthread_create(&list[0], NULL, fork_often, NULL);
	pthread_create(&list[1], NULL, load_often, NULL);
	pthread_create(&list[2], NULL, allocate, (void *)(uintptr_t)6);
	threads();
	for (int i = 0; i < 3; i++)
		pthread_join(list[i], NULL);
}

/* --- signals -------------------------------------------------------------------------------------- */

static volatile sig_atomic_t seen;

static void on_signal(int number)
{
	seen = number;
}

/* What the program installed before stays, and is not the library's. */
static void handlers(void)
{
	static const int numbers[] = { SIGSEGV, SIGTERM, SIGINT, SIGABRT,
				       SIGUSR1, SIGBUS };
	struct sigaction a = { .sa_handler = on_signal }, now;
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGUSR1);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &a, NULL);
	sigprocmask(SIG_SETMASK, &all, NULL);
	grows();
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &now) < 0 ||
		    now.sa_handler != on_signal)
			fail("a handler is not the program's any more");
	if (seen != 0)
		fail("a signal came from nowhere");
	raise(SIGUSR1);
	if (seen != SIGUSR1)
		fail("a handler does not run");
}

/* Memory asked for in a handler, and there. */
static void in_handler(int number)
{
	void *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	memset(p, 1, MIB);
	munmap(p, 64 * MIB);
	seen = number;
}

static void handler(void)
{
	signal(SIGUSR1, in_handler);
	raise(SIGUSR1);
	if (seen != SIGUSR1)
		fail("the handler did not run");
	grows();
}

/* --- what would take away the right to --------------------------------------------------------------- */

/* Nobody makes a socket any more. */
static void confine(void)
{
	struct sock_filter list[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(list) / sizeof(list[0]), list };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		fail("no filter");
}

static void confined(void)
{
	confine();
	grows();
}

static void confine_there(int number)
{
	confine();
	seen = number;
}

/* It cannot be opened in the handler, nor afterwards. */
static void confined_in_handler(void)
{
	void *p;

	signal(SIGUSR1, confine_there);
	raise(SIGUSR1);
	if (seen != SIGUSR1)
		fail("the handler did not run");
	p = malloc(64 * MIB);
	if (p)
		fail("there is memory");
	free(p);
}

static void limited(void)
{
	struct rlimit few = { 16, 16 }, none = { 0, 0 };

	if (setrlimit(RLIMIT_NOFILE, &few) < 0 ||
	    setrlimit(RLIMIT_NPROC, &none) < 0)
		fail("setrlimit");
	allocate((void *)(uintptr_t)8);
}

/* Two threads that fork at a time leave it possible to open. */
static void two_fork(void)
{
	pthread_t list[4];

	for (int i = 0; i < 4; i++)
		if (pthread_create(&list[i], NULL, fork_often, NULL) != 0)
			fail("no thread");
	for (int i = 0; i < 4; i++)
		pthread_join(list[i], NULL);
	grows();
}

/* --- one large piece, and what is refused ------------------------------------------------------------ */

static void large(void)
{
	unsigned char *p = malloc(64 * MIB);

	if (!p) {
		puts("ENOMEM");
		exit(3);
	}
	memset(p, 1, 64 * MIB);
	free(p);
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*call)(void);
	} ways[] = {
		{ "little", little },	{ "grows", grows },
		{ "threads", threads }, { "coroutine", coroutine },
		{ "child", child },	{ "busy", busy },
		{ "handlers", handlers }, { "handler", handler },
		{ "large", large },	{ "reserves", reserves },
		{ "confined", confined }, { "limited", limited },
		{ "confined_in_handler", confined_in_handler },
		{ "two_fork", two_fork },
	};

	for (unsigned i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]);
	     i++)
		if (strcmp(argv[1], ways[i].name) == 0) {
			ways[i].call();
			puts("ok");
			return 0;
		}
	fail("which way?");
}
