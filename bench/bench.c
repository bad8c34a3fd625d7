/* SPDX-License-Identifier: BSD-3-Clause */
/* A run: options, ranks, appliances, and its end; see bench.h. */
#include "config.h"

#include "bench/bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/appliance.h"
#include "bench/net.h"
#include "bench/ranks.h"

/* For t_net and the like, and for what an appliance rounds up. */
#define SPARE_PER_CLIENT (96 * BENCH_MIB)

/* What a rank tells all others. */
struct greeting {
	char host[64];
	char address[BENCH_ADDRESS_SIZE]; /* "" for a client */
	bool failed;
};

struct whole {
	struct bench bench;
	struct xm_options *options;
	uint64_t need;
};

static const char *program_name = "extmem-bench";

static void say_line(const char *format, va_list arguments)
{
	char line[1024];
	int used = snprintf(line, sizeof(line), "%s: ", program_name);

	vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
	fprintf(stderr, "%s\n", line);
}

void bench_fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
	ranks_abort(1);
	/* What else runs ends with this process. */
	_exit(1);
}

void *bench_calloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL && count != 0)
		bench_fail("out of memory");
	return memory;
}

void bench_say(const char *format, ...)
{
	va_list arguments;

	if (ranks_early() != 0)
		return;
	fflush(stdout);
	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
}

/* --- options ------------------------------------------------------------------------ */

/* What an option sets, and each row prints, no setting may set besides. */
static const char *check_names(const struct bench_common *c)
{
	static const char *const taken[] = { "appliance", "local", "lanes",
					     "prefetch", "paging", "polling" };
	static char words[256];

	for (size_t i = 0; i < c->setting.count; i++) {
		const char *item = c->setting.items[i];
		size_t length = strcspn(item, "= ");

		for (size_t j = 0; j < XM_COUNT(taken); j++) {
			if (strlen(taken[j]) != length ||
			    strncmp(taken[j], item, length) != 0)
				continue;
			snprintf(words, sizeof(words),
				 "--setting %.100s: --%s is there for this",
				 item, taken[j]);
			return words;
		}
	}
	return NULL;
}

/* The library knows its settings. It is asked where nobody is, before appliances
 * are started: of its words those about settings are of interest. */
static const char *check_settings(const struct bench_common *c)
{
	static const char about[] = "extmem_open: settings: ";
	static char words[256];
	const char **list = calloc(c->setting.count + 4, sizeof(*list));
	char paging[64];
	extmem *x = NULL;
	size_t used = 0;
	int rc;

	if (list == NULL)
		return "out of memory";
	snprintf(paging, sizeof(paging), "paging=%.40s", c->paging);
	list[used++] = "appliance=loop:bench-nobody";
	list[used++] = paging;
	for (size_t i = 0; i < c->setting.count; i++)
		list[used++] = c->setting.items[i];
	rc = extmem_open(list, &x);
	free(list);
	if (rc == 0)
		extmem_close(x);
	snprintf(words, sizeof(words), "%s", rc < 0 ? extmem_error() : "");
	return strncmp(words, about, sizeof(about) - 1) == 0
		       ? words + sizeof(about) - 1
		       : NULL;
}

const char *bench_check_local(const struct bench_common *c, uint64_t size,
			      const double *locals, size_t count)
{
	static char words[160];

	for (size_t i = 0; i < count; i++) {
		double local = (double)size * locals[i] / 100;

		if (locals[i] >= 100 || local >= (double)(c->lanes * BENCH_MIB))
			continue;
		snprintf(words, sizeof(words),
			 "--local: %g per cent of %llu bytes is too little: at "
			 "least 1M for each lane", locals[i],
			 (unsigned long long)size);
		return words;
	}
	return NULL;
}

/* "" is the default of many a text, and nothing to be given. */
static const char *check_empty(const struct xm_option_table *table,
			       const struct xm_options *options,
			       const char *settings)
{
	static char words[96];

	for (size_t i = 0; i < table->count; i++) {
		const struct xm_option *o = &table->options[i];
		const char *at = settings + o->destination;
		bool empty = false;

		if (!xm_options_given(options, o->name) ||
		    strcmp(o->name, "label") == 0)
			continue;
		if (o->kind == XM_OPTION_TEXT)
			empty = (*(const char *const *)at)[0] == '\0';
		else if (o->kind == XM_OPTION_LIST)
			empty = ((const struct xm_option_list *)at)->count == 0;
		if (!empty)
			continue;
		snprintf(words, sizeof(words), "--%s: %s is wanted, not nothing",
			 o->name, o->unit);
		return words;
	}
	return NULL;
}

static const char *check_common(const struct bench_common *c)
{
	static char words[256];

	if (c->appliance.count > BENCH_APPLIANCES_MAX)
		return "--appliance: more than 16 are named";
	if (c->appliance.count > 0 && c->appliances > 0)
		return "--appliances starts some, --appliance names some: one "
		       "of both";
	if (strncmp(c->transport, "ofi+", 4) != 0 &&
	    strcmp(c->transport, "loop") != 0) {
		snprintf(words, sizeof(words),
			 "--transport %s: ofi+tcp, ofi+shm and so on are there, "
			 "and loop", c->transport);
		return words;
	}
	if (strcmp(c->polling, "adaptive") != 0 &&
	    strcmp(c->polling, "busy") != 0 && strcmp(c->polling, "block") != 0)
		return "--polling: adaptive, busy or block";
	if (strcmp(c->transport, "loop") == 0 && ranks_launched())
		return "--transport loop ends within one process: run it "
		       "without mpirun";
#ifndef HAVE_JANSSON
	if (c->json)
		return "--json: this build has no JSON; build with jansson "
		       "(Debian: libjansson-dev)";
#endif
	return NULL;
}

/* BENCH_GO, or the status to end with. */
static int read_options(const struct bench_program *program, void *settings,
			int argc, char *argv[], struct whole *w)
{
	struct bench_common *common;
	const char *wrong;
	int rc;

	rc = xm_options_open(program->table, settings, &w->options);
	if (rc != 0)
		return 1;
	rc = xm_options_read_flags(w->options, argc, argv, NULL);
	if (rc == XM_OPTIONS_HELP) {
		if (ranks_early() == 0)
			xm_options_print_help(program->table, stdout);
		return 0;
	}
	if (rc == XM_OPTIONS_VERSION) {
		if (ranks_early() == 0)
			printf("%s (extmem) %s\n", program_name,
			       extmem_version());
		return 0;
	}
	common = (struct bench_common *)((char *)settings + program->common);
	common->without = false;
	common->no_raw = false;
	common->clients_max = 0;
	w->bench.common = common;
	wrong = rc < 0 ? xm_options_words(w->options)
		       : check_empty(program->table, w->options, settings);
	if (wrong == NULL)
		wrong = check_common(common);
	if (wrong == NULL)
		wrong = check_names(common);
	if (wrong == NULL && program->prepare != NULL)
		wrong = program->prepare(settings, &w->need);
	if (wrong == NULL && !common->without)
		wrong = check_settings(common);
	if (wrong == NULL)
		return BENCH_GO;
	bench_say("%s", wrong);
	return 2;
}

/* --- ranks and appliances ------------------------------------------------------------- */

/* How many ranks are appliances, or, without other ranks, how many this one
 * starts for itself; -1: it cannot be, which is said. */
static int count_appliances(const struct bench *b)
{
	int wanted = (int)b->common->appliances;

	if (b->common->appliance.count > 0 || b->common->without)
		return 0;
	if (wanted > BENCH_APPLIANCES_MAX) {
		bench_say("--appliances: at most %d: a client can have no more",
			  BENCH_APPLIANCES_MAX);
		return -1;
	}
	if (b->ranks == 1)
		return wanted > 0 ? wanted : 1;
	if (wanted >= b->ranks) {
		bench_say("--appliances %d leaves no client among %d ranks",
			  wanted, b->ranks);
		return -1;
	}
	if (wanted == 0)
		wanted = b->ranks / 2;
	return wanted < BENCH_APPLIANCES_MAX ? wanted : BENCH_APPLIANCES_MAX;
}

static uint64_t memory_of_each(const struct whole *w, int appliances)
{
	const struct bench *b = &w->bench;
	uint64_t clients = ((uint64_t)b->clients + (uint64_t)appliances - 1) /
			   (uint64_t)appliances;

	if (b->common->memory > 0)
		return b->common->memory;
	return clients * (w->need + SPARE_PER_CLIENT);
}

static bool is_one_host(const struct greeting *all, int count)
{
	for (int i = 1; i < count; i++) {
		if (strcmp(all[i].host, all[0].host) != 0)
			return false;
	}
	return true;
}

static void address_add(struct bench *b, const char *address)
{
	if (b->appliances < BENCH_APPLIANCES_MAX)
		snprintf(b->addresses[b->appliances++], BENCH_ADDRESS_SIZE,
			 "%s", address);
}

/* A client begins with another appliance than its neighbour does. */
static void rotate(struct bench *b)
{
	static char turned[BENCH_APPLIANCES_MAX][BENCH_ADDRESS_SIZE];

	for (int i = 0; i < b->appliances; i++)
		memcpy(turned[i],
		       b->addresses[(i + b->client) % b->appliances],
		       BENCH_ADDRESS_SIZE);
	memcpy(b->addresses, turned, sizeof(turned));
}

/* Starts what this rank has to start, and learns where all are. False: one
 * of the ranks could not. */
static bool meet_appliances(struct whole *w, int appliances)
{
	struct bench *b = &w->bench;
	struct greeting own = { .host = "" };
	struct greeting *all = bench_calloc((size_t)b->ranks, sizeof(*all));
	char address[BENCH_ADDRESS_SIZE];
	bool well = true, one_host;

	gethostname(own.host, sizeof(own.host) - 1);
	ranks_share(&own, sizeof(own), all);
	one_host = is_one_host(all, b->ranks);
	if (!one_host) /* see appliance.c */
		setenv("EXTMEM_INSECURE_PLAINTEXT", "yes", 1);
	if (b->client < 0 &&
	    !appliance_start(b->common, one_host,
			     memory_of_each(w, appliances), own.address))
		own.failed = true;
	for (int i = 0; b->ranks == 1 && i < appliances; i++) {
		if (!appliance_start(b->common, true,
				     memory_of_each(w, appliances), address)) {
			own.failed = true;
			break;
		}
		address_add(b, address);
	}
	ranks_share(&own, sizeof(own), all);
	for (int i = 0; i < b->ranks; i++) {
		well &= !all[i].failed;
		if (all[i].address[0] != '\0')
			address_add(b, all[i].address);
	}
	free(all);
	return well;
}

static void look_after(void *argument)
{
	(void)argument;
	if (!appliances_are_well()) {
		appliances_stop();
		ranks_abort(1);
		exit(1);
	}
}

/* The whole life of a rank that lends memory. */
static int be_appliance(void)
{
	ranks_meet(look_after, NULL);
	appliances_stop();
	ranks_end();
	return 0;
}

static int begin(struct whole *w)
{
	struct bench *b = &w->bench;
	int appliances;

	if (ranks_begin(&b->rank, &b->ranks) < 0) {
		bench_say("built without MPI: mpirun starts ranks that do not "
			  "know each other; run it without mpirun");
		return 2;
	}
	appliances = count_appliances(b);
	if (appliances < 0)
		return 2;
	b->clients = b->ranks == 1 ? 1 : b->ranks - appliances;
	b->client = b->rank < b->clients ? b->rank : -1;
	ranks_divide(b->clients);
	for (size_t i = 0; i < b->common->appliance.count; i++)
		address_add(b, b->common->appliance.items[i]);
	if (!meet_appliances(w, appliances)) {
		appliances_stop();
		return 1;
	}
	if (b->client < 0)
		return be_appliance();
	rotate(b);
	return BENCH_GO;
}

int bench_begin(const struct bench_program *program, void *settings, int argc,
		char *argv[], struct bench **ret)
{
	struct whole *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return 1;
	program_name = program->table->program;
	w->bench.name = argv[0];
	rc = read_options(program, settings, argc, argv, w);
	if (rc == BENCH_GO) {
		rc = begin(w);
		if (rc != BENCH_GO)
			ranks_end();
	}
	if (rc != BENCH_GO) {
		xm_options_close(w->options);
		free(w);
		return rc;
	}
	*ret = &w->bench;
	return BENCH_GO;
}

int bench_end(struct bench *b)
{
	struct whole *w = XM_CONTAINER(b, struct whole, bench);

	fflush(stdout);
	net_stop();
	ranks_meet(NULL, NULL);
	appliances_stop();
	ranks_end();
	xm_options_close(w->options);
	free(w);
	return ferror(stdout) ? 1 : 0;
}

void bench_meet(struct bench *b)
{
	(void)b;
	ranks_meet_clients();
}
