/* SPDX-License-Identifier: BSD-3-Clause */
/* The strategies of a client; see strategies.h. */
#include "core/client/strategies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"

/* --- names ------------------------------------------------------------------ */

/* No text is one word: each clause has a value. */
static bool is_name(const char *text)
{
	return text[0] != '\0' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")] ==
		       '\0';
}

static const char *stored(const struct xm_option_list *list, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < list->count; i++) {
		if (strncmp(list->items[i], name, size) == 0 &&
		    list->items[i][size] == '=')
			return list->items[i] + size + 1;
	}
	return NULL;
}

/* "a, b" */
static void names_of(const struct xm_option_list *list, char *ret, size_t size)
{
	size_t at = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < list->count && at < size; i++)
		at += (size_t)snprintf(ret + at, size - at, "%s%.*s",
				       i > 0 ? ", " : "",
				       (int)strcspn(list->items[i], "="),
				       list->items[i]);
}

int xm_strategy_read(const char *call, const struct xm_option_list *list,
		     const char *text, struct xm_strategy *ret)
{
	const char *meant = is_name(text) ? stored(list, text) : text;
	struct xm_strategy_error error;
	char names[256];

	if (meant == NULL) {
		names_of(list, names, sizeof(names));
		return xm_fail(-EINVAL, "%s: strategy \"%.40s\": no strategy has "
			       "this name (%s%s), and a text has clauses such as "
			       "\"mirror 2\"", call, text,
			       names[0] != '\0' ? "there are: " : "none is stored",
			       names);
	}
	if (xm_strategy_parse(meant, ret, &error) == 0)
		return 0;
	return xm_fail(-EINVAL, "%s: strategy %s%s\"%.200s\": %s", call,
		       meant != text ? text : "", meant != text ? " = " : "",
		       meant, error.words);
}

/* --- of a client ------------------------------------------------------------ */

static int strategy_alloc(const extmem *x, const char *call, const char *text,
			  struct xm_strategy **ret)
{
	struct xm_strategy *s = os_alloc(sizeof(*s));
	int rc;

	if (s == NULL)
		return xm_fail(-ENOMEM, "%s: out of memory", call);
	rc = xm_strategy_read(call, &x->settings.strategies, text, s);
	if (rc != 0)
		os_free(s);
	else
		*ret = s;
	return rc;
}

static void needs(extmem *x, const struct xm_strategy *s)
{
	if (xm_strategy_mirrors(s) > 1) {
		x->settings.copies_max = XM_COPIES_MAX;
		x->settings.members_max = XM_MEMBERS_MAX;
	}
}

int xm_strategies_open(extmem *x)
{
	const struct xm_option_list *list = &x->settings.strategies;
	struct xm_strategy *s;
	int rc = 0;

	x->settings.copies_max = 1;
	/* Where there is another appliance memory can move to, from one that drains: a
	 * segment has a guest meanwhile. */
	x->settings.members_max = x->settings.appliance.count > 1 ? 2 : 1;
	/* A region may ask for any of them later. */
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		rc = strategy_alloc(x, "extmem_open",
				    strchr(list->items[i], '=') + 1, &s);
		if (rc != 0)
			break;
		needs(x, s);
		os_free(s);
	}
	if (rc != 0 || x->settings.strategy[0] == '\0')
		return rc;
	rc = strategy_alloc(x, "extmem_open", x->settings.strategy,
			    &x->strategy);
	if (rc == 0)
		needs(x, x->strategy);
	return rc;
}

void xm_strategies_close(extmem *x)
{
	os_free(x->strategy);
}

int xm_strategy_of_text(extmem *x, const char *call, const char *text,
			struct xm_strategy **ret)
{
	struct xm_strategy *s;
	int rc = strategy_alloc(x, call, text, &s);

	if (rc != 0)
		return rc;
	if (xm_strategy_mirrors(s) > x->settings.copies_max) {
		os_free(s);
		return xm_fail(-EINVAL, "%s: strategy \"%.200s\": the client "
			       "was opened without mirrors: give it a strategy "
			       "with mirror 2 in its settings", call, text);
	}
	*ret = s;
	return 0;
}

int xm_strategy_size(const char *call, const struct xm_strategy *s,
		     uint64_t granule, uint64_t *size)
{
	uint64_t row = granule;

	if (*size == 0 || *size > UINT64_MAX / 2)
		return xm_fail(-EINVAL, "%s: a region of %llu bytes: the size "
			       "must be at least 1 and fit in memory", call,
			       (unsigned long long)*size);
	if (s != NULL)
		row = xm_strategy_row(s, granule);
	for (uint32_t i = 0; s != NULL && i < s->count; i++) {
		if (s->choices[i].columns > 1 && s->choices[i].unit < granule)
			return xm_fail(-EINVAL, "%s: stripes of %llu bytes: the "
				       "appliances lend multiples of %llu", call,
				       (unsigned long long)s->choices[i].unit,
				       (unsigned long long)granule);
	}
	if (row > granule && *size < row)
		return xm_fail(-EINVAL, "%s: a region of %llu bytes is less "
			       "than one row of the strategy's stripes, which "
			       "has %llu: ask for that much, or for fewer or "
			       "smaller stripes", call,
			       (unsigned long long)*size,
			       (unsigned long long)row);
	*size = (*size + row - 1) / row * row;
	return 0;
}
