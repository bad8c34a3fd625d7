/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a request asks for, from its method and its path. Pure.
 */
#ifndef EXTMEM_GATEWAY_ROUTE_H
#define EXTMEM_GATEWAY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

enum gateway_thing {
	GATEWAY_PAGE,
	GATEWAY_SCRIPT,
	GATEWAY_STYLE,
	GATEWAY_HEALTH,
	GATEWAY_READY,
	GATEWAY_METRICS,
	GATEWAY_ROOT,
	GATEWAY_OPENAPI,
	GATEWAY_APPLIANCES,
	GATEWAY_APPLIANCE,
	GATEWAY_EXTENTS, /* of one appliance */
	GATEWAY_REGIONS, /* the extents of all */
	GATEWAY_CLIENTS,
	GATEWAY_HISTORY,
	GATEWAY_STRATEGIES,
	GATEWAY_CHECK,
	GATEWAY_FREES, /* a region, by its token */
	GATEWAY_DRAIN,
	GATEWAY_POOL, /* how large one appliance's is to be */
};

enum gateway_method {
	GATEWAY_GET = 1, /* and HEAD */
	GATEWAY_PUT = 2,
	GATEWAY_POST = 4,
	GATEWAY_DELETE = 8,
};

enum gateway_right {
	GATEWAY_FREE, /* for everybody: no figures, no names */
	GATEWAY_READS,
	GATEWAY_ACTS,
};

struct gateway_route {
	enum gateway_thing thing;
	enum gateway_method method;
	enum gateway_right right;
	bool body;	   /* it has one */
	bool waits;	   /* it asks an appliance, or reads a file */
	const char *id;	   /* of an appliance, in the path, or NULL */
	size_t id_length;
};

/* 200; 404; 405, with the methods that this path has in *ret_allowed; 501: no method of
 * ours. */
int gateway_route(const char *method, const char *path, struct gateway_route *ret,
		  const char **ret_allowed);

#endif
