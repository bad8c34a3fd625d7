/* SPDX-License-Identifier: BSD-3-Clause */
/* The seal that leaves bytes as they are; see seal.h. */
#include "core/pure/seal.h"

static void plain_seal(struct xm_seal *seal, const struct xm_seal_page *at,
		       uint8_t *bytes, size_t size)
{
	(void)seal;
	(void)at;
	(void)bytes;
	(void)size;
}

static int plain_open(struct xm_seal *seal, const struct xm_seal_page *at,
		      uint8_t *bytes, size_t size)
{
	(void)seal;
	(void)at;
	(void)bytes;
	(void)size;
	return 0;
}

const struct xm_seal_ops xm_seal_plain = {
	.name = "plain",
	.plain = true,
	.seal = plain_seal,
	.open = plain_open,
};
