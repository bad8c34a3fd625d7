/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses of control streams, as users write them.
 *
 * SCHEME://HOST:PORT is TCP: HOST is a name, an IPv4 address, or an IPv6
 * address in brackets.
 *
 * ofi+shm://NAME is the abstract unix socket "@extmem/NAME". Abstract, because
 * it leaves no file behind after a kill -9, and needs no directory that both
 * root's appliance and a user's client can reach; every process of the network
 * namespace sees it. Who may reach the memory is decided by the permissions of
 * the shared memory, not by this socket.
 *
 * Floor: skin.
 */
#ifndef XM_ADDRESS_H
#define XM_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base.h"

#define XM_ADDRESSES_MAX 8  /* of one name; more are ignored */
#define XM_ADDRESS_SIZE 300 /* bytes of text, with its NUL */

struct xm_address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* What follows "://". NULL: nothing does, or the text is too long. */
const char *xm_address_rest(const char *address);
/* Up to XM_ADDRESSES_MAX addresses for a text. A name is looked up by
 * getaddrinfo(), which may block for as long as the system's resolver does.
 * `passive`: to listen at. -EINVAL: malformed; -EADDRNOTAVAIL: no such host;
 * -EHOSTUNREACH: the resolver does not answer; -ENOMEM. */
int xm_address_resolve(const char *address, bool passive,
		       struct xm_address ret[XM_ADDRESSES_MAX],
		       uint32_t *ret_count);
/* A unix socket, or an address of the loopback interface; to connect to, also the
 * unspecified one, which is this machine. */
bool xm_address_is_local(const struct xm_address *, bool passive);
/* "10.1.2.3:7470", for people. */
void xm_address_print(const struct sockaddr *, char *text, size_t size);
/* The -errno for what getaddrinfo() returned; errno is read, too. */
int xm_address_failure(int failure);

#endif
