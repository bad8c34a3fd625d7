/* SPDX-License-Identifier: BSD-3-Clause */
/* The stories, by name; see story.c. */
#include "sim/shape.h"
#include "sim/snapshot.h"
#include "sim/store.h"
#include "sim/stories_parts.h"

static void two_clients(struct sim_shape *s)
{
	s->clients = 2;
}

static void three_clients(struct sim_shape *s)
{
	s->clients = 3;
}

static void keys_alone(struct sim_shape *s)
{
	s->provider.admits = false;
	s->provider.refuses = true;
	s->provider.reports_death = false;
}

static void two_lanes(struct sim_shape *s)
{
	s->lanes = 2;
	s->pool_size = 4 * XM_MIB;
}

static void deaths_unseen(struct sim_shape *s)
{
	s->provider.reports_death = false;
}

static void two_appliances(struct sim_shape *s)
{
	s->appliances = 2;
}

static void stores(struct sim_shape *s)
{
	s->durable = true;
}

static void mirror(struct sim_shape *s)
{
	s->appliances = s->copies = 2;
}

static void mirror_with_a_spare(struct sim_shape *s)
{
	s->appliances = 3;
	s->copies = 2;
}

static void mirror_with_a_spare_and_time(struct sim_shape *s)
{
	mirror_with_a_spare(s);
	s->lease_ms = 60000;
}

static void three_copies_and_no_time(struct sim_shape *s)
{
	s->appliances = s->copies = 3;
	s->timeout_ms = 50;
}

static void two_clients_of_a_mirror(struct sim_shape *s)
{
	mirror(s);
	s->clients = 2;
	s->timeout_ms = 50;
}

static void sealed_mirror_and_no_time(struct sim_shape *s)
{
	mirror(s);
	s->sealed = true;
	s->timeout_ms = 50;
}

static void mirror_with_many_spares(struct sim_shape *s)
{
	s->appliances = 8;
	s->copies = 2;
}

const struct story stories[] = {
	{ .name = "a_late_write_cannot_reach_the_next_owner",
	  .shape = two_clients, .script = story_late_write },
	{ .name = "an_appliance_comes_back_empty",
	  .script = story_comes_back_empty },
	{ .name = "a_fault_on_a_page_being_written_back",
	  .script = story_fault_during_write_back },
	{ .name = "a_killed_clients_memory_comes_back_zeroed",
	  .shape = two_clients, .script = story_killed_client },
	{ .name = "control_stops_and_data_goes_on",
	  .script = story_control_stops },
	{ .name = "a_hang_is_noticed_and_the_path_replaced",
	  .script = story_interface_hangs },
	{ .name = "a_region_is_handed_over",
	  .shape = two_clients, .script = story_handed_over },
	{ .name = "a_region_is_copied_while_it_is_written",
	  .script = story_copied },
	{ .name = "a_claimer_dies_and_the_region_is_taken_back",
	  .shape = two_clients, .script = story_claimer_dies },
	{ .name = "a_kept_region_stays_kept_when_it_is_adopted",
	  .shape = three_clients, .script = story_kept_again },
	{ .name = "a_region_is_shared",
	  .shape = two_clients, .script = story_shared },
	{ .name = "a_writer_dies_and_its_reader_hears_of_it",
	  .shape = two_clients, .script = story_writer_dies },
	{ .name = "a_partition_heals_and_nothing_is_lost",
	  .script = story_partition_heals },
	{ .name = "a_lease_ends_and_the_old_key_is_dead",
	  .shape = keys_alone, .script = story_lease_ends },
	{ .name = "a_lost_page_is_never_zeros",
	  .script = story_lost_is_not_zero },
	{ .name = "two_lanes_do_not_share",
	  .shape = two_lanes, .script = story_lanes_apart },
	{ .name = "a_full_pool_refuses_in_words",
	  .script = story_full_pool },
	{ .name = "a_tail_is_trimmed_and_given",
	  .shape = two_clients, .script = story_trim },
	{ .name = "a_window_arrives_during_write_back",
	  .script = story_prefetch_meets_write_back },
	{ .name = "a_flush_waits_for_the_second_store",
	  .script = story_second_store },
	{ .name = "a_discard_while_a_store_flies",
	  .script = story_discard_under_store },
	{ .name = "a_client_comes_back_with_its_secret",
	  .script = story_same_secret },
	{ .name = "a_wrong_secret_is_refused",
	  .script = story_wrong_secret },
	{ .name = "a_new_connection_supersedes_the_former",
	  .shape = deaths_unseen, .script = story_supersedes },
	{ .name = "an_appliance_that_drains_says_so",
	  .script = story_drains },
	{ .name = "an_appliance_drains_onto_another",
	  .shape = two_appliances, .script = story_moves },
	{ .name = "a_pool_shrinks_while_a_program_works",
	  .shape = two_appliances, .script = story_shrinks },
	{ .name = "an_extent_is_zeroed_before_it_is_reused",
	  .shape = two_clients, .script = story_zeroed_first },
	{ .name = "an_explicit_write_meets_a_fault",
	  .script = story_write_meets_fault },
	{ .name = "a_right_is_taken_and_given_back",
	  .script = story_right_is_taken },
	{ .name = "a_stopped_client_declares_nobody_dead",
	  .script = story_stopped_client },
	{ .name = "an_interface_process_dies_alone",
	  .script = story_interface_dies },
	{ .name = "a_region_on_two_appliances",
	  .shape = two_appliances, .script = story_on_two_appliances },
	{ .name = "a_member_is_killed_and_replaced",
	  .shape = mirror_with_a_spare, .script = story_member_replaced },
	{ .name = "a_member_is_cut_off_and_taken_back",
	  .shape = mirror, .script = story_member_taken_back },
	{ .name = "a_torn_write_is_mended",
	  .shape = mirror, .script = story_torn_write },
	{ .name = "a_torn_page_reaches_a_third_member_later",
	  .shape = three_copies_and_no_time, .script = story_torn_and_stale },
	{ .name = "a_torn_and_sealed_page_has_two_versions",
	  .shape = sealed_mirror_and_no_time, .script = story_torn_and_sealed },
	{ .name = "a_torn_page_is_mended_and_its_reader_hears_of_it",
	  .shape = two_clients_of_a_mirror, .script = story_torn_and_shared },
	{ .name = "half_a_trim_and_its_member_is_replaced",
	  .shape = mirror_with_a_spare_and_time, .script = story_half_a_trim },
	{ .name = "a_move_without_a_source_is_given_up",
	  .shape = mirror_with_many_spares, .script = story_no_source },
	{ .name = "both_members_are_lost",
	  .shape = mirror, .script = story_both_members_lost },
	{ .name = "a_child_sees_its_parents_past",
	  .live = past_story_values },
	{ .name = "freed_memory_waits_for_the_last_child",
	  .live = past_story_freed },
	{ .name = "a_frame_is_spilled_and_read",
	  .live = past_story_spilled },
	{ .name = "a_past_that_cannot_be_saved_is_lost",
	  .live = past_story_refused },
	{ .name = "a_commit_is_cut_off_by_the_power",
	  .live = kept_story_cut },
	{ .name = "durable_pages_are_not_the_next_owners",
	  .live = kept_story_next_owner },
	{ .name = "a_page_is_held_while_it_is_drafted",
	  .shape = stores, .script = story_held },
};
const uint32_t stories_count = XM_COUNT(stories);
