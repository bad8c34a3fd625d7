/* SPDX-License-Identifier: BSD-3-Clause */
/* See route.h. */
#include "gateway/route.h"

#include <string.h>

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

/* "*" stands for one part of a path. */
static const struct path {
	const char *pattern;
	enum gateway_thing thing;
	unsigned methods;
	enum gateway_right right;
	bool waits;
	const char *allowed;
} paths[] = {
	{ "/", GATEWAY_PAGE, GATEWAY_GET, GATEWAY_FREE, false, "GET, HEAD" },
	{ "/page.js", GATEWAY_SCRIPT, GATEWAY_GET, GATEWAY_FREE, false, "GET, HEAD" },
	{ "/page.css", GATEWAY_STYLE, GATEWAY_GET, GATEWAY_FREE, false, "GET, HEAD" },
	{ "/healthz", GATEWAY_HEALTH, GATEWAY_GET, GATEWAY_FREE, false, "GET, HEAD" },
	{ "/readyz", GATEWAY_READY, GATEWAY_GET, GATEWAY_FREE, false, "GET, HEAD" },
	{ "/metrics", GATEWAY_METRICS, GATEWAY_GET, GATEWAY_READS, false, "GET, HEAD" },
	{ "/v1", GATEWAY_ROOT, GATEWAY_GET, GATEWAY_READS, false, "GET, HEAD" },
	{ "/v1/openapi.json", GATEWAY_OPENAPI, GATEWAY_GET, GATEWAY_FREE, false,
	  "GET, HEAD" },
	{ "/v1/appliances", GATEWAY_APPLIANCES, GATEWAY_GET, GATEWAY_READS, false,
	  "GET, HEAD" },
	{ "/v1/appliances/*", GATEWAY_APPLIANCE, GATEWAY_GET, GATEWAY_READS, false,
	  "GET, HEAD" },
	{ "/v1/appliances/*/regions", GATEWAY_EXTENTS, GATEWAY_GET, GATEWAY_READS,
	  false, "GET, HEAD" },
	{ "/v1/appliances/*/drain", GATEWAY_DRAIN, GATEWAY_PUT | GATEWAY_DELETE,
	  GATEWAY_ACTS, true, "PUT, DELETE" },
	{ "/v1/appliances/*/pool", GATEWAY_POOL, GATEWAY_PUT, GATEWAY_ACTS, true, "PUT" },
	{ "/v1/regions", GATEWAY_REGIONS, GATEWAY_GET, GATEWAY_READS, false,
	  "GET, HEAD, POST" },
	{ "/v1/regions", GATEWAY_REGIONS, GATEWAY_POST, GATEWAY_ACTS, true,
	  "GET, HEAD, POST" },
	{ "/v1/regions/free", GATEWAY_FREES, GATEWAY_POST, GATEWAY_ACTS, true, "POST" },
	{ "/v1/clients", GATEWAY_CLIENTS, GATEWAY_GET, GATEWAY_READS, false,
	  "GET, HEAD" },
	{ "/v1/history", GATEWAY_HISTORY, GATEWAY_GET, GATEWAY_READS, false,
	  "GET, HEAD" },
	{ "/v1/strategies", GATEWAY_STRATEGIES, GATEWAY_GET, GATEWAY_READS, true,
	  "GET, HEAD" },
	{ "/v1/strategies/check", GATEWAY_CHECK, GATEWAY_POST, GATEWAY_READS, true,
	  "POST" },
};

static unsigned method_of(const char *name)
{
	static const struct {
		const char *name;
		enum gateway_method method;
	} methods[] = {
		{ "GET", GATEWAY_GET },	  { "HEAD", GATEWAY_GET },
		{ "PUT", GATEWAY_PUT },	  { "POST", GATEWAY_POST },
		{ "DELETE", GATEWAY_DELETE },
	};

	for (size_t i = 0; i < COUNT(methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return 0;
}

static bool matches(const char *pattern, const char *path,
		    struct gateway_route *ret)
{
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '*') {
			if (*path++ != *pattern)
				return false;
			continue;
		}
		ret->id = path;
		ret->id_length = strcspn(path, "/");
		path += ret->id_length;
		if (ret->id_length == 0)
			return false;
	}
	return *path == '\0';
}

int gateway_route(const char *method, const char *path, struct gateway_route *ret,
		  const char **ret_allowed)
{
	unsigned m = method_of(method);
	int status = 404;

	for (size_t i = 0; i < COUNT(paths); i++) {
		struct gateway_route route = {
			.thing = paths[i].thing,
			.method = (enum gateway_method)m,
			.right = paths[i].right,
			.body = m == GATEWAY_POST || m == GATEWAY_PUT,
			.waits = paths[i].waits,
		};

		if (!matches(paths[i].pattern, path, &route))
			continue;
		if (m == 0 || (paths[i].methods & m) == 0) {
			*ret_allowed = paths[i].allowed;
			status = m == 0 ? 501 : 405;
			continue;
		}
		*ret = route;
		return 200;
	}
	return status;
}
