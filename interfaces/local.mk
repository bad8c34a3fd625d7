# SPDX-License-Identifier: BSD-3-Clause
# interfaces: how programs meet external memory; built on extmem.h alone, but
# for the option table, which every program of the house shares.

bin_PROGRAMS += extmem
extmem_SOURCES = \
	interfaces/command.h \
	interfaces/daemon.c \
	interfaces/daemon.h \
	interfaces/doctor.c \
	interfaces/extmem.c \
	interfaces/inspect.c \
	interfaces/program.c \
	interfaces/program.h \
	interfaces/report.c \
	interfaces/report.h \
	interfaces/run.c \
	interfaces/run/shared.h \
	interfaces/top.c \
	$(NULL)
extmem_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/interfaces \
	-DEXTMEM_PKGLIBDIR='"$(pkglibdir)"' -DEXTMEM_BINDIR='"$(bindir)"'
extmem_LDADD = $(XM_WHOLE) $(JANSSON_LIBS)

# Loaded into other programs: it finds the library beside itself (in the build
# tree) or one folder up (installed).
pkglib_LTLIBRARIES += libextmem-run.la
libextmem_run_la_SOURCES = \
	interfaces/run/arena.c \
	interfaces/run/block.c \
	interfaces/run/broker.c \
	interfaces/run/call.c \
	interfaces/run/child.c \
	interfaces/run/descriptor.c \
	interfaces/run/exec.c \
	interfaces/run/fork.c \
	interfaces/run/fork.h \
	interfaces/run/handler.c \
	interfaces/run/identity.c \
	interfaces/run/malloc.c \
	interfaces/run/map.c \
	interfaces/run/path.c \
	interfaces/run/present.c \
	interfaces/run/shared.h \
	interfaces/run/shim.c \
	interfaces/run/shim.h \
	interfaces/run/signal.c \
	interfaces/run/stdio.c \
	interfaces/run/thread.c \
	interfaces/run/trap.c \
	interfaces/run/vector.c \
	$(NULL)
libextmem_run_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'
libextmem_run_la_LIBADD = libextmem.la

dist_noinst_SCRIPTS += interfaces/main-job.sh

dist_man_MANS += docs/man/extmem.1
