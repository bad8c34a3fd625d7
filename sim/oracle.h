/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle asks whether the laws (invariants) hold; see oracle.c. */
#ifndef XM_SIM_ORACLE_H
#define XM_SIM_ORACLE_H

#include "common/base.h"

/* To be called after every event. */
void oracle_ask(void);
/* An appliance begins; it knows no client. */
void oracle_begin(uint32_t appliance);
/* Bytes of its pool are the host's from now on. */
void oracle_returned(uint32_t appliance, uint64_t offset, uint64_t size);
/* Its control process receives a message from this peer of its channel. */
void oracle_heard(uint32_t appliance, uint32_t peer);
/* A key of this client opens [offset, + size) of the pool, with these rights: may it? */
void oracle_key(uint32_t appliance, uint64_t client, uint64_t offset,
		uint64_t size, uint32_t rights);
/* Does this client read what lies at this byte, by its owner's leave? */
bool oracle_reads(uint32_t appliance, uint64_t client, uint64_t offset);
/* The client has given back all memory that it had, and each appliance has said so:
 * none of it is the client's any more. */
void oracle_all_given(uint32_t client);
/* The weather is clear, and the client's threads have ended: waits until what was begun for
 * members and moves has, too. */
void oracle_quiet(uint32_t client);
/* A load or store got SIGBUS, or a call says that a page is lost. */
void oracle_page_lost(void);
/* These bytes of the pool are to be zeroed: may they? */
void oracle_zeroes(uint32_t appliance, uint64_t offset, uint64_t size);
/* A path to this appliance was given up, as nothing was heard on it. */
void oracle_given_up(uint32_t appliance);
/* A remote access is about to succeed at this appliance. */
void oracle_access(uint32_t appliance, uint64_t client, uint64_t offset,
		   uint64_t size, bool write);

#endif
