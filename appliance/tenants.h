/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tenants: who shares an appliance, and how much of it each may have.
 *
 * A tenant is a name, patterns of identities (channel.h: what a stream has proved about
 * who is at its other end) and a quota. The names that clients give themselves count for
 * nothing. tenants_file.c reads all this from a file; the service machine asks.
 *
 *	pattern	"alice" is that identity, "lab-*" every one that begins so; "*" is
 *		everybody's. The whole name goes before a beginning, a longer beginning
 *		before a shorter one. Two tenants have no pattern in common.
 *	quota	bytes, clients, extents at once, and requests a second. What a tenant
 *		gave back counts until it is zeroed, so that nobody holds more than his
 *		quota by giving back and taking again. Who reads shared memory has a key
 *		and a record of each extent of it: there may be as many of both together as
 *		extents, or one tenant's readers would keep others' out.
 *
 * The rule over quota: what would go beyond it is refused in words, with what is used
 * and what is allowed; nothing that is there is taken away. So a quota that is lowered
 * below what is used evicts nobody and refuses more. The same holds for an identity
 * that is no tenant's any more.
 *
 * Without a file all are of one tenant, which may have everything and sees all.
 *
 * Decides alone: no file, no clock. Floor: ground.
 */
#ifndef XM_TENANTS_H
#define XM_TENANTS_H

#include "common/base.h"
#include "common/words.h"
#include "core/pure/channel.h"

#define XM_TENANTS_MAX 64
#define XM_TENANT_PATTERNS_MAX 256 /* of all tenants */
#define XM_TENANT_NAME_SIZE 32	   /* with its NUL */
#define XM_TENANT_NONE XM_TENANTS_MAX /* the index of "no tenant" */
#define XM_TENANT_ALL UINT64_MAX      /* a quota: no limit */
#define XM_TENANT_REQUESTS_MAX UINT64_C(1000000) /* a second */
/* Streams at once that a tenant may have, for each client and besides; so many may be
 * there of no tenant. */
#define XM_TENANT_STREAMS_EACH 2
#define XM_TENANT_STREAMS_SPARE 8

struct xm_tenant {
	char name[XM_TENANT_NAME_SIZE];
	bool admin; /* sees all, and may have the appliance drain */
	uint64_t bytes, clients, extents;
	uint64_t requests; /* a second; a second's worth may come at once */
};

struct xm_tenant_pattern {
	char text[XM_IDENTITY_SIZE]; /* without the asterisk */
	bool begins;		     /* there was one */
	uint32_t tenant;
};

struct xm_tenants {
	uint32_t count, patterns_count;
	struct xm_tenant list[XM_TENANTS_MAX];
	struct xm_tenant_pattern patterns[XM_TENANT_PATTERNS_MAX];
};

/* What a tenant has at an appliance. */
struct xm_tenant_use {
	uint64_t bytes;	  /* its own, and on their way back */
	uint64_t parting; /* of these, on their way back */
	uint32_t clients, extents, streams;
	uint32_t readings; /* what its clients read of others' memory */
	uint64_t requests_ns; /* its requests are paid for until then */
	uint64_t messages, refused, expired, lapsed;
};

/* The policy without a file. */
void xm_tenants_everybody(struct xm_tenants *);
/* A policy to which tenants are added. */
void xm_tenants_begin(struct xm_tenants *);
/* A new tenant without limits and patterns. Its index; -EINVAL no name for a tenant
 * (printable ASCII without blanks, XM_TENANT_NAME_SIZE), -EEXIST, -ENOSPC. */
int xm_tenants_add(struct xm_tenants *, const char *name);
/* A pattern for the tenant. -EINVAL no pattern, -ENOSPC; -EEXIST with the tenant that
 * has it already in *ret_other. */
int xm_tenants_match(struct xm_tenants *, uint32_t tenant, const char *pattern,
		     uint32_t *ret_other);
/* The tenant of this name, or XM_TENANT_NONE. */
uint32_t xm_tenants_named(const struct xm_tenants *, const char *name);
/* The tenant of this identity, or XM_TENANT_NONE. */
uint32_t xm_tenants_of(const struct xm_tenants *, const char *identity);

/* The questions. False: it may. True: it may not, and `words` has the sentence, if it is
 * not NULL. */
bool xm_tenant_denies_stream(const struct xm_tenants *, uint32_t tenant,
			     const struct xm_tenant_use *);
bool xm_tenant_denies_client(const struct xm_tenants *, uint32_t tenant,
			     const struct xm_tenant_use *, struct xm_words *words);
bool xm_tenant_denies_extent(const struct xm_tenants *, uint32_t tenant,
			     const struct xm_tenant_use *, struct xm_words *words);
bool xm_tenant_denies_bytes(const struct xm_tenants *, uint32_t tenant,
			    const struct xm_tenant_use *, uint64_t size,
			    struct xm_words *words);
/* One more request. False: it is paid for. */
bool xm_tenant_denies_request(const struct xm_tenants *, uint32_t tenant,
			      struct xm_tenant_use *, uint64_t now_ns,
			      struct xm_words *words);

bool xm_tenant_is_admin(const struct xm_tenants *, uint32_t tenant);
/* Bytes that it may still take. */
uint64_t xm_tenant_left(const struct xm_tenants *, uint32_t tenant,
			const struct xm_tenant_use *);

#endif
