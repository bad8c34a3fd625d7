# SPDX-License-Identifier: BSD-3-Clause
# preload: the shim that `extmem run` loads into unmodified programs; it stands
# in front of libc, on extmem.h alone.

# It finds the library beside itself (in the build
# tree) or one folder up (installed).
pkglib_LTLIBRARIES += libextmem-run.la
libextmem_run_la_SOURCES = \
	common/extent.c \
	common/extent.h \
	common/heap.c \
	common/heap.h \
	common/options.c \
	common/options.h \
	common/options_file.c \
	common/options_parse.c \
	common/options_parts.h \
	common/options_print.c \
	common/options_value.c \
	common/record.c \
	common/record.h \
	common/ring.c \
	common/ring.h \
	core/pure/snapshot.c \
	core/pure/snapshot.h \
	preload/allocator.c \
	common/areas.c \
	common/areas.h \
	preload/area.c \
	preload/area.h \
	preload/area_child.c \
	preload/area_parts.h \
	preload/area_remap.c \
	preload/alone.c \
	preload/arena.c \
	preload/block.c \
	preload/broker.c \
	preload/budget.c \
	preload/call.c \
	preload/call.h \
	preload/call_copy.c \
	preload/call_serve.c \
	preload/call_wait.c \
	preload/child.c \
	preload/clone.c \
	preload/confine.c \
	preload/deferred.c \
	preload/descriptor.c \
	preload/environment.c \
	preload/exec.c \
	preload/figures.c \
	preload/fork.c \
	preload/fork.h \
	preload/growth.c \
	preload/growth.h \
	preload/handler.c \
	preload/identity.c \
	preload/malloc.c \
	preload/map.c \
	preload/map.h \
	preload/map_kernel.c \
	preload/msghdr.c \
	preload/news.c \
	preload/news.h \
	preload/opening.c \
	preload/options.c \
	preload/options.h \
	preload/other_process.c \
	preload/path.c \
	preload/plain.h \
	preload/present.c \
	preload/reals.h \
	preload/record.c \
	preload/record.h \
	preload/redirect.c \
	preload/reserve.c \
	preload/reserve.h \
	preload/rest.c \
	preload/rights.c \
	preload/room.c \
	preload/shared.h \
	preload/shared_file.c \
	preload/shim.c \
	preload/shim.h \
	preload/signal.c \
	preload/snapshots.c \
	preload/spill.c \
	preload/stdio.c \
	preload/symbols.c \
	preload/symbols.h \
	preload/thread.c \
	preload/trap.c \
	preload/vector.c \
	preload/vector.h \
	preload/whose.c \
	$(NULL)
libextmem_run_la_CPPFLAGS = $(AM_CPPFLAGS) -include $(top_srcdir)/preload/plain.h
libextmem_run_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'
libextmem_run_la_LIBADD = libextmem.la $(INIH_LIBS)

# Who reads the figures of programs: `extmem top`, extmem-gateway.
noinst_LTLIBRARIES += libxm_figures.la
libxm_figures_la_SOURCES = \
	preload/news.c \
	preload/news.h \
	preload/shared.h \
	preload/shared_read.c \
	$(NULL)
