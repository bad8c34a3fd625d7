/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem advise` (which executes this program): runs a program once under `extmem run`, with
 * little local memory and without reading ahead, so that nearly all of its touches of
 * pages are seen; then plays them back to the pager with more local memory, and says what
 * that would cost. See extmem-advise(1).
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "advise/advise.h"
#include "common/options_shared.h"
#include "common/standard.h"
#include "core/extmem.h"
#include "preload/shared.h"

enum { USAGE = 2, FAILED = 125 };

struct settings {
	const char *shares, *flame, *output;
	struct xm_option_list appliance;
	struct xm_option_share local;
	uint64_t link_ns, room;
	bool json;
};

static const struct xm_option options[] = {
	XM_SHARED_APPLIANCE(struct settings, appliance,
		"Address of an appliance for the run: ofi+tcp://host:7470. May be "
		"repeated. Without it, one is started on this machine."),
	{ .name = "shares", .kind = XM_OPTION_TEXT, .unit = "LIST",
	  .value = "75,50,25",
	  .help = "Local shares to foresee, in per cent of the most external "
		  "memory that the program has.",
	  .destination = offsetof(struct settings, shares) },
	{ .name = "link", .kind = XM_OPTION_DURATION,
	  .help = "The round trip of the link to foresee: 30us. 0: as it was "
		  "in this run.",
	  .destination = offsetof(struct settings, link_ns) },
	{ .name = "flame", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  .help = "Write a flame graph of the calls that miss, at the last of "
		  "the shares, to this file, as SVG.",
	  .destination = offsetof(struct settings, flame) },
	{ .name = "output", .kind = XM_OPTION_TEXT, .letter = 'o',
	  .unit = "FILE", .value = "-",
	  .help = "Write the advice to this file; - is stderr.",
	  .destination = offsetof(struct settings, output) },
	XM_SHARED_JSON(struct settings, json, "Write it as JSON."),
	{ .name = "local", .kind = XM_OPTION_SHARE, .letter = 'l',
	  .value = "10%", .min = XM_MIB,
	  .help = "Local memory of the run that is recorded. Less sees more of "
		  "the touches, and takes longer.",
	  .destination = offsetof(struct settings, local) },
	{ .name = "room", .kind = XM_OPTION_SIZE, .value = "64M",
	  .min = 8 * XM_MIB, .max = 64 * XM_GIB,
	  .help = "Room for the recording, in TMPDIR or /tmp; 8 bytes a touch. "
		  "What has none is recorded of a part of the memory.",
	  .destination = offsetof(struct settings, room) },
};

static const struct xm_option_table table = {
	.program = "extmem advise",
	.prefix = NULL,
	.usage = "[OPTION]... [--] PROGRAM [ARGUMENT]...",
	.about = "Runs PROGRAM once under `extmem run` and says what other shares "
		 "of local memory, a link or a mirror would cost, and which calls "
		 "cause the misses. Exits with PROGRAM's status, or 125.",
	.options = options,
	.count = XM_COUNT(options),
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list arguments;

	fputs("extmem advise: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* --- the recording's file ------------------------------------------------------------- */

struct file {
	char path[PATH_MAX];
	struct xm_record *at;
	size_t size;
};

static bool file_open(uint64_t room, struct file *ret)
{
	const char *folder = getenv("TMPDIR");
	int fd, error = 0;

	ret->at = MAP_FAILED;
	ret->size = xm_record_size(room / sizeof(struct xm_record_touch));
	snprintf(ret->path, sizeof(ret->path), "%s/extmem-advise.XXXXXX",
		 folder && *folder ? folder : "/tmp");
	fd = mkostemp(ret->path, O_CLOEXEC);
	if (fd < 0)
		error = errno;
	else if ((error = posix_fallocate(fd, 0, (off_t)ret->size)) == 0) {
		/* A page for which there is no room later would be SIGBUS. */
		ret->at = mmap(NULL, ret->size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0);
		error = ret->at == MAP_FAILED ? errno : 0;
	}
	if (error == 0)
		xm_record_begin(ret->at, ret->size);
	else
		say("%s, %zu MiB: %s; see --room, and TMPDIR", ret->path,
		    ret->size >> 20, strerror(error));
	if (error != 0 && fd >= 0)
		unlink(ret->path);
	if (fd >= 0)
		close(fd);
	return error == 0;
}

static void file_close(struct file *f)
{
	munmap(f->at, f->size);
	unlink(f->path);
}

/* --- the run ------------------------------------------------------------------------- */

static volatile sig_atomic_t running; /* its process */

static void on_end(int number)
{
	if (running > 0)
		kill((pid_t)running, number);
}

/* Who ends us means the program. From the terminal it has had that as well. */
static void pass_signals_on(void)
{
	static const int ends[] = { SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_end };

	for (size_t i = 0; i < XM_COUNT(ends); i++)
		sigaction(ends[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGQUIT, &action, NULL);
}

static bool find_extmem(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 16);

	if (n <= 0)
		return false;
	ret[n] = '\0';
	strcpy(strrchr(ret, '/') + 1, "extmem");
	return access(ret, X_OK) == 0;
}

static void set_environment(const struct file *file)
{
	setenv(RUN_ENV_RECORD, file->path, 1);
	/* Each page is touched by itself, and nothing is spared. */
	setenv("EXTMEM_PREFETCH", "1", 1);
	setenv("EXTMEM_FINGERPRINTS", "no", 1);
	setenv("EXTMEM_LANES", "1", 1);
	/* What comes in last leaves last: no page stays, and is touched unseen, for long. */
	setenv("EXTMEM_RECLAIM", "clock", 1);
}

/* `extmem run` with its options and the program. NULL: no memory. */
static char **run_arguments(const struct settings *s, char *argv[])
{
	size_t count = 0, used = 0;
	char local[32], **list;

	while (argv[count] != NULL)
		count++;
	list = calloc(count + 2 * s->appliance.count + 12, sizeof(*list));
	if (list == NULL)
		return NULL;
	if (s->local.percent > 0)
		snprintf(local, sizeof(local), "%u%%", s->local.percent);
	else
		snprintf(local, sizeof(local), "%llu",
			 (unsigned long long)s->local.size);
	list[used++] = strdup("extmem");
	list[used++] = strdup("run");
	list[used++] = strdup("--paging=inline");
	list[used++] = strdup("--local");
	list[used++] = strdup(local);
	for (size_t i = 0; i < s->appliance.count; i++) {
		list[used++] = strdup("--appliance");
		list[used++] = strdup(s->appliance.items[i]);
	}
	list[used++] = strdup("--");
	memcpy(list + used, argv, count * sizeof(*argv));
	return list;
}

/* Returns the exit status of `extmem run`, which is the program's. */
static int run(const struct settings *s, const struct file *file, char *argv[])
{
	char path[PATH_MAX], **arguments = run_arguments(s, argv);
	pid_t parent = getpid(), pid;
	int status = 0;

	if (arguments == NULL || !find_extmem(path)) {
		say("extmem is not beside this program");
		return FAILED;
	}
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(FAILED);
		set_environment(file);
		execv(path, arguments);
		_exit(FAILED);
	}
	running = pid;
	pass_signals_on();
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	running = 0;
	if (pid < 0)
		say("no process for the program: %s", strerror(errno));
	return pid < 0		    ? FAILED
	       : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				     : WEXITSTATUS(status);
}

/* --- the advice --------------------------------------------------------------------------- */

/* "75,50,25". False: it is no such list. */
static bool take_shares(const char *text, struct advice *ret)
{
	do {
		char *end;
		unsigned long percent = strtoul(text, &end, 10);

		if (end == text || percent < 1 || percent > 100 ||
		    (*end != '\0' && *end != ',') ||
		    ret->shares_count == SHARES_MAX)
			return false;
		ret->shares[ret->shares_count++].percent = (unsigned)percent;
		text = end + (*end == ',');
	} while (*text != '\0');
	return true;
}

static bool foresee_shares(struct advice *a)
{
	const struct replay_link one = foresee_link(a->trip_ns, 1);
	const struct replay_link two = foresee_link(a->trip_ns, 2);
	static uint64_t misses_by[XM_RECORD_STACKS];

	for (unsigned i = 0; i < a->shares_count; i++) {
		struct share *s = &a->shares[i];
		uint64_t local = a->recording->record->peak / 100 * s->percent;
		const char *wrong = foresee(a->recording, local, &one, &s->one,
					    misses_by);

		if (wrong == NULL)
			wrong = foresee(a->recording, local, &two, &s->mirrored,
					NULL);
		if (wrong != NULL) {
			say("the recording cannot be played back: %s", wrong);
			return false;
		}
		a->sites_percent = s->percent;
	}
	if (sites_open(a->recording, misses_by, &a->sites) == 0)
		return true;
	say("out of memory");
	return false;
}

static bool write_to(const char *path, const struct advice *a,
		     bool (*print)(const struct advice *, FILE *))
{
	FILE *to = strcmp(path, "-") == 0 ? stderr : fopen(path, "we");
	bool ok = to != NULL && print(a, to);

	if (to != NULL && (ferror(to) || (to != stderr && fclose(to) != 0)))
		ok = false;
	if (!ok)
		say("%s: %s", path, errno != 0 ? strerror(errno) : "not written");
	return ok;
}

static bool print_words(const struct advice *a, FILE *to)
{
	advice_print(a, to);
	return true;
}

static bool print_flame(const struct advice *a, FILE *to)
{
	char title[160];

	snprintf(title, sizeof(title), "%.80s: misses with %u %% local",
		 a->program, a->sites_percent);
	sites_flame(&a->sites, title, to);
	return true;
}

static bool advise(const struct settings *s, const struct file *file,
		   struct advice *a)
{
	struct recording recording;
	bool ok;

	if (recording_open(file->at, file->size, &recording) != 0) {
		say("the recording is not to be read");
		return false;
	}
	if (recording.touches == 0)
		say("the program had no external memory: all of it was local, or "
		    "it ran in another process; see --open-after in extmem(1)");
	a->recording = &recording;
	a->trip_measured = s->link_ns == 0;
	a->trip_ns = s->link_ns ? s->link_ns
				: recording_trip_ns(&recording,
						    foresee_link(0, 1).fault_ns);
	ok = foresee_shares(a);
	errno = 0;
	ok = ok && write_to(s->output, a, s->json ? advice_print_json : print_words);
	if (ok && s->flame[0] != '\0')
		ok = write_to(s->flame, a, print_flame);
	sites_close(&a->sites);
	recording_close(&recording);
	return ok;
}

static int begin(const struct settings *s, char *argv[])
{
	const char *name = strrchr(argv[0], '/');
	struct advice a = { .program = name ? name + 1 : argv[0] };
	struct file file;
	int status;

	if (!take_shares(s->shares, &a)) {
		say("--shares %s: give up to %d numbers from 1 to 100, such as "
		    "75,50,25", s->shares, SHARES_MAX);
		return USAGE;
	}
#ifndef HAVE_JANSSON
	if (s->json) {
		say("--json: this build has none (Debian: libjansson-dev)");
		return USAGE;
	}
#endif
	if (!file_open(s->room, &file))
		return FAILED;
	status = run(s, &file, argv);
	/* One that could not begin has said why, and touched nothing. */
	if (file.at->began_ns != 0 && !advise(s, &file, &a))
		status = FAILED;
	file_close(&file);
	return status;
}

int main(int argc, char *argv[])
{
	extern char **environ;
	struct settings settings;
	struct xm_options *o;
	int rest = argc, r, status = USAGE;

	xm_standard_hold();
	if (xm_options_open(&table, &settings, &o) < 0) {
		say("out of memory");
		return FAILED;
	}
	r = xm_options_load(o, argc, argv, environ, &rest);
	if (r == XM_OPTIONS_HELP) {
		xm_options_print_help(&table, stdout);
		status = 0;
	} else if (r == XM_OPTIONS_VERSION) {
		printf("extmem %s\n", extmem_version());
		status = 0;
	} else if (r < 0) {
		say("%s", xm_options_words(o));
	} else if (rest >= argc) {
		say("which program? `extmem advise --help` says more");
	} else {
		status = begin(&settings, argv + rest);
	}
	xm_options_close(o);
	return status;
}
