/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options from a file of "name = value" lines, read by inih; see options.h. A build
 * without inih refuses files in words.
 *
 * Floor: skin.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "common/options_parts.h"

#include <errno.h>
#include <string.h>

#ifdef HAVE_INIH
#include <ini.h>
#endif

#ifdef HAVE_INIH

struct reading {
	struct xm_options *o;
	FILE *file;
	const char *path;
	uint32_t line;
	int status; /* of the first failure */
};

/* One line for inih, without what it would make of the blanks at its start: a
 * continuation of the line before. */
static char *read_line(char *buffer, int size, void *context)
{
	struct reading *reading = context;
	int length = 0, c;
	bool blank = true;

	if (reading->status < 0)
		return NULL;
	reading->line++;
	while ((c = getc(reading->file)) != EOF) {
		if (blank && (c == ' ' || c == '\t'))
			continue;
		blank = false;
		if (c == '\0' || length + 2 > size) {
			reading->status = xm_options_fail(
				reading->o, -EINVAL,
				c ? "%s:%u: the line is too long"
				  : "%s:%u: there is a zero byte; this is not "
				    "a text file",
				reading->path, reading->line);
			return NULL;
		}
		buffer[length++] = (char)c;
		if (c == '\n')
			break;
	}
	if (ferror(reading->file)) {
		reading->status = xm_options_fail(reading->o, -errno, "%s: %s",
				       reading->path, strerror(errno));
		return NULL;
	}
	buffer[length] = '\0';
	return length > 0 || c != EOF ? buffer : NULL;
}

static int read_pair(void *context, const char *section, const char *name,
		     const char *value)
{
	struct reading *reading = context;
	struct xm_options *o = reading->o;
	size_t index = xm_options_find(o, name, strlen(name));
	struct xm_option_source source = { .level = XM_LEVEL_FILE,
				 .file = o->files,
				 .line = reading->line };
	char origin[256];
	struct xm_option_shown shown;

	if (reading->status < 0)
		return 0;
	snprintf(origin, sizeof(origin), "%.200s:%u", reading->path,
		 reading->line);
	source.origin = origin;
	if (*section && strcmp(section, o->table->program) != 0)
		reading->status = xm_options_fail(
			o, -EINVAL, "%s: section [%s] is not for %s; its "
			"settings stand in no section, or in [%s]",
			origin, xm_option_show(section, strlen(section), &shown),
			o->table->program, o->table->program);
	else if (index == SIZE_MAX)
		reading->status = xm_options_fail_unknown(o, &source, name, strlen(name));
	else if (strcmp(o->table->options[index].name, "config") == 0)
		reading->status = xm_options_fail(o, -EINVAL,
				       "%s: config: a file cannot name another",
				       origin);
	else {
		source.given = name;
		reading->status = xm_options_set_several(o, index, &source, value);
	}
	return reading->status == 0;
}

int xm_options_read_file(struct xm_options *o, const char *path)
{
	struct reading reading = { .o = o, .path = path };
	int r;

	reading.file = fopen(path, "re");
	if (!reading.file) {
		r = -errno;
		return xm_options_fail(o, r, "%s: %s", path, strerror(-r));
	}
	o->files++;
	r = ini_parse_stream(read_line, &reading, read_pair, &reading);
	fclose(reading.file);
	/* inih tells the first line that is wrong: ours, or one of its own. */
	if (r > 0 && (reading.status == 0 || (uint32_t)r < reading.line))
		return xm_options_fail(o, -EINVAL,
			    "%s:%d: this is neither \"name = value\" nor "
			    "\"[%s]\" nor a comment",
			    path, r, o->table->program);
	if (r < 0 && reading.status == 0)
		return xm_options_fail(o, -ENOMEM, "%s: no memory", path);
	return reading.status;
}

#else

int xm_options_read_file(struct xm_options *o, const char *path)
{
	return xm_options_fail(o, -ENOSYS,
		    "%s: this build cannot read configuration files: inih was "
		    "not there; use flags or the environment, or build with "
		    "it (Debian: libinih-dev)",
		    path);
}

#endif
