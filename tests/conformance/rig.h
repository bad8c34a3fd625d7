/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the conformance tests share: a target (far_side.h), an initiator or two,
 * and calls that wait with a deadline. One world at a time, `w`.
 */
#ifndef XM_TESTS_CONFORMANCE_RIG_H
#define XM_TESTS_CONFORMANCE_RIG_H

#include <CUnit/Basic.h>

#include "common/clock.h"
#include "common/rand.h"
#include "core/pure/transport.h"
#include "tests/conformance/far_side.h"

#define TOKENS_MAX 8192
#define PEERS_MAX 256
#define DEADLINE_NS (10 * XM_SECOND)
#define KEY UINT64_C(0x7bcd3f0912e45a61)

struct near_side {
	struct xm_transport *t;
	uint32_t up[PEERS_MAX], down[PEERS_MAX];
	int down_status[PEERS_MAX];
	uint8_t done[TOKENS_MAX];
	int status[TOKENS_MAX];
	uint32_t finished;
};

struct world {
	const struct xm_transport_ops *ops;
	struct xm_transport_limits limits;
	struct far_side here; /* if both ends are in one process */
	bool loop;
	int fd;
	pid_t pid;
	struct answer answer; /* to the last command */
	struct xm_locator locator;
	struct xm_remote_mr remote;
	struct near_side local, other;
	uint32_t peer;
};

extern struct world w;
extern const uint8_t ticket[XM_TICKET_SIZE];

#define PUMP_UNTIL(condition)                                                 \
	do {                                                                  \
		uint64_t end_ = xm_clock_ns() + DEADLINE_NS;                  \
		while (!(condition) && xm_clock_ns() < end_)                  \
			pump();                                               \
		CU_ASSERT(condition);                                         \
	} while (0)

/* A command to the remote side; its answer is w.answer. 0 or -errno. */
int far_call(const struct command *c);
/* One without arguments. */
int far_do(enum verb verb);
/* Takes in what an initiator has to report. */
void near_poll(struct near_side *local);
/* Lets both sides go on once. */
void pump(void);
void pump_for(uint64_t ns);
/* Opens an initiator; `words` has 256 bytes. */
int near_open(struct near_side *local, const char *provider,
		     char *words);
/* Exposes a span of the pool. */
int expose_for(uint32_t rights, uint64_t client, uint64_t offset,
		      uint64_t size, uint64_t key, struct xm_remote_mr *ret);
/* With all rights. */
int expose(uint64_t client, uint64_t offset, uint64_t size,
		  uint64_t key, struct xm_remote_mr *ret);
/* Lets a ticket in for a client's lane. */
int admit_on(uint64_t client, uint32_t lane, const uint8_t *bytes);
/* On a lane of its own. */
int admit(uint64_t client, const uint8_t *bytes);
/* A pool that nobody has written to, a target, and an initiator. */
bool world_open(void);
void world_close(void);
/* Connects and waits; true: it is up. */
bool near_connect(struct near_side *local, const uint8_t *bytes,
		  uint32_t *ret);
/* The usual beginning: client 1 is up and may touch the pool's first part. */
bool world_ready(uint64_t span);
/* Posts until it is taken. */
int post(struct near_side *local, uint32_t peer,
	 const struct xm_remote_mr *remote, bool write, uint64_t offset,
	 void *bytes, size_t size, uint64_t token);
/* One operation to its end; its status, or the error of the post. */
int move(bool write, uint64_t offset, void *bytes, size_t size);
/* Until it ended one way or the other: a refusal may also be a dead peer, and
 * where death is not reported, no answer at all. Then disconnect() ends it,
 * as a caller's deadline would. */
int move_refused(struct near_side *local, uint32_t peer,
		 const struct xm_remote_mr *remote, bool write,
		 uint64_t offset, void *bytes, size_t size);
bool filled(const uint8_t *bytes, uint8_t with, size_t size);

/* The test asks for what this transport does not promise. */
void skip(const char *why);
/* Skips the test and closes the world where a limit is false, says `why`. */
bool world_has(bool limit, const char *why);

/* --- the tests, in the order of the table ---------------------------------- */

void bytes_go_round_unharmed_at_every_size(void);
void a_write_completes_only_when_its_bytes_are_far(void);
void a_scattered_write_reaches_each_of_its_places(void);
void a_wrong_key_touches_nothing(void);
void nothing_outside_the_span_is_touched(void);
void concealed_memory_cannot_be_reached(void);
void without_the_right_to_write_a_write_is_refused(void);
void a_key_in_use_is_refused(void);
void as_many_spans_are_exposed_as_were_asked_for(void);
void a_late_write_cannot_reach_the_next_owner(void);
void one_client_cannot_use_anothers_key(void);
void a_ticket_lets_one_connection_in_once(void);
void a_retracted_ticket_lets_nobody_in(void);
void a_new_connection_of_a_lane_ends_the_earlier_one(void);
void nobody_comes_in_on_an_expelled_clients_ticket(void);
void the_target_is_told_when_a_client_leaves(void);
void strangers_on_the_port_do_not_stop_the_interface(void);
void disconnect_completes_what_is_outstanding(void);
void a_peer_number_is_used_again_after_disconnect(void);
void down_is_said_once_when_the_target_closes(void);
void down_is_said_once_when_the_target_is_killed(void);
void at_the_depth_limit_nothing_is_lost(void);
void every_token_comes_back_once_under_a_random_mix(void);
void the_interface_may_close_under_load(void);
void many_clients_have_their_bytes_moved(void);
void nobody_at_the_address_is_an_error(void);
void an_interface_that_listens_everywhere_is_found(void);
void files_of_the_dead_are_no_obstacle(void);
void a_malformed_locator_is_refused(void);
void a_provider_that_is_not_there_is_an_error_that_lists(void);
void signal_handlers_stay_the_programs(void);
void wait_ends_for_a_descriptor_and_for_time(void);
void waiting_instead_of_polling_loses_nothing(void);
void an_armed_descriptor_tells_of_what_completes(void);
void a_target_that_tells_says_when_bytes_move(void);

#endif
