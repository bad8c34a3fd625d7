/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What service.c (the machine), clients.c (who they are) and lease.c (what they
 * hold) share. Nobody else includes this. Floor: ground.
 */
#ifndef XM_SERVICE_PARTS_H
#define XM_SERVICE_PARTS_H

#include "appliance/service.h"
#include "common/words.h"

#define XM_SLOT_BITS 20 /* XM_SERVICE_SLOTS_MAX; of numbers, the rest is serial */

/* --- service.c ----------------------------------------------------------- */

struct xm_service_effect *xm_service_effect(struct xm_service_effects *,
					    enum xm_service_effect_kind);
struct xm_message *xm_service_send(struct xm_service_effects *, uint32_t peer,
				   uint32_t request, enum xm_message_kind);
/* A line for the log, about a client. */
void xm_service_tell(struct xm_service_effects *, enum xm_level,
		     const struct xm_service_client *, const char *what);
/* An empty answer to `asker`, or NULL when its stream is gone. */
struct xm_message *xm_service_answer(const struct xm_service *,
				     struct xm_service_effects *,
				     const struct xm_service_asker *,
				     enum xm_message_kind);
/* REFUSED; the caller goes on to fill the words. NULL: nobody to tell. */
struct xm_message *xm_service_refuse(struct xm_service *,
				     struct xm_service_effects *,
				     const struct xm_service_asker *, int code,
				     struct xm_words *ret_words);
/* The same with a finished sentence. */
void xm_service_refuse_plainly(struct xm_service *,
			       struct xm_service_effects *,
			       const struct xm_service_asker *, int code,
			       const char *words);
bool xm_service_asker_lives(const struct xm_service *,
			    const struct xm_service_asker *);

/* --- clients.c ------------------------------------------------------------ */

/* NULL: there is none of this number, or there was. */
struct xm_service_client *xm_client_find(struct xm_service *, uint64_t number);
/* The stream is gone; its client, if any, has the rest of its lease. */
void xm_client_forget_peer(struct xm_service *, uint32_t peer);
/* And is hung up. */
void xm_client_drop_peer(struct xm_service *, uint32_t peer,
			 struct xm_service_effects *);
/* All that was its is on the way back to the pool. */
void xm_client_end(struct xm_service *, struct xm_service_client *,
		   struct xm_service_effects *);
void xm_client_hello(struct xm_service *, const struct xm_service_event *,
		     const struct xm_service_asker *,
		     struct xm_service_effects *);
void xm_client_ticket(struct xm_service *, const struct xm_service_event *,
		      struct xm_service_client *,
		      const struct xm_service_asker *,
		      struct xm_service_effects *);
void xm_client_admitted(struct xm_service *, const struct xm_service_event *,
			struct xm_service_effects *);
void xm_client_expelled(struct xm_service *, const struct xm_service_event *,
			struct xm_service_effects *);

/* --- lease.c -------------------------------------------------------------- */

void xm_lease_take(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_asker *,
		   struct xm_service_effects *);
void xm_lease_trim(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_asker *,
		   struct xm_service_effects *);
void xm_lease_give(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_asker *,
		   struct xm_service_effects *);
void xm_lease_list(struct xm_service *, const struct xm_service_event *,
		   const struct xm_service_asker *,
		   struct xm_service_effects *);
void xm_lease_exposed(struct xm_service *, const struct xm_service_event *,
		      struct xm_service_effects *);
void xm_lease_concealed(struct xm_service *, const struct xm_service_event *,
			struct xm_service_effects *);
void xm_lease_zeroed(struct xm_service *, const struct xm_service_event *,
		     struct xm_service_effects *);
/* The client's lease has ended: none of its extents is LEASED any more. */
void xm_lease_end(struct xm_service *, uint32_t client);
/* The interface has expelled it: all of its keys are dead. */
void xm_lease_expelled(struct xm_service *, uint32_t client, uint64_t now_ns);
/* Moves what may leave QUARANTINE on, and asks for the next zeroing. */
void xm_lease_work(struct xm_service *, uint64_t now_ns,
		   struct xm_service_effects *);

#endif
