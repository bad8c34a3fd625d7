/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is which tenant, and what a tenant may have; see tenants.h.
 *
 * Requests are paid for in time (GCRA, ITU-T I.371): each costs a second divided by the
 * quota, and up to a second may be owed. So a tenant of 100 requests a second may ask
 * 100 at once, and then one every 10 ms.
 *
 * Floor: ground.
 */
#include <errno.h>
#include <string.h>

#include "appliance/tenants.h"
#include "core/pure/plant.h"

#define BURST_NS XM_SECOND

static size_t length_of(const char *text, size_t most)
{
	size_t length = 0;

	while (length < most && text[length] != '\0')
		length++;
	return length;
}

/* What stands in a log and in lists: no blanks, no controls. */
static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return length > 0;
}

void xm_tenants_begin(struct xm_tenants *t)
{
	memset(t, 0, sizeof(*t));
}

void xm_tenants_everybody(struct xm_tenants *t)
{
	uint32_t other;

	xm_tenants_begin(t);
	XM_ASSERT(xm_tenants_add(t, "everybody") == 0);
	XM_ASSERT(xm_tenants_match(t, 0, "*", &other) == 0);
	t->list[0].admin = true;
}

uint32_t xm_tenants_named(const struct xm_tenants *t, const char *name)
{
	size_t size = length_of(name, XM_TENANT_NAME_SIZE - 1) + 1;

	for (uint32_t i = 0; i < t->count; i++)
		if (memcmp(t->list[i].name, name, size) == 0)
			return i;
	return XM_TENANT_NONE;
}

int xm_tenants_add(struct xm_tenants *t, const char *name)
{
	size_t length = length_of(name, XM_TENANT_NAME_SIZE);
	struct xm_tenant *tenant;

	if (length == XM_TENANT_NAME_SIZE || !is_plain(name, length))
		return -EINVAL;
	if (xm_tenants_named(t, name) != XM_TENANT_NONE)
		return -EEXIST;
	if (t->count == XM_TENANTS_MAX)
		return -ENOSPC;
	tenant = &t->list[t->count];
	memset(tenant, 0, sizeof(*tenant));
	memcpy(tenant->name, name, length);
	tenant->bytes = tenant->clients = tenant->extents = XM_TENANT_ALL;
	tenant->requests = XM_TENANT_ALL;
	return (int)t->count++;
}

int xm_tenants_match(struct xm_tenants *t, uint32_t tenant, const char *pattern,
		     uint32_t *ret_other)
{
	size_t length = length_of(pattern, XM_IDENTITY_SIZE);
	struct xm_tenant_pattern made = { .tenant = tenant };

	XM_ASSERT(tenant < t->count);
	if (length == XM_IDENTITY_SIZE || !is_plain(pattern, length))
		return -EINVAL;
	made.begins = pattern[length - 1] == '*';
	length -= made.begins;
	memcpy(made.text, pattern, length);
	for (size_t i = 0; i < length; i++)
		if (made.text[i] == '*')
			return -EINVAL;
	for (uint32_t i = 0; i < t->patterns_count; i++) {
		const struct xm_tenant_pattern *p = &t->patterns[i];

		if (p->begins == made.begins &&
		    memcmp(p->text, made.text, sizeof(made.text)) == 0) {
			*ret_other = p->tenant;
			return -EEXIST;
		}
	}
	if (t->patterns_count == XM_TENANT_PATTERNS_MAX)
		return -ENOSPC;
	t->patterns[t->patterns_count++] = made;
	return 0;
}

uint32_t xm_tenants_of(const struct xm_tenants *t, const char *identity)
{
	size_t size = length_of(identity, XM_IDENTITY_SIZE - 1);
	uint32_t found = XM_TENANT_NONE;
	size_t best = 0; /* one more than the letters that decided */

	for (uint32_t i = 0; i < t->patterns_count; i++) {
		const struct xm_tenant_pattern *p = &t->patterns[i];
		size_t length = length_of(p->text, XM_IDENTITY_SIZE);

		if (length > size || memcmp(p->text, identity, length) != 0)
			continue;
		if (!p->begins && length == size)
			return p->tenant;
		if (p->begins && length + 1 > best) {
			best = length + 1;
			found = p->tenant;
		}
	}
	return found;
}

/* --- the questions --------------------------------------------------------- */

static void says_no_tenant(struct xm_words *words)
{
	if (words != NULL)
		xm_words_add(words, "your identity belongs to no tenant here: whoever"
			     " runs this appliance adds it to its tenants file");
}

/* "tenant lab has 3 of 3 clients: " */
static void says_full(struct xm_words *words, const struct xm_tenant *tenant,
		      uint64_t used, uint64_t allowed, const char *what)
{
	if (words == NULL)
		return;
	xm_words_add(words, "tenant ");
	xm_words_add(words, tenant->name);
	xm_words_add(words, " has ");
	xm_words_number(words, used);
	xm_words_add(words, ", and may have ");
	xm_words_number(words, allowed);
	xm_words_add(words, " ");
	xm_words_add(words, what);
}

bool xm_tenant_denies_stream(const struct xm_tenants *t, uint32_t tenant,
			     const struct xm_tenant_use *use)
{
	uint64_t clients = tenant == XM_TENANT_NONE ? 0 : t->list[tenant].clients;

	return clients < UINT32_MAX &&
	       use->streams >= XM_TENANT_STREAMS_EACH * clients +
				       XM_TENANT_STREAMS_SPARE;
}

bool xm_tenant_denies_client(const struct xm_tenants *t, uint32_t tenant,
			     const struct xm_tenant_use *use, struct xm_words *words)
{
	if (tenant == XM_TENANT_NONE) {
		says_no_tenant(words);
		return true;
	}
	if (use->clients < t->list[tenant].clients)
		return false;
	says_full(words, &t->list[tenant], use->clients, t->list[tenant].clients,
		  "clients: close one, or ask for more");
	return true;
}

bool xm_tenant_denies_extent(const struct xm_tenants *t, uint32_t tenant,
			     const struct xm_tenant_use *use, struct xm_words *words)
{
	if (tenant == XM_TENANT_NONE) {
		says_no_tenant(words);
		return true;
	}
	if (use->extents < t->list[tenant].extents)
		return false;
	says_full(words, &t->list[tenant], use->extents, t->list[tenant].extents,
		  "extents: give some back, or take larger ones");
	return true;
}

uint64_t xm_tenant_left(const struct xm_tenants *t, uint32_t tenant,
			const struct xm_tenant_use *use)
{
	uint64_t bytes = tenant == XM_TENANT_NONE ? 0 : t->list[tenant].bytes;

	return bytes - xm_min(bytes, use->bytes);
}

bool xm_tenant_denies_bytes(const struct xm_tenants *t, uint32_t tenant,
			    const struct xm_tenant_use *use, uint64_t size,
			    struct xm_words *words)
{
	if (tenant == XM_TENANT_NONE) {
		says_no_tenant(words);
		return true;
	}
	if (size <= xm_tenant_left(t, tenant, use))
		return false;
	if (words == NULL)
		return true;
	xm_words_add(words, "tenant ");
	xm_words_add(words, t->list[tenant].name);
	xm_words_add(words, " has ");
	xm_words_bytes(words, use->bytes);
	if (use->parting > 0) {
		xm_words_add(words, " (of it on its way back ");
		xm_words_bytes(words, use->parting);
		xm_words_add(words, ")");
	}
	xm_words_add(words, ", may have ");
	xm_words_bytes(words, t->list[tenant].bytes);
	xm_words_add(words, ", and asked ");
	xm_words_bytes(words, size);
	xm_words_add(words, " more: give some back, or ask for a larger quota");
	return true;
}

bool xm_tenant_denies_request(const struct xm_tenants *t, uint32_t tenant,
			      struct xm_tenant_use *use, uint64_t now_ns,
			      struct xm_words *words)
{
	uint64_t most = tenant == XM_TENANT_NONE ? XM_TENANT_ALL
						 : t->list[tenant].requests;
	uint64_t from_ns = xm_max(use->requests_ns, now_ns);

	if (most == XM_TENANT_ALL)
		return false;
	if (most > 0 && from_ns + XM_SECOND / most <= now_ns + BURST_NS) {
		use->requests_ns = from_ns + XM_SECOND / most;
		return false;
	}
	if (words == NULL)
		return true;
	xm_words_add(words, "tenant ");
	xm_words_add(words, t->list[tenant].name);
	if (most == 0) {
		xm_words_add(words, " may have no requests here: whoever runs this"
				    " appliance says so in its tenants file");
		return true;
	}
	xm_words_add(words, " has asked as often as it may, ");
	xm_words_number(words, most);
	xm_words_add(words, " requests a second: try again in a second");
	return true;
}

bool xm_tenant_is_admin(const struct xm_tenants *t, uint32_t tenant)
{
	return tenant != XM_TENANT_NONE && t->list[tenant].admin;
}
