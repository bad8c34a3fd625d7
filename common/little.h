/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers as bytes, little-endian: what lies in remote memory, on disks and in labels is the
 * same on every machine. 0x0102 in 4 bytes is 02 01 00 00.
 */
#ifndef XM_LITTLE_H
#define XM_LITTLE_H

#include <stdint.h>

static inline void xm_little_put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static inline uint64_t xm_little_get(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

#endif
