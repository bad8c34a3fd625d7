/* SPDX-License-Identifier: BSD-3-Clause */
/* The program `extmem-auth`, beside this one. */
#ifndef EXTMEM_AUTH_H
#define EXTMEM_AUTH_H

#include <stdbool.h>
#include <stddef.h>

/* What it says of a credential file, one line. True: the file is good. */
bool auth_check(const char *file, char *words, size_t size);

#endif
