/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of common/options share. Nobody else includes this.
 *
 * Floor: skin.
 */
#ifndef XM_OPTIONS_PARTS_H
#define XM_OPTIONS_PARTS_H

#include "common/options.h"

enum xm_option_level {
	XM_LEVEL_DEFAULT = 1,
	XM_LEVEL_FILE,
	XM_LEVEL_ENVIRONMENT,
	XM_LEVEL_FLAG,
	XM_LEVEL_API,
};

struct xm_option_value {
	enum xm_option_level level;
	uint32_t file;	    /* which one of those read, from 1; or 0 */
	uint32_t line;	    /* in that file */
	const char *origin; /* as xm_options_origin() */
	const char *text;   /* as given; lists: joined by blanks */
};

struct xm_option_block {
	struct xm_option_block *next;
	char bytes[];
};

struct xm_options {
	const struct xm_option_table *table;
	void *destination;
	struct xm_option_block *blocks; /* freed at close */
	struct xm_option_value *values; /* one for each option */
	uint32_t files;			/* read so far */
	char words[512];
};

/* Where one text comes from. */
struct xm_option_source {
	enum xm_option_level level;
	uint32_t file, line;
	const char *origin; /* as xm_options_origin() */
	bool names;	    /* the origin names the option already */
	const char *given; /* the name as it was given: of a family, with its item */
};

/* A text of others, fit to be shown: short, and without control bytes. */
struct xm_option_shown {
	char bytes[100];
};

#define XM_OPTION_NAME_SIZE 64 /* with its NUL */

/* --- options.c --------------------------------------------------------------- */

/* The index of the option that has this name; SIZE_MAX: none. */
size_t xm_options_find(const struct xm_options *o,
		       const char *given, size_t size);
/* Says that there is no such option, and which one is nearest. -EINVAL. */
int xm_options_fail_unknown(struct xm_options *o,
			    const struct xm_option_source *source, const char *given, size_t size);

/* --- options_value.c --------------------------------------------------------- */

/* Writes the words and returns `error`. */
int xm_options_fail(struct xm_options *, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A copy of `size` bytes and a NUL, until close. NULL: no memory. */
char *xm_options_keep(struct xm_options *, const char *text, size_t size);

/* Fills *ret and returns its bytes. */
const char *xm_option_show(const char *text, size_t size,
			   struct xm_option_shown *ret);

/* "origin: name", or "origin" where that names it already. */
const char *xm_option_head(const struct xm_option *,
			   const struct xm_option_source *, char *buffer,
			   size_t size);

/* One text from one source; and the same where several items of a list may
 * stand in it. */
int xm_options_set(struct xm_options *, size_t index,
		   const struct xm_option_source *, const char *text);
int xm_options_set_several(struct xm_options *, size_t index,
			   const struct xm_option_source *, const char *text);

/* Zero, "", no, the first choice: before any default. */
int xm_options_set_nothing(struct xm_options *, size_t index);

/* What would be right: "a size such as 4096, 64M or 1.5G". */
const char *xm_option_expected(const struct xm_option *);

/* --- options_print.c ----------------------------------------------------------- */

/* "SIZE", "N", "auto|inline": what stands for a value in help. */
const char *xm_option_unit(const struct xm_option *);

#endif
