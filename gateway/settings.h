/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What extmem-gateway can be told: the one table behind its flags, EXTMEM_GATEWAY_*
 * variables, configuration file, --help and manual page.
 */
#ifndef EXTMEM_GATEWAY_SETTINGS_H
#define EXTMEM_GATEWAY_SETTINGS_H

#include "common/options.h"

struct gateway_settings {
	const char *listen;
	struct xm_option_list appliance;
	const char *config;
	const char *auth;
	const char *token_file, *read_token_file;
	bool read_without_token;
	struct xm_option_list server_name;
	const char *tls_certificate, *tls_key;
	const char *client_config;
	const char *log_level; /* as xm_log_rules_read() reads it */
	uint64_t interval, request_timeout; /* ns */
	uint64_t connections_max;
	uint64_t ready_fd; /* with xm_options_given() */
	bool check_config;
};

extern const struct xm_option_table gateway_settings_table;

#endif
