/* SPDX-License-Identifier: BSD-3-Clause */
/* See log_rules.h. */
#include "common/log_rules.h"

#include <errno.h>
#include <string.h>

static const char *const level_names[] = { "error", "warning", "info", "debug" };

void xm_log_rules_begin(struct xm_log_rules *r, const char *const *names,
			unsigned count)
{
	XM_ASSERT(count > 0 && count <= XM_LOG_SUBSYSTEMS_MAX);
	memset(r, 0, sizeof(*r));
	r->names = names;
	r->count = count;
	for (unsigned i = 0; i < count; i++) {
		r->levels[i] = XM_LEVEL_INFO;
		r->gates[i].left = XM_LOG_BURST;
	}
}

/* --- levels ------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t length, const char *name)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (name[i] == '\0' || text[i] != name[i])
			return false;
	return name[i] == '\0';
}

/* The index in the list; `count`: it is not there. */
static unsigned find(const char *text, size_t length, const char *const *names,
		     unsigned count)
{
	unsigned i = 0;

	while (i < count && !is_name(text, length, names[i]))
		i++;
	return i;
}

static int complain(const struct xm_log_rules *r, struct xm_words *words)
{
	xm_words_add(words, "write a level (error, warning, info, debug) for all, then "
			    "for some: info,");
	xm_words_add(words, r->names[r->count - 1]);
	xm_words_add(words, "=debug. There are");
	for (unsigned i = 0; i < r->count; i++) {
		xm_words_add(words, i > 0 ? ", " : " ");
		xm_words_add(words, r->names[i]);
	}
	return -EINVAL;
}

/* One part: LEVEL, or SUBSYSTEM=LEVEL. */
static bool read_part(const struct xm_log_rules *r, const char *text, size_t length,
		      uint8_t levels[XM_LOG_SUBSYSTEMS_MAX])
{
	unsigned subsystem = r->count, level;
	size_t name = 0;

	while (name < length && text[name] != '=')
		name++;
	if (name < length) {
		subsystem = find(text, name, r->names, r->count);
		if (subsystem == r->count)
			return false;
		text += name + 1;
		length -= name + 1;
	}
	level = find(text, length, level_names, XM_COUNT(level_names));
	if (level == XM_COUNT(level_names))
		return false;
	for (unsigned i = 0; i < r->count; i++)
		if (subsystem == r->count || subsystem == i)
			levels[i] = (uint8_t)level;
	return true;
}

int xm_log_rules_read(struct xm_log_rules *r, const char *text,
		      struct xm_words *ret_words)
{
	uint8_t levels[XM_LOG_SUBSYSTEMS_MAX];
	size_t length;

	for (unsigned i = 0; i < XM_LOG_SUBSYSTEMS_MAX; i++)
		levels[i] = XM_LEVEL_INFO;
	do {
		while (*text == ' ')
			text++;
		length = 0;
		while (text[length] != '\0' && text[length] != ',' && text[length] != ' ')
			length++;
		if (!read_part(r, text, length, levels))
			return complain(r, ret_words);
		text += length;
		while (*text == ' ')
			text++;
	} while (*text++ == ',');
	if (text[-1] != '\0')
		return complain(r, ret_words);
	memcpy(r->levels, levels, sizeof(levels));
	return 0;
}

/* --- how many ----------------------------------------------------------------------------- */

bool xm_log_rules_pass(struct xm_log_rules *r, unsigned subsystem,
		       enum xm_level level, uint64_t now_ns, uint32_t *ret_unsaid)
{
	struct xm_log_gate *gate = &r->gates[subsystem];
	uint64_t more;

	XM_ASSERT(subsystem < r->count);
	if (level > r->levels[subsystem])
		return false;
	if (now_ns > gate->since_ns) {
		more = (now_ns - gate->since_ns) / (XM_SECOND / XM_LOG_RATE);
		gate->since_ns += more * (XM_SECOND / XM_LOG_RATE);
		gate->left = (uint32_t)xm_min(XM_LOG_BURST, gate->left + more);
	}
	if (gate->left == 0) {
		gate->unsaid++;
		return false;
	}
	gate->left--;
	*ret_unsaid = gate->unsaid;
	gate->unsaid = 0;
	return true;
}

/* --- how it is written ---------------------------------------------------------------------- */

/* A line's end in a message would begin a line, or a field, of the sender's choice. */
static void add_message(struct xm_words *w, const char *message)
{
	char one[2] = "";

	for (; *message != '\0'; message++) {
		one[0] = *message >= ' ' && *message <= '~' ? *message : '?';
		xm_words_add(w, one);
	}
}

/* The last byte is a line's end, whatever was cut. */
static size_t finish(struct xm_words *w)
{
	if (w->used + 1 >= w->size)
		w->used = w->size - 2;
	w->text[w->used++] = '\n';
	w->text[w->used] = '\0';
	return w->used;
}

size_t xm_log_line(const struct xm_log_rules *r, const char *program,
		   unsigned subsystem, enum xm_level level, const char *message,
		   char *ret, size_t size)
{
	struct xm_words w;

	XM_ASSERT(size >= 2);
	xm_words_begin(&w, ret, size);
	xm_words_add(&w, program);
	xm_words_add(&w, ": ");
	if (level != XM_LEVEL_INFO) {
		xm_words_add(&w, level_names[level]);
		xm_words_add(&w, ": ");
	}
	if (subsystem > 0) {
		xm_words_add(&w, r->names[subsystem]);
		xm_words_add(&w, ": ");
	}
	add_message(&w, message);
	return finish(&w);
}

size_t xm_log_fields(const struct xm_log_rules *r, const char *program,
		     unsigned subsystem, enum xm_level level, const char *message,
		     char *ret, size_t size)
{
	/* Of syslog: err, warning, info, debug. */
	static const uint8_t priorities[] = { 3, 4, 6, 7 };
	struct xm_words w;

	XM_ASSERT(size >= 2);
	xm_words_begin(&w, ret, size);
	xm_words_add(&w, "PRIORITY=");
	xm_words_number(&w, priorities[level]);
	xm_words_add(&w, "\nSYSLOG_IDENTIFIER=");
	xm_words_add(&w, program);
	xm_words_add(&w, "\nEXTMEM_SUBSYSTEM=");
	xm_words_add(&w, r->names[subsystem]);
	xm_words_add(&w, "\nMESSAGE=");
	add_message(&w, message);
	return finish(&w);
}
