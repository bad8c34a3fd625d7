/* SPDX-License-Identifier: BSD-3-Clause */
/* Stories: scripted runs whose traces are kept (story.c). */
#ifndef XM_SIM_STORIES_H
#define XM_SIM_STORIES_H

#include <stdio.h>

#include "common/base.h"

/* The index-th story's name (a sentence, with _), or NULL. */
const char *story_name(uint32_t index);
/* Runs it, with its trace to `trace` (or NULL). True: all that it expects was so. */
bool story_run(uint32_t index, FILE *trace);
/* Runs all, and compares their traces with those in a folder, or writes them there.
 * Returns an exit status. The last line printed is "N passed, M failed". */
int stories_run(const char *folder, bool write);

#endif
