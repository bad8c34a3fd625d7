# SPDX-License-Identifier: BSD-3-Clause
# interfaces: how programs meet external memory; built on extmem.h alone.

# bin_PROGRAMS += extmem
# extmem_SOURCES = \
#	interfaces/extmem.c \
#	$(NULL)
# extmem_LDADD = libextmem.la $(JANSSON_LIBS)

# pkglib_LTLIBRARIES += libextmem-run.la
# libextmem_run_la_SOURCES = \
#	interfaces/run/shim.c \
#	$(NULL)
# libextmem_run_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared
# libextmem_run_la_LIBADD = libextmem.la
