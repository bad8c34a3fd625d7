# SPDX-License-Identifier: BSD-3-Clause
# cli: the `extmem` command; on extmem.h and the option table alone.

bin_PROGRAMS += extmem
extmem_SOURCES = \
	cli/command.h \
	cli/daemon.c \
	cli/daemon.h \
	cli/doctor.c \
	cli/extmem.c \
	cli/inspect.c \
	cli/program.c \
	cli/program.h \
	cli/report.c \
	cli/report.h \
	cli/run.c \
	cli/run_options.c \
	cli/run_options.h \
	cli/slow.c \
	cli/slow.h \
	cli/stop.c \
	cli/stop.h \
	cli/strategy.c \
	cli/top.c \
	preload/shared.h \
	preload/shared_file.c \
	$(NULL)
extmem_CPPFLAGS = $(AM_CPPFLAGS) \
	-DEXTMEM_PKGLIBDIR='"$(pkglibdir)"' -DEXTMEM_BINDIR='"$(bindir)"'
extmem_LDADD = libxm_spawn.la $(XM_WHOLE) $(JANSSON_LIBS)

dist_man_MANS += docs/man/extmem.1
