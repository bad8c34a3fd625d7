/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What extmemd can be told: the one table behind its flags, EXTMEMD_*
 * variables, configuration file, --help and manual page.
 *
 * Floor: skin.
 */
#ifndef XM_SETTINGS_H
#define XM_SETTINGS_H

#include "common/base.h"
#include "common/options.h"

enum xm_isolate { XM_ISOLATE_SHARED, XM_ISOLATE_TENANT };

struct xm_settings {
	const char *listen;
	uint64_t memory;
	uint64_t give_back; /* bytes; 0: no */
	const char *auth; /* path of a credential file, or "" */
	bool insecure_plaintext;
	const char *tenants; /* path of a tenants file, or "" */
	const char *store; /* path of the durable store's folder, or "" */
	const char *pool_file; /* path, or "": memory is memory */
	struct xm_option_list borrow; /* addresses; none: memory is our own */
	const char *borrow_auth, *borrow_strategy; /* or "" */
	const char *config;
	const char *name;
	const char *zone;
	const char *provider;
	uint64_t data_port;
	const char *advertise; /* numeric, or "" */
	const char *directory; /* etcd://..., or "" */
	uint64_t lease; /* ns */
	uint64_t handshake_timeout, drain_timeout;
	uint64_t clients_max, extents_max, extents_per_client, kept_percent;
	uint64_t ready_fd; /* with xm_options_given() */
	const char *log_level; /* as xm_log_rules_read() reads it */
	uint32_t polling;   /* enum xm_polling */
	uint32_t isolate;   /* enum xm_isolate */
	bool confine, huge_pages, check_config, print_limits;
};

extern const struct xm_option_table xm_settings_table;

/* What the table cannot see: what is missing, and what contradicts what. 0,
 * or -EINVAL and a sentence. */
int xm_settings_check(const struct xm_settings *, const struct xm_options *,
		      char *words, size_t words_size);
/* Likewise, once it is known that what is lent will be pinned by the `what` of this name. */
int xm_settings_check_pinned(const struct xm_settings *, const char *what,
			     const char *name, char *words, size_t words_size);

#endif
