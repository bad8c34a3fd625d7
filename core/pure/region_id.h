/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a region is called by machines: 16 bytes, drawn at random by the client
 * that makes it, and the same at every appliance that holds a part of it. Its
 * name is for people and need not be unique.
 *
 * All zeros: it has none.
 *
 * Floor: ground.
 */
#ifndef XM_REGION_ID_H
#define XM_REGION_ID_H

#include "common/base.h"

#define XM_REGION_ID_SIZE 16

struct xm_region_id {
	uint8_t bytes[XM_REGION_ID_SIZE];
};

#endif
