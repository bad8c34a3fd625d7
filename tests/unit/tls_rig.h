/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests of encrypted control streams: authorities in a folder of the test's own,
 * channels with credentials, and strangers that speak TLS, or do not, by OpenSSL itself.
 */
#ifndef XM_TESTS_TLS_RIG_H
#define XM_TESTS_TLS_RIG_H

#include <time.h>

#include "cli/authority.h"
#include "tests/support/cunit.h"
#include "transports/stream_parts.h"

#define DAY 86400L

/* Makes the folder and the authorities "one" and "two", each with an appliance and a
 * client. The folder is removed at the end. */
void rig_begin(void);
/* Of authority "one" or "two": the path of a file there. Valid until the third next
 * call. */
const char *rig_path(const char *authority, const char *file);
/* Another credential file there, valid from and until so many seconds from now. */
const char *rig_issue(const char *authority, const char *name,
		      enum authority_role, long from_s, long until_s);
/* A client's pre-shared key, in the folder "keys" beside them. */
const char *rig_key(const char *name, bool again);
void rig_copy(const char *from, const char *to);

/* With credentials of this file; NULL: with none. Listens if `address` is given. */
struct xm_channel *rig_open(const char *auth, const char *address);
/* Likewise with a file that is for the other side. */
struct xm_channel *rig_pose(const char *auth, const char *address);
/* Why that fails; NULL: it does not. */
const char *rig_fails(const char *auth, const char *address);
/* The next event of `c`, while `other`, or NULL, is looked after, too. */
struct xm_channel_event rig_next(struct xm_channel *c, struct xm_channel *other);
/* A stream from one to the other that is UP at both. */
void rig_meet(struct xm_channel *initiator, struct xm_channel *target,
	      uint32_t *ret_local, uint32_t *ret_remote);
/* A message there and back arrives. */
void rig_talk(struct xm_channel *initiator, uint32_t local,
	      struct xm_channel *target, uint32_t remote);

/* A socket that is connected to the target. */
int rig_socket(struct xm_channel *target);
/* In a process of its own: a TLS client with this credential file (NULL: without a
 * certificate) that trusts whomever. It ends when the other side hangs up. */
void rig_stranger(struct xm_channel *target, const char *auth);
/* Likewise one that is let in, and then has new keys made without end. */
void rig_flood(struct xm_channel *target, const char *auth);

int rig_descriptors(void);

#endif
