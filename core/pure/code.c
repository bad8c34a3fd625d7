/* SPDX-License-Identifier: BSD-3-Clause */
/* The code whose parities are copies; see code.h. */
#include "core/pure/code.h"

#include <errno.h>
#include <string.h>

static void plain_encode(const struct xm_code *code,
			 const struct xm_code_shape *shape,
			 uint8_t *const *fragments, size_t size)
{
	(void)code;
	XM_ASSERT(shape->columns == 1);
	for (uint32_t i = 1; i <= shape->parities; i++)
		memcpy(fragments[i], fragments[0], size);
}

static void plain_update(const struct xm_code *code,
			 const struct xm_code_shape *shape, uint32_t column,
			 const uint8_t *old, const uint8_t *now,
			 uint8_t *const *parities, size_t size)
{
	(void)code;
	(void)old;
	XM_ASSERT(shape->columns == 1 && column == 0);
	for (uint32_t i = 0; i < shape->parities; i++)
		memcpy(parities[i], now, size);
}

static int plain_decode(const struct xm_code *code,
			const struct xm_code_shape *shape, uint32_t lost,
			uint8_t *const *fragments, size_t size)
{
	uint32_t left = 0;

	(void)code;
	XM_ASSERT(shape->columns == 1);
	while (left <= shape->parities && (lost & 1u << left) != 0)
		left++;
	if (left > shape->parities)
		return -ENODATA;
	for (uint32_t i = 0; i <= shape->parities; i++) {
		if ((lost & 1u << i) != 0)
			memcpy(fragments[i], fragments[left], size);
	}
	return 0;
}

const struct xm_code_ops xm_code_plain = {
	.name = "plain",
	.plain = true,
	.encode = plain_encode,
	.update = plain_update,
	.decode = plain_decode,
};
