/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds a program and says whether it can be run with the shim.
 */
#ifndef EXTMEM_PROGRAM_H
#define EXTMEM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#define PROGRAM_PATH_SIZE 4096

/* As execvp(3) looks for `name`. -ENOENT; -EACCES; -ENOEXEC: it is there, and
 * the shim cannot be loaded into it. Words say so. */
int program_find(const char *name, char ret_path[PROGRAM_PATH_SIZE],
		 char *words, size_t words_size);

/* The program of this name in the folder of the one that runs. False: it is not there. */
bool program_beside(const char *name, char ret_path[PROGRAM_PATH_SIZE]);

#endif
