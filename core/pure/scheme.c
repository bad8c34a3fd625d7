/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme of an address; see scheme.h. */
#include "core/pure/scheme.h"

bool xm_scheme_is(const char *address, const char *scheme)
{
	while (*scheme != '\0' && *address == *scheme) {
		address++;
		scheme++;
	}
	return *scheme == '\0' && *address == ':';
}

const struct xm_transport_ops *xm_scheme_transport(const char *address)
{
	for (unsigned i = 0; xm_transports[i] != NULL; i++) {
		if (xm_scheme_is(address, xm_transports[i]->scheme))
			return xm_transports[i];
	}
	return NULL;
}

const struct xm_channel_ops *xm_scheme_channel(const char *address)
{
	for (unsigned i = 0; xm_channels[i] != NULL; i++) {
		if (xm_scheme_is(address, xm_channels[i]->scheme))
			return xm_channels[i];
	}
	return NULL;
}
