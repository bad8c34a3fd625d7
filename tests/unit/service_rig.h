/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service machine stepped by hand, with a model of the interface: which
 * keys open which bytes to whom. The model carries out a command only when
 * the test says so (rig_acknowledge, rig_settle), so that a test can tell any
 * interleaving of requests and acknowledgements. Every step asks
 * xm_service_check().
 */
#ifndef XM_TESTS_SERVICE_RIG_H
#define XM_TESTS_SERVICE_RIG_H

#include "appliance/service.h"

#define GRANULE 4096
#define POOL (64 * GRANULE)
#define PEERS 12
#define CLIENTS 4
#define EXTENTS 16
#define PER_CLIENT 8
#define LEASE_MS 800
#define HANDSHAKE_MS 400
#define KEYS 4096
#define COMMANDS XM_SERVICE_COMMANDS_MAX(CLIENTS, EXTENTS)

struct key {
	uint64_t client, offset, size;
	bool alive;
};

struct rig {
	struct xm_service *service;
	struct xm_service_options options;
	struct xm_service_effects effects;
	uint64_t now_ns, draws;
	/* what the machine did */
	struct xm_message sent[PEERS]; /* the last to each */
	uint32_t sent_count[PEERS];
	bool dropped[PEERS];
	struct xm_service_effect commands[COMMANDS];
	size_t commands_count;
	bool zero_wanted;
	struct xm_service_effect sizing; /* RETURN or TAKE; kind 0: neither */
	int take_status;
	bool returned[POOL / GRANULE]; /* the host has these */
	char log[XM_WORDS_SIZE]; /* the last line */
	struct xm_store_command told[8]; /* what the store was told, oldest first */
	uint32_t told_count;
	struct xm_service_effect zero;
	uint32_t requests;
	/* the interface */
	struct key keys[KEYS];
	uint32_t keys_count;
	int expose_status, admit_status, retract_status;
	uint8_t bytes[POOL];
};

/* Steps with this event at the rig's time, and notes the effects. */
void rig_step(struct rig *, struct xm_service_event);
void rig_tick(struct rig *);
/* Lets time pass as the host would: tick by tick. */
void rig_pass(struct rig *, uint64_t ms);
/* The piece that is to be zeroed is. */
void rig_zero(struct rig *);
/* The piece that is to be given to the host is, or taken from it. */
void rig_size(struct rig *);
/* The interface carries out the oldest command and reports. */
void rig_acknowledge(struct rig *);
/* It carries out all of them, all is zeroed that is to be, and the host has what it shall. */
void rig_settle(struct rig *);

/* The options of rig_new(), to be changed before rig_start(). */
void rig_open(struct rig *);
void rig_start(struct rig *);
struct rig *rig_new(void);
void rig_free(struct rig *);

/* What peers do. Returned is the answer that the step sent; its kind is 0
 * where there was none. */
void rig_up(struct rig *, uint32_t peer);
void rig_up_as(struct rig *, uint32_t peer, const char *identity);
void rig_down(struct rig *, uint32_t peer);
const struct xm_message *rig_say(struct rig *, uint32_t peer, struct xm_message);
const struct xm_message *rig_say_kind(struct rig *, uint32_t peer,
				      enum xm_message_kind);
struct xm_message rig_hello(void);
/* A new client on a new stream. */
struct xm_welcome rig_join(struct rig *, uint32_t peer);
const struct xm_message *rig_ask_alloc(struct rig *, uint32_t peer,
				      uint64_t size);
struct xm_allocated rig_alloc(struct rig *, uint32_t peer, uint64_t size);
const struct xm_message *rig_ask_trim(struct rig *, uint32_t peer,
				      uint64_t extent, uint64_t size);
const struct xm_message *rig_ask_free(struct rig *, uint32_t peer,
				      uint64_t extent);

/* Whether this is a refusal with this code and this word in its sentence. */
bool rig_refused(const struct xm_message *, int code, const char *word);
/* A write under a key, at the remote side of the wire. True: it landed. */
bool rig_write(struct rig *, const struct xm_remote_mr *, uint8_t value);
uint64_t rig_offset(const struct rig *, const struct xm_allocated *);
bool rig_is_zero(const struct rig *, const struct xm_allocated *);
uint64_t rig_free_bytes(const struct rig *);
uint64_t rig_returned(const struct rig *); /* bytes that the host has */

#endif
