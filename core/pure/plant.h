/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Planted bugs (mutants): mistakes that would be easy to make, each behind a switch, to
 * test whether the simulator finds them. This file lists them; XM_PLANTED(name) stands in
 * the code where the mistake would be made.
 *
 * In all builds but that of extmem-sim-planted (-DXM_PLANT) XM_PLANTED() is the constant
 * false, and the compiler removes the code. See docs/SIMULATOR.md.
 *
 * Floor: ground.
 */
#ifndef XM_PLANT_H
#define XM_PLANT_H

#include <stdbool.h>

/* X(name, what goes wrong), by the file in which it is. */
#define XM_PLANTS(X)                                                          \
	/* core/pure/tree.c, core/client/trees.c, core/client/persist.c */    \
	X(tree_parent_kept, "a node of the tree of seals is sealed, and its parent not told") \
	X(tree_apart, "pages and their seals become durable one after the other") \
	X(tree_unsure_forgotten, "what may be durable or not is not repeated first") \
	X(tree_late, "seals are those of after the draft")                    \
	/* core/pure/pager_*.c */                                             \
	X(evict_unprotected, "a page is evicted without protecting it first") \
	X(protect_after_copy, "a flushed page is protected after its copy")   \
	X(drop_before_copy, "a page is dropped before its bytes are copied")  \
	X(writeback_forgotten, "a page forgets its buffer before the write is "      \
			  "acknowledged")                                     \
	X(failed_store_forgotten, "a failed store gives up its buffer")         \
	X(unprotect_leaving, "a page that has just left is un-protected")     \
	X(fault_lost, "a fault that arrives during write-back is lost")       \
	X(prefetch_races_store, "reading ahead overtakes a write-back")       \
	X(discard_races_fetch, "a discard does not wait for a read under way") \
	X(discard_keeps_clean, "a discard leaves a clean page where it is")   \
	X(two_stores, "two stores of one page are under way")                 \
	X(forget_flying, "a page is forgotten while its store is in flight")  \
	X(budget_exceeded, "a read-ahead window is installed over the budget") \
	X(window_whole, "a window is installed with what it did not bring")   \
	X(last_page_ahead, "reading ahead goes one page past the end")        \
	X(pinned_evicted, "a pinned page is evicted")                         \
	X(io_unlocked, "an explicit write does not lock its pages")            \
	X(newest_store_ignored, "a sync does not wait for the newest store")  \
	X(rights_open, "a dirty page that may not be stored to stays writable") \
	X(rights_closed, "a dirty page that may be stored to again stays protected") \
	X(rights_clean_stays, "a clean page that may not be touched stays here") \
	X(rights_unsaved, "a dirty page that may not be touched is not stored") \
	X(rights_evicted, "an evicted page has all rights again")             \
	X(rights_neighbour, "a store opens pages that may not be stored to")  \
	X(rights_fresh, "zeros are installed for pages without the right")    \
	X(rights_window, "a window opens pages that may not be stored to")    \
	X(rights_bind_explicit, "an explicit write goes by a mapping that is protected") \
	X(print_outlives_flush, "a flushed page keeps the fingerprint of what it was") \
	X(print_outlives_frame, "a frame keeps the fingerprint of the page before") \
	X(print_hides_stale, "an unchanged page is not stored though a member lacks it") \
	X(snapshot_later_write, "a dirty page that is being cloned stays writable") \
	X(copy_left_out_trusted, "a clone's pages are whole at a copy that was left out") \
	X(copy_first_member, "of a region with copies the first alone is cloned") \
	X(copy_unheld, "a clone's pages are read before they were copied")    \
	X(copy_dirty_left, "a page is copied before what was dirty is stored") \
	X(rights_load_denied, "a page that may be loaded from is denied a load") \
	/* core/engine/engine.c, engine_effects.c */                                   \
	X(completion_lost, "what a dropped connection cancelled is not heard") \
	X(staging_not_advanced, "a store over two segments sends one half twice") \
	X(persist_unheld, "a page is stored while its appliance drafts it")   \
	X(hold_unwaited, "a page is drafted while a store of it is in flight") \
	X(persist_stale_zeros, "what was discarded is durable as it was before") \
	X(persist_failed_forgotten, "what did not become durable counts as if it had") \
	X(print_late, "a fingerprint is taken when stores reach the page already") \
	X(watch_late, "a watch is told of pages after they are writable")      \
	X(watch_misses_unprotect, "a watch is not told of pages that were "    \
				  "protected")                                \
	X(own_pause_loses, "a client's own pause makes others late")          \
	X(own_pause_drops, "a client that did not look takes that for silence") \
	X(store_unmarked, "a page that is stored alone is not marked as changed") \
	/* core/pure/volume*.c, pager_mend.c, view.c */                        \
	X(ack_first_member, "a write is done when one member has it")         \
	X(out_read, "a member that has left is read")                         \
	X(filling_read, "a member that is being filled is read")              \
	X(rejoin_trusted, "a member that comes back is read at once")         \
	X(mend_unguarded, "a page is copied while it may be stored")          \
	X(mend_skips_here, "a page that is present is not copied")            \
	X(stale_cleared_early, "a page is not stale though a member lacks it") \
	X(stripe_rows_collide, "rows of stripes lie at one place")            \
	X(stripe_read_on, "a read goes on past the end of its unit")          \
	X(stripe_scatter_mixed, "a scattered write has pages of other columns") \
	X(unsure_left, "after half a TRIM no member is replaced any more")    \
	X(guest_read, "a guest is read from the beginning")                   \
	X(spare_anywhere, "a spare is chosen without its region's strategy")   \
	X(spare_trusted, "a spare is read once its appliance is in a view")     \
	X(fills_under_way, "a move is over while its last pages are copied")   \
	X(mends_held, "pages are mended while they are handed over") \
	X(drain_gives_early, "what is moved is given back before it was copied") \
	X(torn_unlocked, "a write that is cut off leaves members that differ") \
	X(efforts_starve, "a write to two members gives up for want of room at " \
			  "one")                                              \
	X(have_kept, "what a member has counts for the one that replaces it") \
	X(drop_uncommitted, "a member is left out before a ledger says so")   \
	X(view_first_ledger_only, "one ledger of several is enough")          \
	X(lost_with_first_member, "a segment is lost with its first member")  \
	/* core/pure/path.c, keeper.c, session.c */                                \
	X(refused_for_good, "a connection that was refused is not tried again") \
	X(lane_untold, "the last lane is not told of a lost lease")           \
	X(old_lease_kept, "a lease is kept across an appliance's restart")    \
	X(quota_impatient, "a refusal for the rate of requests is shown to who asked") \
	X(request_endless, "a request whose time is up is waited for")        \
	/* core/client/wait.c */                                                     \
	X(sleepers_untold, "a thread asleep on a lane is not told of a completion") \
	X(wakeup_unsent, "a thread asleep on descriptors gets no wakeup")    \
	X(lock_kept, "the polling thread keeps the lane's lock between two polls")     \
	/* core/client/transfer*.c, segments.c */                                      \
	X(failed_write_marks, "a failed write marks a fresh page written")    \
	X(fresh_not_zeroed, "the rest of a fresh page is not zeroed")         \
	X(page_torn, "an explicit write moves a page by halves")              \
	X(write_unflushed, "an explicit write by the mapping stays there")    \
	X(last_page_kept, "a region's last page is not forgotten")            \
	X(trim_key_kept, "a head that was trimmed is used by its old key")    \
	/* core/pure/seals.c, core/engine/engine_seal.c, engine_mend.c */      \
	X(seal_version_kept, "all pages of a lane are sealed under one version") \
	X(seal_version_back, "a write that was not posted gives its version back") \
	X(seal_lanes_share, "all lanes seal under the same versions")         \
	X(seal_tag_ignored, "a page whose tag is wrong is taken")             \
	X(seal_plain_store, "a page is stored as it is")                      \
	X(seal_plain_write, "an explicit write is posted as it is")           \
	X(seal_rescue_sealed, "a fault that a write-back buffer serves gets " \
			      "sealed bytes")                                 \
	X(seal_brought_opened, "pages that a read brings along are opened, too") \
	X(seal_former_dropped, "an explicit write forgets the former seal")   \
	X(seal_former_lost, "the mender finds the former version and keeps the " \
			    "other one's seal")                               \
	X(seal_settled_early, "a seal is settled before all members have the page") \
	X(seal_third_version, "a page is written before its last write is settled") \
	X(seal_renews_first_lane, "only the first lane seals under a new key") \
	X(seal_renewal_former, "a renewal does not look at former versions")  \
	X(seal_renewal_here, "a renewal passes over pages that are here")     \
	X(seal_key_newest, "pages are opened under the newest key")           \
	X(seal_bad_kept, "a member whose tag is wrong is not mended")         \
	X(seal_first_decides, "a page is lost when one member has it wrong")  \
	X(seal_part_unread, "a part of a page is written without the rest")   \
	/* core/client/watch.c */                                              \
	X(watch_first_lane, "a watch is set for the first lane alone")        \
	/* core/client/handover.c, adopt.c */                                  \
	X(offer_unflushed, "a region is handed over without what is dirty")   \
	X(hand_seals_left, "a sealed region is handed over without new seals")  \
	X(foul_untold, "what was discarded comes back when it is handed over") \
	X(claim_zeroed, "what is adopted reads as zero")                      \
	/* core/client/sharing.c, reading.c */                                \
	X(release_before_flush, "a release tells readers before it has stored") \
	X(write_unmarked, "an explicit write is not marked as changed")       \
	X(reader_keeps_cache, "an acquire keeps what has changed")            \
	X(release_roll_uncalled, "a release does not say which copies were left out") \
	X(reader_keeps_copies, "a reader goes on with copies that were left out") \
	X(reader_keeps_of_copies, "what was read of a copy that was left out is kept") \
	/* core/pure/roll.c, core/engine/engine_mend.c */                     \
	X(roll_without_core, "a roll is called that a reader may not see")    \
	X(roll_half_read, "a reader takes the word of any table")             \
	X(mend_unmarked, "a torn page that is mended is not marked as changed") \
	/* core/client/range.c, mapping.c */                                  \
	X(sync_endless, "a sync whose time is up waits on")                   \
	X(sync_nothing, "a sync does nothing")                                \
	X(sync_first_lane, "a sync waits for the first lane alone")           \
	/* core/pure/snapshot.c, in runs of --kind=snapshot */                \
	X(snapshot_newest_only, "a saved page is for the newest snapshot alone") \
	X(snapshot_newest_reader, "a saved page goes though an older snapshot " \
				  "is read")                                  \
	X(snapshot_zeros_unsaved, "a page that was all zero is not saved")    \
	X(snapshot_unseen_saved, "a page is saved that no child can see")     \
	X(snapshot_loss_forgotten, "a page is changed when memory was refused, " \
				   "and nobody knows")                        \
	X(snapshot_reader_uncounted, "a child's child is not counted")        \
	X(snapshot_first_page_decides, "freed pages are kept or not as the "  \
				       "first of them is")                    \
	X(snapshot_runs_forgotten, "freed memory never goes back")            \
	X(snapshot_place_twice, "two saved pages are spilled to one place")   \
	X(snapshot_spill_races, "a frame is free while it is being spilled")  \
	/* core/pure/rows.c and code_rs.c, in runs of --kind=parity */         \
	X(rows_parity_kept, "a store leaves the parities as they are")        \
	X(rows_old_of_other, "a store takes another page's old bytes for its own") \
	X(rows_intent_missing, "a row is written before its intent is in the ledger") \
	X(rows_intent_early, "an intent is cleared while a row is being written") \
	X(rows_ledger_trusted, "an intent counts though its write failed")    \
	X(rows_found_trusted, "rows that a dead client was writing count as clean") \
	X(rows_read_unclean, "a missing page is computed from parities not to be relied on") \
	X(rows_filling_read, "a member that is being filled is read")         \
	X(rows_write_forgotten, "a write that failed is not repeated")        \
	X(rows_mend_skips, "the mender passes a row that is locked")          \
	X(rows_unlocked, "two stores change one row at once")                 \
	X(code_coefficient, "a store counts with another column's coefficient") \
	/* appliance/ */                                                      \
	X(own_pause_expires, "an appliance's own pause ends clients' leases") \
	X(own_life, "a stream that is merely open counts as a sign of life")  \
	X(lease_overdue, "a silent client's lease lasts half as long again") \
	X(cut_alloc_forgotten, "what an ALLOC that was cut off got is kept")  \
	X(cut_free_forgotten, "a FREE that was cut off is not said again")    \
	X(cut_trim_forgotten, "what a TRIM that was cut off got is kept")     \
	X(freed_kept, "what is given back stays its client's")                \
	X(any_secret, "a client may resume with any secret")                  \
	X(resume_other_tenant, "a client may resume as another identity")     \
	X(identity_from_hello, "a client is of the tenant that it says it is") \
	X(quota_by_client, "each client may have its tenant's whole quota")    \
	X(ticket_late, "a ticket that nobody uses is good for ever")          \
	X(list_all_tenants, "a list shows what is others'")                    \
	X(place_spills, "the end of one tenant's interface ends others' memory") \
	X(place_report_believed, "an interface reports about others' memory")      \
	X(lends_beyond, "a pool that has shrunk lends what it gives to the host") \
	X(returns_lent, "the host is given what a client owns")                \
	X(unzeroed, "an extent is free without being zeroed")                 \
	X(quarantine_skipped, "an extent is reused before its key is dead")   \
	X(guard_ignored, "a head is reused while its tail's key opens it")    \
	X(expiry_unfenced, "a client whose lease ended keeps its connection") \
	X(claim_unfenced, "an extent is claimed while its former owner's key " \
			  "opens it")                                         \
	X(claim_any_token, "any token claims an extent")                      \
	X(token_twice, "a token claims an extent from a claimer that lives")  \
	X(orphan_zeroed_early, "an orphan is zeroed before its time")         \
	X(copy_half, "half of what is to be copied is")                       \
	X(kept_unlimited, "so much may be kept as there is memory")           \
	X(keep_forgotten, "what was to be kept is zeroed with its owner's end") \
	X(claim_cut_zeroed, "a claim that nobody hears of frees the extent")  \
	/* appliance/readings.c */                                            \
	X(reader_writes, "the key of a reader is good for writing")           \
	X(share_outlives_owner, "what is shared is read when its owner has ended") \
	X(share_endless, "a token to read by is good for ever")               \
	/* appliance/store*.c, in runs of --kind=store */                     \
	X(store_ack_unsynced, "a batch is acknowledged before it is synced")  \
	X(store_image_first, "the image is written before the journal")       \
	X(store_wraps_early, "the journal begins anew before the image is synced") \
	X(store_torn_taken, "a batch is replayed though a page of it is torn") \
	X(store_head_alone, "the checksum is of the head alone")              \
	X(store_hole_taken, "a journal with a hole is taken for a shorter one") \
	X(store_salt_kept, "batches of an earlier generation look like this one's") \
	X(store_birth_ignored, "fresh memory has a former owner's durable bytes") \
	X(store_entry_joins, "an entry is in one batch with pages of before it") \
	X(store_apart, "what is to be durable together is in two batches")    \
	X(store_batch_unseen, "a page changes back while its batch is gathered") \
	X(store_error_unsaid, "a commit that failed is acknowledged")         \
	X(store_error_forgotten, "a store goes on after a sync that failed")  \
	X(store_zeros_taken, "a sector that reads as zeros is taken for an empty one") \
	/* the transport: sim/fabric.c */                                     \
	X(early_acknowledgement, "a write completes before it is delivered")  \
	X(ticket_twice, "a ticket is good for a second connection")           \
	X(double_completion, "an operation completes twice")                  \
	X(deaf_conceal, "a concealed key still opens, though keys revoke")    \
	X(not_superseded, "a lane's earlier connection outlives the new one") \
	/* sim/interface.c, with --interface=model */                          \
	X(interface_key_lives, "a concealed span's key stays in the key memory")

#ifdef XM_PLANT
enum xm_plant {
	XM_PLANT_NONE,
#define XM_PLANT_ONE(name, words) XM_PLANT_##name,
	XM_PLANTS(XM_PLANT_ONE)
#undef XM_PLANT_ONE
};
extern enum xm_plant xm_plant; /* the one that is switched on */
#define XM_PLANTED(name) (xm_plant == XM_PLANT_##name)
#else
#define XM_PLANTED(name) false
#endif

#endif
