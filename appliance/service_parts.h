/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the service machine share; service.c says which is which.
 * Only they include this. Floor: ground.
 */
#ifndef XM_SERVICE_PARTS_H
#define XM_SERVICE_PARTS_H

#include "appliance/service.h"
#include "common/words.h"

#define XM_TERM_MIN_NS (8 * XM_MS) /* of leases and handshakes */
#define XM_SLOT_BITS 20 /* XM_SERVICE_SLOTS_MAX; of numbers, the rest is serial */

/* --- answers.c ------------------------------------------------------------ */

struct xm_service_effect *xm_service_effect(struct xm_service_effects *,
					    enum xm_service_effect_kind);
struct xm_message *xm_service_send(struct xm_service_effects *, uint32_t peer,
				   uint32_t request, enum xm_message_kind);
/* A line for the log, about a client. */
void xm_service_tell(struct xm_service_effects *, enum xm_level,
		     const struct xm_service_client *, const char *what);
/* An empty answer to `requester`, or NULL when its stream is gone. */
struct xm_message *xm_service_answer(const struct xm_service *,
				     struct xm_service_effects *,
				     const struct xm_service_requester *,
				     enum xm_message_kind);
/* REFUSED; the caller goes on to fill the words. NULL: nobody to tell. */
struct xm_message *xm_service_refuse(struct xm_service *,
				     struct xm_service_effects *,
				     const struct xm_service_requester *, int code,
				     struct xm_words *ret_words);
/* The same with a finished sentence. */
void xm_service_refuse_plainly(struct xm_service *,
			       struct xm_service_effects *,
			       const struct xm_service_requester *, int code,
			       const char *words);
bool xm_service_requester_lives(const struct xm_service *,
			    const struct xm_service_requester *);

/* The figures of who this is, and whose memory the pool is. */
void xm_service_add_lenders(const struct xm_service *, uint64_t bytes, struct xm_figures *);
/* Clears it, and writes the appliance's names into it. */
void xm_service_names(const struct xm_service *, struct xm_state *ret);

/* --- service_tenants.c ---------------------------------------------------- */

struct xm_tenant_use *xm_service_use(struct xm_service *, uint32_t tenant);
/* Sees all, and may have the appliance drain. */
bool xm_service_is_admin(const struct xm_service *, uint32_t peer);
/* Bytes that the tenant could take now, in whatever pieces. */
uint64_t xm_service_could_take(const struct xm_service *, uint32_t tenant);
uint64_t xm_service_clients_max(const struct xm_service *, uint32_t tenant);
/* Another policy. Nobody loses anything by it. */
void xm_service_set_tenants(struct xm_service *, const struct xm_tenants *);
/* The figures by which clients choose an appliance. */
void xm_service_pong(const struct xm_service *, uint32_t tenant,
		     struct xm_figures *ret);
/* What STATUS answers to a tenant that sees its own alone. */
void xm_service_state_of(const struct xm_service *, uint32_t tenant,
			 uint64_t now_ns, struct xm_state *ret);
/* The laws about tenants; see xm_service_check(). */
const char *xm_service_tenants_check(const struct xm_service *);

/* --- places.c ------------------------------------------------------------- */

/* The places of these options, and their pools in this memory. */
void xm_places_init(struct xm_service *, uint8_t *ranges);
size_t xm_places_memory_size(const struct xm_service_options *);
/* NULL, or what is wrong with them. */
const char *xm_places_wrong(const struct xm_service_options *);
/* Where this tenant's memory is; XM_SERVICE_NONE: it has none here. */
uint32_t xm_place_of(const struct xm_service *, uint32_t tenant);
/* Bytes of it that could be lent, the most of them in one piece, and all that there are. */
uint64_t xm_place_free(const struct xm_service *, uint32_t place);
uint64_t xm_place_free_run(const struct xm_service *, uint32_t place);
uint64_t xm_place_size(const struct xm_service *, uint32_t place);
/* Takes bytes there, as xm_extent_take() does. */
int xm_place_take(struct xm_service *, uint32_t place, uint64_t size,
		  uint64_t *ret_offset);
/* Is this report by the interface that it is about? */
bool xm_place_reports(struct xm_service *, const struct xm_service_event *);
void xm_place_lost(struct xm_service *, uint32_t place, struct xm_service_effects *);
/* Zeroes the next piece of a place whose interface was lost, in turns with `others` that wait
 * for the like. False: there is none, or it is their turn. And: that is done. */
bool xm_place_clean(struct xm_service *, bool others, struct xm_service_effects *);
void xm_place_cleaned(struct xm_service *);
/* Drops streams in LOST. True: there are more. */
bool xm_place_drop(struct xm_service *, struct xm_service_effects *);
const char *xm_places_check(const struct xm_service *);

/* --- terms.c -------------------------------------------------------------- */

/* If this machine was not stepped for long, that time does not count as silence
 * of clients and streams. */
void xm_terms_shift(struct xm_service *, uint64_t now_ns);
/* From one tick to the next. */
uint64_t xm_terms_tick_ns(const struct xm_service *);
/* Ends the leases and handshakes that are over. True: there are more. */
bool xm_terms_tick(struct xm_service *, uint64_t now_ns,
		   struct xm_service_effects *);
/* LEAVING to those who have not been told. True: there are more. */
bool xm_terms_tell_leaving(struct xm_service *, struct xm_service_effects *);

/* --- shrink.c ------------------------------------------------------------- */

/* 0; -EINVAL: the pool cannot be so large; -EOPNOTSUPP: it is divided. */
int xm_shrink_resize(struct xm_service *, uint64_t size, uint64_t now_ns,
		     struct xm_service_effects *);
/* This run of bytes, once an extent, is free. */
void xm_shrink_freed(struct xm_service *, uint64_t offset, uint64_t size);
/* The host has done what it was asked for. */
void xm_shrink_done(struct xm_service *, const struct xm_service_event *,
		    struct xm_service_effects *);
/* A client may not know which of its extents are wanted: tell it again, but not more
 * often than XM_SHRINK_AGAIN times in its lease, however often it asks. */
#define XM_SHRINK_AGAIN 16
void xm_shrink_tell_again(struct xm_service *, uint32_t client, uint64_t now_ns);
/* WANTED to those who have not been told. True: there are more. */
bool xm_shrink_tell(struct xm_service *, struct xm_service_effects *);
/* The next bytes to give to the host, or to take. */
void xm_shrink_work(struct xm_service *, uint64_t now_ns,
		    struct xm_service_effects *);
/* Bytes that could be lent, and those that the pool has now. */
uint64_t xm_shrink_free(const struct xm_service *);
uint64_t xm_shrink_pool(const struct xm_service *);
const char *xm_shrink_check(const struct xm_service *);

/* --- clients.c ------------------------------------------------------------ */

uint32_t xm_client_slot(const struct xm_service *,
			const struct xm_service_client *);
/* NULL: there is no client of this number, or not any more. */
struct xm_service_client *xm_client_find(struct xm_service *, uint64_t number);
/* The stream is gone; its client, if any, has the rest of its lease. */
void xm_client_forget_peer(struct xm_service *, uint32_t peer);
/* Likewise, and closes the stream. */
void xm_client_drop_peer(struct xm_service *, uint32_t peer,
			 struct xm_service_effects *);
/* Ends the client's lease: its extents and grants begin their way back to the
 * pool, and it is expelled. */
void xm_client_end(struct xm_service *, struct xm_service_client *,
		   struct xm_service_effects *);
/* Likewise that of the stream's client, if it has one, for its certificate. */
void xm_client_revoked(struct xm_service *, uint32_t peer,
		       struct xm_service_effects *);
void xm_client_hello(struct xm_service *, const struct xm_service_event *,
		     const struct xm_service_requester *,
		     struct xm_service_effects *);
void xm_client_ticket(struct xm_service *, const struct xm_service_event *,
		      struct xm_service_client *,
		      const struct xm_service_requester *,
		      struct xm_service_effects *);
void xm_client_admitted(struct xm_service *, const struct xm_service_event *,
			struct xm_service_effects *);
void xm_client_retracted(struct xm_service *, const struct xm_service_event *);
/* Retracts tickets whose time is over. True: there are more. */
bool xm_client_lapse(struct xm_service *, uint64_t now_ns,
		     struct xm_service_effects *);
void xm_client_expelled(struct xm_service *, const struct xm_service_event *,
			struct xm_service_effects *);
/* Its interface process has ended, and all of its keys with it. */
void xm_client_lost(struct xm_service *, struct xm_service_client *);

/* --- refusals.c ----------------------------------------------------------- */

/* True: it was refused. The client's tenant may not have so many bytes more. */
bool xm_refused_for_bytes(struct xm_service *, uint32_t client, uint64_t size,
			  const struct xm_service_requester *,
			  struct xm_service_effects *);
/* This client, its tenant, or the appliance, may have no more extents. */
bool xm_refused_for_count(struct xm_service *, uint32_t client,
			  const struct xm_service_requester *,
			  struct xm_service_effects *);
/* What needs a feature: flags, and banks other than the pool. */
bool xm_refused_for_features(struct xm_service *, const struct xm_alloc *,
			     const struct xm_service_requester *,
			     struct xm_service_effects *);
/* There is no room for so many bytes. */
void xm_refuse_for_space(struct xm_service *, uint32_t place, uint64_t size,
			 const struct xm_service_requester *,
			 struct xm_service_effects *);
/* The client's tenant may not read one extent more. */
bool xm_refused_for_reading(struct xm_service *, uint32_t client,
			    const struct xm_service_requester *,
			    struct xm_service_effects *);
/* Refuses when this client, or its tenant, may not have that orphan, too. */
bool xm_refused_for_claim(struct xm_service *, uint32_t client,
			   const struct xm_service_extent *,
			   const struct xm_service_requester *,
			   struct xm_service_effects *);

/* --- lease.c -------------------------------------------------------------- */

void xm_lease_alloc(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);
void xm_lease_trim(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);
void xm_lease_free(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);
void xm_lease_list(struct xm_service *, const struct xm_service_event *,
		   const struct xm_service_requester *,
		   struct xm_service_effects *);
void xm_lease_exposed(struct xm_service *, const struct xm_service_event *,
		      struct xm_service_effects *);
void xm_lease_concealed(struct xm_service *, const struct xm_service_event *,
			struct xm_service_effects *);
/* The client's lease has ended: none of its extents is OWNED any more, and
 * its grants are CONCEALING or in QUARANTINE. */
void xm_lease_end(struct xm_service *, uint32_t client);
/* The interface has expelled the client: all of its keys are dead. */
void xm_lease_expelled(struct xm_service *, uint32_t client, uint64_t now_ns);

/* Commands that this grant be exposed; concealed. */
void xm_lease_expose(const struct xm_service *, const struct xm_service_grant *,
		     const struct xm_service_event *,
		     struct xm_service_effects *);
void xm_lease_conceal(struct xm_service *, struct xm_service_grant *,
		      struct xm_service_effects *);
/* The extent that a request names. NULL: the request was refused, because the
 * client has no such extent, or because TRIM of it is under way. */
struct xm_service_extent *xm_lease_named(struct xm_service *, uint64_t number,
					 uint32_t client,
					 const struct xm_service_requester *,
					 struct xm_service_effects *);

/* --- tokens.c ------------------------------------------------------------- */

void xm_offer_make(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);
void xm_offer_claim(struct xm_service *, const struct xm_service_event *,
		    uint32_t client, const struct xm_service_requester *,
		    struct xm_service_effects *);
/* FREE of an orphan by the admin. False: it is none, or somebody else asks. */
bool xm_offer_free(struct xm_service *, const struct xm_service_event *,
		   const struct xm_service_requester *,
		   struct xm_service_effects *);
/* The claimer's grant is LIVE: says so, or takes it back if nobody hears it. */
void xm_offer_claimed(struct xm_service *, struct xm_service_grant *,
		      struct xm_service_effects *);
/* Ties the extent to the offer's token, in place of another. `by`: the number of the client
 * that did, or 0: one of before this appliance began. */
void xm_offer_tie(struct xm_service *, struct xm_service_extent *,
		  const struct xm_offer *, uint64_t by);
/* Its owner has ended. True: it is an orphan now, for as long as its offer says. */
bool xm_offer_keeps(struct xm_service *, struct xm_service_extent *);
/* Orphans whose time is over are parted with, and what was claimed long ago is untied. */
void xm_offers_lapse(struct xm_service *, uint64_t now_ns);

/* Compares in a time that does not depend on them. */
bool xm_tokens_equal(const uint8_t *, const uint8_t *);
/* Which of extents_max buckets. */
uint32_t xm_token_bucket(const struct xm_service *, const uint8_t *token);

/* --- readings.c ------------------------------------------------------------ */

void xm_share_make(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);
void xm_share_open(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);
/* FREE of a number with XM_READING. */
void xm_share_free(struct xm_service *, uint64_t number, uint32_t client,
		   const struct xm_service_requester *,
		   struct xm_service_effects *);
/* Ends a reading that the client has by this token. False: it has none. */
bool xm_share_return(struct xm_service *, const uint8_t *token, uint32_t client,
		     struct xm_service_effects *);
/* The reading's grant was exposed, or could not be. */
void xm_share_exposed(struct xm_service *, struct xm_service_grant *,
		      const struct xm_service_event *,
		      struct xm_service_effects *);
/* Nobody may open it any more, and its readings end by and by. */
void xm_share_drop(struct xm_service *, struct xm_service_extent *);
/* Refuses to cut it, if it is shared. */
bool xm_share_refuses_trim(struct xm_service *, const struct xm_service_extent *,
			   const struct xm_service_requester *,
			   struct xm_service_effects *);
/* REVOKED once more, for the first that the client has not answered. */
void xm_share_tell_again(struct xm_service *, uint32_t client,
			 struct xm_service_effects *);
/* Its readings that are REVOKED are forgotten. */
void xm_share_reader_ended(struct xm_service *, struct xm_service_client *);
/* The next reading that is to end. True: there are more. */
bool xm_share_work(struct xm_service *, struct xm_service_effects *);

/* --- durable.c ------------------------------------------------------------ */

/* Its token is to outlive the appliance; OFFERED comes when it does. False: that was
 * refused. */
bool xm_durable_tie(struct xm_service *, struct xm_service_extent *, uint32_t ms,
		    const struct xm_service_requester *,
		    struct xm_service_effects *);
/* The claimer of what is durable has all parts: the token stays tied to it. False: it is
 * not durable. */
bool xm_durable_confirm(struct xm_service_extent *);
/* DRAFT, PERSIST or DAMAGE of a client's. */
void xm_durable_asked(struct xm_service *, const struct xm_service_event *,
		      uint32_t client, const struct xm_service_requester *,
		      struct xm_service_effects *);
/* It is given back, or handed over. */
void xm_durable_forget(struct xm_service *, struct xm_service_extent *);
/* The store has been told all of it, and has answered. */
bool xm_durable_is_settled(const struct xm_service_extent *);
/* Refuses to cut it, if it is durable. */
bool xm_durable_refuses_trim(struct xm_service *, const struct xm_service_extent *,
			     const struct xm_service_requester *,
			     struct xm_service_effects *);
void xm_durable_stored(struct xm_service *, const struct xm_service_event *,
		       struct xm_service_effects *);
/* The next thing for the store, or about its end. True: there are more. */
bool xm_durable_work(struct xm_service *, struct xm_service_effects *);

/* --- copies.c ------------------------------------------------------------- */

void xm_copy_bytes(struct xm_service *, const struct xm_service_event *,
		   uint32_t client, const struct xm_service_requester *,
		   struct xm_service_effects *);

/* --- extents.c ------------------------------------------------------------ */

uint32_t xm_service_extent_slot(const struct xm_service *,
				const struct xm_service_extent *);
/* NULL: there is none of this number, or it was freed. */
struct xm_service_extent *xm_service_extent_find(struct xm_service *,
						 uint64_t number);
struct xm_service_grant *xm_service_grant_find(struct xm_service *,
					       uint64_t number);
/* A new extent of bytes that are already taken from the pool, with a grant for
 * its owner, EXPOSING. The caller has seen that extents_count is below the
 * maximum. */
struct xm_service_extent *xm_service_extent_new(struct xm_service *,
						uint32_t client,
						uint64_t offset, uint64_t size);
/* Cuts the first `size` bytes off an extent as a new one, likewise. */
struct xm_service_extent *xm_service_extent_cut(struct xm_service *,
						struct xm_service_extent *,
						uint64_t size);
/* The grant was never exposed. Its extent, if cut off another, becomes part of
 * that one again; if claimed, an orphan again; else its bytes are free at once. */
void xm_service_extent_undo(struct xm_service *, struct xm_service_grant *);
/* The next one of those cut from one another: what TRIM left of the extent
 * that this one was cut off. */
struct xm_service_extent *
xm_service_extent_behind(const struct xm_service_extent *);
/* OWNED -> PARTING */
void xm_service_extent_part(struct xm_service *, struct xm_service_extent *);
/* OWNED -> ORPHAN; a token is tied to it. Its grant is the caller's business. */
void xm_service_extent_orphan(struct xm_service *, struct xm_service_extent *);
/* ORPHAN -> OWNED by this client, with a new epoch and a grant that is EXPOSING. */
void xm_service_extent_adopt(struct xm_service *, struct xm_service_extent *,
			     uint32_t client);
/* ORPHAN -> PARTING, or ZEROING at once */
void xm_service_extent_abandon(struct xm_service *, struct xm_service_extent *);
/* No token is tied to it any more. */
void xm_service_unoffer(struct xm_service *, struct xm_service_extent *);
/* The store has answered: if that was all that kept it from being zeroed, it is. */
void xm_service_extent_settled(struct xm_service *, struct xm_service_extent *);
/* An unused record is the ORPHAN of this entry, whose bytes are taken; without tenant and
 * token. */
void xm_service_extent_restore(struct xm_service *, struct xm_service_extent *,
			       const struct xm_store_entry *);
/* Its owner is gone. */
void xm_service_extent_disown(struct xm_service *, struct xm_service_extent *);
/* A grant of this extent to read it, EXPOSING. The caller has seen that there may be one
 * more. */
struct xm_service_grant *xm_service_reading_new(struct xm_service *,
						struct xm_service_extent *,
						uint32_t client);
/* It was never exposed. */
void xm_service_reading_undo(struct xm_service *, struct xm_service_grant *);
/* REVOKED, and its reader knows, or has ended. */
void xm_service_reading_forget(struct xm_service *, struct xm_service_grant *);
/* The key opens nothing any more: CONCEALING -> QUARANTINE, or gone at once. */
void xm_service_grant_died(struct xm_service *, struct xm_service_grant *,
			   uint64_t now_ns);
/* The client has no connection any more: its quarantined grants are gone. */
void xm_service_grants_unquarantine(struct xm_service *, uint32_t client);
void xm_service_zeroed(struct xm_service *, const struct xm_service_event *,
		       struct xm_service_effects *);
/* Ends the quarantines whose time is over, and asks for the next zeroing. */
void xm_service_work(struct xm_service *, uint64_t now_ns,
		     struct xm_service_effects *);
/* The laws about extents and grants; see xm_service_check(). */
const char *xm_service_extents_check(const struct xm_service *);

#endif
