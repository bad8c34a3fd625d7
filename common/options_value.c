/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One text for one option: judged by the table, and kept in the caller's
 * struct if nothing of a higher level was kept before. A text that is
 * overruled is judged all the same, so that its mistakes are told.
 *
 * Texts live in a chain of blocks until close.
 *
 * Floor: skin.
 */
#include "common/options_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int xm_options_fail(struct xm_options *o, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(o->words, sizeof(o->words), format, args);
	va_end(args);
	return error;
}

/* Memory until close, aligned for pointers. NULL: there is none. */
static void *reserve(struct xm_options *o, size_t size)
{
	struct xm_option_block *block = malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	block->next = o->blocks;
	o->blocks = block;
	return block->bytes;
}

/* A copy of `size` bytes of text and a NUL. NULL: no memory. */
char *xm_options_keep(struct xm_options *o, const char *text, size_t size)
{
	char *copy = reserve(o, size + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

const char *xm_option_show(const char *text, size_t size, struct xm_option_shown *ret)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (length + 8 > sizeof(ret->bytes)) {
			memcpy(ret->bytes + length, "...", 3);
			length += 3;
			break;
		}
		if (c < ' ' || c == 0x7f)
			length += (size_t)snprintf(ret->bytes + length, 5,
						   "\\x%02x", c);
		else
			ret->bytes[length++] = (char)c;
	}
	ret->bytes[length] = '\0';
	return ret->bytes;
}

const char *xm_option_expected(const struct xm_option *option)
{
	switch (option->kind) {
	case XM_OPTION_SIZE:
		return "a size such as 4096, 64M or 1.5G";
	case XM_OPTION_SHARE:
		return "a size such as 4096, 64M or 1.5G, or a share such as "
		       "25%";
	case XM_OPTION_DURATION:
		return "a duration with its unit, such as 250ms, 10s or 2m";
	case XM_OPTION_COUNT:
		return "a number such as 0 or 12";
	case XM_OPTION_FLAG:
		return "yes or no";
	case XM_OPTION_TEXT:
	case XM_OPTION_LIST:
	case XM_OPTION_CHOICE:
	case XM_OPTION_NAMED:
		break;
	}
	return "a text";
}

union parsed {
	uint64_t number;
	struct xm_option_share share;
	bool flag;
	uint32_t choice;
};

static int parse_share(const char *text, struct xm_option_share *ret)
{
	size_t length = strlen(text);
	struct xm_option_share share = { 0, 0 };
	char digits[4];
	uint64_t percent;
	int r;

	if (length == 0 || text[length - 1] != '%') {
		r = xm_parse_size(text, &share.size);
	} else {
		if (length > sizeof(digits))
			return -EINVAL;
		memcpy(digits, text, length - 1);
		digits[length - 1] = '\0';
		r = xm_parse_count(digits, &percent);
		if (r == 0 && (percent < 1 || percent > 100))
			r = -EINVAL;
		if (r == 0)
			share.percent = (uint32_t)percent;
	}
	if (r == 0)
		*ret = share;
	return r;
}

static int parse_flag(const char *text, bool *ret)
{
	static const char *const words[] = { "no",  "yes",   "off", "on",
					     "false", "true", "0",   "1" };

	for (size_t i = 0; i < XM_COUNT(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i % 2;
			return 0;
		}
	return -EINVAL;
}

static int parse_choice(const char *choices, const char *text, uint32_t *ret)
{
	uint32_t index = 0;

	for (const char *at = choices; at; index++) {
		size_t size = strcspn(at, "|");

		if (strlen(text) == size && strncmp(at, text, size) == 0) {
			*ret = index;
			return 0;
		}
		at = at[size] ? at + size + 1 : NULL;
	}
	return -EINVAL;
}

static void format_limit(const struct xm_option *option, uint64_t limit,
			 char *buffer, size_t size)
{
	if (option->kind == XM_OPTION_SIZE || option->kind == XM_OPTION_SHARE)
		xm_format_size(limit, buffer, size);
	else if (option->kind == XM_OPTION_DURATION)
		xm_format_duration(limit, buffer, size);
	else
		snprintf(buffer, size, "%llu", (unsigned long long)limit);
}

const char *xm_option_head(const struct xm_option *option,
			   const struct xm_option_source *source, char *buffer,
			   size_t size)
{
	snprintf(buffer, size, "%.200s%s%s", source->origin,
		 source->names ? "" : ": ", source->names ? "" : option->name);
	return buffer;
}

static int judge_limits(struct xm_options *o, const struct xm_option *option,
			const struct xm_option_source *source, const char *text,
			uint64_t number)
{
	char limit[32], where[300];
	struct xm_option_shown shown;
	bool low = number < option->min;
	bool length = option->kind == XM_OPTION_TEXT ||
		      option->kind == XM_OPTION_LIST;

	if (!low && (option->max == 0 || number <= option->max))
		return 0;
	format_limit(option, low ? option->min : option->max, limit,
		     sizeof(limit));
	xm_option_head(option, source, where, sizeof(where));
	xm_option_show(text, strlen(text), &shown);
	if (length)
		return xm_options_fail(o, -EINVAL, "%s: \"%s\" is too %s: %s %s bytes",
			    where, shown.bytes, low ? "short" : "long",
			    low ? "at least" : "at most", limit);
	return xm_options_fail(o, -EINVAL, "%s: %s is too %s: %s %s", where, shown.bytes,
		    low ? "little" : "much", low ? "at least" : "at most",
		    limit);
}

/* It is of no form that the option has. */
static int refuse_form(struct xm_options *o, const struct xm_option *option,
		       const struct xm_option_source *source, const char *text, int r)
{
	bool choice = option->kind == XM_OPTION_CHOICE;
	struct xm_option_shown shown;
	char where[300];

	xm_option_head(option, source, where, sizeof(where));
	if (!*text)
		return xm_options_fail(o, -EINVAL, "%s: the value is empty; give %s%s",
			    where, choice ? "one of " : "",
			    choice ? option->choices : xm_option_expected(option));
	xm_option_show(text, strlen(text), &shown);
	if (choice)
		return xm_options_fail(o, -EINVAL, "%s: \"%s\" is none of %s", where,
			    shown.bytes, option->choices);
	if (r == -ERANGE)
		return xm_options_fail(o, -EINVAL, "%s: \"%s\" does not fit in 64 bits",
			    where, shown.bytes);
	return xm_options_fail(o, -EINVAL, "%s: \"%s\" is not %s", where, shown.bytes,
		    xm_option_expected(option));
}

/* Is this text a value of the option? */
static int judge(struct xm_options *o, const struct xm_option *option,
		 const struct xm_option_source *source, const char *text,
		 union parsed *ret)
{
	bool limited = true;
	uint64_t number = 0;
	int r = 0;

	switch (option->kind) {
	case XM_OPTION_SIZE:
		r = xm_parse_size(text, &ret->number);
		break;
	case XM_OPTION_SHARE:
		r = parse_share(text, &ret->share);
		limited = r == 0 && ret->share.percent == 0;
		break;
	case XM_OPTION_DURATION:
		r = xm_parse_duration(text, &ret->number);
		break;
	case XM_OPTION_COUNT:
		r = xm_parse_count(text, &ret->number);
		break;
	case XM_OPTION_TEXT:
	case XM_OPTION_LIST:
	case XM_OPTION_NAMED:
		ret->number = strlen(text);
		break;
	case XM_OPTION_FLAG:
		r = parse_flag(text, &ret->flag);
		limited = false;
		break;
	case XM_OPTION_CHOICE:
		r = parse_choice(option->choices, text, &ret->choice);
		limited = false;
		break;
	}
	if (r == 0 && limited) {
		number = option->kind == XM_OPTION_SHARE ? ret->share.size
							 : ret->number;
		return judge_limits(o, option, source, text, number);
	}
	return r == 0 ? 0 : refuse_form(o, option, source, text, r);
}

static int add_item(struct xm_options *o, struct xm_option_list *list,
		    const char *text)
{
	const char **items = reserve(o, (list->count + 2) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		items[i] = list->items[i];
	items[list->count] = text;
	items[list->count + 1] = NULL;
	list->items = items;
	list->count++;
	return 0;
}

static int store(struct xm_options *o, const struct xm_option *option,
		 struct xm_option_value *value, const char *text, bool anew,
		 const union parsed *parsed)
{
	static const char *const nothing[] = { NULL };
	void *to = (char *)o->destination + option->destination;
	struct xm_option_list *list = to;

	switch (option->kind) {
	case XM_OPTION_SIZE:
	case XM_OPTION_DURATION:
	case XM_OPTION_COUNT:
		*(uint64_t *)to = parsed->number;
		break;
	case XM_OPTION_SHARE:
		*(struct xm_option_share *)to = parsed->share;
		break;
	case XM_OPTION_TEXT:
		*(const char **)to = text;
		break;
	case XM_OPTION_FLAG:
		*(bool *)to = parsed->flag;
		break;
	case XM_OPTION_CHOICE:
		*(uint32_t *)to = parsed->choice;
		break;
	case XM_OPTION_NAMED:
	case XM_OPTION_LIST:
		if (anew) {
			list->items = nothing;
			list->count = 0;
		}
		if (*text && add_item(o, list, text) < 0)
			return -ENOMEM;
		if (list->count > 1) {
			size_t size = strlen(value->text) + strlen(text) + 2;
			char *joined = reserve(o, size);

			if (!joined)
				return -ENOMEM;
			snprintf(joined, size, "%s %s", value->text, text);
			text = joined;
		}
		break;
	}
	value->text = text;
	return 0;
}

#define ITEM_MAX 31 /* characters */

/* "fast=mirror 2", kept, with the source's level in the byte before. */
static char *keep_item(struct xm_options *o, const struct xm_option_source *source,
		       const char *item, size_t size, const char *text)
{
	size_t length = size + strlen(text) + 3;
	char *kept = reserve(o, length);

	if (!kept)
		return NULL;
	kept[0] = (char)source->level;
	snprintf(kept + 1, length - 1, "%.*s=%s", (int)size, item, text);
	return kept + 1;
}

/* One item of a family: the highest level counts, and of one level the last, but a file
 * must not say it twice. */
static int set_item(struct xm_options *o, size_t index,
		    const struct xm_option_source *source, const char *text)
{
	const struct xm_option *option = &o->table->options[index];
	struct xm_option_list *list =
		(void *)((char *)o->destination + option->destination);
	const char *item = strchr(source->given, '.') + 1;
	size_t size = strcspn(item, "=");
	char *kept;

	if (size == 0 || size > ITEM_MAX ||
	    strspn(item, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size)
		return xm_options_fail(o, -EINVAL, "%s: %s.: a name behind the "
			    "dot has 1 to %d small letters, digits, - or _",
			    source->origin, option->name, ITEM_MAX);
	kept = keep_item(o, source, item, size, text);
	if (!kept)
		return xm_options_fail(o, -ENOMEM, "%s: no memory", source->origin);
	for (size_t i = 0; i < list->count; i++) {
		const char **old = (const char **)&list->items[i];

		if (strncmp(*old, kept, size + 1) != 0)
			continue;
		if (source->file != 0 && (*old)[-1] == kept[-1])
			return xm_options_fail(o, -EINVAL, "%s: %s.%.*s: it was "
				    "given already; keep one of the two",
				    source->origin, option->name, (int)size, item);
		if ((*old)[-1] <= kept[-1])
			*old = kept;
		return 0;
	}
	return add_item(o, list, kept) < 0
		       ? xm_options_fail(o, -ENOMEM, "%s: no memory", source->origin)
		       : 0;
}

/* One text for one option, from one source. */
int xm_options_set(struct xm_options *o, size_t index,
		      const struct xm_option_source *source, const char *text)
{
	const struct xm_option *option = &o->table->options[index];
	struct xm_option_value *value = &o->values[index];
	bool list = option->kind == XM_OPTION_LIST;
	union parsed parsed = { 0 };
	char *text_kept, *origin_kept;
	int r = judge(o, option, source, text, &parsed);

	if (r < 0)
		return r;
	if (option->kind == XM_OPTION_NAMED)
		return set_item(o, index, source, text);
	if (!list && source->file != 0 && value->file == source->file)
		return xm_options_fail(o, -EINVAL,
			    "%s: %s: it was given already, in line %u; keep "
			    "one of the two",
			    source->origin, option->name, value->line);
	if (value->level > source->level) {
		/* Overruled; but a file must not say it twice all the same. */
		if (source->file != 0) {
			value->file = source->file;
			value->line = source->line;
		}
		return 0;
	}
	text_kept = xm_options_keep(o, text, strlen(text));
	origin_kept = xm_options_keep(o, source->origin, strlen(source->origin));
	if (!text_kept || !origin_kept ||
	    store(o, option, value, text_kept, value->level < source->level,
		  &parsed) < 0)
		return xm_options_fail(o, -ENOMEM, "%s: no memory", source->origin);
	value->level = source->level;
	value->origin = origin_kept;
	value->file = source->file;
	value->line = source->line;
	return 0;
}

/* The same, where several items of a list may stand in one text. */
int xm_options_set_several(struct xm_options *o, size_t index,
		       const struct xm_option_source *source, const char *text)
{
	static const char parting[] = ", \t\n";
	const char *at = text + strspn(text, parting);
	char where[300];

	if (o->table->options[index].kind != XM_OPTION_LIST)
		return xm_options_set(o, index, source, text);
	if (!*at)
		return xm_options_fail(o, -EINVAL, "%s: the value is empty; give %s",
			    xm_option_head(&o->table->options[index], source, where,
				 sizeof(where)),
			    xm_option_unit(&o->table->options[index]));
	while (*at) {
		size_t size = strcspn(at, parting);
		char *item = xm_options_keep(o, at, size);
		int r;

		if (!item)
			return xm_options_fail(o, -ENOMEM, "%s: no memory",
				    source->origin);
		r = xm_options_set(o, index, source, item);
		if (r < 0)
			return r;
		at += size;
		at += strspn(at, parting);
	}
	return 0;
}

/* What an option has that no default names: zero, "", no, the first choice. */
int xm_options_set_nothing(struct xm_options *o, size_t index)
{
	static const union parsed zero;
	const struct xm_option *option = &o->table->options[index];
	struct xm_option_value *value = &o->values[index];
	const char *text;

	if (option->kind == XM_OPTION_CHOICE) {
		text = xm_options_keep(o, option->choices, strcspn(option->choices, "|"));
		if (!text)
			return -ENOMEM;
	} else {
		text = option->kind == XM_OPTION_FLAG	      ? "no"
		       : option->kind == XM_OPTION_TEXT ||
				       option->kind == XM_OPTION_LIST ||
				       option->kind == XM_OPTION_NAMED
			       ? ""
			       : "0";
	}
	value->origin = "default";
	value->level = XM_LEVEL_DEFAULT;
	return store(o, option, value, text, true, &zero);
}

/* --- comparing --------------------------------------------------------------- */

static bool same_list(const struct xm_option_list *a,
		      const struct xm_option_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool same_value(const struct xm_option *option, const void *a,
		       const void *b)
{
	switch (option->kind) {
	case XM_OPTION_SIZE:
	case XM_OPTION_DURATION:
	case XM_OPTION_COUNT:
		return memcmp(a, b, sizeof(uint64_t)) == 0;
	case XM_OPTION_SHARE:
		return memcmp(a, b, sizeof(struct xm_option_share)) == 0;
	case XM_OPTION_TEXT:
		return strcmp(*(const char *const *)a,
			      *(const char *const *)b) == 0;
	case XM_OPTION_FLAG:
		return *(const bool *)a == *(const bool *)b;
	case XM_OPTION_LIST:
	case XM_OPTION_NAMED:
		return same_list(a, b);
	case XM_OPTION_CHOICE:
		return memcmp(a, b, sizeof(uint32_t)) == 0;
	}
	return false;
}

const char *xm_options_changed(const struct xm_option_table *table,
			       const void *before, const void *after)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct xm_option *option = &table->options[i];

		if (!option->live &&
		    !same_value(option,
				(const char *)before + option->destination,
				(const char *)after + option->destination))
			return option->name;
	}
	return NULL;
}
