/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options from their sources into the caller's struct.
 *
 * Every source ends in xm_options_set() (options_value.c), which judges the
 * text by the table, and keeps it if nothing of a higher level was kept
 * before; so the order in which sources are read does not matter. Flags are
 * parsed here and not by getopt_long(), which keeps global state, prints by
 * itself, and takes abbreviations that change meaning when an option is
 * added. Files are read in options_file.c. The nearest name is the one with the least
 * edit distance (Levenshtein 1966; swapped neighbours count once, Damerau
 * 1964).
 *
 * Floor: skin.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "common/options_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "loss-timeout" and "loss_timeout" are one name. */
static bool name_is(const char *name, const char *given, size_t size)
{
	for (; size > 0; size--, name++, given++)
		if (*name != *given && !(*name == '_' && *given == '-'))
			return false;
	return *name == '\0';
}

size_t xm_options_find(const struct xm_options *o, const char *given,
			  size_t size)
{
	const char *dot = memchr(given, '.', size);
	size_t plain = dot ? (size_t)(dot - given) : size;

	for (size_t i = 0; i < o->table->count; i++) {
		const struct xm_option *option = &o->table->options[i];

		if ((option->kind == XM_OPTION_NAMED) == (dot != NULL) &&
		    name_is(option->name, given, plain))
			return i;
	}
	return SIZE_MAX;
}

static unsigned edit_distance(const char *a, size_t a_size, const char *b,
			      size_t b_size)
{
	unsigned row[3][XM_OPTION_NAME_SIZE + 1];

	for (size_t j = 0; j <= b_size; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3];
		unsigned *before = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = (unsigned)xm_min(best, last[j] + 1);
			best = (unsigned)xm_min(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				best = (unsigned)xm_min(best,
							before[j - 2] + 1);
			now[j] = best;
		}
	}
	return row[a_size % 3][b_size];
}

/* The option that was most likely meant, or NULL. */
static const struct xm_option *nearest(const struct xm_options *o,
				       const char *given, size_t size)
{
	const struct xm_option *best = NULL;
	unsigned least = 1 + (unsigned)xm_max(2, size / 3);
	char name[XM_OPTION_NAME_SIZE];

	if (size >= sizeof(name))
		return NULL;
	for (size_t i = 0; i < size; i++) {
		char c = given[i] == '-' ? '_' : given[i];

		name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	for (size_t i = 0; i < o->table->count; i++) {
		const struct xm_option *option = &o->table->options[i];
		size_t length = strlen(option->name);
		unsigned d = edit_distance(name, size, option->name, length);

		/* Sharing nothing is no likeness, however short. */
		if (option->hidden || d >= length || d >= least)
			continue;
		least = d;
		best = option;
	}
	return best;
}

/* How one spells the option at this source: --loss-timeout, ... */
static const char *spell(const struct xm_options *o,
			 const struct xm_option *option,
			 enum xm_option_level level, char *buffer, size_t size)
{
	bool flag = level == XM_LEVEL_FLAG;
	bool variable = level == XM_LEVEL_ENVIRONMENT;

	snprintf(buffer, size, "%s%s%s",
		 flag	    ? "--"
		 : variable ? o->table->prefix
			    : "",
		 variable ? "_" : "", option->name);
	for (char *at = buffer; *at; at++) {
		if (flag && *at == '_')
			*at = '-';
		if (variable && *at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	}
	return buffer;
}

int xm_options_fail_unknown(struct xm_options *o, const struct xm_option_source *source,
			const char *given, size_t size)
{
	const struct xm_option *local = nearest(o, given, size);
	const char *nothing = source->level == XM_LEVEL_FLAG ||
					      source->level == XM_LEVEL_API
				      ? "option"
			      : source->level == XM_LEVEL_FILE ? "setting"
							       : "variable";
	char spelling[2 * XM_OPTION_NAME_SIZE], of[2 * XM_OPTION_NAME_SIZE + 8] = "";
	struct xm_option_shown shown;

	if (!source->names)
		snprintf(of, sizeof(of), " \"%s\"", xm_option_show(given, size, &shown));
	if (!local)
		return xm_options_fail(o, -EINVAL, "%s: there is no such %s%s%s",
			    source->origin, nothing, of,
			    source->level == XM_LEVEL_FLAG ? "; see --help"
							   : "");
	return xm_options_fail(o, -EINVAL, "%s: there is no such %s%s; did you mean %s?",
		    source->origin, nothing, of,
		    spell(o, local, source->level, spelling, sizeof(spelling)));
}

/* --- open and close ---------------------------------------------------------------- */

static void check_option(const struct xm_option *option)
{
	size_t length = strlen(option->name);

	XM_ASSERT(length > 0 && length < XM_OPTION_NAME_SIZE);
	XM_ASSERT(strspn(option->name, "abcdefghijklmnopqrstuvwxyz0123456789_")
		  == length);
	XM_ASSERT(option->kind >= XM_OPTION_SIZE &&
		  option->kind <= XM_OPTION_NAMED);
	XM_ASSERT((option->kind == XM_OPTION_CHOICE) == !!option->choices);
	XM_ASSERT(option->help);
}

int xm_options_open(const struct xm_option_table *table, void *values,
		    struct xm_options **ret)
{
	struct xm_option_source source = { .level = XM_LEVEL_DEFAULT,
				 .origin = "default" };
	struct xm_options *o = calloc(1, sizeof(*o));
	int r = 0;

	if (!o)
		return -ENOMEM;
	o->table = table;
	o->destination = values;
	o->values = calloc(table->count + 1, sizeof(*o->values));
	if (!o->values)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < table->count; i++) {
		check_option(&table->options[i]);
		r = xm_options_set_nothing(o, i);
		if (r == 0 && table->options[i].value)
			r = xm_options_set_several(o, i, &source, table->options[i].value);
		XM_ASSERT(r != -EINVAL); /* a default that is no value */
	}
	if (r < 0) {
		xm_options_close(o);
		return r;
	}
	*ret = o;
	return 0;
}

void xm_options_close(struct xm_options *o)
{
	if (!o)
		return;
	while (o->blocks) {
		struct xm_option_block *next = o->blocks->next;

		free(o->blocks);
		o->blocks = next;
	}
	free(o->values);
	free(o);
}

/* --- sources --------------------------------------------------------------------------- */

int xm_options_read_settings(struct xm_options *o, const char *const settings[])
{
	struct xm_option_source source = { .level = XM_LEVEL_API, .origin = "settings" };

	for (; settings && *settings; settings++) {
		size_t size = strcspn(*settings, "=");
		size_t index = xm_options_find(o, *settings, size);
		struct xm_option_shown shown;
		int r;

		if (!(*settings)[size])
			return xm_options_fail(o, -EINVAL,
				    "settings: \"%s\" has no '='; give "
				    "\"name=value\"",
				    xm_option_show(*settings, size, &shown));
		if (index == SIZE_MAX)
			return xm_options_fail_unknown(o, &source, *settings, size);
		source.given = *settings;
		r = xm_options_set(o, index, &source, *settings + size + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_stranger(const struct xm_option_table *table, const char *name,
			size_t size)
{
	const char *const *stranger = table->strangers;

	if (!stranger)
		return true;
	for (; *stranger; stranger++)
		if (strlen(*stranger) == size &&
		    strncmp(*stranger, name, size) == 0)
			return true;
	return false;
}

static int read_variable(struct xm_options *o, const char *entry)
{
	struct xm_option_source source = { .level = XM_LEVEL_ENVIRONMENT, .names = true };
	size_t prefix = strlen(o->table->prefix);
	size_t size = strcspn(entry, "=");
	char name[XM_OPTION_NAME_SIZE], whole[2 * XM_OPTION_NAME_SIZE];
	size_t length = 0, index = SIZE_MAX;

	if (strncmp(entry, o->table->prefix, prefix) != 0 ||
	    entry[prefix] != '_' || !entry[size])
		return 0;
	snprintf(whole, sizeof(whole), "%.*s", (int)xm_min(size, 100), entry);
	source.origin = whole;
	for (size_t i = prefix + 1; i < size && length + 1 < sizeof(name); i++)
		name[length++] = entry[i] >= 'A' && entry[i] <= 'Z'
					 ? (char)(entry[i] - 'A' + 'a')
				 : entry[i] >= 'a' && entry[i] <= 'z'
					 ? '?' /* variables are upper case */
					 : entry[i];
	name[length] = '\0';
	source.given = name;
	if (length == size - prefix - 1)
		index = xm_options_find(o, name, length);
	if (index != SIZE_MAX)
		return xm_options_set_several(o, index, &source, entry + size + 1);
	if (is_stranger(o->table, entry, size))
		return 0;
	return xm_options_fail_unknown(o, &source, entry + prefix + 1, size - prefix - 1);
}

int xm_options_read_environment(struct xm_options *o, char *const environment[])
{
	if (!o->table->prefix)
		return 0;
	for (; environment && *environment; environment++) {
		int r = read_variable(o, *environment);

		if (r < 0)
			return r;
	}
	return 0;
}

struct flags {
	int argc, at; /* argv[at] is looked at, or comes next */
	char *const *argv;
};

static int fail_missing(struct xm_options *o, const struct xm_option *option,
			const char *flag)
{
	return xm_options_fail(o, -EINVAL, "%s: its value is missing; give %s%s", flag,
		    option->kind == XM_OPTION_CHOICE ? "one of " : "",
		    option->kind == XM_OPTION_CHOICE ||
				    option->kind == XM_OPTION_TEXT ||
				    option->kind == XM_OPTION_LIST
			    ? xm_option_unit(option)
			    : xm_option_expected(option));
}

/* argv[at] is --something. */
static int read_long(struct xm_options *o, struct flags *f)
{
	const char *argument = f->argv[f->at++];
	const char *given = argument + 2, *value;
	size_t size = strcspn(given, "="), index;
	struct xm_option_source source = { .level = XM_LEVEL_FLAG, .names = true };
	const struct xm_option *option;
	char name[2 * XM_OPTION_NAME_SIZE];
	struct xm_option_shown shown;

	value = given[size] ? given + size + 1 : NULL;
	index = xm_options_find(o, given, size);
	if (index == SIZE_MAX && !value) {
		if (name_is("help", given, size))
			return XM_OPTIONS_HELP;
		if (name_is("version", given, size))
			return XM_OPTIONS_VERSION;
	}
	if (index == SIZE_MAX && !value && size > 3 &&
	    strncmp(given, "no-", 3) == 0) {
		index = xm_options_find(o, given + 3, size - 3);
		if (index != SIZE_MAX &&
		    o->table->options[index].kind == XM_OPTION_FLAG)
			value = "no";
		else
			index = SIZE_MAX;
	}
	if (index == SIZE_MAX) {
		snprintf(name, sizeof(name), "--%s", xm_option_show(given, size, &shown));
		source.origin = name;
		return xm_options_fail_unknown(o, &source, given, size);
	}
	option = &o->table->options[index];
	source.given = given;
	source.origin = spell(o, option, XM_LEVEL_FLAG, name, sizeof(name));
	if (!value && option->kind == XM_OPTION_FLAG)
		value = "yes";
	if (!value) {
		if (f->at >= f->argc || strncmp(f->argv[f->at], "--", 2) == 0)
			return fail_missing(o, option, name);
		value = f->argv[f->at++];
	}
	return xm_options_set(o, index, &source, value);
}

/* argv[at] is -x, or several. */
static int read_short(struct xm_options *o, struct flags *f)
{
	const char *at = f->argv[f->at++] + 1;
	struct xm_option_source source = { .level = XM_LEVEL_FLAG, .names = true };

	for (; *at; at++) {
		char name[2 * XM_OPTION_NAME_SIZE];
		const struct xm_option *option;
		size_t i = 0;
		struct xm_option_shown shown;
		int r;

		while (i < o->table->count &&
		       o->table->options[i].letter != *at)
			i++;
		if (i == o->table->count) {
			if (*at == 'h')
				return XM_OPTIONS_HELP;
			return xm_options_fail(o, -EINVAL,
				    "-%s: there is no such option; see --help",
				    xm_option_show(at, 1, &shown));
		}
		option = &o->table->options[i];
		source.origin = spell(o, option, XM_LEVEL_FLAG, name,
				      sizeof(name));
		if (option->kind == XM_OPTION_FLAG) {
			r = xm_options_set(o, i, &source, "yes");
			if (r < 0)
				return r;
			continue;
		}
		if (at[1])
			return xm_options_set(o, i, &source, at + 1);
		if (f->at >= f->argc || strncmp(f->argv[f->at], "--", 2) == 0)
			return fail_missing(o, option, name);
		return xm_options_set(o, i, &source, f->argv[f->at++]);
	}
	return 0;
}

int xm_options_read_flags(struct xm_options *o, int argc, char *const argv[],
			  int *ret_rest)
{
	struct flags f = { .argc = argc, .at = 1, .argv = argv };
	struct xm_option_shown shown;

	while (f.at < argc) {
		const char *argument = argv[f.at];
		int r;

		if (argument[0] != '-' || !argument[1])
			break;
		if (strcmp(argument, "--") == 0) {
			f.at++;
			break;
		}
		r = argument[1] == '-' ? read_long(o, &f) : read_short(o, &f);
		if (r > 0 && ret_rest)
			*ret_rest = f.at;
		if (r != 0)
			return r;
	}
	if (!ret_rest && f.at < argc)
		return xm_options_fail(o, -EINVAL,
			    "\"%s\": nothing was expected here; flags begin "
			    "with --",
			    xm_option_show(argv[f.at], strlen(argv[f.at]), &shown));
	if (ret_rest)
		*ret_rest = f.at < argc ? f.at : argc;
	return 0;
}

/* --- all of them ---------------------------------------------------------------------------- */

/* What a file is that is not there, or in a build that reads none. */
#ifdef HAVE_INIH
#define ABSENT (-ENOENT)
#else
#define ABSENT (-ENOSYS)
#endif

/* The files named by "config". One that only a default names may be absent. */
static int read_config(struct xm_options *o)
{
	size_t index = xm_options_find(o, "config", 6);
	const struct xm_option *option;
	bool given;
	void *at;
	int r;

	if (index == SIZE_MAX)
		return 0;
	option = &o->table->options[index];
	given = o->values[index].level > XM_LEVEL_DEFAULT;
	at = (char *)o->destination + option->destination;
	if (option->kind == XM_OPTION_LIST) {
		const struct xm_option_list *list = at;

		for (size_t i = 0; i < list->count; i++) {
			r = xm_options_read_file(o, list->items[i]);
			if (r < 0 && (given || r != ABSENT))
				return r;
		}
		return 0;
	}
	XM_ASSERT(option->kind == XM_OPTION_TEXT);
	if (!**(const char **)at)
		return 0;
	r = xm_options_read_file(o, *(const char **)at);
	return !given && r == ABSENT ? 0 : r;
}

int xm_options_load(struct xm_options *o, int argc, char *const argv[],
		    char *const environment[], int *ret_rest)
{
	int r = xm_options_read_flags(o, argc, argv, ret_rest);

	if (r == 0)
		r = xm_options_read_environment(o, environment);
	if (r == 0)
		r = read_config(o);
	return r;
}

/* --- what is known ---------------------------------------------------------------------------- */

const char *xm_options_words(const struct xm_options *o)
{
	return o->words;
}

const char *xm_options_origin(const struct xm_options *o, const char *name)
{
	size_t index = xm_options_find(o, name, strlen(name));

	return index == SIZE_MAX ? NULL : o->values[index].origin;
}

bool xm_options_given(const struct xm_options *o, const char *name)
{
	size_t index = xm_options_find(o, name, strlen(name));

	return index != SIZE_MAX && o->values[index].level > XM_LEVEL_DEFAULT;
}
