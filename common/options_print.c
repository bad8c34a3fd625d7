/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an option table looks like: --help, the values in force, and the
 * OPTIONS section of a manual page.
 *
 * Floor: skin.
 */
#include "common/options_parts.h"

#include <string.h>

#define COLUMNS 80
#define HELP_COLUMN 26

const char *xm_option_unit(const struct xm_option *option)
{
	if (option->unit)
		return option->unit;
	switch (option->kind) {
	case XM_OPTION_SIZE:
		return "SIZE";
	case XM_OPTION_SHARE:
		return "SIZE|PERCENT";
	case XM_OPTION_DURATION:
		return "TIME";
	case XM_OPTION_COUNT:
		return "N";
	case XM_OPTION_CHOICE:
		return option->choices;
	case XM_OPTION_TEXT:
	case XM_OPTION_LIST:
	case XM_OPTION_FLAG:
	case XM_OPTION_NAMED:
		break;
	}
	return "TEXT";
}

/* The flag as it is typed, without the dashes. */
static void flag_name(const struct xm_option *option, char *buffer, size_t size)
{
	snprintf(buffer, size, "%s", option->name);
	for (char *at = buffer; *at; at++)
		if (*at == '_')
			*at = '-';
}

static void variable_name(const struct xm_option_table *table,
			  const struct xm_option *option, char *buffer,
			  size_t size)
{
	snprintf(buffer, size, "%s_%s", table->prefix, option->name);
	for (char *at = buffer; *at; at++)
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
}

/* Help, repetition, default and variable as one paragraph. */
static void describe(const struct xm_option_table *table,
		     const struct xm_option *option, char *buffer, size_t size)
{
	char variable[128] = "";
	size_t length;

	snprintf(buffer, size, "%s%s", option->help,
		 option->kind == XM_OPTION_LIST ? " May be repeated." : "");
	if (option->value) {
		length = strlen(buffer);
		snprintf(buffer + length, size - length, " Default: %s.",
			 option->value);
	}
	if (table->prefix) {
		variable_name(table, option, variable, sizeof(variable));
		length = strlen(buffer);
		snprintf(buffer + length, size - length, " [%s]", variable);
	}
}

/* Words from column `at` on, wrapped, each new line indented. */
static void print_wrapped(const char *text, size_t at, size_t indent,
			  FILE *file)
{
	bool first = true;

	for (text += strspn(text, " \n"); *text; text += strspn(text, " \n")) {
		size_t size = strcspn(text, " \n");

		if (!first && at + 1 + size >= COLUMNS) {
			fprintf(file, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		fprintf(file, "%s%.*s", first ? "" : " ", (int)size, text);
		at += size + !first;
		first = false;
		text += size;
	}
	fputc('\n', file);
}

static void print_entry(const char *left, const char *right, FILE *file)
{
	size_t width = strlen(left);

	fputs(left, file);
	if (width + 2 > HELP_COLUMN) {
		fputc('\n', file);
		width = 0;
	}
	fprintf(file, "%*s", (int)(HELP_COLUMN - width), "");
	print_wrapped(right, HELP_COLUMN, HELP_COLUMN, file);
}

void xm_options_print_help(const struct xm_option_table *table, FILE *file)
{
	fprintf(file, "Usage: %s %s\n", table->program, table->usage);
	if (table->about) {
		fputc('\n', file);
		print_wrapped(table->about, 0, 0, file);
	}
	fputs("\nOptions:\n", file);
	for (size_t i = 0; i < table->count; i++) {
		const struct xm_option *option = &table->options[i];
		char name[64], left[200], right[1500], letter[8] = "    ";

		if (option->hidden)
			continue;
		flag_name(option, name, sizeof(name));
		if (option->letter)
			snprintf(letter, sizeof(letter), "-%c, ",
				 option->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s%s", letter,
			 option->kind == XM_OPTION_FLAG ? "[no-]" : "", name,
			 option->kind == XM_OPTION_FLAG ? "" : "=",
			 option->kind == XM_OPTION_FLAG
				 ? ""
				 : xm_option_unit(option));
		describe(table, option, right, sizeof(right));
		print_entry(left, right, file);
	}
	print_entry("      --help", "Show this.", file);
	print_entry("      --version", "Show the version.", file);
	fputs("\nSizes: 4096, 64M, 1.5G. Times: 250ms, 10s, 2m. Later counts "
	      "more: default,\nfile, [variable], flag.\n",
	      file);
}

void xm_options_print_values(const struct xm_options *o, FILE *file)
{
	const struct xm_option_table *table = o->table;
	int name_width = 4, value_width = 5;

	for (size_t i = 0; i < table->count; i++) {
		int name = (int)strlen(table->options[i].name);
		int value = (int)strlen(o->values[i].text);

		if (name > name_width)
			name_width = name;
		if (value > value_width && value <= 40)
			value_width = value;
	}
	for (size_t i = 0; i < table->count; i++) {
		const struct xm_option_value *value = &o->values[i];

		fprintf(file, "%-*s  %-*s  %s\n", name_width,
			table->options[i].name, value_width,
			*value->text ? value->text : "-", value->origin);
	}
}

/* Text for roff: no dash is a hyphen, no backslash and no dot at the start of
 * a line a command. */
static void print_roff_text(const char *text, FILE *file)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fputs("\\&", file);
		if (*text == '-')
			fputs("\\-", file);
		else if (*text == '\\')
			fputs("\\e", file);
		else
			fputc(*text, file);
		start = *text == '\n';
	}
}

void xm_options_print_roff(const struct xm_option_table *table, FILE *file)
{
	fputs(".SH OPTIONS\n", file);
	for (size_t i = 0; i < table->count; i++) {
		const struct xm_option *option = &table->options[i];
		char name[64], text[1500];

		if (option->hidden)
			continue;
		flag_name(option, name, sizeof(name));
		fputs(".TP\n", file);
		if (option->letter)
			fprintf(file, "\\fB\\-%c\\fR, ", option->letter);
		fputs("\\fB\\-\\-", file);
		if (option->kind == XM_OPTION_FLAG)
			fputs("\\fR[\\fBno\\-\\fR]\\fB", file);
		print_roff_text(name, file);
		fputs("\\fR", file);
		if (option->kind != XM_OPTION_FLAG) {
			fputs("=\\fI", file);
			print_roff_text(xm_option_unit(option), file);
			fputs("\\fR", file);
		}
		fputc('\n', file);
		describe(table, option, text, sizeof(text));
		print_roff_text(text, file);
		fputc('\n', file);
	}
}
