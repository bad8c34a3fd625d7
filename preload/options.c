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
static void open_without_share(const char *const settings[], int *ret)
{
	static char nothing[] = RUN_ENV_PREFIX "NOTHING=";
	char **e = environ, *share = NULL;
	size_t n;

	for (; e && *e; e++) {
		n = strlen(*e);
		if (strncmp(*e, "EXTMEM_LOCAL=", 13) == 0 &&
		    (*e)[n - 1] == '%') {
			share = *e;
			*e = nothing;
			break;
		}
	}
	*ret = extmem_open(settings, &shim_client);
	if (share)
		*e = share;
}

/* The settings for extmem_open() that were given to us; what was not, the
 * library finds by itself. */
int options_open_client(void)
{
	static char texts[RUN_APPLIANCES_MAX + 3][160];
	const char *settings[RUN_APPLIANCES_MAX + 5];
	const char *text;
	unsigned count = 0;
	int r;

	text = exec_variable(RUN_ENV_APPLIANCES);
	while (text && *text && count < RUN_APPLIANCES_MAX) {
		size_t n = strcspn(text, "\n");

		snprintf(texts[count], sizeof(texts[count]), "appliance=%.*s",
			 (int)n, text);
		settings[count] = texts[count];
		count++;
		text += n + (text[n] == '\n');
	}
	for (unsigned n = local_settings(texts + count); n > 0; n--) {
		settings[count] = texts[count];
		count++;
	}
	text = exec_variable(RUN_ENV_PAGING);
	if (text && *text) {
		snprintf(texts[count], sizeof(texts[count]), "paging=%s", text);
		settings[count] = texts[count];
		count++;
	}
	/* Programs reserve a terabyte, and use little of it. */
	if (!getenv("EXTMEM_ARENA"))
		settings[count++] = "arena=2T";
	settings[count] = NULL;
	open_without_share(settings, &r);
	return r;
}
