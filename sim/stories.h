/* SPDX-License-Identifier: BSD-3-Clause */
/* story.c: scripted runs, whose traces are known. */
#ifndef XM_SIM_STORIES_H
#define XM_SIM_STORIES_H

#include <stdio.h>

#include "common/base.h"

/* The index-th story's name (a sentence, with _), or NULL. */
const char *story_name(uint32_t index);
/* Tells it to `trace` (or NULL); true when all it expects came true. */
bool story_run(uint32_t index, FILE *trace);
/* Runs them all, and compares with the traces in a folder, or writes them.
 * Returns an exit status; the last line is "N passed, M failed". */
int stories_run(const char *folder, bool write);

#endif
