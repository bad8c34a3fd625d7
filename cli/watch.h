/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `extmem drain` and `extmem shrink` have in common: an appliance was told to give
 * something up; here we look, and say what is left, until it is done or the time is over.
 */
#ifndef EXTMEM_WATCH_H
#define EXTMEM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/extmem.h"

#define WATCH_ANSWER_MS 5000

struct watch {
	const char *command, *address;
	uint64_t timeout_ns;
	uint64_t aim; /* as the functions know it */
	bool json;    /* one object at the end, and nothing before */
	/* Bytes that are still to go. */
	uint64_t (*left)(const struct watch *, const struct extmem_status *);
	/* Whether somebody has told the appliance otherwise meanwhile. */
	bool (*is_void)(const struct watch *, const struct extmem_status *);
	/* For people: it is done, or not. */
	void (*say_done)(const struct watch *, const struct extmem_status *);
	void (*say_left)(const struct watch *, const struct extmem_status *,
			 uint64_t left);
};

/* The exit status. */
int watch(const struct watch *);

#endif
