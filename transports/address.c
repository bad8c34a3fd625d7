/* SPDX-License-Identifier: BSD-3-Clause */
/* See address.h. Floor: skin. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transports/address.h"

const char *xm_address_rest(const char *address)
{
	const char *rest = strstr(address, "://");

	return rest == NULL || strlen(address) >= XM_ADDRESS_SIZE ? NULL
							       : rest + 3;
}

static int resolve_unix(const char *name, struct xm_address *ret)
{
	static const char prefix[] = "extmem/";
	size_t size = strlen(name);

	if (size == 0 || strchr(name, '/') != NULL ||
	    size + sizeof(prefix) > sizeof(ret->u.un.sun_path))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	ret->u.un.sun_family = AF_UNIX;
	memcpy(ret->u.un.sun_path + 1, prefix, sizeof(prefix) - 1);
	memcpy(ret->u.un.sun_path + sizeof(prefix), name, size);
	ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				sizeof(prefix) + size);
	return 0;
}

/* Cuts "host:port", "[host]:port" into two texts of XM_ADDRESS_SIZE. */
static int split_host(const char *rest, char *host, char *port)
{
	const char *colon;
	const char *end;
	size_t size;

	if (*rest == '[') {
		rest++;
		end = strchr(rest, ']');
		if (end == NULL || end[1] != ':')
			return -EINVAL;
		colon = end + 1;
	} else {
		colon = strrchr(rest, ':');
		if (colon == NULL || memchr(rest, ':', (size_t)(colon - rest)))
			return -EINVAL;
		end = colon;
	}
	size = (size_t)(end - rest);
	if (size == 0)
		return -EINVAL;
	memcpy(host, rest, size);
	host[size] = '\0';
	size = strlen(colon + 1);
	if (size == 0 || size > 5 ||
	    strspn(colon + 1, "0123456789") != size || atoi(colon + 1) > 65535)
		return -EINVAL;
	memcpy(port, colon + 1, size + 1);
	return 0;
}

bool xm_address_is_local(const struct xm_address *a, bool passive)
{
	static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0,    0,   0,
					  0, 0, 0xff, 0xff, 127 };

	switch (a->u.any.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(a->u.in.sin_addr.s_addr) >> 24 == 127 ||
		       (!passive && a->u.in.sin_addr.s_addr == 0);
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr) ||
		       (!passive &&
			IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr)) ||
		       memcmp(&a->u.in6.sin6_addr, mapped, sizeof(mapped)) == 0;
	default:
		return false;
	}
}

void xm_address_print(const struct sockaddr *from, char *text, size_t size)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
	char host[INET6_ADDRSTRLEN] = "?";

	if (from->sa_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (from->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		snprintf(text, size, "a process of this machine");
	}
}

int xm_address_failure(int failure)
{
	switch (failure) {
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EHOSTUNREACH; /* the resolver does not answer */
	case EAI_SYSTEM:
		return errno > 0 ? -errno : -EIO;
	default:
		return -EADDRNOTAVAIL;
	}
}

int xm_address_resolve(const char *address, bool passive,
		       struct xm_address ret[XM_ADDRESSES_MAX],
		       uint32_t *ret_count)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *rest = xm_address_rest(address);
	char host[XM_ADDRESS_SIZE], port[XM_ADDRESS_SIZE];
	struct addrinfo *found, *at;
	uint32_t count = 0;
	int rc;

	if (rest == NULL)
		return -EINVAL;
	if (strncmp(address, "ofi+shm://", 10) == 0) {
		*ret_count = 1;
		return resolve_unix(rest, ret);
	}
	rc = split_host(rest, host, port);
	if (rc != 0)
		return rc;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG |
				 (passive ? AI_PASSIVE : 0);
		rc = getaddrinfo(host, port, &hints, &found);
	}
	if (rc != 0)
		return xm_address_failure(rc);
	for (at = found; at != NULL && count < XM_ADDRESSES_MAX; at = at->ai_next) {
		if (at->ai_addrlen > sizeof(ret->u))
			continue;
		memset(&ret[count], 0, sizeof(ret[count]));
		memcpy(&ret[count].u, at->ai_addr, at->ai_addrlen);
		ret[count++].size = at->ai_addrlen;
	}
	freeaddrinfo(found);
	*ret_count = count;
	return count > 0 ? 0 : -EADDRNOTAVAIL;
}
