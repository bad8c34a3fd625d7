# SPDX-License-Identifier: BSD-3-Clause
# core: the client library, and all thought that both ends share.

include_HEADERS += core/extmem.h

# Ground floor: pure. tests/floors.sh looks at what these objects call.
noinst_LTLIBRARIES += libxm_ground.la
libxm_ground_la_SOURCES = \
	core/base.h \
	core/channel.c \
	core/channel.h \
	core/extent.c \
	core/extent.h \
	core/heap.c \
	core/heap.h \
	core/heap_cache.c \
	core/heap_cache.h \
	core/heap_slots.h \
	core/layout.c \
	core/layout.h \
	core/list.h \
	core/mapper.h \
	core/pager.c \
	core/pager.h \
	core/pager_fault.c \
	core/pager_fetch.c \
	core/pager_frame.c \
	core/pager_parts.h \
	core/pager_range.c \
	core/pager_store.c \
	core/path.c \
	core/path.h \
	core/plant.h \
	core/rand.h \
	core/session.c \
	core/session.h \
	core/spin.h \
	core/trace.c \
	core/trace.h \
	core/transport.h \
	core/wire.c \
	core/wire.h \
	core/words.c \
	core/words.h \
	$(NULL)

# First floor: one thread at a time, no system calls, `now` is passed in.
noinst_LTLIBRARIES += libxm_first.la
libxm_first_la_SOURCES = \
	core/control.c \
	core/control.h \
	core/engine.c \
	core/engine.h \
	core/engine_effects.c \
	core/engine_parts.h \
	core/keeper.c \
	core/keeper.h \
	$(NULL)

# The client: the public functions, on threads and locks that os.h names.
noinst_LTLIBRARIES += libxm_client.la
libxm_client_la_SOURCES = \
	core/about.c \
	core/access.c \
	core/client.c \
	core/client.h \
	core/mapping.c \
	core/objects.c \
	core/options.c \
	core/options.h \
	core/options_parse.c \
	core/options_parts.h \
	core/options_print.c \
	core/options_value.c \
	core/outside.c \
	core/region.c \
	core/transfer.c \
	core/transfer.h \
	core/transfer_pager.c \
	core/transfer_parts.h \
	core/transfer_piece.c \
	core/wait.c \
	$(NULL)

# Skin: doors to libc and to the kernel. The simulator has its own.
noinst_LTLIBRARIES += libxm_skin.la
libxm_skin_la_SOURCES = \
	core/faults.c \
	core/os.c \
	core/os.h \
	core/uffd.c \
	core/uffd.h \
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
