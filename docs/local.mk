# SPDX-License-Identifier: BSD-3-Clause
# docs: the manual pages. tests/house/man.sh holds the pages to the header and the options.

xm_man_pages = \
	docs/man/extmem-bench.1 \
	docs/man/extmem-run.7 \
	docs/man/extmem-sim.1 \
	docs/man/extmem.3 \
	docs/man/extmem.5 \
	docs/man/extmem.7 \
	docs/man/extmem_appliance_start.3 \
	docs/man/extmem_hand_over.3 \
	docs/man/extmem_map.3 \
	docs/man/extmem_open.3 \
	docs/man/extmem_read.3 \
	docs/man/extmem_region.3 \
	docs/man/extmem_region_copy.3 \
	docs/man/extmem_share.3 \
	docs/man/extmem_slab.3 \
	docs/man/extmem_stats.3 \
	docs/man/extmem_strategy.3 \
	$(NULL)

# The other names that these pages have. Each becomes a file of one line,
# which says in what page its name is.
xm_man_names = \
	docs/man/extmem_advise.3 \
	docs/man/extmem_appliance_add.3 \
	docs/man/extmem_appliance_address.3 \
	docs/man/extmem_appliance_figures.3 \
	docs/man/extmem_appliance_stop.3 \
	docs/man/extmem_capabilities.3 \
	docs/man/extmem_check.3 \
	docs/man/extmem_close.3 \
	docs/man/extmem_contains.3 \
	docs/man/extmem_deregister.3 \
	docs/man/extmem_drain.3 \
	docs/man/extmem_orphan_free.3 \
	docs/man/extmem_shrink.3 \
	docs/man/extmem_error.3 \
	docs/man/extmem_info.3 \
	docs/man/extmem_latency_ns.3 \
	docs/man/extmem_local_for.3 \
	docs/man/extmem_lease_end.3 \
	docs/man/extmem_leases.3 \
	docs/man/extmem_local.3 \
	docs/man/extmem_lost.3 \
	docs/man/extmem_object_alloc.3 \
	docs/man/extmem_object_free.3 \
	docs/man/extmem_object_size.3 \
	docs/man/extmem_pin.3 \
	docs/man/extmem_poll.3 \
	docs/man/extmem_permits.3 \
	docs/man/extmem_protect.3 \
	docs/man/extmem_providers.3 \
	docs/man/extmem_read_start.3 \
	docs/man/extmem_readv.3 \
	docs/man/extmem_region_acquire.3 \
	docs/man/extmem_region_address.3 \
	docs/man/extmem_region_adopt.3 \
	docs/man/extmem_region_adopt_since.3 \
	docs/man/extmem_region_alloc.3 \
	docs/man/extmem_region_commit.3 \
	docs/man/extmem_region_decommit.3 \
	docs/man/extmem_region_free.3 \
	docs/man/extmem_region_fresh.3 \
	docs/man/extmem_region_hand_over.3 \
	docs/man/extmem_region_keep.3 \
	docs/man/extmem_region_keep_durable.3 \
	docs/man/extmem_region_list.3 \
	docs/man/extmem_region_name.3 \
	docs/man/extmem_region_open.3 \
	docs/man/extmem_region_release.3 \
	docs/man/extmem_region_request.3 \
	docs/man/extmem_region_resize.3 \
	docs/man/extmem_region_root.3 \
	docs/man/extmem_region_restore.3 \
	docs/man/extmem_region_revoke.3 \
	docs/man/extmem_region_share.3 \
	docs/man/extmem_region_size.3 \
	docs/man/extmem_register.3 \
	docs/man/extmem_slab_alloc.3 \
	docs/man/extmem_slab_free.3 \
	docs/man/extmem_status.3 \
	docs/man/extmem_status_regions.3 \
	docs/man/extmem_seal_renew.3 \
	docs/man/extmem_strategy_check.3 \
	docs/man/extmem_strategy_list.3 \
	docs/man/extmem_strategy_read.3 \
	docs/man/extmem_sync.3 \
	docs/man/extmem_sync_level.3 \
	docs/man/extmem_unmap.3 \
	docs/man/extmem_unpin.3 \
	docs/man/extmem_version.3 \
	docs/man/extmem_wait.3 \
	docs/man/extmem_watch.3 \
	docs/man/extmem_write.3 \
	docs/man/extmem_write_start.3 \
	docs/man/extmem_writev.3 \
	$(NULL)

$(xm_man_names): $(xm_man_pages)
	$(AM_V_GEN)$(MKDIR_P) docs/man && name=`basename $@ .3` && \
	page=`cd '$(srcdir)' && grep -l "^$$name[, ]" docs/man/extmem_*.3` && \
	echo ".so man3/`basename $$page`" >$@

dist_man_MANS += $(xm_man_pages)
nodist_man_MANS = $(xm_man_names)
CLEANFILES += $(xm_man_names)
