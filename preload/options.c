/* SPDX-License-Identifier: BSD-3-Clause */
/* What the shim was asked for; see options.h. */
#include "preload/shim.h"

#include <ctype.h>

struct shim_options shim_options;

/* Kinds, names and choices as in cli/run.c, whose variables these are. */
static const struct xm_option table_options[] = {
	{ .name = "local", .kind = XM_OPTION_SHARE,
	  .help = "The local budget, or a share of what is in use.",
	  .destination = offsetof(struct shim_options, local) },
	{ .name = "external", .kind = XM_OPTION_SIZE,
	  .help = "External memory, most.",
	  .destination = offsetof(struct shim_options, external) },
	{ .name = "open_after", .kind = XM_OPTION_SIZE, .value = "8M",
	  .help = "Memory that stays local before external memory is opened.",
	  .destination = offsetof(struct shim_options, open_after) },
	{ .name = "limit", .kind = XM_OPTION_SIZE,
	  .help = "Memory that the program is given, most.",
	  .destination = offsetof(struct shim_options, limit) },
	{ .name = "threshold", .kind = XM_OPTION_SIZE,
	  .help = "Allocations from this size on are external.",
	  .destination = offsetof(struct shim_options, threshold) },
	{ .name = "advise", .kind = XM_OPTION_CHOICE, .value = "normal",
	  .choices = "normal|sequential|random",
	  .help = "How the program goes about its memory.",
	  .destination = offsetof(struct shim_options, advise) },
	{ .name = "calls", .kind = XM_OPTION_CHOICE, .value = "auto",
	  .choices = "auto|trap|wrap",
	  .help = "How system calls are served.",
	  .destination = offsetof(struct shim_options, calls) },
	{ .name = "fork", .kind = XM_OPTION_CHOICE, .value = "snapshot",
	  .choices = "snapshot|absent|refuse",
	  .help = "What a child made by fork() has.",
	  .destination = offsetof(struct shim_options, fork) },
	{ .name = "local_rest", .kind = XM_OPTION_CHOICE, .value = "count",
	  .choices = "count|warn|refuse",
	  .help = "Local memory besides what is external.",
	  .destination = offsetof(struct shim_options, local_rest) },
	{ .name = "overflow", .kind = XM_OPTION_CHOICE, .value = "fail",
	  .choices = "fail|local",
	  .help = "What becomes of allocations without room.",
	  .destination = offsetof(struct shim_options, overflow_local) },
	{ .name = "children", .kind = XM_OPTION_CHOICE, .value = "plain",
	  .choices = "plain|same",
	  .help = "Whether programs that are started have a client.",
	  .destination = offsetof(struct shim_options, children_same) },
};

static const struct xm_option_table table = {
	.program = "extmem run",
	.prefix = "EXTMEM",
	.options = table_options,
	.count = XM_COUNT(table_options),
};

/* "name=value" of the variable that `extmem run` has set; false: it has not. */
static bool handed_down(const char *name, char *ret, size_t size)
{
	char variable[64] = RUN_ENV_PREFIX;
	size_t at = strlen(variable);
	const char *value;

	for (size_t i = 0; name[i] && at + 1 < sizeof(variable); i++)
		variable[at++] = (char)toupper((unsigned char)name[i]);
	variable[at] = '\0';
	value = exec_variable(variable);
	if (!value || !*value)
		return false;
	snprintf(ret, size, "%s=%s", name, value);
	return true;
}

/* What is handed down comes before the variables. */
static int read_all(struct xm_options *o)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < table.count; i++) {
		char text[160];
		const char *settings[] = { text, NULL };

		if (handed_down(table_options[i].name, text, sizeof(text)))
			r = xm_options_read_settings(o, settings);
	}
	return r < 0 ? r : xm_options_read_environment(o, environ);
}

/* False: too deep. What we start is one deeper; the variable is changed where
 * it is, since not every program's setenv(3) works yet. */
bool options_nesting(void)
{
	char *text = (char *)(uintptr_t)exec_variable(RUN_ENV_NESTING);

	if (!text || strlen(text) != 2)
		return true;
	shim_options.nesting = (unsigned)atoi(text);
	if (shim_options.nesting >= RUN_NESTING_MAX) {
		shim_say("%u programs that this one comes from have external "
			 "memory; this one has none",
			 shim_options.nesting);
		return false;
	}
	text[0] = (char)('0' + (shim_options.nesting + 1) / 10);
	text[1] = (char)('0' + (shim_options.nesting + 1) % 10);
	return true;
}

void options_read(void)
{
	struct xm_options *o;

	if (xm_options_open(&table, &shim_options, &o) < 0)
		shim_refuse("no memory for options");
	if (read_all(o) < 0)
		shim_refuse(xm_options_words(o));
	shim_options.local_given = xm_options_given(o, "local");
	xm_options_close(o);
}

/* --- the client's settings ------------------------------------------------------ */

/* A share of what the program uses: budget.c raises it, up to that share of all
 * that the program may have, or of this machine's memory. */
static unsigned local_settings(char texts[2][160])
{
	const struct shim_options *s = &shim_options;
	uint64_t most = (uint64_t)sysconf(_SC_PHYS_PAGES) * SHIM_PAGE;

	if (!s->local_given)
		return 0;
	if (s->local.percent == 0) {
		snprintf(texts[0], sizeof(texts[0]), "local=%llu",
			 (unsigned long long)s->local.size);
		return 1;
	}
	if (s->external && s->external < most)
		most = s->external;
	if (s->limit && s->limit < most)
		most = s->limit;
	most = most / 100 * s->local.percent;
	snprintf(texts[0], sizeof(texts[0]), "local=%llu",
		 (unsigned long long)RUN_LOCAL_FLOOR);
	snprintf(texts[1], sizeof(texts[1]), "local_max=%llu",
		 (unsigned long long)(most > RUN_LOCAL_FLOOR ? most
							     : RUN_LOCAL_FLOOR));
	return 2;
}

/* The library knows of no shares: it is not to see that variable. */
static int without_share(int (*call)(const char *const settings[]),
			 const char *const settings[])
{
	static char nothing[] = RUN_ENV_PREFIX "NOTHING=";
	char **e = environ, *share = NULL;
	size_t n;
	int r;

	for (; e && *e; e++) {
		n = strlen(*e);
		if (strncmp(*e, "EXTMEM_LOCAL=", 13) == 0 &&
		    (*e)[n - 1] == '%') {
			share = *e;
			*e = nothing;
			break;
		}
	}
	r = call(settings);
	if (share)
		*e = share;
	return r;
}

static char texts[RUN_APPLIANCES_MAX + 5][160];
static unsigned text_count;

static void add(const char *name, const char *value, size_t size)
{
	snprintf(texts[text_count++], sizeof(texts[0]), "%s=%.*s", name,
		 (int)size, value);
}

void options_add_appliance(const char *address)
{
	if (text_count < XM_COUNT(texts))
		add("appliance", address, strlen(address));
}

bool options_paging_by_thread(void)
{
	const char *run = exec_variable(RUN_ENV_PAGING),
		   *own = exec_variable("EXTMEM_PAGING");

	return (run && strcmp(run, "thread") == 0) ||
	       (own && strcmp(own, "thread") == 0);
}

/* What was not given to us the library finds by itself. */
void options_prepare_client(void)
{
	const char *text = exec_variable(RUN_ENV_APPLIANCES);

	while (text && *text && text_count < RUN_APPLIANCES_MAX) {
		size_t n = strcspn(text, "\n");

		add("appliance", text, n);
		text += n + (text[n] == '\n');
	}
	text_count += local_settings(texts + text_count);
	text = exec_variable(RUN_ENV_PAGING);
	if (text && *text)
		add("paging", text, strlen(text));
	/* Programs reserve a terabyte, and use little of it. */
	if (!exec_variable("EXTMEM_ARENA"))
		add("arena", "2T", 2);
}

static int check(const char *const settings[])
{
	return extmem_check(settings);
}

static int open_it(const char *const settings[])
{
	return extmem_open(settings, &shim_client);
}

static int with_settings(int (*call)(const char *const settings[]))
{
	const char *settings[XM_COUNT(texts) + 1];

	for (unsigned i = 0; i < text_count; i++)
		settings[i] = texts[i];
	settings[text_count] = NULL;
	return without_share(call, settings);
}

int options_open_client(void)
{
	return with_settings(open_it);
}

/* An appliance that comes by need has no address yet. */
int options_check_client(void)
{
	unsigned count = text_count;
	int r;

	if (atomic_load(&shim_shared->appliance_asks) != RUN_APPLIANCE_NAMED)
		options_add_appliance("ofi+tcp://127.0.0.1:1");
	r = with_settings(check);
	text_count = count;
	return r;
}
