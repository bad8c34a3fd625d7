/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Roots as texts: "extmem1-root-", the region's id and the sequence of its trees (trees.h),
 * both in base 16. It is no secret: it says how new a region is, and opens nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/client/client.h"
#include "core/client/error.h"
#include "core/client/trees.h"

#define CALL "extmem_region_root"
#define PREFIX "extmem1-root-"

int extmem_region_root(extmem_region *region, char ret_root[EXTMEM_ROOT_SIZE])
{
	char *at = ret_root + sizeof(PREFIX) - 1;
	int rc = xm_region_usable(region, CALL);
	uint64_t root = 0;

	if (rc != 0)
		return rc;
	os_mutex_take(&region->client->regions.links);
	if (region->trees != NULL)
		root = region->trees->root;
	else
		rc = -EINVAL;
	os_mutex_give(&region->client->regions.links);
	if (rc != 0)
		return xm_fail(rc, CALL ": region %s is not sealed and durable",
			       region->name);
	memcpy(ret_root, PREFIX, sizeof(PREFIX));
	for (unsigned i = 0; i < XM_REGION_ID_SIZE; i++)
		at += sprintf(at, "%02x", region->id.bytes[i]);
	sprintf(at, "-%016llx", (unsigned long long)root);
	return 0;
}

/* So many digits of base 16. False: there are not. */
static bool number_read(const char **text, unsigned digits, uint64_t *ret)
{
	static const char all[] = "0123456789abcdef";

	*ret = 0;
	for (; digits > 0; digits--, (*text)++) {
		const char *digit = **text == '\0' ? NULL : strchr(all, **text);

		if (digit == NULL)
			return false;
		*ret = *ret << 4 | (uint64_t)(digit - all);
	}
	return true;
}

bool xm_root_read(const char *text, struct xm_region_id *ret_id, uint64_t *ret)
{
	uint64_t byte;

	if (strncmp(text, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	text += sizeof(PREFIX) - 1;
	for (unsigned i = 0; i < XM_REGION_ID_SIZE; i++) {
		if (!number_read(&text, 2, &byte))
			return false;
		ret_id->bytes[i] = (uint8_t)byte;
	}
	return *text++ == '-' && number_read(&text, 16, ret) && *text == '\0';
}
