/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options that several commands have. Each has one name, letter, unit and kind, wherever
 * it stands; what it means there is said in `words`. The member of the command's struct is
 * named as the caller names it; further fields (.value, .min) may follow.
 *
 *	{ ..., XM_SHARED_SIZE(struct disk_settings, size, "Size of the disk."), ... }
 */
#ifndef XM_OPTIONS_SHARED_H
#define XM_OPTIONS_SHARED_H

#include "common/options.h"

/* struct xm_option_list */
#define XM_SHARED_APPLIANCE(type, member, words)                                \
	{                                                                       \
		.name = "appliance", .kind = XM_OPTION_LIST, .letter = 'a',     \
		.unit = "ADDR", .help = words,                                  \
		.destination = offsetof(type, member)                           \
	}

/* const char * */
#define XM_SHARED_STRATEGY(type, member, words)                                 \
	{                                                                       \
		.name = "strategy", .kind = XM_OPTION_TEXT, .unit = "TEXT",     \
		.help = words, .destination = offsetof(type, member)            \
	}

/* bool */
#define XM_SHARED_SEAL(type, member, words)                                     \
	{                                                                       \
		.name = "seal", .kind = XM_OPTION_FLAG, .help = words,          \
		.destination = offsetof(type, member)                           \
	}

/* bool */
#define XM_SHARED_JSON(type, member, words)                                     \
	{                                                                       \
		.name = "json", .kind = XM_OPTION_FLAG, .letter = 'j',          \
		.help = words, .destination = offsetof(type, member)            \
	}

/* uint64_t, bytes */
#define XM_SHARED_SIZE(type, member, words, ...)                                \
	{                                                                       \
		.name = "size", .kind = XM_OPTION_SIZE, .letter = 's',          \
		.help = words, .destination = offsetof(type, member),           \
		__VA_ARGS__                                                     \
	}

/* uint64_t, ns: for what an appliance needs its clients for */
#define XM_SHARED_TIMEOUT(type, member, words)                                  \
	{                                                                       \
		.name = "timeout", .kind = XM_OPTION_DURATION, .letter = 't',   \
		.value = "10m", .max = 86400 * XM_SECOND, .help = words,        \
		.destination = offsetof(type, member)                           \
	}

/* bool */
#define XM_SHARED_WAIT(type, member, words)                                     \
	{                                                                       \
		.name = "wait", .kind = XM_OPTION_FLAG, .letter = 'w',          \
		.value = "yes", .help = words,                                  \
		.destination = offsetof(type, member)                           \
	}

#endif
