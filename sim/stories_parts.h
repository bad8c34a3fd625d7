/* SPDX-License-Identifier: BSD-3-Clause */
/* The scripts of stories, which stories.c names. */
#ifndef XM_SIM_STORIES_PARTS_H
#define XM_SIM_STORIES_PARTS_H

#include "sim/story.h"

/* --- stories_leases.c --- */
void story_late_write(uint32_t client, extmem *);
void story_comes_back_empty(uint32_t client, extmem *);
void story_killed_client(uint32_t client, extmem *);
void story_lease_ends(uint32_t client, extmem *);
void story_lost_is_not_zero(uint32_t client, extmem *);
void story_full_pool(uint32_t client, extmem *);
void story_trim(uint32_t client, extmem *);
void story_same_secret(uint32_t client, extmem *);
void story_wrong_secret(uint32_t client, extmem *);
void story_drains(uint32_t client, extmem *);
void story_no_source(uint32_t client, extmem *);
void story_moves(uint32_t client, extmem *);
void story_shrinks(uint32_t client, extmem *);
void story_zeroed_first(uint32_t client, extmem *);

/* --- stories_hand.c --- */
void story_copied(uint32_t client, extmem *);
void story_handed_over(uint32_t client, extmem *);
void story_claimer_dies(uint32_t client, extmem *);
void story_kept_again(uint32_t client, extmem *);
void story_held(uint32_t client, extmem *);

/* --- stories_share.c --- */
void story_shared(uint32_t client, extmem *);
void story_writer_dies(uint32_t client, extmem *);

/* --- stories_mirrors.c --- */
void story_member_replaced(uint32_t client, extmem *);
void story_member_taken_back(uint32_t client, extmem *);
void story_both_members_lost(uint32_t client, extmem *);

/* --- stories_torn.c --- */
void story_torn_write(uint32_t client, extmem *);
void story_torn_and_stale(uint32_t client, extmem *);
void story_torn_and_sealed(uint32_t client, extmem *);
void story_torn_and_shared(uint32_t client, extmem *);
void story_half_a_trim(uint32_t client, extmem *);

/* --- stories_paging.c --- */
void story_fault_during_write_back(uint32_t client, extmem *);
void story_lanes_apart(uint32_t client, extmem *);
void story_prefetch_meets_write_back(uint32_t client, extmem *);
void story_second_store(uint32_t client, extmem *);
void story_discard_under_store(uint32_t client, extmem *);
void story_write_meets_fault(uint32_t client, extmem *);
void story_right_is_taken(uint32_t client, extmem *);

/* --- stories_paths.c --- */
void story_control_stops(uint32_t client, extmem *);
void story_partition_heals(uint32_t client, extmem *);
void story_interface_hangs(uint32_t client, extmem *);
void story_supersedes(uint32_t client, extmem *);
void story_stopped_client(uint32_t client, extmem *);
void story_interface_dies(uint32_t client, extmem *);
void story_on_two_appliances(uint32_t client, extmem *);

#endif
