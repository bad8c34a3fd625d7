/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of a view as bytes, and back; see ledger.h. */
#include "core/pure/ledger.h"

#include <string.h>

#include "common/little.h"

#define FORMAT 1
#define AT_CRC 12
#define AT_LEFT 64
#define AT_INCARNATIONS (AT_LEFT + 8 * XM_APPLIANCES_MAX)

static const char magic[8] = { 'x', 'm', 'l', 'e', 'd', 'g', 'e', 'r' };

/* CRC32C (Castagnoli), a bit at a time: a record is written a few times in a client's
 * life. */
static uint32_t crc32c(const uint8_t *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

void xm_ledger_encode(const struct xm_ledger *l, uint8_t ret[XM_LEDGER_SLOT])
{
	memset(ret, 0, XM_LEDGER_SLOT);
	memcpy(ret, magic, sizeof(magic));
	xm_little_put(ret + 8, FORMAT, 4);
	xm_little_put(ret + 16, l->record.version, 8);
	xm_little_put(ret + 24, l->record.number, 8);
	xm_little_put(ret + 32, l->record.in, 4);
	xm_little_put(ret + 36, l->record.next, 4);
	xm_little_put(ret + 40, l->record.proposed, 8);
	xm_little_put(ret + 48, l->client, 8);
	xm_little_put(ret + 56, l->appliances, 4);
	for (unsigned a = 0; a < XM_APPLIANCES_MAX; a++) {
		xm_little_put(ret + AT_LEFT + 8 * a, l->record.left_at[a], 8);
		xm_little_put(ret + AT_INCARNATIONS + 8 * a, l->incarnations[a], 8);
	}
	xm_little_put(ret + AT_CRC, crc32c(ret, XM_LEDGER_SLOT), 4);
}

static bool slot_decode(const uint8_t *slot, struct xm_ledger *ret)
{
	uint8_t bytes[XM_LEDGER_SLOT];

	memcpy(bytes, slot, sizeof(bytes));
	xm_little_put(bytes + AT_CRC, 0, 4);
	if (memcmp(slot, magic, sizeof(magic)) != 0 ||
	    xm_little_get(slot + 8, 4) != FORMAT ||
	    xm_little_get(slot + AT_CRC, 4) != crc32c(bytes, sizeof(bytes)))
		return false;
	ret->record.version = xm_little_get(slot + 16, 8);
	ret->record.number = xm_little_get(slot + 24, 8);
	ret->record.in = (uint32_t)xm_little_get(slot + 32, 4);
	ret->record.next = (uint32_t)xm_little_get(slot + 36, 4);
	ret->record.proposed = xm_little_get(slot + 40, 8);
	ret->client = xm_little_get(slot + 48, 8);
	ret->appliances = (uint32_t)xm_little_get(slot + 56, 4);
	for (unsigned a = 0; a < XM_APPLIANCES_MAX; a++) {
		ret->record.left_at[a] = xm_little_get(slot + AT_LEFT + 8 * a, 8);
		ret->incarnations[a] = xm_little_get(slot + AT_INCARNATIONS + 8 * a, 8);
	}
	return true;
}

bool xm_ledger_decode(const uint8_t bytes[XM_LEDGER_SIZE],
		      struct xm_ledger *ret)
{
	struct xm_ledger other;
	bool first = slot_decode(bytes, ret);
	bool second = slot_decode(bytes + XM_LEDGER_SLOT, &other);

	if (second && (!first || other.record.version > ret->record.version))
		*ret = other;
	return first || second;
}
