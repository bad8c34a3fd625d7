/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options: one table lists them; their values come from defaults, files, the
 * environment, flags and the API; --help is printed from the table too.
 *
 *	struct settings { uint64_t local; const char *config; };
 *	static const struct xm_option options[] = {
 *		{ .name = "local", .kind = XM_OPTION_SIZE, .value = "64M",
 *		  .min = XM_MIB, .help = "Local memory, most.",
 *		  .destination = offsetof(struct settings, local) },
 *		{ .name = "config", ... },
 *	};
 *	static const struct xm_option_table table = {
 *		.program = "extmemd", .prefix = "EXTMEM", .options = options,
 *		.count = XM_COUNT(options), .usage = "[OPTION]..." };
 *
 *	xm_options_open(&table, &settings, &o);
 *	r = xm_options_load(o, argc, argv, environ, &rest);
 *	if (r == XM_OPTIONS_HELP) ... else if (r < 0)
 *		errx(2, "%s", xm_options_words(o));
 *
 * A name is lower case with underscores ("loss_timeout"): the flag is
 * --loss-timeout, the variable EXTMEM_LOSS_TIMEOUT, the key in a file and in
 * the API loss_timeout (hyphens and underscores are the same everywhere).
 * Flags of kind XM_OPTION_FLAG also have --no-NAME, and take yes/no, on/off,
 * true/false, 1/0 elsewhere.
 *
 * An option of kind XM_OPTION_NAMED is a family: NAME.ITEM has a text for each ITEM,
 * as strategy.fast. It may have the name of another option. (In the environment names
 * have no dots, as shells go.)
 *
 * Precedence: default < file < environment < flag < API, in whatever order they are
 * read. If an option is given twice at one level, the last value counts, with two
 * exceptions: the items of a list are added, and a file that gives another option
 * twice is an error. A list from a higher level replaces one from a lower level. In
 * the environment and in files, commas or blanks separate the items of a list; a flag
 * or an API setting is one item.
 *
 * Every failure is -errno, with a sentence in words() that names the source,
 * the option, the value, and what would be right; what was set before stays.
 * No global state. One thread at a time. Floor: skin.
 */
#ifndef XM_OPTIONS_H
#define XM_OPTIONS_H

#include <stdio.h>

#include "common/base.h"

enum xm_option_kind {	    /* destination */
	XM_OPTION_SIZE = 1, /* uint64_t, bytes: 4096, 64M, 1.5GiB */
	XM_OPTION_SHARE,    /* struct xm_option_share: a size, or 25% */
	XM_OPTION_DURATION, /* uint64_t, ns: 250ms, 10s, 2m; 0 */
	XM_OPTION_COUNT,    /* uint64_t */
	XM_OPTION_TEXT,	    /* const char *, never NULL; may be "" */
	XM_OPTION_FLAG,	    /* bool */
	XM_OPTION_LIST,	    /* struct xm_option_list of texts */
	XM_OPTION_CHOICE,   /* uint32_t, index in choices */
	XM_OPTION_NAMED,    /* struct xm_option_list of "ITEM=text" */
};

struct xm_option_share {
	uint64_t size;	  /* bytes, or 0 where percent was given */
	uint32_t percent; /* 1 .. 100, or 0 where a size was given */
};

struct xm_option_list {
	const char *const *items; /* ended by NULL */
	size_t count;
};

struct xm_option {
	const char *name;
	enum xm_option_kind kind;
	char letter;	     /* short flag, or 0 */
	bool hidden;	     /* not in help and manual */
	bool live;	     /* may change while the program runs (reload) */
	const char *value;   /* the default, as text; NULL: zero, "", no */
	const char *unit;    /* in help: "ADDR"; NULL: by kind */
	uint64_t min, max;   /* sizes, durations, counts; max 0: no limit */
	const char *choices; /* "auto|inline|thread" */
	const char *help;    /* sentences */
	size_t destination;  /* offsetof */
};

struct xm_option_table {
	const char *program; /* "extmemd" */
	const char *prefix;  /* of variables, without the underscore, or NULL */
	const char *usage;   /* what follows the program's name */
	const char *about;   /* a paragraph for --help, or NULL */
	const struct xm_option *options;
	size_t count;
	/* Variables with this prefix that belong to other programs, ended by NULL; any
	 * further unknown variable is an error. NULL: unknown variables are ignored. */
	const char *const *strangers;
};

struct xm_options;

enum { XM_OPTIONS_HELP = 1, XM_OPTIONS_VERSION = 2 };

/* Puts the defaults into `values`, the caller's struct, which must not move before close.
 * Texts and lists in it are valid until close. -ENOMEM. */
int xm_options_open(const struct xm_option_table *, void *values,
		    struct xm_options **ret);
void xm_options_close(struct xm_options *);

/* Flags, the environment, and the files named by the option "config" (a text
 * or a list) if the table has one; read settings before, which may name one.
 * A file that only the default names may be absent. Returns as read_flags().
 * A library has argc 0. */
int xm_options_load(struct xm_options *, int argc, char *const argv[],
		    char *const environment[], int *ret_rest);

/* "name = value" lines, '#' and ';' comments, a section [program] or none.
 * -ENOENT, -EACCES, ... unreadable; -EINVAL contents; -ENOSYS no inih. */
int xm_options_read_file(struct xm_options *, const char *path);
/* `environment` as environ; NULL is empty. */
int xm_options_read_environment(struct xm_options *,
				char *const environment[]);
/* argv[1] .. up to the first that is no flag, or past "--". *ret_rest is the
 * index of what remains; NULL: nothing may remain. 0, XM_OPTIONS_HELP or
 * XM_OPTIONS_VERSION (--help, -h, --version: known without being in the
 * table; *ret_rest is set too), or -EINVAL. */
int xm_options_read_flags(struct xm_options *, int argc, char *const argv[],
			  int *ret_rest);
/* "name=value" texts, ended by NULL; NULL is empty. */
int xm_options_read_settings(struct xm_options *,
			     const char *const settings[]);

/* The sentence for the last failure; "" before the first. */
const char *xm_options_words(const struct xm_options *);
/* Where the value came from: "default", "EXTMEM_LOCAL", "--local",
 * "/etc/extmem.conf:3", "settings". NULL: no such option. */
const char *xm_options_origin(const struct xm_options *, const char *name);
/* Has a source given it? */
bool xm_options_given(const struct xm_options *, const char *name);

/* The name of an option whose value differs between two structs that were
 * filled from this table and that is not `live`; NULL: there is none. */
const char *xm_options_changed(const struct xm_option_table *,
			       const void *before, const void *after);

/* --help, 80 columns; a table of name, value and origin; the OPTIONS section
 * of a manual page. */
void xm_options_print_help(const struct xm_option_table *, FILE *);
void xm_options_print_values(const struct xm_options *, FILE *);
void xm_options_print_roff(const struct xm_option_table *, FILE *);

/* One text by itself. -EINVAL: malformed; -ERANGE: does not fit. */
int xm_parse_size(const char *text, uint64_t *ret_size);
int xm_parse_duration(const char *text, uint64_t *ret_ns);
int xm_parse_count(const char *text, uint64_t *ret);
/* "64M", "1.5G", "4097"; "250ms", "10s": as short as is exact. */
void xm_format_size(uint64_t size, char *buffer, size_t buffer_size);
void xm_format_duration(uint64_t ns, char *buffer, size_t buffer_size);

#endif
