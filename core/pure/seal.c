/* SPDX-License-Identifier: BSD-3-Clause */
/* The seal that leaves bytes as they are; see seal.h. */
#include "core/pure/seal.h"

#include <string.h>

static void plain_seal(struct xm_seal *seal, const struct xm_seal_page *at,
		       uint8_t *bytes, size_t size,
		       uint8_t ret_tag[XM_SEAL_TAG_SIZE])
{
	(void)seal;
	(void)at;
	(void)bytes;
	(void)size;
	memset(ret_tag, 0, XM_SEAL_TAG_SIZE);
}

static int plain_open(struct xm_seal *seal, const struct xm_seal_page *at,
		      uint8_t *bytes, size_t size,
		      const uint8_t tag[XM_SEAL_TAG_SIZE])
{
	(void)seal;
	(void)at;
	(void)bytes;
	(void)size;
	(void)tag;
	return 0;
}

const struct xm_seal_ops xm_seal_plain = {
	.name = "plain",
	.plain = true,
	.seal = plain_seal,
	.open = plain_open,
};
