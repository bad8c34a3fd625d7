/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The settings of a client: the table of their names, types and defaults, and
 * where their values are put.
 *
 * Values come from the built-in default, a configuration file, the environment
 * (EXTMEM_*) and the settings given to extmem_open(); the later one wins.
 * Read once, when a client is opened, and constant from then on: any thread may
 * read them without a lock.
 */
#ifndef XM_CLIENT_SETTINGS_H
#define XM_CLIENT_SETTINGS_H

#include "common/base.h"
#include "common/options.h"

struct xm_client_settings {
	struct xm_option_list appliance; /* addresses; at least one */
	uint64_t local, local_max;	 /* bytes of local memory */
	uint64_t timeout_ns;		 /* of any call */
	uint64_t loss_timeout_ns; /* out of reach for this long: lost */
	uint32_t paging;	  /* enum xm_paging */
	uint32_t polling;	  /* enum xm_polling */
	uint32_t reclaim;	  /* enum xm_reclaim */
	uint64_t lanes;
	uint64_t arena;	   /* bytes of addresses */
	uint64_t prefetch; /* pages read ahead, most */
	uint32_t fingerprints; /* 0: never; 1: where they pay */
	const char *mapper;   /* "": the first; else a name, ":" and an address */
	const char *provider; /* "": any */
	const char *strategy; /* strategy.h; "": none */
	struct xm_option_list strategies; /* stored ones, "NAME=text" */
	uint32_t members_max; /* of a segment, under any strategy, guests too; from 1 */
	uint32_t copies_max;  /* without guests */
	uint32_t seal;	      /* enum xm_sealed_regions */
	const char *seal_key; /* cipher.h; "": random */
	const char *name;     /* "": made from host, process and program */
	const char *auth;     /* path of a credential file, or "" */
	bool insecure_plaintext;
	const char *config;   /* path of a file, or "" */
};

extern const struct xm_option_table xm_client_options;

/* Puts the appliances that stand in directories into their places. 0, or -errno with a
 * message. */
int xm_client_settings_resolve(const char *call, const char *const settings[],
			       struct xm_client_settings *ret,
			       struct xm_options **ret_options);

/*
 * Reads all sources, with `settings` ("name=value", NULL at the end) on top, and
 * checks what a single option's limits cannot say. Strings of *ret live in
 * *ret_options, which the caller closes by xm_options_close() also after a
 * failure, unless it is NULL. 0, or -errno with a message (error.h).
 */
int xm_client_settings_read(const char *const settings[],
			    struct xm_client_settings *ret,
			    struct xm_options **ret_options);
/* Likewise without the checks, for calls that open no client and may need no appliance.
 * Messages begin with `call`. */
int xm_client_settings_load(const char *call, const char *const settings[],
			    struct xm_client_settings *ret,
			    struct xm_options **ret_options);

#endif
