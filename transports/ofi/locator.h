/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where an interface is, as its appliance's control process says it to clients: a line of
 * six words, "tcp 1.17 MSG 10.1.2.3 4711" (the version of libfabric is one of them, in two
 * numbers). An appliance need not be trusted with more than memory: a line that is not of
 * this form, of printable ASCII, is refused. Pure.
 *
 * Floor: skin of the transport.
 */
#ifndef XM_OFI_LOCATOR_H
#define XM_OFI_LOCATOR_H

#include "core/pure/transport.h"

#define OFI_LOCATOR_PROVIDER 64
#define OFI_LOCATOR_TYPE 8
#define OFI_LOCATOR_HOST 128
#define OFI_LOCATOR_SERVICE 16

struct ofi_locator {
	char provider[OFI_LOCATOR_PROVIDER]; /* all with their NUL */
	uint32_t major, minor;
	char type[OFI_LOCATOR_TYPE];
	char host[OFI_LOCATOR_HOST], service[OFI_LOCATOR_SERVICE];
};

/* False: it is no such line; *ret is left alone. */
bool ofi_locator_parse(const struct xm_locator *, struct ofi_locator *ret);

#endif
