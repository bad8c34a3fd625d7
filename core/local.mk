# SPDX-License-Identifier: BSD-3-Clause
# core: the client library, and all thought that both ends share.

include_HEADERS += core/extmem.h core/extmem_figures.h \
	core/extmem_share.h core/extmem_strategy.h

# pure/: the ground floor. tests/house/floors.sh looks at what these objects call.
libxm_ground_la_SOURCES += \
	core/pure/channel.c \
	core/pure/channel.h \
	core/pure/cloning.c \
	core/pure/cloning.h \
	core/pure/code.c \
	core/pure/code.h \
	core/pure/code_rs.c \
	core/pure/label.c \
	core/pure/label.h \
	core/pure/layout.c \
	core/pure/layout.h \
	core/pure/ledger.c \
	core/pure/ledger.h \
	core/pure/mapper.h \
	core/pure/mender.c \
	core/pure/mender.h \
	core/pure/owed.c \
	core/pure/owed.h \
	core/pure/pager.c \
	core/pure/pager.h \
	core/pure/pager_advice.c \
	core/pure/pager_buffer.c \
	core/pure/pager_explicit.c \
	core/pure/pager_fault.c \
	core/pure/pager_flush.c \
	core/pure/pager_frame.c \
	core/pure/pager_clone.c \
	core/pure/pager_hold.c \
	core/pure/pager_ledger.c \
	core/pure/pager_meaning.c \
	core/pure/pager_mend.c \
	core/pure/pager_parts.h \
	core/pure/pager_predict.c \
	core/pure/pager_print.c \
	core/pure/pager_reclaim.c \
	core/pure/pager_rights.c \
	core/pure/pager_stream.c \
	core/pure/pager_writeback.c \
	core/pure/path.c \
	core/pure/path.h \
	core/pure/placement.c \
	core/pure/placement.h \
	core/pure/plan.c \
	core/pure/plan.h \
	core/pure/plan_words.c \
	core/pure/plant.h \
	core/pure/print.h \
	core/pure/region_id.h \
	core/pure/returns.c \
	core/pure/returns.h \
	core/pure/scheme.c \
	core/pure/scheme.h \
	core/pure/roll.c \
	core/pure/roll.h \
	core/pure/rows.c \
	core/pure/rows.h \
	core/pure/rows_parts.h \
	core/pure/rows_plan.c \
	core/pure/seal.c \
	core/pure/seal.h \
	core/pure/seals.c \
	core/pure/seals.h \
	core/pure/session.c \
	core/pure/session.h \
	core/pure/snapshot.c \
	core/pure/snapshot.h \
	core/pure/strategy.c \
	core/pure/strategy.h \
	core/pure/trace.c \
	core/pure/trace.h \
	core/pure/transport.h \
	core/pure/tree.c \
	core/pure/tree.h \
	core/pure/versions.c \
	core/pure/versions.h \
	core/pure/view.c \
	core/pure/view.h \
	core/pure/backing.h \
	core/pure/volume.c \
	core/pure/volume.h \
	core/pure/volume_backing.c \
	core/pure/volume_io.c \
	core/pure/volume_move.c \
	core/pure/volume_part.c \
	core/pure/volume_trim.c \
	core/pure/volume_vacancy.c \
	core/pure/wire.c \
	core/pure/wire_cursor.c \
	core/pure/wire.h \
	core/pure/wire_cursor.h \
	$(NULL)

# engine/: the first floor. One thread at a time, no system calls, `now` is passed in.
noinst_LTLIBRARIES += libxm_first.la
libxm_first_la_SOURCES = \
	core/engine/control.c \
	core/engine/control.h \
	core/engine/engine.c \
	core/engine/engine.h \
	core/engine/engine_effects.c \
	core/engine/engine_parts.h \
	core/engine/engine_mend.c \
	core/engine/engine_post.c \
	core/engine/engine_print.c \
	core/engine/engine_seal.c \
	core/engine/keeper.c \
	core/engine/keeper.h \
	core/engine/keeper_mend.c \
	core/engine/keeper_move.c \
	core/engine/keeper_spare.c \
	core/engine/keeper_view.c \
	$(NULL)

# client/: the public functions, on threads and locks that os.h names.
libxm_client_la_SOURCES += \
	core/client/about.c \
	core/client/access.c \
	core/client/access.h \
	core/client/adopt.c \
	core/client/appliances.c \
	core/client/appliances.h \
	core/client/arena.c \
	core/client/arena.h \
	core/client/ask.c \
	core/client/ask.h \
	core/client/async.c \
	core/client/async.h \
	core/client/check.c \
	core/client/client.c \
	core/client/client.h \
	core/client/entry.h \
	core/client/clone.c \
	core/client/clone_turn.c \
	core/client/clones.h \
	core/client/commit.c \
	core/client/persist.c \
	core/client/damage.c \
	core/client/damage.h \
	core/client/error.c \
	core/client/error.h \
	core/client/faults.c \
	core/client/faults.h \
	core/client/found.c \
	core/client/found.h \
	core/client/keeping.c \
	core/client/lane.c \
	core/client/lane.h \
	core/client/latency.c \
	core/client/latency.h \
	core/client/line.h \
	core/client/handing.c \
	core/client/handing.h \
	core/client/handover.c \
	core/client/ledgers.c \
	core/client/ledgers.h \
	core/client/lost.c \
	core/client/lost.h \
	core/client/mapping.c \
	core/client/mapping.h \
	core/client/objects.c \
	core/client/objects.h \
	core/client/offers.c \
	core/client/offers.h \
	core/client/outside.c \
	core/client/piece.h \
	core/client/pin.c \
	core/client/planned.c \
	core/client/planned.h \
	core/client/range.c \
	core/client/range.h \
	core/client/reading.c \
	core/client/region.c \
	core/client/region.h \
	core/client/registered.c \
	core/client/registered.h \
	core/client/rights.c \
	core/client/renewal.c \
	core/client/roots.c \
	core/client/sealing.c \
	core/client/sealing.h \
	core/client/segments.c \
	core/client/segments.h \
	core/client/segments_parts.h \
	core/client/serve.c \
	core/client/serve.h \
	core/client/settings.c \
	core/client/settings.h \
	core/client/sharing.c \
	core/client/sharing.h \
	core/client/slabs.c \
	core/client/strategies.c \
	core/client/strategies.h \
	core/client/moving.c \
	core/client/moving.h \
	core/client/tracking.c \
	core/client/transfer.c \
	core/client/transfer.h \
	core/client/transfer_pager.c \
	core/client/transfer_parts.h \
	core/client/transfer_piece.c \
	core/client/tables.c \
	core/client/trees.c \
	core/client/trees.h \
	core/client/trims.c \
	core/client/wait.c \
	core/client/wait.h \
	core/client/watch.c \
	$(NULL)

# skin/: doors to libc and to the kernel. The simulator has its own.
noinst_LTLIBRARIES += libxm_skin.la
libxm_skin_la_SOURCES = \
	core/skin/cipher.c \
	core/skin/cipher.h \
	core/skin/cipher_ipsec_mb.c \
	core/skin/cipher_keys.c \
	core/skin/cipher_openssl.c \
	core/skin/cipher_parts.h \
	core/skin/mappers.c \
	core/skin/os.c \
	core/skin/os.h \
	core/skin/printer.c \
	core/skin/printer.h \
	core/skin/provider_signals.c \
	core/skin/provider_signals.h \
	core/skin/sigbus.c \
	core/skin/sigbus.h \
	core/skin/uffd.c \
	core/skin/uffd_faults.c \
	core/skin/uffd_pages.c \
	core/skin/uffd_parts.h \
	core/skin/uffd_poison.c \
	core/skin/uffd_probe.c \
	$(NULL)

# All of it in one archive, for programs that look inside.
noinst_LTLIBRARIES += libxm_whole.la
libxm_whole_la_SOURCES =
libxm_whole_la_LIBADD = \
	libxm_client.la \
	libxm_skin.la \
	libxm_first.la \
	libxm_transports.la \
	libxm_ground.la \
	$(INIH_LIBS) \
	$(NULL)

lib_LTLIBRARIES += libextmem.la
libextmem_la_SOURCES = core/extmem.h
libextmem_la_LIBADD = $(XM_WHOLE)
libextmem_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined \
	-version-info $(EXTMEM_VERSION_INFO) \
	-Wl,--version-script=$(top_srcdir)/core/libextmem.map
EXTRA_libextmem_la_DEPENDENCIES = core/libextmem.map
EXTRA_DIST += core/libextmem.map
