/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of authority.h share. Floor: skin. */
#ifndef EXTMEM_AUTHORITY_PARTS_H
#define EXTMEM_AUTHORITY_PARTS_H

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

#include "cli/authority.h"

/* FOLDER/NAMEEND */
void authority_path(const char *folder, const char *name, const char *end,
		    char ret[PATH_MAX]);
/* One at a time: what two wrote at once would be missing from the list, and could not be
 * revoked. Closing what it returns ends that. */
int authority_lock(const char *folder, char words[AUTHORITY_WORDS]);

/* A file that is renamed to its place when it is whole. */
struct authority_draft {
	const char *folder;
	char path[PATH_MAX], beside[PATH_MAX + 8];
	FILE *file;
};

int authority_draft_open(struct authority_draft *, const char *folder,
			 const char *name, const char *end, mode_t mode);
/* `good`: all was written; else the draft is thrown away. */
int authority_draft_close(struct authority_draft *, bool good);

#endif
