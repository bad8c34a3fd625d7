/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `extmem strategy`: the stored strategies, what a text means, and where a region would
 * go under it, and why not elsewhere.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "common/options_shared.h"
#include "core/extmem.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

#define LIST_COUNT 256

struct strategy_settings {
	struct xm_option_list appliance;
	const char *file;
	uint64_t size;
	bool json;
};

static const struct xm_option options[] = {
	XM_SHARED_APPLIANCE(struct strategy_settings, appliance,
		"An appliance that may be chosen. May be repeated. Without it, "
		"those of the file, or of EXTMEM_APPLIANCE."),
	{ .name = "file",
	  .kind = XM_OPTION_TEXT,
	  .letter = 'f',
	  .unit = "FILE",
	  .help = "A file with settings, strategy.NAME among them; see "
		  "extmem(5). Without it, that of EXTMEM_CONFIG.",
	  .destination = offsetof(struct strategy_settings, file) },
	XM_SHARED_SIZE(struct strategy_settings, size,
		"The size of the region that is checked.", .value = "1G", .min = 1),
	XM_SHARED_JSON(struct strategy_settings, json,
		"Print one JSON object."),
};

static const struct xm_option_table table = {
	.program = "extmem strategy",
	.usage = "list|show TEXT|check TEXT [OPTION]...",
	.about = "Lists the stored strategies, shows what one means, or where a "
		 "region of a given size would go under it now, and why not "
		 "elsewhere. A TEXT is one such as \"mirror 2, rank free\", or "
		 "the name of a stored one. Exits with 1 if no appliances meet "
		 "it.",
	.options = options,
	.count = XM_COUNT(options),
};

static void size_text(uint64_t bytes, char text[32])
{
	snprintf(text, 32, "%.1f MiB", (double)bytes / XM_MIB);
}

/* --- plain ------------------------------------------------------------------- */

static void print_appliance(const struct extmem_plan_appliance *a)
{
	char has[32], gets[32];

	size_text(a->free, has);
	size_text(a->bytes, gets);
	printf("%c %s", a->bytes > 0 ? '*' : ' ', a->address);
	if (a->name[0] != '\0')
		printf(" (%s%s%s)", a->name, a->zone[0] ? ", zone " : "",
		       a->zone);
	if (a->bytes > 0)
		printf(": %s of %s free\n", gets, has);
	else if (a->reason[0] != '\0')
		printf(": %s\n", a->reason);
	else
		printf(": not needed, %s free\n", has);
}

static void print_run(const struct extmem_plan *p, unsigned run)
{
	char size[32];

	size_text(p->runs[run].size, size);
	printf("run %-9u%s\n", run + 1, size);
	for (unsigned c = 0; c < p->columns; c++) {
		printf("  column %-4u", c + 1);
		for (unsigned k = 0; k < p->copies; k++)
			printf("%s%s", k > 0 ? ", " : "",
			       p->appliances[p->runs[run].appliances
						     [c * p->copies + k]]
				       .address);
		putchar('\n');
	}
}

static void print_plan(const struct extmem_plan *p)
{
	char size[32];

	size_text(p->region_size, size);
	printf("strategy     %s\n", p->text);
	printf("region       %s\n", size);
	for (unsigned i = 0; i < p->runs_count; i++)
		print_run(p, i);
	printf("appliances\n");
	for (unsigned a = 0; a < p->appliances_count; a++)
		print_appliance(&p->appliances[a]);
}

/* --- JSON -------------------------------------------------------------------- */

#ifdef HAVE_JANSSON

static int dump(json_t *root)
{
	int rc = root != NULL ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;

	putchar('\n');
	json_decref(root);
	return rc < 0 ? COMMAND_NO : COMMAND_OK;
}

static json_t *runs_json(const struct extmem_plan *p)
{
	json_t *runs = json_array();

	for (unsigned i = 0; i < p->runs_count; i++) {
		json_t *columns = json_array();

		for (unsigned c = 0; c < p->columns; c++) {
			json_t *copies = json_array();

			for (unsigned k = 0; k < p->copies; k++)
				json_array_append_new(
					copies,
					json_string(p->appliances
						[p->runs[i].appliances
							 [c * p->copies + k]]
							.address));
			json_array_append_new(columns, copies);
		}
		json_array_append_new(runs,
				      json_pack("{sI so}", "size",
						(json_int_t)p->runs[i].size,
						"columns", columns));
	}
	return runs;
}

static int dump_plan(const struct extmem_plan *p)
{
	json_t *appliances = json_array();

	for (unsigned a = 0; a < p->appliances_count; a++) {
		const struct extmem_plan_appliance *at = &p->appliances[a];

		json_array_append_new(
			appliances,
			json_pack("{ss ss ss sI sI si ss}", "address",
				  at->address, "name", at->name, "zone",
				  at->zone, "free", (json_int_t)at->free,
				  "bytes", (json_int_t)at->bytes, "load",
				  (int)at->load, "reason", at->reason));
	}
	return dump(json_pack("{ss sb ss sI sI si si so so}", "strategy",
			      p->text, "met", p->status == 0, "words",
			      p->words, "size", (json_int_t)p->region_size,
			      "unit", (json_int_t)p->unit, "stripes",
			      (int)p->columns, "copies", (int)p->copies, "runs",
			      runs_json(p), "appliances", appliances));
}

static int dump_texts(const struct extmem_strategy *list, int count)
{
	json_t *root = json_object();

	for (int i = 0; i < count; i++)
		json_object_set_new(root, list[i].name,
				    json_string(list[i].text));
	return dump(root);
}

#else

static int no_json(void)
{
	command_say("strategy", "this build has no JSON; build with jansson "
				"(Debian: libjansson-dev)");
	return COMMAND_NO;
}

static int dump_plan(const struct extmem_plan *p)
{
	(void)p;
	return no_json();
}

static int dump_texts(const struct extmem_strategy *list, int count)
{
	(void)list;
	(void)count;
	return no_json();
}

#endif

/* --- actions ----------------------------------------------------------------- */

static int fail(void)
{
	command_say("strategy", "%s", extmem_error());
	return COMMAND_NO;
}

static int do_list(const char *const *settings, const char *text, uint64_t size,
		   bool json)
{
	static struct extmem_strategy list[LIST_COUNT];
	int count = extmem_strategy_list(settings, 0, list, LIST_COUNT);

	(void)text;
	(void)size;
	if (count < 0)
		return fail();
	if (json)
		return dump_texts(list, count);
	for (int i = 0; i < count; i++)
		printf("%-16s %s\n", list[i].name, list[i].text);
	if (count == 0)
		printf("no strategy is stored; a file with settings may have "
		       "some: strategy.NAME = mirror 2\n");
	return COMMAND_OK;
}

static int do_show(const char *const *settings, const char *text, uint64_t size,
		   bool json)
{
	struct extmem_strategy s = { .size = sizeof(s) };

	(void)size;
	if (extmem_strategy_read(settings, text, &s) < 0)
		return fail();
	snprintf(s.name, sizeof(s.name), "text");
	if (json)
		return dump_texts(&s, 1);
	printf("%s\n", s.text);
	return COMMAND_OK;
}

static int do_check(const char *const *settings, const char *text,
		    uint64_t size, bool json)
{
	static struct extmem_plan plan = { .size = sizeof(plan) };
	int status = COMMAND_OK;

	if (extmem_strategy_check(settings, text, size, &plan) < 0)
		return fail();
	if (json)
		status = dump_plan(&plan);
	else
		print_plan(&plan);
	if (plan.status == 0)
		return status;
	command_say("strategy", "%s", plan.words);
	return COMMAND_NO;
}

static const struct action {
	const char *name;
	bool text; /* it wants one */
	int (*function)(const char *const *, const char *, uint64_t, bool);
} actions[] = {
	{ "list", false, do_list },
	{ "show", true, do_show },
	{ "check", true, do_check },
};

/* Runs it with the settings that the options come to. */
static int act(const struct action *action, const char *text,
	       const struct strategy_settings *s)
{
	static char texts[EXTMEM_APPLIANCES_MAX + 1][512];
	const char *settings[EXTMEM_APPLIANCES_MAX + 2] = { NULL };
	size_t count = 0;

	if (s->appliance.count > EXTMEM_APPLIANCES_MAX) {
		command_say("strategy", "at most %d appliances",
			    EXTMEM_APPLIANCES_MAX);
		return COMMAND_USAGE;
	}
	for (size_t i = 0; i <= s->appliance.count; i++) {
		const char *value = i < s->appliance.count
					    ? s->appliance.items[i] : s->file;

		if (i == s->appliance.count && value[0] == '\0')
			break;
		if ((size_t)snprintf(texts[count], sizeof(texts[count]), "%s=%s",
				     i < s->appliance.count ? "appliance"
							    : "config",
				     value) >= sizeof(texts[count])) {
			command_say("strategy", "%.40s...: too long", value);
			return COMMAND_USAGE;
		}
		settings[count] = texts[count];
		count++;
	}
	return action->function(settings, text, s->size, s->json);
}

/* Up to two words before the options, or behind them. */
int command_strategy(int argc, char *argv[])
{
	struct strategy_settings settings;
	const char *words[2] = { NULL, NULL };
	struct xm_options *o;
	int leading = 0, rest, status;
	size_t i = 0;

	while (leading < 2 && leading + 1 < argc &&
	       argv[leading + 1][0] != '-') {
		words[leading] = argv[leading + 1];
		leading++;
	}
	argv[leading] = argv[0];
	argc -= leading;
	argv += leading;
	status = command_options(&table, &settings, argc, argv, &o, &rest);
	while (status < 0 && leading < 2 && rest < argc)
		words[leading++] = argv[rest++];
	while (status < 0 && words[0] != NULL && i < XM_COUNT(actions) &&
	       strcmp(actions[i].name, words[0]) != 0)
		i++;
	if (status < 0 && (words[0] == NULL || i == XM_COUNT(actions) ||
			   rest < argc ||
			   actions[i].text != (words[1] != NULL))) {
		command_say("strategy", "give one of `list`, `show TEXT` and "
					"`check TEXT`");
		status = COMMAND_USAGE;
	}
	if (status < 0)
		status = act(&actions[i], words[1], &settings);
	xm_options_close(o);
	return status;
}
