/* SPDX-License-Identifier: BSD-3-Clause */
/* Real appliances and other programs for tests; see appliance.h. */
#include "tests/support/appliance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32
#define PROGRAM_SECONDS (600 * slowness()) /* a whole test program */

unsigned slowness(void)
{
	const char *text = getenv("XM_SLOW");
	long factor = text != NULL ? strtol(text, NULL, 10) : 1;

	return factor < 1 ? 1 : factor > 100 ? 100 : (unsigned)factor;
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
	struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

bool until(bool (*question)(void *), void *context)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;

	while (!question(context)) {
		if (now_ms() >= deadline)
			return false;
		sleep_ms(5);
	}
	return true;
}

/* --- processes ----------------------------------------------------------------- */

/* Waits for its end; past the patience it is killed. */
static int reap(pid_t pid, unsigned patience_ms)
{
	uint64_t deadline = now_ms() + patience_ms;
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() >= deadline) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		sleep_ms(2);
	}
	return status;
}

/* In the new process. Its end comes with the test's. */
static _Noreturn void become(const char *const argv[], pid_t parent, int out,
			     int out_as)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (out == out_as)
		fcntl(out, F_SETFD, 0);
	else
		dup2(out, out_as);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static pid_t spawn(const char *const argv[], int out_as, int *ret_out)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become(argv, parent, pair[1], out_as < 0 ? pair[1] : out_as);
	close(pair[1]);
	if (pid < 0)
		close(pair[0]);
	else
		*ret_out = pair[0];
	return pid;
}

/* One line, without its end; false at the end of file or of the patience. */
static bool read_line(int fd, char *ret, size_t size)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	size_t used = 0;

	while (used + 1 < size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = now_ms();

		if (now >= deadline || poll(&p, 1, (int)(deadline - now)) < 1 ||
		    read(fd, ret + used, 1) != 1)
			return false;
		if (ret[used] == '\n') {
			ret[used] = '\0';
			return true;
		}
		used++;
	}
	return false;
}

/* --- appliances ------------------------------------------------------------------ */

/* The build folder: said by make, else above the tests' (and .libs). */
static bool find_daemon(char *ret, size_t size)
{
	static const char *const above[] = { "..", "../.." };
	const char *folder = getenv("XM_BUILDDIR");
	char self[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (folder != NULL) {
		snprintf(ret, size, "%s/extmemd", folder);
		return true;
	}
	if (n <= 0)
		return false;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < 2; i++) {
		snprintf(ret, size, "%s/%s/extmemd", self, above[i]);
		if (access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

static pid_t child_of(pid_t pid)
{
	char path[64], text[64] = "";
	FILE *file;
	pid_t child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fgets(text, sizeof(text), file) != NULL)
		child = (pid_t)strtol(text, NULL, 10);
	fclose(file);
	return child;
}

bool appliance_start(struct appliance *a, const char *listen,
		     const char *memory, const char *const more[])
{
	static unsigned names;
	char program[PATH_MAX], name[64];
	const char *argv[ARGUMENTS_MAX] = {
		program, "--listen", listen, "--memory", memory,
		"--ready-fd=9", "--log-level=error", "--drain-timeout=1s",
	};
	int count = 8, out = -1;

	memset(a, 0, sizeof(*a));
	if (strcmp(listen, SHARED) == 0) {
		snprintf(name, sizeof(name), SHARED "test-%d-%u", getpid(),
			 names++);
		argv[2] = name;
	}
	if (!find_daemon(program, sizeof(program))) {
		fprintf(stderr, "extmemd is not built\n");
		return false;
	}
	while (more != NULL && *more != NULL && count < ARGUMENTS_MAX - 1)
		argv[count++] = *more++;
	a->control = spawn(argv, 9, &out);
	if (a->control < 0)
		return false;
	if (!read_line(out, a->address, sizeof(a->address))) {
		close(out);
		appliance_kill(a);
		return false;
	}
	close(out);
	a->interface = child_of(a->control);
	return a->interface > 0;
}

void appliance_signal(const struct appliance *a, enum part part, int number)
{
	if ((part & PART_CONTROL) != 0 && a->control > 0)
		kill(a->control, number);
	if ((part & PART_INTERFACE) != 0 && a->interface > 0)
		kill(a->interface, number);
}

int appliance_stop(struct appliance *a)
{
	int status = -1;

	if (a->control > 0) {
		appliance_signal(a, PART_BOTH, SIGCONT);
		kill(a->control, SIGTERM);
		status = reap(a->control, PATIENCE_MS);
	}
	memset(a, 0, sizeof(*a));
	return status;
}

void appliance_kill(struct appliance *a)
{
	/* The interface first: it is a child of the other, so its id cannot
	 * have become somebody else's before that one is gone. */
	if (a->interface > 0)
		kill(a->interface, SIGKILL);
	if (a->control > 0) {
		kill(a->control, SIGKILL);
		reap(a->control, PATIENCE_MS);
	}
	a->control = a->interface = 0;
}

int64_t appliance_free(const struct appliance *a)
{
	struct extmem_status status = { .size = sizeof(status) };

	if (extmem_status(a->address, PATIENCE_MS, &status) != 0)
		return -1;
	return (int64_t)status.free;
}

bool appliance_frees(const struct appliance *a, uint64_t size)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	int64_t got;

	while ((got = appliance_free(a)) != (int64_t)size) {
		if (now_ms() >= deadline) {
			fprintf(stderr, "%lld bytes are free, expected %llu\n",
				(long long)got, (unsigned long long)size);
			return false;
		}
		sleep_ms(5);
	}
	return true;
}

/* --- acts ----------------------------------------------------------------------------- */

static void too_late(int number)
{
	static const char words[] = "the test hangs: it is ended\n";

	(void)number;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		_exit(98);
	_exit(99);
}

void act_begin(int argc, char **argv, const struct act *acts)
{
	struct sigaction late = { .sa_handler = too_late };
	char name[256];

	for (char **at = environ; *at != NULL;) {
		size_t length = strcspn(*at, "=");

		if (strncmp(*at, "EXTMEM", 6) != 0 || length >= sizeof(name)) {
			at++;
			continue;
		}
		memcpy(name, *at, length);
		name[length] = '\0';
		unsetenv(name);
		at = environ;
	}
	if (slowness() > 1) {
		snprintf(name, sizeof(name), "%us", 30 * slowness());
		setenv("EXTMEM_TIMEOUT", name, 1);
	}
	sigaction(SIGALRM, &late, NULL);
	alarm(PROGRAM_SECONDS);
	signal(SIGPIPE, SIG_IGN);
	/* Some providers' libraries leave handlers here as they are loaded. */
	signal(SIGBUS, SIG_DFL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || strcmp(argv[1], "--act") != 0)
		return;
	for (; acts->name != NULL; acts++)
		if (strcmp(acts->name, argv[2]) == 0)
			exit(acts->perform(argc - 3, argv + 3));
	fprintf(stderr, "%s: no such act\n", argv[2]);
	exit(126);
}

pid_t act_start(const char *name, const char *const arguments[], int *ret_out)
{
	char self[PATH_MAX];
	const char *argv[ARGUMENTS_MAX] = { self, "--act", name };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int count = 3;

	if (n <= 0)
		return -1;
	self[n] = '\0';
	while (*arguments != NULL && count < ARGUMENTS_MAX - 1)
		argv[count++] = *arguments++;
	return spawn(argv, STDOUT_FILENO, ret_out);
}

bool act_says(int out, const char *line)
{
	char said[512];

	if (!read_line(out, said, sizeof(said)))
		return false;
	if (strncmp(said, line, strlen(line)) == 0)
		return true;
	fprintf(stderr, "expected \"%s\", got \"%s\"\n", line, said);
	return false;
}

int act_wait(pid_t pid)
{
	return reap(pid, PATIENCE_MS);
}

/* --- clients ------------------------------------------------------------------------------ */

extmem *client_open(const char *address, ...)
{
	char appliance[160];
	const char *settings[10] = { appliance };
	int count = 1;
	extmem *x = NULL;
	va_list more;

	snprintf(appliance, sizeof(appliance), "appliance=%s", address);
	va_start(more, address);
	while (count < 9 &&
	       (settings[count] = va_arg(more, const char *)) != NULL)
		count++;
	va_end(more);
	if (extmem_open(settings, &x) != 0) {
		fprintf(stderr, "%s\n", extmem_error());
		return NULL;
	}
	return x;
}

struct extmem_stats client_stats(extmem *x)
{
	struct extmem_stats stats = { .size = sizeof(stats) };

	if (extmem_stats(x, &stats) != 0)
		fprintf(stderr, "%s\n", extmem_error());
	return stats;
}

bool client_is(extmem *x, const char *state)
{
	struct extmem_info info = { .size = sizeof(info) };

	return extmem_info(x, 0, &info) == 0 && strcmp(info.state, state) == 0;
}

/* --- patterns -------------------------------------------------------------------------------- */

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t word_at(uint64_t index, uint64_t seed)
{
	uint64_t z = (index + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void pattern_fill(void *ret, uint64_t offset, size_t size, uint64_t seed)
{
	uint8_t *bytes = ret;

	for (size_t done = 0; done < size;) {
		uint64_t word = word_at((offset + done) / 8, seed);
		size_t skip = (offset + done) % 8, part = 8 - skip;

		if (part > size - done)
			part = size - done;
		memcpy(bytes + done, (uint8_t *)&word + skip, part);
		done += part;
	}
}

bool pattern_is(const void *bytes, uint64_t offset, size_t size, uint64_t seed)
{
	const uint8_t *at = bytes;
	uint8_t wanted[4096];

	for (size_t done = 0; done < size; done += sizeof(wanted)) {
		size_t part = size - done;

		if (part > sizeof(wanted))
			part = sizeof(wanted);
		pattern_fill(wanted, offset + done, part, seed);
		for (size_t i = 0; memcmp(at + done, wanted, part) != 0; i++) {
			if (at[done + i] == wanted[i])
				continue;
			fprintf(stderr, "byte %llu is 0x%02x, expected 0x%02x\n",
				(unsigned long long)(offset + done + i),
				at[done + i], wanted[i]);
			return false;
		}
	}
	return true;
}

bool all_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	/* Equal to itself one byte on, from a zero on. */
	return size == 0 ||
	       (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

/* --- touching ---------------------------------------------------------------------------------- */

static _Thread_local sigjmp_buf touch_back;
static _Thread_local volatile sig_atomic_t touching, touched;

/* SIGSEGV is the answer to a touch without the right, and to nothing else here. */
static void touch_failed(int number, siginfo_t *info, void *context)
{
	static const char words[] = "a page is lost, or has not the right, in "
				    "the middle of a test that relies on it\n";

	(void)context;
	if (!touching || (number == SIGSEGV && info->si_code != SEGV_ACCERR)) {
		if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0) {
			/* The signal says it as well. */
		}
		signal(number, SIG_DFL);
		return; /* the touch is repeated, and ends the program */
	}
	touched = number == SIGSEGV ? TOUCH_DENIED : -1;
	siglongjmp(touch_back, 1);
}

void touch_begin(void)
{
	struct sigaction action = { .sa_sigaction = touch_failed,
				    .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int touch_read(const volatile uint8_t *at)
{
	if (sigsetjmp(touch_back, 1) == 0) {
		touching = 1;
		touched = *at;
	}
	touching = 0;
	return touched;
}

int touch_write(volatile uint8_t *at, uint8_t byte)
{
	if (sigsetjmp(touch_back, 1) == 0) {
		touching = 1;
		*at = byte;
		touched = byte;
	}
	touching = 0;
	return touched;
}

bool words_have(const char *part)
{
	if (strstr(extmem_error(), part) != NULL)
		return true;
	fprintf(stderr, "\"%s\" is not in: %s\n", part, extmem_error());
	return false;
}
