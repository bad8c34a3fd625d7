/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem trace`: what happened to the external memory of programs on this machine: each
 * keeps its last events in its file of figures (preload/shared.h), behind these. A program
 * that has ended has no file any more; extmemd's events are in its log.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "common/options_shared.h"
#include "preload/news.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#define CLIENTS_MAX 512
#define LOOK_NS 200000000

struct settings {
	bool follow, json;
};

static const struct xm_option options[] = {
	{ .name = "follow",
	  .kind = XM_OPTION_FLAG,
	  .letter = 'f',
	  .help = "Go on with what happens from now on. With PID or NAME until "
		  "the program ends.",
	  .destination = offsetof(struct settings, follow) },
	XM_SHARED_JSON(struct settings, json, "Print one JSON object in each line."),
};

static const struct xm_option_table table = {
	.program = "extmem trace",
	.prefix = "EXTMEM",
	.usage = "[OPTION]... [PID|NAME]",
	.about = "Shows what happened to the external memory of programs that "
		 "run here: yours, or as root everybody's. What happens at an "
		 "appliance is in extmemd's log.",
	.options = options,
	.count = XM_COUNT(options),
};

/* A program whose file is open. */
struct followed {
	int fd;
	ino_t file;
	uint32_t pid;
	bool is_there; /* as we looked last */
	char program[64];
	uint64_t lost; /* as was said */
	struct xm_ring_reader reader;
};

static struct followed list[CLIENTS_MAX];
static unsigned count;

static int read_ring(void *context, size_t offset, void *ret, size_t size)
{
	const int *fd = context;
	ssize_t n = pread(*fd, ret, size, (off_t)(offsetof(struct run_file, ring) + offset));

	return n == (ssize_t)size ? 0 : -1;
}

/* --- who ------------------------------------------------------------------------- */

static bool is_meant(const struct run_client *c, const char *who)
{
	char *end;
	unsigned long pid;

	if (who == NULL || strcmp(who, c->at.program) == 0)
		return true;
	pid = strtoul(who, &end, 10);
	return *end == '\0' && pid == c->at.pid;
}

static struct followed *find(ino_t file)
{
	for (unsigned i = 0; i < count; i++)
		if (list[i].file == file)
			return &list[i];
	return NULL;
}

static void add(const struct run_client *c)
{
	struct followed *f = &list[count];
	struct stat status;
	char path[sizeof(RUN_FOLDER) + sizeof(c->name) + 1];

	snprintf(path, sizeof(path), RUN_FOLDER "/%s", c->name);
	*f = (struct followed){ .file = c->file, .pid = c->at.pid, .is_there = true };
	memcpy(f->program, c->at.program, sizeof(f->program));
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f->fd < 0)
		return;
	if (fstat(f->fd, &status) != 0 || status.st_ino != c->file) {
		close(f->fd); /* another one has its place already */
		return;
	}
	f->reader = (struct xm_ring_reader){ .read = read_ring, .context = &f->fd };
	count++;
}

/* Those of others, which this process may not read, in *ret_hidden. */
static void look(const char *who, unsigned *ret_hidden)
{
	static struct run_client clients[CLIENTS_MAX];
	unsigned n = run_clients_read(clients, CLIENTS_MAX, ret_hidden);

	for (unsigned i = 0; i < count; i++)
		list[i].is_there = false;
	for (unsigned i = 0; i < n; i++) {
		struct followed *f = find(clients[i].file);

		if (f != NULL)
			f->is_there = true;
		else if (is_meant(&clients[i], who) && count < CLIENTS_MAX)
			add(&clients[i]);
	}
}

static void forget_those_that_ended(void)
{
	for (unsigned i = count; i-- > 0;) {
		if (list[i].is_there)
			continue;
		close(list[i].fd);
		list[i] = list[--count];
		list[i].reader.context = &list[i].fd;
	}
}

/* --- what ------------------------------------------------------------------------- */

static const char *level_of(const struct xm_ring_event *e)
{
	static const char *const names[] = { "error", "warning", "info" };

	return e->level < XM_COUNT(names) ? names[e->level] : "unknown";
}

static const char *subsystem_of(const struct xm_ring_event *e)
{
	return e->subsystem < NEWS_SUBSYSTEMS ? news_names[e->subsystem] : "unknown";
}

static void print_text(const struct followed *f, const struct xm_ring_event *e,
		       const char *time)
{
	printf("%s %s[%" PRIu32 "] %s %s: %s\n", time, f->program, f->pid, subsystem_of(e),
	       level_of(e), e->words);
}

#ifdef HAVE_JANSSON

static int print_json(const struct followed *f, const struct xm_ring_event *e,
		      const char *time)
{
	json_t *root = json_pack("{ss sI ss ss ss ss}", "time", time, "pid",
				 (json_int_t)f->pid, "program", f->program, "subsystem",
				 subsystem_of(e), "level", level_of(e), "message", e->words);
	int rc = root ? json_dumpf(root, stdout, JSON_COMPACT) : -1;

	putchar('\n');
	json_decref(root);
	return rc;
}

#else

static int print_json(const struct followed *f, const struct xm_ring_event *e,
		      const char *time)
{
	(void)f;
	(void)e;
	(void)time;
	command_say("trace", "--json: this build has no JSON; build with jansson (Debian:"
		    " libjansson-dev)");
	return -1;
}

#endif

static int print(const struct followed *f, const struct xm_ring_event *e, bool json)
{
	time_t seconds = (time_t)(e->time_ns / 1000000000);
	char day[40] = "", time[64];
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(time, sizeof(time), "%s.%03uZ", day,
		 (unsigned)(e->time_ns / 1000000 % 1000));
	if (json)
		return print_json(f, e, time);
	print_text(f, e, time);
	return 0;
}

/* The exit status, or -1: go on. */
static int print_new(struct followed *f, bool json)
{
	struct xm_ring_event e;

	while (xm_ring_read(&f->reader, &e) == 1)
		if (print(f, &e, json) < 0)
			return COMMAND_NO;
	if (f->reader.lost > f->lost)
		command_say("trace", "%s[%" PRIu32 "]: %" PRIu64 " events more, which have made"
			    " room for later ones", f->program, f->pid,
			    f->reader.lost - f->lost);
	f->lost = f->reader.lost;
	return ferror(stdout) ? COMMAND_NO : -1;
}

static int trace(const struct settings *s, const char *who)
{
	const struct timespec nap = { .tv_nsec = LOOK_NS };
	unsigned hidden;

	look(who, &hidden);
	if (count == 0 && who != NULL) {
		command_say("trace", "no program with external memory here is %s; `extmem top`"
			    " lists them%s", who, hidden > 0 ? ", and root sees those of others"
							     : "");
		return COMMAND_NO;
	}
	for (;;) {
		for (unsigned i = 0; i < count; i++) {
			int status = print_new(&list[i], s->json);

			if (status >= 0)
				return status;
		}
		fflush(stdout);
		forget_those_that_ended();
		if (!s->follow || (who != NULL && count == 0))
			return ferror(stdout) ? COMMAND_NO : COMMAND_OK;
		nanosleep(&nap, NULL);
		look(who, &hidden);
	}
}

int command_trace(int argc, char *argv[])
{
	static struct settings settings;
	struct xm_options *o;
	int rest, status = command_options(&table, &settings, argc, argv, &o, &rest);

	if (status < 0 && argc - rest > 1) {
		command_say("trace", "one program, or none: all");
		status = COMMAND_USAGE;
	}
	if (status < 0)
		status = trace(&settings, argc > rest ? argv[rest] : NULL);
	xm_options_close(o);
	return status;
}
