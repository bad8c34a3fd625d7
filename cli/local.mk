# SPDX-License-Identifier: BSD-3-Clause
# cli: the `extmem` command; on extmem.h and the option table alone.

bin_PROGRAMS += extmem
extmem_SOURCES = \
	cli/advise.c \
	cli/auth.c \
	cli/auth.h \
	cli/command.h \
	cli/copies.c \
	cli/copies.h \
	cli/daemon.c \
	cli/daemon.h \
	cli/disk.c \
	cli/doctor.c \
	cli/extmem.c \
	cli/inspect.c \
	cli/mount.c \
	cli/program.c \
	cli/program.h \
	cli/report.c \
	cli/region.c \
	cli/report.h \
	cli/run.c \
	cli/run_options.c \
	cli/run_options.h \
	cli/shrink.c \
	cli/slow.c \
	cli/slow.h \
	cli/stop.c \
	cli/store.c \
	cli/stop.h \
	cli/drain.c \
	cli/strategy.c \
	cli/swap.c \
	cli/top.c \
	cli/trace.c \
	cli/vm.c \
	cli/watch.c \
	cli/watch.h \
	preload/shared.h \
	preload/shared_file.c \
	$(NULL)
extmem_CPPFLAGS = $(AM_CPPFLAGS) \
	-DEXTMEM_PKGLIBDIR='"$(pkglibdir)"' -DEXTMEM_BINDIR='"$(bindir)"' \
	-DEXTMEM_NBDKITDIR='"$(nbdkitplugindir)"'
extmem_LDADD = libxm_figures.la libxm_spawn.la $(XM_WHOLE) $(JANSSON_LIBS)

# What `extmem auth` executes, so that nothing else of `extmem` needs OpenSSL.
if HAVE_OPENSSL
bin_PROGRAMS += extmem-auth
endif
extmem_auth_SOURCES = \
	cli/auth_main.c \
	cli/authority.c \
	cli/authority.h \
	cli/authority_check.c \
	cli/authority_files.c \
	cli/authority_issued.c \
	cli/authority_parts.h \
	cli/authority_psk.c \
	$(NULL)
extmem_auth_LDADD = $(XM_WHOLE) $(OPENSSL_LIBS)

dist_man_MANS += docs/man/extmem.1 docs/man/extmem-auth.1
