/* SPDX-License-Identifier: BSD-3-Clause */
/* See settings.h. */
#include "gateway/settings.h"

#include <stddef.h>

#define AT(FIELD) .destination = offsetof(struct gateway_settings, FIELD)

static const struct xm_option options[] = {
	{ .name = "listen", .kind = XM_OPTION_TEXT, .letter = 'l',
	  .unit = "HOST:PORT", .value = "127.0.0.1:7480", AT(listen),
	  .help = "Where to listen. Port 0 takes any free port, which is "
		  "printed. Addresses that other machines reach need "
		  "--tls-certificate." },
	{ .name = "appliance", .kind = XM_OPTION_LIST, .letter = 'a',
	  .unit = "ADDR", AT(appliance),
	  .help = "An appliance to show, and on which to act; 64 at most." },
	{ .name = "config", .kind = XM_OPTION_TEXT, .letter = 'c',
	  .unit = "FILE", AT(config),
	  .help = "Read options from this file: lines of NAME = VALUE. "
		  "Flags and environment variables go before the file." },
	{ .name = "auth", .kind = XM_OPTION_TEXT, .unit = "FILE", AT(auth),
	  .help = "Credential file with which appliances are asked, of "
		  "`extmem auth init`. Default: that of EXTMEM_AUTH." },
	{ .name = "token_file", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  AT(token_file),
	  .help = "Tokens with which one may act and read, one a line, of 16 "
		  "to 256 characters. Nobody but its owner, who is the user "
		  "of this process or root, may have rights on the file. "
		  "Without it, nobody may act." },
	{ .name = "read_token_file", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  AT(read_token_file),
	  .help = "The same, of tokens with which one may read." },
	{ .name = "read_without_token", .kind = XM_OPTION_FLAG,
	  AT(read_without_token),
	  .help = "Every process of this machine may read. Only if --listen "
		  "is an address of the loopback interface." },
	{ .name = "server_name", .kind = XM_OPTION_LIST, .unit = "NAME",
	  AT(server_name),
	  .help = "A name of this server, besides localhost, that requests "
		  "may have in the header Host; behind a reverse proxy, its "
		  "name." },
	{ .name = "tls_certificate", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  AT(tls_certificate),
	  .help = "Serve https with this certificate, in PEM, with those "
		  "between it and the root." },
	{ .name = "tls_key", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  AT(tls_key),
	  .help = "The key of --tls-certificate, in PEM. Its rights are as "
		  "those of --token-file." },
	{ .name = "client_config", .kind = XM_OPTION_TEXT, .unit = "FILE",
	  AT(client_config),
	  .help = "A file of settings of clients, extmem(5), for its stored "
		  "strategies. Default: that of EXTMEM_CONFIG." },
	{ .name = "interval", .kind = XM_OPTION_DURATION, .value = "2s",
	  .min = 100 * XM_MS, .max = 3600 * XM_SECOND, AT(interval),
	  .help = "Time between two looks at appliances and programs." },
	{ .name = "request_timeout", .kind = XM_OPTION_DURATION,
	  .value = "30s", .min = 100 * XM_MS, .max = 3600 * XM_SECOND,
	  AT(request_timeout),
	  .help = "How long a request may take, from its first byte to the "
		  "last of the answer. Time in which an appliance is waited "
		  "for does not count." },
	{ .name = "connections_max", .kind = XM_OPTION_COUNT, .value = "256",
	  .min = 1, .max = 16384, AT(connections_max),
	  .help = "Connections at the same time. One more ends that which "
		  "has waited longest." },
	{ .name = "log_level", .kind = XM_OPTION_TEXT, .value = "info",
	  .unit = "LEVELS", AT(log_level),
	  .help = "The least important messages that are written to the "
		  "log: error, warning, info or debug; then, if some parts "
		  "shall differ, those: info,http=debug. Parts are gateway, "
		  "http and appliances." },
	{ .name = "ready_fd", .kind = XM_OPTION_COUNT, .max = 1 << 20,
	  .unit = "N", AT(ready_fd),
	  .help = "When requests are answered, write the address as one "
		  "line to this descriptor, and close it." },
	{ .name = "check_config", .kind = XM_OPTION_FLAG, AT(check_config),
	  .help = "Check the options, print them with their origins, and "
		  "exit." },
};

const struct xm_option_table gateway_settings_table = {
	.program = "extmem-gateway",
	.prefix = "EXTMEM_GATEWAY",
	.usage = "[OPTION]...",
	.about = "Serves metrics, a page and an interface by HTTP for "
		 "appliances, and for the programs of this machine that run "
		 "with external memory.",
	.options = options,
	.count = XM_COUNT(options),
};
