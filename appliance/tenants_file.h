/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tenants file: who shares this appliance, and how much each may have.
 *
 *	[physics]			; a tenant for each section
 *	identity = lab-*, alice		; names in certificates, uid:N; more lines add more
 *	bytes = 40G			; what is not said has no limit
 *	clients = 8
 *	extents = 512
 *	requests = 200			; a second
 *	[operators]
 *	identity = root-cert
 *	admin = yes			; sees all, may have the appliance drain
 *
 * tenants.h says what all this means. Read by inih; a build without it refuses the file
 * in words.
 *
 * Floor: skin.
 */
#ifndef XM_TENANTS_FILE_H
#define XM_TENANTS_FILE_H

#include <stdio.h>

#include "appliance/tenants.h"

#define XM_TENANTS_FILE_SIZE (256 * 1024) /* bytes, most */

/* 0; or -errno and a sentence that begins with FILE:LINE, and *ret is untouched. */
int xm_tenants_read(const char *path, struct xm_tenants *ret, char *words,
		    size_t words_size);
/* The same of a text; `path` is what its sentences call it. Any bytes at all end in one
 * or the other. */
int xm_tenants_parse(const char *path, const char *text, size_t size,
		     struct xm_tenants *ret, char *words, size_t words_size);
/* A table, for people. */
void xm_tenants_print(const struct xm_tenants *, FILE *);

#endif
