/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two ends of the store's socket say to each other at the start. Included by
 * storage.c and store_main.c alone. Floor: skin. */
#ifndef XM_STORAGE_PARTS_H
#define XM_STORAGE_PARTS_H

#include "appliance/storage.h"

#define XM_STORAGE_WORDS 512

struct xm_storage_setup {
	uint32_t size; /* of this struct: both ends are of one build */
	uint32_t slots;
	bool confine;
	pid_t parent;
	char path[4096];
};

enum xm_storage_said_kind {
	XM_STORAGE_PROGRESS = 1, /* done, size: bytes */
	XM_STORAGE_ENTRY,	 /* slot, entry */
	XM_STORAGE_DAMAGED, /* slot; done, size: bytes of its extent, behind its entry */
	XM_STORAGE_READY, /* words: how it is confined */
	XM_STORAGE_FAILED, /* status, words */
};

struct xm_storage_said {
	enum xm_storage_said_kind kind;
	int status;
	uint32_t slot;
	uint64_t done, size;
	struct xm_store_entry entry;
	char words[XM_STORAGE_WORDS];
};

#endif
